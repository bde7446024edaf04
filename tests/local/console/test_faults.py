"""An order reaches exactly the part of the stack that it names, and the page shows what is in force."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from local.console.faults import ORDERS, Faults
from local.console.feed import Feed
from local.console.web import Unfit
from local.stubs.server import Kind
from local.tenants import SUNRISE

ANNA, GINA = SUNRISE.customer("anna"), SUNRISE.customer("gina")


class Provider:
    def __init__(self) -> None:
        self.ordered: list[Any] = []

    def fail_next(self, fault: Any) -> None:
        self.ordered.append(fault)

    def faults(self) -> list[dict[str, Any]]:
        return [{"kind": str(one.kind), "to": one.to} for one in self.ordered]


class Child:
    """A child that ends when the test says so."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ended = threading.Event()

    def wait(self, seconds: float) -> int | None:
        return -9 if self.ended.wait(seconds) else None


class Stack:
    twilio_url = "http://127.0.0.1:1"
    is_stopping = False

    def __init__(self) -> None:
        self.phones, self.mailboxes = Provider(), Provider()
        self.retired: list[str] = []
        self.started: list[str] = []
        self.is_replaced = threading.Event()

    def retire(self, child: Child) -> None:
        self.retired.append(child.name)

    def work(self, *options: str, may_end: bool = False) -> Child:
        self.started.append(" ".join(("work", *options)))
        if not may_end:
            self.is_replaced.set()
        return Child("doomed" if may_end else "fresh")

    def ai_stub(self, seconds: float) -> Child:
        self.started.append(f"ai {seconds:g}")
        return Child(f"ai {seconds:g}")


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def faults(stack: Stack) -> Faults:
    return Faults(stack, Feed(), Child("work"), Child("ai"), 2.0)


def in_force(faults: Faults) -> str:
    faults.publish()
    return faults.feed.changes(0)[1][-1][1]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("429", Kind.TOO_MANY),
        ("5xx", Kind.SERVER_ERROR),
        ("5xx-taken", Kind.SERVER_ERROR_AFTER_TAKING),
        ("lost", Kind.LOST),
        ("refuse", Kind.REFUSE),
    ],
)
def test_a_bad_day_is_that_of_the_customers_own_provider(faults: Faults, stack: Stack, name: str, kind: Kind):
    faults.order(name, ANNA)
    faults.order(name, GINA)

    assert [(one.kind, one.to) for one in stack.phones.ordered] == [(kind, ANNA.address)]
    assert [(one.kind, one.to) for one in stack.mailboxes.ordered] == [(kind, GINA.address)]
    assert ANNA.address in in_force(faults)


def test_the_killed_worker_is_replaced_once_it_is_dead(faults: Faults, stack: Stack):
    faults.order("kill", None)
    doomed = faults.worker
    assert stack.retired == ["work"]
    assert stack.started == ["work --die-before-dispatch"]
    assert "dies first" in in_force(faults)

    doomed.ended.set()

    assert stack.is_replaced.wait(5)
    assert stack.started == ["work --die-before-dispatch", "work"]


def test_the_ai_becomes_slow_silent_and_well_again(faults: Faults, stack: Stack):
    for name in ("slow", "silent", "well"):
        faults.order(name, None)

    assert stack.started == ["ai 30", "ai 2"]
    assert stack.retired == ["ai", "ai 30"]
    assert in_force(faults) == "[]"


@pytest.mark.parametrize(
    ("name", "words"), [("429", "choose the recipient"), ("flood", "no such fault"), ("silent", "cannot be controlled")]
)
def test_what_cannot_be_ordered_is_refused(stack: Stack, name: str, words: str):
    faults = Faults(stack, Feed(), Child("work"), None, 2.0)

    with pytest.raises(Unfit, match=words):
        faults.order(name, None)


def test_a_second_worker_that_is_to_die_is_refused(faults: Faults):
    faults.order("kill", None)

    with pytest.raises(Unfit, match="at work already"):
        faults.order("kill", None)
    faults.worker.ended.set()


def test_every_order_is_carried_out(faults: Faults):
    """A button that does nothing would be a lie."""
    for one in ORDERS:
        faults.order(one.name, ANNA)
    faults.worker.ended.set()
