"""How much a deployment carries, and what happens beyond that.

    python -m bench.scale             # some minutes
    python -m bench.scale --no-run    # without the comparison with a real run, which needs `make demo`'s environments

The model's times are measured at its start (`events.py`), its settings and quotas are those of `ceilings.py`. Tables:
what each kind of event takes; which part saturates first; what a load of 100, 1,000 and 10,000 messages a second comes
to; what happens beyond saturation; the cost with many tenants; the model beside a real run.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from bench.scale.ceilings import AFTER, BEFORE, FULL, YOUNG, Capacity, ceilings, dollars, units_of
from bench.scale.events import Events, measured
from bench.scale.model import Outcome, Plan, outcome
from bench.tables import ratio, show
from chalicelib.settings import SWEEP_STALLED_MINUTES

LOADS = (100, 1_000, 10_000)
TENANTS = (1, 100, 10_000)
INTERVAL_SECONDS = 300
"""Between two messages of one customer."""
AI_SECONDS = 8
WORKERS_ENOUGH = 2
"""A deployment is scaled down to so many reply workers: waiting times and ratios stay what they are."""
PLAYED_BEYOND = 2
"""Times the throttle's rate."""
OVERLOADS = (0.5, 1, 2, 4, 8)
"""Replies that customers wait for, as multiples of what the workers can send."""


def main() -> None:
    """Measure, and print the tables."""
    events, young, full = measured(), units_of(YOUNG), units_of(FULL)
    figures = {name: (one.cpu_milliseconds, one.seconds * 1e3, one.dollars * 1e6) for name, one in vars(events).items()}
    show(
        "What each kind of event takes",
        ["", "calls to AWS", "CPU ms", "ms on Lambda", "dollars a million"],
        [[name, str(vars(events)[name].aws_calls), *(f"{one:.2f}" for one in told)] for name, told in figures.items()],
    )
    parts = [ceilings(events, one, young, full, TENANTS[-1]) for one in (BEFORE, AFTER)]
    show(
        "Messages a second at which each part does all that it can",
        ["", BEFORE.name, AFTER.name],
        [[name, *(f"{one[name]:,.0f}" for one in parts)] for name in parts[0]],
    )
    show(
        "Half an hour of such a load, its second half",
        [
            "messages a second",
            "",
            "refused",
            "replies a second",
            "median wait s",
            "95 % wait s",
            "AI's work repeated",
        ],
        [row for load in LOADS for one in (BEFORE, AFTER) for row in rows_of(events, one, load)],
    )
    show(
        "Beyond saturation: replies a second, as a share of what the reply workers can send",
        ["load", "stall timeout alone", "AI's work repeated", "patience grows", "AI's work repeated"],
        [overload(events, factor) for factor in OVERLOADS],
    )
    costs = {tenants: dollars(events, tenants) for tenants in TENANTS}
    show(
        "Dollars for a million messages, by the number of tenants",
        ["tenants", "dollars", "ratio"],
        [[f"{tenants:,}", f"{one:.2f}", ratio(one, costs[1])] for tenants, one in costs.items()],
    )
    if "--no-run" not in sys.argv:
        from bench.scale.real import compared  # noqa: PLC0415  # it loads what `make demo` installs

        run = compared()
        show(
            f"A real run: one reply worker of {run.reply:.2f} s, one batch worker of {run.batch:.2f} s",
            ["", "real", "model, mean", "model, range"],
            run.rows,
        )


def plan_of(events: Events, capacity: Capacity, messages_per_second: float, *, patience_max: float = 300) -> Plan:
    """A deployment under a load."""
    return Plan(
        messages_per_second=messages_per_second,
        conversations=round(messages_per_second * INTERVAL_SECONDS),
        **{name: one.seconds for name, one in vars(events).items() if name not in ("message", "known")},
        webhook=events.message.seconds,
        ai=AI_SECONDS,
        batch_workers=capacity.workers,
        reply_workers=capacity.workers,
        api_per_second=capacity.requests_per_second,
        api_burst=capacity.burst,
        concurrency=capacity.concurrency,
        sweep=SWEEP_STALLED_MINUTES * 60,
        patience_max=patience_max,
    )


def rows_of(events: Events, capacity: Capacity, load: int) -> list[list[str]]:
    """What one load comes to. Of a load far beyond the throttle, as much is played as keeps the throttle busy."""
    played = min(load, capacity.requests_per_second * PLAYED_BEYOND)
    plan = replace(plan_of(events, capacity, played), seconds=1_800, settled_after=900)
    result = outcome(plan, workers_scaled_to=WORKERS_ENOUGH)
    factor = min(1.0, WORKERS_ENOUGH / plan.reply_workers)
    taken = (1 - result.refused / max(1, result.offered)) * played / load
    return [
        [
            f"{load:,}",
            capacity.name,
            f"{1 - taken:.0%}",
            f"{result.replies / result.seconds / factor:,.0f}",
            f"{result.wait(0.5):,.0f}",
            f"{result.wait(0.95):,.0f}",
            f"{result.repeated_share:.0%}",
        ]
    ]


def overload(events: Events, factor: float) -> list[str]:
    """What the reply workers do when customers wait for more than they can send, by both rules for a stalled lock."""
    results = [_overloaded(events, factor, patience_max) for patience_max in (300, 1_800)]
    shares = [[f"{share:.0%}", f"{one.repeated_share:.0%}"] for one, share in results]
    return [f"{factor:g} x", *shares[0], *shares[1]]


def _overloaded(events: Events, factor: float, patience_max: float) -> tuple[Outcome, float]:
    plan = plan_of(events, BEFORE, BEFORE.workers / events.reply.seconds * factor, patience_max=patience_max)
    plan = replace(plan, api_per_second=plan.api_per_second * 100, concurrency=plan.concurrency * 100)
    result = outcome(plan, workers_scaled_to=WORKERS_ENOUGH)
    able = plan.scaled(WORKERS_ENOUGH / plan.reply_workers).replies_per_second_max
    return result, result.replies / result.seconds / able


if __name__ == "__main__":
    main()
