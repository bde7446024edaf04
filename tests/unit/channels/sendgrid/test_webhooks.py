"""SendGrid's Inbound Parse: one e-mail, told once for each address that it is for, and who may have posted it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib.channels.channel import Vendor
from chalicelib.channels.provider import WebhookRequest
from chalicelib.channels.registry import channels
from chalicelib.channels.sendgrid.inbound_parse import RECIPIENTS_MAX, read_content
from chalicelib.channels.sendgrid.unread import UnreadMail
from chalicelib.channels.sendgrid.webhooks import SendGrid
from chalicelib.errors import Code, Misconfigured, Rejected
from chalicelib.messages.inbound import Address, AddressKind, Attachment, InboundMessage
from local.requests.email_signatures import key_pair
from tests.emails import BOUNDARY, COMPANY_EMAIL, CUSTOMER_EMAIL, Email, keys, signature
from tests.fakes.clock import FakeClock
from tests.world import settings_of

PAYLOADS = Path(__file__).parents[3] / "payloads" / "sendgrid"
PDF = ("invoice.pdf", "application/pdf", b"%PDF-1.7\r\n\x00\xff")


def provider(**settings: str) -> SendGrid:
    chosen = settings_of(tuple(settings.items()))
    mine = [one for one in channels(chosen) if one.vendor is Vendor.SENDGRID]
    return SendGrid(mine, FakeClock(), chosen)


def request(body: bytes, content_type: str = f"multipart/form-data; boundary={BOUNDARY}", **more) -> WebhookRequest:
    headers = {"content-type": content_type, **more.pop("headers", {})}
    return WebhookRequest(("https://hooks.example.com/webhooks/email",), headers, body, "request-1", **more)


def parse(email: Email, *, earlier: Sequence[str] = (), **settings: str) -> InboundMessage:
    """The message for the first recipient, with its content."""
    return read(provider(**settings).parse(request(email.body, email.content_type))[0], earlier)


def read(message: InboundMessage, earlier: Sequence[str] = ()) -> InboundMessage:
    assert message.unread is not None
    return message.unread.read(message.unread.judged(message, lists=()), earlier)


def recorded(name: str) -> tuple[InboundMessage, ...]:
    return tuple(map(read, provider().parse(request((PAYLOADS / f"{name}.bin").read_bytes()))))


def refused(email: Email) -> Rejected:
    with pytest.raises(Rejected) as refusal:
        parse(email)
    return refusal.value


def notes(message: InboundMessage) -> set[str]:
    return set(filter(None, message.extras.get("notes", "").split(",")))


@pytest.fixture(params=[False, True], ids=["parsed", "raw"])
def email(request: pytest.FixtureRequest) -> Email:
    """One e-mail, in either mode."""
    return Email(is_raw=request.param)


class TestMessage:
    def test_an_e_mail_is_one_message(self, email: Email):
        """From the header's mailbox, to the envelope's address, both in lower case and bare."""
        message = parse(replace(email, sender="Ann <Ann@Customer.Example>", recipients=("Help@ACME.example",)))

        assert (message.channel, message.account_id) == ("email", "")
        assert message.sender == Address(AddressKind.EMAIL, CUSTOMER_EMAIL)
        assert message.recipient == Address(AddressKind.EMAIL, COMPANY_EMAIL)
        assert (message.body, message.whole, message.attachments) == ("hello", None, ())
        assert (message.refusal, message.may_be_notified) == (None, True)

    def test_extras_tell_what_the_answer_is_threaded_by(self, email: Email):
        """And who wrote, and what SendGrid found out."""
        headers = {"In-Reply-To": "<b@acme.example>", "References": "<a@acme.example>\r\n <b@acme.example>"}

        message = parse(replace(email, headers=headers, subject="Re: =?UTF-8?Q?M=C3=A4rz?="))

        assert message.extras == {
            "subject": "Re: März",
            "email_message_id": "<one@customer.example>",
            "in_reply_to": "<b@acme.example>",
            "references": "<a@acme.example> <b@acme.example>",
            "from_name": "Ann Example",
            "date": "Thu, 01 Jan 2026 00:00:00 +0000",
            "spf": "pass",
            "dkim": "{@customer.example : pass}",
            "authentication": "pass",
            "spam_score": "0.1",
            "attachments_count": "0",
        }

    def test_what_is_new_is_the_body_and_all_of_it_is_kept(self, email: Email):
        """History and signature are in the whole only."""
        text = "Yes.\n\n-- \nAnn\n\nOn Mon, Jan 5, 2026 at 9:00 AM Acme <help@acme.example> wrote:\n> Do you?\n> Well?"

        message = parse(replace(email, text=text, headers={"In-Reply-To": "<a@acme.example>"}))

        assert message.body == "Yes."
        assert message.whole == Attachment(text.encode(), "text/plain; charset=utf-8")

    def test_html_is_read_where_there_is_no_text(self, email: Email):
        """Each block on its own line."""
        message = parse(replace(email, text="", html="<p>Hello &amp; <b>good</b></p><p>day</p>"))

        assert message.body == "Hello & good\n\nday"

    def test_text_is_preferred_to_html(self, email: Email):
        """It is what the customer's program wrote for programs."""
        assert parse(replace(email, text="plain", html="<p>html</p>")).body == "plain"

    def test_attachments_are_enclosures(self, email: Email):
        """Byte for byte."""
        message = parse(replace(email, attachments=(PDF, ("run.exe", "application/x-msdownload", b"MZ"))))

        kept, dropped = message.attachments
        assert (kept.content, kept.content_type, kept.filename) == (PDF[2], "application/pdf", "invoice.pdf")
        assert (dropped.content, dropped.size_bytes, dropped.problem) == (b"", 2, "type_not_allowed")
        assert message.extras["attachments_count"] == "2"

    @pytest.mark.parametrize("lengthy", ["x" * 20_000, "ä" * 9_000, "\U0001f44b" * 4_000])
    def test_a_long_text_is_cut_at_a_character_and_says_so(self, email: Email, lengthy: str):
        """All of it is kept."""
        message = parse(replace(email, text=lengthy), email_text_bytes_max="1001")

        assert 998 <= len(message.body.encode()) <= 1_001
        assert lengthy.startswith(message.body)
        assert message.whole is not None
        assert message.whole.content.decode() == lengthy
        assert notes(message) == {"truncated"}

    def test_one_of_several_recipients_gets_a_message_of_its_own(self, email: Email):
        """Distinct ones only, each with an id of its own."""
        told = replace(email, recipients=("a@acme.example", "B@other.example", "A@ACME.example", "b@other.example"))

        messages = [*map(read, provider().parse(request(told.body, told.content_type)))]

        assert [one.recipient.value for one in messages] == ["a@acme.example", "b@other.example"]
        assert len({one.message_sid for one in messages}) == 2


