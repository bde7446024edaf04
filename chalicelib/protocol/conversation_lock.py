"""The conversation lock: at most one batch is in hand per conversation, with the AI or on its way to people.

    open --e: acquire--> processing --claim, release: see reply_claim--> open
     |                    |   |  ^
     |                    |   |  |-- g: refresh, for the same trigger came again and resumes
     |                    |   |  `-- H: extend, for the AI needs more time: see turns
     |                    |   |----- I: end without reply, for the AI has nothing to say: see turns (ai_no_reply)
     |                    |   `----- f: reset, for the lock stalled (open, and watched)
     |                    `--------- h: abandon, for nothing was dispatched and nothing is carried (processing_error)
     |-- u: append, of messages that no batch takes; to a locked record too
     |-- v: refuse carried, for a rule refuses now what an earlier batch left unanswered
     `-- w: unwatch, for an end is reported, or nothing is unanswered any more

The fencing token is `batch_id`, fresh for each acquisition. Every write under the lock names it as a condition, and the
lock, the append and the list of what is unanswered change in one update: there is no state "locked but not appended".

Guarantees
    L1  Of several triggers that read the same record, one acquires: the update succeeds only if the record is open and
        stands as it was read.
    L2  A stale holder is refused: release, reset and abandon name the batch that they mean, and a refresh needs the
        record as it was read. So only its reply moves the clock of a claimed lock.
    L3  A batch is `unanswered_ids` at the moment of acquisition: what an earlier batch left unanswered is carried into
        it and is not appended again.
    L4  `unanswered_ids` shrinks only under the token that set it, or by a write to an open record that stands as read.
    L5  A reset opens a lock only as old as it was seen to be: a refresh or a claim in between keeps it. The
        claim of an interim message goes with the lock; every other claim keeps it.
    L6  An open record has no lock's start and no trigger. So a lock set by another system is never taken for an old one
        of ours, and no past trigger ever resumes a lock of ours.
    L7  People get a batch only under a claim in their name, which acquisition sets in the same update. From then on, a
        process that read the record before and would take its messages for the AI is refused.
    L8  An open record whose batch was never answered, and one whose end was not reported, stays in the index of the
        sweep, under a shard of its own kind, until another lock, an answer or a report takes it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zlib import crc32

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr, Change, Condition, Item, Refused, Table, Written
from chalicelib.protocol.answers import recent_answers
from chalicelib.protocol.entries import MESSAGE_ID
from chalicelib.protocol.record import (
    BATCH_ID,
    CLAIM,
    CLAIM_END,
    CLAIM_REASON,
    CLAIM_TOKEN,
    CLAIMED_AT,
    COMPLETED_AT,
    ERROR_CODE,
    LAST_ACTIVITY_AT,
    LAST_REPLY_ID,
    LAST_USER_MESSAGE_AT,
    LOCK_SHARD,
    MESSAGES,
    MOVED_ANSWERS,
    MOVED_BEFORE,
    NOTICE_AT,
    PASSED_REPLY_ID,
    STALL_RESETS,
    STARTED_AT,
    STATUS,
    TRIGGER_ID,
    TURN_EFFECTS,
    TURN_STARTED_AT,
    TURN_SUPERSEDES,
    UNANSWERED_IDS,
    VERSION,
    WATCHED,
    ClaimEnd,
    ConversationKey,
    Record,
    Status,
)

Entry = Mapping[str, Any]
"""One element of `messages`."""

PEOPLE = "#people"
"""Claims a batch for people. No reply has this id: those that begin with `#` are refused."""

MARKS_MAX = 100
"""Entries that one update marks: DynamoDB's expressions end at 4 KB. What is beyond keeps no mark."""

CLAIM_ATTRIBUTES = (CLAIM, CLAIMED_AT, CLAIM_TOKEN, CLAIM_END, CLAIM_REASON, ERROR_CODE)
"""What a reply leaves on the record, and the next lock removes."""

_TURN_ATTRIBUTES = (PASSED_REPLY_ID, TURN_EFFECTS)
"""What belongs to the batch before: the next one removes it."""


@dataclass(frozen=True, repr=False)
class Lease:
    """The conversation is locked for a batch; `item` is the row as the lock's write left it."""

    batch_id: str
    item: Item


@dataclass(frozen=True)
class Changed:
    """The record no longer stands as it was read; nothing was written."""


@dataclass(frozen=True)
class Lost:
    """The lock is no longer the batch's; nothing was written."""


@dataclass(frozen=True)
class Reset:
    """The stalled lock is open."""


@dataclass(frozen=True)
class Appended:
    """The entries are in the record, or what was carried is marked there."""


