"""Dead letters: what lies in a dead-letter queue, looked at without being consumed.

A dead letter that is read is invisible to others for `HOLD_SECONDS` and is put back at once; where that fails it
reappears after that time. In a queue that a function consumes, even a read counts as a failed delivery and keeps the
message from the function meanwhile: there only the erasure of a person reads, once, and for `LIVE_HOLD_SECONDS`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from chalicelib.errors import Misconfigured, Rejected, TryAgain
from chalicelib.ports.queues import REASON, RETRY_ATTEMPT, Attributes
from chalicelib.protocol.fallbacks import FallbackRequest
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey
from ops.stage.account import NO_QUEUE, Account

HOLD_SECONDS = 1_800
"""How long a dead letter stays invisible while it is read or moved: longer than `DEAD_LETTERS_MAX` of them take."""

LIVE_HOLD_SECONDS = 30
"""The same for a message of a queue that a function consumes: nobody's reply waits longer for an erasure."""

DEAD_LETTERS_MAX = 10_000
"""So many are looked at in one go, so that none is visible again before its turn."""

_AT_ONCE = 10
_POLL_SECONDS = 1
"""A long poll asks every part of the queue, so that one empty answer means that it is empty."""


@dataclass(frozen=True, repr=False)
class DeadLetter:
    """One message of a dead-letter queue."""

    body: str
    group: str
    """The tenant, as fairness group."""
    reason: str | None
    """Why we put it there; None: SQS did, for it failed too often."""
    sent_at: datetime
    receipt: str
    attributes: Attributes = field(default_factory=dict)
    """What else was told beside the body."""
    message_id: str = ""
    """As SQS names it, for as long as the letter lies in this queue."""

    @property
    def conversation(self) -> ConversationKey | None:
        """Whose it is: a trigger's, a reply's or a context's conversation; None: it tells none."""
        return conversation_of(self.body)

    @property
    def unknown_sender(self) -> str | None:
        """The unknown sender that a request for a fallback message names; None: it is no such request."""
        try:
            fallback_request = FallbackRequest.from_body(self.body)
        except Rejected:
            return None
        return fallback_request.pair.sender if fallback_request is not None else None

    @property
    def batch_id(self) -> str | None:
        """The batch that a reply answers or a context holds; None: it tells none."""
        document = _document(self.body)
        meta = document.get("meta")
        found = document.get("batch_id", meta.get("batch_id") if isinstance(meta, Mapping) else None)
        return found if isinstance(found, str) else None


class DeadLetters(Protocol):
    """One dead-letter queue."""

    @property
    def name(self) -> str: ...

    def take(self) -> list[DeadLetter]:
        """Some dead letters, invisible to others from now on; none: all are looked at."""

    def put_back(self, dead_letter: DeadLetter) -> None:
        """Let others see a dead letter again."""

    def delete(self, dead_letter: DeadLetter) -> None:
        """Delete a dead letter for good."""


