"""How long a webhook waits for its five calls, and for other orders of them.

    python -m bench.latency

The calls go through botocore's real clients and are answered in this process, each after the time that `bench.costs`
assumes for a call to AWS. The orders differ in what runs beside what, in threads. docs/decisions.md says which of them
the protocol allows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from bench.answers import Answers
from bench.costs import CALL_MILLISECONDS
from bench.hot_path import SECRET, SETTINGS
from bench.tables import ratio, show
from chalicelib.wiring import Engine
from tests.world import KEY, conversation

ROUNDS = 101

Call = Callable[[], object]
FIND, LOAD, STAGE, LOCK, SEND = "Query", "GetItem", "PutItem, stage", "PutItem, trigger lock", "SendMessage"

ORDERS: Mapping[str, Sequence[Sequence[str]]] = {
    "one after the other, as they are": [[FIND], [LOAD], [STAGE], [LOCK], [SEND]],
    "without the record's GetItem": [[FIND], [STAGE], [LOCK], [SEND]],
    "the GetItem beside the staging": [[FIND], [LOAD, STAGE], [LOCK], [SEND]],
    "the trigger lock beside the staging": [[FIND], [LOAD], [STAGE, LOCK], [SEND]],
    "the trigger beside its lock": [[FIND], [LOAD], [STAGE], [LOCK, SEND]],
}
"""What follows what; calls of one step run beside each other."""


class SlowAnswers(Answers):
    """Answers after the time that a call takes."""

    def answer(self, request: Any, **options: Any) -> Any:
        time.sleep(CALL_MILLISECONDS / 1_000)
        return super().answer(request, **options)


def main() -> None:
    """Measure, and print the table."""
    os.environ.update(SETTINGS)
    engine = Engine()
    SlowAnswers(engine, conversation(), SECRET)
    calls = calls_of(engine)
    with ThreadPoolExecutor(2) as threads:
        for steps in ORDERS.values():
            play(calls, steps, threads)  # the first one makes what a process makes once
        taken: dict[str, list[float]] = {name: [] for name in ORDERS}
        for _ in range(ROUNDS):
            for name, steps in ORDERS.items():
                taken[name].append(play(calls, steps, threads))
    milliseconds = {name: median(one) for name, one in taken.items()}
    base = next(iter(milliseconds.values()))
    show(
        f"The calls of one webhook, {CALL_MILLISECONDS} ms each, median of {ROUNDS}",
        ["", "wall ms", "ratio"],
        [[name, f"{one:.1f}", ratio(one, base)] for name, one in milliseconds.items()],
    )


def play(calls: Mapping[str, Call], steps: Sequence[Sequence[str]], threads: ThreadPoolExecutor) -> float:
    """How long the calls take in this order, in milliseconds."""
    started = time.monotonic()
    for first, *beside in steps:
        others = [threads.submit(calls[name]) for name in beside]
        calls[first]()
        for one in others:
            one.result()
    return (time.monotonic() - started) * 1_000


def calls_of(engine: Engine) -> dict[str, Call]:
    """The five calls, as the shipped code makes them."""
    tables, row = engine.tables, {**KEY.item, "message_sid": "SM" + "0" * 32, "received_at": "now"}
    index = engine.channels["whatsapp"].index
    return {
        FIND: lambda: list(tables.conversations.query((index.company_key, "+1"), index=index.name)),
        LOAD: lambda: tables.conversations.get(KEY.item),
        STAGE: lambda: tables.stage.put(row),
        LOCK: lambda: tables.trigger_lock.put(row),
        SEND: lambda: engine.queues.trigger("whatsapp").send("{}", group="acme"),
    }


if __name__ == "__main__":
    main()
