"""What may come to the e-mail webhook: recorded requests and whole e-mails, bent in every way.

A change is a value, not a function, so that a counterexample can be read and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hypothesis import strategies as some

from tests.emails import COMPANY_EMAIL, CUSTOMER_EMAIL, Email

RECORDED: dict[str, bytes] = {
    path.stem: path.read_bytes() for path in sorted((Path(__file__).parents[1] / "payloads" / "sendgrid").glob("*.bin"))
}

ODD_TEXTS = some.sampled_from(
    [
        "",
        " ",
        "\0",
        "\r\nBcc: victim@other.example",
        "a\x00\x1b[31m\u202e\u2028b",
        "=?utf-8?q?a=0D=0AX:_y?=",
        "=?unicode_escape?b?XHVkODAw?=",
        "=?utf-8?B?A?=",
        '"\\',
        "(((((",
        "<>",
        "<a@b>,<c@d>",
        f"x <{CUSTOMER_EMAIL}>",
        CUSTOMER_EMAIL,
        COMPANY_EMAIL,
        "undisclosed-recipients:;",
        "{",
        "[]",
        "null",
        '{"to": null}',
        '{"to": ["' + COMPANY_EMAIL + '"]}',
        '{"to": ["' + COMPANY_EMAIL + '", "' + COMPANY_EMAIL.upper() + '", 7], "from": ""}',
        '{"to": {"a": 1}, "from": []}',
        '{"text": "zlib", "subject": 7}',
        "[" * 2_000,
        "x" * 70_000,
        "> q\n> r\n> s\n\nanswer\n-- \nAnn",
        "From: a@b\nSubject: c\n\nd",
        "<div>" * 400,
        "<p>a</p><script>b",
        "auto-replied",
        "multipart/mixed; boundary=b",
        "--xYzZY",
        "\N{WAVING HAND SIGN}" * 3_000,
    ]
)
TEXTS = some.one_of(ODD_TEXTS, some.text(max_size=20))
VALUES = some.one_of(some.none(), TEXTS, some.binary(max_size=20))

FIELDS = some.dictionaries(
    some.sampled_from(
        [
            "headers",
            "text",
            "html",
            "from",
            "to",
            "subject",
            "cc",
            "envelope",
            "charsets",
            "SPF",
            "dkim",
            "email",
            "spam_score",
            "attachments",
            "attachment-info",
            "attachment1",
            "",
            "new",
        ]
    ),
    VALUES,
    max_size=3,
)
HEADERS = some.dictionaries(
    some.sampled_from(
        [
            "From",
            "To",
            "Message-ID",
            "In-Reply-To",
            "References",
            "Content-Type",
            "Content-Transfer-Encoding",
            "Reply-To",
            "Cc",
            "Auto-Submitted",
            "Precedence",
            "List-Id",
            "Content-Disposition",
            "Return-Path",
            "X y",
        ]
    ),
    TEXTS,
    max_size=3,
)
ATTACHMENTS = some.lists(
    some.tuples(
        some.sampled_from(["a.pdf", "", "../a", "\N{WAVING HAND SIGN}.png", "x" * 300 + ".pdf", "cv\u202efdp.exe"]),
        some.sampled_from(["application/pdf", "image/png", "text/html", "message/rfc822x", "a/b", "x" * 300 + "/y"]),
        some.binary(max_size=30),
    ),
    max_size=12,
).map(tuple)

PIECES = some.one_of(
    some.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"\r\n\r\n",
            b"\r\n--xYzZY\r\n",
            b"\r\n--xYzZY--\r\n",
            b"--",
            b"\xff\xfe",
            b"\0",
            b";",
            b'"',
            b"=",
            b"Content-Type: multipart/mixed; boundary=xYzZY\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"filename*0*=utf-8''%ff;",
        ]
    ),
    some.binary(max_size=8),
)


@dataclass(frozen=True)
class Bend:
    """One change of the bytes of a request."""

    verb: Literal["insert", "delete", "repeat", "cut"]
    place: int
    length: int = 0
    piece: bytes = b""


BENDS = some.builds(
    Bend,
    verb=some.sampled_from(["insert", "delete", "repeat", "cut"]),
    place=some.integers(0, 4_000),
    length=some.integers(0, 400),
    piece=PIECES,
)


def bent(body: bytes, bends: Sequence[Bend]) -> bytes:
    """The body after its changes."""
    for one in bends:
        place = one.place % (len(body) + 1)
        before, after = body[:place], body[place:]
        match one.verb:
            case "insert":
                body = before + one.piece + after
            case "delete":
                body = before + after[one.length :]
            case "repeat":
                body = before + after[: one.length] * 2 + after[one.length :]
            case "cut":
                body = before
    return body


EMAILS = some.builds(
    Email,
    text=TEXTS,
    html=some.just("") | TEXTS,
    attachments=some.just(()) | ATTACHMENTS,
    charset=some.sampled_from(["UTF-8", "iso-8859-1", "utf-16"]),
    is_raw=some.booleans(),
    return_path=some.sampled_from([CUSTOMER_EMAIL, "", None, "bounces@customer.example"]),
    headers=some.just({})
    | HEADERS.map(lambda told: {name: value for name, value in told.items() if "\r" not in value}),
    fields=some.just({}) | FIELDS,
)
"""Whole e-mails; where their parts contradict each other, so much the better."""

BODIES = some.one_of(
    some.builds(bent, some.sampled_from(sorted(RECORDED.values())), some.lists(BENDS, max_size=3)),
    some.binary(max_size=80),
)
"""Recorded requests with their bytes bent, and nobody's."""
