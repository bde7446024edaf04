"""Handoffs that last: a conversation stays with people until they give it back.

    with the AI --J: hand over, or a claim for people by the AI, a stall or an operator--> with people
    with people --K: give back, by people who name the handoff--> with the AI

Guarantees
    K1  Each handoff has an id of its own. People give back the handoff that they name, and no later one.
    K2  The update that passes a batch to people sets the attributes. If no batch is with the AI, an update of its own
        sets them. A claim that only ends with people sets none: until then the batch may still be the AI's.

The company's own `hand_off_to_human` is read, and never written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr, Change, Item, Refused, Table, Written
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.record import (
    HANDED_OFF_BY,
    HANDOFF_ID,
    HANDOFF_REASON,
    LAST_ACTIVITY_AT,
    VERSION,
    ConversationKey,
    Record,
)


class RequestedBy(StrEnum):
    """Who asked for people."""

    COMPANY = "company"
    """The company's own routing: its row says so, and ends it; nothing of ours is set."""
    AI = "ai"
    STALL = "stall"
    UNDELIVERED = "undelivered"
    OPERATOR = "operator"


@dataclass(frozen=True, repr=False)
class Handoff:
    """A handoff that lasts until people give the conversation back."""

    requested_by: RequestedBy
    handoff_id: str
    """Fresh for each handoff."""
    reason: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """What the record has of it."""
        reason = {HANDOFF_REASON: self.reason} if self.reason else {}
        return {HANDED_OFF_BY: self.requested_by.value, HANDOFF_ID: self.handoff_id, **reason}


@dataclass(frozen=True)
class HandedOver:
    """The conversation is with people from here on."""


@dataclass(frozen=True)
class GivenBack:
    """The handoff has ended."""


@dataclass(frozen=True)
class OtherHandoff:
    """The conversation is not under this handoff; nothing was written."""


def lasting(record: Record, handoff: Handoff | None) -> dict[str, str]:
    """What a write that passes a batch to people sets beside its claim; a handoff that stands keeps its id (K2)."""
    return handoff.attributes if handoff is not None and record.handoff_id is None else {}


def hand_over(table: Table, record: Record, handoff: Handoff, *, now: datetime) -> HandedOver | Changed:
    """Send to people what comes from here on. A batch that is with the AI is not touched.

    Args:
        table: the conversations table.
        record: as read, under no handoff.
        handoff: the new one.
        now: the current instant.
    """
    change = Change(set={**handoff.attributes, LAST_ACTIVITY_AT: iso(now)}, add={VERSION: 1})
    match table.update(record.key.item, change, when=record.unchanged):  # K1: and no handoff stood then.
        case Written():
            return HandedOver()
        case Refused(item) if item.get(HANDOFF_ID) == handoff.handoff_id:
            return HandedOver()  # our own write, applied on a try whose answer was lost
        case Refused():
            return Changed()


def give_back(table: Table, key: ConversationKey, handoff_id: str, *, now: datetime) -> GivenBack | OtherHandoff:
    """End a handoff: what comes from here on goes where the company's own routing sends it."""
    change = Change(
        set={LAST_ACTIVITY_AT: iso(now)}, add={VERSION: 1}, remove=(HANDED_OFF_BY, HANDOFF_ID, HANDOFF_REASON)
    )
    written = table.update(key.item, change, when=Attr(HANDOFF_ID).eq(handoff_id))  # K1: the one that people name.
    match written:
        case Written():
            return GivenBack()
        case Refused(item):
            return _after_refusal(item)


def _after_refusal(item: Item) -> GivenBack | OtherHandoff:
    """No handoff at all: our own write, applied on a try whose answer was lost; the caller has seen it stand."""
    return OtherHandoff() if HANDOFF_ID in item else GivenBack()