def acquire(
    table: Table,
    record: Record,
    *,
    batch_id: str,
    trigger_id: str,
    entries: Sequence[Entry],
    for_people: bool,
    shards: int,
    now: datetime,
) -> Lease | Changed:
    """Lock an open record for one batch and append the batch's new messages, in one update.

    Args:
        table: the conversations table.
        record: as read, open, with its entries.
        batch_id: the fresh fencing token.
        trigger_id: of the trigger that takes the lock and that alone may resume it.
        entries: the messages that are not in the record yet, in order, each with its `message_id`.
        for_people: claim the batch in the name of people in the same update (L7).
        shards: over how many hash keys the sparse index of locked conversations is spread.
        now: the current instant.
    """
    assert not record.is_locked, "only an open record is acquired"
    change = given_to_batch(record, batch_id=batch_id, trigger_id=trigger_id, entries=entries, shards=shards, now=now)
    if not record.unanswered:  # N3: what was restarted has ended.
        change = replace(change, remove=(*change.remove, TURN_SUPERSEDES))
    if for_people:
        claim = people_claim(batch_id, now)
        removed = tuple(name for name in change.remove if name not in claim)
        change = replace(change, set={**change.set, **claim}, remove=removed)
    match table.update(record.key.item, change, when=record.unchanged):  # L1: as read, and it was open.
        case Written(item):
            return Lease(batch_id, item)
        case Refused(item) if item.get(BATCH_ID) == batch_id:
            return Lease(batch_id, item)  # our own write, applied on a try whose answer was lost
        case Refused():
            return Changed()


def given_to_batch(
    record: Record, *, batch_id: str, trigger_id: str, entries: Sequence[Entry], shards: int, now: datetime
) -> Change:
    """What locks a record for a batch: all that is unanswered, and these new messages, which it appends."""
    carried = [entry[MESSAGE_ID] for entry in record.unanswered]
    unanswered = [*carried, *(entry[MESSAGE_ID] for entry in entries)]  # L3
    told_before = () if carried else (NOTICE_AT,)  # A3: who waits on was told, and hears it once.
    return Change(
        set={
            STATUS: Status.PROCESSING.value,
            BATCH_ID: batch_id,
            STARTED_AT: iso(now),
            TURN_STARTED_AT: iso(now),
            TRIGGER_ID: trigger_id,
            UNANSWERED_IDS: unanswered,
            LOCK_SHARD: lock_shard(record.key, shards),
            LAST_ACTIVITY_AT: iso(now),
            **_last_user_message(entries),
        },
        append={MESSAGES: entries} if entries else {},
        add={VERSION: 1},
        remove=(*CLAIM_ATTRIBUTES, *_TURN_ATTRIBUTES, *told_before),
    )


def refresh(table: Table, record: Record, *, now: datetime) -> Lease | Lost:
    """Start the clock of a held lock anew, for the trigger that took it has come again and resumes."""
    batch_id = record.batch_id
    assert batch_id is not None, "a lock of ours names its batch"
    change = Change(set={STARTED_AT: iso(now)}, add={VERSION: 1})
    match table.update(record.key.item, change, when=record.unchanged):  # L2: a stale holder is refused.
        case Written(item):
            return Lease(batch_id, item)
        case Refused(item) if _is_held_by(item, batch_id) and item.get(STARTED_AT) == iso(now):
            return Lease(batch_id, item)  # our own write, applied on a try whose answer was lost
        case Refused():
            return Lost()


def stamp(table: Table, record: Record, *, shards: int, now: datetime) -> None:
    """Let a lock that another system set without a start begin now, so that it can stall and the sweep finds it."""
    assert record.status == Status.PROCESSING, "only a lock is stamped"
    table.update(
        record.key.item,
        Change(set={STARTED_AT: iso(now), LOCK_SHARD: lock_shard(record.key, shards)}, add={VERSION: 1}),
        when=record.unchanged,
    )