class TestIdentity:
    def test_a_retry_has_the_same_id(self, email: Email):
        """Whatever boundary SendGrid posts it with, and whatever it found out about spam."""
        again = replace(email, boundary="another", fields={"spam_score": "9"})

        assert parse(again).message_sid == parse(email).message_sid

    def test_the_modes_agree_on_the_id(self):
        """A company may turn one off while SendGrid retries."""
        assert parse(Email(is_raw=True)).message_sid == parse(Email()).message_sid

    @pytest.mark.parametrize("message_id", ["", "<>", "<a b@c>", "no brackets", "<ä@b>"])
    def test_without_a_usable_id_an_e_mail_is_known_by_what_it_says(self, email: Email, message_id: str):
        """The same again is the same, another text is another."""
        nameless = replace(email, message_id=message_id)

        first, again = parse(nameless), parse(replace(nameless, boundary="another"))
        other = parse(replace(nameless, text="other"))

        assert first.message_sid == again.message_sid != other.message_sid
        assert "email_message_id" not in first.extras
        assert "message_id" in notes(first)

    def test_an_attachment_tells_two_nameless_e_mails_apart(self, email: Email):
        """Their texts may be empty."""
        nameless = replace(email, message_id="", text="", html="<p></p>", attachments=(PDF,))
        other = replace(nameless, attachments=(("a.pdf", "application/pdf", b"other"),))

        assert parse(nameless).message_sid != parse(other).message_sid

    def test_a_forged_e_mail_takes_no_id_from_a_genuine_one(self, email: Email):
        """Whoever knows a Message-ID could post it first, and the customer's own would be a retry."""
        forged = replace(email, text="other", spf="fail", dkim="none")

        known = {"forged": parse(forged).message_sid, "genuine": parse(email).message_sid}

        assert known["forged"] != known["genuine"] == email.message_sid
        assert parse(replace(forged, boundary="another")).message_sid == known["forged"]
        assert parse(forged).extras["email_message_id"] == email.message_id

    def test_an_id_fits_a_row_and_a_log_line(self, email: Email):
        """It tells nothing of the customer."""
        sid = parse(email).message_sid

        assert sid.startswith("em-")
        assert sid.removeprefix("em-").isalnum()
        assert len(sid) == 43


