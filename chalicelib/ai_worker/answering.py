"""Answers one batch of the AI queue with a model, once, with heartbeats.

    superseded? - known? - still ours? - think, and extend meanwhile - still ours? - keep the reply - send it

Guarantee: the model answers a batch until one reply is kept. Every later delivery of the batch sends that same reply,
which the engine recognises. A fault of the model causes a retry, and on the last delivery a handoff with the reason; it
never ends the worker. A batch that lost its lock, or that a later batch supersedes, is dropped, because the engine
would refuse the reply. A superseded turn is left while the model still thinks; what the model does then has no effect.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from chalicelib.ai_worker.prompts import INSTRUCTIONS, Document, Turn, instructions_of, reply_of, reply_to, turns_of

SUPERSEDED = ""
"""Is kept in place of a reply to a batch that a later one supersedes, in whichever order the two arrive."""

Model = Callable[["Question"], str]
"""Answers a question; whatever it raises, the batch comes again."""


class LockLostError(Exception):
    """The batch is no longer the conversation's: it was answered, taken over or superseded."""


class Replies(Protocol):
    """Remembers the reply to each batch."""

    def get(self, batch_id: str) -> str | None: ...

    def keep(self, batch_id: str, reply: str) -> str:
        """Keep a reply unless there is one; the one that is kept."""


class NoReplies:
    """Remembers nothing: for a worker that reads the lock, which is gone once the engine has taken the reply."""

    def get(self, batch_id: str) -> str | None:  # noqa: ARG002
        return None

    def keep(self, batch_id: str, reply: str) -> str:  # noqa: ARG002
        return reply


@dataclass(frozen=True, repr=False)
class Question:
    """What a model is asked, and what its tools need."""

    instructions: str
    turns: Sequence[Turn]
    context: Document
    tell: Callable[[dict[str, Any]], None]
    """Says `extend` for the batch; raises `LockLostError`."""

    def before_effect(self, tool: str, message_id: str) -> str:
        """Call this before a tool does something that must not be done twice; the idempotency key to do it under.

        The key belongs to the tool and the message that asks for it. So it stays the same when the message comes again
        in another batch, with others before or behind it.

        Raises:
            LockLostError: the tool must not act.
            ValueError: the batch has no such message.
        """
        if all(one["message_id"] != message_id for one in self.context["messages"]):
            raise ValueError(f"the batch has no message {message_id}")
        self.tell({"effects": True})
        return sha256(f"{message_id}\n{tool}".encode()).hexdigest()


@dataclass(frozen=True)
class Answering:
    """Answers batches; several threads may share it."""

    model: Model
    send: Callable[[str, str], None]
    """Sends a reply's body to the replies queue, for a tenant."""
    replies: Replies
    holds_lock: Callable[[Document], bool] = lambda _: True
    """Whether the record still names the batch; a worker without the right to read it supposes so."""
    instructions: str = INSTRUCTIONS
    heartbeat_seconds: float = 60.0
    check_seconds: float = 1.0
    """How often a turn under way asks whether it is superseded."""
    tries_max: int = 3
    _waits: Callable[[threading.Event, float], bool] = field(default=threading.Event.wait, repr=False)

    def answer(self, body: str, attempt: int = 1, keep_hidden: Callable[[], None] = lambda: None) -> None:
        """Answer the batch of one message; afterwards the message can be deleted.

        Args:
            body: the message's.
            attempt: how often it was delivered, this time included.
            keep_hidden: keeps the message from other workers; called with each heartbeat.

        Raises:
            Exception: as the model raised it, before the last delivery; the message must come again.
        """
        context = json.loads(body)
        batch_id = context["meta"]["batch_id"]
        for one in context["meta"].get("supersedes", ()):
            self.replies.keep(one, SUPERSEDED)
        kept = self.replies.get(batch_id)
        if kept is None:
            try:
                reply = self._think(context, attempt, keep_hidden)
            except LockLostError:
                return
            kept = self.replies.keep(batch_id, json.dumps(reply))
        if kept != SUPERSEDED:
            self.send(kept, str(context["company"]["company_id"]))

    def _think(self, context: Document, attempt: int, keep_hidden: Callable[[], None]) -> dict[str, Any]:
        self._require_lock(context)
        instructions = instructions_of(context, self.instructions)
        question = Question(instructions, turns_of(context), context, lambda more: self._extend(context, **more))
        try:
            with self._beating(context, keep_hidden):
                reply = reply_of(context, self._ask(question))
        except LockLostError:
            raise
        except Exception as fault:  # the outermost door of a batch: people get what no model could answer
            if attempt < self.tries_max:
                raise
            return {**reply_to(context, "handoff"), "reason": f"The AI failed {attempt} times: {type(fault).__name__}"}
        self._require_lock(context)
        return reply

    def _ask(self, question: Question) -> str:
        """The model's answer. A turn that is superseded is left at once, and its model's thread with it."""
        pool = ThreadPoolExecutor(1)
        asked = pool.submit(self.model, question)
        pool.shutdown(wait=False)
        while asked not in wait([asked], timeout=self.check_seconds).done:
            if self._is_superseded(question.context):
                raise LockLostError
        return asked.result()

    def _is_superseded(self, context: Document) -> bool:
        return self.replies.get(context["meta"]["batch_id"]) == SUPERSEDED

    def _require_lock(self, context: Document) -> None:
        if self._is_superseded(context) or not self.holds_lock(context):
            raise LockLostError

    def _extend(self, context: Document, **more: Any) -> None:
        self._require_lock(context)
        if "extend" in context["meta"].get("actions", ()):
            tenant = str(context["company"]["company_id"])
            self.send(json.dumps({**reply_to(context, "extend"), **more}), tenant)

    @contextmanager
    def _beating(self, context: Document, keep_hidden: Callable[[], None]) -> Iterator[None]:
        """Extend the batch and keep its message hidden for as long as the block lasts."""
        ended = threading.Event()

        def beat() -> None:
            while not self._waits(ended, self.heartbeat_seconds):
                try:
                    self._extend(context)
                    keep_hidden()
                except LockLostError:
                    return
                except Exception:  # noqa: BLE001, S112  # a missed heartbeat costs nothing but time: the next may pass
                    continue

        heart = threading.Thread(target=beat, daemon=True)
        heart.start()
        try:
            yield
        finally:
            ended.set()
            heart.join()


def echo(question: Question) -> str:
    """A model that repeats what the customer said: for trying everything else."""
    texts = [one["body"] or "a file" for one in question.context["messages"]]
    return f"You wrote: {' / '.join(texts)}"
