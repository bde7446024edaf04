"""The restart: a running batch of the AI is replaced by a larger one that has the customer's second thoughts too.

    processing --N: restart--> processing, under a fresh batch that has all messages of the one before

The batch before is superseded: whatever the AI says to it is stale, because the record names another batch.

Guarantees
    N1  A restart loses nothing and takes nothing twice: it holds only while the record stands as it was read, and the
        fresh batch is all that is unanswered, and the new messages.
    N2  A restart takes the lock only from the AI. A reply that has claimed the batch, a turn with effects, and a lock
        that is not of a trigger of ours keep it.
    N3  A message is restarted `RESTARTS_MAX` times at most. The record lists the superseded batches; an acquisition
        that carries messages keeps the list, and one that carries none removes it.
    N4  A restarted lock is never abandoned: it carries what an earlier batch left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.ports.tables import Attr, Refused, Table, Written
from chalicelib.protocol.conversation_lock import Lease, given_to_batch
from chalicelib.protocol.lock_changes import Changed, Entry
from chalicelib.protocol.record import BATCH_ID, CLAIM, TRIGGER_ID, TURN_EFFECTS, TURN_SUPERSEDES, Record, Status


def is_restartable(record: Record, *, restarts_max: int) -> bool:
    """Whether the record's batch is with the AI and may be replaced, for all that was read of it."""
    return (
        record.status == Status.PROCESSING
        and record.claim is None
        and record.trigger_id is not None
        and not record.has_turn_effects
        and bool(record.unanswered)
        and len(record.supersedes) < restarts_max  # N3
    )


def restart(
    table: Table,
    record: Record,
    *,
    batch_id: str,
    trigger_id: str,
    entries: Sequence[Entry],
    shards: int,
    now: datetime,
) -> Lease | Changed:
    """Replace the batch that is with the AI by one that has these new messages too, in one update.

    The caller holds: the record is restartable.

    Args:
        table: the conversations table.
        record: as read, locked, with its entries.
        batch_id: the fresh fencing token.
        trigger_id: of the trigger that restarts, and that alone may resume the lock from here on.
        entries: the messages that are not in the record yet, in order, each with its `message_id`.
        shards: of the sparse index.
        now: the current instant.
    """
    assert record.batch_id is not None, "a lock of ours names its batch"
    change = given_to_batch(record, batch_id=batch_id, trigger_id=trigger_id, entries=entries, shards=shards, now=now)
    change = replace(change, set={**change.set, TURN_SUPERSEDES: [*record.supersedes, record.batch_id]})  # N3
    is_with_ai = (
        Attr(TRIGGER_ID).stays(record.trigger_id)  # N2: of a trigger of ours,
        & Attr(CLAIM).missing()  # nobody's to end,
        & Attr(TURN_EFFECTS).missing()  # and free to be begun anew: a heartbeat that says otherwise raises no version.
    )
    match table.update(record.key.item, change, read_back=True, when=record.unchanged & is_with_ai):  # N1: as read.
        case Written(item):
            return Lease(batch_id, item)
        case Refused(item) if item.get(BATCH_ID) == batch_id:
            return Lease(batch_id, item)  # our own write, applied on a try whose answer was lost
        case Refused():
            return Changed()
