"""An e-mail's form has one reading or none: a sender's words cannot say what SendGrid found out."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from chalicelib.channels.channel import Vendor
from chalicelib.channels.provider import WebhookRequest
from chalicelib.channels.registry import channels
from chalicelib.channels.sendgrid.form import read_form
from chalicelib.channels.sendgrid.webhooks import SendGrid
from chalicelib.errors import Rejected
from chalicelib.messages.inbound import InboundMessage
from tests.emails import Email, first, signature
from tests.fakes.clock import FakeClock
from tests.world import World, email_conversation, settings_of

PAYLOADS = Path(__file__).parents[1] / "payloads" / "sendgrid"
EVIL = {"spf": "fail", "dkim": "none", "sender": "Ann Example <ann@customer.example>"}


def field(name: str, value: str) -> str:
    return f'\r\n--xYzZY\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'


LETTERS = b"\r\n--xYzZY"
DENSE = os.urandom(2 << 20).translate(bytes(LETTERS[one % len(LETTERS)] for one in range(256))).replace(LETTERS, b"")
"""So many of the delimiter's letters that most of them are searched only once the request is verified."""

PASSES = field("SPF", "pass") + field("dkim", "{@customer.example : pass}")
ENVELOPE = field("envelope", '{"to": ["help@acme.example"], "from": "ann@customer.example"}')

INJECTED = {
    "results behind the words": f"hello{PASSES}",
    "results and an end": f"hello{PASSES}{ENVELOPE}\r\n--xYzZY--\r\n",
    "results, an end and a second form": f"hello{PASSES}{ENVELOPE}\r\n--xYzZY--\r\n--xYzZY\r\n",
    "the end alone": "hello\r\n--xYzZY--\r\n",
    "the end within a line": "hello\r\n--xYzZY--more",
    "another mode": "hello" + field("email", "From: ann@customer.example\r\n\r\nhello"),
    "a file of the same name": "hello" + field('SPF"; filename="x', "pass"),
}


@pytest.mark.parametrize("text", INJECTED.values(), ids=INJECTED.keys())
@pytest.mark.parametrize("where", ["text", "html", "subject"])
def test_words_that_open_a_field_of_their_own_are_refused(text: str, where: str):
    """SendGrid signs what it copied, so the signature holds; its boundary is no secret."""
    world = World(None, email_conversation())

    response = world.post_email(Email(**EVIL, **{where: text}, is_raw=False, headers={}))  # type: ignore[arg-type]

    assert (response.status_code, json.loads(response.body)["code"]) == (400, "PARSING_ERROR")
    assert world.staged_ids == []
    assert "pass" not in str(world.tables.stage.rows)


@pytest.mark.parametrize(
    "boundary",
    ["other", "xYzZ", "xYzZY--", "xYzZYx", "inner", ""],
)
def test_a_header_that_names_another_boundary_is_refused(boundary: str):
    """The signature covers the body, not the header: one body must not be two forms."""
    world = World(None, email_conversation())
    inner = 'hello\r\n--inner\r\nContent-Disposition: form-data; name="SPF"\r\n\r\npass\r\n--inner--\r\n'
    email = Email(text=inner)

    response = world.post_bytes(
        email.body, {"Content-Type": f"multipart/form-data; boundary={boundary}", **signature(email.body)}
    )

    assert (response.status_code, json.loads(response.body)["code"]) == (400, "PARSING_ERROR")


@pytest.mark.parametrize("bend", [lambda body: b"x" + body, lambda body: b"\r\n" + body, lambda body: body + b"x"])
def test_nothing_stands_before_the_first_delimiter_or_behind_the_terminator(bend):
    """What a reader would skip, another one could read."""
    with pytest.raises(Rejected):
        read_form(Email().content_type, bend(Email().body), sample_start=first)


@pytest.mark.parametrize("file", sorted(PAYLOADS.glob("*.bin")), ids=lambda file: file.stem)
def test_what_sendgrid_posts_is_read(file: Path):
    """Of the recorded forms none is refused."""
    assert read_form("multipart/form-data; boundary=xYzZY", file.read_bytes(), sample_start=first).fields


@pytest.mark.parametrize("name", ["authentication", "spf", "dkim", "Authentication", "X-Authentication"])
def test_no_header_of_the_sender_s_is_taken_for_sendgrid_s_finding(name: str):
    """The verdict comes from the form's own fields."""
    world = World(None, email_conversation(), unauthenticated_email="failed=keep")

    world.post_email(Email(**EVIL, headers={name: "pass"}))  # type: ignore[arg-type]

    (row,) = world.tables.stage.rows
    assert row["context_object"]["messages"][0]["extras"]["authentication"] == "fail"


@pytest.mark.parametrize("text", INJECTED.values(), ids=INJECTED.keys())
def test_words_among_bytes_that_are_searched_late_are_refused_too(text: str):
    """The signature holds, and the form has no single reading: nothing is staged."""
    world = World(None, email_conversation())
    content = DENSE[: 1 << 20] + text.encode() + DENSE[1 << 20 :]

    response = world.post_email(Email(**EVIL, attachments=(("x.bin", "application/pdf", content),)))  # type: ignore[arg-type]

    assert (response.status_code, json.loads(response.body)["code"]) == (400, "PARSING_ERROR")
    assert world.staged_ids == []


