"""Unknown senders: a sender without a conversation with the company receives a text, at most once in some hours.

    (no row) --A: note sender--> answered, by the webhook's own answer
    (no row) --B: request fallback--> pending --C: claim--> claimed --D: conclude--> told | refused | unknown
       ^                  |  ^                   |
       `---- F: drop -----'  `-- E: give back ---'

    (no row, or fewer than the cap) --G: count--> one text more of this address within this hour

An expired row counts as none.

Guarantees
    U1  While a row lives, a company's address sends a text to a sender once, on any channel: the put is conditional on
        there being no row, or an expired one.
    U2  A message that comes again (a provider's retry, or our own write whose answer was lost) finds the row under its
        own sid. It gets the same result: the answer's text, or one more message to the queue while no process sends.
    U3  A text is sent at most once: one process claims the row, under its own token. Only that process gives the row
        back, and only while it knows that nothing was sent.
    U4  A pending row is dropped if no process will send its text, so that the sender's next message is answered.
    U5  The queue's message only names a row. The row has the text, the recipient and the name of the secret. A webhook
        wrote it after its provider was proven, so a writer to the queue can choose none of these.
    U6  Within a clock hour an address of a company sends at most `messages_max` texts to unknown senders. Each is
        counted before it is sent, by one update that is conditional on the count. If the cap refuses a text, the
        webhook that wrote the row drops it, so that the sender's next message is answered.

The text is best effort: at most once, and not repeated after a crash or a lost answer. DynamoDB removes expired rows
days late, so every condition compares `expires_at` itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from chalicelib.clock import epoch, iso
from chalicelib.errors import Misconfigured, TryAgain
from chalicelib.ports.queues import RETRY_ATTEMPT, Queue, attempt_of, decode_object, encode, text_of
from chalicelib.ports.tables import Attr, Change, Condition, Item, Refused, Table, Written

COMPANY_ADDRESS = "company_address"
SENDER = "sender"
MESSAGE_SID = "message_sid"
STATE = "notice_state"
NOTED_AT = "noted_at"
EXPIRES_AT = "expires_at"
TOKEN = "claim_token"
SENT_COUNT = "sent_count"
"""Of the row that counts the texts of one address within one hour."""
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


@dataclass(frozen=True)
class MayNotify:
    """The sender of this message is to be told by it."""


@dataclass(frozen=True)
class AlreadyNotified:
    """The sender was told by an earlier message, or is being told by this one already."""


@dataclass(frozen=True)
class Capped:
    """The company's address has sent as many texts to unknown senders within this hour as it may."""


def note_sender(
    table: Table, pair: Pair, *, message_sid: str, now: datetime, hours: int, messages_max: int
) -> MayNotify | AlreadyNotified | Capped:
    """Write down that the answer to this message tells its sender, unless they were told before.

    Raises:
        TryAgain, Misconfigured: the row is not written, or the text is not counted.
    """
    row = _row(pair, message_sid, State.ANSWERED, now=now, hours=hours)
    outcome, is_new = _put(table, row, now=now)
    if isinstance(outcome, AlreadyNotified):
        return outcome
    return outcome if count(table, row, now=now, messages_max=messages_max, is_new=is_new) else Capped()


