"""Runs of the simulation by name, so that one that failed is replayed exactly: `python -m tests.simulation.runs NAME`.

A name is `small/WORLD/VARIANT/SCHEDULE`, with the schedule's choices separated by dots, or `swarm/SEED`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulation.choices import Choices, Pruned, Replay, Seeded, every_schedule
from tests.simulation.invariants import settle_and_check
from tests.simulation.scheduler import Simulation, Violation
from tests.simulation.worlds import SMALL, swarm


@dataclass
class Explored:
    """How much of one variant of a small world was explored."""

    schedules: int = 0
    """Runs begun; each differs from every other in a choice."""
    ended: int = 0
    """Runs that came to their end, and not to a state of an earlier one."""


def explore(world_number: int, variant_number: int) -> Explored:
    """Run every schedule of one variant of a small world.

    Raises:
        Violation: an invariant does not hold; the message names the run.
    """
    explored = Explored()
    for choices in every_schedule():
        explored.schedules += 1
        simulation = SMALL[world_number].build(choices, SMALL[world_number].variants[variant_number])
        try:
            _run(simulation, is_reply_lossy=SMALL[world_number].is_reply_lossy)
        except Pruned:
            continue
        except Violation as violation:
            schedule = ".".join(map(str, choices.taken))
            raise Violation(f"small/{world_number}/{variant_number}/{schedule}\n{violation}") from violation
        explored.ended += 1
    return explored


def swarm_run(seed: int) -> Simulation:
    """One run of the large world.

    Raises:
        Violation: an invariant does not hold; the message names the run.
    """
    simulation = swarm(Seeded(seed), seed)
    try:
        _run(simulation, is_reply_lossy=True)
    except Violation as violation:
        raise Violation(f"swarm/{seed}\n{violation}") from violation
    return simulation


def replay(name: str) -> Simulation:
    """The run of that name, once more.

    Raises:
        Violation: as it did before.
    """
    kind, _, rest = name.partition("/")
    if kind == "swarm":
        return swarm_run(int(rest))
    number, variant, schedule = rest.split("/")
    world = SMALL[int(number)]
    choices: Choices = Replay([int(one) for one in schedule.split(".") if one])
    simulation = world.build(choices, world.variants[int(variant)])
    _run(simulation, is_reply_lossy=world.is_reply_lossy)
    return simulation


def variants() -> Iterator[tuple[int, int]]:
    """The numbers of every small world and of its variants."""
    for number, world in enumerate(SMALL):
        for variant in range(len(world.variants)):
            yield number, variant


def _run(simulation: Simulation, *, is_reply_lossy: bool) -> None:
    simulation.explore()
    settle_and_check(simulation, is_reply_lossy=is_reply_lossy)


if __name__ == "__main__":
    print("\n".join(replay(sys.argv[1]).scheduler.trace))  # noqa: T201 - what it is asked for
