"""The answers to providers: one table from an outcome to an HTTP answer; the only file with status codes.

The rule: once a message is staged, acknowledge it. Before that, ask for a retry only if a retry can help.
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

_MESSAGES: dict[Code, str] = {
    Code.PARSING_ERROR: "the request could not be read",
    Code.MISSING_REQUIRED_FIELD: "a required field is missing",
    Code.MISDIRECTED_CALLBACK: "this URL takes messages, not status callbacks",
    Code.SENDER_WITHOUT_NUMBER: "the sender has no phone number, and no conversation names its user id",
    Code.CONVERSATION_NOT_FOUND: "there is no active conversation with this sender",
    Code.INVALID_SIGNATURE: "the request is not signed by the company's provider",
    Code.MISSING_CREDENTIAL_CONFIG: "the company's configuration names no secret",
    Code.SECRET_FETCH_FAILED: "the company's secret cannot be read",
    Code.CONFIGURATION_ERROR: "the deployment is not configured correctly",
    Code.PROJECT_INACTIVE: "the company's project is not active",
    Code.CHANNEL_NOT_ALLOWED: "the conversation does not allow this channel",
    Code.OPTED_OUT: "the customer has opted out",
    Code.SENDER_NOT_AUTHENTICATED: "the sender's domain does not authenticate the e-mail",
    Code.AUTOMATIC_MESSAGE: "automatic e-mail is not processed",
    Code.CONVERSATION_LOCKED: "the previous message is still being answered",
    Code.ROUTING_ERROR: "the message cannot be routed",
    Code.DB_QUERY_ERROR: "the database refused the request",
    Code.INTERNAL_ERROR: "an unexpected error occurred",
    Code.DB_TRANSIENT_ERROR: "the database is not available; try again",
    Code.SECRET_FETCH_TRANSIENT_ERROR: "the company's secret is not available; try again",
    Code.STAGE_WRITE_ERROR: "the message could not be stored; try again",
    Code.RECIPIENTS_LEFT: "not all recipients were looked at; try again",
    Code.TRIGGER_LOCK_WRITE_ERROR: "the message is stored and is processed later",
    Code.QUEUE_ERROR: "the message is stored and is processed later",
}
"""What the JSON body says beside the code: nothing of the company, the sender or the message."""


_STAGED = frozenset({Code.TRIGGER_LOCK_WRITE_ERROR, Code.QUEUE_ERROR})
"""Faults after a message was staged, which is acknowledged all the same; a report is not staged, and comes again."""


def answer(style: AnswerStyle, code: Code | None, *, notice: str = "", is_report: bool = False) -> Answer:
    """The answer to an outcome.

    Args:
        style: how the provider wants to be answered.
        code: what went wrong; None: the message was taken, or had been before.
        notice: what the customer is told by TwiML; empty: nothing.
        is_report: whether the request was a report on a message that was sent.
    """
    of_twilio, of_json = _STATUS[code] if code is not None else (_OK, _OK)
    if is_report and code in _STAGED:
        of_twilio = of_json = _RETRY
    match style:
        case AnswerStyle.TWIML:
            return Answer(of_twilio, "text/xml", _twiml(notice))
        case AnswerStyle.JSON:
            return Answer(of_json, "application/json", _json(code, of_json, _MESSAGES[code] if code else None))


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
    body = _json("UNKNOWN_PATH", HTTPStatus.NOT_FOUND, "no webhook has this path")
    return Answer(HTTPStatus.NOT_FOUND, "application/json", body)


def _json(code: str | None, status: HTTPStatus, message: str | None) -> str:
    told = {"message": message} if message is not None else {}
    return json.dumps({"success": status == _OK, "code": code, **told})


# What XML has no character for would make the whole answer unreadable.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _twiml(notice: str) -> str:
    message = f"<Message>{escape(_NO_XML.sub('', notice))}</Message>" if notice else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'
