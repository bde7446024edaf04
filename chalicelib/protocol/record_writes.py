"""Writes to a record that neither take a lock nor end one: messages that no batch takes, and the sweep's watch.

Guarantee: each holds only while the record stands as it was read. These are the transitions u, v and w of
`conversation_lock.py`, and the removal of entries that are in the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr, Change, Refused, Table, Written
from chalicelib.protocol.answers import recent_answers
from chalicelib.protocol.lock_changes import (
    Changed,
    Entry,
    last_user_message,
    marking,
    watching,
)
from chalicelib.protocol.record import (
    CLAIM,
    LAST_ACTIVITY_AT,
    LOCK_SHARD,
    MESSAGES,
    MOVED_ANSWERS,
    MOVED_BEFORE,
    STALL_RESETS,
    STARTED_AT,
    UNANSWERED_IDS,
    VERSION,
    Record,
)


@dataclass(frozen=True)
class Appended:
    """The entries are in the record, or what was carried is marked there."""


def watch(table: Table, record: Record, *, shards: int, now: datetime) -> bool:
    """Put an open record whose batch was never answered into the sweep's index; whether this did it.

    A version before the watch opened stalled locks without it.
    """
    assert not record.is_locked, "a lock is in the index already"
    change = Change(set=watching(record.key, shards, now), add={VERSION: 1})
    is_at_rest = record.unchanged & Attr(STARTED_AT).missing() & Attr(CLAIM).missing()
    return isinstance(table.update(record.key.item, change, when=is_at_rest), Written)  # L8


def unwatch(table: Table, record: Record) -> None:
    """Take an open record out of the sweep's index: its end is reported, or nothing of it is unanswered (L8)."""
    table.update(
        record.key.item,
        Change(add={VERSION: 1}, remove=(STARTED_AT, LOCK_SHARD)),
        when=record.unchanged,
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
            **last_user_message(entries),
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
    change = Change(
        set={LAST_ACTIVITY_AT: iso(now), UNANSWERED_IDS: left},
        mark={MESSAGES: marks} if marks else {},
        add={VERSION: 1},
        remove=() if left else (STALL_RESETS, STARTED_AT, LOCK_SHARD),  # nothing is left to watch
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
