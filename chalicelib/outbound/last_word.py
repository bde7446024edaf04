"""Whether a reply that was not delivered is still the last word of its conversation; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.protocol import send_rows
from chalicelib.protocol.handoffs import RequestedBy
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.record import Record
from chalicelib.protocol.send_rows import SEND_ID, Part


@dataclass(frozen=True)
class LastWord:
    """Nothing was said since, and the conversation is open."""


@dataclass(frozen=True)
class Unsettled:
    """The reply is still being sent: too early to act."""


@dataclass(frozen=True)
class Claimed:
    """People are about to get the reply's batch."""


@dataclass(frozen=True)
class Passed:
    """People have the reply's batch, because it was not delivered."""


@dataclass(frozen=True)
class Past:
    """Something was said since, or people have the batch for another reason."""


Standing = LastWord | Unsettled | Claimed | Passed | Past


def standing(record: Record, part: Part) -> Standing:
    """How the reply that a part belongs to stands in its conversation.

    Args:
        record: as read, with its entries.
        part: any part of the reply, or the second send of one.
    """
    if part.batch_id is None:
        return LastWord() if _is_last_entry(record, part) else Past()  # a reply of people has no end on the record
    if record.batch_id != part.batch_id:
        return Past()
    if record.claim == part.reply_id:
        return Unsettled()
    if record.passed_reply_id == part.reply_id:
        return _after_passing(record)
    is_last = record.last_reply_id == part.reply_id and _is_last_entry(record, part)
    return LastWord() if is_last else Past()


def _after_passing(record: Record) -> Standing:
    if record.claim == PEOPLE:
        return Claimed()
    is_over = record.claim is not None or bool(record.unanswered_ids)
    return Passed() if record.handed_off_by == RequestedBy.UNDELIVERED and not is_over else Past()


def _is_last_entry(record: Record, part: Part) -> bool:
    """Whether nothing is unanswered or being answered, and the reply is the last of what was said."""
    if record.claim is not None or record.unanswered_ids or not record.entries:
        return False
    last = record.entries[-1]
    return isinstance(last, Mapping) and last.get(SEND_ID) in send_rows.ids_of(part)
