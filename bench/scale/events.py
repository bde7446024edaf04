"""What each kind of event takes: its calls and its dollars, counted, and its CPU time, measured.

    milliseconds on Lambda = calls x one call's time + the provider's time + CPU / the share of a processor that it has

All of it over the shipped handlers.

The times of one call to AWS and to the provider cannot be measured here: they are those that `bench.costs` assumes. The
CPU leaves out what the tables' stubs take.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

from bench.costs import (
    CALL_MILLISECONDS,
    MEMORY_GB,
    PROVIDER_MILLISECONDS,
    REPLY_MEMORY_GB,
    STATUSES,
    Tally,
    used_by,
    waiting_milliseconds,
)
from bench.growth import TEXT, Meter, many_conversations
from tests.world import World

ROUNDS = 15

FROM_API, FROM_QUEUE = {"requests": 1, "proven": 1}, {"received": 1}
TO_SEND = {"received": 1, "proven": 1, "replies": 1}
"""What brings an event, and whether it needs a tenant's secret."""

PROCESSOR_GB = 1_769 / 1_024
"""The memory for which AWS gives a function one processor; less of it in proportion."""


@dataclass(frozen=True)
class Event:
    """One kind of event, on average."""

    aws_calls: int
    provider_calls: int
    cpu_milliseconds: float
    dollars: float
    """Of one such event, with the message of a queue that brings it."""
    memory_gb: float = MEMORY_GB

    @property
    def seconds(self) -> float:
        """Of one invocation's work on Lambda."""
        waiting = self.aws_calls * CALL_MILLISECONDS + self.provider_calls * PROVIDER_MILLISECONDS
        return (waiting + self.cpu_milliseconds * PROCESSOR_GB / self.memory_gb) / 1_000


@dataclass(frozen=True)
class Events:
    """What a deployment does for its customers."""

    message: Event
    batch: Event
    reply: Event
    stale: Event
    """A reply to a batch after which a newer one began."""
    callback: Event
    """One that says something new."""
    known: Event
    """A callback that says only that the part was sent."""


def measured() -> Events:
    """Each kind of event, by the median of its rounds."""
    rounds = [_one_round() for _ in range(ROUNDS)]
    return Events(
        **{
            name: replace(one, cpu_milliseconds=median(each[name].cpu_milliseconds for each in rounds))
            for name, one in rounds[-1].items()
        }
    )


def _one_round() -> dict[str, Event]:
    world = many_conversations(1)
    _answer(world, _write_and_dispatch(world)[2])  # the first turn fetches the secret
    message, batch, document = _write_and_dispatch(world)
    reply = _answer(world, document)
    part = max(world.tables.sends.rows, key=lambda row: row["claimed_at"])
    known, callback = (
        _timed(world, partial(world.report, part["send_id"], status, MessageSid=part["provider_sid"]), FROM_API)
        for status in (STATUSES[0], STATUSES[-1])
    )
    _, _, late = _write_and_dispatch(world)
    world.clock.advance(world.settings.stall_timeout_seconds + 1)
    _timed(world, world.sweep, {})
    _write_and_dispatch(world)
    stale = _answer(world, late)
    return {"message": message, "batch": batch, "reply": reply, "stale": stale, "callback": callback, "known": known}


def _write_and_dispatch(world: World) -> tuple[Event, Event, dict[str, object]]:
    """One message and its batch, and the context that the AI gets."""
    message = _timed(world, lambda: world.post(world.form(TEXT)), FROM_API)
    world.clock.advance(world.settings.batch_window_seconds + 1)
    batch = _timed(world, world.work, FROM_QUEUE)
    (document,) = world.take(world.queues.ai)
    return message, batch, document


def _answer(world: World, document: dict[str, object]) -> Event:
    world.reply(document, TEXT)
    world.clock.advance(1)
    return _timed(world, world.send_replies, TO_SEND)


def _timed(world: World, act: Callable[[], object], source: dict[str, int]) -> Event:
    meter = world.plan
    assert isinstance(meter, Meter), "as the fillers of bench.growth have it"
    first, away, spent = len(meter.calls), meter.seconds, 0.0

    def timed(tally: Tally) -> None:
        nonlocal spent
        vars(tally).update(source, invocations=1)
        started = time.process_time()
        act()
        spent = time.process_time() - started - (meter.seconds - away)
        if tally.replies:
            tally.reply_milliseconds = waiting_milliseconds(Counter(call.operation for call in meter.calls[first:]))

    usage, _ = used_by(world, timed)
    calls = meter.calls[first:]
    of_provider = sum(call.operation == "CreateMessage" for call in calls)
    memory = REPLY_MEMORY_GB if "replies" in source else MEMORY_GB
    return Event(len(calls) - of_provider, of_provider, spent * 1_000, sum(usage.dollars.values()), memory)
