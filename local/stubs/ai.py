"""A STAND-IN for the company's AI worker. Never shipped, and no model of any kind.

It does what schemas/context.json and docs/ai-worker.md ask of a worker: reads the AI queue, thinks for a moment, and
puts one reply to each batch on the ai-replies queue, however often the batch comes.

    context on the AI queue -> (thinking) -> reply on the ai-replies queue -> context deleted

What the customer's last message says decides what it does: a long answer is longer than a message may be, some messages
need no answer, some ask for a person, and some take longer than a conversation stays locked.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chalicelib.messages.replies import VERSION
from local.aws.clients import LocalAws
from local.logs import DOCUMENT
from local.processes.environment import PROJECT

_POLL_SECONDS = 1
_PAUSE_SECONDS = 1.0
_THINKERS = 8

ASKS_FOR_LONG = "long answer"
"""A customer whose last message says so gets one."""

NEEDS_NO_ANSWER = "no need to answer"
ASKS_FOR_A_PERSON = "somebody real"
TAKES_TIME = "take your time"

_BEYOND_DEADLINE_SECONDS = 6.0
"""How much longer than the first deadline a turn lasts that takes time."""

Document = Mapping[str, Any]
"""A batch's context, or a reply, as the queues carry them."""


@dataclass(frozen=True)
class AiStub:
    """Answers batches."""

    aws: LocalAws
    ai_queue_url: str
    replies_queue_url: str
    thinking_seconds: float
    stopped: threading.Event
    _taken: set[str] = field(default_factory=set)
    """The batches that are being answered, or were."""
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Answer what comes on the AI queue until `stopped` is set."""
        with ThreadPoolExecutor(_THINKERS) as thinkers:
            while not self.stopped.is_set():
                try:
                    for message in self._receive():
                        thinkers.submit(self._answer, message)
                except Exception:  # noqa: BLE001  # a poller outlives whatever its engine does, and says what it was
                    traceback.print_exc()
                    self.stopped.wait(_PAUSE_SECONDS)

    def _receive(self) -> list[dict[str, Any]]:
        answer = self.aws.sqs.receive_message(
            QueueUrl=self.ai_queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=_POLL_SECONDS
        )
        return list(answer.get("Messages", []))

    def _answer(self, message: Mapping[str, Any]) -> None:
        try:
            context = json.loads(message["Body"])
            require_version(context)
            self._reply_once(context)
            self.aws.sqs.delete_message(QueueUrl=self.ai_queue_url, ReceiptHandle=message["ReceiptHandle"])
        except InterruptedError:
            return
        except Exception:  # noqa: BLE001  # told, and the context comes again after its visibility timeout
            traceback.print_exc()

    def _reply_once(self, context: Document) -> None:
        """Put one reply to the batch on the queue; a batch that is known is not thought about again."""
        batch_id = context["meta"]["batch_id"]
        with self._changing:
            if batch_id in self._taken:
                tell("known_batch", context)
                return
            self._taken.add(batch_id)
        try:
            tell("thinking", context, **{"count": len(context["messages"]), DOCUMENT: context})
            if TAKES_TIME in _said(context):
                self._think_long(context)
            else:
                self._think(self.thinking_seconds)
            self._send(context, reply_to(context))
        except BaseException:
            with self._changing:
                self._taken.discard(batch_id)
            raise
        tell("answered", context)

    def _send(self, context: Document, message: Document) -> None:
        self.aws.sqs.send_message(
            QueueUrl=self.replies_queue_url,
            MessageBody=json.dumps(message),
            MessageGroupId=str(context["company"]["company_id"]),
        )

    def _think_long(self, context: Document) -> None:
        """Think beyond the deadline of the batch, and send a heartbeat after each half of the time that it leaves."""
        left = (datetime.fromisoformat(context["meta"]["deadline"]) - datetime.now(UTC)).total_seconds()
        self._think(left / 2)
        self._send(context, {**_about(context), "action": "extend"})
        self._think(left / 2 + _BEYOND_DEADLINE_SECONDS)

    def _think(self, seconds: float) -> None:
        """Take the time. Raises `InterruptedError` where it is not given."""
        if self.stopped.wait(seconds):
            raise InterruptedError("stopped while thinking")


def reply_to(context: Document) -> dict[str, Any]:
    """The message that ends the turn of a batch, as schemas/reply.json describes it."""
    if NEEDS_NO_ANSWER in _said(context):
        return {**_about(context), "action": "none"}
    if ASKS_FOR_A_PERSON in _said(context):
        words = {"body": "A colleague will write to you here.", "draft": _text(context)}
        return {**_about(context), "action": "handoff", "reason": "the customer asks for a person", **words}
    return {**_about(context), "body": _text(context)}


def _about(context: Document) -> dict[str, Any]:
    """Which batch a message is about."""
    return {
        "version": VERSION,
        "conversation_id": context["conversation"]["conversation_id"],
        "primary_channel": context["conversation"]["primary_channel"],
        "batch_id": context["meta"]["batch_id"],
        "source": "ai",
    }


def _said(context: Document) -> str:
    """The customer's last message."""
    return str(context["messages"][-1]["body"]).lower()


def require_version(context: Document) -> None:
    """Refuse a context of a version that the schema does not name.

    Raises:
        ValueError: it is of such a version.
    """
    known = SCHEMA["properties"]["meta"]["properties"]["version"]["enum"]
    if context["meta"]["version"] not in known:
        raise ValueError(f"the stub reads contexts of version {' or '.join(known)}")


def tell(step: str, context: Document, **more: Any) -> None:
    """Print one line in the shape of the app's log lines."""
    line = {
        "level": "INFO",
        "step": step,
        "conversation_id": context["conversation"]["conversation_id"],
        "tenant": context["company"]["company_id"],
        "batch_id": context["meta"]["batch_id"],
        **more,
    }
    with _telling:
        print(json.dumps(line), flush=True)


def serve_stub(thinking_seconds: float) -> None:
    """Stand in until SIGTERM, between the two queues that the environment names."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    aws = LocalAws.of_environment()
    contexts, replies = (aws.queue_url(os.environ[name]) for name in ("AI_QUEUE", "AI_REPLIES_QUEUE"))
    AiStub(aws, contexts, replies, thinking_seconds, stopped).run()


_telling = threading.Lock()
"""A context is longer than what a pipe takes at once: two thinkers' lines must not run into each other."""

SCHEMA: Document = json.loads((PROJECT / "schemas" / "context.json").read_text())
"""What a context is."""


def _text(context: Document) -> str:
    messages = context["messages"]
    company = context["company"]["company_name"]
    if ASKS_FOR_LONG in _said(context):
        return " ".join(f"This is sentence {number} of a long answer by {company}." for number in range(1, 46))
    told = ", ".join(f'"{one["body"]}"' if one["body"] else "a picture" for one in messages)
    return f"{company} thanks you for {told}. This one answer is for all of it."
