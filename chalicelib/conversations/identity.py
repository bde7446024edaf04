"""The identity of a message: one per company, in every conversation of the pair of addresses.

Between a webhook and its retry the company may have opened a newer conversation of the same two addresses. While that
conversation is younger than the horizon, the pair's older conversations are read too, including finished ones. A
message that is in one of them is a duplicate, and so is a replayed request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.clock import from_iso
from chalicelib.ports.tables import Read, Tables
from chalicelib.protocol import history, staging
from chalicelib.protocol.entries import entry_id
from chalicelib.protocol.record import MESSAGES, ConversationKey
from chalicelib.protocol.staging import StagedMessage

OLDER_MAX = 33
"""Older conversations of a pair that are asked: as many as one read takes, three rows each."""


@dataclass(frozen=True, repr=False)
class Known:
    """An older conversation of the pair has the message; `staged` is its row, where it is staged there still."""

    staged: StagedMessage | None


def needs_a_look(created_at: str, *, now: datetime, horizon_hours: int) -> bool:
    """Whether a conversation is so young that a message may have been found in an older one of the pair; pure.

    One whose creation cannot be read counts as young.
    """
    try:
        return now - from_iso(created_at) < timedelta(hours=horizon_hours)
    except ValueError:
        return True


def look_elsewhere(tables: Tables, older: Sequence[ConversationKey], message_sid: str) -> Known | None:
    """Whether an older conversation of the pair has a message: staged, on its record or in its history.

    Raises:
        TryAgain, Misconfigured: they could not be read; nothing is staged, and the provider comes again.
    """
    reads: list[Read] = []
    for key in older[:OLDER_MAX]:
        reads += [
            Read(tables.conversations, key.item, (MESSAGES,)),
            *history.reads(tables.history, key, [message_sid]),
            staging.reading(tables.stage, key, message_sid),
        ]
    rows = tables.conversations.get_together(reads) if reads else []
    is_known = False
    for key, record, moved, row in zip(older, rows[::3], rows[1::3], rows[2::3], strict=False):
        if row is not None and (staged := StagedMessage.from_item(row)).conversation == key:
            return Known(staged)
        entries = record.get(MESSAGES) if record is not None else None
        is_entry = isinstance(entries, list) and any(entry_id(one) == message_sid for one in entries)
        is_known |= is_entry or message_sid in history.found([moved], key)
    return Known(None) if is_known else None
