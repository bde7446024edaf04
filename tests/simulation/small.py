"""All small worlds, by number."""

from __future__ import annotations

from tests.simulation import worlds
from tests.simulation.guard_worlds import GUARD_WORLDS
from tests.simulation.restart_worlds import RESTART_WORLDS

SMALL = (*worlds.SMALL, *GUARD_WORLDS, *RESTART_WORLDS)
"""In a run's name those of `worlds` are `small/0` and so on, and the others `guard/0` and `restart/0` and so on."""

_FIRST = {"small": 0, "guard": len(worlds.SMALL), "restart": len(worlds.SMALL) + len(GUARD_WORLDS)}


def name_of(number: int) -> str:
    """How a run's name spells a world."""
    kind = max((one for one in _FIRST if _FIRST[one] <= number), key=lambda one: _FIRST[one])
    return f"{kind}/{number - _FIRST[kind]}"


def number_of(name: str) -> int | None:
    """The world that a run's name tells; None: it is no small one."""
    kind, number = name.split("/")[:2]
    return _FIRST[kind] + int(number) if kind in _FIRST else None


_SLOW = (
    "a second thought beside the reply",
    "a reply that is held",
    "a reply that is held in vain",
    "a restart that died, and the sweep",
    "a second thought beside effects",
    "a second thought and people",
    "people get one message at a time",
    "a reply taken over beside a STOP",
    "a reply that is throttled for long",
    "a trigger that comes again beside a reply",
    "STOP, START and STOP",
)

QUICK = worlds.QUICK | {
    (number, variant)
    for number, world in enumerate(SMALL)
    for variant in range(len(world.variants))
    if world in (*GUARD_WORLDS, *RESTART_WORLDS) and world.name not in _SLOW
}
"""Variants that take a second or two, by the numbers of world and variant."""
