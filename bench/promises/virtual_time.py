"""Virtual time: what is planned happens in its order, and an invocation that waits lets the others go on."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from greenlet import getcurrent, greenlet


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Invocation:
    """One run of a function or of a webhook."""

    name: str
    calls: int = 0


@dataclass
class VirtualTime:
    """Everything in one thread: each invocation is a greenlet."""

    now: float = field(default=0.0, init=False)
    _plans: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list, init=False)
    _count: int = field(default=0, init=False)
    _greenlets: dict[Any, Invocation] = field(default_factory=dict, init=False)

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Plan something."""
        self._count += 1
        heapq.heappush(self._plans, (max(when, self.now), self._count, what))

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for the running invocation; others go on."""
        current = getcurrent()
        if current.parent is None:  # the world itself
            return
        self.at(self.now + seconds, current.switch)
        current.parent.switch()

    def spawn(self, invocation: Invocation, what: Callable[[], object]) -> None:
        """Begin an invocation."""

        def run() -> None:
            try:
                what()
            finally:
                self._greenlets.pop(getcurrent(), None)

        made = greenlet(run)
        self._greenlets[made] = invocation
        made.switch()
