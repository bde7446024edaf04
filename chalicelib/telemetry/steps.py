"""The log steps, one per transition, and the fields that a log line may carry."""

from __future__ import annotations

from enum import StrEnum
from typing import TypedDict


class Step(StrEnum):
    """The steps of the flow: one verb per transition."""

    RECEIVED = "received"
    LOOKED_UP = "looked_up_conversation"
    SECRET_FETCHED = "secret_fetched"
    SIGNATURE_ACCEPTED = "signature_accepted"
    CONTEXT_LOADED = "context_loaded"
    RULES_PASSED = "rules_passed"
    REFUSED = "refused"
    STAGED = "staged"
    DUPLICATE = "DuplicateMessageDetected"
    TRIGGERED = "triggered"
    WAITING = "already_triggered"
    ANSWERED = "answered_provider"
    RESPELLED = "found_by_other_spelling"
    SEVERAL_ACTIVE = "several_active_conversations"
    POLICY_NOT_APPLIED = "policy_not_applied"
    NO_CALLBACK = "no_status_callback"
    NOTHING_STAGED = "nothing_staged"
    STILL_TYPING = "still_typing"
    MEDIA_COPIED = "media_copied"
    MEDIA_NOT_COPIED = "media_not_copied"
    ACQUIRED = "acquired"
    CHANGED = "record_changed"
    CONTENDED = "LockContention"
    RESTARTED = "restarted"
    RESUMED = "resumed"
    DISPATCHED = "dispatched"
    SETTLED = "settled"
    HANDED_OFF = "handed_off"
    ANSWERS_MAX_REACHED = "answers_max_reached"
    EMERGENCY_UNLOCK = "emergency_unlock"
    STAMPED = "stamped_foreign_lock"
    MOVED_HISTORY = "moved_history"
    REQUEUED = "requeued"
    DEAD_LETTER = "dead_letter"
    RESET = "reset_stalled_lock"
    RECOVERED = "recovered_orphan"
    SWEPT = "swept"
    OPT_OUT = "opt_out"
    OPT_OUT_UNKNOWN = "unknown_opt_out_type"
    CLAIMED = "claimed"
    SENT = "sent"
    IN_DOUBT = "send_in_doubt"
    SENT_AGAIN = "sent_again"
    RECONCILED = "reconciled"
    RELEASED = "released"
    EXTENDED = "extended"
    NO_REPLY = "no_reply"
    INTERIM_ENDED = "interim_ended"
    GIVEN_BACK = "given_back"
    CLAMPED = "clamped"
    TYPING = "typing_indicator"
    REPLY_ENDED = "reply_ended_before"
    REPLY_REFUSED = "reply_refused"
    REPLY_ABANDONED = "stalled_reply_abandoned"
    ACCOUNT_FAULT = "account_fault"
    REPORTED = "delivery_reported"
    UNDELIVERED = "undelivered"
    RESENT = "resent"
    NOT_RESENT = "not_resent"
    NOT_HANDED_OFF = "not_handed_off"
    FALLBACK_SENT = "fallback_sent"
    FALLBACK_NOT_SENT = "fallback_not_sent"
    FAILED = "failed"


class Level(StrEnum):
    """How loud a line is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Fields(TypedDict, total=False):
    """All that a line may carry beside its step. One without a value is left out."""

    request_id: str
    api_request_id: str
    xray_trace_id: str | None
    sqs_message_id: str
    receive_count: int | None
    sender_trace_id: str | None
    message_sid: str
    conversation_id: str
    tenant: str
    channel: str
    trigger_id: str
    batch_id: str
    outcome: str | None
    code: str | None
    reason: str
    queue: str
    route: str
    attempt: int | None
    count: int
    status: int
    seconds: float
    milliseconds: int


OF_TROUBLE = frozenset({"sqs_message_id"})
"""The fields that stand in warnings and errors alone: by them a message is found in a dead-letter queue."""
ORIGIN = OF_TROUBLE | {"api_request_id", "xray_trace_id", "receive_count", "sender_trace_id", "attempt", "trigger_id"}
"""The fields that tell where an invocation's work came from. A trail tells them once; `request_id` finds them again."""
