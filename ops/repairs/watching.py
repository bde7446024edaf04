"""Watching: unanswered messages that an earlier version left at rest become the sweep's.

That version opened a stalled lock and kept no index of it: its batch waited for the customer's next message. The sweep
of today has every watched batch dispatched once more. A record that changes meanwhile is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr
from chalicelib.protocol import record_writes
from chalicelib.protocol.record import CLAIM, LAST_ACTIVITY_AT, STARTED_AT, UNANSWERED_IDS, Record
from chalicelib.wiring import Engine
from ops.tenants.rows import every_row


def find(engine: Engine, since: datetime) -> list[Record]:
    """The open records with an unanswered batch that no index has, and that changed since; reads every record."""
    is_at_rest = (
        Attr(UNANSWERED_IDS).exists()
        & Attr(STARTED_AT).missing()
        & Attr(CLAIM).missing()
        & Attr(LAST_ACTIVITY_AT).gt(iso(since))
    )
    records = map(Record.from_item, every_row(engine.tables.conversations, keep=is_at_rest))
    return [record for record in records if record.unanswered and not record.is_locked]


def watch(engine: Engine, records: Sequence[Record]) -> int:
    """Watch these records; how many still stood as they were read."""
    table, shards, clock = engine.tables.conversations, engine.settings.lock_index_shards, engine.clock
    return sum(record_writes.watch(table, one, shards=shards, now=clock.now()) for one in records)
