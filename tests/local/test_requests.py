"""What we send as Twilio is what Twilio's own library takes for Twilio's."""

from __future__ import annotations

import pytest
from twilio.request_validator import RequestValidator

from local.requests.messages import Message, webhook_url
from local.requests.signatures import signature
from local.tenants import NORDIC, SUNRISE

URL = "https://example.ngrok.app/webhooks/whatsapp"


def message(**more) -> Message:
    return Message(
        **{
            "channel": "whatsapp",
            "sender": "+447700900111",
            "recipient": SUNRISE.addresses["whatsapp"],
            "account_sid": SUNRISE.account_sid,
            **more,
        }
    )


@pytest.mark.parametrize(
    "one",
    [
        message(body="Hello"),
        message(body=""),
        message(body="Ünïcode 🌅 & = + %"),
        message(media=("https://example.com/a.jpg", "https://example.com/b.pdf")),
        message(button="Yes, please"),
        message(location=("51.5", "-0.12")),
        message(channel="sms", body="Hello"),
    ],
)
def test_a_signature_of_ours_is_one_that_twilio_would_make(one):
    """Twilio's validator accepts the signature over every parameter, blank ones too."""
    parameters = one.parameters

    signed = signature(URL, parameters, SUNRISE.auth_token)

    assert RequestValidator(SUNRISE.auth_token).validate(URL, parameters, signed)
    assert not RequestValidator(NORDIC.auth_token).validate(URL, parameters, signed)


def test_the_fragment_that_sets_retries_is_not_signed():
    """The console's URL has a fragment; what Twilio signs and sends has none."""
    parameters = message(body="Hello").parameters

    signed = signature(f"{URL}#rc=3&rp=all", parameters, SUNRISE.auth_token)

    assert RequestValidator(SUNRISE.auth_token).validate(URL, parameters, signed)


def test_a_prefix_tells_whatsapp_and_no_prefix_tells_sms():
    """The addresses bear the channel, as Twilio writes them."""
    whatsapp, sms = message(), message(channel="sms")

    addresses = [(one.parameters["From"], one.parameters["To"]) for one in (whatsapp, sms)]

    assert addresses == [
        ("whatsapp:+447700900111", "whatsapp:+447700900100"),
        ("+447700900111", "+447700900100"),
    ]


def test_media_are_counted_and_numbered_from_zero():
    """A message of media alone has a blank Body, a count, and a URL and a type for each."""
    one = message(media=("https://example.com/a.jpg", "https://example.com/b"))

    parameters = one.parameters

    assert parameters["Body"] == ""
    assert parameters["NumMedia"] == "2"
    assert parameters["MediaContentType0"] == "image/jpeg"
    assert parameters["MediaUrl1"] == "https://example.com/b"


def test_two_messages_have_different_sids():
    """A sid that is not told is fresh, so that a second message is no retry of the first."""
    sids = {message().sid for _ in range(100)}

    assert len(sids) == 100


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/webhooks/sms"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/webhooks/sms"),
        ("https://example.com/prod/webhooks/whatsapp", "https://example.com/prod/webhooks/whatsapp"),
        ("https://example.com#rc=3&rp=all", "https://example.com/webhooks/sms#rc=3&rp=all"),
    ],
)
def test_a_server_alone_means_its_webhook_of_the_channel(told, expected):
    """A URL with a path is the webhook's own; one without gets the channel's path."""
    url = webhook_url(told, "sms")

    assert url == expected
