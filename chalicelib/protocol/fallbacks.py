"""Fallback messages: the text for an unknown sender where the webhook's answer cannot carry one.

Guarantee: a text is sent at most once, by the process that claims its row (U3), and from the row alone (U5).
These are the transitions C to F of `unknown_senders.py`, which writes the rows and states what each label means.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from chalicelib.clock import epoch
from chalicelib.errors import Misconfigured, TryAgain
from chalicelib.ports.queues import RETRY_ATTEMPT, attempt_of, decode_object, encode, text_of
from chalicelib.ports.tables import Attr, Change, Condition, Refused, Table, Written

COMPANY_ADDRESS = "company_address"
SENDER = "sender"
MESSAGE_SID = "message_sid"
STATE = "notice_state"
NOTED_AT = "noted_at"
EXPIRES_AT = "expires_at"
TOKEN = "claim_token"
LETTER = "letter"
"""The attribute of the fallback message. Rows of earlier versions have it, so the name stays."""
SOURCE = "engine"
"""What tells a reminder from the replies of the company's AI and its people, whose queue it shares."""
VERSION = "1.0"
Answers = Mapping[str, str]


class State(StrEnum):
    """What is known of the text that a sender gets."""

    ANSWERED = "answered"
    PENDING = "pending"
    CLAIMED = "claimed"
    TOLD = "told"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Pair:
    """Whose address was written to, and who wrote: the key of a row. Both are addresses: never log them."""

    company_address: str
    sender: str

    @property
    def item(self) -> dict[str, str]:
        """The key as the table spells it."""
        return {COMPANY_ADDRESS: self.company_address, SENDER: self.sender}

    def __repr__(self) -> str:
        """Without the addresses."""
        return "Pair()"


@dataclass(frozen=True, repr=False)
class Fallback:
    """What is sent to a sender where the webhook's answer cannot carry a text."""

    tenant: str
    channel: str
    credential_ref: str
    text: str
    answers: Answers
    """The extras of their message by which the channel threads a conversation."""

    @property
    def item(self) -> dict[str, Any]:
        """The fallback message as the row holds it."""
        return {
            "tenant": self.tenant,
            "channel": self.channel,
            "credential_ref": self.credential_ref,
            "text": self.text,
            "answers": dict(self.answers),
        }


@dataclass(frozen=True, repr=False)
class Notice:
    """A row that waits to be sent from."""

    pair: Pair
    message_sid: str
    noted_at: str
    """When the row was written, as it spells it."""
    fallback: Fallback

    @property
    def send_id(self) -> str:
        """Our id of the text: always the same for the same row, and telling nothing."""
        told = f"{self.pair.company_address}\n{self.pair.sender}\n{self.noted_at}"
        return sha256(told.encode()).hexdigest()[:40]


@dataclass(frozen=True, repr=False)
class FallbackRequest:
    """The message of the queue that makes somebody look at a row; it names the row and nothing else (U5)."""

    pair: Pair
    message_sid: str
    attempt: int = 0
    """How often it came again."""

    @property
    def body(self) -> str:
        """The message as the queue carries it."""
        told = {"version": VERSION, "source": SOURCE, **self.pair.item, MESSAGE_SID: self.message_sid}
        return encode({**told, RETRY_ATTEMPT: self.attempt})

    @classmethod
    def from_body(cls, body: str) -> FallbackRequest | None:
        """The reminder that a message of the replies queue is; None: it is no message of our own.

        Raises:
            Rejected: `PARSING_ERROR`; the detail names what is missing or malformed.
        """
        document = decode_object(body, "reply")
        if document.get("source") != SOURCE:
            return None
        company_address, sender, message_sid = (
            text_of(document, name, "reminder") for name in (COMPANY_ADDRESS, SENDER, MESSAGE_SID)
        )
        return cls(Pair(company_address, sender), message_sid, attempt_of(document, "reminder"))

    def again(self) -> FallbackRequest:
        """This reminder, come once more."""
        return replace(self, attempt=self.attempt + 1)


def find_due(table: Table, fallback_request: FallbackRequest, *, now: datetime) -> Notice | None:
    """The row that a reminder names, if it waits to be sent from; a later message has a reminder of its own."""
    row = table.get(fallback_request.pair.item)
    if row is None or row[MESSAGE_SID] != fallback_request.message_sid:
        return None
    if row[STATE] != State.PENDING or int(row[EXPIRES_AT]) <= epoch(now):
        return None
    return Notice(fallback_request.pair, row[MESSAGE_SID], row[NOTED_AT], Fallback(**row[LETTER]))


def claim(table: Table, notice: Notice, *, token: str, now: datetime) -> bool:
    """Take the row for one process; whether it may send (U3).

    Raises:
        TryAgain, Misconfigured: it may not; a claim that may have been written is given back, if possible.
    """
    is_waiting = Attr(STATE).eq(State.PENDING.value) & Attr(EXPIRES_AT).gt(epoch(now))
    is_the_same = Attr(MESSAGE_SID).eq(notice.message_sid)
    change = Change(set={STATE: State.CLAIMED.value, TOKEN: token})
    try:
        write = table.update(notice.pair.item, change, when=is_waiting & is_the_same)  # U3: one process claims.
    except TryAgain as fault:
        if fault.maybe_applied:
            with suppress(TryAgain, Misconfigured):
                give_back(table, notice, token=token)
        raise
    match write:
        case Written():
            return True
        case Refused(item):
            return item.get(TOKEN) == token  # our own write, applied on a try whose answer was lost


def give_back(table: Table, notice: Notice, *, token: str) -> None:
    """Free a row from which certainly nothing was sent, so that the reminder's next coming may claim it."""
    change = Change(set={STATE: State.PENDING.value}, remove=[TOKEN])
    table.update(notice.pair.item, change, when=_is_claimed_by(token))  # U3: only our own.


def conclude(table: Table, notice: Notice, state: State, *, token: str) -> None:
    """Write down the outcome of the text, and remove the text and the message it answered: both are done with."""
    change = Change(set={STATE: state.value}, remove=[TOKEN, LETTER])
    table.update(notice.pair.item, change, when=_is_claimed_by(token))  # U3: only our own.


def drop(table: Table, fallback_request: FallbackRequest) -> None:
    """Take away the row of a reminder that will not come again."""
    is_waiting = Attr(STATE).eq(State.PENDING.value) & Attr(MESSAGE_SID).eq(fallback_request.message_sid)
    table.delete(fallback_request.pair.item, when=is_waiting)  # U4: never one from which something may have been sent.


def _is_claimed_by(token: str) -> Condition:
    return Attr(STATE).eq(State.CLAIMED.value) & Attr(TOKEN).eq(token)
