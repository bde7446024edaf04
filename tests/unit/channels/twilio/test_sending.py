"""Sending through Twilio: the official library against a stub for its API, on the loopback interface."""

from __future__ import annotations

import json
import logging.config
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.channels.connections import Connections
from chalicelib.channels.sender import InDoubt, OutboundPart, PermanentFailure, Sent, TemporaryFailure
from chalicelib.channels.twilio.sending import TwilioSender
from chalicelib.clock import SystemClock
from chalicelib.errors import Code, EngineError, Misconfigured, TryAgain
from local.processes.ports import free
from local.stubs.twilio import Fault, Kind, TwilioStub
from tests.world import ACCOUNT_SID, AUTH_TOKEN

CUSTOMER, COMPANY = "+4915112345678", "+14155238886"
SECRET = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN})
SECRET_WITH_KEY = json.dumps(
    {
        "account_sid": ACCOUNT_SID,
        "auth_token": "rotated meanwhile",
        "api_key": "SK" + "1" * 32,
        "api_secret": "secret-of-the-key",
    }
)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def part(**changes) -> OutboundPart:
    return OutboundPart(
        **{
            "send_id": "0" * 40,
            "to": f"whatsapp:{CUSTOMER}",
            "sender": f"whatsapp:{COMPANY}",
            "messaging_service_sid": None,
            "body": "Your room is booked.",
            "content_sid": None,
            "content_variables": {},
            "media_urls": (),
            "status_callback": None,
            **changes,
        }
    )


def sender_to(url: str, *, read_seconds: float = 10) -> TwilioSender:
    return TwilioSender(
        connect_seconds=10, read_seconds=read_seconds, base_url=url, connections=Connections(SystemClock())
    )


@pytest.fixture
def sender(twilio: TwilioStub) -> TwilioSender:
    return sender_to(twilio.url)


class TestSend:
    def test_a_message_that_twilio_takes_is_sent_under_its_sid(self, sender, twilio):
        """From the company's number to the customer's, with its text."""
        wanted = part()

        outcome = sender.send(wanted, SECRET)

        (taken,) = twilio.messages
        assert outcome == Sent(taken.sid)
        assert (taken.to, taken.sender, taken.body) == (wanted.to, wanted.sender, wanted.body)
        assert taken.messaging_service_sid is None

    def test_an_api_key_sends_in_place_of_the_auth_token(self, sender, twilio):
        """Where the secret has a key, the token is not used."""
        wanted = part()

        outcome = sender.send(wanted, SECRET_WITH_KEY)

        assert outcome == Sent(twilio.messages[0].sid)

    def test_a_messaging_service_sends_from_the_number_that_the_customer_wrote_to(self, sender, twilio):
        """Both are told: the service's features, and no other number of its pool."""
        wanted = part(messaging_service_sid="MG" + "2" * 32)

        outcome = sender.send(wanted, SECRET)

        (taken,) = twilio.messages
        assert outcome == Sent(taken.sid)
        assert (taken.messaging_service_sid, taken.sender) == ("MG" + "2" * 32, wanted.sender)

    @pytest.mark.parametrize("body", ["Two pictures", ""])
    def test_media_go_with_a_text_or_alone(self, sender, twilio, body):
        """All of them, in order."""
        urls = ("https://a.example/1.png", "https://a.example/2.png")

        outcome = sender.send(part(body=body, media_urls=urls), SECRET)

        (taken,) = twilio.messages
        assert outcome == Sent(taken.sid)
        assert (taken.media_urls, taken.body) == (urls, body)

    def test_a_template_goes_with_its_variables_and_without_a_text(self, sender, twilio):
        """The provider puts the text together."""
        wanted = part(body="", content_sid="HX" + "3" * 32, content_variables={"1": "Ann"})

        outcome = sender.send(wanted, SECRET)

        (taken,) = twilio.messages
        assert outcome == Sent(taken.sid)
        assert taken.content_sid == wanted.content_sid
        assert json.loads(taken.content_variables) == {"1": "Ann"}

    def test_the_status_callback_goes_along(self, sender, twilio):
        """Twilio receives the URL for status callbacks, and repeats those that we cannot take."""
        twilio.fail_next(Fault(statuses=()))
        url = "https://hooks.example.com/webhooks/twilio/status/0123"

        sender.send(part(status_callback=url), SECRET)

        assert twilio.messages[0].status_callback == f"{url}#rc=3&rp=all"


