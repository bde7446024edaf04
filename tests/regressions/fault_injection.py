"""Faults by what a call does, wherever it comes in the order of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.faults import Call, Fault
from tests.world import World


def inject(world: World, fault: Fault, operation: str, resource: str, *, times: int = 1) -> None:
    """Inject a fault into the next calls of this operation on this resource, or on several if it is the first."""
    meant = (operation, resource)
    _inject(
        world,
        fault,
        times,
        lambda call: (call.operation, call.resource.partition(",")[0].replace("-local", "")) == meant,
    )


def brown_out(world: World, fault: Fault, *, skipping: int, times: int) -> None:
    """Inject a fault into so many calls to DynamoDB in a row, after some that succeed."""
    left = iter(range(skipping))
    _inject(
        world,
        fault,
        times,
        lambda call: call.kind != "send" and call.resource.endswith("-local") and next(left, None) is None,
    )


def _inject(world: World, fault: Fault, times: int, is_meant: Callable[[Call], bool]) -> None:
    plan, left = world.plan, list(range(times))
    perform = plan.perform

    def performing(call: Call, apply: Callable[[Fault | None], Any]) -> Any:
        if left and is_meant(call):
            left.pop()
            plan.faults[len(plan.calls) + 1] = fault
        return perform(call, apply)

    plan.perform = performing  # type: ignore[method-assign]
