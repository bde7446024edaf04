"""Faults by what a call does, wherever it comes in the order of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.faults import Call, Fault
from tests.world import World


def befall(world: World, fault: Fault, operation: str, resource: str, *, times: int = 1) -> None:
    """Let the next calls of this operation meet a fault, on this resource, or on several of which it is the first."""
    meant = (operation, resource)
    _befall(
        world,
        fault,
        times,
        lambda call: (call.operation, call.resource.partition(",")[0].replace("-local", "")) == meant,
    )


def brown_out(world: World, fault: Fault, *, skipping: int, times: int) -> None:
    """Let so many calls to DynamoDB in a row meet a fault, after some that do not."""
    left = iter(range(skipping))
    _befall(
        world,
        fault,
        times,
        lambda call: call.kind != "send" and call.resource.endswith("-local") and next(left, None) is None,
    )


def _befall(world: World, fault: Fault, times: int, is_meant: Callable[[Call], bool]) -> None:
    plan, left = world.plan, list(range(times))
    perform = plan.perform

    def befalling(call: Call, apply: Callable[[Fault | None], Any]) -> Any:
        if left and is_meant(call):
            left.pop()
            plan.faults[len(plan.calls) + 1] = fault
        return perform(call, apply)

    plan.perform = befalling  # type: ignore[method-assign]
