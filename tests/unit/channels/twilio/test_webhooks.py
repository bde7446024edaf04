"""Twilio's webhooks: what each kind of request becomes, and what proves that Twilio sent it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
from chalice.app import MultiDict
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from chalicelib.channels.channel import Channel, Index, Vendor
from chalicelib.channels.provider import WebhookRequest
from chalicelib.channels.registry import channels
from chalicelib.channels.twilio import webhooks
from chalicelib.channels.twilio.webhooks import BODY_BYTES_MAX, EXTRAS_BYTES_MAX, MEDIA_MAX, Twilio
from chalicelib.errors import Code, Misconfigured, Rejected
from chalicelib.messages.inbound import Address, AddressKind, InboundMessage, Media
from chalicelib.messages.parts import PartLimits
from chalicelib.settings import Settings
from tests.fakes.clock import START, FakeClock
from tests.world import ACCOUNT_SID, AUTH_TOKEN, ENVIRONMENT

PAYLOADS = Path(__file__).parents[3] / "payloads" / "twilio"
PAYLOAD_NAMES = sorted(path.stem for path in PAYLOADS.glob("*.txt"))
SETTINGS = Settings.from_environment(ENVIRONMENT)
CHANNELS = [channel for channel in channels(SETTINGS) if channel.vendor is Vendor.TWILIO]
TWILIO = Twilio(CHANNELS, FakeClock())
URL = "https://hooks.example.com/webhooks/whatsapp"
SECRET = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN})

CUSTOMER = Address(AddressKind.PHONE, "+4915112345678")
COMPANY = Address(AddressKind.PHONE, "+14155238886")
FORM = {
    "MessageSid": "SM" + "1" * 32,
    "AccountSid": ACCOUNT_SID,
    "From": "whatsapp:+4915112345678",
    "To": "whatsapp:+14155238886",
    "Body": "hello",
}
OF_EVERY_WHATSAPP = {"profile_name": "Ann Müller", "wa_id": "4915112345678"}
SAYING_NOTHING = {
    "ApiVersion": "2010-04-01",
    "NumMedia": "0",
    "NumSegments": "1",
    "ReferralNumMedia": "0",
    "SmsMessageSid": FORM["MessageSid"],
    "SmsSid": FORM["MessageSid"],
    "SmsStatus": "received",
}


def request(body: str | bytes, *, url: str = URL, **headers: str) -> WebhookRequest:
    return WebhookRequest((url,), headers, body if isinstance(body, bytes) else body.encode(), "request-1")


def parse(form: dict[str, str] | list[tuple[str, str]] | str | bytes, provider: Twilio = TWILIO) -> InboundMessage:
    (message,) = provider.parse(request(form if isinstance(form, str | bytes) else urlencode(form)))
    return message


def payload(name: str) -> InboundMessage:
    return parse((PAYLOADS / f"{name}.txt").read_bytes())


def sid(number: int, kind: str = "SM") -> str:
    return f"{kind}{number:032x}"


class TestPayloads:
    def test_the_readme_tells_of_every_payload(self):
        """And of none that is not there."""
        readme = (PAYLOADS / "README.md").read_text()

        told = sorted(line.split("`")[1].removesuffix(".txt") for line in readme.splitlines() if line.startswith("| `"))

        assert told == PAYLOAD_NAMES

    @pytest.mark.parametrize("name", PAYLOAD_NAMES)
    def test_nothing_that_twilio_told_is_lost(self, name: str):
        """Each parameter is in the message or, by its snake-case name, among its extras; or it says nothing."""
        form = dict(parse_qsl((PAYLOADS / f"{name}.txt").read_text(), keep_blank_values=True))
        constants = SAYING_NOTHING | {"NumMedia": form["NumMedia"]}
        told = {one: value for one, value in form.items() if constants.get(one) != value}

        message = payload(name)

        kept = {message.message_sid, message.account_id, message.body, *message.extras.values()}
        kept |= {one for media in message.media for one in (media.url, media.content_type)}
        kept |= {prefix + one.value for one in (message.sender, message.recipient) for prefix in ("", "whatsapp:")}
        assert set(told.values()) <= kept
        assert message.received_at == START

    def test_a_whatsapp_text(self):
        """Addresses without the prefix; plus signs, ampersands and per cents as the customer wrote them."""
        message = payload("whatsapp_text")

        assert message.message_sid == sid(1)
        assert message.channel == "whatsapp"
        assert (message.sender, message.recipient) == (CUSTOMER, COMPANY)
        assert message.body == "Hello, is the blue one still there? 1 + 1 = 2 & 50 % off"
        assert message.media == ()
        assert message.extras == OF_EVERY_WHATSAPP | {"message_type": "text"}

    def test_media_without_a_word(self):
        """A blank body is a body."""
        message = payload("whatsapp_media_blank_body")

        (media,) = message.media
        assert message.message_sid == sid(2, "MM")
        assert message.body == ""
        assert media.content_type == "image/jpeg"
        assert media.url.startswith("https://api.twilio.com/2010-04-01/Accounts/")

    def test_a_button(self):
        """Its text is the body, its payload an extra, and the message that bore it another."""
        message = payload("whatsapp_button")

        assert message.body == message.extras["button_text"] == "Yes, please"
        assert message.extras["button_payload"] == "offer-17:yes"
        assert message.extras["original_replied_message_sid"] == sid(900)

    def test_a_location(self):
        """Where it is, and what it is called."""
        message = payload("whatsapp_location")

        assert message.body == ""
        assert (message.extras["latitude"], message.extras["longitude"]) == ("52.520008", "13.404954")
        assert message.extras["address"] == "Alexanderplatz 1, 10178 Berlin"
        assert message.extras["label"] == "Meeting point"

    def test_a_reply_to_a_message(self):
        """Which one, and who wrote that."""
        message = payload("whatsapp_reply")

        assert message.extras["original_replied_message_sid"] == sid(901)
        assert message.extras["original_replied_message_sender"] == "whatsapp:+14155238886"

    def test_a_referral(self):
        """The ad's media are the ad's and not the customer's."""
        message = payload("whatsapp_referral")

        assert message.media == ()
        assert message.extras["referral_source_type"] == "ad"
        assert message.extras["referral_media_url0"] == "https://ads.example.com/17.jpg"

    def test_a_user_without_a_number(self):
        """The user's id stands where a number would."""
        message = payload("whatsapp_without_number")

        assert message.sender.value == message.extras["external_user_id"] == "DE.13491208655302741918"
        assert "wa_id" not in message.extras

    def test_emoji_and_writing_from_right_to_left(self):
        """Every character arrives, line breaks and joiners too."""
        message = payload("whatsapp_emoji_and_rtl")

        assert message.body == "שלום 👋🏽 مرحبا\nthank you 👩‍👩‍👧"

    def test_an_sms(self):
        """No prefix is the channel sms; what Twilio does not know of a place is blank, and kept so."""
        message = payload("sms_text")

        assert message.channel == "sms"
        assert (message.sender, message.recipient) == (CUSTOMER, COMPANY)
        assert (message.extras["from_city"], message.extras["from_country"]) == ("", "DE")
        assert message.extras["messaging_service_sid"].startswith("MG")

    def test_an_mms_with_three_media(self):
        """In the order in which they are numbered."""
        message = payload("mms_three_media")

        assert [media.content_type for media in message.media] == ["image/jpeg", "image/png", "video/mp4"]
        assert [media.url[-1] for media in message.media] == ["1", "2", "3"]

    def test_an_opt_out(self):
        """What Twilio has answered itself is told."""
        message = payload("sms_opt_out")

        assert (message.body, message.extras["opt_out_type"]) == ("STOP", "STOP")


