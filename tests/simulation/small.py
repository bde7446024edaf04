"""All small worlds, by number."""

from __future__ import annotations

from tests.simulation import worlds
from tests.simulation.guard_worlds import GUARD_WORLDS
from tests.simulation.restart_worlds import RESTART_WORLDS
from tests.simulation.turn_worlds import TURN_WORLDS

_ADDED = (*GUARD_WORLDS, *RESTART_WORLDS, *TURN_WORLDS)

SMALL = (*worlds.SMALL, *_ADDED)
"""In a run's name those of `worlds` are `small/0` and so on, and the others `guard/0`, `restart/0` and `after/0`."""

_FIRST = {
    "small": 0,
    "guard": len(worlds.SMALL),
    "restart": len(worlds.SMALL) + len(GUARD_WORLDS),
    "after": len(SMALL) - len(TURN_WORLDS),
}


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

_SLOW_VARIANTS = ("another message", "while it is sent")

QUICK = worlds.QUICK | {
    (number, variant)
    for number, world in enumerate(SMALL)
    for variant, name in enumerate(world.variants)
    if world in _ADDED and world.name not in _SLOW and name not in _SLOW_VARIANTS
}
"""Variants that take a second or two, by the numbers of world and variant."""
