"""What a provider is answered: every row of the design's table, for both kinds of provider."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from chalicelib.channels.channel import AnswerStyle
from chalicelib.errors import Code
from chalicelib.inbound import responses

TABLE = {
    None: (200, 200),
    Code.PARSING_ERROR: (200, 400),
    Code.MISSING_REQUIRED_FIELD: (200, 400),
    Code.CONVERSATION_NOT_FOUND: (200, 404),
    Code.INVALID_SIGNATURE: (200, 403),
    Code.SENDER_WITHOUT_NUMBER: (200, 404),
    Code.MISDIRECTED_CALLBACK: (200, 403),
    Code.MISSING_CREDENTIAL_CONFIG: (200, 500),
    Code.SECRET_FETCH_FAILED: (200, 500),
    Code.CONFIGURATION_ERROR: (200, 500),
    Code.PROJECT_INACTIVE: (200, 403),
    Code.CHANNEL_NOT_ALLOWED: (200, 403),
    Code.OPTED_OUT: (200, 403),
    Code.SENDER_NOT_AUTHENTICATED: (200, 403),
    Code.AUTOMATIC_MESSAGE: (200, 200),
    Code.CONVERSATION_LOCKED: (200, 409),
    Code.ROUTING_ERROR: (200, 500),
    Code.DB_QUERY_ERROR: (200, 500),
    Code.INTERNAL_ERROR: (200, 500),
    Code.DB_TRANSIENT_ERROR: (503, 503),
    Code.SECRET_FETCH_TRANSIENT_ERROR: (503, 503),
    Code.STAGE_WRITE_ERROR: (503, 503),
    Code.RECIPIENTS_LEFT: (503, 503),
    Code.TRIGGER_LOCK_WRITE_ERROR: (200, 200),
    Code.QUEUE_ERROR: (200, 200),
}
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'


def test_the_table_has_every_code():
    """A code without an answer would be a 500."""
    assert set(TABLE) == {None, *Code}


@pytest.mark.parametrize(("code", "statuses"), TABLE.items())
def test_twilio_is_answered_by_the_table(code: Code | None, statuses: tuple[int, int]):
    """TwiML that says nothing, but where a retry can mend it."""
    answer = responses.answer(AnswerStyle.TWIML, code)

    assert (answer.status, answer.content_type, answer.body) == (statuses[0], "text/xml", EMPTY_TWIML)


@pytest.mark.parametrize(("code", "statuses"), TABLE.items())
def test_a_provider_of_json_is_answered_by_the_table(code: Code | None, statuses: tuple[int, int]):
    """With the code and a message, so that its logs tell."""
    answer = responses.answer(AnswerStyle.JSON, code)

    assert (answer.status, answer.content_type) == (statuses[1], "application/json")
    document = json.loads(answer.body)
    assert (document["success"], document["code"]) == (statuses[1] == 200, code.value if code else None)
    assert bool(document.get("message")) is (code is not None)


@pytest.mark.parametrize("code", [None, Code.CONVERSATION_LOCKED])
@pytest.mark.parametrize("notice", ["One moment.", "a < b & c > d", "</Message></Response><Redirect/>", "Grüße 🌅"])
def test_a_notice_is_escaped(code: Code | None, notice: str):
    """It is text and never markup."""
    answer = responses.answer(AnswerStyle.TWIML, code, notice=notice)

    (message,) = ET.fromstring(answer.body.encode())  # noqa: S314  # our own answer
    assert (message.tag, message.text, list(message)) == ("Message", notice, [])


@pytest.mark.parametrize(
    ("outcomes", "answered"),
    [
        ([None, Code.DB_TRANSIENT_ERROR], Code.DB_TRANSIENT_ERROR),
        ([None, Code.SECRET_FETCH_FAILED], Code.SECRET_FETCH_FAILED),
        ([Code.INTERNAL_ERROR, Code.STAGE_WRITE_ERROR], Code.STAGE_WRITE_ERROR),
        ([Code.CONVERSATION_NOT_FOUND, None, Code.INVALID_SIGNATURE], None),
        ([Code.INVALID_SIGNATURE, Code.PROJECT_INACTIVE], Code.PROJECT_INACTIVE),
        ([Code.INVALID_SIGNATURE, Code.INVALID_SIGNATURE], Code.INVALID_SIGNATURE),
    ],
)
def test_of_several_outcomes_the_one_that_asks_for_most_is_answered(outcomes: list[Code | None], answered: Code | None):
    """A retry first, then our own fault, then what was taken, then a refusal."""
    assert min(outcomes, key=responses.precedence) is answered


@pytest.mark.parametrize("unreadable", ["\x00", "\x0b", "\ufffe", "\x1b"])
def test_what_xml_has_no_character_for_is_left_out_of_a_notice(unreadable: str):
    """One of them would make the whole answer unreadable."""
    answer = responses.answer(AnswerStyle.TWIML, None, notice=f"One{unreadable} moment.\n\tWe are here.")

    (message,) = ET.fromstring(answer.body.encode())  # noqa: S314  # our own answer
    assert message.text == "One moment.\n\tWe are here."


def test_an_unknown_path_is_not_found():
    """In JSON, for no provider calls it."""
    answer = responses.unknown_path()

    assert (answer.status, answer.content_type) == (404, "application/json")
    document = {"success": False, "code": "UNKNOWN_PATH", "message": "no webhook has this path"}
    assert json.loads(answer.body) == document
