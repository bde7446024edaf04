"""The writer: one log line per step, and metrics in CloudWatch's embedded format.

Guarantee: no message text, number, address or secret reaches a line, and no customer a metric. A line carries the
fields of `Fields` and nothing else. Anything in a field that looks like a number or an address is masked. An error of
ours is logged with its own words, which name resources only. Any other error is logged as its type and its places in
the code.
"""

from __future__ import annotations

import json
import logging
import traceback
from typing import Unpack

from aws_lambda_powertools import Logger

from chalicelib.clock import SystemClock
from chalicelib.errors import EngineError
from chalicelib.telemetry import private
from chalicelib.telemetry.metrics import DIMENSIONS, MEASURES, NONE, Metric, bounded_channel, bounded_outcome
from chalicelib.telemetry.steps import Fields, Level, Step

SERVICE = "replies-engine"
"""Names the service in lines, and the namespace of the metrics."""


class CloudWatch:
    """Log lines as JSON and metrics in CloudWatch's embedded format, both on standard output.

    Each metric is one line of its own, written when it is counted: an invocation that dies has told what it did.
    """

    def __init__(self, stage: str, level: str) -> None:
        self._stage = stage
        self._clock = SystemClock()
        # The place in the code would always be the one below.
        self._logger = Logger(service=SERVICE, level=level, log_uncaught_exceptions=False, location=None)

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        if _SEVERITIES[level] < self._logger.log_level:
            return  # the line would cost as much as one that is written
        told = {name: redacted(value, name) if isinstance(value, str) else value for name, value in fields.items()}
        getattr(self._logger, level)(step.value, extra={"step": step.value, "stage": self._stage, **told})

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        told: Fields = {**describe(error), **fields}
        self.log(step, level, **told)

    def count(self, metric: Metric, value: float = 1, *, channel: str = NONE, outcome: str = NONE) -> None:
        known = {"stage": self._stage, "channel": bounded_channel(channel), "outcome": bounded_outcome(metric, outcome)}
        described = {
            "Namespace": SERVICE,
            "Dimensions": DIMENSIONS,
            "Metrics": [{"Name": metric.value, "Unit": MEASURES[metric].unit.value}],
        }
        head = {"Timestamp": round(self._clock.now().timestamp() * 1_000), "CloudWatchMetrics": [described]}
        blob = {"_aws": head, **known, metric.value: [float(value)]}
        print(json.dumps(blob, separators=(",", ":")))  # noqa: T201 - CloudWatch reads the output


_SEVERITIES = {level: logging.getLevelNamesMapping()[level.value.upper()] for level in Level}

COVERED = "[private]"

_IDS = frozenset(
    {
        "request_id",
        "api_request_id",
        "sqs_message_id",
        "sender_trace_id",
        "message_sid",
        "conversation_id",
        "trigger_id",
        "batch_id",
    }
)
"""Fields that find something again; an id may be a number, so only what is certainly private is covered in them."""


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
