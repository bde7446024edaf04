"""What the claims of a reply and of people have in common: their results, their condition, and what each writes.

Guarantee: a claim whose answer was lost is recognised by its token, and is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr, Change, Condition, Item, Refused, Table, Written
from chalicelib.protocol.lock_changes import (
    Changed,
    lock_shard,
)
from chalicelib.protocol.record import (
    BATCH_ID,
    CLAIM,
    CLAIM_TOKEN,
    LOCK_SHARD,
    PRIMARY_CHANNEL,
    STARTED_AT,
    STATUS,
    VERSION,
    Record,
    Status,
)


@dataclass(frozen=True, repr=False)
class Claim:
    """The reply is ours to send; `item` is the row as the claim's write left it."""

    item: Item

    @classmethod
    def write(cls, table: Table, record: Record, change: Change, when: Condition, token: str) -> Claim | Changed:
        """Write a claim; one that this token has written already is ours."""
        match table.update(record.key.item, change, read_back=True, when=when):
            case Written(item):
                return cls(item)
            case Refused(item) if item.get(CLAIM_TOKEN) == token:
                return cls(item)  # our own write, applied on a try whose answer was lost
            case Refused():
                return Changed()


@dataclass(frozen=True)
class Released:
    """The reply has ended and the conversation is open."""


def is_free(record: Record) -> Condition:
    """The record stands as read, names its batch, and nobody has claimed that."""
    return (
        Attr(BATCH_ID).stays(record.batch_id)
        & Attr(STATUS).stays(record.status)
        & Attr(VERSION).stays(record.version)  # R1: each write of ours raises it, an opt-out's too.
        & Attr(CLAIM).missing()
        & Attr(PRIMARY_CHANNEL).exists()
    )


def locking(
    told: Mapping[str, Any],
    record: Record,
    shards: int,
    now: datetime,
    *,
    removed: tuple[str, ...],
    keeps_start: bool = False,
) -> Change:
    """What every claim writes: the lock is taken, again where it was reset; it starts now, or keeps its start."""
    lock = {STATUS: Status.PROCESSING.value, LOCK_SHARD: lock_shard(record.key, shards)}
    start = {} if keeps_start else {STARTED_AT: iso(now)}
    return Change(set={**lock, **start, **told}, add={VERSION: 1}, remove=removed)
