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
    L5  A reset opens a lock only as old as it was seen to be, and as it was seen to be claimed: a refresh or a claim in
        between keeps it. The claim of an interim message goes with the lock; every other claim keeps it.
    L6  An open record has no lock's start and no trigger. So a lock set by another system is never taken for an old one
        of ours, and no past trigger ever resumes a lock of ours.
    L7  People get a batch only under a claim in their name, which acquisition sets in the same update. From then on, a
        process that read the record before and would take its messages for the AI is refused.
    L8  An open record whose batch was never answered, and one whose end was not reported, stays in the index of the
        sweep, under a shard of its own kind, until another lock, an answer or a report takes it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr, Change, Item, Refused, Table, Written
from chalicelib.protocol.entries import MESSAGE_ID
from chalicelib.protocol.lock_changes import (
    CLAIM_ATTRIBUTES,
    Changed,
    Entry,
    Lost,
    held_by,
    last_user_message,
    lock_shard,
    opened,
    people_claim,
    watching,
)
from chalicelib.protocol.record import (
    BATCH_ID,
    CLAIM_TOKEN,
    LAST_ACTIVITY_AT,
    LOCK_SHARD,
    MESSAGES,
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
    ClaimEnd,
    ConversationKey,
    Record,
    Status,
)

_TURN_ATTRIBUTES = (PASSED_REPLY_ID, TURN_EFFECTS)
"""What belongs to the batch before: the next one removes it."""


@dataclass(frozen=True, repr=False)
class Lease:
    """The conversation is locked for a batch; `item` is the row as the lock's write left it."""

    batch_id: str
    item: Item


@dataclass(frozen=True)
class Reset:
    """The stalled lock is open."""


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
    match table.update(record.key.item, change, read_back=True, when=record.unchanged):  # L1: as read, and it was open.
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
            **last_user_message(entries),
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
    match table.update(record.key.item, change, read_back=True, when=record.unchanged):  # L2: no stale holder.
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
    watched = watching(record.key, shards, now) if record.unanswered_ids else {}
    removed = (STARTED_AT, TRIGGER_ID, LOCK_SHARD, *CLAIM_ATTRIBUTES)
    change = Change(
        set={**({STATUS: Status.TIMEOUT.value} if is_ours else {}), LAST_ACTIVITY_AT: iso(now), **watched},
        add={VERSION: 1, STALL_RESETS: 1},
        remove=tuple(name for name in removed if name not in watched),
    )
    is_as_seen = (
        Attr(STATUS).stays(record.status)
        & Attr(BATCH_ID).stays(record.batch_id)  # L2: the batch that we mean,
        & Attr(STARTED_AT).eq(record.started_at)  # L5: no younger than seen,
        & Attr(CLAIM_TOKEN).stays(record.claim_token)  # L5: and no reply has claimed it since.
    )
    match table.update(record.key.item, change, when=is_as_seen):
        case Written():
            return Reset()
        case Refused(item) if is_ours and (item.get(STATUS), item.get(BATCH_ID)) == (Status.TIMEOUT, record.batch_id):
            return Reset()  # our own write whose answer was lost, or another sweep's: the same to us
        case Refused():
            return Lost()


def abandon(table: Table, lease: Lease, key: ConversationKey, *, now: datetime) -> None:
    """The emergency unlock: nothing was dispatched, and what the lock appended is carried into the next batch.

    The caller holds: no dispatch of this lease was tried, and the lease carries nothing of an earlier batch.
    """
    table.update(
        key.item,
        opened(Status.ERROR, answered=False, now=now),
        when=held_by(lease.batch_id) & Attr(STARTED_AT).eq(lease.item[STARTED_AT]),  # L2: nobody resumed it meanwhile.
    )


def _is_held_by(item: Item, batch_id: str) -> bool:
    return item.get(STATUS) == Status.PROCESSING and item.get(BATCH_ID) == batch_id