def request_fallback(
    table: Table,
    queue: Queue,
    pair: Pair,
    fallback: Fallback,
    *,
    message_sid: str,
    now: datetime,
    hours: int,
    messages_max: int,
    group: str,
) -> MayNotify | AlreadyNotified | Capped:
    """Have a fallback message sent to the sender of this message, unless they were told before.

    Args:
        table: of unknown senders.
        queue: of replies.
        pair: the two addresses.
        fallback: what is sent.
        message_sid: of the sender's message.
        now: the current instant.
        hours: how long nothing more is told.
        messages_max: how many texts the address sends to unknown senders within an hour.
        group: the queue's fairness group.

    Raises:
        TryAgain, Misconfigured: the row is not written, or the text is not counted, or nobody is reminded of it, or
            perhaps nobody is.
    """
    row = {**_row(pair, message_sid, State.PENDING, now=now, hours=hours), LETTER: fallback.item}
    outcome: MayNotify | AlreadyNotified
    try:
        outcome, is_new = _put(table, row, now=now)
    except TryAgain as fault:
        if not fault.maybe_applied:
            raise
        outcome, is_new = MayNotify(), False  # U2: perhaps the row is there; a reminder of one that is not is harmless
    if isinstance(outcome, AlreadyNotified):
        return outcome
    if not count(table, row, now=now, messages_max=messages_max, is_new=is_new):
        return Capped()
    fallback_request = FallbackRequest(pair, message_sid)
    try:
        queue.send(fallback_request.body, group=group)
    except (TryAgain, Misconfigured) as fault:
        if isinstance(fault, Misconfigured) or not fault.maybe_applied:
            # U4: nobody is reminded. Where even that fails, the sender is told once the row has expired.
            with suppress(TryAgain, Misconfigured):
                drop(table, fallback_request)
        raise
    return outcome


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


def _row(pair: Pair, message_sid: str, state: State, *, now: datetime, hours: int) -> Item:
    return {
        **pair.item,
        MESSAGE_SID: message_sid,
        STATE: state.value,
        NOTED_AT: iso(now),
        EXPIRES_AT: epoch(now + timedelta(hours=hours)),
    }


def _put(table: Table, row: Item, *, now: datetime) -> tuple[MayNotify | AlreadyNotified, bool]:
    """What the row lets its webhook do, and whether it is written just now."""
    is_new = Attr(MESSAGE_SID).missing()
    # A message that comes again days later was told in its time.
    is_past = Attr(EXPIRES_AT).le(epoch(now)) & Attr(MESSAGE_SID).ne(row[MESSAGE_SID])
    match table.put(row, when=is_new | is_past):  # U1: told once while a row lives.
        case Written():
            return MayNotify(), True
        case Refused(item) if item.get(MESSAGE_SID) == row[MESSAGE_SID]:
            # U2: this very message, come again.
            return (MayNotify() if item[STATE] in (State.ANSWERED, State.PENDING) else AlreadyNotified()), False
        case Refused():
            return AlreadyNotified(), False


def count(table: Table, row: Item, *, now: datetime, messages_max: int, is_new: bool) -> bool:
    """Count one text of the row's company address within this hour; whether it may be sent.

    Raises:
        TryAgain, Misconfigured: it may not: the count may have failed; a row that is new is dropped.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    key = {COMPANY_ADDRESS: row[COMPANY_ADDRESS], SENDER: f"#{hour:%Y-%m-%dT%H}"}  # no address has this form
    change = Change(add={SENT_COUNT: 1}, set={EXPIRES_AT: epoch(hour + timedelta(hours=2))})
    has_room = Attr(SENT_COUNT).missing() | Attr(SENT_COUNT).lt(messages_max)
    try:
        write = table.update(key, change, when=has_room)  # U6: at most so many within an hour.
    except (TryAgain, Misconfigured):
        if is_new:
            with suppress(TryAgain, Misconfigured):
                _drop_own(table, row)
        raise
    if isinstance(write, Written):
        return True
    if is_new:
        with suppress(TryAgain, Misconfigured):
            _drop_own(table, row)
    return False


def _drop_own(table: Table, row: Item) -> None:
    """Take away a row that this webhook wrote, and from which nothing is sent."""
    is_same = Attr(STATE).eq(row[STATE]) & Attr(MESSAGE_SID).eq(row[MESSAGE_SID])
    table.delete({COMPANY_ADDRESS: row[COMPANY_ADDRESS], SENDER: row[SENDER]}, when=is_same)  # U6: nobody else's.


def _is_claimed_by(token: str) -> Condition:
    return Attr(STATE).eq(State.CLAIMED.value) & Attr(TOKEN).eq(token)
