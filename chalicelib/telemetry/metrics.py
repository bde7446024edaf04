"""Every metric, with its meaning and the bounded list of its outcomes.

Guarantee: an outcome is one of the words that the metric's `Measure` lists. Neither a provider nor a company can create
further metrics; docs/metrics.md is held equal to this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aws_lambda_powertools.metrics import MetricUnit

from chalicelib.errors import Code, ReplyCode


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
    FALLBACK_NOT_SENT = "FallbackNotSent"
    AUTOMATIC_MESSAGE = "AutomaticMessage"
    UNAUTHENTICATED_EMAIL = "UnauthenticatedEmail"
    REFUSED = "Refused"
    BATCH_SIZE = "BatchSize"
    WINDOW_WAIT = "WindowWait"
    MEDIA_COPIED = "MediaCopied"
    DISPATCHED = "Dispatched"
    RECEIPT_TO_DISPATCH = "ReceiptToDispatch"
    HANDED_OFF = "HandedOff"
    ANSWERS_MAX_REACHED = "AnswersMaxReached"
    CONTENTION = "LockContention"
    REQUEUED = "Requeued"
    DEAD_LETTER = "DeadLetter"
    STALL_RESET = "StallReset"
    ORPHAN_RECOVERED = "OrphanRecovered"
    OPT_OUT = "OptOut"
    NO_REPLY = "NoReply"
    REPLY_SENT = "ReplySent"
    RECEIPT_TO_REPLY = "ReceiptToReply"
    REPLY_REFUSED = "ReplyRefused"
    REPLY_RETRIED = "ReplyRetried"
    REPLY_UNKNOWN = "ReplyUnknown"
    ACCOUNT_FAULT = "AccountFault"
    DELIVERY = "Delivery"
    UNDELIVERED_CUSTOMER = "UndeliveredCustomer"
    UNDELIVERED_WRITER = "UndeliveredWriter"
    UNDELIVERED_OPERATOR = "UndeliveredOperator"
    UNDELIVERED_PROVIDER = "UndeliveredProvider"
    UNDELIVERED_UNKNOWN = "UndeliveredUnknown"
    RESENT = "Resent"
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


_ROUTES = frozenset({"channel", "handoff", "opt_out"})


_SECRET_CODES = frozenset(
    {Code.MISSING_CREDENTIAL_CONFIG.value, Code.SECRET_FETCH_FAILED.value, Code.SECRET_FETCH_TRANSIENT_ERROR.value}
)


_COMES_AGAIN = frozenset({"AT_WORK", "INTERIM_MESSAGE", "IN_DOUBT", "NO_TIME_LEFT", "UNREACHABLE"})


_DELIVERY_STATUSES = frozenset(
    {"accepted", "scheduled", "queued", "sending", "sent", "delivered", "read", "failed", "undelivered", "canceled"}
)


_FAILED_STATUSES = frozenset({"failed", "undelivered"})


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
    Metric.STAGED: Measure("a message was staged, by where it would go now", _ROUTES),
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
        "a sender without an active conversation wrote, by whether they receive a text; `capped`: the company's "
        "address has sent as many within this hour as the policy `unknown_sender_messages_per_hour` allows",
        frozenset({"sent", "silent", "sent_before", "capped", "failed"}),
    ),
    Metric.FALLBACK_NOT_SENT: Measure(
        "a message to an unknown sender was given up, refused or is in doubt, by our code; a provider's own is `other`",
        _CODES | {ReplyCode.NO_RECIPIENT, ReplyCode.UNKNOWN_OUTCOME, "UNREACHABLE"},
        of_provider=True,
    ),
    Metric.AUTOMATIC_MESSAGE: Measure(
        "an automatic reply, a bounce, a list's or a loop's e-mail was left out",
        frozenset({Code.AUTOMATIC_MESSAGE.value}),
    ),
    Metric.UNAUTHENTICATED_EMAIL: Measure(
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
    Metric.ANSWERS_MAX_REACHED: Measure(
        "messages of these for a conversation that had as many automatic answers within the hour as its policy allows"
    ),
    Metric.CONTENTION: Measure("a trigger found its conversation locked by another batch"),
    Metric.REQUEUED: Measure(
        "a trigger was sent again, by why: `CONVERSATION_LOCKED`, or the code that it failed with", _CODES
    ),
    Metric.DEAD_LETTER: Measure("we sent a trigger or a reply to its dead-letter queue"),
    Metric.STALL_RESET: Measure("a stalled lock was reset, by policy `stall_action`", frozenset({"warn", "handoff"})),
    Metric.ORPHAN_RECOVERED: Measure("the sweep triggered an orphaned message, or a batch that was never answered"),
    Metric.OPT_OUT: Measure("a customer said so", frozenset({"STOP", "START", "HELP"})),
    Metric.REPLY_SENT: Measure("a provider took one part of a reply"),
    Metric.NO_REPLY: Measure("the AI had nothing to say to a batch"),
    Metric.RECEIPT_TO_REPLY: Measure(
        "from the receipt of the oldest message of a batch to its whole reply", unit=MetricUnit.Seconds
    ),
    Metric.REPLY_REFUSED: Measure(
        "a reply was not sent, or not wholly, by our code; a provider's own is `other`",
        frozenset({*ReplyCode, Code.MISSING_CREDENTIAL_CONFIG} - {ReplyCode.UNKNOWN_OUTCOME, ReplyCode.UNDELIVERED}),
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
    Metric.ACCOUNT_FAULT: Measure(
        "a provider refused a part of a reply because of the company's account or its configuration; it comes again"
    ),
    Metric.DELIVERY: Measure(
        "a report raised what is known of a part that was sent", _DELIVERY_STATUSES, of_provider=True
    ),
    **{
        metric: Measure(f"a provider took a message and could not deliver it, because of {what}", _FAILED_STATUSES)
        for metric, what in (
            (Metric.UNDELIVERED_CUSTOMER, "the customer or their number"),
            (Metric.UNDELIVERED_WRITER, "what the reply or its template says"),
            (Metric.UNDELIVERED_OPERATOR, "the company's account or senders"),
            (Metric.UNDELIVERED_PROVIDER, "the provider or a carrier"),
            (Metric.UNDELIVERED_UNKNOWN, "a code that is in no table"),
        )
    },
    Metric.RESENT: Measure(
        "a message that was not delivered was sent once more, or was not, by why",
        frozenset({"sent", "not_the_last_word", "not_safe", "refused"}),
    ),
    Metric.UNKNOWN_SEND: Measure("a report named a part that we do not know"),
    Metric.FAULT: Measure("a step failed by the world's fault or ours, by code", _CODES),
}
"""Every metric, once; docs/metrics.md is held equal to it."""


DIMENSIONS = (("stage", "channel", "outcome"), ("stage",))
"""Under which each metric can be found: in detail for the dashboard, and summed up for the alarms."""


def bounded_outcome(metric: Metric, outcome: str) -> str:
    """`outcome` as the dimension has it: a listed word, `none`, or `other`."""
    return outcome if outcome == NONE or outcome in MEASURES[metric].outcomes else OTHER


def bounded_channel(channel: str) -> str:
    """`channel` as the dimension has it."""
    return channel if channel in CHANNELS else OTHER
