"""The tables of outcomes: each row is played by the provider's stub, and does what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from chalicelib.channels.answers import Answer, outcome_of
from chalicelib.channels.connections import Connections
from chalicelib.channels.outcomes import SERVER_ERROR, Arrives, Reaction, Row
from chalicelib.channels.sender import InDoubt, OutboundPart, PermanentFailure, SendOutcome, TemporaryFailure
from chalicelib.channels.sendgrid.outcomes import TABLE as SENDGRID
from chalicelib.channels.sendgrid.sending import SendGridSender
from chalicelib.channels.twilio.outcomes import OPTED_OUT
from chalicelib.channels.twilio.outcomes import TABLE as TWILIO
from chalicelib.channels.twilio.sending import TwilioSender
from chalicelib.clock import SystemClock
from local.stubs import sendgrid as sendgrid_stub
from local.stubs import twilio as twilio_stub
from local.stubs.server import Kind
from tests.unit.channels.sendgrid.test_sending import SECRET as SENDGRID_SECRET
from tests.unit.channels.sendgrid.test_sending import part as email_part
from tests.world import ACCOUNT_SID, AUTH_TOKEN

TWILIO_SECRET = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN})
OF_STATUS = ("401", "403", "404", "408", "429", SERVER_ERROR)
"""Rows of Twilio's that a status decides."""
UNKNOWN_CODE = 29999


def part() -> OutboundPart:
    return OutboundPart(
        send_id="0" * 40,
        to="whatsapp:+4915112345678",
        sender="whatsapp:+14155238886",
        messaging_service_sid=None,
        body="Your room is booked.",
        content_sid=None,
        content_variables={},
        media_urls=(),
        status_callback="http://127.0.0.1:9/webhooks/twilio/status/0123",
    )


@dataclass(frozen=True)
class Case:
    """One row as the stub plays it."""

    row: Row
    fault: twilio_stub.Fault | sendgrid_stub.Fault


def _twilio_fault(row: Row) -> twilio_stub.Fault:
    if row.code == SERVER_ERROR:
        return twilio_stub.Fault(kind=Kind.SERVER_ERROR)
    if row.code in OF_STATUS:
        return twilio_stub.Fault(kind=Kind.REFUSE, code=UNKNOWN_CODE, status=int(row.code))
    return twilio_stub.Fault(kind=Kind.REFUSE, code=min(code for code in twilio_stub.ERRORS if covers(row, str(code))))


def _sendgrid_fault(row: Row) -> sendgrid_stub.Fault:
    if row.code == SERVER_ERROR:
        return sendgrid_stub.Fault(kind=Kind.SERVER_ERROR)
    return sendgrid_stub.Fault(kind=Kind.REFUSE, status=int(row.code))


def covers(row: Row, code: str) -> bool:
    """Whether a code is the row's, or in its range."""
    return row.code == code or (row.code.endswith("xx") and code.startswith(row.code[:-2]) and len(code) == 5)


def reaction_of(outcome: SendOutcome) -> Reaction:
    """The reaction that an outcome stands for."""
    match outcome:
        case PermanentFailure():
            return Reaction.END
        case TemporaryFailure(is_ours_to_mend=is_ours):
            return Reaction.OURS_TO_MEND if is_ours else Reaction.RETRY
        case InDoubt():
            return Reaction.IN_DOUBT
        case _:
            raise AssertionError("the stub took the message")


@pytest.fixture
def sendgrid() -> Iterator[sendgrid_stub.SendGridStub]:
    """Knows one account, which may send from any address."""
    key = json.loads(SENDGRID_SECRET)["api_key"]
    with sendgrid_stub.SendGridStub([sendgrid_stub.Account(key)]) as running:
        yield running


TWILIO_CASES = [Case(row, _twilio_fault(row)) for row in TWILIO.rows.values() if row.is_answered]
SENDGRID_CASES = [Case(row, _sendgrid_fault(row)) for row in SENDGRID.rows.values() if row.is_answered]


