"""What an operator sees: one log line per step of the flow, and metrics by a fixed list of names.

Guarantee: no message text, number, address or secret reaches a line, and no customer a metric. A line carries the
fields of `Fields` and nothing else, and what looks like a number or an address in one of them is covered; an error's
own words are written by us and name resources only, and of an error that is not ours only its type and the places in
the code are told. A metric's outcome is one of the words that its `Measure` lists: neither a provider nor a company can
make more metrics than docs/metrics.md has.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypedDict, Unpack

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from chalicelib.clock import Clock
from chalicelib.errors import Code, EngineError, ReplyCode

SERVICE = "replies-engine"
"""Names the service in lines, and the namespace of the metrics."""


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
    MEDIA_COPIED = "media_copied"
    MEDIA_NOT_COPIED = "media_not_copied"
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
    TOLD = "told_unknown_sender"
    UNTOLD = "unknown_sender_not_told"
    FAILED = "failed"


class Metric(StrEnum):
    """What is counted and measured; `MEASURES` says what each means."""

    RECEIVED = "Received"
    STAGED = "Staged"
    DUPLICATE = "DuplicateMessageDetected"
    ANSWERED = "Answered"
    OWN_FAULT = "OwnFault"
    INVALID_SIGNATURE = "InvalidSignature"
    SECRET_FAILURE = "SecretFailure"
    UNKNOWN_SENDER = "UnknownSender"
    UNTOLD = "UnknownSenderNotTold"
    AUTOMATIC_MESSAGE = "AutomaticMessage"
    UNAUTHORISED_EMAIL = "UnauthorisedEmail"
    REFUSED = "Refused"
    BATCH_SIZE = "BatchSize"
    WINDOW_WAIT = "WindowWait"
    MEDIA_COPIED = "MediaCopied"
    DISPATCHED = "Dispatched"
    RECEIPT_TO_DISPATCH = "ReceiptToDispatch"
    HANDED_OFF = "HandedOff"
    CONTENTION = "LockContention"
    REQUEUED = "Requeued"
    DEAD_LETTER = "DeadLetter"
    STALL_RESET = "StallReset"
    ORPHAN_RECOVERED = "OrphanRecovered"
    OPT_OUT = "OptOut"
    REPLY_SENT = "ReplySent"
    RECEIPT_TO_REPLY = "ReceiptToReply"
    REPLY_REFUSED = "ReplyRefused"
    REPLY_RETRIED = "ReplyRetried"
    REPLY_UNKNOWN = "ReplyUnknown"
    DELIVERY = "Delivery"
    UNKNOWN_SEND = "UnknownSend"
    FAULT = "Fault"


NONE = "none"
"""The channel of what belongs to none, and the outcome of what has but one."""

OTHER = "other"
"""The outcome that stands for every word that is not listed: a provider's code or status. The line tells which."""

CHANNELS = frozenset({"whatsapp", "sms", "email", NONE})
"""The values of the dimension `channel`."""

PROVEN_FOR_ANOTHER = "proven_for_another"
"""The outcome of a message that went to addresses of two companies, for the one whose provider did not sign it."""

_CODES = frozenset(code.value for code in Code)
_ROUTES = frozenset({"channel", "handoff"})
_SECRET_CODES = frozenset(
    {Code.MISSING_CREDENTIAL_CONFIG.value, Code.SECRET_FETCH_FAILED.value, Code.SECRET_FETCH_TRANSIENT_ERROR.value}
)
_COMES_AGAIN = frozenset({"AT_WORK", "IN_DOUBT", "NO_TIME_LEFT", "UNREACHABLE"})
_DELIVERY_STATUSES = frozenset(
    {"accepted", "scheduled", "queued", "sending", "sent", "delivered", "read", "failed", "undelivered", "canceled"}
)


@dataclass(frozen=True)
class Measure:
    """What a metric means, and the words that its outcome may be."""

    note: str
    outcomes: frozenset[str] = frozenset()
    """Empty: the metric has one outcome, and tells it as `none`."""
    unit: MetricUnit = MetricUnit.Count
    of_provider: bool = False
    """Whether the outcome may be a provider's own code or status too, which counts as `other` unless it is listed."""


