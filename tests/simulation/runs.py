"""Runs of the simulation by name, so that one that failed is replayed exactly: `python -m tests.simulation.runs NAME`.

A name is `small/WORLD/VARIANT/SCHEDULE` or `guard/...`, with the schedule's choices separated by dots, or `swarm/SEED`
of the large world. In `mail/SEED` its customers write e-mails, in `policies/SEED` its companies have policies of their
own, in `turns/SEED` the AI and the operators do all that they may, in `opt-outs/SEED` its customers opt out and in
on two channels, and in `thoughts/SEED` what they add while the AI thinks restarts its turn.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from tests.simulation import small
from tests.simulation.choices import Replay, Seeded
from tests.simulation.deployment import MAILED, Violation, with_policies
from tests.simulation.exploring import Exploration, Explored, name_of
from tests.simulation.invariants import settle_and_check
from tests.simulation.restart_worlds import second_thoughts
from tests.simulation.simulation import Simulation
from tests.simulation.small import SMALL
from tests.simulation.worlds import kind_of, swarm, swarm_of_opt_outs, whole_turns

_WORLDS: dict[str, Callable[[int], Simulation]] = {
    "swarm": swarm,
    "mail": partial(swarm, tenants=MAILED),
    "policies": lambda seed: swarm(seed, with_policies(seed), are_all_there=True),
    "turns": swarm,
    "opt-outs": swarm_of_opt_outs,
    "thoughts": second_thoughts,
}
"""The large worlds, by the first part of the names of their runs."""

_SLOW_AI = ("the AI answers", "a reply")
"""What is as unlikely as a disturbance where customers have second thoughts: the AI takes its time."""


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """While this is entered, the garbage collector skips what was imported before, and looks at what runs leave."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 3, 1_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def explore(world_number: int, variant_number: int, *, steps_max: int | None = None) -> Explored:
    """Run every schedule of one variant of a small world.

    Raises:
        Violation: an invariant does not hold; the message names the run.
    """
    world = SMALL[world_number]
    exploration = Exploration(
        partial(world.of, variant_number),
        world.check,
    )
    try:
        return exploration.run(steps_max=steps_max)
    except Violation as violation:
        name = f"{small.name_of(world_number)}/{variant_number}/{name_of(exploration.taken)}"
        raise Violation(f"{name}\n{violation}") from violation


def swarm_run(seed: int, kind: str = "swarm") -> Simulation:
    """One run of the large world.

    Raises:
        Violation: an invariant does not hold; the message names the run.
    """
    simulation = _WORLDS[kind](seed)
    searched = kind_of(seed)
    if kind == "turns":
        whole_turns(simulation, seed)
    late = (*searched.late, *_SLOW_AI) if kind == "thoughts" else searched.late
    try:
        simulation.run(Seeded(seed, searched.preferred, late))
        settle_and_check(simulation, is_reply_lossy=True)
    except Violation as violation:
        raise Violation(f"{kind}/{seed}\n{violation}\n{_listed(simulation)}") from violation
    return simulation


def replay(name: str) -> Simulation:
    """The run of that name, once more.

    Raises:
        Violation: as it did before; the message tells the run step by step.
    """
    kind, _, rest = name.partition("/")
    if kind in _WORLDS:
        return swarm_run(int(rest), kind)
    number = small.number_of(name)
    assert number is not None, f"{name} is no run"
    world, (variant, schedule) = SMALL[number], name.split("/")[2:]
    simulation = world.of(int(variant))
    try:
        simulation.run(Replay([int(one) for one in schedule.split(".") if one]))
        world.check(simulation)
    except Violation as violation:
        raise Violation(f"{name}\n{violation}\n{_listed(simulation)}") from violation
    return simulation


def variants() -> dict[tuple[str, str], tuple[int, int]]:
    """The names of every small world and of its variants, and their numbers."""
    return {
        (world.name, variant): (number, at)
        for number, world in enumerate(SMALL)
        for at, variant in enumerate(world.variants)
    }


def _listed(simulation: Simulation) -> str:
    return "\n".join(f"  {number:3} {step}" for number, step in enumerate(simulation.trace, start=1))


if __name__ == "__main__":
    print("\n".join(replay(sys.argv[1]).trace))  # noqa: T201 - what it is asked for
