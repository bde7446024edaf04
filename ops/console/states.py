"""The state of a conversation as an operator thinks of it, from its row without the messages; pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from chalicelib.ports.tables import Item
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.record import HANDED_OFF_BY, LAST_ACTIVITY_AT, Record, Status
from chalicelib.repair.patience import has_stalled
from chalicelib.settings import Settings

_BY_THE_COMPANY = "auto_queue_reply_message"

READ = (HANDED_OFF_BY, _BY_THE_COMPANY, "company_id", LAST_ACTIVITY_AT)
"""What is read of a row beside the protocol's attributes."""


class State(StrEnum):
    """In the order in which an operator looks: what needs a hand first."""

    STALLED = "stalled"
    FAILED = "failed"
    UNANSWERED = "unanswered"
    LOCKED = "locked"
    WITH_PEOPLE = "with people"


def state_of(row: Item, settings: Settings, now: datetime) -> State | None:
    """The state of a conversation; None: it is open and nothing of it waits.

    Raises:
        Misconfigured: an attribute of ours has a shape that we never write.
    """
    record = Record.from_item(row)
    if record.claim == PEOPLE:
        return State.WITH_PEOPLE
    if record.is_locked:
        return State.STALLED if has_stalled(record, now, settings) else State.LOCKED
    if record.unanswered_ids:
        return State.UNANSWERED
    if record.status == Status.ERROR or record.error_code is not None:
        return State.FAILED
    is_with_people = row.get(HANDED_OFF_BY) is not None or row.get(_BY_THE_COMPANY) is True
    return State.WITH_PEOPLE if is_with_people else None