MEASURES: Mapping[Metric, Measure] = {
    Metric.RECEIVED: Measure("a webhook was read as a message, whoever sent it"),
    Metric.STAGED: Measure("a message was staged, by its route", _ROUTES),
    Metric.DUPLICATE: Measure(
        "a message came again: `staged` when its webhook found it staged, `answered` when the record had it already",
        frozenset({"staged", "answered"}),
    ),
    Metric.ANSWERED: Measure("a provider's webhook or report was answered, by code", _CODES | {"success", "probe"}),
    Metric.OWN_FAULT: Measure("what a provider told was dropped by a fault of ours: catch up", _CODES),
    Metric.INVALID_SIGNATURE: Measure(
        "a request was not signed by its company's provider", frozenset({Code.INVALID_SIGNATURE.value})
    ),
    Metric.SECRET_FAILURE: Measure("a secret could not be had, or is malformed", _SECRET_CODES),
    Metric.UNKNOWN_SENDER: Measure(
        "a proven provider told of a sender who has no active conversation, by whether they are told so",
        frozenset({"told", "silent", "told_already", "failed"}),
    ),
    Metric.UNTOLD: Measure(
        "a message to an unknown sender was given up, refused or is in doubt, by our code; a provider's own is `other`",
        _CODES | {ReplyCode.NO_RECIPIENT, ReplyCode.UNKNOWN_OUTCOME, "UNREACHABLE"},
        of_provider=True,
    ),
    Metric.AUTOMATIC_MESSAGE: Measure(
        "an automatic reply, a bounce, a list's or a loop's e-mail was left out",
        frozenset({Code.AUTOMATIC_MESSAGE.value}),
    ),
    Metric.UNAUTHORISED_EMAIL: Measure(
        "an e-mail was refused whose sender's domain does not vouch for it",
        frozenset({Code.SENDER_NOT_AUTHENTICATED.value}),
    ),
    Metric.REFUSED: Measure(
        "a message was refused by a named rule, or is not proven for one of its addresses where it is for another",
        _CODES | {PROVEN_FOR_ANOTHER},
    ),
    Metric.BATCH_SIZE: Measure("messages in a batch that was dispatched, carried ones included"),
    Metric.WINDOW_WAIT: Measure("from the receipt of a batch's first new message to its lock", unit=MetricUnit.Seconds),
    Metric.MEDIA_COPIED: Measure(
        "a medium that a provider keeps was copied to the bucket, or was not, by why",
        frozenset({"copied", "copy_failed", "too_many", "too_large", "type_not_allowed"}),
    ),
    Metric.DISPATCHED: Measure("a batch was sent to the AI queue, repeats after a crash included"),
    Metric.RECEIPT_TO_DISPATCH: Measure(
        "from the receipt of a batch's first new message to its dispatch, crashes included", unit=MetricUnit.Seconds
    ),
    Metric.HANDED_OFF: Measure("messages that were sent to people"),
    Metric.CONTENTION: Measure("a trigger found its conversation locked by another batch"),
    Metric.REQUEUED: Measure("a trigger that failed was sent again, by what it failed with", _CODES),
    Metric.DEAD_LETTER: Measure("we sent a trigger or a reply to its dead-letter queue"),
    Metric.STALL_RESET: Measure("a stalled lock was reset, by `STALL_ACTION`", frozenset({"warn", "handoff"})),
    Metric.ORPHAN_RECOVERED: Measure("the sweep triggered or handed off an orphaned message, by its route", _ROUTES),
    Metric.OPT_OUT: Measure("a customer said so", frozenset({"STOP", "START", "HELP"})),
    Metric.REPLY_SENT: Measure("a provider took one part of a reply"),
    Metric.RECEIPT_TO_REPLY: Measure(
        "from the receipt of the oldest message of a batch to its whole reply", unit=MetricUnit.Seconds
    ),
    Metric.REPLY_REFUSED: Measure(
        "a reply was not sent, or not wholly, by our code; a provider's own is `other`",
        frozenset({*ReplyCode, Code.MISSING_CREDENTIAL_CONFIG} - {ReplyCode.UNKNOWN_OUTCOME}),
        of_provider=True,
    ),
    Metric.REPLY_RETRIED: Measure(
        "a reply, or what an unknown sender is told, was sent to its own queue again, by why; "
        "a provider's own code is `other`",
        _CODES | _COMES_AGAIN,
        of_provider=True,
    ),
    Metric.REPLY_UNKNOWN: Measure(
        "nobody can say whether a reply reached the customer: `stalled` when the sweep gave it up",
        frozenset({"stalled", ReplyCode.UNKNOWN_OUTCOME.value}),
    ),
    Metric.DELIVERY: Measure(
        "a report raised what is known of a part that was sent", _DELIVERY_STATUSES, of_provider=True
    ),
    Metric.UNKNOWN_SEND: Measure("a report named a part that we do not know"),
    Metric.FAULT: Measure("a step failed by the world's fault or ours, by code", _CODES),
}
"""Every metric, once; docs/metrics.md is held equal to it."""