class TestOutcomes:
    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (Fault(kind=Kind.TOO_MANY, retry_after_seconds=7), TemporaryFailure("20429", 7)),
            (Fault(kind=Kind.TOO_MANY), TemporaryFailure("20429")),
            (Fault(kind=Kind.REFUSE, code=63018), TemporaryFailure("63018")),
            (Fault(kind=Kind.REFUSE, code=21606), TemporaryFailure("21606", is_ours_to_mend=True)),
            (Fault(kind=Kind.REFUSE, code=21703), TemporaryFailure("21703", is_ours_to_mend=True)),
            (Fault(kind=Kind.REFUSE, code=29999, status=403), TemporaryFailure("29999", is_ours_to_mend=True)),
            (Fault(kind=Kind.REFUSE, code=21610), PermanentFailure("21610", is_opt_out=True)),
            (Fault(kind=Kind.REFUSE, code=63016), PermanentFailure("63016")),
            (Fault(kind=Kind.REFUSE, code=21211), PermanentFailure("21211")),
        ],
    )
    def test_what_twilio_does_not_take_is_tried_later_or_never(self, sender, twilio, fault, expected):
        """Too many requests, and what is ours to mend: later. A refusal: never, with Twilio's code."""
        twilio.fail_next(fault)

        outcome = sender.send(part(), SECRET)

        assert outcome == expected
        assert twilio.messages == []

    def test_a_recipient_that_is_no_number_is_refused_for_good(self, sender, twilio):
        """Twilio says so itself."""
        wanted = part(to="whatsapp:nobody")

        outcome = sender.send(wanted, SECRET)

        assert outcome == PermanentFailure("21211")

    @pytest.mark.parametrize("kind", [Kind.SLOW, Kind.LOST, Kind.GARBLED])
    def test_an_answer_that_does_not_come_or_cannot_be_read_leaves_the_send_in_doubt(self, twilio, kind):
        """The message was taken, and nobody knows it."""
        twilio.fail_next(Fault(kind=kind))

        outcome = sender_to(twilio.url, read_seconds=0.2).send(part(), SECRET)

        assert outcome == InDoubt()
        assert len(twilio.messages) == 1

    @pytest.mark.parametrize("kind", [Kind.SERVER_ERROR, Kind.SERVER_ERROR_AFTER_TAKING])
    def test_a_5xx_leaves_the_send_in_doubt_whether_it_was_taken_or_not(self, sender, twilio, kind):
        """Twilio answers some creates with a 5xx after it took the message; the answer looks the same."""
        twilio.fail_next(Fault(kind=kind))

        outcome = sender.send(part(), SECRET)

        assert outcome == InDoubt(is_server_error=True, error_code="20500")
        assert len(twilio.messages) == (kind is Kind.SERVER_ERROR_AFTER_TAKING)

    @pytest.mark.parametrize("status", [400, 403, 404, 413, 429])
    def test_a_4xx_without_twilios_own_document_proves_nothing(self, sender, twilio, status):
        """A gateway before Twilio may have answered, after it passed the message on."""
        twilio.fail_next(Fault(kind=Kind.PAGE, status=status))

        outcome = sender.send(part(), SECRET)

        assert outcome == InDoubt(error_code=str(status))

    def test_a_408_is_in_doubt_whatever_its_code(self, sender, twilio):
        """Twilio gave up waiting, perhaps for an answer of its own servers."""
        twilio.fail_next(Fault(kind=Kind.REFUSE, code=20408))

        outcome = sender.send(part(), SECRET)

        assert outcome == InDoubt(error_code="20408")

    def test_a_code_in_no_row_is_in_doubt_and_named(self, sender, twilio):
        """Nobody knows what it means: it is the safe case, and never sent again blind."""
        twilio.fail_next(Fault(kind=Kind.REFUSE, code=29999))

        outcome = sender.send(part(), SECRET)

        assert outcome == InDoubt(error_code="29999")

    def test_a_connection_that_is_refused_is_tried_later(self):
        """Nothing left this machine, so nothing is in doubt."""
        (nobody,) = free(1)

        outcome = sender_to(f"http://127.0.0.1:{nobody}").send(part(), SECRET)

        assert outcome == TemporaryFailure("UNREACHABLE")

    def test_a_token_that_twilio_does_not_know_sends_nothing(self, sender, twilio):
        """The outcome names Twilio's code, by which an operator finds the secret that is wrong."""
        wrong = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": "wrong"})

        outcome = sender.send(part(), wrong)

        assert outcome.error_code == "20003"
        assert twilio.messages == []

    @pytest.mark.parametrize("secret", ["{", "{}", '{"account_sid": "AC1"}'])
    def test_a_malformed_secret_is_ours_to_mend(self, sender, twilio, secret):
        """Nothing is sent, and the error tells nothing of the secret."""
        with pytest.raises(Misconfigured) as error:
            sender.send(part(), secret)

        assert error.value.code is Code.SECRET_FETCH_FAILED
        assert twilio.messages == []


