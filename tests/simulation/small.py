"""All small worlds, by number."""

from __future__ import annotations

from tests.simulation import worlds
from tests.simulation.guard_worlds import GUARD_WORLDS

SMALL = (*worlds.SMALL, *GUARD_WORLDS)
"""A run's name counts them, and their variants, from 0."""

QUICK = worlds.QUICK | {
    (len(worlds.SMALL) + number, variant)
    for number, world in enumerate(GUARD_WORLDS)
    for variant in range(len(world.variants))
}
"""Variants that take a second or two, by the numbers of world and variant."""