class TestSender:
    @pytest.mark.parametrize("sender", ["", "nobody", "<>", "(((" * 900, "a@b@c", "undisclosed-recipients:;"])
    def test_without_a_mailbox_the_envelope_s_sender_is_taken(self, email: Email, sender: str):
        """And nobody vouches for it."""
        message = parse(replace(email, sender=sender))

        assert message.sender.value == CUSTOMER_EMAIL
        assert message.extras["authentication"] == "fail"
        assert "sender" in notes(message)
        assert not message.may_be_notified

    @pytest.mark.parametrize("return_path", ["", None, "nobody"])
    def test_from_nobody_at_all_is_refused(self, email: Email, return_path: str | None):
        """By the field's name."""
        refusal = refused(replace(email, sender="", return_path=return_path))

        assert (refusal.code, refusal.detail) == (Code.MISSING_REQUIRED_FIELD, "from names nobody")

    def test_of_several_mailboxes_the_first_is_the_sender_and_nobody_vouches(self, email: Email):
        """SPF and DKIM say nothing of which."""
        message = parse(replace(email, sender=f"{CUSTOMER_EMAIL}, other@customer.example"))

        assert message.sender.value == CUSTOMER_EMAIL
        assert (message.extras["authentication"], notes(message)) == ("fail", {"sender"})

    def test_an_encoded_name_cannot_be_taken_for_an_address(self, email: Email):
        """It is decoded after the address was found."""
        hidden = "=?utf-8?q?boss=40acme=2Eexample=2C?= <mallory@evil.example>"

        message = parse(replace(email, sender=hidden))

        assert message.sender.value == "mallory@evil.example"
        assert message.extras["from_name"] == "boss@acme.example,"

    def test_a_second_header_from_passes_for_nobody(self):
        """Programs show one of the two, and check the other."""
        head = Email().head + "From: boss@acme.example\r\n"

        message = parse(Email(fields={"headers": head}))

        assert message.sender.value == CUSTOMER_EMAIL
        assert message.extras["authentication"] == "fail"


