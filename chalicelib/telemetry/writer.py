"""The writer: one log line per step, and metrics in CloudWatch's embedded format.

Guarantee: no message text, number, address or secret reaches a line, and no customer a metric. A line carries the
fields of `Fields` and nothing else. Anything in a field that looks like a number or an address is masked. An error of
ours is logged with its own words, which name resources only. Any other error is logged as its type and its places in
the code.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Unpack

from chalicelib.clock import SystemClock
from chalicelib.errors import EngineError
from chalicelib.telemetry import private
from chalicelib.telemetry.metrics import DIMENSIONS, MEASURES, NONE, Metric, bounded_channel, bounded_outcome
from chalicelib.telemetry.steps import Fields, Level, Step

SERVICE = "replies-engine"
"""The namespace of the metrics."""

_ENCODER = json.JSONEncoder(separators=(",", ":"))


class CloudWatch:
    """Log lines as JSON and metrics in CloudWatch's embedded format, both on standard output.

    A line has no time: each event of CloudWatch Logs has one of its own.

    Metrics are written when they are counted: an invocation that dies has told what it did.
    """

    def __init__(self, stage: str, level: str) -> None:
        self._stage = stage
        self._clock = SystemClock()
        self._severity = _SEVERITIES[Level(level.lower())]

    def writes(self, level: Level) -> bool:
        return _SEVERITIES[level] >= self._severity

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        if not self.writes(level):
            return  # the line would cost as much as one that is written
        line = {"level": level.upper(), "step": step.value}
        told = {name: redacted(value, name) if isinstance(value, str) else value for name, value in fields.items()}
        _write({**line, **told})

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        told: Fields = {**describe(error), **fields}
        self.log(step, level, **told)

    def count(self, values: Mapping[Metric, float], *, channel: str = NONE, outcome: str = NONE) -> None:
        # Only the instant and the values differ from one such line to the next.
        directive, known = _directive(tuple(values)), _dimensions(self._stage, tuple(values), channel, outcome)
        instant = round(self._clock.now().timestamp() * 1_000)
        counted = ",".join(f'"{metric.value}":{value!r}' for metric, value in values.items())
        sys.stdout.write(f'{{"_aws":{{"Timestamp":{instant},"CloudWatchMetrics":[{directive}]}},{known},{counted}}}\n')


def _write(document: Mapping[str, Any]) -> None:
    # One write for the line and its end: the threads of a sweep write at the same time.
    sys.stdout.write(_ENCODER.encode(document) + "\n")


@cache
def _directive(metrics: tuple[Metric, ...]) -> str:
    """How CloudWatch finds these metrics in a line."""
    named = [{"Name": metric.value, "Unit": MEASURES[metric].unit.value} for metric in metrics]
    return _ENCODER.encode({"Namespace": SERVICE, "Dimensions": DIMENSIONS, "Metrics": named})


@lru_cache(1_024)
def _dimensions(stage: str, metrics: tuple[Metric, ...], channel: str, outcome: str) -> str:
    """The values of the dimensions, as members of the line."""
    (bounded,) = {bounded_outcome(metric, outcome) for metric in metrics}
    known = {"stage": stage, "channel": bounded_channel(channel), "outcome": bounded}
    return _ENCODER.encode(known)[1:-1]


_SEVERITIES = {level: severity for severity, level in enumerate(Level)}

COVERED = "[private]"

_IDS = frozenset(
    {
        "request_id",
        "api_request_id",
        "xray_trace_id",
        "sqs_message_id",
        "sender_trace_id",
        "message_sid",
        "conversation_id",
        "trigger_id",
        "batch_id",
    }
)
"""Fields that find something again; an id may be a number, so only what is certainly private is covered in them."""


@lru_cache(1_024)  # the lines of one message repeat its ids
def redacted(text: str, field: str = "") -> str:
    """`text` with every number and address covered. The net below `Fields`: nothing of the sort is given to a line."""
    return private.replaced(text, lambda _: COVERED, certain_only=field in _IDS)


def describe(error: BaseException) -> Fields:
    """What may be logged of an error: our own words, or the type and places of one that is not ours."""
    if isinstance(error, EngineError):
        return {"code": error.code.value, "reason": error.detail}
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    return {"code": "INTERNAL_ERROR", "reason": f"{type(error).__name__} at {places}"}
