"""The faults that a person can order from the page: one table, from the provider's bad day to a worker that dies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.console.feed import Feed
from local.console.web import Unfit
from local.processes.children import Child
from local.stack import Stack
from local.stubs import sendgrid, twilio
from local.stubs.server import Kind
from local.tenants import MAIL, Customer

_DEATH_SECONDS = 600.0
_SLOW_SECONDS = 30.0


@dataclass(frozen=True)
class Order:
    """One fault as the page offers it."""

    name: str
    label: str
    explanation: str
    is_of_one: bool = True
    """Whether it concerns one customer's next reply."""


ORDERS = (
    Order("429", "Provider says: too many requests", "The next reply is answered 429 and tried again."),
    Order(
        "5xx-taken", "Provider takes it, answers 5xx", "The next reply arrives, and the provider says that it failed."
    ),
    Order("5xx", "Provider is down", "The next reply is answered 5xx and not taken."),
    Order("lost", "Answer gets lost", "The next reply arrives, and the connection breaks before the answer."),
    Order("refuse", "Provider refuses", "The next reply is refused for good."),
    Order(
        "kill", "Kill the worker after its lock", "The next worker that dispatches a batch dies first.", is_of_one=False
    ),
    Order("slow", "Slow AI", f"The AI thinks {_SLOW_SECONDS:.0f} s about each batch.", is_of_one=False),
    Order("silent", "Silent AI", "No worker reads the AI's queue.", is_of_one=False),
    Order("well", "AI as before", "The AI answers again.", is_of_one=False),
)
"""`forge` and `retry` are requests, and stand on each phone."""

_KINDS = {
    "429": Kind.TOO_MANY,
    "5xx-taken": Kind.SERVER_ERROR_AFTER_TAKING,
    "5xx": Kind.SERVER_ERROR,
    "lost": Kind.LOST,
    "refuse": Kind.REFUSE,
}


@dataclass
class Faults:
    """Carries out orders on a running stack.

    Args:
        stack: what runs.
        feed: takes the topic `orders`: what is in force.
        worker: the child that works, at first.
        ai: the stub of the AI; None: the AI is not ours.
        thinking_seconds: how long the stub of the AI thinks.
    """

    stack: Stack
    feed: Feed
    worker: Child
    ai: Child | None
    thinking_seconds: float
    _in_force: dict[str, str] = field(default_factory=dict)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def publish(self) -> None:
        """Say what is in force: at the providers' stubs, and here."""
        pending = self.stack.mailboxes.faults() + (self.stack.phones.faults() if self.stack.twilio_url else [])
        of_providers = [f"{_LABELS[one['kind']]}: the next reply to {one['to']}" for one in pending]
        self.feed.publish("orders", [*self._in_force.values(), *of_providers])

    def order(self, name: str, customer: Customer | None) -> None:
        """Carry out an order.

        Raises:
            Unfit: there is no such order, it needs a customer, or it does not fit what runs.
        """
        if name in _KINDS:
            if customer is None:
                raise Unfit("choose the recipient of the next reply")
            self._of_provider(_KINDS[name], customer)
        elif (act := self._acts.get(name)) is not None:
            with self._changing:
                act()
        else:
            raise Unfit("there is no such fault")

    @property
    def _acts(self) -> Mapping[str, Callable[[], None]]:
        return {
            "kill": self._kill,
            "slow": lambda: self._think(_SLOW_SECONDS, "slow"),
            "silent": lambda: self._think(None, "silent"),
            "well": lambda: self._think(self.thinking_seconds, ""),
        }

    def _of_provider(self, kind: Kind, customer: Customer) -> None:
        if customer.channel == MAIL:
            told: dict[str, Any] = {"retry_after_seconds": 3} if kind is Kind.TOO_MANY else {}
            self.stack.mailboxes.fail_next(sendgrid.Fault(kind=kind, to=customer.address, **told))
        elif self.stack.twilio_url:
            told = {"retry_after_seconds": 3} if kind is Kind.TOO_MANY else {}
            self.stack.phones.fail_next(twilio.Fault(kind=kind, to=customer.address, code=63016, **told))
        else:
            raise Unfit("replies go to the real Twilio, which cannot be controlled")

    def _kill(self) -> None:
        """Put a worker to work that dies after its lock, and another one after it."""
        if "kill" in self._in_force:
            raise Unfit("a worker that is going to die is at work already")
        self.stack.retire(self.worker)
        self.worker = self.stack.work("--die-before-dispatch", may_end=True)
        self._set("kill", "the next worker that dispatches a batch dies first")
        threading.Thread(target=self._replace, args=(self.worker,), name="replace-worker", daemon=True).start()

    def _replace(self, doomed: Child) -> None:
        if doomed.wait(_DEATH_SECONDS) is None or self.stack.is_stopping:
            return
        with self._changing:
            self.worker = self.stack.work()
        self._set("kill", "")

    def _think(self, seconds: float | None, name: str) -> None:
        """Have the stub AI think so long; None: there is none."""
        if self.ai is None and not self._in_force.get("ai"):
            raise Unfit("the AI of this run is not the stub and cannot be controlled")
        if self.ai is not None:
            self.stack.retire(self.ai)
        self.ai = None if seconds is None else self.stack.ai_stub(seconds)
        self._set("ai", {"slow": "the AI is slow", "silent": "the AI is silent"}.get(name, ""))

    def _set(self, name: str, words: str) -> None:
        if words:
            self._in_force[name] = words
        else:
            self._in_force.pop(name, None)


_LABELS = {_KINDS[one.name]: one.label for one in ORDERS if one.name in _KINDS}
