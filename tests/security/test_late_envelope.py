"""A genuine e-mail is never refused because its envelope stands where a search for delimiters takes long."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.channels.email.notes import Notes
from chalicelib.channels.provider import WebhookRequest
from chalicelib.channels.sendgrid import delimiters
from chalicelib.channels.sendgrid.form import Form
from chalicelib.channels.sendgrid.inbound_parse import Envelope, Mail, read_mail
from chalicelib.errors import Rejected
from tests.emails import BOUNDARY, COMPANY_EMAIL, CUSTOMER_EMAIL, Email, first
from tests.world import World, email_conversation

DELIMITER = f"\r\n--{BOUNDARY}".encode()
KB = 1_000


def filled(piece: str, size: int) -> str:
    return piece * (size // len(piece) + 1)


def letters(size: int) -> str:
    """Letters of the delimiter, at random, without a delimiter."""
    chosen = random.Random(1).choices(DELIMITER.decode(), k=size)  # noqa: S311 - no secret
    return "".join(chosen).replace(DELIMITER.decode(), "")


def photo(size: int) -> bytes:
    return random.Random(2).randbytes(size)  # noqa: S311 - no secret


ASCII_TABLE = "+----------+----------+----------+\r\n| Zeit     | xy       | Yz       |\r\n"
PIPES = "|---|---|---|\r\n| x | Y | zZ |\r\n"
ORDERS = f"{'-' * 72}\r\nOrder 4711: 2 x Zylinder, Type xYz\r\n"
LOG = "2026-01-05 10:00:00 - x-Request-Z: zone Y -- retry\r\n\r\n"
JSON_LINES = '{"x": "Z-1", "Y": "--", "z": "xyz-ZY"}\r\n'
OUTLOOK = '<p style="mso-margin-top-alt:auto;mso-style-priority:99;font-size:12-Z" class="xYz-Normal">\r\n'

SHAPES = {
    "a table of 60 KB": ("text", ASCII_TABLE, 60 * KB, 140 * KB),
    "a table of pipes of 120 KB": ("text", PIPES, 120 * KB, 300 * KB),
    "lines of dashes with orders": ("text", ORDERS, 120 * KB, 300 * KB),
    "a log of 300 KB": ("text", LOG, 300 * KB, 140 * KB),
    "lines like JSON of 500 KB": ("text", JSON_LINES, 500 * KB, 300 * KB),
    "HTML of Outlook, a small photo": ("html", OUTLOOK, 1_500 * KB, 140 * KB),
    "HTML of Outlook, a photo": ("html", OUTLOOK, 1_500 * KB, 300 * KB),
    "letters at random of 1.5 MB": ("text", letters(1_500 * KB), 1, 300 * KB),
}


def shaped(name: str, **more: object) -> Email:
    field, piece, size, photo_size = SHAPES[name]
    texts = {"text": "hello", "html": "<p>hello</p>", field: filled(piece, size)}
    attachments = (("photo.jpg", "image/jpeg", photo(photo_size)),)
    return Email(**texts, attachments=attachments, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SHAPES)
def test_a_signed_mail_is_taken_whatever_stands_before_its_envelope(name: str):
    """SendGrid posts the headers, the texts, the envelope, and then the attachments."""
    world = World(None, email_conversation())

    response = world.post_email(shaped(name))

    assert response.status_code == 200
    (row,) = world.tables.stage.rows
    (message,) = row["context_object"]["messages"]
    assert message["extras"]["attachments_count"] == "1"


ENVELOPE = Envelope((COMPANY_EMAIL,), CUSTOMER_EMAIL)
FIELDS = ("headers", "html", "text", "from", "envelope")


@pytest.mark.parametrize(
    "name", ["a table of pipes of 120 KB", "HTML of Outlook, a photo", "letters at random of 1.5 MB"]
)
@pytest.mark.parametrize("order", list(permutations(FIELDS)), ids=">".join)
def test_the_order_of_the_fields_changes_nothing(name: str, order: tuple[str, ...]):
    """The sender and the recipients are those of the whole form."""
    email = shaped(name, order=order)

    mail = read(email.content_type, email.body)

    assert mail.envelope == ENVELOPE
    assert sides(mail) == sides(mail.whole())


def read(content_type: str, body: bytes) -> Mail:
    return read_mail(WebhookRequest((), {"content-type": content_type}, body, "request-1"), Notes(), sample_start=first)


def sides(mail: Mail) -> object:
    return mail.envelope, mail.is_raw, mail.first_from, mail.told_from


def accepted(content_type: str, body: bytes) -> object:
    """Both sides of an e-mail before and after it is verified; None: it is refused."""
    try:
        mail = read(content_type, body)
        return sides(mail), sides(mail.whole())
    except Rejected:
        return None


def part(name: str, value: bytes, more: str = "") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + value + b"\r\n"


DENSE = letters(3_000).encode()
PARTS = st.sampled_from(
    [
        part("headers", b"From: Ann <ann@customer.example>\r\n"),
        part("headers", b"Subject: x\r\n" + DENSE[:900] + b"\r\nFrom: eve@customer.example\r\n"),
        part("email", b"From: bob@customer.example\r\n\r\n" + DENSE),
        part("from", b"carl@customer.example"),
        part("envelope", b'{"to": ["help@acme.example"], "from": "dora@customer.example"}'),
        part("envelope", b'{"to": ["help@acme.example"]' + b" " * 600 + b', "from": ""}'),
        part("envelope", b"{}"),
        part("text", DENSE),
        part("html", DENSE[:700]),
        part("subject", b"hello"),
        part("attachment1", DENSE, '; filename="x"'),
        part("attachment2", b"." * 600, '; filename="envelope"'),
    ]
)


@given(parts=st.lists(PARTS, min_size=1, max_size=10))
@settings(max_examples=400)
def test_the_quick_reading_accepts_what_the_whole_reading_accepts(parts: list[bytes]):
    """Nothing else, and with the same two sides, wherever the fields stand."""
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    content_type = Email().content_type

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimiters, "BLOCK_BYTES", 256)
        whole = accepted(content_type, body)
        patch.setattr(delimiters, "_LOOKS_MIN", 0)
        quick = accepted(content_type, body)

    assert quick == whole


@pytest.mark.parametrize("name", SHAPES)
def test_a_form_whose_sides_are_certain_is_not_searched_on(name: str, monkeypatch):
    """Else a forger's attachment would decide what the refusal costs."""
    monkeypatch.setattr(Form, "searched", lambda _: pytest.fail("the rest was searched"))
    email = shaped(name, order=("headers", "from", "envelope"))

    assert read(email.content_type, email.body).envelope == ENVELOPE


