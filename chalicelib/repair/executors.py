"""How a sweep makes its repairs: one after another, or several at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, Protocol, TypeVar

Found = TypeVar("Found")


class Executor(Protocol):
    """Makes repairs."""

    def each(self, found: Iterable[Found], repair: Callable[[Found], None]) -> int:
        """Repair each thing that is found; how many there were.

        What is found is asked for by one thread at a time, so a generator will do. A fault of the finding ends it: what
        was found before is repaired, then the fault is raised. `repair` deals with its own faults.
        """


class Serial:
    """One repair after another."""

    def each(self, found: Iterable[Found], repair: Callable[[Found], None]) -> int:
        count = 0
        for one in found:
            count += 1
            repair(one)
        return count


@dataclass(frozen=True)
class Threads:
    """Several repairs at once, each in a thread. The clients of AWS may be used by several threads."""

    threads_max: int

    def each(self, found: Iterable[Found], repair: Callable[[Found], None]) -> int:
        source = _Source(iter(found))
        first = source.take()
        if not first:
            return 0  # mostly: no thread is started for nothing

        def work(begun: list[Found]) -> None:
            while taken := begun or source.take():
                begun = []
                repair(taken[0])

        with ThreadPoolExecutor(self.threads_max) as pool:
            working = [pool.submit(work, first), *(pool.submit(work, []) for _ in range(self.threads_max - 1))]
        for one in working:
            one.result()
        return source.count


@dataclass
class _Source(Generic[Found]):
    """Hands out what is found, to one thread at a time."""

    found: Iterator[Found]
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> list[Found]:
        """The next thing that is found, alone in a list; an empty one: there is none."""
        with self.lock:
            taken = list(islice(self.found, 1))
            self.count += len(taken)
            return taken