def reset(table: Table, record: Record, *, shards: int, now: datetime) -> Reset | Lost:
    """Open a stalled lock that no reply has claimed to end it; its batch stays unanswered, and is watched (L8).

    The claim of an interim message is removed: the turn that it belongs to has stalled.

    Where another system opened the record by a status of its own, that status stays.

    Args:
        table: the conversations table.
        record: as read: with the lock's start, and no claim but that of an interim message.
        shards: of the sparse index.
        now: the current instant.
    """
    assert record.started_at is not None, "a lock that bears no start has not stalled"
    assert record.claim is None or record.claim_end is ClaimEnd.UNCLAIM, "other claims end by their stored end"
    is_ours = record.status == Status.PROCESSING
    watched = _watched(record.key, shards, now) if record.unanswered_ids else {}
    removed = (STARTED_AT, TRIGGER_ID, LOCK_SHARD, *CLAIM_ATTRIBUTES)
    change = Change(
        set={**({STATUS: Status.TIMEOUT.value} if is_ours else {}), LAST_ACTIVITY_AT: iso(now), **watched},
        add={VERSION: 1, STALL_RESETS: 1},
        remove=tuple(name for name in removed if name not in watched),
    )
    is_as_seen = (
        Attr(STATUS).stays(record.status)
        & Attr(BATCH_ID).stays(record.batch_id)  # L2: the batch that we mean,
        & Attr(STARTED_AT).eq(record.started_at)  # L5: and no younger than seen; each claim sets a new start.
    )
    match table.update(record.key.item, change, when=is_as_seen):
        case Written():
            return Reset()
        case Refused(item) if is_ours and (item.get(STATUS), item.get(BATCH_ID)) == (Status.TIMEOUT, record.batch_id):
            return Reset()  # our own write whose answer was lost, or another sweep's: the same to us
        case Refused():
            return Lost()


def watch(table: Table, record: Record, *, shards: int, now: datetime) -> bool:
    """Put an open record whose batch was never answered into the sweep's index; whether this did it.

    A version before the watch opened stalled locks without it.
    """
    assert not record.is_locked, "a lock is in the index already"
    change = Change(set=_watched(record.key, shards, now), add={VERSION: 1})
    is_at_rest = record.unchanged & Attr(STARTED_AT).missing() & Attr(CLAIM).missing()
    return isinstance(table.update(record.key.item, change, when=is_at_rest), Written)  # L8


def unwatch(table: Table, record: Record) -> None:
    """Take an open record out of the sweep's index: its end is reported, or nothing of it is unanswered (L8)."""
    table.update(
        record.key.item,
        Change(add={VERSION: 1}, remove=(STARTED_AT, LOCK_SHARD)),
        when=record.unchanged,
    )


def abandon(table: Table, lease: Lease, key: ConversationKey, *, now: datetime) -> None:
    """The emergency unlock: nothing was dispatched, and what the lock appended is carried into the next batch.

    The caller holds: no dispatch of this lease was tried, and the lease carries nothing of an earlier batch.
    """
    table.update(
        key.item,
        opened(Status.ERROR, answered=False, now=now),
        when=held_by(lease.batch_id) & Attr(STARTED_AT).eq(lease.item[STARTED_AT]),  # L2: nobody resumed it meanwhile.
    )


def append(
    table: Table,
    record: Record,
    entries: Sequence[Entry],
    *,
    now: datetime,
    marks: Mapping[str, Any] = MappingProxyType({}),
) -> Appended | Changed:
    """Append messages that no batch takes, each with the mark that says why; the lock and the batch stay as they are.

    Args:
        table: the conversations table.
        record: as read, with its entries.
        entries: the messages to append; the caller has left out those that are in the record.
        now: the current instant.
        marks: of opt-out, as `opt_outs.py` computes them from this very record.
    """
    change = Change(
        set={
            LAST_ACTIVITY_AT: iso(now),
            **marks,
            **_last_user_message(entries),
        },
        append={MESSAGES: entries} if entries else {},
        add={VERSION: 1},
    )
    match table.update(record.key.item, change, when=record.unchanged):  # O1: as it was read.
        case Written():
            return Appended()
        case Refused():
            return Changed()


def refuse_carried(table: Table, record: Record, refused: Mapping[str, str], *, now: datetime) -> Appended | Changed:
    """Take messages that a rule refuses now off what an open record has unanswered, and mark their entries.

    Args:
        table: the conversations table.
        record: as read, open, with its entries.
        refused: codes by message id, all of them unanswered.
        now: the current instant.
    """
    assert not record.is_locked, "only the holder of the lock ends messages of its batch"
    left = [one for one in record.unanswered_ids if one not in refused]
    marks, stand = marking(record, {one: {"refused": code} for one, code in refused.items()})
    ended = (STALL_RESETS, *((STARTED_AT, LOCK_SHARD) if record.watched_since is not None else ()))
    change = Change(
        set={LAST_ACTIVITY_AT: iso(now), UNANSWERED_IDS: left},
        mark={MESSAGES: marks} if marks else {},
        add={VERSION: 1},
        remove=() if left else ended,
    )
    match table.update(record.key.item, change, when=record.unchanged & stand):  # L4: open, and as it was read.
        case Written():
            return Appended()
        case Refused():
            return Changed()


