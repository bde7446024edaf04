"""Every error of the engine, grouped by who must act on it.

    EngineError             has a code; its text never holds message text, numbers or secrets
    |-- Rejected            the sender or the tenant: the message is refused by a named rule
    |-- TryAgain            the world: throttled, unreachable, timed out; the same call may succeed later
    `-- Misconfigured       us: a retry fails again until somebody fixes it

Only `responses.py` maps a code to the answer that a provider gets. A broken invariant is an assertion. Losing a race is
a value, not an error.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """The names under which operators find what went wrong: in logs, metrics, dead letters and answers."""

    PARSING_ERROR = "PARSING_ERROR"
    MISSING_REQUIRED_FIELD = "MISSING_REQUIRED_FIELD"
    CONVERSATION_NOT_FOUND = "CONVERSATION_NOT_FOUND"
    SENDER_WITHOUT_NUMBER = "SENDER_WITHOUT_NUMBER"
    MISDIRECTED_CALLBACK = "MISDIRECTED_CALLBACK"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    MISSING_CREDENTIAL_CONFIG = "MISSING_CREDENTIAL_CONFIG"
    SECRET_FETCH_FAILED = "SECRET_FETCH_FAILED"
    CONFIGURATION_ERROR = "CONFIGURATION_ERROR"
    PROJECT_INACTIVE = "PROJECT_INACTIVE"
    CHANNEL_NOT_ALLOWED = "CHANNEL_NOT_ALLOWED"
    OPTED_OUT = "OPTED_OUT"
    AUTOMATIC_MESSAGE = "AUTOMATIC_MESSAGE"
    SENDER_NOT_AUTHENTICATED = "SENDER_NOT_AUTHENTICATED"
    CONVERSATION_LOCKED = "CONVERSATION_LOCKED"
    ROUTING_ERROR = "ROUTING_ERROR"
    DB_QUERY_ERROR = "DB_QUERY_ERROR"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    DB_TRANSIENT_ERROR = "DB_TRANSIENT_ERROR"
    SECRET_FETCH_TRANSIENT_ERROR = "SECRET_FETCH_TRANSIENT_ERROR"
    STAGE_WRITE_ERROR = "STAGE_WRITE_ERROR"
    RECIPIENTS_LEFT = "RECIPIENTS_LEFT"
    TRIGGER_LOCK_WRITE_ERROR = "TRIGGER_LOCK_WRITE_ERROR"
    QUEUE_ERROR = "QUEUE_ERROR"


class ReplyCode(StrEnum):
    """Why a reply was not sent, beside the provider's own codes; told to operators, for no provider waits for it."""

    STALE = "STALE_REPLY"
    SECOND = "SECOND_REPLY"
    NO_CONVERSATION = "NO_CONVERSATION"
    OTHER_COMPANY = "OTHER_COMPANY"
    NO_RECIPIENT = "NO_RECIPIENT"
    OPTED_OUT = "OPTED_OUT"
    OUTSIDE_WINDOW = "OUTSIDE_WINDOW"
    PARTS_CHANGED = "PARTS_CHANGED"
    TAKEN_OVER = "TAKEN_OVER"
    NOT_LOCKED = "NOT_LOCKED"
    TURN_TOO_LONG = "TURN_TOO_LONG"
    TOO_SOON = "TOO_SOON"
    RECORD_FULL = "RECORD_FULL"
    OTHER_HANDOFF = "OTHER_HANDOFF"
    UNKNOWN_OUTCOME = "UNKNOWN_OUTCOME"
    UNDELIVERED = "UNDELIVERED"


class EngineError(Exception):
    """An error with a code and a detail that is safe to log: names of resources, fields and settings only."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Rejected(EngineError):
    """The sender or the tenant must act; the message is refused."""


class TryAgain(EngineError):
    """The world must act; the same call may succeed later.

    `maybe_applied` tells a call whose answer was lost (True: it may have happened) from one that was refused
    before it could happen (False). A timeout is an unknown outcome, not a failure.
    """

    def __init__(self, code: Code, detail: str, *, maybe_applied: bool = False) -> None:
        super().__init__(code, detail)
        self.maybe_applied = maybe_applied


class Misconfigured(EngineError):
    """We must act: a missing table, queue, secret, right or setting, or a record that makes no sense."""
