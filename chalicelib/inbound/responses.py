"""What a provider is answered: one table from an outcome to an HTTP answer; the only file with status codes.

The rule: once a message is staged, acknowledge; before that, ask for a retry only of what a retry can mend.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from xml.sax.saxutils import escape

from chalicelib.channels.channel import AnswerStyle
from chalicelib.errors import Code


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    content_type: str
    body: str


_OK, _RETRY = HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE

_STATUS: dict[Code, tuple[HTTPStatus, HTTPStatus]] = {
    # code: (Twilio, JSON)                                                          who must act
    Code.PARSING_ERROR: (_OK, HTTPStatus.BAD_REQUEST),  # .......................... the sender
    Code.MISSING_REQUIRED_FIELD: (_OK, HTTPStatus.BAD_REQUEST),
    Code.CONVERSATION_NOT_FOUND: (_OK, HTTPStatus.NOT_FOUND),
    Code.SENDER_WITHOUT_NUMBER: (_OK, HTTPStatus.NOT_FOUND),
    Code.MISDIRECTED_CALLBACK: (_OK, HTTPStatus.FORBIDDEN),  # ..................... us: a URL in the provider's console
    Code.INVALID_SIGNATURE: (_OK, HTTPStatus.FORBIDDEN),  # ........................ a forger, or our configuration
    Code.MISSING_CREDENTIAL_CONFIG: (_OK, HTTPStatus.INTERNAL_SERVER_ERROR),  # .... us, and catch up
    Code.SECRET_FETCH_FAILED: (_OK, HTTPStatus.INTERNAL_SERVER_ERROR),
    Code.CONFIGURATION_ERROR: (_OK, HTTPStatus.INTERNAL_SERVER_ERROR),
    Code.PROJECT_INACTIVE: (_OK, HTTPStatus.FORBIDDEN),  # ......................... the tenant
    Code.CHANNEL_NOT_ALLOWED: (_OK, HTTPStatus.FORBIDDEN),
    Code.OPTED_OUT: (_OK, HTTPStatus.FORBIDDEN),
    Code.SENDER_NOT_AUTHENTICATED: (_OK, HTTPStatus.FORBIDDEN),  # ................. the sender's mail server
    Code.AUTOMATIC_MESSAGE: (_OK, _OK),  # ......................................... nobody: a machine wrote it
    Code.CONVERSATION_LOCKED: (_OK, HTTPStatus.CONFLICT),  # ....................... nobody; refused under `reject`
    Code.ROUTING_ERROR: (_OK, HTTPStatus.INTERNAL_SERVER_ERROR),  # ................ us, and catch up
    Code.DB_QUERY_ERROR: (_OK, HTTPStatus.INTERNAL_SERVER_ERROR),
    Code.INTERNAL_ERROR: (_OK, HTTPStatus.INTERNAL_SERVER_ERROR),
    Code.DB_TRANSIENT_ERROR: (_RETRY, _RETRY),  # .................................. the world: come again
    Code.SECRET_FETCH_TRANSIENT_ERROR: (_RETRY, _RETRY),
    Code.STAGE_WRITE_ERROR: (_RETRY, _RETRY),
    Code.RECIPIENTS_LEFT: (_RETRY, _RETRY),
    Code.TRIGGER_LOCK_WRITE_ERROR: (
        _OK,
        _OK,
    ),  # .................................. the world; staged, the sweep does it
    Code.QUEUE_ERROR: (_OK, _OK),
}


def answer(style: AnswerStyle, code: Code | None, *, notice: str = "") -> Answer:
    """The answer to an outcome.

    Args:
        style: how the provider wants to be answered.
        code: what went wrong; None: the message was taken, or had been before.
        notice: what the customer is told by TwiML; empty: nothing.
    """
    of_twilio, of_json = _STATUS[code] if code is not None else (_OK, _OK)
    match style:
        case AnswerStyle.TWIML:
            return Answer(of_twilio, "text/xml", _twiml(notice))
        case AnswerStyle.JSON:
            document = {"success": of_json == _OK, "code": code.value if code is not None else None}
            return Answer(of_json, "application/json", json.dumps(document))


def precedence(code: Code | None) -> int:
    """How strongly an outcome asks for its own answer where one request had several: the least number is answered.

    A retry reaches every recipient again and finds those that were taken as duplicates, so what a retry can mend comes
    first; then what was taken; a refusal is told where nobody took the message, and a forgery's answer last of all.
    """
    status = _STATUS[code][1] if code is not None else _OK
    if code is Code.INVALID_SIGNATURE:
        return 4
    return 0 if status == _RETRY else 1 if status >= HTTPStatus.INTERNAL_SERVER_ERROR else 2 if status == _OK else 3


def is_our_fault(code: Code) -> bool:
    """Whether an answer with this code says that what was told is dropped, and by us."""
    return _STATUS[code][1] is HTTPStatus.INTERNAL_SERVER_ERROR


def no_content() -> Answer:
    """The answer to a report that needs none, and to a proven probe: no refusal looks like it."""
    return Answer(HTTPStatus.NO_CONTENT, "text/plain", "")


def unknown_path() -> Answer:
    """The answer to a path that is none of ours."""
    return Answer(HTTPStatus.NOT_FOUND, "application/json", json.dumps({"success": False, "code": "UNKNOWN_PATH"}))


# What XML has no character for would make the whole answer unreadable.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _twiml(notice: str) -> str:
    message = f"<Message>{escape(_NO_XML.sub('', notice))}</Message>" if notice else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'
