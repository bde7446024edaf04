"""The row of one part of a reply: its attributes, and its id.

Guarantee: the same part of the same reply always has the same id, and the id says nothing about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from chalicelib.clock import age
from chalicelib.ports.tables import Item
from chalicelib.protocol.entries import MESSAGE_ID
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey

SEND_ID = "send_id"
STATE = "send_state"
TOKEN = "claim_token"
CLAIMED_AT = "claimed_at"
PROVIDER_SID = "provider_sid"
ERROR_CODE = "error_code"
IS_SERVER_ERROR = "answered_server_error"
MISSES = "list_misses"
MISSED_AT = "list_missed_at"
FIRST_CLAIMED_AT = "first_claimed_at"
RESENDS = "resends"
ANSWERED_IDS = "answered_ids"
CONTENT_VARIABLES = "content_variables"
DELIVERY = "delivery_status"
DELIVERY_RANK = "delivery_rank"
PROVEN = "proven_by_report"
FAILED = frozenset({"failed", "undelivered"})
"""The statuses of a message that the provider took and could not deliver."""


class State(StrEnum):
    """What is known of a part."""

    CLAIMED = "claimed"
    SENT = "sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Part:
    """One part of one reply, as its row knows it."""

    send_id: str
    conversation: ConversationKey
    tenant: str
    channel: str
    credential_ref: str
    reply_id: str
    batch_id: str | None
    number: int
    """From 1."""
    count: int
    """Of the reply's parts."""
    entry: Mapping[str, Any]
    """What the record will hold of it once it is sent, but for the provider's id."""
    content_variables: Mapping[str, str] = field(default_factory=dict)
    """Of its template."""
    answered_ids: tuple[str, ...] = ()
    """The messages that the reply answers; none: it is of people."""
    resends: str | None = None
    """The send id of the part that was taken and not delivered, and that this one repeats."""
    state: State = State.CLAIMED
    token: str = ""
    claimed_at: str = ""
    provider_sid: str | None = None
    error_code: str | None = None
    is_server_error: bool = False
    """Whether the provider answered the send with a 5xx; False: its answer was lost, or the process died."""
    misses: int = 0
    """Reads of the provider's list that lacked the part."""
    missed_at: str | None = None
    """When the last of them was."""
    first_claimed_at: str | None = None
    """When it was first claimed, if it is being sent again."""
    delivery: str | None = None
    """The provider's last status of it, if that says more than that it was sent."""
    is_proven: bool = False
    """Whether a report found it in doubt: whoever proved that may have died before the record had it."""

    def age(self, now: datetime) -> timedelta:
        """How long ago it was claimed."""
        return age(self.claimed_at, now)

    def unread(self, now: datetime) -> timedelta:
        """How long ago it was claimed, or was last looked for in the provider's list in vain."""
        return age(max(self.claimed_at, self.missed_at or ""), now)

    @property
    def is_undelivered(self) -> bool:
        """Whether the provider took it and could not deliver it."""
        return self.delivery in FAILED

    @property
    def is_sent_again(self) -> bool:
        """Whether this claim is for the second send of the part."""
        return self.first_claimed_at is not None

    @property
    def may_be_sent_again(self) -> bool:
        """Whether the part is sent once more if the provider's list lacks it."""
        return self.state is State.UNKNOWN and self.is_server_error and not self.is_sent_again

    @property
    def tried_since(self) -> str:
        """Since when the provider may have the part."""
        return self.first_claimed_at or self.claimed_at

    @classmethod
    def from_item(cls, item: Item) -> Part:
        return cls(
            send_id=item[SEND_ID],
            conversation=ConversationKey(item[PRIMARY_CHANNEL], item[CONVERSATION_ID]),
            tenant=item["tenant"],
            channel=item["channel"],
            credential_ref=item["credential_ref"],
            reply_id=item["reply_id"],
            batch_id=item.get("batch_id"),
            number=int(item["part"]),
            count=int(item["parts"]),
            entry=item["entry"],
            content_variables=item.get(CONTENT_VARIABLES, {}),
            answered_ids=tuple(item.get(ANSWERED_IDS, ())),
            resends=item.get(RESENDS),
            state=State(item[STATE]),
            token=item[TOKEN],
            claimed_at=item[CLAIMED_AT],
            provider_sid=item.get(PROVIDER_SID),
            error_code=item.get(ERROR_CODE),
            is_server_error=item.get(IS_SERVER_ERROR, False),
            misses=int(item.get(MISSES, 0)),
            missed_at=item.get(MISSED_AT),
            first_claimed_at=item.get(FIRST_CLAIMED_AT),
            delivery=item.get(DELIVERY),
            is_proven=item.get(PROVEN, False),
        )


def send_id(conversation: ConversationKey, reply_id: str, batch_id: str | None, number: int) -> str:
    """The id of a part: always the same for the same part, and telling nothing."""
    told = "\n".join(
        (conversation.primary_channel, conversation.conversation_id, reply_id, batch_id or "", str(number))
    )
    return sha256(told.encode()).hexdigest()[:40]


def ids_of(part: Part) -> list[str]:
    """The send ids of all parts of the reply that a part belongs to, in order."""
    numbers = range(1, part.count + 1)
    return [send_id(part.conversation, part.reply_id, part.batch_id, number) for number in numbers]


def resend_id(undelivered: str) -> str:
    """The send id under which a part that was not delivered is sent once more: always the same, so only once."""
    return sha256(f"resend\n{undelivered}".encode()).hexdigest()[:40]


def is_send_id(text: str) -> bool:
    """Whether a text could be one of our ids: what else a stranger puts into a URL is not even looked up."""
    return re.fullmatch(r"[0-9a-f]{40}", text) is not None


def outbound(part: Part) -> dict[str, Any]:
    """The OUTBOUND entry of a part that was sent."""
    return {**part.entry, MESSAGE_ID: part.provider_sid or part.send_id}