class TestEnvelope:
    @pytest.mark.parametrize("value", [None, "", " \n"])
    def test_a_missing_envelope_is_named(self, email: Email, value: str | None):
        """Nobody can say who it is for: `To` is what the customer wrote, and no address that accepted it."""
        refusal = refused(replace(email, fields={"envelope": value}))

        assert (refusal.code, refusal.detail) == (Code.MISSING_REQUIRED_FIELD, "envelope is missing or blank")

    @pytest.mark.parametrize(
        "value", ["{", "[]", "7", "null", '"help@acme.example"', "[" * 10_000, b"\xff\xfe", "{} {}"], ids=range(8)
    )
    def test_an_envelope_that_is_no_object_is_refused(self, email: Email, value: str | bytes):
        """However it is bent."""
        refusal = refused(replace(email, fields={"envelope": value}))

        assert (refusal.code, refusal.detail) == (Code.PARSING_ERROR, "envelope is no JSON object")

    @pytest.mark.parametrize(
        "listed", [None, [], "", [""], ["nobody"], [7, None, {}], ["a@b\nc"], ["a@b\u202ec"], ["ä" * 400 + "@b"], {}]
    )
    def test_an_envelope_that_names_no_address_is_refused(self, email: Email, listed: object):
        """Without telling what it names."""
        refusal = refused(replace(email, fields={"envelope": json.dumps({"to": listed})}))

        assert (refusal.code, refusal.detail) == (Code.PARSING_ERROR, "envelope.to names no address")

    def test_one_address_need_be_no_list(self, email: Email):
        """Nothing is lost by a shape."""
        told = {"envelope": json.dumps({"to": COMPANY_EMAIL, "from": CUSTOMER_EMAIL})}

        assert parse(replace(email, fields=told)).recipient.value == COMPANY_EMAIL

    def test_what_is_no_address_is_left_out_among_others(self, email: Email):
        """The others get it."""
        told = {"envelope": json.dumps({"to": ["nobody", 7, COMPANY_EMAIL], "from": CUSTOMER_EMAIL})}

        assert parse(replace(email, fields=told)).recipient.value == COMPANY_EMAIL

    @pytest.mark.parametrize(
        ("count", "detail"),
        [
            (RECIPIENTS_MAX + 1, f"envelope.to names more than {RECIPIENTS_MAX} addresses"),
            (100_000, "envelope is larger than 16384 bytes"),
        ],
    )
    def test_too_many_recipients_are_refused(self, email: Email, count: int, detail: str):
        """Each would be looked up."""
        many = tuple(f"{number}@acme.example" for number in range(count))

        refusal = refused(replace(email, fields={"envelope": json.dumps({"to": many})}))

        assert (refusal.code, refusal.detail) == (Code.PARSING_ERROR, detail)


class TestForm:
    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "application/json",
            "multipart/mixed; boundary=xYzZY",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=" + "x" * 300,
            "multipart/form-data; boundary=ä",
            "multipart/form-data; boundary=another",
        ],
    )
    def test_a_request_without_a_usable_boundary_is_refused(self, content_type: str):
        """By a code of the table."""
        with pytest.raises(Rejected) as refusal:
            provider().parse(request(Email().body, content_type))

        assert refusal.value.code is Code.PARSING_ERROR

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
    def test_a_truncated_body_is_refused(self, email: Email, share: float):
        """The end of the e-mail would be missing, and SendGrid has all of it."""
        body = email.body

        with pytest.raises(Rejected) as refusal:
            provider().parse(request(body[: int(len(body) * share)]))

        assert refusal.value.code is Code.PARSING_ERROR

    @pytest.mark.parametrize(
        "body",
        [
            b"--xYzZY\r\nA: b\r\n\r\n\r\n" * 5_000 + b"--xYzZY--\r\n",
            b'--xYzZY\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 5_000 + b"--xYzZY--\r\n",
            b"--xYzZY\r\n" + b"A: b\r\n" * 200_000 + b"\r\n\r\n--xYzZY--\r\n",
            b'--xYzZY\r\nContent-Disposition: form-data; name="' + b"a" * 1_000_000 + b'"\r\n\r\n\r\n--xYzZY--\r\n',
            b"--xYzZY\r\n\xff\xfe\x00\r\n\r\n\r\n--xYzZY--\r\n",
            b"x" * 10_485_761,
        ],
        ids=["no disposition", "parts", "headers", "a long header", "no header", "a large body"],
    )
    def test_a_form_beyond_its_limits_is_refused(self, body: bytes):
        """Before it costs anything."""
        with pytest.raises(Rejected) as refusal:
            provider().parse(request(body))

        assert refusal.value.code is Code.PARSING_ERROR

    def test_fields_that_are_unknown_are_tolerated(self):
        """SendGrid adds some."""
        assert parse(Email(fields={"new": "\x00"})).body == "hello"

    @pytest.mark.parametrize("value", ["", "{", "[]", '{"text": 7}', '{"text": "zlib"}', '{"text": "no-such"}'])
    def test_charsets_that_say_nothing_lose_nothing(self, value: str):
        """What is UTF-8 is read as that, what is not as the most common of the others."""
        utf_8 = parse(Email(text="März", fields={"charsets": value}))
        other = parse(Email(fields={"charsets": value, "text": "März €".encode("cp1252")}))

        assert (utf_8.body, other.body) == ("März", "März €")
        assert "charset" in notes(other)

    def test_an_attachment_s_info_tells_what_its_part_does_not(self):
        """A name and a type."""
        info = json.dumps({"attachment1": {"filename": "a.pdf", "type": "application/pdf"}})
        email = Email(attachments=(("", "", b"%PDF"),), fields={"attachment-info": info})

        (kept,) = parse(email).attachments

        assert (kept.filename, kept.content_type) == ("a.pdf", "application/pdf")

    def test_an_info_of_another_shape_is_not_spelt_out(self):
        """For each of a thousand files it would be made anew."""
        info = json.dumps({"attachment1": {"filename": ["a.pdf"], "type": {"application/pdf": 1}}})
        email = Email(attachments=(("", "", b"?"),), fields={"attachment-info": info})

        (dropped,) = parse(email).attachments

        assert (dropped.filename, dropped.content_type) == (None, "application/octet-stream")

    @pytest.mark.parametrize(
        "value", ["{", "[]", '{"attachment1": 7}', '{"attachment1": {"filename": [], "type": {}}}']
    )
    def test_an_info_that_says_nothing_loses_no_attachment(self, value: str):
        """Its part has told enough."""
        email = Email(attachments=(PDF,), fields={"attachment-info": value})

        assert parse(email).attachments[0].filename == "invoice.pdf"


