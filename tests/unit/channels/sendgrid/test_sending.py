"""Sending through SendGrid: the shipped sender against a stub for its API, on the loopback interface."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from chalicelib.channels.connections import Connections
from chalicelib.channels.sender import InDoubt, OutboundPart, PermanentFailure, Sent, TemporaryFailure
from chalicelib.channels.sendgrid.sending import SendGridSender
from chalicelib.clock import SystemClock
from chalicelib.errors import Code, Misconfigured, ReplyCode, TryAgain
from local.processes.ports import free
from local.stubs.sendgrid import Account, Fault, Kind, SendGridStub

CUSTOMER, COMPANY = "ann@example.net", "help@acme.example"
API_KEY, API_KEY_WITHOUT_ACTIVITY = "SG.key-of-the-first-tenant", "SG.key-without-activity"
SECRET = json.dumps({"public_key": "MFkw", "api_key": API_KEY})
SECRET_WITHOUT_ACTIVITY = json.dumps({"api_key": API_KEY_WITHOUT_ACTIVITY})
SEND_ID = "5" * 40
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERS = {"subject": "Which room?", "email_message_id": "<q2@example.net>", "references": "<q0@acme.example>"}


def part(**changes) -> OutboundPart:
    return OutboundPart(
        **{
            "send_id": SEND_ID,
            "to": CUSTOMER,
            "sender": COMPANY,
            "messaging_service_sid": None,
            "body": "Your room is booked.",
            "content_sid": None,
            "content_variables": {},
            "media_urls": (),
            "status_callback": None,
            "answers": ANSWERS,
            **changes,
        }
    )


def sender_to(url: str, *, read_seconds: float = 10) -> SendGridSender:
    return SendGridSender(
        connect_seconds=10, read_seconds=read_seconds, base_url=url, connections=Connections(SystemClock())
    )


@pytest.fixture
def sendgrid() -> Iterator[SendGridStub]:
    accounts = [
        Account(API_KEY, frozenset({COMPANY})),
        Account(API_KEY_WITHOUT_ACTIVITY, has_activity=False),
    ]
    with SendGridStub(accounts) as running:
        yield running


@pytest.fixture
def sender(sendgrid: SendGridStub) -> SendGridSender:
    return sender_to(sendgrid.url)


class TestSend:
    def test_an_e_mail_that_sendgrid_takes_is_sent_under_its_id(self, sender, sendgrid):
        """From the company's address to the customer's, with its text."""
        wanted = part()

        outcome = sender.send(wanted, SECRET)

        (taken,) = sendgrid.mails
        assert outcome == Sent(taken.id)
        assert (taken.to, taken.sender, taken.text) == (CUSTOMER, COMPANY, "Your room is booked.")

    def test_it_stands_in_the_thread_that_it_answers(self, sender, sendgrid):
        """The customer's client shows it below the question, and its machines know it for an automatic answer."""
        wanted = part()

        sender.send(wanted, SECRET)

        (taken,) = sendgrid.mails
        assert taken.subject == "Re: Which room?"
        assert taken.headers == {
            "Message-ID": f"<{SEND_ID}@acme.example>",
            "In-Reply-To": "<q2@example.net>",
            "References": "<q0@acme.example> <q2@example.net>",
            "Auto-Submitted": "auto-replied",
        }

    def test_an_answer_of_a_person_says_nothing_of_machines(self, sender, sendgrid):
        """It is threaded all the same."""
        wanted = part(is_automatic=False)

        sender.send(wanted, SECRET)

        (taken,) = sendgrid.mails
        assert "Auto-Submitted" not in taken.headers
        assert taken.headers["In-Reply-To"] == "<q2@example.net>"

    def test_the_record_keeps_what_threads_the_e_mail(self, sender, sendgrid):
        """By the names that an inbound e-mail's extras have, and as it was sent."""
        wanted = part()
        sender.send(wanted, SECRET)
        (taken,) = sendgrid.mails

        extras = sender.extras(wanted)

        assert extras == {
            "subject": taken.subject,
            "email_message_id": taken.headers["Message-ID"],
            "in_reply_to": taken.headers["In-Reply-To"],
            "references": taken.headers["References"],
        }

    def test_texts_and_links_go_out_as_they_are_written(self, sender, sendgrid):
        """Nothing is counted, so nothing is replaced or added."""
        wanted = part()

        sender.send(wanted, SECRET)

        (taken,) = sendgrid.mails
        assert [one["enable"] for one in taken.delivery_reports.values()] == [False, False, False]
        assert taken.delivery_reports["click_tracking"]["enable_text"] is False
        assert set(taken.delivery_reports) == {"click_tracking", "open_tracking", "subscription_tracking"}

    @pytest.mark.parametrize(("body", "before"), [("Two pictures", "Two pictures\n\n"), ("", "")])
    def test_media_are_links_below_the_text(self, sender, sendgrid, body, before):
        """All of them, in order, each on a line of its own."""
        urls = ("https://a.example/1.png", "https://a.example/2.png")

        sender.send(part(body=body, media_urls=urls), SECRET)

        assert sendgrid.mails[0].text == before + "https://a.example/1.png\nhttps://a.example/2.png"

    def test_a_template_goes_with_its_variables_and_without_a_text(self, sender, sendgrid):
        """SendGrid puts the text together; the subject is among the variables, so that it can stay in the thread."""
        wanted = part(
            body="",
            content_sid="d-" + "3" * 32,
            content_variables={"name": "Ann"},
            media_urls=("https://a.example/1.png",),
        )

        outcome = sender.send(wanted, SECRET)

        (taken,) = sendgrid.mails
        assert outcome == Sent(taken.id)
        assert (taken.template_id, taken.text) == (wanted.content_sid, "")
        assert taken.template_data == {
            "name": "Ann",
            "subject": "Re: Which room?",
            "media_urls": ["https://a.example/1.png"],
        }

    def test_a_long_text_of_any_letters_arrives_whole(self, sender, sendgrid):
        """An e-mail is one part."""
        text = 'Grüße 漢字 🎉 "quoted" \\ \n.\nFrom here on\n' * 2_000

        sender.send(part(body=text), SECRET)

        assert sendgrid.mails[0].text == text


