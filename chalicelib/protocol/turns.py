"""The AI's turn beside its reply: it takes more time, ends without a reply, or the customer is told that it lasts.

    processing --H: extend--> processing, and the lock is young again
    processing --I: end without reply--> open (ai_no_reply)

Guarantees
    A1  A turn is extended only while its batch holds the lock and nobody has claimed it. The write raises no version,
        so it disturbs no claim and no acquisition that is under way. A reset of the lock sees its new start (L5).
    A2  A turn ends without a reply only as a reply would claim it: the record stands as read, names the batch, has
        something unanswered and no claim, and the company still routes to the AI.
    A3  The customer is told once per answered batch that an answer is being written: by whoever sets the mark, which
        stays as long as something is carried. The write raises no version, as that of A1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr, Change, Condition, Refused, Table, Written
from chalicelib.protocol.claim_changes import Released, is_free
from chalicelib.protocol.lock_changes import Changed, held_by, kept_resets, opened
from chalicelib.protocol.record import (
    BATCH_ID,
    CLAIM,
    LAST_REPLY_ID,
    NOTICE_AT,
    STARTED_AT,
    STATUS,
    TURN_EFFECTS,
    UNANSWERED_IDS,
    Record,
    Status,
)


@dataclass(frozen=True)
class Extended:
    """The lock is as young as if it had just been taken."""


def extend(table: Table, record: Record, *, effects: bool, now: datetime) -> Extended | Changed:
    """Start the clock of the lock anew, for the AI is still at work.

    Args:
        table: the conversations table.
        record: as read: locked for the AI's batch, and not claimed.
        effects: whether the AI has done something that must not be done twice.
        now: the current instant.
    """
    batch_id = record.batch_id
    assert batch_id is not None, "a turn has a batch"
    change = Change(set={STARTED_AT: iso(now), **({TURN_EFFECTS: True} if effects else {})})
    when = held_by(batch_id) & Attr(CLAIM).missing()  # A1
    return Extended() if isinstance(table.update(record.key.item, change, when=when), Written) else Changed()


def end_without_reply(
    table: Table, record: Record, *, reply_id: str, routing_stands: Condition, stall_resets: int, now: datetime
) -> Released | Changed:
    """Open a conversation whose batch the AI has nothing to say to: it counts as answered.

    Args:
        table: the conversations table.
        record: as read.
        reply_id: of the message that says so, by which it is known when it comes again.
        routing_stands: the company still routes as it was read.
        stall_resets: what the end leaves of the locks that stalled in a row.
        now: the current instant.
    """
    also = {LAST_REPLY_ID: reply_id, **kept_resets(stall_resets)}
    change = opened(Status.NO_REPLY, answered=True, now=now, also=also)
    match table.update(record.key.item, change, when=is_free(record) & routing_stands):  # A2
        case Written():
            return Released()
        case Refused(item) if (item.get(STATUS), item.get(LAST_REPLY_ID)) == (Status.NO_REPLY, reply_id) and (
            not item.get(UNANSWERED_IDS)
        ):
            return Released()  # our own write, applied on a try whose answer was lost
        case Refused():
            return Changed()


def note_notice(table: Table, record: Record, *, now: datetime) -> bool:
    """Mark that the customer is told that an answer is being written; whether it is the caller who tells them.

    Args:
        table: the conversations table.
        record: as read, locked.
        now: the current instant.
    """
    is_first = Attr(BATCH_ID).stays(record.batch_id) & Attr(NOTICE_AT).missing()  # A3
    when = Attr(STATUS).eq(Status.PROCESSING.value) & is_first
    return isinstance(table.update(record.key.item, Change(set={NOTICE_AT: iso(now)}), when=when), Written)