class TestForm:
    def test_unknown_parameters_are_kept(self):
        """Twilio adds parameters without notice."""
        message = parse({**FORM, "BrandNewThing": "1", "another_one": "2", "ABTest": "3"})

        assert message.extras == {"brand_new_thing": "1", "another_one": "2", "ab_test": "3"}

    def test_a_blank_unknown_parameter_is_kept(self):
        """Blank is not missing."""
        message = parse({**FORM, "Label": ""})

        assert message.extras == {"label": ""}

    def test_a_parameter_that_says_nothing_is_not_kept(self):
        """It repeats what the message has, or has the value that each message has."""
        message = parse({**FORM, **SAYING_NOTHING, "ProfileName": "Ann"})

        assert message.extras == {"profile_name": "Ann"}

    @pytest.mark.parametrize(
        ("name", "value", "key"),
        [
            ("NumSegments", "2", "num_segments"),
            ("ReferralNumMedia", "1", "referral_num_media"),
            ("SmsStatus", "receiving", "sms_status"),
            ("SmsSid", "SM" + "2" * 32, "sms_sid"),
            ("SmsMessageSid", "", "sms_message_sid"),
        ],
    )
    def test_a_parameter_is_kept_where_its_value_says_something(self, name: str, value: str, key: str):
        """Only the value that says nothing is left out."""
        message = parse({**FORM, **SAYING_NOTHING, name: value})

        assert message.extras == {key: value}

    def test_of_a_repeated_parameter_the_first_counts(self):
        """Where a repetition is harmless."""
        message = parse([*FORM.items(), ("Body", "second"), ("Label", "a"), ("Label", "b")])

        assert (message.body, message.extras["label"]) == ("hello", "a")

    def test_a_required_parameter_may_be_repeated_with_one_value(self):
        """It still says one thing."""
        message = parse([*FORM.items(), ("From", FORM["From"])])

        assert message.sender == CUSTOMER

    @pytest.mark.parametrize("name", ["MessageSid", "AccountSid", "From", "To"])
    def test_a_required_parameter_with_two_values_is_refused(self, name: str):
        """Which of them the proof would be of, nobody could say."""
        with pytest.raises(Rejected) as refusal:
            parse([*FORM.items(), (name, "whatsapp:+14155550000")])

        assert refusal.value.code is Code.PARSING_ERROR
        assert refusal.value.detail == f"{name} is given with several values"

    @pytest.mark.parametrize("name", ["MessageSid", "AccountSid", "From", "To"])
    @pytest.mark.parametrize("form", [lambda name: FORM | {name: ""}, lambda name: {**FORM, name: None}])
    def test_a_required_parameter_that_is_missing_or_blank_is_named(self, name: str, form):
        """By its name, never by a value."""
        told = {one: value for one, value in form(name).items() if value is not None}

        with pytest.raises(Rejected) as refusal:
            parse(told)

        assert refusal.value.code is Code.MISSING_REQUIRED_FIELD
        assert refusal.value.detail == f"{name} is missing or blank"

    def test_a_message_without_a_body_has_an_empty_one(self):
        """Media alone may come so."""
        message = parse({name: value for name, value in FORM.items() if name != "Body"})

        assert message.body == ""

    @pytest.mark.parametrize(
        "value",
        [
            "SM1",
            "SM" + "0" * 31,
            "SM" + "0" * 33,
            "SM" + "0" * 32 + "\n",
            "SM" + "0" * 31 + "g",
            "sm" + "0" * 32,
            "0" * 34,
            "SM" + "0" * 32 + "MessageTypetext",
            "SM\x00",
            "../" + "0" * 31,
            "SM" + "\N{ARABIC-INDIC DIGIT ONE}" * 32,
        ],
    )
    @pytest.mark.parametrize("name", ["MessageSid", "AccountSid"])
    def test_what_is_no_sid_is_refused(self, name: str, value: str):
        """It becomes the key of a row; with the bytes of the next parameter its signature would be valid."""
        with pytest.raises(Rejected, match="no sid"):
            parse({**FORM, name: value})

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"&&&===&",
            b"%",
            b"%zz=%f",
            b"\xff\xfe\x00",
            b'{"MessageSid": "SM1"}',
            b"--boundary\r\n\r\n--boundary--",
        ],
    )
    def test_what_is_no_form_of_twilio_is_refused(self, body: bytes):
        """By a code of the table, whatever the bytes."""
        with pytest.raises(Rejected) as refusal:
            parse(body)

        assert refusal.value.code is Code.MISSING_REQUIRED_FIELD

    def test_bytes_that_are_no_utf_8_become_replacement_characters(self):
        """The message is taken, for its customer can do nothing about it."""
        message = parse(urlencode({**FORM, "Body": ""}).encode() + b"%ff%fe\xff")

        assert message.body == "\N{REPLACEMENT CHARACTER}" * 3

    @given(body=st.binary(max_size=80) | st.from_regex(rb"([a-c+%0-9=&;]|%C3%BC|%ff){0,30}", fullmatch=True))
    def test_a_form_is_read_as_the_library_reads_one(self, body: bytes):
        """Blank and repeated parameters, plus signs, broken escapes and bytes that are no UTF-8."""
        expected: dict[str, list[str]] = {}
        for name, value in parse_qsl(body.decode(errors="replace"), keep_blank_values=True):
            expected.setdefault(name, []).append(value)

        read = webhooks._form(WebhookRequest((), {}, body, "request-1"))

        assert read == expected

    def test_a_form_larger_than_the_bound_is_refused(self):
        """Before it is parsed."""
        with pytest.raises(Rejected, match="larger than 65536 bytes"):
            parse({**FORM, "Body": "x" * BODY_BYTES_MAX})

    def test_a_form_with_too_many_parameters_is_refused(self):
        """They cost time to parse and to prove."""
        with pytest.raises(Rejected, match="more than 1000 parameters"):
            parse("&".join(["a=1"] * 1_001))

    def test_extras_are_bounded_and_say_so(self):
        """A staged row stays small; what is cut is told."""
        big = {f"Extra{number}": "x" * 2_000 for number in range(9)}

        message = parse({**FORM, **big})

        size = sum(len(name) + len(value.encode()) for name, value in message.extras.items())
        assert message.extras["extras_cut"] == "true"
        assert size <= EXTRAS_BYTES_MAX + len("extras_cuttrue") + len(big)

    def test_an_extra_that_is_too_large_takes_no_other_with_it(self):
        """Each is skipped on its own: what comes after it is kept."""
        message = parse({**FORM, "Payload": "x" * (EXTRAS_BYTES_MAX + 1), "ButtonPayload": "yes", "ProfileName": "Ann"})

        assert message.extras == {"extras_cut": "true", "button_payload": "yes", "profile_name": "Ann"}


