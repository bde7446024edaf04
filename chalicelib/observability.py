"""What an operator sees: one log line per step of the flow, and metrics by a fixed list of names.

Guarantee: no message text, number, address or secret reaches a line. A line carries the fields of `Fields` and nothing
else; an error's own words are written by us and name resources only, and of an error that is not ours only its type and
the places in the code are told.
"""

from __future__ import annotations

import traceback
from enum import StrEnum
from typing import Protocol, TypedDict, Unpack

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from chalicelib.errors import EngineError

SERVICE = "replies-engine"


class Step(StrEnum):
    """The steps of the flow: one verb per transition."""

    RECEIVED = "received"
    REFUSED = "refused"
    STAGED = "staged"
    DUPLICATE = "DuplicateMessageDetected"
    TRIGGERED = "triggered"
    WAITING = "already_triggered"
    ANSWERED = "answered_provider"
    SEVERAL_ACTIVE = "several_active_conversations"
    NO_CALLBACK = "no_status_callback"
    NOTHING_STAGED = "nothing_staged"
    STILL_TYPING = "still_typing"
    ACQUIRED = "acquired"
    CHANGED = "record_changed"
    CONTENDED = "LockContention"
    RESUMED = "resumed"
    DISPATCHED = "dispatched"
    SETTLED = "settled"
    HANDED_OFF = "handed_off"
    ABANDONED = "emergency_unlock"
    STAMPED = "stamped_foreign_lock"
    MOVED_HISTORY = "moved_history"
    REQUEUED = "requeued"
    DEAD_LETTER = "dead_letter"
    RESET = "reset_stalled_lock"
    RECOVERED = "recovered_orphan"
    SWEPT = "swept"
    OPT_OUT = "opt_out"
    CLAIMED = "claimed"
    SENT = "sent"
    IN_DOUBT = "send_in_doubt"
    RECONCILED = "reconciled"
    RELEASED = "released"
    REPLY_ENDED = "reply_ended_before"
    REPLY_REFUSED = "reply_refused"
    GAVE_REPLY_UP = "gave_stalled_reply_up"
    REPORTED = "delivery_reported"
    FAILED = "failed"


class Metric(StrEnum):
    """What is counted."""

    RECEIVED = "Received"
    STAGED = "Staged"
    DUPLICATE = "DuplicateMessageDetected"
    ANSWERED = "Answered"
    INVALID_SIGNATURE = "InvalidSignature"
    SECRET_FAILURE = "SecretFailure"
    UNKNOWN_SENDER = "UnknownSender"
    REFUSED = "Refused"
    BATCH_SIZE = "BatchSize"
    WINDOW_WAIT = "WindowWait"
    DISPATCHED = "Dispatched"
    HANDED_OFF = "HandedOff"
    CONTENTION = "LockContention"
    REQUEUED = "Requeued"
    DEAD_LETTER = "DeadLetter"
    STALL_RESET = "StallReset"
    ORPHAN_RECOVERED = "OrphanRecovered"
    OPT_OUT = "OptOut"
    REPLY_SENT = "ReplySent"
    REPLY_REFUSED = "ReplyRefused"
    REPLY_RETRIED = "ReplyRetried"
    REPLY_UNKNOWN = "ReplyUnknown"
    DELIVERY = "Delivery"
    UNKNOWN_SEND = "UnknownSend"
    FAULT = "Fault"


class Level(StrEnum):
    """How loud a line is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Fields(TypedDict, total=False):
    """All that a line may carry beside its step."""

    request_id: str
    message_sid: str
    conversation_id: str
    tenant: str
    channel: str
    trigger_id: str
    batch_id: str
    outcome: str
    code: str
    reason: str
    queue: str
    route: str
    attempt: int
    count: int
    seconds: float
    milliseconds: int


class Telemetry(Protocol):
    """Where use cases tell what they do."""

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        """One line for one step."""

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        """One line for a step that failed, with the error's code and words, or its type and places."""

    def count(self, metric: Metric, value: float = 1, *, channel: str = "none", outcome: str = "none") -> None:
        """Add to a metric, by channel and outcome, never by customer."""


class Trail:
    """What is known so far of the one thing that an invocation handles; each of its lines carries that."""

    def __init__(self, telemetry: Telemetry, **fields: Unpack[Fields]) -> None:
        self._telemetry = telemetry
        self._fields = fields

    def learn(self, **fields: Unpack[Fields]) -> None:
        """Know more from here on."""
        self._fields = {**self._fields, **fields}

    def with_fields(self, **fields: Unpack[Fields]) -> Trail:
        """A trail of its own for one of several things that an invocation handles."""
        merged: Fields = {**self._fields, **fields}
        return Trail(self._telemetry, **merged)

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        """One line for one step."""
        merged: Fields = {**self._fields, **fields}
        self._telemetry.log(step, level, **merged)

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        """One line for a step that failed."""
        merged: Fields = {**self._fields, **fields}
        self._telemetry.fault(step, error, level, **merged)

    def count(self, metric: Metric, value: float = 1, *, outcome: str = "none") -> None:
        """Add to a metric, under the channel that the trail knows."""
        self._telemetry.count(metric, value, channel=self._fields.get("channel", "none"), outcome=outcome)

    @property
    def request_id(self) -> str:
        """The id of the invocation."""
        return self._fields.get("request_id", "none")


class CloudWatch:
    """Log lines as JSON and metrics in CloudWatch's embedded format, both on standard output."""

    def __init__(self, stage: str, level: str) -> None:
        self._stage = stage
        self._logger = Logger(service=SERVICE, level=level, log_uncaught_exceptions=False)

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        getattr(self._logger, level)(step.value, extra={"step": step.value, "stage": self._stage, **fields})

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        told: Fields = {**describe(error), **fields}
        self.log(step, level, **told)

    def count(self, metric: Metric, value: float = 1, *, channel: str = "none", outcome: str = "none") -> None:
        unit = MetricUnit.Seconds if metric is Metric.WINDOW_WAIT else MetricUnit.Count
        dimensions = {"stage": self._stage, "channel": channel, "outcome": outcome}
        with single_metric(metric.value, unit, value, namespace=SERVICE, default_dimensions=dimensions):
            pass


def describe(error: BaseException) -> Fields:
    """What may be told of an error: our own words, or the type and places of one that is not ours."""
    if isinstance(error, EngineError):
        return {"code": error.code.value, "reason": error.detail}
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    return {"code": "INTERNAL_ERROR", "reason": f"{type(error).__name__} at {places}"}