class TestFind:
    def test_the_message_is_found_by_recipient_and_text(self, sender, twilio):
        """Among others to the same customer, and the same to others."""
        sent = sender.send(part(), SECRET)
        sender.send(part(body="Something else"), SECRET)
        sender.send(part(to="whatsapp:+4915100000000"), SECRET)

        found = sender.find(part(), SECRET, since=LONG_AGO)

        assert found == [sent.provider_sid]

    def test_all_that_fit_are_found(self, sender, twilio):
        """Two parts may say the same; the newest comes first, as Twilio lists them."""
        first, second = sender.send(part(), SECRET), sender.send(part(), SECRET)

        found = sender.find(part(), SECRET, since=LONG_AGO)

        assert found == [second.provider_sid, first.provider_sid]

    @pytest.mark.parametrize(
        ("since", "count"), [(timedelta(seconds=20), 1), (timedelta(minutes=5), 0)], ids=["clocks differ", "older"]
    )
    def test_a_message_that_is_older_than_the_send_is_not_it(self, sender, twilio, since, count):
        """But for half a minute, by which Twilio's clock may lag behind ours."""
        sender.send(part(), SECRET)
        (taken,) = twilio.messages

        found = sender.find(part(), SECRET, since=taken.created_at + since)

        assert len(found) == count

    def test_nothing_is_found_where_nothing_was_sent(self, sender, twilio):
        """An empty list is an answer."""
        wanted = part()

        found = sender.find(wanted, SECRET, since=LONG_AGO)

        assert found == []

    def test_a_template_is_found_by_its_recipient(self, sender, twilio):
        """Its text is Twilio's, and unknown to us."""
        wanted = part(body="", content_sid="HX" + "3" * 32)
        sent = sender.send(wanted, SECRET)

        found = sender.find(wanted, SECRET, since=LONG_AGO)

        assert found == [sent.provider_sid]

    def test_a_message_whose_answer_was_lost_is_found(self, sender, twilio):
        """What reconciling rests on."""
        twilio.fail_next(Fault(kind=Kind.LOST))
        sender.send(part(), SECRET)

        found = sender.find(part(), SECRET, since=LONG_AGO)

        assert found == [twilio.messages[0].sid]

    @pytest.mark.parametrize(
        ("body", "listed"),
        [
            ("\u201cYes\u201d \u2013 it\u2019s booked\u2026", '"Yes" - it\'s booked...'),
            ("Your room is booked.", "Sent from your Twilio trial account - Your room is booked."),
            ("two\n\nlines ", "two lines"),
            ("\U0001f44d", "\U0001f44d"),
        ],
        ids=["Smart Encoding", "a trial account", "white space", "no letter at all"],
    )
    def test_a_text_that_twilio_changed_is_found(self, sender, twilio, body, listed):
        """Else a message that was taken would count as missing."""
        sent = sender.send(part(body=listed), SECRET)

        assert sender.find(part(body=body), SECRET, since=LONG_AGO) == [sent.provider_sid]

    @pytest.mark.parametrize("to", ["whatsapp:+525512345678", "whatsapp:+5215512345678"])
    @pytest.mark.parametrize("of_list", ["whatsapp:+525512345678", "whatsapp:+5215512345678"])
    def test_a_recipient_that_twilio_lists_in_the_other_spelling_is_found(self, sender, twilio, to, of_list):
        """As above."""
        sent = sender.send(part(to=of_list), SECRET)

        assert sender.find(part(to=to), SECRET, since=LONG_AGO) == [sent.provider_sid]

    def test_a_medium_without_a_text_is_found_by_itself(self, sender, twilio):
        """And no text is taken for it."""
        sender.send(part(), SECRET)
        sent = sender.send(part(body="", media_urls=("https://example.com/a.jpg",)), SECRET)

        assert sender.find(part(body=""), SECRET, since=LONG_AGO) == [sent.provider_sid]

    def test_another_text_is_not_found(self, sender, twilio):
        """It proves nothing."""
        sender.send(part(body="Your room is taken."), SECRET)

        assert sender.find(part(body="Your room is booked."), SECRET, since=LONG_AGO) == []

    @pytest.mark.parametrize("kind", [Kind.TOO_MANY, Kind.SERVER_ERROR])
    def test_a_twilio_that_cannot_be_asked_now_is_asked_later(self, sender, twilio, kind):
        """No answer is not an empty one."""
        twilio.fail_next(Fault(kind=kind, is_of_list=True))

        with pytest.raises(TryAgain):
            sender.find(part(), SECRET, since=LONG_AGO)

    def test_a_twilio_that_nobody_reaches_is_asked_later(self):
        """As above."""
        (nobody,) = free(1)

        with pytest.raises(TryAgain):
            sender_to(f"http://127.0.0.1:{nobody}").find(part(), SECRET, since=LONG_AGO)

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(kind=Kind.REFUSE, code=20003, is_of_list=True),
            Fault(kind=Kind.REFUSE, code=20005, is_of_list=True),
            Fault(kind=Kind.REFUSE, code=20403, is_of_list=True),
            Fault(kind=Kind.REFUSE, code=20404, is_of_list=True),
            Fault(kind=Kind.REFUSE, code=29999, status=403, is_of_list=True),
            Fault(kind=Kind.REFUSE, code=29999, status=404, is_of_list=True),
        ],
        ids=lambda fault: f"{fault.status} {fault.code}",
    )
    def test_a_look_up_that_the_account_is_at_fault_for_is_ours_to_mend(self, sender, twilio, fault):
        """By the table: neither an empty list, nor a fault that time mends."""
        twilio.fail_next(fault)

        with pytest.raises(Misconfigured):
            sender.find(part(), SECRET, since=LONG_AGO)

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(kind=Kind.PAGE, status=403, is_of_list=True),
            Fault(kind=Kind.PAGE, status=404, is_of_list=True),
            Fault(kind=Kind.REFUSE, code=29999, status=400, is_of_list=True),
            Fault(kind=Kind.REFUSE, code=20429, is_of_list=True),
        ],
        ids=lambda fault: f"{fault.kind} {fault.status} {fault.code}",
    )
    def test_a_look_up_that_a_gateway_or_an_unknown_code_refuses_is_asked_again(self, sender, twilio, fault):
        """Who answers with a page of their own is not Twilio."""
        twilio.fail_next(fault)

        with pytest.raises(TryAgain):
            sender.find(part(), SECRET, since=LONG_AGO)

    def test_a_look_up_that_twilio_does_not_allow_proves_nothing(self, sender):
        """It is an error, and no empty list."""
        wrong = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": "wrong"})

        with pytest.raises(EngineError):
            sender.find(part(), wrong, since=LONG_AGO)


