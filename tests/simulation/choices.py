"""Where a simulated run takes its decisions from: one interface, three sources."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Protocol


class Choices(Protocol):
    """Decides what happens next."""

    def choose(self, options: Sequence[str]) -> int:
        """The number of one of the options, of which there is at least one."""


class Pruned(BaseException):
    """The rest of this run was explored before, from the same state."""


class Replay:
    """Decides as a recorded schedule says, and takes the first option where that has ended."""

    def __init__(self, schedule: Sequence[int]) -> None:
        self.schedule = list(schedule)
        self.taken: list[int] = []

    def choose(self, options: Sequence[str]) -> int:
        at = len(self.taken)
        choice = self.schedule[at] if at < len(self.schedule) else 0
        assert choice < len(options), f"the schedule does not fit: {choice} of {list(options)}"
        self.taken.append(choice)
        return choice


class Seeded:
    """Decides at random, always the same for a seed; steps of an actor are likelier than what disturbs them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.taken: list[int] = []

    def choose(self, options: Sequence[str]) -> int:
        weights = [1 if option.startswith("!") else 12 for option in options]
        (choice,) = self.random.choices(range(len(options)), weights)
        self.taken.append(choice)
        return choice


def every_schedule() -> Iterator[Enumerated]:
    """Every schedule of a world, depth first: take each, run the world with it, and go on until there is none left.

    Pruning is sound. A run is cut where it comes to a state that an earlier run came to, by `Enumerated.prune`: a
    state holds everything that the future depends on - all rows, all messages, the clock, what is left of the budgets,
    and for each actor everything that it has seen - and the code is deterministic, so the same futures follow.
    """
    seen: set[int] = set()
    waiting: list[list[int]] = [[]]
    while waiting:
        one = Enumerated(waiting.pop(), seen)
        yield one
        for at in range(len(one.prefix), len(one.taken)):
            waiting += [[*one.taken[:at], other] for other in range(1, one.breadth[at])]


class Enumerated:
    """One schedule of an exhaustive enumeration: a given prefix, then always the first option."""

    def __init__(self, prefix: list[int], seen: set[int]) -> None:
        self.prefix = prefix
        self.seen = seen
        self.taken: list[int] = []
        self.breadth: list[int] = []
        self.was_pruned = False

    def choose(self, options: Sequence[str]) -> int:
        at = len(self.taken)
        choice = self.prefix[at] if at < len(self.prefix) else 0
        self.taken.append(choice)
        self.breadth.append(len(options))
        return choice

    def prune(self, state: int) -> None:
        """Cut this run if an earlier one came to this state; called before each choice."""
        if len(self.taken) < len(self.prefix):
            return  # on the way to where this run differs
        if state in self.seen:
            self.was_pruned = True
            raise Pruned
        self.seen.add(state)