class TestRefusal:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Precedence": "list", "List-Id": "<support.acme.example>"},
            {"Precedence": "bulk"},
            {"X-Auto-Response-Suppress": "All"},
            {"List-Post": "<mailto:support@acme.example>"},
        ],
    )
    def test_what_people_s_mail_bears_too_is_a_hint_and_no_refusal(self, email: Email, headers: dict[str, str]):
        """Exchange and Google Groups add it to what people write."""
        message = parse(replace(email, headers=headers))

        assert (message.refusal, message.body) == (None, "hello")
        assert all(value in message.extras["automatic_hints"] for value in headers.values())

    def test_what_we_sent_ourselves_is_refused_where_it_comes_back(self, email: Email):
        """For the address that it was sent from."""
        message_id = f"<{'0a' * 20}@acme.example>"
        told = replace(email, message_id=message_id, recipients=("help@acme.example", "help@other.example"))

        messages = map(read, provider().parse(request(told.body)))

        assert [one.refusal for one in messages] == [Code.AUTOMATIC_MESSAGE, None]

    def test_what_a_machine_wrote_is_refused(self, email: Email):
        """Once the provider is proven; nobody is told."""
        message = parse(replace(email, headers={"Auto-Submitted": "auto-replied"}))

        assert message.refusal is Code.AUTOMATIC_MESSAGE

    def test_a_bounce_is_refused(self, email: Email):
        """Its return path is empty."""
        assert parse(replace(email, return_path="")).refusal is Code.AUTOMATIC_MESSAGE

    def test_from_a_company_s_address_to_itself_is_a_loop(self, email: Email):
        """For that recipient alone."""
        told = replace(email, sender=COMPANY_EMAIL, recipients=("other@acme.example", COMPANY_EMAIL))

        messages = [*map(read, provider().parse(request(told.body, told.content_type)))]

        assert [one.refusal for one in messages] == [None, Code.AUTOMATIC_MESSAGE]

    @pytest.mark.parametrize(
        ("told", "verdict"),
        [
            ({}, "pass"),
            ({"spf": "softfail", "dkim": "none"}, "fail"),
            ({"spf": "pass", "dkim": "none", "return_path": "a@evil.example"}, "fail"),
            ({"spf": None, "dkim": None}, "none"),
        ],
    )
    def test_only_an_authenticated_sender_may_be_notified(self, email: Email, told, verdict):
        """The verdict is in the context; what is done about it is the company's policy."""
        changed = replace(email, fields={"SPF": told.get("spf", "pass"), "dkim": told.get("dkim", email.dkim)})
        changed = replace(changed, return_path=told.get("return_path", CUSTOMER_EMAIL))

        message = parse(changed)

        assert (message.refusal, message.extras["authentication"]) == (None, verdict)
        assert message.may_be_notified is (verdict == "pass")


