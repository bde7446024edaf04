"""The trigger lock: at most one trigger waits per conversation.

It saves work and ensures progress. Safety does not depend on it.

    free --c: ensure--> waiting --d: give up--> free
                          |  ^
                          |  `-- c: ensure, by an earlier trigger: it replaces a later one
                          `----- expiry (the trigger was lost): as good as free

Guarantees
    T1  After `ensure` a trigger is on its way that comes no later than was asked for, unless the send failed. The send
        is spared only if another trigger certainly holds the lock, and not later than ours: a spare trigger is
        harmless, a missing one is not.
    T2  A trigger gives up its own lock only, and before it reads the stage. A message staged after that read finds no
        lock and sends its own trigger; one staged before it is seen. So no message is missed.
    T3  A trigger whose send certainly failed leaves no lock behind, so that the next message triggers at once.
    T4  A trigger that comes again keeps its id, and recognises by it the conversation lock that it took.
    T5  A deadline is checked once for the lock and its trigger: it never passes between the two.

DynamoDB removes expired rows days late, so every condition compares `expires_at` itself.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.clock import epoch
from chalicelib.errors import Code, EngineError, Misconfigured, TryAgain
from chalicelib.ports.queues import (
    DELAY_SECONDS_MAX,
    RETRY_ATTEMPT,
    Attributes,
    Queue,
    attempt_of,
    decode_object,
    encode,
    text_of,
)
from chalicelib.ports.tables import Attr, Item, Refused, Table, Written
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey

TRIGGER_ID = "trigger_id"
EXPIRES_AT = "expires_at"

SLACK_SECONDS = 60
"""How long past its delay a trigger may come before its lock counts as expired."""

LATER_SECONDS = 2
"""By how much a waiting trigger must come later than ours for ours to replace it: more than clocks differ."""


@dataclass(frozen=True)
class Trigger:
    """The small message that makes stage 2 look at a conversation."""

    conversation: ConversationKey
    trigger_id: str
    attempt: int = 0
    """How often this trigger came again."""

    @property
    def body(self) -> str:
        """The message as schemas/trigger.json describes it."""
        return encode({**self.conversation.item, TRIGGER_ID: self.trigger_id, RETRY_ATTEMPT: self.attempt})

    @property
    def attributes(self) -> Attributes:
        """What is told beside the body, for whoever looks at the queue."""
        return {CONVERSATION_ID: self.conversation.conversation_id, RETRY_ATTEMPT: self.attempt}

    @classmethod
    def from_body(cls, body: str) -> Trigger:
        """The trigger that a message tells; what it tells beyond that is ignored.

        Raises:
            Rejected: `PARSING_ERROR`; the detail names what is missing or malformed.
        """
        document = decode_object(body, "trigger")
        conversation_id, primary_channel, trigger_id = (
            text_of(document, name, "trigger") for name in (CONVERSATION_ID, PRIMARY_CHANNEL, TRIGGER_ID)
        )
        return cls(ConversationKey(primary_channel, conversation_id), trigger_id, attempt_of(document, "trigger"))

    def again(self) -> Trigger:
        """This trigger, come once more: the same id (T4), one attempt on."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class Triggered:
    """The trigger was sent. `lock_fault` is why it holds no lock for certain; None: it holds it."""

    trigger: Trigger
    lock_fault: EngineError | None = None


@dataclass(frozen=True)
class AlreadyTriggered:
    """Another trigger, not later than ours, is on its way."""


def ensure(
    table: Table, queue: Queue, trigger: Trigger, *, delay_seconds: int, now: datetime, tenant: str
) -> Triggered | AlreadyTriggered:
    """See to it that a trigger comes within `delay_seconds`: the one way in which one comes to be (T1).

    Args:
        table: the trigger lock table.
        queue: the queue of the conversation's channel.
        trigger: carries a fresh id, or its own where it comes again.
        delay_seconds: 0 to 900.
        now: the current instant.
        tenant: the queue's fairness group.

    Raises:
        TryAgain, Misconfigured: the send failed or may have failed (`QUEUE_ERROR`), or the deadline has passed.
    """
    table, queue = _in_one_step(table, queue)
    taken = _take(table, trigger, delay_seconds=delay_seconds, now=now)
    if isinstance(taken, AlreadyTriggered):
        return taken
    _send(table, queue, trigger, delay_seconds=delay_seconds, tenant=tenant)
    return taken