DIMENSIONS = (("stage", "channel", "outcome"), ("stage",))
"""Under which each metric can be found: in detail for the dashboard, and summed up for the alarms."""


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
    api_request_id: str
    sqs_message_id: str
    receive_count: int
    sender_trace_id: str
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
    status: int
    seconds: float
    milliseconds: int


class Telemetry(Protocol):
    """Where use cases tell what they do."""

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        """One line for one step."""

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        """One line for a step that failed, with the error's code and words, or its type and places."""

    def count(self, metric: Metric, value: float = 1, *, channel: str = NONE, outcome: str = NONE) -> None:
        """Add to a metric, by channel and outcome, never by customer."""


class Trail:
    """What is known so far of the one thing that an invocation handles; each of its lines carries that.

    And the milliseconds since the trail began, so that the differences tell how long each step took.
    """

    def __init__(self, telemetry: Telemetry, clock: Clock, **fields: Unpack[Fields]) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._began = clock.monotonic()
        self._fields = fields

    def learn(self, **fields: Unpack[Fields]) -> None:
        """Know more from here on."""
        self._fields = {**self._fields, **fields}

    def with_fields(self, **fields: Unpack[Fields]) -> Trail:
        """A trail of its own, beginning now, for one of several things that an invocation handles."""
        merged: Fields = {**self._fields, **fields}
        return Trail(self._telemetry, self._clock, **merged)

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        """One line for one step."""
        merged: Fields = {**self._fields, "milliseconds": self._elapsed, **fields}
        self._telemetry.log(step, level, **merged)

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        """One line for a step that failed."""
        merged: Fields = {**self._fields, "milliseconds": self._elapsed, **fields}
        self._telemetry.fault(step, error, level, **merged)

    def count(self, metric: Metric, value: float = 1, *, outcome: str = NONE) -> None:
        """Add to a metric, under the channel that the trail knows."""
        self._telemetry.count(metric, value, channel=self._fields.get("channel", NONE), outcome=outcome)

    @property
    def request_id(self) -> str:
        """The id of the invocation."""
        return self._fields.get("request_id", "none")

    @property
    def _elapsed(self) -> int:
        return round((self._clock.monotonic() - self._began) * 1_000)


class CloudWatch:
    """Log lines as JSON and metrics in CloudWatch's embedded format, both on standard output.

    Each metric is one line of its own, written when it is counted: an invocation that dies has told what it did.
    """

    def __init__(self, stage: str, level: str) -> None:
        self._stage = stage
        # The place in the code would always be the one below.
        self._logger = Logger(service=SERVICE, level=level, log_uncaught_exceptions=False, location=None)

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        told = {name: redacted(value) if isinstance(value, str) else value for name, value in fields.items()}
        getattr(self._logger, level)(step.value, extra={"step": step.value, "stage": self._stage, **told})

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        told: Fields = {**describe(error), **fields}
        self.log(step, level, **told)

    def count(self, metric: Metric, value: float = 1, *, channel: str = NONE, outcome: str = NONE) -> None:
        known = {"stage": self._stage, "channel": bounded_channel(channel), "outcome": bounded_outcome(metric, outcome)}
        in_detail, summed_up = ({name: known[name] for name in names} for names in DIMENSIONS)
        blob = AmazonCloudWatchEMFProvider(namespace=SERVICE, dimension_set=in_detail)
        blob.add_dimensions(**summed_up)
        blob.add_metric(metric.value, MEASURES[metric].unit, value)
        print(json.dumps(blob.serialize_metric_set(), separators=(",", ":")))  # noqa: T201 - CloudWatch reads the output


_PRIVATE = re.compile(
    r"""\+\d[\d ().-]{4,}\d        # a number as the world writes it: +49 151 12345678
    |   [^\s<>"'@]+@[^\s<>"'@]+   # an address
    """,
    re.VERBOSE,
)
COVERED = "[private]"


def redacted(text: str) -> str:
    """`text` with every number and address covered. The net below `Fields`: nothing of the sort is given to a line."""
    return _PRIVATE.sub(COVERED, text)


def bounded_outcome(metric: Metric, outcome: str) -> str:
    """`outcome` as the dimension has it: a listed word, `none`, or `other`."""
    return outcome if outcome == NONE or outcome in MEASURES[metric].outcomes else OTHER


def bounded_channel(channel: str) -> str:
    """`channel` as the dimension has it."""
    return channel if channel in CHANNELS else OTHER


def describe(error: BaseException) -> Fields:
    """What may be told of an error: our own words, or the type and places of one that is not ours."""
    if isinstance(error, EngineError):
        return {"code": error.code.value, "reason": error.detail}
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    return {"code": "INTERNAL_ERROR", "reason": f"{type(error).__name__} at {places}"}