def remove_moved(table: Table, record: Record, *, count: int, now: datetime) -> Appended | Changed:
    """Take the first `count` entries off the record, which the history holds already.

    The last of them must stand where it was read: the company may have taken some off the front meanwhile, and what
    follows is in no history. The answers of the last hour among them stay known.
    """
    leaving = (record.entries or ())[:count]
    answers = recent_answers(replace(record, entries=leaving), now=now)
    change = Change(
        set={MOVED_BEFORE: iso(now), **({MOVED_ANSWERS: answers} if answers else {})},
        add={VERSION: 1},
        remove=() if answers or not record.moved_answers else (MOVED_ANSWERS,),
        remove_first={MESSAGES: count},
    )
    last = Attr(MESSAGES).has_at(count - 1, leaving[-1])  # H2: named, not counted.
    match table.update(record.key.item, change, when=record.unchanged & last):
        case Written():
            return Appended()
        case Refused():
            return Changed()


def people_claim(token: str, now: datetime) -> dict[str, str]:
    """What claims a batch for people."""
    return {CLAIM: PEOPLE, CLAIMED_AT: iso(now), CLAIM_TOKEN: token, CLAIM_END: ClaimEnd.PEOPLE.value}


def held_by(batch_id: str) -> Condition:
    """The record is locked for this batch."""
    return Attr(STATUS).eq(Status.PROCESSING.value) & Attr(BATCH_ID).eq(batch_id)


def _is_held_by(item: Item, batch_id: str) -> bool:
    return item.get(STATUS) == Status.PROCESSING and item.get(BATCH_ID) == batch_id


def opened(
    status: Status,
    *,
    answered: bool,
    now: datetime,
    append: Sequence[Entry] = (),
    also: Mapping[str, Any] = MappingProxyType({}),
) -> Change:
    """What every end of a lock writes; L6: an open record has no lock's start and no trigger.

    Args:
        status: the record's status from here on.
        answered: whether what was unanswered counts as answered.
        now: the current instant.
        append: entries to append.
        also: further attributes to set.
    """
    ended = {UNANSWERED_IDS: [], COMPLETED_AT: iso(now)} if answered else {}
    written = {STATUS: status.value, LAST_ACTIVITY_AT: iso(now), **ended, **also}
    removed = (STARTED_AT, TRIGGER_ID, LOCK_SHARD, *CLAIM_ATTRIBUTES, *((STALL_RESETS,) if answered else ()))
    return Change(
        set=written,
        append={MESSAGES: append} if append else {},
        add={VERSION: 1},
        remove=tuple(name for name in removed if name not in written),
    )


def kept_resets(count: int) -> dict[str, int]:
    """What an answer writes of the locks that stalled in a row; nothing: it removes the count."""
    return {STALL_RESETS: count} if count else {}


def given_up(reply_id: str, error_code: str, key: ConversationKey, *, shards: int, now: datetime) -> Change:
    """What the end of a stalled reply writes: answered with unknown outcome, and watched until it is reported (L8)."""
    also = {LAST_REPLY_ID: reply_id, ERROR_CODE: error_code, **_watched(key, shards, now)}
    return opened(Status.ERROR, answered=True, now=now, also=also)


def marking(record: Record, marks: Mapping[str, Mapping[str, Any]]) -> tuple[dict[int, Mapping[str, Any]], Condition]:
    """Marks on entries of the record as positions, and the condition that those entries stand there still.

    Args:
        record: as read, with its entries.
        marks: what to set, by message id; ids without an entry are left out.
    """
    here = [one for one in marks if one in record.entry_ids][:MARKS_MAX]
    positions = {record.position(one): one for one in here}
    stand: Condition = Attr(VERSION).stays(record.version)
    for at, one in positions.items():
        stand &= Attr(MESSAGES).has_at(at, one, name=MESSAGE_ID)
    return {at: marks[one] for at, one in positions.items()}, stand


def _last_user_message(entries: Sequence[Entry]) -> dict[str, str]:
    inbound = [entry["timestamp"] for entry in entries if entry["direction"] == "INBOUND"]
    return {LAST_USER_MESSAGE_AT: inbound[-1]} if inbound else {}


def lock_shard(key: ConversationKey, shards: int) -> str:
    """The hash key of a conversation's row in the sparse index of locked conversations."""
    return str(crc32(key.conversation_id.encode()) % shards)


def watched_shard(shard: int) -> str:
    """The hash key under which the same index has watched, open records (L8)."""
    return f"{WATCHED}{shard}"


def _watched(key: ConversationKey, shards: int, now: datetime) -> dict[str, str]:
    return {LOCK_SHARD: f"{WATCHED}{lock_shard(key, shards)}", STARTED_AT: iso(now)}
