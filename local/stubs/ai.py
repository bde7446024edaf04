"""A STAND-IN for the company's AI worker. Never shipped, and no model of any kind.

It does what schemas/context.json and docs/ai-worker.md ask of a worker: reads the AI queue, thinks for a moment, and
puts one reply to each batch on the ai-replies queue, however often the batch comes.

    context on the AI queue -> (thinking) -> reply on the ai-replies queue -> context deleted

To a customer who asks for a long answer it gives one that is longer than a message may be.
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
            self._think()
            self.aws.sqs.send_message(
                QueueUrl=self.replies_queue_url,
                MessageBody=json.dumps(reply_to(context)),
                MessageGroupId=str(context["company"]["company_id"]),
            )
        except BaseException:
            with self._changing:
                self._taken.discard(batch_id)
            raise
        tell("answered", context)

    def _think(self) -> None:
        """Take the time. Raises `InterruptedError` where it is not given."""
        if self.stopped.wait(self.thinking_seconds):
            raise InterruptedError("stopped while thinking")


def reply_to(context: Document) -> dict[str, Any]:
    """The one reply to a batch, as schemas/reply.json describes it."""
    return {
        "version": VERSION,
        "conversation_id": context["conversation"]["conversation_id"],
        "primary_channel": context["conversation"]["primary_channel"],
        "batch_id": context["meta"]["batch_id"],
        "source": "ai",
        "body": _text(context),
    }


def require_version(context: Document) -> None:
    """Refuse a context of another version than the schema's.

    Raises:
        ValueError: it is of another.
    """
    known = SCHEMA["properties"]["meta"]["properties"]["version"]["const"]
    if context["meta"]["version"] != known:
        raise ValueError(f"the stub reads contexts of version {known}")


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
    queues = (aws.queue_url(os.environ[name]) for name in ("AI_QUEUE", "AI_REPLIES_QUEUE"))
    AiStub(aws, *queues, thinking_seconds, stopped).run()


_telling = threading.Lock()
"""A context is longer than what a pipe takes at once: two thinkers' lines must not run into each other."""

SCHEMA: Document = json.loads((PROJECT / "schemas" / "context.json").read_text())
"""What a context is."""


def _text(context: Document) -> str:
    messages = context["messages"]
    company = context["company"]["company_name"]
    if ASKS_FOR_LONG in messages[-1]["body"].lower():
        return " ".join(f"This is sentence {number} of a long answer by {company}." for number in range(1, 46))
    told = ", ".join(f'"{one["body"]}"' if one["body"] else "a picture" for one in messages)
    return f"{company} thanks you for {told}. This one answer is for all of it."