class TestMedia:
    @pytest.mark.parametrize("told", [None, "-1", "0", "1e9", "1000000000", "many", "", "1"])
    def test_media_are_taken_whatever_their_number_says(self, told: str | None):
        """A wrong count loses nothing and makes nothing up."""
        number = {} if told is None else {"NumMedia": told}

        message = parse({**FORM, **number, "MediaUrl0": "https://a.example/0", "MediaContentType0": "image/png"})

        assert message.media == (Media("https://a.example/0", "image/png"),)

    @pytest.mark.parametrize("told", ["-1", "1e9", "1000000000", "many"])
    def test_a_number_without_media_makes_none(self, told: str):
        """Whatever it says."""
        message = parse({**FORM, "NumMedia": told})

        assert message.media == ()

    @pytest.mark.parametrize("numbers", [(1,), (0, 2), (3, 1), (10, 9, 2), (4_711,)])
    def test_media_are_kept_whatever_their_indexes(self, numbers: tuple[int, ...]):
        """In the order of their numbers, each with its own type; none has to be the first."""
        form = {f"MediaUrl{one}": f"https://a.example/{one}" for one in numbers}
        form |= {f"MediaContentType{one}": f"image/{one}" for one in numbers}

        message = parse({**FORM, **form})

        assert message.media == tuple(Media(f"https://a.example/{one}", f"image/{one}") for one in sorted(numbers))

    def test_a_blank_url_is_no_medium(self):
        """There is nothing to fetch."""
        assert parse({**FORM, "MediaUrl0": "", "MediaUrl1": "https://a.example/1"}).media == (
            Media("https://a.example/1", ""),
        )

    def test_media_are_bounded(self):
        """Above what Twilio sends with one message."""
        urls = {f"MediaUrl{number}": f"https://a.example/{number}" for number in range(MEDIA_MAX + 5)}

        message = parse({**FORM, **urls})

        assert len(message.media) == MEDIA_MAX

    def test_media_without_a_type_are_kept(self):
        """What it is, a reader finds out by fetching it."""
        message = parse({**FORM, "MediaUrl0": "https://a.example/0"})

        assert message.media == (Media("https://a.example/0", ""),)


