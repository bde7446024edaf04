"""Where a simulated run takes its decisions from: a recorded schedule, or a seed; `exploring` takes every one."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from types import MappingProxyType
from typing import Protocol

STEP_WEIGHT, DISTURBANCE_WEIGHT, EARLY_WEIGHT = 60, 4, 1
"""How likely a step of an actor is, what disturbs one, and what disturbs a webhook: all of those come first, and would
leave nothing of the budgets for batches and replies."""


class Choices(Protocol):
    """Decides what happens next."""

    taken: list[int]

    def choose(self, options: Sequence[str]) -> int:
        """The number of one of the options, of which there is at least one."""


class Replay:
    """Decides as a recorded schedule says; takes the first option where that has ended, or does not fit.

    It does not fit where the code has changed since: then the run is another, and as good as any.
    """

    def __init__(self, schedule: Sequence[int]) -> None:
        self.schedule = list(schedule)
        self.taken: list[int] = []

    def choose(self, options: Sequence[str]) -> int:
        at = len(self.taken)
        choice = self.schedule[at] if at < len(self.schedule) else 0
        self.taken.append(choice if choice < len(options) else 0)
        return self.taken[-1]


class Named:
    """Decides by names, each the beginning of an option's: a schedule that can be read. Then takes the first option.

    Raises:
        AssertionError: there is no such option where it is asked for.
    """

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.taken: list[int] = []

    def choose(self, options: Sequence[str]) -> int:
        choice = 0
        if self.names:
            name = self.names.pop(0)
            found = [number for number, option in enumerate(options) if option.startswith(name)]
            assert found, f"no {name!r} among {list(options)}"
            choice = found[0]
        self.taken.append(choice)
        return choice


class Seeded:
    """Decides at random, always the same for a seed; steps of an actor are likelier than what disturbs them.

    Args:
        seed: of the run.
        preferred: how many times as likely options that disturb are, by a part of their names.
        late: how the names of options begin that are as unlikely as disturbances: messages that wait in their queues.
    """

    def __init__(
        self, seed: int, preferred: Mapping[str, int] = MappingProxyType({}), late: tuple[str, ...] = ()
    ) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.preferred = tuple(preferred.items())
        self.late = late
        self.taken: list[int] = []

    def choose(self, options: Sequence[str]) -> int:
        preferred, late = self.preferred, self.late
        weights = list(accumulate([_weight(option, preferred, late) for option in options]))
        choice = bisect(weights, self.random.random() * weights[-1], 0, len(weights) - 1)
        self.taken.append(choice)
        return choice


@cache
def _weight(option: str, preferred: tuple[tuple[str, int], ...], late: tuple[str, ...]) -> int:
    if not option.startswith("!"):
        return DISTURBANCE_WEIGHT if option.startswith(late) else STEP_WEIGHT
    base = EARLY_WEIGHT if option.startswith("!webhook") else DISTURBANCE_WEIGHT
    return base * next((weight for part, weight in preferred if part in option), 1)