class TestTwoSteps:
    def test_content_is_not_read_before_it_is_asked_for(self, email: Email, monkeypatch: pytest.MonkeyPatch):
        """An e-mail that nobody verified costs a look at its headers."""
        monkeypatch.setattr("chalicelib.channels.sendgrid.unread.read_content", pytest.fail)

        (message,) = provider().parse(request(email.body))

        assert (message.body, message.attachments, message.whole) == ("", (), None)
        assert (message.sender.value, message.refusal) == (CUSTOMER_EMAIL, None)

    def test_all_recipients_share_one_reading(self, email: Email, monkeypatch: pytest.MonkeyPatch):
        """What is new is read for each: each has a conversation of its own."""
        readings = []
        monkeypatch.setattr(
            "chalicelib.channels.sendgrid.unread.read_content",
            lambda *told: readings.append(told) or read_content(*told),
        )
        said = "We shipped your order 4711 on Monday morning."
        text = f"Thanks\n\nXxx yyy:\n{said}"
        told = replace(email, text=text, recipients=("a@acme.example", "b@other.example"), subject="Re: x")

        first, second = provider().parse(request(told.body))

        assert [read(first, [said]).body, read(second).body] == ["Thanks", text]
        assert len(readings) == 1

    def test_reading_tells_how_long_it_took(self, email: Email):
        """The calls after it have that much more time."""
        (message,) = provider().parse(request(email.body))
        assert message.unread is not None
        before = message.unread.seconds_spent

        message.unread.read(message, [])

        assert message.unread.seconds_spent >= before == 0


class TestPolicies:
    LIST = "support@acme.example"
    THROUGH_LIST = Email(
        sender=f"'Ann' via Support <{LIST}>",
        headers={"X-Original-From": f"Ann Doe <{CUSTOMER_EMAIL}>", "X-Original-Sender": CUSTOMER_EMAIL},
        return_path="support+bncABC@acme.example",
        dkim="none",
    )

    @staticmethod
    def judged(email: Email, lists: Sequence[str] = ()) -> InboundMessage:
        (message,) = provider().parse(request(email.body))
        assert isinstance(message.unread, UnreadMail)
        return message.unread.judged(message, lists=lists)

    def test_through_a_named_list_the_author_is_the_sender(self):
        """The list's verdict is the e-mail's, and the answer goes to the author."""
        message = self.judged(self.THROUGH_LIST, [self.LIST])

        assert message.sender == Address(AddressKind.EMAIL, CUSTOMER_EMAIL)
        assert (message.extras["from_name"], message.extras["authentication"]) == ("Ann Doe", "pass")
        assert (message.refusal, message.may_be_notified) == (None, True)

    def test_through_another_list_the_header_from_counts(self):
        """As it does without a list."""
        message = self.judged(self.THROUGH_LIST, ["other@acme.example"])

        assert message.sender.value == self.LIST

    def test_the_author_of_a_list_s_e_mail_may_be_a_machine(self):
        """Of itself it says so all the same."""
        told = replace(self.THROUGH_LIST, headers={**self.THROUGH_LIST.headers, "Auto-Submitted": "auto-replied"})

        assert self.judged(told, [self.LIST]).refusal is Code.AUTOMATIC_MESSAGE

    def test_a_named_list_changes_nothing_for_the_others(self, email: Email):
        """Id, sender and verdict are as without it."""
        told, without = self.judged(email, [self.LIST]), self.judged(email)

        assert (told.message_sid, told.sender) == (email.message_sid, without.sender)
        assert told.extras == without.extras


