"""What we send as SendGrid's Inbound Parse is what its documentation describes, signed as its security policy signs."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import HTTP, SMTP
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from chalicelib.channels.sendgrid.credentials import SendGridCredentials
from local.requests.command import send_command
from local.requests.email_signatures import SIGNATURE_HEADER, TIMESTAMP_HEADER, key_pair
from local.requests.emails import Attachment, Mail, mail_url, send
from local.tenants import MAIL, NORDIC, PRIVATE_KEY, SUNRISE

EVERY_BYTE = Attachment("every byte.bin", bytes(range(256)) * 4 + b"\r\n--xYzZY--\r\n")
PRIVATE, PUBLIC = key_pair()


@dataclass
class Webhook:
    """Takes requests on the loopback interface."""

    url: str
    requests: list[tuple[Message, bytes]] = field(default_factory=list)
    """The headers and the body of each."""

    @property
    def fields(self) -> dict[str, Message]:
        """The parts of the last request's body, by their names, as the standard library reads them."""
        headers, body = self.requests[-1]
        parts = message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body, policy=HTTP)
        return {part.get_param("name", header="Content-Disposition"): part for part in parts.iter_parts()}

    def is_signed(self, public_key: str) -> bool:
        """Whether the last request is signed with the private half of this key."""
        headers, body = self.requests[-1]
        key = load_der_public_key(base64.b64decode(public_key))
        signature, timestamp = base64.b64decode(headers[SIGNATURE_HEADER]), headers[TIMESTAMP_HEADER].encode()
        try:
            key.verify(signature, timestamp + body, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    class Door(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.requests.append((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Door) as server:
        heard = Webhook(f"http://127.0.0.1:{server.server_address[1]}/webhooks/email")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


def mail(**changes) -> Mail:
    return Mail(
        **{
            "sender": "ann@example.net",
            "recipient": "help@acme.example",
            "subject": "Grüße 🎉",
            "name": "Ann",
            "body": "Hello,\nhow are you?\n",
            "message_id": "<q1@example.net>",
            **changes,
        }
    )


@pytest.mark.parametrize("is_raw", [False, True], ids=["parsed", "raw"])
def test_a_request_is_signed_over_its_timestamp_and_its_bytes(webhook, is_raw):
    """With the company's own key, and no other fits."""
    send(webhook.url, mail(attachments=(EVERY_BYTE,)), PRIVATE, is_raw=is_raw)

    assert webhook.is_signed(PUBLIC)
    assert not webhook.is_signed(key_pair()[1])


def test_a_forged_request_is_signed_with_another_key(webhook):
    """It has everything that a real one has."""
    send(webhook.url, mail(), PRIVATE, forge=True)

    assert not webhook.is_signed(PUBLIC)


def test_a_company_without_signing_sends_no_signature(webhook):
    """A word in the URL proves it."""
    send(webhook.url, mail(), None)

    headers, _ = webhook.requests[0]
    assert (headers[SIGNATURE_HEADER], headers[TIMESTAMP_HEADER]) == (None, None)


def test_a_parsed_e_mail_comes_as_fields_and_files(webhook):
    """The texts in the charsets that are told, each attachment byte for byte."""
    send(webhook.url, mail(html="<p>Hello</p>", attachments=(EVERY_BYTE,), headers={"In-Reply-To": "<q0@x>"}), PRIVATE)

    fields = {name: part.get_payload(decode=True) for name, part in webhook.fields.items()}
    charsets = json.loads(fields["charsets"])
    headers = message_from_bytes(fields["headers"], policy=SMTP)
    assert fields["subject"].decode(charsets["subject"]) == "Grüße 🎉"
    assert (fields["text"], fields["html"]) == (b"Hello,\nhow are you?\n", b"<p>Hello</p>")
    assert json.loads(fields["envelope"]) == {"to": ["help@acme.example"], "from": "ann@example.net"}
    assert (headers["Message-ID"], headers["In-Reply-To"], headers["Subject"]) == (
        "<q1@example.net>",
        "<q0@x>",
        "Grüße 🎉",
    )
    assert fields["attachments"] == b"1"
    assert json.loads(fields["attachment-info"])["attachment1"]["filename"] == EVERY_BYTE.filename
    assert "email" not in fields


def test_an_attachment_s_bytes_are_whole_whatever_they_are(webhook):
    """Every byte there is, and what looks like the end of the body."""
    send(webhook.url, mail(attachments=(EVERY_BYTE, EVERY_BYTE)), PRIVATE)

    _, body = webhook.requests[0]
    assert body.count(EVERY_BYTE.content) == 2


def test_a_raw_e_mail_is_one_field(webhook):
    """Its text and its attachments are within."""
    send(webhook.url, mail(attachments=(EVERY_BYTE,)), PRIVATE, is_raw=True)

    fields = webhook.fields
    whole = message_from_bytes(fields["email"].get_payload(decode=True), _class=EmailMessage, policy=SMTP)
    (attachment,) = whole.iter_attachments()
    assert attachment.get_content() == EVERY_BYTE.content
    assert whole.get_body(("plain",)).get_content().split() == ["Hello,", "how", "are", "you?"]
    assert not {"text", "html", "headers"} & fields.keys()


@pytest.mark.parametrize(
    ("base", "secret", "expected"),
    [
        ("http://h:1", {}, "http://h:1/webhooks/email"),
        ("http://h:1", {"url_token": "word"}, "http://h:1/webhooks/email/word"),
        ("http://h:1/webhooks/email/other", {"url_token": "word"}, "http://h:1/webhooks/email/other"),
    ],
)
def test_a_word_that_proves_stands_in_the_url(base, secret, expected):
    """A URL that is told whole is taken as it is."""
    url = mail_url(base, secret)

    assert url == expected


def test_a_tenant_s_keys_are_a_pair_made_anew_each_time():
    """The app reads the public half, `make send` the private one."""
    secrets = [SUNRISE.secret(MAIL) for _ in range(2)]

    credentials = SendGridCredentials.from_secret(json.dumps(secrets[0]))
    assert (credentials.public_key, credentials.api_key) == (secrets[0]["public_key"], SUNRISE.api_key)
    assert len({secret[PRIVATE_KEY] for secret in secrets}) == 2


def test_a_tenant_without_signing_is_proven_by_a_word():
    """It has no keys to sign with."""
    secret = NORDIC.secret(MAIL)

    credentials = SendGridCredentials.from_secret(json.dumps(secret))
    assert credentials.url_token
    assert credentials.public_key is None
    assert PRIVATE_KEY not in secret


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from", "anna", "--subject", "Hello"],
        ["--from", "gina", "--button", "Yes"],
        ["--channel", "email", "--media", "https://a.example/1.png"],
        ["--channel", "sms", "--raw"],
    ],
)
def test_an_option_that_the_channel_has_not_is_refused(arguments):
    """A mistake is told, and nothing is sent."""
    result = CliRunner().invoke(send_command, arguments)

    assert result.exit_code == 2
    assert "does not exist for" in result.output
