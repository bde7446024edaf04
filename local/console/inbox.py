"""People's inbox: every context of the handoff queue, kept until a person deals with it.

The inbox lives as long as the console. The queue's message is deleted once the context is kept here, as a help desk
deletes it once the context is in its own store.
"""

from __future__ import annotations

import json
import threading
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.aws.clients import LocalAws
from local.console.background import Background
from local.console.web import Unfit

Document = Mapping[str, Any]

_POLL_SECONDS = 1
_PAUSE_SECONDS = 1.0
_KEPT_MAX = 100


@dataclass(kw_only=True)
class Inbox(Background):
    """Takes contexts from one queue, and sends people's replies to another."""

    aws: LocalAws
    handoff_queue: str
    replies_queue: str
    _items: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By the item's id; the oldest first."""
    _new: list[Document] = field(default_factory=list)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def take_new(self) -> list[Document]:
        """The contexts that came since the last call."""
        with self._changing:
            new, self._new = self._new, []
            return new

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The items as the page reads them, the latest first."""
        with self._changing:
            return [_document(name, one) for name, one in reversed(self._items.items())]

    def receive(self, context: Document) -> None:
        """Keep a context; one that came before is kept once."""
        with self._changing:
            name = f"{context['conversation']['conversation_id']} {context['meta'].get('batch_id')}"
            if name not in self._items:
                self._new.append(context)
            self._items[name] = {**self._items.get(name, {"answers": [], "is_done": False}), "context": context}
            done = [one for one, item in self._items.items() if item["is_done"]]
            for one in (done or list(self._items))[: max(0, len(self._items) - _KEPT_MAX)]:
                del self._items[one]

    def answer(self, name: str, text: str) -> None:
        """Send a person's answer to the customer.

        Raises:
            Unfit: there is no such item, or the text is blank.
        """
        if not text.strip():
            raise Unfit("the answer is blank")
        self._send(name, {"body": text, "reply_id": f"console-{uuid.uuid4().hex}"})
        with self._changing:
            self._items[name]["answers"].append(text)

    def give_back(self, name: str) -> None:
        """Give the conversation back to the AI.

        Raises:
            Unfit: there is no such item, or it was no handoff that can be given back.
        """
        handoff_id = _handoff(self._item(name)["context"]).get("handoff_id")
        if not handoff_id:
            raise Unfit(
                "the company's own list or attribute sent this conversation to people; the company changes that"
            )
        self._send(name, {"action": "return", "handoff_id": handoff_id, "reply_id": f"return-{handoff_id}"})
        self.close(name)

    def close(self, name: str) -> None:
        """Put an item aside.

        Raises:
            Unfit: there is no such item.
        """
        item = self._item(name)
        with self._changing:
            item["is_done"] = True

    def _item(self, name: str) -> dict[str, Any]:
        with self._changing:
            if name not in self._items:
                raise Unfit("this handoff is no longer in the inbox")
            return self._items[name]

    def _send(self, name: str, reply: Document) -> None:
        context = self._item(name)["context"]
        key = {one: context["conversation"][one] for one in ("conversation_id", "primary_channel")}
        self.aws.sqs.send_message(
            QueueUrl=self.aws.queue_url(self.replies_queue),
            MessageBody=json.dumps({**key, "source": "human", **reply}),
            MessageGroupId=str(context["company"]["company_id"]),
        )

    def run(self) -> None:
        """Take what comes on the handoff queue."""
        url = self.aws.queue_url(self.handoff_queue)
        while not self.stopped.is_set():
            try:
                answer = self.aws.sqs.receive_message(
                    QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=_POLL_SECONDS
                )
                for message in answer.get("Messages", []):
                    self.receive(json.loads(message["Body"]))
                    self.aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            except Exception:  # noqa: BLE001  # the inbox outlives whatever its engine does, and says what it was
                if not self.stopped.is_set():
                    traceback.print_exc()
                    self.stopped.wait(_PAUSE_SECONDS)


def _document(name: str, item: Document) -> dict[str, Any]:
    context = item["context"]
    handoff = _handoff(context)
    return {
        "id": name,
        "conversation": context["conversation"]["conversation_id"],
        "company": context["company"]["company_name"],
        "reason": handoff.get("reason"),
        "requested_by": handoff.get("requested_by"),
        "draft": handoff.get("draft"),
        "can_give_back": bool(handoff.get("handoff_id")),
        "messages": [_message(one) for one in context["messages"]],
        "history": [_message(one) for one in context["history"]],
        "answers": list(item["answers"]),
        "done": item["is_done"],
    }


def _handoff(context: Document) -> Document:
    """Who asked for people and why; empty where the company's own attribute or list sent the messages to them."""
    return dict(context.get("handoff") or {})


def _message(one: Document) -> dict[str, Any]:
    return {
        "text": str(one.get("body", one.get("content", "")) or ""),
        "mine": one.get("direction", "INBOUND") == "INBOUND",
        "at": str(one.get("timestamp", "")),
    }