class TestOutcomes:
    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (Fault(kind=Kind.TOO_MANY, retry_after_seconds=7), TemporaryFailure("429", 7)),
            (Fault(kind=Kind.REFUSE, status=403, field="from"), TemporaryFailure("403 from", is_ours_to_mend=True)),
            (Fault(kind=Kind.REFUSE, status=400, field="template_id"), PermanentFailure("400 template_id")),
            (Fault(kind=Kind.REFUSE, status=400, field="no name, but a sentence"), PermanentFailure("400")),
        ],
    )
    def test_what_sendgrid_does_not_take_is_tried_later_or_never(self, sender, sendgrid, fault, expected):
        """Too many requests, and what is ours to mend: later. An e-mail that is not valid: never."""
        sendgrid.fail_next(fault)

        outcome = sender.send(part(), SECRET)

        assert outcome == expected
        assert sendgrid.mails == []

    def test_a_recipient_that_sendgrid_takes_for_none_is_refused_for_good(self, sender, sendgrid):
        """By the field that it complains of; its words, which may quote the address, are left out."""
        wanted = part(to="ann@nowhere")

        outcome = sender.send(wanted, SECRET)

        assert outcome == PermanentFailure("400 personalizations.0.to.0.email")

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "ann",
            "ann@a.example\r\nBcc: eve@b.example",
            "ann@a.example,eve@b.example",
            "Ann <ann@a.example>",
            "a@b@c.d",
        ],
    )
    @pytest.mark.parametrize("end", ["to", "sender"])
    def test_what_is_more_or_less_than_one_address_is_not_shown_to_sendgrid(self, sender, sendgrid, end, address):
        """No line of its own, no second recipient."""
        wanted = part(**{end: address})

        outcome = sender.send(wanted, SECRET)

        assert outcome == PermanentFailure(ReplyCode.NO_RECIPIENT)
        assert sendgrid.mails == []

    @pytest.mark.parametrize("kind", [Kind.SLOW, Kind.LOST, Kind.GARBLED])
    def test_an_answer_that_does_not_come_or_is_not_sendgrids_leaves_the_send_in_doubt(self, sendgrid, kind):
        """The e-mail was taken, and nobody knows it."""
        sendgrid.fail_next(Fault(kind=kind))

        outcome = sender_to(sendgrid.url, read_seconds=0.2).send(part(), SECRET)

        assert outcome == InDoubt()
        assert len(sendgrid.mails) == 1

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_5xx_leaves_the_send_in_doubt(self, sender, sendgrid, status):
        """SendGrid, or a gateway before it, may have passed the e-mail on before it failed."""
        sendgrid.fail_next(Fault(kind=Kind.REFUSE, status=status))

        outcome = sender.send(part(), SECRET)

        assert outcome == InDoubt(is_server_error=True, error_code=str(status))

    def test_a_5xx_after_taking_looks_the_same(self, sender, sendgrid):
        """The e-mail was taken."""
        sendgrid.fail_next(Fault(kind=Kind.SERVER_ERROR_AFTER_TAKING))

        outcome = sender.send(part(), SECRET)

        assert outcome == InDoubt(is_server_error=True, error_code="503")
        assert len(sendgrid.mails) == 1

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
    def test_a_4xx_without_sendgrids_own_document_proves_nothing(self, sender, sendgrid, status):
        """A gateway before SendGrid may have answered, after it passed the e-mail on."""
        sendgrid.fail_next(Fault(kind=Kind.PAGE, status=status))

        outcome = sender.send(part(), SECRET)

        assert outcome == InDoubt(error_code=str(status))

    def test_a_status_in_no_row_is_in_doubt_and_named(self, sender, sendgrid):
        """Nobody knows what it means: it is the safe case, and never sent again blind."""
        sendgrid.fail_next(Fault(kind=Kind.REFUSE, status=418))

        outcome = sender.send(part(), SECRET)

        assert outcome == InDoubt(error_code="418")

    def test_a_connection_that_is_refused_is_tried_later(self):
        """Nothing left this machine, so nothing is in doubt."""
        (nobody,) = free(1)

        outcome = sender_to(f"http://127.0.0.1:{nobody}").send(part(), SECRET)

        assert outcome == TemporaryFailure("UNREACHABLE")

    def test_a_redirect_is_not_followed(self, sender, sendgrid):
        """Neither the key nor the text goes where an answer points."""
        sendgrid.fail_next(Fault(kind=Kind.REFUSE, status=307))

        outcome = sender.send(part(), SECRET)

        assert outcome == InDoubt()
        assert sendgrid.mails == []

    def test_a_key_that_sendgrid_does_not_know_waits_for_us(self, sender, sendgrid):
        """It is ours to mend, and must not end a batch."""
        wrong = json.dumps({"api_key": "SG.wrong"})

        outcome = sender.send(part(), wrong)

        assert outcome == TemporaryFailure("401", is_ours_to_mend=True)
        assert sendgrid.mails == []

    def test_an_address_that_is_not_verified_waits_for_us(self, sender, sendgrid):
        """As above: somebody has to verify it at SendGrid."""
        wanted = part(sender="sales@acme.example")

        outcome = sender.send(wanted, SECRET)

        assert outcome == TemporaryFailure("403 from", is_ours_to_mend=True)

    @pytest.mark.parametrize(
        "secret", ["{", "[]", "{}", '{"public_key": "MFkw"}', '{"api_key": 7}', '{"api_key": "SG.a\\r\\nX: y"}']
    )
    def test_a_secret_without_a_key_is_ours_to_mend(self, sender, sendgrid, secret):
        """Nothing is sent, and the error tells nothing of the secret."""
        with pytest.raises(Misconfigured) as error:
            sender.send(part(), secret)

        assert error.value.code is Code.SECRET_FETCH_FAILED
        assert "SG." not in str(error.value)
        assert sendgrid.mails == []


