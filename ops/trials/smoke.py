"""The smoke test: one signed message per channel, followed from its receipt to the end of its reply.

    receipt -> stage -> batch -> ai -> reply

Each step is read from the stage's tables, where the engine keeps its state; so what is shown is what the engine did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from chalicelib.clock import Clock
from chalicelib.ports.tables import Tables
from chalicelib.protocol.record import ATTRIBUTES, CONVERSATION_ID, MESSAGES, ConversationKey, Record, Status
from local.requests.messages import UnreachableError
from ops.trials.companies import Journey

LOOK_SECONDS = 0.25
TEXT = "Does this reach the AI?"


class Step(IntEnum):
    """How far a message came."""

    RECEIPT = 0
    STAGE = 1
    BATCH = 2
    AI = 3
    REPLY = 4

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Passed:
    """A message took a step."""

    channel: str
    step: Step
    seconds: float
    """Since it was sent."""
    note: str = ""


@dataclass(frozen=True)
class Failed:
    """A message did not take a step."""

    channel: str
    step: Step
    why: str
    key: ConversationKey


@dataclass
class _Followed:
    """One message on its way."""

    journey: Journey
    sent_at: float
    reached: Step = Step.RECEIPT
    reached_at: float = 0.0


@dataclass(frozen=True)
class Smoke:
    """Sends and follows."""

    tables: Tables
    base: str
    """The webhooks' URL, up to `/webhooks`."""
    clock: Clock
    wait: Callable[[float], object]
    patience: Mapping[Step, float]
    """How many seconds each step may take after the one before."""
    has_failed: Callable[[], str | None] = field(default=lambda: None)
    """Why the whole trial cannot go on; None: it can."""

    def run(self, journeys: list[Journey]) -> Iterator[Passed | Failed]:
        """Send one message each, and yield each step as it is taken; a message that fails is followed no further."""
        followed = []
        for one in journeys:
            sent = self._send(one)
            if isinstance(sent, Failed):
                yield sent
                continue
            seconds, message = sent
            yield Passed(one.channel, Step.RECEIPT, seconds)
            followed.append(message)
        while followed:
            for one_message in list(followed):
                for found in self._look(one_message):
                    yield found
                    if isinstance(found, Failed) or found.step is Step.REPLY:
                        followed.remove(one_message)
            if followed:
                self.wait(LOOK_SECONDS)

    def _send(self, journey: Journey) -> Failed | tuple[float, _Followed]:
        message, sent_at = journey.message(TEXT), self.clock.monotonic()
        try:
            answer = journey.send(self.base, message)
        except UnreachableError as error:
            return Failed(journey.channel, Step.RECEIPT, error.message, journey.key)
        if not answer.is_success:
            return Failed(journey.channel, Step.RECEIPT, f"the webhook answered HTTP {answer.status}", journey.key)
        now = self.clock.monotonic()
        return now - sent_at, _Followed(journey, sent_at, reached_at=now)

    def _look(self, one: _Followed) -> Iterator[Passed | Failed]:
        channel, key, now = one.journey.channel, one.journey.key, self.clock.monotonic()
        step, note = reached(self.tables, key)
        for passed in (each for each in Step if one.reached < each <= step):
            yield Passed(channel, passed, now - one.sent_at, note if passed is step else "")
            one.reached, one.reached_at = passed, now
        if one.reached is Step.REPLY:
            return
        following = Step(one.reached + 1)
        if note:
            yield Failed(channel, following, note, key)
        elif (why := self.has_failed()) is not None:
            yield Failed(channel, following, why, key)
        elif now - one.reached_at > self.patience[following]:
            yield Failed(channel, following, f"nothing in {self.patience[following]:.0f} s", key)


def reached(tables: Tables, key: ConversationKey) -> tuple[Step, str]:
    """How far the only message of a conversation came, by the conversation's state; and what there is to say.

    A note with another step than the last one is the reason why it comes no further.
    """
    row = tables.conversations.get(key.item, attributes=[*ATTRIBUTES, MESSAGES])
    if row is None:
        return Step.RECEIPT, "the conversation is gone"
    record = Record.from_item(row)
    if any(isinstance(one, Mapping) and one.get("direction") == "INBOUND" for one in record.entries or ()):
        return _in_batch(record)
    staged = any(True for _ in tables.stage.query((CONVERSATION_ID, key.conversation_id), limit=1))
    return (Step.STAGE if staged else Step.RECEIPT), ""


def _in_batch(record: Record) -> tuple[Step, str]:
    """The same, once a batch has taken the message."""
    if record.claim is not None:
        return Step.AI, ""
    if record.handed_off_by is not None:
        return Step.AI, f"the conversation passed to people, by {record.handed_off_by}"
    if record.unanswered_ids:
        return Step.BATCH, f"the batch ended as {record.status}" if record.status in _WITHOUT_REPLY else ""
    if record.error_code is not None:
        return Step.AI, f"the reply ended with {record.error_code}"
    if record.status == Status.NO_REPLY:
        return Step.REPLY, "none: the provider's trial account cannot send on this channel"
    return (Step.REPLY, "") if record.status == Status.ANSWERED else (Step.BATCH, "")


_WITHOUT_REPLY = frozenset({Status.ERROR, Status.TIMEOUT})