def test_an_e_mail_whose_bytes_are_searched_late_is_read_whole():
    """What was left for later changes when it is read, not what is read."""
    world = World(None, email_conversation())
    email = Email(text="hello", attachments=(("x.pdf", "application/pdf", DENSE),))

    response = world.post_email(email)

    assert response.status_code == 200
    (row,) = world.tables.stage.rows
    (message,) = row["context_object"]["messages"]
    assert (message["body"], message["extras"]["attachments_count"]) == ("hello", "1")
    assert any(DENSE in one for one in world.bucket.objects.values())


def parsed(email: Email) -> InboundMessage:
    """The message of an e-mail that nobody has verified."""
    settings = settings_of(())
    own = [one for one in channels(settings) if one.vendor is Vendor.SENDGRID]
    request = WebhookRequest((), {"content-type": email.content_type}, email.body, "request-1")
    (message,) = SendGrid(own, FakeClock(), settings).parse(request)
    return message


@pytest.mark.parametrize(
    "head",
    [
        "From: Ann <ann@customer.example>\r\nTo: a@b.example\r\n",
        "To: a@b.example\r\nfrom:\r\n Ann\r\n\t<ann@customer.example>\r\nSubject: x\r\n",
        "X-From: eve@evil.example\r\nFROM : ann@customer.example\r\n",
        "From eve@evil.example Mon Jan  1 00:00:00 2026\r\nFrom: ann@customer.example\r\n",
        "Subject: x\r\n from: eve@evil.example\r\nFrom: ann@customer.example\r\n",
        "From: ann@customer.example\r\nFrom: eve@evil.example\r\n",
        "Fromage: eve@evil.example\nFrom: ann@customer.example\n",
    ],
)
def test_the_sender_before_and_after_verification_is_one(head: str):
    """The header From is found without the others first, and read among them later."""
    message = parsed(Email(fields={"headers": head}))
    assert message.unread is not None

    judged = message.unread.judged(message, lists=())

    assert message.sender.value == judged.sender.value == "ann@customer.example"


LONG_NAMES = {
    "encoded words": "\r\n ".join(["=?utf-8?B?TcO8bGxlciBTY2hyw7ZkZXIgR21iSCBhbiBkZXIgU3Byw6ll?="] * 40),
    "a name in UTF-8": "ü" * 1_800,
    "an odd number of bytes more": "xü" * 1_200,
    "a quoted name": f'"{"Müller, " * 300}"',
    "twice a name": f"{'Ann ' * 500}(Ann)",
}


@pytest.mark.parametrize("name", LONG_NAMES.values(), ids=LONG_NAMES.keys())
@pytest.mark.parametrize("where", ["headers", "from"])
@pytest.mark.parametrize("behind", ["", "\r\nSubject: <eve@evil.example>\r\n"])
def test_a_long_name_hides_no_address(name: str, where: str, behind: str):
    """Before and after verification; the return path is another's."""
    told = {"headers": "Subject: x\r\n", "from": "", where: f"{name} <änn@customer.example>"}
    if where == "headers":
        told["headers"] = f"From: {told['headers']}{behind}"
    message = parsed(Email(fields=told, return_path="bounces@mailer.example"))
    assert message.unread is not None

    judged = message.unread.judged(message, lists=())

    assert message.sender.value == judged.sender.value == "änn@customer.example"


@pytest.mark.parametrize(
    "sender",
    [
        f"ann@customer.example ({'x' * 2_000} > y)",
        f"{'x' * 1_512} <ann@customer.example>",
        f"{'x' * 1_513} <ann@customer.example>",
        f"Ann <ann@customer.example> ({'x' * 2_000} > y)",
        f"{'x' * 985} <ann@customer.example>",
        f"{'x' * 1_003} <ann@customer.example>",
        f"{'x' * 1_022} <ann@customer.example>",
        f"{'x' * 1_024} <ann@customer.example>",
    ],
)
def test_what_stands_around_an_address_is_not_taken_for_one(sender: str):
    """Comments, and the place up to which a From is read at first."""
    email = Email(sender=sender, return_path="bounces@mailer.example")

    assert parsed(email).sender.value == "ann@customer.example"


@pytest.mark.parametrize("end", ["", ">"])
@pytest.mark.parametrize("piece", ["(a@b,", ",", "@,", '"', "<", "a@b "])
def test_no_from_makes_the_search_for_the_sender_long(piece: str, end: str):
    """Of each field that could name the sender a kilobyte is read as addresses."""
    value = "@" + piece * (16_000 // len(piece)) + end
    email = Email(fields={"headers": f"From: {value}\r\n", "from": value})
    times = []

    for _ in range(5):
        began = time.process_time()
        parsed(email)
        times.append(time.process_time() - began)

    assert min(times) < 0.01


@pytest.mark.parametrize("line", ["from\n", "from" + " " * 79 + "\n", "from:", "From: a\n b\n" * 3])
def test_no_header_block_makes_the_search_for_the_sender_long(line: str):
    """It is made before anything is verified."""
    email = Email(fields={"headers": line * (130_000 // len(line))})

    began = time.process_time()
    parsed(email)

    assert time.process_time() - began < 0.1
