"""A standard queue in memory: delays, visibility, redelivery, duplicates and dead letters, all by a fake clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.clock import Clock, Deadline
from chalicelib.errors import Code, Misconfigured
from chalicelib.ports.queues import (
    DELAY_SECONDS_MAX,
    MESSAGE_BYTES_MAX,
    NO_ATTRIBUTES,
    REASON,
    Attributes,
    attributes_bytes,
    fair_group,
    spelled,
)
from tests.fakes.faults import Call, Fault, FaultPlan

LATE_SECONDS = 3_600.0
"""By how much a message that meets the fault LATE comes late."""

DEFAULT_VISIBILITY_SECONDS = 30.0


@dataclass(frozen=True)
class Received:
    """One delivery of a message."""

    message_id: str
    body: str
    group: str
    beside: tuple[tuple[str, str], ...]
    """What was told beside the body, by name."""
    receive_count: int
    receipt: str

    @property
    def reason(self) -> str | None:
        """Why it is a dead letter; None: SQS put it there, or it is none."""
        return self.attributes.get(REASON)

    @property
    def attributes(self) -> dict[str, str]:
        """What was told beside the body, as SQS delivers it."""
        return dict(self.beside)


@dataclass(frozen=True)
class Message:
    """One message as the queue keeps it: replaced where it changes, so that a list of them stays as it was."""

    message_id: str
    body: str
    group: str
    beside: tuple[tuple[str, str], ...]
    """What was told beside the body, by name."""
    visible_at: float
    """In seconds of the clock's `monotonic()`."""
    receive_count: int = 0
    receipt: str | None = None
    """The latest receipt handle; None: never received."""

    @property
    def reason(self) -> str | None:
        """Why it is a dead letter; None: SQS put it there, or it is none."""
        return self.attributes.get(REASON)

    @property
    def attributes(self) -> dict[str, str]:
        """What was told beside the body, as SQS delivers it."""
        return dict(self.beside)

    def delivery(self, receipt: str, count: int) -> Received:
        return Received(self.message_id, self.body, self.group, self.beside, count, receipt)


@dataclass
class _Counter:
    """Numbers messages and deliveries; shared by all copies of one queue."""

    count: int = 0

    def next(self) -> int:
        self.count += 1
        return self.count


class InMemoryQueue:
    """One queue; see `chalicelib.ports.queues.Queue` for `send`. Receiving is the platform's doing: no fault, no count.

    Args:
        name: the queue's name.
        clock: moves delays and visibility.
        plan: shared by all fakes of a test.
        visibility_seconds: how long a received message stays invisible.
        dead_letter: where a message goes that was received `receives_max` times.
        receives_max: None: a message comes again for ever.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        plan: FaultPlan | None = None,
        *,
        visibility_seconds: float = DEFAULT_VISIBILITY_SECONDS,
        dead_letter: InMemoryQueue | None = None,
        receives_max: int | None = None,
    ) -> None:
        self.name = name
        self.clock = clock
        self.plan = plan or FaultPlan()
        self.visibility_seconds = visibility_seconds
        self.dead_letter = dead_letter
        self.receives_max = receives_max
        self.messages: list[Message] = []
        """All that were sent and not deleted, visible or not, in order of sending."""
        self.numbers = _Counter()
        self._deadline: Deadline | None = None

    def within(self, deadline: Deadline) -> InMemoryQueue:
        bounded = object.__new__(type(self))
        vars(bounded).update(vars(self), _deadline=deadline)
        return bounded

    def send(self, body: str, *, group: str, delay_seconds: int = 0, attributes: Attributes = NO_ATTRIBUTES) -> None:
        bytes_sent = len(body.encode()) + attributes_bytes(attributes)
        assert bytes_sent <= MESSAGE_BYTES_MAX, f"{bytes_sent} bytes for {self.name}, which takes {MESSAGE_BYTES_MAX}"
        assert 0 <= delay_seconds <= DELAY_SECONDS_MAX, f"a delay of {delay_seconds} s for {self.name}"
        if self._deadline is not None:
            self._deadline.check(f"SendMessage {self.name}", Code.QUEUE_ERROR)
        call = Call("SendMessage", self.name, "send", Code.QUEUE_ERROR, Code.QUEUE_ERROR)
        self.plan.perform(call, lambda fault: self._add(body, group, delay_seconds, attributes, fault))

    def inject(self, body: str, *, group: str) -> None:
        """Put a message in as another system does: no call of ours, so no fault is injected."""
        self._add(body, group, 0, NO_ATTRIBUTES, None)

    def receive(self, count_max: int = 10) -> list[Received]:
        """Up to `count_max` visible messages, those due first first; invisible from now on for the visibility time."""
        now = self.clock.monotonic()
        received: list[Received] = []
        for message in sorted(self.messages, key=lambda one: one.visible_at):
            if message.visible_at > now or len(received) == count_max:
                break
            if self._is_spent(message):
                self._move_to_dead_letters(message)
                continue
            received.append(self.take(message, invisible_until=now + self.visibility_seconds))
        return received

    def take(self, message: Message, *, invisible_until: float) -> Received:
        """Deliver one message of this queue, which nobody else sees until then."""
        count = message.receive_count + 1
        receipt = f"{message.message_id}/{count}/{self.numbers.next()}"
        self._replace(message, replace(message, receive_count=count, receipt=receipt, visible_at=invisible_until))
        return message.delivery(receipt, count)

    def give_back(self, receipt: str) -> None:
        """Make the message whose latest delivery has this receipt visible again, at once."""
        for message in self.messages:
            if message.receipt == receipt:
                self._replace(message, replace(message, visible_at=self.clock.monotonic()))
                return

    def delete(self, receipt: str) -> None:
        """Delete the message whose latest delivery has this receipt; an older receipt deletes nothing."""
        self.messages[:] = [message for message in self.messages if message.receipt != receipt]

    def repeat(self, message_id: str) -> None:
        """Deliver a message of this queue once more, at once: standard queues may."""
        message = next(one for one in self.messages if one.message_id == message_id)
        self.messages.append(replace(message, visible_at=self.clock.monotonic(), receipt=None))

    @property
    def seconds_until_next(self) -> float | None:
        """When the next message is visible, in seconds from now (0: now); None: the queue is empty."""
        if not self.messages:
            return None
        return max(0.0, min(message.visible_at for message in self.messages) - self.clock.monotonic())

    def _add(self, body: str, group: str, delay_seconds: float, attributes: Attributes, fault: Fault | None) -> None:
        if not body:
            raise Misconfigured(Code.QUEUE_ERROR, f"SendMessage {self.name}: InvalidParameterValue")
        late = LATE_SECONDS if fault is Fault.LATE else 0.0
        message = Message(
            message_id=f"{self.name}-{self.numbers.next()}",
            body=body,
            group=fair_group(group),
            beside=tuple((name, one["StringValue"]) for name, one in spelled(attributes).items()),
            visible_at=self.clock.monotonic() + delay_seconds + late,
        )
        self.messages.append(message)
        if fault is Fault.DUPLICATED:
            self.messages.append(message)

    def _is_spent(self, message: Message) -> bool:
        return self.receives_max is not None and message.receive_count >= self.receives_max

    def _move_to_dead_letters(self, message: Message) -> None:
        self.messages.remove(message)
        if self.dead_letter is not None:
            self.dead_letter.messages.append(
                replace(message, visible_at=self.clock.monotonic(), receipt=None, receive_count=0)
            )

    def _replace(self, message: Message, by: Message) -> None:
        """One of several alike, which a duplicate delivery makes, is as good as the other."""
        self.messages[self.messages.index(message)] = by