@pytest.mark.parametrize(
    ("boundary", "is_searched"),
    [("xYzZY", True), ("-" * 24 + "0123456789", True), ("-" * 18, True), ("Y", False), ("-----", False)],
)
def test_a_boundary_unlike_any_program_s_is_not_searched_for_at_length(boundary: str, is_searched: bool):
    """It would take up to twice as long."""
    delimiter = f"\r\n--{boundary}"
    chosen = random.Random(1).choices(sorted(set(delimiter)), k=1_000 * KB)  # noqa: S311 - no secret
    text = "".join(chosen).replace("\r\n-", "\r\nx")
    email = Email(text=text, attachments=(("x.pdf", "application/pdf", text.encode()),), boundary=boundary)

    if is_searched:
        assert read(email.content_type, email.body).envelope == ENVELOPE
    else:
        with pytest.raises(Rejected, match="envelope is missing"):
            read(email.content_type, email.body)


def test_a_form_without_an_envelope_is_refused_before_it_is_hashed_whole():
    """It is searched whole, so nothing else may be added to that."""
    email = Email(text=letters(2_000 * KB), fields={"envelope": None})
    request = WebhookRequest((), {"content-type": email.content_type}, email.body, "request-1")
    hashed: list[int] = []

    with pytest.raises(Rejected, match="envelope is missing"):
        read_mail(request, Notes(), sample_start=first, searched=hashed.append)

    assert max(hashed, default=0) < len(email.body) / 2