@pytest.mark.parametrize("kind", list(Kind))
def test_no_line_of_any_logger_tells_a_number_a_text_or_a_token(sender, twilio, lines, kind):
    """The library logs whole requests, and its HTTP library the URL of each: neither is heard, on any level."""
    twilio.fail_next(Fault(kind=kind, statuses=()))

    sender_to(twilio.url, read_seconds=0.2).send(part(), SECRET)
    sender.find(part(), SECRET, since=LONG_AGO)

    secrets = (CUSTOMER.strip("+"), COMPANY.strip("+"), "room is booked", AUTH_TOKEN)
    assert [line for line in lines if any(secret in line for secret in secrets)] == []


def test_a_set_up_of_logging_does_not_wake_the_library_s_lines(sender, lines):
    """`dictConfig`, which servers and frameworks call, enables every logger that it finds."""
    logging.config.dictConfig({"version": 1, "incremental": False, "disable_existing_loggers": False})

    sender.find(part(), SECRET, since=LONG_AGO)

    assert [line for line in lines if "BEGIN Twilio API Request" in line or CUSTOMER.strip("+") in line] == []


class TestTyping:
    def test_the_indicator_is_shown_on_the_customer_s_message(self, sender):
        """Twilio's resource takes it."""
        assert sender.show_typing("SM" + "1" * 32, SECRET) is None

    @pytest.mark.parametrize("kind", [Kind.TOO_MANY, Kind.SERVER_ERROR, Kind.LOST, Kind.SLOW, Kind.GARBLED])
    def test_whatever_twilio_answers_nothing_else_fails(self, sender, twilio, kind):
        """A 429, a 5xx, a lost, late or unreadable answer is told by its name, and is not asked again."""
        twilio.fail_next(Fault(kind=kind, is_of_typing=True))

        outcome = sender_to(twilio.url, read_seconds=0.2).show_typing("SM" + "1" * 32, SECRET)

        assert outcome is not None
        assert outcome.startswith("not shown: ")
        assert twilio.faults_to_come == []
        assert isinstance(sender.send(part(), SECRET), Sent)

    def test_an_unreachable_twilio_shows_none(self):
        """Nobody listens."""
        assert sender_to(f"http://127.0.0.1:{free(1)[0]}").show_typing("SM1", SECRET) == "not shown: ConnectionError"

    def test_a_secret_that_twilio_does_not_take_is_named(self, sender):
        """As in a look-up."""
        wrong = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": "rotated meanwhile"})

        with pytest.raises(Misconfigured, match="401"):
            sender.show_typing("SM" + "1" * 32, wrong)

    def test_a_secret_that_cannot_send_is_named(self, sender):
        """Whoever asked for the indicator goes on."""
        with pytest.raises(Misconfigured):
            sender.show_typing("SM1", "no secret")
