"""Queues of SQS: standard ones, with a fair group per tenant and a delay per message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chalicelib.aws.calls import Service
from chalicelib.clock import Deadline
from chalicelib.errors import Misconfigured, TryAgain
from chalicelib.ports.queues import (
    DELAY_SECONDS_MAX,
    MESSAGE_BYTES_MAX,
    NO_ATTRIBUTES,
    Attributes,
    attributes_bytes,
    fair_group,
    spelled,
)


@dataclass(frozen=True)
class SqsQueue:
    """One queue of SQS; see `chalicelib.ports.queues.Queue`."""

    service: Service
    name: str
    deadline: Deadline | None = None
    _urls: dict[str, str] = field(default_factory=dict, repr=False)
    """The queue's URL by its name, once it was asked for; shared with the copies that `within` makes."""

    def within(self, deadline: Deadline) -> SqsQueue:
        return SqsQueue(self.service, self.name, deadline, self._urls)

    def send(self, body: str, *, group: str, delay_seconds: int = 0, attributes: Attributes = NO_ATTRIBUTES) -> None:
        bytes_sent = len(body.encode()) + attributes_bytes(attributes)
        assert bytes_sent <= MESSAGE_BYTES_MAX, f"{bytes_sent} bytes for {self.name}, which takes {MESSAGE_BYTES_MAX}"
        assert 0 <= delay_seconds <= DELAY_SECONDS_MAX, f"a delay of {delay_seconds} s for {self.name}"
        request: dict[str, Any] = {
            "MessageBody": body,
            "DelaySeconds": delay_seconds,
            "MessageGroupId": fair_group(group),
        }
        if told := spelled(attributes):
            request["MessageAttributes"] = told
        try:
            self._call("SendMessage", {"QueueUrl": self._url(), **request})
        except Misconfigured:
            self._urls.clear()  # the queue may have been deleted and made anew: the next send asks again
            raise

    def _url(self) -> str:
        if self.name not in self._urls:
            try:
                answer = self._call("GetQueueUrl", {"QueueName": self.name})
            except TryAgain as error:
                # Whether or not the question was answered, nothing was sent to the queue.
                raise TryAgain(error.code, error.detail, maybe_applied=False) from error
            self._urls[self.name] = str(answer["QueueUrl"])
        return self._urls[self.name]

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return self.service.call(operation, self.name, request, deadline=self.deadline)