@pytest.mark.parametrize("case", TWILIO_CASES, ids=lambda case: case.row.code)
def test_a_send_that_twilio_answers_with_a_code_is_treated_as_its_row_says(twilio, case):
    """Each row, through Twilio's own library."""
    twilio.fail_next(case.fault)
    sender = TwilioSender(0.2, 0.5, base_url=twilio.url, connections=Connections(SystemClock()))

    outcome = sender.send(part(), TWILIO_SECRET)

    assert reaction_of(outcome) is case.row.reaction
    assert isinstance(outcome, InDoubt) is (case.row.reaction is Reaction.IN_DOUBT)
    assert isinstance(outcome, InDoubt) or outcome.error_code == str(case.fault.code)


@pytest.mark.parametrize("case", SENDGRID_CASES, ids=lambda case: case.row.code)
def test_a_send_that_sendgrid_answers_with_a_status_is_treated_as_its_row_says(sendgrid, case):
    """Each row."""
    sendgrid.fail_next(case.fault)
    sender = SendGridSender(0.2, 0.5, base_url=sendgrid.url, connections=Connections(SystemClock()))

    outcome = sender.send(email_part(), SENDGRID_SECRET)

    assert reaction_of(outcome) is case.row.reaction


def test_each_row_of_twilios_has_a_case_in_the_stub_and_the_reverse():
    """A code that the stub can play and the table does not know would be played for nothing."""
    known = {str(code) for code in twilio_stub.ERRORS}
    answered = [row for row in TWILIO.rows.values() if row.is_answered and row.code not in OF_STATUS]

    missing = {row.code for row in answered if not any(covers(row, code) for code in known)}
    spare = {code for code in known if not any(covers(row, code) for row in answered)}

    assert missing == set()
    assert spare == {"20408", "20500"}, "their statuses decide"
    assert {row.code for row in TWILIO.rows.values() if row.is_reported} == twilio_stub.FAILURES


def test_each_row_of_sendgrids_has_a_case_in_the_stub_and_the_reverse():
    """As above."""
    statuses = {int(code) for code in SENDGRID.rows if code != SERVER_ERROR}

    assert statuses == sendgrid_stub.REFUSALS


@pytest.mark.parametrize("table", [TWILIO, SENDGRID], ids=["twilio", "sendgrid"])
def test_every_row_tells_what_it_means_and_where_that_is_known_from(table):
    """A code without a meaning helps no operator."""
    rows = table.rows.values()

    assert all(row.meaning and row.source for row in rows)
    assert len({row.meaning for row in rows}) > len(rows) / 2


def test_only_what_the_provider_itself_kept_back_may_be_resent():
    """What a carrier or a channel may have had in its hands is never sent again by itself."""
    resent = {row.code for row in TWILIO.rows.values() if row.may_be_resent}

    assert resent == {"14107", "30001", "30036", "63017", "63018"}
    assert all(TWILIO.rows[code].reaction is Reaction.RETRY for code in resent)
    assert all(TWILIO.rows[code].arrives is not Arrives.BY_ANSWER for code in resent)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@pytest.mark.parametrize("code", [None, "20500", "21610", "63018"])
def test_no_code_makes_a_5xx_certain(status, code):
    """The status is the stronger word: the message may have been taken."""
    outcome = outcome_of(TWILIO, Answer(status, is_of_provider=True, code=code))

    assert outcome == InDoubt(is_server_error=True, error_code=code or str(status))


def test_the_code_of_an_opt_out_is_told():
    """The conversation is marked by it."""
    outcome = outcome_of(TWILIO, Answer(400, is_of_provider=True, code=OPTED_OUT))

    assert outcome == PermanentFailure(OPTED_OUT, is_opt_out=True)


@pytest.mark.parametrize("answer", [Answer(302, is_of_provider=True), Answer(200, is_of_provider=False)])
def test_what_is_neither_taken_nor_refused_is_in_doubt(answer):
    """Who answered is not the provider."""
    outcome = outcome_of(TWILIO, answer)

    assert isinstance(outcome, InDoubt)
    assert not outcome.is_server_error
