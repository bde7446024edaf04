"""How fast the sweep recovers orphaned messages: one after another beside several at once, on the local AWS.

    python -m bench.sweep [ROWS]

Each round stages so many messages of as many conversations, all overdue and without a trigger, and runs the shipped
schedule until every one has its trigger. The stage is longer than a page, so it is scanned in segments. Each call to
AWS takes `CALL_MILLISECONDS` longer than the local AWS needs, as it does from a Lambda function; without that, waiting
costs nothing here and threads gain nothing.

Then the arithmetic: what 600,000 rows take by the calls and the processor time of this run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

from bench.costs import CALL_MILLISECONDS
from bench.tables import ratio, show
from chalicelib.clock import iso
from chalicelib.handlers import schedules
from chalicelib.repair.executors import Executor, Serial, Threads
from chalicelib.settings import SWEEP_ORPHANS_MINUTES, SWEEP_THREADS
from chalicelib.wiring import Engine
from local.aws import ministack, resources
from local.processes import environment, ports

STAGE = "local"
ROWS = 400
ROW_BYTES = 4_000
"""Of a message's text: some 250 rows fill a page of the stage."""
BACKLOG = 600_000
FUNCTION = "recover_orphaned_messages"


@dataclass(frozen=True)
class Round:
    """What one sweep did."""

    name: str
    rows: int
    seconds: float
    cpu_seconds: float
    calls: int

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


@contextmanager
def metered(engine: Engine) -> Iterator[list[str]]:
    """The calls of an engine's clients, each of which takes as long as from Lambda."""
    calls: list[str] = []

    def wait(event_name: str, **_: Any) -> None:
        calls.append(event_name)
        time.sleep(CALL_MILLISECONDS / 1_000)

    services = [engine.clients.of(name).meta.events for name in ("dynamodb", "sqs")]
    for events in services:
        events.register("before-send", wait)
    try:
        yield calls
    finally:
        for events in services:
            events.unregister("before-send", wait)


@contextmanager
def deployed() -> Iterator[Engine]:
    """An engine on a local AWS of its own."""
    before = dict(os.environ)
    with ministack.local_aws(ports.free(1)[0], shell=before) as aws:
        resources.create(aws, STAGE)
        os.environ.update(environment.for_app(STAGE, aws.endpoint, aws.access_key, shell=before, settings={}))
        try:
            yield Engine()
        finally:
            os.environ.clear()
            os.environ.update(before)


def stage_orphans(engine: Engine, rows: int) -> None:
    """Stage so many messages whose trigger was lost long ago."""
    now = engine.clock.now()
    received, expires_at = iso(now - timedelta(hours=1)), int((now + timedelta(hours=70)).timestamp())
    engine.tables.stage.put_many(
        [
            {
                "conversation_id": f"c-{number}",
                "message_sid": f"SM{number:032x}",
                "primary_channel": f"+49{number:09}",
                "channel": "whatsapp",
                "tenant": "acme",
                "received_at": received,
                "due_at": received,
                "expires_at": expires_at,
                "context_object": {"messages": [{"body": "x" * ROW_BYTES}]},
            }
            for number in range(rows)
        ]
    )


def swept(engine: Engine, name: str, executor: Executor, rows: int) -> Round:
    """Recover a backlog, by as many sweeps as it takes."""
    for table, key in ((engine.tables.stage, ("conversation_id", "message_sid")), (engine.tables.trigger_lock, ())):
        page = table.scan()
        while page.items:
            names = key or ("conversation_id",)
            table.delete_many([{one: row[one] for one in names} for row in page.items])
            page = table.scan()
    stage_orphans(engine, rows)
    vars(engine)["executor"] = executor
    began, cpu = time.monotonic(), time.process_time()
    with metered(engine) as calls, redirect_stdout(StringIO()):
        schedules.recover_orphaned_messages(_context(), engine)
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu
    left = [row for row in _all(engine) if not row.get("recoveries")]
    assert not left, f"{len(left)} rows were not recovered"
    return Round(name, rows, seconds, cpu_seconds, len(calls))


def _all(engine: Engine) -> Iterator[dict[str, Any]]:
    page = engine.tables.stage.scan()
    yield from page.items
    while page.next_start is not None:
        page = engine.tables.stage.scan(start=page.next_start)
        yield from page.items


def _context() -> Any:
    return SimpleNamespace(aws_request_id="bench", get_remaining_time_in_millis=lambda: 295_000)


def minutes_of_backlog(per_second: float, sweeps_max: int) -> float:
    """How long a backlog takes while a further sweep joins each minute, until so many work at once."""
    left, minutes = float(BACKLOG), 0.0
    while left > 0:
        a_minute = per_second * 60 * min(sweeps_max, int(minutes / SWEEP_ORPHANS_MINUTES) + 1)
        minutes += min(1.0, left / a_minute)
        left -= a_minute
    return minutes


def main() -> None:
    """Measure, and print the tables."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with deployed() as engine:
        rounds = [
            swept(engine, "one after another", Serial(), rows),
            swept(engine, f"{SWEEP_THREADS} at once", Threads(SWEEP_THREADS), rows),
        ]
    serial, parallel = rounds
    show(
        f"{rows} orphaned messages, one sweep, {CALL_MILLISECONDS} ms for each call",
        ("repairs", "seconds", "rows a second", "ratio", "calls a row", "CPU ms a row"),
        [
            (
                one.name,
                f"{one.seconds:.1f}",
                f"{one.rate:.0f}",
                ratio(one.rate, serial.rate),
                f"{one.calls / one.rows:.1f}",
                f"{one.cpu_seconds / one.rows * 1_000:.1f}",
            )
            for one in rounds
        ],
    )
    show(
        f"{BACKLOG:,} orphaned messages, by arithmetic",
        ("", "rows a second of one sweep", "minutes"),
        backlog(parallel),
    )


def backlog(measured: Round) -> list[tuple[str, str, str]]:
    """The rows of the second table: a sweep is bounded by its waiting threads, and by its one processor."""
    calls, cpu = measured.calls / measured.rows, measured.cpu_seconds / measured.rows
    waiting = calls * CALL_MILLISECONDS / 1_000
    alone, at_once = 1 / (waiting + cpu), min(SWEEP_THREADS / waiting, 1 / cpu)
    cases = (
        ("one after another, in one sweep", alone, 1),
        (f"{SWEEP_THREADS} at once, in one sweep", at_once, 1),
        (f"{SWEEP_THREADS} at once, in up to {sweeps_max()} sweeps", at_once, sweeps_max()),
    )
    return [(name, f"{rate:.0f}", f"{minutes_of_backlog(rate, sweeps):.0f}") for name, rate, sweeps in cases]


def sweeps_max() -> int:
    """How many sweeps of a schedule work at once: one begins each minute, and each may use its whole timeout."""
    config = json.loads((environment.PROJECT / ".chalice" / "config.json").read_text())
    timeout_seconds: int = config["lambda_functions"][FUNCTION]["lambda_timeout"]
    return timeout_seconds // (60 * SWEEP_ORPHANS_MINUTES)


if __name__ == "__main__":
    main()
