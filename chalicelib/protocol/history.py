"""The history: entries moved off the record, so that the cost of a message does not grow with the conversation.

    on the record --r: move--> on both --s: remove moved--> in the history

Guarantees
    H1  An entry is in the history before it leaves the record. A crash in between leaves it on both, and the next move
        writes the same row again.
    H2  Only answered entries leave, from the front of the list. The record must stand as it was read, and the last of
        them where it was read: entries leave by name, not by number.
    H3  A message that ever was an entry is found: on the record, or in the history read after the record was read or
        after it was last moved. The one exception: another customer's conversation of the same id had a message of
        the same id first. Providers give no id twice, so that takes two e-mails whose senders chose one id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import accumulate, takewhile
from typing import Any

from chalicelib.clock import from_iso, iso
from chalicelib.ports.queues import encode
from chalicelib.ports.tables import Item, Read, Table
from chalicelib.protocol import record_writes
from chalicelib.protocol.entries import MESSAGE_ID, entry_id
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey, Record
from chalicelib.protocol.record_writes import Appended

MOVED_AT = "moved_at"
ENTRY = "entry"

ENTRIES_BYTES_MAX = 327_680
"""Bytes of entries up to which a record is filled by us, whatever it is to keep in the long run.

DynamoDB takes items of 409,600 bytes. A fifth of that, 81,920, is left: for the attributes of the company's own, which
we do not read; for the ids of what is unanswered; and for the entries that cannot wait - a reply, a customer's STOP, a
message for people. `MESSAGES_BYTES_MAX` is 262,144 at most, so that a batch finds 65,536 even on a record that keeps as
much as it may."""

_OTHERS = object()
"""The entry of another conversation of the same id: like none of ours."""

MOVED_AT_ONCE_MAX = 100
"""Entries that one move takes; a long record that we find is brought down over several batches."""


@dataclass(frozen=True)
class Bounds:
    """How much a record keeps."""

    entries_keep: int
    """0: nothing is ever moved."""
    bytes_max: int
    young_hours: int
    """What is younger stays, where the bytes allow."""

    @property
    def entries_max(self) -> int:
        """The length at which a record has outgrown: a quarter above, so that a move is rare."""
        return self.entries_keep + self.entries_keep // 4


def room_bytes(record: Record) -> int:
    """How many bytes of further entries the record is filled with at most; less than nothing: it is overfull."""
    return ENTRIES_BYTES_MAX - sum(record.entry_sizes)


def movable_count(record: Record, bounds: Bounds, *, now: datetime) -> int:
    """How many entries, from the front of the record's list, are to be moved; 0: it has not outgrown its bounds."""
    entries = record.entries or ()
    if not bounds.entries_keep:
        return 0
    sizes = record.entry_sizes
    count = 0
    if len(entries) > bounds.entries_max:
        before = now - timedelta(hours=bounds.young_hours)
        surplus = entries[: len(entries) - bounds.entries_keep]
        count = len(list(takewhile(lambda one: _is_older(one, before), surplus)))
    if sum(sizes) > bounds.bytes_max:
        excess = sum(sizes) - bounds.bytes_max * 3 // 4
        count = max(count, 1 + len(list(takewhile(lambda taken: taken < excess, accumulate(sizes)))))
    waiting = frozenset(record.unanswered_ids)
    answered = takewhile(lambda one: entry_id(one) not in waiting, entries)  # H2: only answered ones.
    return min(count, len(list(answered)), MOVED_AT_ONCE_MAX)


def move(conversations: Table, history: Table, record: Record, count: int, *, now: datetime) -> bool:
    """Move the first `count` entries to the history; False: the record changed meanwhile, and keeps them."""
    leaving = (record.entries or ())[:count]
    ids = list(dict.fromkeys(filter(None, map(entry_id, leaving))))
    known = (MESSAGE_ID, PRIMARY_CHANNEL, ENTRY)
    there = history.get_together([Read(history, _key(record.key, one), known) for one in ids])
    rows = _rows(record.key, leaving, [row for row in there if row is not None], now)
    history.put_many(rows)  # H1: there before they leave here.
    return isinstance(record_writes.remove_moved(conversations, record, count=count, now=now), Appended)


def trim(conversations: Table, history: Table, record: Record, bounds: Bounds, *, now: datetime) -> int:
    """Move old entries off a record that has outgrown its bounds; how many there were to move."""
    count = movable_count(record, bounds, now=now)
    if count:
        move(conversations, history, record, count, now=now)
    return count


def reads(history: Table, conversation: ConversationKey, message_ids: Sequence[str]) -> list[Read]:
    """The reads that tell which of these messages the history holds."""
    return [Read(history, _key(conversation, one), (MESSAGE_ID, PRIMARY_CHANNEL)) for one in message_ids]


def found(rows: Sequence[Item | None], conversation: ConversationKey) -> frozenset[str]:
    """The message ids that such reads found; other conversations may have the same id, and entries of the same ids."""
    return frozenset(row[MESSAGE_ID] for row in rows if row is not None and _is_of(row, conversation))


def _is_older(one: object, before: datetime) -> bool:
    """Whether an entry is from before an instant; one without a readable time counts as old."""
    try:
        return from_iso(one["timestamp"]) < before if isinstance(one, Mapping) else True
    except (KeyError, TypeError, ValueError):
        return True


def _key(conversation: ConversationKey, message_id: str) -> dict[str, str]:
    return {CONVERSATION_ID: conversation.conversation_id, MESSAGE_ID: message_id}


def _is_of(row: Item, conversation: ConversationKey) -> bool:
    """Whether a row is the conversation's, and not that of another with the same id; one that does not say so is."""
    return bool(row.get(PRIMARY_CHANNEL, conversation.primary_channel) == conversation.primary_channel)


def _rows(key: ConversationKey, entries: Sequence[Any], there: Sequence[Item], now: datetime) -> list[Item]:
    """One row per entry; the same entry makes the same row, however often it is moved.

    Where several entries have one id, of this conversation or of another of the same id, or none, only the first bears
    it as its row's; `there` are the rows that stand already.
    """
    rows: dict[str, Item] = {}
    taken = {row[MESSAGE_ID]: row[ENTRY] if _is_of(row, key) else _OTHERS for row in there}
    for one in entries:
        own_id = entry_id(one)
        is_own = own_id is not None and taken.setdefault(own_id, one) == one
        unnamed = encode({key.primary_channel: one}).encode()
        row_id = own_id if is_own and own_id else f"moved-{sha256(unnamed).hexdigest()}"
        rows[row_id] = {**_key(key, row_id), PRIMARY_CHANNEL: key.primary_channel, MOVED_AT: iso(now), ENTRY: one}
    return list(rows.values())
