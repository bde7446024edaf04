"""What the engine asks of a queue, and how a document becomes the body of a message.

Queues are standard ones: a message may come twice, late and in any order. The protocol allows for all three.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

from chalicelib.clock import Deadline
from chalicelib.errors import Code, Misconfigured, Rejected

MESSAGE_BYTES_MAX = 1_048_576
"""What SQS takes as one message, in bytes of UTF-8, attributes included."""

DELAY_SECONDS_MAX = 900
"""The longest delay of one SQS message."""

RETRY_ATTEMPT = "RetryAttempt"
"""How often a message of ours was sent again; a document without it was not."""


REASON = "reason"
"""The attribute that says why a message is in a dead-letter queue."""

Attributes = Mapping[str, str | int]
"""What travels beside a message's body, by name: texts and whole numbers. Nothing of ours reads it; the body counts."""

NO_ATTRIBUTES: Attributes = MappingProxyType({})


class Queue(Protocol):
    """One queue."""

    @property
    def name(self) -> str: ...

    def within(self, deadline: Deadline) -> Queue:
        """The same queue, whose calls are refused once `deadline` has passed."""

    def send(self, body: str, *, group: str, delay_seconds: int = 0, attributes: Attributes = NO_ATTRIBUTES) -> None:
        """Send one message.

        Args:
            body: the message, with its attributes at most `MESSAGE_BYTES_MAX` bytes.
            group: the tenant, so that one tenant's flood does not delay another (a fair queue's group).
            delay_seconds: how long the message stays invisible, 0 to 900.
            attributes: what is told beside the body.

        Raises:
            TryAgain: `QUEUE_ERROR`; `maybe_applied` tells whether the message may have been sent.
            Misconfigured: `QUEUE_ERROR`; no such queue, no right.
        """


@dataclass(frozen=True)
class Queues:
    """The queues of one deployment."""

    triggers: Mapping[str, Queue]
    """By channel name."""
    dead_triggers: Mapping[str, Queue]
    """By channel name."""
    handoff: Queue
    ai: Queue
    replies: Queue
    dead_replies: Queue
    human_replies: Queue
    dead_human_replies: Queue

    def of_people(self) -> Queues:
        """The same queues for people's replies: they come again on a queue of their own."""
        return replace(self, replies=self.human_replies, dead_replies=self.dead_human_replies)

    def within(self, deadline: Deadline) -> Queues:
        """The same queues, whose calls are refused once `deadline` has passed."""
        return Queues(
            triggers={channel: queue.within(deadline) for channel, queue in self.triggers.items()},
            dead_triggers={channel: queue.within(deadline) for channel, queue in self.dead_triggers.items()},
            handoff=self.handoff.within(deadline),
            ai=self.ai.within(deadline),
            replies=self.replies.within(deadline),
            dead_replies=self.dead_replies.within(deadline),
            human_replies=self.human_replies.within(deadline),
            dead_human_replies=self.dead_human_replies.within(deadline),
        )

    def trigger(self, channel: str) -> Queue:
        """The queue of a channel's triggers.

        Raises:
            Misconfigured: `ROUTING_ERROR`; the channel has no queue in this deployment.
        """
        queue = self.triggers.get(channel)
        if queue is None:
            raise Misconfigured(Code.ROUTING_ERROR, f"channel {channel!r} has no queue")
        return queue


def encode(document: Mapping[str, Any]) -> str:
    """`document` as compact JSON that SQS takes.

    Numbers as DynamoDB returns them (Decimal) and sets in the company's own attributes are told as JSON can tell them.
    """
    text = _ENCODER.encode(document)
    return text if text.isascii() else _REFUSED_BY_SQS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def cut_to_fit(body: str, attributes: Attributes) -> str:
    """`body` as a queue takes it with these attributes beside it; only one of the largest size is cut."""
    return body.encode()[: MESSAGE_BYTES_MAX - attributes_bytes(attributes)].decode(errors="ignore")


def spelled(attributes: Attributes) -> dict[str, dict[str, str]]:
    """Attributes as SQS takes them: typed texts, none of them empty, without the characters that it refuses."""
    return {
        name: {
            "DataType": "String" if isinstance(value, str) else "Number",
            "StringValue": _REFUSED_IN_ATTRIBUTES.sub("\ufffd", str(value)),
        }
        for name, value in attributes.items()
        if value != ""
    }


def attributes_bytes(attributes: Attributes) -> int:
    """What attributes take of a message: SQS counts their names, types and values."""
    return sum(len("".join([name, *one.values()]).encode()) for name, one in spelled(attributes).items())


def decode(body: str) -> Any:
    """The document that a message tells, halves of a character that was cut through replaced: nothing keeps those.

    Raises:
        ValueError, RecursionError: the message is no JSON.
    """
    # JSON spells half a pair as an escape; SQS, DynamoDB and the provider take none.
    told = json.dumps(json.loads(body), ensure_ascii=False)
    return json.loads(told.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def decode_object(body: str, what: str) -> dict[str, Any]:
    """The JSON object that a message tells; `what` it should be is told where it is none.

    Raises:
        Rejected: `PARSING_ERROR`.
    """
    try:
        document = decode(body)
    except (ValueError, RecursionError) as fault:
        raise Rejected(Code.PARSING_ERROR, f"a {what} is JSON") from fault
    if not isinstance(document, dict):
        raise Rejected(Code.PARSING_ERROR, f"a {what} is a JSON object")
    return document


def text_of(document: Mapping[str, Any], name: str, what: str) -> str:
    """A text that `document` must have. Raises `Rejected`, `PARSING_ERROR`, where it is missing or blank."""
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise Rejected(Code.PARSING_ERROR, f"a {what}'s {name} is a text that is not empty")
    return value


def attempt_of(document: Mapping[str, Any], what: str) -> int:
    """How often `document` was sent again. Raises `Rejected`, `PARSING_ERROR`, where that is no number of times."""
    attempt = document.get(RETRY_ATTEMPT, 0)
    if not isinstance(attempt, int) or isinstance(attempt, bool) or attempt < 0:
        raise Rejected(Code.PARSING_ERROR, f"a {what}'s {RETRY_ATTEMPT} is a whole number from 0")
    return attempt


def fair_group(tenant: str) -> str:
    """`tenant` in the characters and the length that SQS takes as a message group."""
    return re.sub(r"[^A-Za-z0-9!-/:-@\[-`{-~]", "-", tenant)[:128] or "unknown"


# SQS refuses these two and lone surrogates, which JSON can spell as escapes; JSON has escaped the controls already.
_REFUSED_BY_SQS = re.compile("[\ufffe\uffff\ud800-\udfff]")

# An attribute has no escapes, so the controls but tab and the ends of lines are among them.
_REFUSED_IN_ATTRIBUTES = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _as_json(value: object) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_as_json)
