"""The conversation lock: at most one batch is with the AI per conversation.

    open --e: acquire--> processing --claim, release: see reply_claim--> open
                          |   |  ^
                          |   |  `-- g: refresh, for the same trigger came again and resumes
                          |   `----- f: reset, for the lock stalled (processing_timeout)
                          `--------- h: abandon, for nothing was dispatched and nothing is carried (processing_error)

The fencing token is `batch_id`, fresh for each acquisition. Every write under the lock names it as a condition, and the
lock, the append and the list of what is unanswered change in one update: there is no state "locked but not appended".

Guarantees
    L1  Of several triggers that read the same record, one acquires: the update holds only while the record stands as
        it was read, and an open one at that.
    L2  A stale holder is refused: refresh, release, reset and abandon name the batch that they mean.
    L3  A batch is `unanswered_ids` at the moment of acquisition: what an earlier batch left unanswered is carried into
        it and is not appended again.
    L4  `unanswered_ids` shrinks only under the token that set it, or by a write to an open record that stands as read.
    L5  A reset lets go of a lock only as old as it was seen to be: a refresh in between keeps it.
    L6  An open record tells no start and no trigger, so that a lock set by another system is never taken for an old one
        of ours, and none of ours is ever resumed by a trigger of the past.
    L7  Before messages of the stage go to people the record is written to, while it is open and stands as it was read:
        whoever read it before, and would take them for the AI, is refused from there on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zlib import crc32

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr, Change, Condition, Item, Refused, Table, Written
from chalicelib.protocol.record import (
    BATCH_ID,
    CLAIM,
    CLAIM_TOKEN,
    CLAIMED_AT,
    ERROR_CODE,
    LAST_ACTIVITY_AT,
    LAST_USER_MESSAGE_AT,
    LOCK_SHARD,
    MESSAGES,
    MOVED_BEFORE,
    STARTED_AT,
    STATUS,
    TRIGGER_ID,
    UNANSWERED_IDS,
    VERSION,
    ConversationKey,
    Record,
    Status,
)

Entry = Mapping[str, Any]
"""One element of `messages`."""

CLAIM_ATTRIBUTES = (CLAIM, CLAIMED_AT, CLAIM_TOKEN, ERROR_CODE)
"""What a reply leaves on the record, and the next lock takes off."""


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
    """The stalled lock is let go of."""


@dataclass(frozen=True)
class Claimed:
    """A reply has claimed the lock; nothing was written."""

    reply_id: str


@dataclass(frozen=True, repr=False)
class Unmet:
    """The lock stands as it was seen and nobody claimed it, but the caller's own condition does not hold of the row."""

    item: Item


@dataclass(frozen=True)
class Appended:
    """The entries are in the record."""