@dataclass(frozen=True)
class SqsDeadLetters:
    """A dead-letter queue of SQS."""

    account: Account
    name: str
    hold_seconds: int = HOLD_SECONDS
    _urls: dict[str, str] = field(default_factory=dict, repr=False)
    """The queue's URL by its name, once it was asked for."""

    def take(self) -> list[DeadLetter]:
        answer = self._call(
            "ReceiveMessage",
            MaxNumberOfMessages=_AT_ONCE,
            VisibilityTimeout=self.hold_seconds,
            WaitTimeSeconds=_POLL_SECONDS,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [_letter(one) for one in answer.get("Messages", [])]

    def put_back(self, dead_letter: DeadLetter) -> None:
        self._call("ChangeMessageVisibility", ReceiptHandle=dead_letter.receipt, VisibilityTimeout=0)

    def delete(self, dead_letter: DeadLetter) -> None:
        self._call("DeleteMessage", ReceiptHandle=dead_letter.receipt)

    @property
    def count(self) -> int:
        """How many letters lie there, as far as SQS knows; a queue that is not there holds none."""
        if self._url(absent=NO_QUEUE) is None:
            return 0
        attributes = self._call("GetQueueAttributes", AttributeNames=["All"])["Attributes"]
        return sum(int(attributes.get(f"ApproximateNumberOfMessages{one}", 0)) for one in ("", "NotVisible"))

    @property
    def holds_any(self) -> bool:
        """Whether something lies there, as far as SQS knows."""
        return self.count > 0

    @property
    def hidden_count(self) -> int:
        """How many messages nobody can receive now, about: they are delayed, or somebody is at work on them."""
        attributes = self._call("GetQueueAttributes", AttributeNames=["All"])["Attributes"]
        return sum(int(attributes.get(f"ApproximateNumberOfMessages{one}", 0)) for one in ("Delayed", "NotVisible"))

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        return self.account.call("sqs", operation, self.name, {"QueueUrl": self._url(), **request}) or {}

    def _url(self, *, absent: Collection[str] = ()) -> str | None:
        if self.name not in self._urls:
            found = self.account.call("sqs", "GetQueueUrl", self.name, {"QueueName": self.name}, absent=absent)
            if found is None:
                return None
            self._urls[self.name] = found["QueueUrl"]
        return self._urls[self.name]


def conversation_of(body: str) -> ConversationKey | None:
    """The conversation that a trigger, a reply or a context names; None: it names none."""
    document = _document(body)
    for told in (document, document.get("conversation")):
        if isinstance(told, Mapping) and {CONVERSATION_ID, PRIMARY_CHANNEL} <= told.keys():
            return ConversationKey(str(told[PRIMARY_CHANNEL]), str(told[CONVERSATION_ID]))
    return None


def _document(body: str) -> Mapping[str, Any]:
    """What a body tells; empty where it is no JSON object."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, Mapping) else {}


def take_all(dead_letters: DeadLetters) -> list[DeadLetter]:
    """Up to `DEAD_LETTERS_MAX` dead letters, the oldest first; the caller puts back what it does not delete."""
    taken: list[DeadLetter] = []
    while len(taken) < DEAD_LETTERS_MAX and (some := dead_letters.take()):
        taken += some
    return sorted(taken, key=lambda one: one.sent_at)


def leave(dead_letters: DeadLetters, some: Iterable[DeadLetter]) -> None:
    """Put dead letters back where they were; one that cannot be put back now comes back of itself."""
    for one in some:
        with suppress(TryAgain, Misconfigured):
            dead_letters.put_back(one)


def peek(dead_letters: DeadLetters, conversation: ConversationKey) -> list[DeadLetter]:
    """The dead letters of one conversation, left where they are."""
    taken = take_all(dead_letters)
    leave(dead_letters, taken)
    return [one for one in taken if one.conversation == conversation]


def _letter(message: Mapping[str, Any]) -> DeadLetter:
    attributes = message.get("Attributes", {})
    sent = int(attributes.get("SentTimestamp", 0)) / 1_000
    beside = message.get("MessageAttributes", {})
    reason = beside.get(REASON, {})
    return DeadLetter(
        body=message["Body"],
        group=attributes.get("MessageGroupId", "unknown"),
        reason=reason.get("StringValue"),
        sent_at=datetime.fromtimestamp(sent, UTC),
        receipt=message["ReceiptHandle"],
        attributes=ours({name: one.get("StringValue") for name, one in beside.items()}),
        message_id=str(message.get("MessageId", "")),
    )


def ours(told: Mapping[str, str | int | None]) -> Attributes:
    """Of what was told beside a body, what we tell again when it is redriven: not why it was a dead letter."""
    kept: dict[str, str | int] = {}
    conversation_id, attempt = told.get(CONVERSATION_ID), str(told.get(RETRY_ATTEMPT))
    if isinstance(conversation_id, str):
        kept[CONVERSATION_ID] = conversation_id
    if attempt.isdecimal():
        kept[RETRY_ATTEMPT] = int(attempt)
    return kept