CALLBACK = {**FORM, "From": FORM["To"], "To": FORM["From"], "MessageStatus": "delivered", "SmsStatus": "delivered"}


class TestCallbacks:
    def test_a_status_callback_at_the_url_for_messages_is_recognised(self):
        """It is about a message of the company's, whose number is the sender there: the company has to prove it."""
        message = parse(CALLBACK)

        assert message.refusal is Code.MISDIRECTED_CALLBACK
        assert (message.sender, message.recipient) == (CUSTOMER, COMPANY)

    def test_one_that_names_no_company_is_refused_by_the_same_name(self):
        """A Messaging Service has not chosen a number yet: nothing can prove it."""
        with pytest.raises(Rejected) as refusal:
            parse({**CALLBACK, "From": ""})

        assert refusal.value.code is Code.MISDIRECTED_CALLBACK

    @pytest.mark.parametrize("status", ["received", "receiving", ""])
    def test_a_message_that_bears_a_status_is_a_message(self, status: str):
        """Twilio says `received` of what a customer sent."""
        assert parse({**FORM, "MessageStatus": status, "SmsStatus": "received"}).refusal is None


class TestAddresses:
    @pytest.mark.parametrize(
        ("sender", "recipient", "channel", "bare"),
        [
            ("whatsapp:+4915112345678", "whatsapp:+14155238886", "whatsapp", "+4915112345678"),
            ("whatsapp:DE.1349", "whatsapp:+14155238886", "whatsapp", "DE.1349"),
            ("+4915112345678", "+14155238886", "sms", "+4915112345678"),
            ("72404", "+14155238886", "sms", "72404"),
            ("ACME", "+14155238886", "sms", "ACME"),
        ],
    )
    def test_the_prefix_decides_the_channel(self, sender: str, recipient: str, channel: str, bare: str):
        """One Messaging Service URL carries both."""
        message = parse({**FORM, "From": sender, "To": recipient})

        assert (message.channel, message.sender) == (channel, Address(AddressKind.PHONE, bare))

    @pytest.mark.parametrize(
        "sender",
        [
            "whatsapp:",
            "rcs:+4915112345678",
            "whatsapp:whatsapp:+49151",
            "whatsapp:+49 151",
            "+",
            "-",
            "+49151\n",
            "+49151\x00",
            "é" * 9,
            "x" * 200,
            "a@b.example",
            "WhatsApp:+4915112345678",
        ],
    )
    def test_what_is_no_address_is_refused(self, sender: str):
        """By a name, without the address."""
        with pytest.raises(Rejected) as refusal:
            parse({**FORM, "From": sender, "To": "+14155238886"})

        assert refusal.value.code is Code.PARSING_ERROR
        assert sender not in refusal.value.detail

    def test_the_recipient_is_of_the_sender_s_channel(self):
        """A form that mixes two is none of Twilio's."""
        with pytest.raises(Rejected, match="To is no address of the channel whatsapp"):
            parse({**FORM, "To": "+14155238886"})

    @pytest.mark.parametrize(
        ("name", "sender", "recipient"),
        [
            ("rcs", "rcs:+4915112345678", "rcs:acme_agent"),
            ("messenger", "messenger:5512345678901234", "messenger:105612345678901"),
        ],
    )
    def test_a_new_channel_is_one_more_row(self, name: str, sender: str, recipient: str):
        """And no new branch."""
        row = Channel(
            name=name,
            address_prefix=f"{name}:",
            address_kind=AddressKind.PHONE,
            index=Index("an-index", "gsi_company", "gsi_recipient"),
            queue_name=f"replies-engine-local-{name}",
            vendor=Vendor.TWILIO,
            part_limits=PartLimits(1_600),
        )
        provider = Twilio((*CHANNELS, row), FakeClock())

        message = parse({**FORM, "From": sender, "To": recipient}, provider)

        assert message.channel == name
        assert (f"{name}:{message.sender.value}", f"{name}:{message.recipient.value}") == (sender, recipient)


