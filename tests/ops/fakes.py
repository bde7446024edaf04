"""A dead-letter queue and a bucket over those in memory, whose every call passes the plan of faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chalicelib.errors import Code
from ops.stage.dead_letters import DeadLetter, ours
from tests.fakes.bucket import InMemoryBucket
from tests.fakes.faults import Call
from tests.fakes.queues import InMemoryQueue

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class InMemoryLetters:
    """See `ops.stage.dead_letters.DeadLetters`."""

    queue: InMemoryQueue

    @property
    def name(self) -> str:
        return self.queue.name

    def take(self) -> list[DeadLetter]:
        received = self._call("ReceiveMessage", "read", self.queue.receive)
        numbers = {one.message_id: number for number, one in enumerate(self.queue.messages)}
        return [
            DeadLetter(
                one.body,
                one.group,
                one.reason,
                EPOCH + timedelta(seconds=numbers[one.message_id]),
                one.receipt,
                ours(one.attributes),
                str(one.message_id),
            )
            for one in received
        ]

    def put_back(self, dead_letter: DeadLetter) -> None:
        self._call("ChangeMessageVisibility", "write", lambda: self.queue.give_back(dead_letter.receipt))

    def delete(self, dead_letter: DeadLetter) -> None:
        self._call("DeleteMessage", "write", lambda: self.queue.delete(dead_letter.receipt))

    def _call(self, operation, kind, apply):
        call = Call(operation, self.name, kind, Code.QUEUE_ERROR, Code.QUEUE_ERROR)
        return self.queue.plan.perform(call, lambda _: apply())


@dataclass
class InMemoryObjects:
    """See `ops.stage.bucket.Objects`."""

    bucket: InMemoryBucket

    @property
    def name(self) -> str:
        return self.bucket.name

    def delete(self, key: str) -> None:
        call = Call("DeleteObject", self.name, "write", Code.DB_TRANSIENT_ERROR, Code.DB_QUERY_ERROR)
        self.bucket.plan.perform(call, lambda _: self.bucket.objects.pop(key, None))
