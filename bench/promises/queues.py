"""Queues and streams of an evening, in virtual time, and the events that Lambda makes of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any

from local.processes import environment

RECEIVES_MAX = 5


@dataclass
class Message:
    """One message of a queue."""

    id: str
    body: str
    group: str | None
    attributes: Mapping[str, Any]
    visible_at: float
    receives: int = 0


@dataclass
class Queue:
    """A standard queue in virtual time."""

    messages: list[Message] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)

    def send(self, told: Mapping[str, Any], now: float) -> dict[str, str]:
        """Take a message; what SQS answers."""
        body = str(told["MessageBody"])
        one = Message(
            str(uuid.uuid4()),
            body,
            told.get("MessageGroupId"),
            told.get("MessageAttributes", {}),
            now + int(told.get("DelaySeconds", 0)),
        )
        self.messages.append(one)
        return {"MessageId": one.id, "MD5OfMessageBody": md5(body.encode(), usedforsecurity=False).hexdigest()}

    def receive(self, now: float, count_max: int, visibility_seconds: float) -> list[Message]:
        """Give what is visible; what came too often is dead."""
        self.dead += [one for one in self.messages if one.visible_at <= now and one.receives >= RECEIVES_MAX]
        self.messages = [one for one in self.messages if one not in self.dead]
        given = [one for one in self.messages if one.visible_at <= now][:count_max]
        for one in given:
            one.visible_at, one.receives = now + visibility_seconds, one.receives + 1
        return given

    def delete(self, messages: Iterable[Message]) -> None:
        """Forget messages."""
        ids = {one.id for one in messages}
        self.messages = [one for one in self.messages if one.id not in ids]


def _send_batch(queues: Mapping[str, Queue], told: Mapping[str, Any], now: float) -> dict[str, Any]:
    queue = queues[_name(told)]
    return {"Successful": [{"Id": one["Id"], **queue.send(one, now)} for one in told["Entries"]], "Failed": []}


SQS: Mapping[str, Callable[[Mapping[str, Queue], Mapping[str, Any], float], dict[str, Any]]] = {
    "GetQueueUrl": lambda _, told, __: {"QueueUrl": f"http://sqs/{told['QueueName']}"},
    "SendMessage": lambda queues, told, now: queues[_name(told)].send(told, now),
    "SendMessageBatch": _send_batch,
}


def _name(told: Mapping[str, Any]) -> str:
    return str(told["QueueUrl"]).rpartition("/")[2]


def sqs_event(queue: str, messages: Iterable[Message]) -> dict[str, Any]:
    """The event of an event source mapping."""
    return {
        "Records": [
            {
                "messageId": one.id,
                "receiptHandle": one.id,
                "body": one.body,
                "attributes": {
                    "ApproximateReceiveCount": str(one.receives),
                    **({"MessageGroupId": one.group} if one.group else {}),
                },
                "messageAttributes": {
                    name: {"stringValue": value.get("StringValue"), "dataType": value["DataType"]}
                    for name, value in one.attributes.items()
                },
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{environment.REGION}:000000000000:{queue}",
            }
            for one in messages
        ]
    }


@dataclass
class Stream:
    """The new rows of a table, in one shard: read in order, one window after another."""

    keys: tuple[str, ...]
    open_window: list[dict[str, Any]] = field(default_factory=list)
    closed: list[list[dict[str, Any]]] = field(default_factory=list)
    is_read: bool = False
    """Whether a function is at it."""
    _seen: set[tuple[str, ...]] = field(default_factory=set)

    def put(self, row: Mapping[str, Any]) -> None:
        """A row was put: new, or over one that was there."""
        key = tuple(str(row[name]) for name in self.keys)
        kind = "MODIFY" if key in self._seen else "INSERT"
        self._seen.add(key)
        self.open_window.append({"eventName": kind, "eventSource": "aws:dynamodb", "dynamodb": {"NewImage": dict(row)}})

    def close_window(self) -> None:
        """What has come is one batch."""
        if self.open_window:
            self.closed.append(self.open_window)
            self.open_window = []
