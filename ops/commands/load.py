"""The load test: what will be sent, a question, and the figures afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import click
from rich.console import Console

from chalicelib.clock import Clock, SystemClock, iso
from ops.commands.smoke import answers_itself, base_of
from ops.stage.deployment import Deployment, full_name
from ops.stage.logs import logs_of
from ops.stage.target import CommandError
from ops.terminal.confirmation import ask
from ops.terminal.documents import show_document
from ops.trials import accounts, companies, echo
from ops.trials.load import CUSTOMERS, Load, Plan, unanswered
from ops.trials.reports import Figures, percentile

_PRODUCTION = "prod"
_LOOK_SECONDS = 2.0
_LOGS_SECONDS = 20
"""How long CloudWatch may take to show a line."""

_HEAD = ("invocations", "cold", "init max", "p50", "p95", "max", "memory", "timeouts", "throttles")


def load(
    deployment: Deployment,
    console: Console,
    plan: Plan,
    credentials: Sequence[str | None],
    *,
    url: str | None,
    ai: str | None,
    drain_seconds: int,
    on_production: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Run it; the exit code: 1 where an answer was no success or a message was left unanswered.

    Raises:
        CommandError: the plan is too much, or the stage cannot be tried this way.
    """
    stage, clock = deployment.target.stage, SystemClock()
    wait = threading.Event().wait
    if plan.fault is not None:
        raise CommandError(plan.fault, "a smaller load")
    if stage == _PRODUCTION and not on_production:
        raise CommandError(f"stage {stage} serves customers", "another --stage, or --on-production")
    base, is_ours = base_of(deployment, url), answers_itself(deployment, ai)
    at = accounts.of_stage(deployment.settings, credentials)
    channels = [one for one in ("sms", "whatsapp") if one in at.replying]
    planned = companies.plan(at, channels, count=plan.tenants, customers=CUSTOMERS)
    what = f"{plan.count} messages in {plan.seconds} s, from {plan.tenants * CUSTOMERS} customers of {plan.tenants} "
    click.echo(f"{what}companies made for this run, on {' and '.join(channels)}, to {base}", err=True)
    ask(f"Load stage {stage}?", yes=yes)
    begun, names = clock.now(), {one.company_id for one in planned}
    with (
        companies.made(deployment, planned, at) as journeys,
        echo.answering(deployment, names, at.replying, is_needed=is_ours),
    ):
        answered = Load(base, clock, wait).run(plan, journeys)
        left = _drained(lambda: unanswered(deployment.engine().tables, journeys), clock, wait, drain_seconds)
    figures = _figures(deployment, begun, clock, wait)
    throttles = {name: _throttles(deployment, name, begun, clock.now()) for name in sorted(figures.functions)}
    told = {
        "stage": stage,
        "from": iso(begun),
        "until": iso(clock.now()),
        **answered.document(),
        "conversations_left_unanswered": left,
        "replies": len(figures.seconds_to_reply),
        "seconds_to_reply_p50": percentile(figures.seconds_to_reply, 50),
        "seconds_to_reply_p95": percentile(figures.seconds_to_reply, 95),
        "seconds_to_reply_max": max(figures.seconds_to_reply, default=None),
        "functions": {name: figures.functions[name].document(count) for name, count in throttles.items()},
    }
    if as_json:
        show_document(console, told)
    else:
        _show(console, told)
    return 1 if left or any(not status.startswith("2") for status in answered.statuses) else 0


def _drained(left: Callable[[], int], clock: Clock, wait: Callable[[float], object], seconds: int) -> int:
    """Wait until every message is answered; how many conversations were not, in that time."""
    until = clock.monotonic() + seconds
    while (count := left()) and clock.monotonic() < until:
        wait(_LOOK_SECONDS)
    return count


def _figures(deployment: Deployment, begun: datetime, clock: Clock, wait: Callable[[float], object]) -> Figures:
    """What the log says, once two looks at it say the same."""
    logs, until = logs_of(deployment), clock.monotonic() + _LOGS_SECONDS
    events = list(logs.lines(begun))
    while clock.monotonic() < until:
        wait(_LOOK_SECONDS)
        before, events = events, list(logs.lines(begun))
        if len(before) == len(events):
            break
    return Figures.of(events)


def _throttles(deployment: Deployment, function: str, begun: datetime, ended: datetime) -> int:
    """How often Lambda refused to invoke a function; CloudWatch knows it after a minute or two."""
    name = full_name(deployment.config, deployment.target.stage, function)
    request = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Throttles",
        "Dimensions": [{"Name": "FunctionName", "Value": name}],
        "StartTime": begun.replace(second=0, microsecond=0),
        "EndTime": ended + timedelta(minutes=1),
        "Period": 60,
        "Statistics": ["Sum"],
    }
    if not deployment.is_deployed:
        return 0
    found = deployment.account.call("cloudwatch", "GetMetricStatistics", name, request) or {}
    return round(sum(float(one["Sum"]) for one in found.get("Datapoints", [])))


def _show(console: Console, told: dict[str, Any]) -> None:
    statuses = ", ".join(f"{count} x {status}" for status, count in told["answers"].items())
    console.print(f"webhooks       {statuses}; p50 {told['answer_ms_p50']} ms, p95 {told['answer_ms_p95']} ms")
    if told["replies"]:
        p50, p95, most = (told[f"seconds_to_reply_{one}"] for one in ("p50", "p95", "max"))
        console.print(f"time to reply  {told['replies']} replies; p50 {p50:.1f} s, p95 {p95:.1f} s, max {most:.1f} s")
    console.print(f"sent late      {told['sent_late_ms_max']} ms at most")
    if told["functions"]:
        console.print(f"{'function':<40}" + "".join(f"{one:>13}" for one in _HEAD))
    for name, one in told["functions"].items():
        cells = (
            one["invocations"],
            one["cold_starts"],
            _ms(one["init_ms_max"]),
            *(_ms(one[f"duration_ms_{which}"]) for which in ("p50", "p95", "max")),
            f"{one['memory_mb_max']}/{one['memory_mb_size']} MB",
            one["timeouts"],
            one["throttles"],
        )
        console.print(f"{name:<40}" + "".join(f"{cell:>13}" for cell in cells))
    if told["conversations_left_unanswered"]:
        console.print(f"✗ {told['conversations_left_unanswered']} conversation(s) were left unanswered", style="red")


def _ms(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.0f} ms"