class TestProof:
    BODY = b"timestamped \x00\xff bytes"

    @staticmethod
    def secret(**told: str) -> str:
        return json.dumps({"api_key": "SG.key", **told})

    @pytest.mark.parametrize("place", ["public_key", "next_public_key"])
    def test_the_current_and_the_next_key_prove(self, place: str):
        """So that a policy can be exchanged without a gap."""
        told = {"public_key": key_pair()[1], place: keys()[1]}

        made = request(self.BODY, headers=lower(signature(self.BODY)))

        assert provider().is_genuine(made, "", self.secret(**told))

    def test_a_forger_s_key_does_not_prove(self):
        """However it signs."""
        made = request(self.BODY, headers=lower(signature(self.BODY, key_pair()[0])))

        assert not provider().is_genuine(made, "", self.secret(public_key=keys()[1]))

    @pytest.mark.parametrize(
        "changes",
        [
            {"x-twilio-email-event-webhook-timestamp": "1"},
            {"x-twilio-email-event-webhook-timestamp": "\ud800"},
            {"x-twilio-email-event-webhook-timestamp": ""},
            {"x-twilio-email-event-webhook-signature": ""},
            {"x-twilio-email-event-webhook-signature": "no base64 é"},
            {"x-twilio-email-event-webhook-signature": "AAAA"},
            {"x-twilio-email-event-webhook-signature": "A" * 100_000},
        ],
        ids=range(7),
    )
    def test_a_changed_or_malformed_signature_does_not_prove(self, changes: dict[str, str]):
        """And raises nothing."""
        made = request(self.BODY, headers={**lower(signature(self.BODY)), **changes})

        assert not provider().is_genuine(made, "", self.secret(public_key=keys()[1]))

    def test_a_changed_byte_does_not_prove(self):
        """Of the body as it came."""
        made = request(self.BODY + b"x", headers=lower(signature(self.BODY)))

        assert not provider().is_genuine(made, "", self.secret(public_key=keys()[1]))

    @pytest.mark.parametrize("shift", [1, 7, -1, -9])
    def test_no_byte_moves_between_body_and_timestamp(self, shift: int):
        """Nothing parts them in what is signed: a request that was seen would prove another one."""
        headers = lower(signature(self.BODY))
        (name,) = (one for one in headers if one.endswith("timestamp"))
        signed = headers[name].encode() + self.BODY
        place = len(headers[name]) + shift
        headers[name] = signed[:place].decode()

        made = request(signed[place:], headers=headers)

        assert not provider().is_genuine(made, "", self.secret(public_key=keys()[1]))

    def test_no_signature_does_not_prove(self):
        """Where the company's plan has signing."""
        assert not provider().is_genuine(request(self.BODY), "", self.secret(public_key=keys()[1]))

    def test_a_token_in_the_url_proves_where_the_secret_has_no_key(self):
        """The whole of it."""
        secret = self.secret(url_token="t" * 32)

        proven = [
            provider().is_genuine(request(self.BODY, url_token=token), "", secret)
            for token in ("t" * 32, "t" * 31, "", "T" * 32, "\ud800")
        ]

        assert proven == [True, False, False, False, False]

    def test_a_token_never_proves_where_there_is_a_key(self):
        """Who may sign does."""
        secret = self.secret(public_key=keys()[1], url_token="t" * 32)

        assert not provider().is_genuine(request(self.BODY, url_token="t" * 32), "", secret)

    @pytest.mark.parametrize(
        "told",
        [
            {},
            {"url_token": "4711-4711"},
            {"url_token": " " * 32},
            {"url_token": "é" * 32},
            {"url_token": "t" * 31 + "\n"},
            {"public_key": "4711"},
            {"public_key": base64.b64encode(b"no key").decode()},
            {"public_key": "é"},
            {"next_public_key": "AAAA"},
            {"public_key": 7},
        ],
    )
    def test_a_secret_that_proves_nothing_is_ours_to_mend(self, told: dict[str, str]):
        """The error names the field, never its content."""
        with pytest.raises(Misconfigured) as fault:
            provider().is_genuine(request(self.BODY, url_token="4711-4711"), "", self.secret(**told))

        assert fault.value.code is Code.SECRET_FETCH_FAILED
        assert not [one for one in told.values() if str(one) in fault.value.detail and one != 7]

    @pytest.mark.parametrize(
        "made", [lambda: rsa.generate_private_key(65_537, 2_048), lambda: ec.generate_private_key(ec.SECP384R1())]
    )
    def test_a_key_of_another_kind_is_ours_to_mend(self, made):
        """SendGrid signs with ECDSA on P-256."""
        der = made().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

        with pytest.raises(Misconfigured, match="no key of its policies"):
            provider().is_genuine(request(self.BODY), "", self.secret(public_key=base64.b64encode(der).decode()))

    def test_a_key_may_be_broken_over_lines(self):
        """As a console shows it."""
        broken = "\n".join(keys()[1][start : start + 64] for start in range(0, 200, 64))
        made = request(self.BODY, headers=lower(signature(self.BODY)))

        assert provider().is_genuine(made, "", self.secret(public_key=broken))


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class TestRecorded:
    def test_a_reply(self):
        """What is new in it, and its thread."""
        (message,) = recorded("parsed_reply")

        assert message.body == "Yes, please send it to the new address."
        assert message.whole is not None
        assert b"Shall we send it?" in message.whole.content
        assert message.extras["references"] == "<thread@acme.example> <reply-1@acme.example>"
        assert notes(message) == set()

    def test_attachments(self):
        """A name that is no ASCII, a picture within the text, and a program."""
        (message,) = recorded("parsed_attachments")

        told = [(one.filename, one.content_type, one.problem) for one in message.attachments]
        assert told == [
            ("Rechnung März.pdf", "application/pdf", None),
            ("image001.png", "image/png", None),
            ("setup.exe", "application/x-msdownload", "type_not_allowed"),
        ]
        assert notes(message) == set()
        assert message.attachments[0].content == b"%PDF-1.7\r\n%\xe2\xe3\xcf\xd3\r\n--xYz\r\n%%EOF"

    @pytest.mark.parametrize(
        ("name", "subject", "body"),
        [
            ("parsed_latin1", "Grüße aus Köln", "Schöne Grüße \N{EN DASH} für 5 € \u201cgut\u201d."),
            ("parsed_shift_jis", "注文について", "配送先を変更してください。①番です。"),
            (
                "raw_attachments",
                "Frage zur Rechnung €",
                "配送先を変更してください。\n\nFrom: x@y.example\nSubject: forwarded\n\ninner",
            ),
        ],
    )
    def test_each_field_is_read_in_its_own_charset(self, name: str, subject: str, body: str):
        """As mail programs mean it."""
        (message,) = recorded(name)

        assert (message.extras["subject"], message.body, notes(message)) == (subject, body, set())

    def test_html_alone(self):
        """What Outlook copied below is history."""
        (message,) = recorded("parsed_html_only")

        assert message.body == "Bitte stornieren Sie Bestellung 4711.\n\nDanke"

    def test_an_empty_e_mail(self):
        """Is a message without words."""
        (message,) = recorded("parsed_empty")

        assert (message.body, message.whole, "subject" in message.extras) == ("", None, True)

    def test_malformed_headers(self):
        """Nothing begins a header of its own; what can be read is."""
        (message,) = recorded("parsed_malformed_headers")

        assert message.sender.value == CUSTOMER_EMAIL
        assert message.body == "Still a message."
        assert message.extras["email_message_id"] == "<m@customer.example>"
        assert message.extras["references"] == "<thread@acme.example>"
        assert message.extras["subject"] == "Subject Bcc: victim@other.example [31m"
        assert "headers" in notes(message)
        assert not [value for value in message.extras.values() if any(ord(one) < 32 for one in value)]

    def test_a_holiday_notice(self):
        """Is a machine's."""
        assert recorded("parsed_holiday_notice")[0].refusal is Code.AUTOMATIC_MESSAGE

    def test_several_recipients(self):
        """Each once."""
        told = [one.recipient.value for one in recorded("parsed_several_recipients")]

        assert told == ["help@acme.example", "sales@other.example"]

    def test_a_raw_e_mail_with_attachments(self):
        """A forwarded e-mail is one attachment; its text is read, its own files are not."""
        (message,) = recorded("raw_attachments")

        told = [(one.filename, one.content_type, one.problem) for one in message.attachments]
        assert told == [
            ("Rechnung März.pdf", "application/pdf", None),
            (None, "message/rfc822", None),
        ]
        assert message.attachments[0].content == b"%PDF-1.7\n%%EOF\n"

    def test_a_raw_e_mail_without_an_id(self):
        """Is known by what it says."""
        (message,) = recorded("raw_plain")

        assert message.body == "Only a line, with an € sign and a soft break."
        assert notes(message) == {"message_id"}

    @pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.bin")), ids=lambda path: path.stem)
    def test_the_first_line_of_a_file_tells_its_boundary(self, path: Path):
        """So a file is all that a test needs."""
        assert path.read_bytes().startswith(f"--{BOUNDARY}\r\n".encode())
