"""Every schedule of a small world, depth first, each state once.

Sound pruning: a state in which an earlier schedule has been is not gone on from again, for the same futures follow from
it. A state is all rows, all messages, the clock, what is left of the budgets, what the checkers look at, and for each
actor everything that it has seen; the code between two calls is deterministic. What is compared is a digest of 64 bits:
among the few million states of all worlds together two that differ share one with a chance of less than one in a
million.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.simulation.actors import Memory
from tests.simulation.deployment import Violation
from tests.simulation.simulation import Saved, Simulation


@dataclass
class Explored:
    """How much of a world was explored."""

    states: int = 0
    """That differ from each other."""
    steps: int = 0
    """Choices taken, each from its own state."""
    ends: int = 0
    """States in which nothing was left to choose: from each the world came to rest, and was checked."""
    schedules: int = 0
    """That these states and steps amount to: ways from the beginning to an end."""

    def __str__(self) -> str:
        return f"{self.schedules:,} schedules, {self.states:,} states, {self.steps:,} steps, {self.ends:,} ends"


class Exploration:
    """One exploration; a violation is named by the choices that led to it."""

    def __init__(self, build: Callable[[Memory], Simulation], check: Callable[[Simulation], None]) -> None:
        self._simulation = build(Memory())
        self._check = check
        self._ways: dict[int, int] = {}
        """How many ways lead from each state to an end."""
        self.explored = Explored()
        self.taken: list[int] = []

    def run(self, *, steps_max: int | None = None) -> Explored:
        """Take every choice of every state; `steps_max`: no more than so many steps.

        Raises:
            Violation: an invariant does not hold; `taken` tells the choices.
        """
        simulation, explored = self._simulation, self.explored
        with simulation.planting():
            path = [self._arrive()]
            while path:
                here = path[-1]
                if here.next == here.count:
                    path.pop()
                    self._ways[here.digest] = here.ways
                    if path:
                        path[-1].ways += here.ways
                        self.taken.pop()
                    continue
                if steps_max is not None and explored.steps >= steps_max:
                    break
                if here.next:
                    simulation.load(here.saved)
                self.taken.append(here.next)
                here.next += 1
                explored.steps += 1
                simulation.options()[self.taken[-1]][1]()
                ways = self._ways.get(digest := simulation.digest())
                if ways is None:
                    path.append(self._arrive(digest))
                else:
                    here.ways += ways
                    self.taken.pop()
        explored.schedules = self._ways.get(path[0].digest if path else here.digest, 0)
        return explored

    def _arrive(self, digest: int | None = None) -> _State:
        """A state in which no schedule has been."""
        simulation = self._simulation
        self.explored.states += 1
        saved, count = simulation.save(), len(simulation.options())
        state = _State(simulation.digest() if digest is None else digest, saved, count)
        if not count:
            self.explored.ends += 1
            self._check(simulation)
            state.ways = 1
        return state


@dataclass
class _State:
    """One state on the way from the beginning to where the exploration is."""

    digest: int
    saved: Saved
    count: int
    """Its options."""
    next: int = 0
    """The number of the option that is taken next."""
    ways: int = 0


def name_of(choices: Sequence[int]) -> str:
    """A schedule as a name spells it: its choices, the firsts at the end left out."""
    taken = list(choices)
    while taken and taken[-1] == 0:
        taken.pop()
    return ".".join(map(str, taken))


__all__ = ["Exploration", "Explored", "Violation", "name_of"]
