"""Every metric, with its meaning and the bounded list of its outcomes.

Guarantee: an outcome is one of the words that the metric's `Measure` lists. Neither a provider nor a company can create
further metrics; docs/metrics.md is held equal to this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

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
    RESTARTED = "Restarted"
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


_COMES_AGAIN = frozenset({"AT_WORK", "HELD", "INTERIM_MESSAGE", "IN_DOUBT", "NO_TIME_LEFT", "UNREACHABLE"})


_DELIVERY_STATUSES = frozenset(
    {"accepted", "scheduled", "queued", "sending", "sent", "delivered", "read", "failed", "undelivered", "canceled"}
)


_FAILED_STATUSES = frozenset({"failed", "undelivered"})


class Unit(StrEnum):
    """What a metric is measured in, as CloudWatch spells it."""

    COUNT = "Count"
    SECONDS = "Seconds"


@dataclass(frozen=True)
class Measure:
    """What a metric means, and the words that its outcome may be."""

    note: str
    outcomes: frozenset[str] = frozenset()
    """Empty: the metric has one outcome, and tells it as `none`."""
    unit: Unit = Unit.COUNT
    of_provider: bool = False
    """Whether the outcome may be a provider's own code or status too, which counts as `other` unless it is listed."""


MEASURES: Mapping[Metric, Measure] = {
    Metric.RECEIVED: Measure("a webhook was parsed as a message, verified or not"),
    Metric.STAGED: Measure("a message was staged, by its route at that moment", _ROUTES),
    Metric.DUPLICATE: Measure(
        "a duplicate was received: `staged` when the message was still staged, `answered` when the record had it",
        frozenset({"staged", "answered"}),
    ),
    Metric.ANSWERED: Measure(
        "a provider's webhook or report was answered by something other than success, by code", _CODES | {"probe"}
    ),
    Metric.OWN_FAULT: Measure("what a provider sent was dropped by a fault of this deployment: run `catch-up`", _CODES),
    Metric.INVALID_SIGNATURE: Measure(
        "a request was not signed by its company's provider", frozenset({Code.INVALID_SIGNATURE.value})
    ),
    Metric.SECRET_FAILURE: Measure("a secret could not be read, or is malformed", _SECRET_CODES),
    Metric.UNKNOWN_SENDER: Measure(
        "a sender without an active conversation wrote, by whether they receive a text; `capped`: the company's "
        "address reached the policy `unknown_sender_messages_per_hour`",
        frozenset({"sent", "silent", "sent_before", "capped", "failed"}),
    ),
    Metric.FALLBACK_NOT_SENT: Measure(
        "a message to an unknown sender was not sent or is in doubt, by the engine's code; a provider's is `other`",
        _CODES | {ReplyCode.NO_RECIPIENT, ReplyCode.UNKNOWN_OUTCOME, "UNREACHABLE"},
        of_provider=True,
    ),
    Metric.AUTOMATIC_MESSAGE: Measure(
        "an automatic reply, a bounce, or an e-mail of a list or a loop was ignored",
        frozenset({Code.AUTOMATIC_MESSAGE.value}),
    ),
    Metric.UNAUTHENTICATED_EMAIL: Measure(
        "an e-mail was refused because neither SPF nor DKIM proves its sender's domain",
        frozenset({Code.SENDER_NOT_AUTHENTICATED.value}),
    ),
    Metric.REFUSED: Measure(
        "a message was refused by a rule; `proven_for_another`: it is verified for another of its addresses only",
        _CODES | {PROVEN_FOR_ANOTHER},
    ),
    Metric.BATCH_SIZE: Measure("messages in a dispatched batch, including carried ones"),
    Metric.WINDOW_WAIT: Measure(
        "time from the receipt of a dispatched batch's first new message to its lock", unit=Unit.SECONDS
    ),
    Metric.MEDIA_COPIED: Measure(
        "a media file of a provider was copied to the bucket, or not, by reason",
        frozenset({"copied", "copy_failed", "too_many", "too_large", "type_not_allowed"}),
    ),
    Metric.DISPATCHED: Measure("a batch was sent to the AI queue, including repeats after a crash"),
    Metric.RECEIPT_TO_DISPATCH: Measure(
        "time from the receipt of a batch's first new message to its dispatch, including crashes",
        unit=Unit.SECONDS,
    ),
    Metric.HANDED_OFF: Measure("messages sent to people"),
    Metric.ANSWERS_MAX_REACHED: Measure(
        "messages sent to people because the conversation reached its policy's automatic answers per hour"
    ),
    Metric.CONTENTION: Measure("a trigger found its conversation locked by another batch"),
    Metric.RESTARTED: Measure("a running batch was replaced by a larger one, by the policy `on_new_message: restart`"),
    Metric.REQUEUED: Measure(
        "a trigger was sent again, by reason: `CONVERSATION_LOCKED`, or the code of its failure", _CODES
    ),
    Metric.DEAD_LETTER: Measure("the engine sent a trigger or a reply to its dead-letter queue"),
    Metric.STALL_RESET: Measure("a stalled lock was reset, by policy `stall_action`", frozenset({"warn", "handoff"})),
    Metric.ORPHAN_RECOVERED: Measure("the sweep triggered an orphaned message or an unanswered batch"),
    Metric.OPT_OUT: Measure("a customer sent this keyword", frozenset({"STOP", "START", "HELP"})),
    Metric.REPLY_SENT: Measure("a provider accepted one part of a reply"),
    Metric.NO_REPLY: Measure("the AI chose not to reply to a batch"),
    Metric.RECEIPT_TO_REPLY: Measure(
        "time from the receipt of a batch's oldest message to its complete reply", unit=Unit.SECONDS
    ),
    Metric.REPLY_REFUSED: Measure(
        "a reply was not sent, or only in part, by the engine's code; a provider's is `other`",
        frozenset({*ReplyCode, Code.MISSING_CREDENTIAL_CONFIG} - {ReplyCode.UNKNOWN_OUTCOME, ReplyCode.UNDELIVERED}),
        of_provider=True,
    ),
    Metric.REPLY_RETRIED: Measure(
        "a reply or a message to an unknown sender was requeued, by reason; a provider's code is `other`",
        _CODES | _COMES_AGAIN,
        of_provider=True,
    ),
    Metric.REPLY_UNKNOWN: Measure(
        "it is unknown whether a reply reached the customer; `stalled`: the sweep gave it up",
        frozenset({"stalled", ReplyCode.UNKNOWN_OUTCOME.value}),
    ),
    Metric.ACCOUNT_FAULT: Measure(
        "a provider refused a part of a reply because of the company's account or configuration; the reply is retried"
    ),
    Metric.DELIVERY: Measure(
        "a report said something new of a part: that it was sent, which was in doubt, or a later status",
        _DELIVERY_STATUSES,
        of_provider=True,
    ),
    **{
        metric: Measure(f"a provider accepted a message and could not deliver it, because of {what}", _FAILED_STATUSES)
        for metric, what in (
            (Metric.UNDELIVERED_CUSTOMER, "the customer or their number"),
            (Metric.UNDELIVERED_WRITER, "what the reply or its template says"),
            (Metric.UNDELIVERED_OPERATOR, "the company's account or senders"),
            (Metric.UNDELIVERED_PROVIDER, "the provider or a carrier"),
            (Metric.UNDELIVERED_UNKNOWN, "a code that is in no table"),
        )
    },
    Metric.RESENT: Measure(
        "an undelivered message was sent once more, or not, by reason",
        frozenset({"sent", "not_the_last_word", "not_safe", "refused"}),
    ),
    Metric.UNKNOWN_SEND: Measure("a report named an unknown part"),
    Metric.FAULT: Measure("a step failed by a fault of AWS, a provider or this deployment, by code", _CODES),
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
