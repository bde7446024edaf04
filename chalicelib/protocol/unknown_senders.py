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

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.clock import epoch, iso
from chalicelib.errors import Misconfigured, TryAgain
from chalicelib.ports.queues import Queue
from chalicelib.ports.tables import Attr, Change, Item, Refused, Table, Written
from chalicelib.protocol.fallbacks import (
    COMPANY_ADDRESS,
    EXPIRES_AT,
    LETTER,
    MESSAGE_SID,
    NOTED_AT,
    SENDER,
    STATE,
    Fallback,
    FallbackRequest,
    Pair,
    State,
    drop,
)

SENT_COUNT = "sent_count"
"""Of the row that counts the texts of one address within one hour."""


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