class TestProof:
    @staticmethod
    def signed(
        form: dict[str, str] | list[tuple[str, str]],
        *,
        token: str = AUTH_TOKEN,
        signed_url: str = URL,
        called_url: str = URL,
    ) -> tuple[WebhookRequest, str]:
        """A request as Twilio signs it for one URL and we see it under another, and its account."""
        pairs = list(form.items()) if isinstance(form, dict) else form
        parameters: dict[str, list[str]] = {}
        for name, value in pairs:
            parameters.setdefault(name, []).append(value)
        signature = RequestValidator(token).compute_signature(signed_url, MultiDict(parameters))
        made = request(urlencode(pairs), url=called_url, **{"x-twilio-signature": signature})
        return made, TWILIO.parse(made)[0].account_id

    @pytest.mark.parametrize("token", ["current", "next"])
    def test_the_current_and_the_next_token_prove(self, token: str):
        """So that a token can be promoted without a gap."""
        secret = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": "current", "next_auth_token": "next"})

        is_genuine = TWILIO.is_genuine(*self.signed(FORM, token=token), secret)

        assert is_genuine

    def test_another_token_does_not_prove(self):
        """Neither an old one nor a forger's."""
        is_genuine = TWILIO.is_genuine(*self.signed(FORM, token="another"), SECRET)

        assert not is_genuine

    @pytest.mark.parametrize("headers", [{}, {"x-twilio-signature": ""}, {"x-twilio-signature": "é" * 28}])
    def test_a_missing_blank_or_foreign_signature_does_not_prove(self, headers: dict[str, str]):
        """Nothing is raised either."""
        made = request(urlencode(FORM), **headers)

        is_genuine = TWILIO.is_genuine(made, ACCOUNT_SID, SECRET)

        assert not is_genuine

    def test_another_account_s_request_does_not_prove(self):
        """Even with our token: after the signature the account must be the secret's."""
        is_genuine = TWILIO.is_genuine(*self.signed({**FORM, "AccountSid": "AC" + "1" * 32}), SECRET)

        assert not is_genuine

    def test_a_changed_parameter_does_not_prove(self):
        """Every parameter is signed."""
        made, account_id = self.signed(FORM)
        changed = request(made.body.replace(b"hello", b"hullo"), **made.headers)

        is_genuine = TWILIO.is_genuine(changed, account_id, SECRET)

        assert not is_genuine

    @pytest.mark.parametrize(
        "form",
        [
            {**FORM, "Body": "", "FromCity": ""},
            [*FORM.items(), ("Extra", "b"), ("Extra", "a"), ("Extra", "b")],
            {**FORM, "Body": "Ünïcode 🌅 שלום & = + %"},
        ],
        ids=["blank", "repeated", "not ASCII"],
    )
    def test_blank_repeated_and_foreign_characters_are_proven(self, form):
        """As Twilio signs them."""
        is_genuine = TWILIO.is_genuine(*self.signed(form), SECRET)

        assert is_genuine

    @pytest.mark.parametrize("name", PAYLOAD_NAMES)
    def test_every_recorded_payload_is_proven(self, name: str):
        """With its own account's secret."""
        form = parse_qsl((PAYLOADS / f"{name}.txt").read_text(), keep_blank_values=True)
        secret = json.dumps({"account_sid": dict(form)["AccountSid"], "auth_token": AUTH_TOKEN})

        is_genuine = TWILIO.is_genuine(*self.signed(form), secret)

        assert is_genuine

    def test_one_of_several_urls_suffices(self):
        """The configured base, or the request's own domain."""
        made, account, secret = *self.signed(FORM), SECRET
        both = replace(made, urls=("https://other.example.com/webhooks/whatsapp", *made.urls))

        assert TWILIO.is_genuine(both, account, secret)

    def test_the_urls_that_were_checked_can_be_told(self):
        """Without a query string, which is the company's own."""
        made = request("", url=f"{URL}?token=secret")

        assert TWILIO.signed_urls(made) == [f"{URL}?..."]

    @pytest.mark.parametrize(
        ("signed_url", "called_url"),
        [(URL.replace(".com", ".com:443"), URL), (URL, URL.replace(".com", ".com:443"))],
    )
    def test_a_port_is_tolerated(self, signed_url: str, called_url: str):
        """Twilio signs it or not, and so does the request tell it or not."""
        is_genuine = TWILIO.is_genuine(*self.signed(FORM, signed_url=signed_url, called_url=called_url), SECRET)

        assert is_genuine

    @pytest.mark.parametrize(
        "called_url",
        [
            URL.replace("https", "http"),
            URL + "/",
            URL.replace("whatsapp", "sms"),
            "https://[/webhooks/whatsapp",
            "https://a:b:c/webhooks/whatsapp",
            "https://a:99999999/webhooks/whatsapp",
            "",
        ],
    )
    def test_another_url_does_not_prove(self, called_url: str):
        """Neither does one whose host is no host; nothing is raised."""
        is_genuine = TWILIO.is_genuine(*self.signed(FORM, called_url=called_url), SECRET)

        assert not is_genuine

    @pytest.mark.parametrize("secret", ["no json", "[]", "{}", json.dumps({"account_sid": "AC1", "auth_token": 7})])
    def test_a_malformed_secret_is_our_fault(self, secret: str):
        """Not the sender's; the error does not hold the secret."""
        with pytest.raises(Misconfigured) as fault:
            TWILIO.is_genuine(*self.signed(FORM), secret)

        assert fault.value.code is Code.SECRET_FETCH_FAILED
        assert secret not in str(fault.value)

    def test_a_form_is_read_once_however_many_tokens_and_urls_are_tried(self, monkeypatch: pytest.MonkeyPatch):
        """By the parser, and by every proof."""
        read, parsed = [], webhooks._parsed
        monkeypatch.setattr(webhooks, "_parsed", lambda told: read.append(told) or parsed(told))
        one = request((PAYLOADS / "whatsapp_text.txt").read_bytes(), **{"x-twilio-signature": "forged"})
        (message,) = TWILIO.parse(one)
        tokens = {"auth_token": "0" * 32, "next_auth_token": "1" * 32}
        secret = json.dumps({"account_sid": message.account_id, **tokens})

        proofs = [TWILIO.is_genuine(one, message.account_id, secret) for _ in range(2)]

        assert proofs == [False, False]
        assert len(read) == 1