def acquire(
    table: Table,
    record: Record,
    *,
    batch_id: str,
    trigger_id: str,
    entries: Sequence[Entry],
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
        shards: over how many hash keys the sparse index of locked conversations is spread.
        now: the current instant.
    """
    assert not record.is_locked, "only an open record is acquired"
    carried = [entry["message_id"] for entry in record.unanswered]
    unanswered = [*carried, *(entry["message_id"] for entry in entries)]  # L3
    change = Change(
        set={
            STATUS: Status.PROCESSING.value,
            BATCH_ID: batch_id,
            STARTED_AT: iso(now),
            TRIGGER_ID: trigger_id,
            UNANSWERED_IDS: unanswered,
            LOCK_SHARD: lock_shard(record.key, shards),
            LAST_ACTIVITY_AT: iso(now),
            **_last_user_message(entries),
        },
        append={MESSAGES: entries} if entries else {},
        add={VERSION: 1},
        remove=CLAIM_ATTRIBUTES,
    )
    match table.update(record.key.item, change, when=record.unchanged):  # L1: as read, and it was open.
        case Written(item):
            return Lease(batch_id, item)
        case Refused(item) if item.get(BATCH_ID) == batch_id:
            return Lease(batch_id, item)  # our own write, applied on a try whose answer was lost
        case Refused():
            return Changed()


def refresh(table: Table, record: Record, *, now: datetime) -> Lease | Lost:
    """Start the clock of a held lock anew, for the trigger that took it has come again and resumes."""
    batch_id = record.batch_id
    assert batch_id is not None, "a lock of ours names its batch"
    change = Change(set={STARTED_AT: iso(now)}, add={VERSION: 1})
    match table.update(record.key.item, change, when=held_by(batch_id)):  # L2: a stale holder is refused.
        case Written(item):
            return Lease(batch_id, item)
        case Refused(item) if _is_held_by(item, batch_id) and item.get(STARTED_AT) == iso(now):
            return Lease(batch_id, item)  # our own write, applied on a try whose answer was lost
        case Refused():
            return Lost()


def stamp(table: Table, record: Record, *, shards: int, now: datetime) -> None:
    """Let a lock that another system set without a start begin now, so that it can stall and the sweep finds it."""
    table.update(
        record.key.item,
        Change(set={STARTED_AT: iso(now), LOCK_SHARD: lock_shard(record.key, shards)}, add={VERSION: 1}),
        when=Attr(STATUS).eq(Status.PROCESSING.value) & Attr(STARTED_AT).missing(),
    )


def reset(
    table: Table,
    key: ConversationKey,
    *,
    batch_id: str | None,
    started_at: str,
    answered: bool,
    now: datetime,
    only_if: Condition | None = None,
) -> Reset | Claimed | Unmet | Lost:
    """Let go of a stalled lock that no reply has claimed.

    Args:
        table: the conversations table.
        key: the conversation.
        batch_id: the lock's batch as seen; None for a lock that another system set.
        started_at: the lock's start as seen, as the row spells it.
        answered: whether the batch counts as answered, because people have it; else it is carried into the next.
        now: the current instant.
        only_if: what else must hold of the row; None: nothing.
    """
    is_as_seen = (
        Attr(STATUS).eq(Status.PROCESSING.value)
        & Attr(BATCH_ID).stays(batch_id)  # L2: the batch that we mean,
        & Attr(STARTED_AT).eq(started_at)  # L5: and no younger than it was seen to be.
    )
    change = opened(Status.TIMEOUT, answered=answered, now=now)
    if only_if is not None:
        is_as_seen &= only_if
    match table.update(key.item, change, when=is_as_seen & Attr(CLAIM).missing()):
        case Written():
            return Reset()
        case Refused(item) if CLAIM in item and (item.get(BATCH_ID), item.get(STARTED_AT)) == (batch_id, started_at):
            return Claimed(item[CLAIM])
        case Refused(item) if item.get(STATUS) == Status.TIMEOUT and item.get(BATCH_ID) == batch_id:
            return Reset()  # our own write whose answer was lost, or another sweep's: the same to us
        case Refused(item) if item.get(STATUS) == Status.PROCESSING and (item.get(BATCH_ID), item.get(STARTED_AT)) == (
            batch_id,
            started_at,
        ):
            return Unmet(item)
        case Refused():
            return Lost()


def tidy(table: Table, key: ConversationKey, *, batch_id: str | None, started_at: str) -> None:
    """Take off what a lock left behind that another system opened by writing a status of its own (L6)."""
    table.update(
        key.item,
        Change(add={VERSION: 1}, remove=(STARTED_AT, TRIGGER_ID, LOCK_SHARD)),
        when=Attr(STATUS).ne(Status.PROCESSING.value)
        & Attr(BATCH_ID).stays(batch_id)
        & Attr(STARTED_AT).eq(started_at)
        & Attr(CLAIM).missing(),
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
    ended_ids: Collection[str],
    to_people: bool,
    now: datetime,
    marks: Mapping[str, Any] = MappingProxyType({}),
) -> Appended | Changed:
    """Append messages that no batch takes, and take `ended_ids` off what is unanswered, in one update.

    The lock is left as it is.

    Args:
        table: the conversations table.
        record: as read, with its entries.
        entries: the messages to append; the caller has left out those that are in the record.
        ended_ids: ids that are no longer unanswered; must be empty while the record is locked.
        to_people: the messages were handed off; an open record's status then tells that the customer wrote.
        now: the current instant.
        marks: of opt-out, as `opt_outs.py` computes them from this very record.
    """
    assert not (record.is_locked and ended_ids), "only the holder of the lock ends messages of its batch"
    left = [one for one in record.unanswered_ids if one not in ended_ids]
    change = Change(
        set={
            LAST_ACTIVITY_AT: iso(now),
            **({STATUS: Status.USER_REPLY_RECEIVED.value} if to_people and not record.is_locked else {}),
            **({UNANSWERED_IDS: left} if ended_ids else {}),
            **marks,
            **_last_user_message(entries),
        },
        append={MESSAGES: entries} if entries else {},
        add={VERSION: 1},
    )
    match table.update(record.key.item, change, when=record.unchanged):  # L4, O1: open, and as it was read.
        case Written():
            return Appended()
        case Refused():
            return Changed()


def reserve(table: Table, record: Record) -> Record | Changed:
    """Raise the version of an open record that stands as it was read, and nothing else; the record as it is then."""
    assert not record.is_locked, "a locked record is its holder's"
    match table.update(record.key.item, Change(add={VERSION: 1}), when=record.unchanged):  # L7: of two, one goes on.
        case Written(item):
            return Record.from_item(item)
        case Refused():
            return Changed()


def remove_moved(table: Table, record: Record, *, count: int, now: datetime) -> Appended | Changed:
    """Take the first `count` entries off the record, which the history holds already."""
    change = Change(set={MOVED_BEFORE: iso(now)}, add={VERSION: 1}, remove_first={MESSAGES: count})
    match table.update(record.key.item, change, when=record.unchanged):
        case Written():
            return Appended()
        case Refused():
            return Changed()


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
    """What every end of a lock writes; L6: an open record tells no start and no trigger.

    Args:
        status: the record's status from here on.
        answered: whether what was unanswered counts as answered.
        now: the current instant.
        append: entries to append.
        also: further attributes to set.
    """
    written = {STATUS: status.value, LAST_ACTIVITY_AT: iso(now), **({UNANSWERED_IDS: []} if answered else {}), **also}
    removed = (STARTED_AT, TRIGGER_ID, LOCK_SHARD, *CLAIM_ATTRIBUTES)
    return Change(
        set=written,
        append={MESSAGES: append} if append else {},
        add={VERSION: 1},
        remove=tuple(name for name in removed if name not in written),
    )


def _last_user_message(entries: Sequence[Entry]) -> dict[str, str]:
    inbound = [entry["timestamp"] for entry in entries if entry["direction"] == "INBOUND"]
    return {LAST_USER_MESSAGE_AT: inbound[-1]} if inbound else {}


def lock_shard(key: ConversationKey, shards: int) -> str:
    """The hash key of a conversation's row in the sparse index of locked conversations."""
    return str(crc32(key.conversation_id.encode()) % shards)