class TestFind:
    def test_the_e_mail_is_found_by_its_send_id(self, sender, sendgrid):
        """Among others to the same customer that say the same."""
        sender.send(part(), SECRET)
        sender.send(part(send_id="6" * 40), SECRET)

        found = sender.find(part(), SECRET, since=LONG_AGO)

        assert found == [sendgrid.mails[0].activity_id]

    def test_nothing_is_found_where_nothing_was_sent(self, sender, sendgrid):
        """An empty list is an answer."""
        sender.send(part(send_id="6" * 40), SECRET)

        found = sender.find(part(), SECRET, since=LONG_AGO)

        assert found == []

    def test_an_e_mail_whose_answer_was_lost_is_found(self, sender, sendgrid):
        """What reconciling rests on."""
        sendgrid.fail_next(Fault(kind=Kind.LOST))
        sender.send(part(), SECRET)

        found = sender.find(part(), SECRET, since=LONG_AGO)

        assert found == [sendgrid.mails[0].activity_id]

    def test_where_the_account_has_no_activity_api_nobody_can_tell(self, sender, sendgrid):
        """Nothing is found, so a send in doubt is never sent again, and told as unknown."""
        sender.send(part(), SECRET_WITHOUT_ACTIVITY)

        found = sender.find(part(), SECRET_WITHOUT_ACTIVITY, since=LONG_AGO)

        assert found == []
        assert len(sendgrid.mails) == 1

    @pytest.mark.parametrize("kind", [Kind.TOO_MANY, Kind.SERVER_ERROR])
    def test_a_sendgrid_that_cannot_be_asked_now_is_asked_later(self, sender, sendgrid, kind):
        """No answer is not an empty one; the Email Activity API takes six questions a minute."""
        sendgrid.fail_next(Fault(kind=kind, is_of_list=True))

        with pytest.raises(TryAgain):
            sender.find(part(), SECRET, since=LONG_AGO)

    def test_a_sendgrid_that_nobody_reaches_is_asked_later(self):
        """As above."""
        (nobody,) = free(1)

        with pytest.raises(TryAgain):
            sender_to(f"http://127.0.0.1:{nobody}").find(part(), SECRET, since=LONG_AGO)

    def test_a_key_that_is_revoked_proves_nothing(self, sender):
        """It is an error, and no empty list."""
        wrong = json.dumps({"api_key": "SG.wrong"})

        with pytest.raises(Misconfigured):
            sender.find(part(), wrong, since=LONG_AGO)


@pytest.mark.parametrize("kind", list(Kind))
def test_no_line_of_any_logger_tells_an_address_a_subject_a_text_or_a_key(sender, sendgrid, lines, kind):
    """On any level of any logger."""
    sendgrid.fail_next(Fault(kind=kind))

    sender_to(sendgrid.url, read_seconds=0.2).send(part(), SECRET)
    sender.find(part(), SECRET, since=LONG_AGO)

    secrets = (CUSTOMER, COMPANY, "Which room", "room is booked", API_KEY, SEND_ID)
    assert [line for line in lines if any(secret in line for secret in secrets)] == []