def send_again(table: Table, queue: Queue, trigger: Trigger, *, delay_seconds: int, now: datetime, tenant: str) -> None:
    """Send a trigger that failed once more, whoever holds the trigger lock.

    It may hold the conversation lock, and no other trigger can resume that.

    Raises:
        TryAgain, Misconfigured: the send failed or may have failed (`QUEUE_ERROR`), or the deadline has passed.
    """
    table, queue = _in_one_step(table, queue)
    _take(table, trigger, delay_seconds=delay_seconds, now=now)
    _send(table, queue, trigger, delay_seconds=delay_seconds, tenant=tenant)


def give_up(table: Table, trigger: Trigger) -> None:
    """Free the lock if this trigger holds it; a newer trigger's stays, for that one will come (T2)."""
    table.delete(
        _key(trigger.conversation),
        when=Attr(TRIGGER_ID).eq(trigger.trigger_id),  # T2: only our own.
    )


def is_waiting(table: Table, conversation: ConversationKey, *, now: datetime) -> bool:
    """Whether a trigger of this very conversation holds the lock, and the lock has not expired."""
    row = table.get(_key(conversation))
    return (
        row is not None
        and row.get(PRIMARY_CHANNEL) == conversation.primary_channel
        and int(row[EXPIRES_AT]) > epoch(now)
    )


def _in_one_step(table: Table, queue: Queue) -> tuple[Table, Queue]:
    """The table and the queue without their deadline, where it leaves time for the lock and its trigger together."""
    deadline = table.deadline
    if deadline is None:
        return table, queue
    deadline.check("a trigger and its lock", Code.QUEUE_ERROR)  # T5: once for both.
    return table.within(deadline.lifted), queue.within(deadline.lifted)


def _take(table: Table, trigger: Trigger, *, delay_seconds: int, now: datetime) -> Triggered | AlreadyTriggered:
    delay = timedelta(seconds=min(delay_seconds, DELAY_SECONDS_MAX))
    expires_at = epoch(now + delay) + SLACK_SECONDS
    # Another conversation may bear the same id under another primary channel: its trigger is not ours.
    is_another_s = Attr(PRIMARY_CHANNEL).ne(trigger.conversation.primary_channel)
    is_free = Attr(TRIGGER_ID).missing() | Attr(EXPIRES_AT).le(epoch(now)) | is_another_s
    is_ours = Attr(TRIGGER_ID).eq(trigger.trigger_id)
    is_later = Attr(EXPIRES_AT).gt(expires_at + LATER_SECONDS)
    row: Item = {
        **trigger.conversation.item,
        TRIGGER_ID: trigger.trigger_id,
        EXPIRES_AT: expires_at,
    }
    try:
        write = table.put(row, when=is_free | is_ours | is_later)
    except (TryAgain, Misconfigured) as fault:
        # T1: not a definite refusal by another's lock, so the trigger is sent all the same.
        return Triggered(trigger, lock_fault=fault)
    match write:
        case Written():
            return Triggered(trigger)
        case Refused(held) if held.get(TRIGGER_ID) == trigger.trigger_id:
            return Triggered(trigger)  # our own write, applied on a try whose answer was lost
        case Refused():
            return AlreadyTriggered()


def _send(table: Table, queue: Queue, trigger: Trigger, *, delay_seconds: int, tenant: str) -> None:
    try:
        delay = min(delay_seconds, DELAY_SECONDS_MAX)
        queue.send(trigger.body, group=tenant, delay_seconds=delay, attributes=trigger.attributes)
    except (TryAgain, Misconfigured) as fault:
        if isinstance(fault, Misconfigured) or not fault.maybe_applied:
            # T3: nothing was sent, so nothing may look as if it were. Where even that fails, the lock expires.
            with suppress(TryAgain, Misconfigured):
                give_up(table, trigger)
        raise


def _key(conversation: ConversationKey) -> dict[str, str]:
    return {CONVERSATION_ID: conversation.conversation_id}
