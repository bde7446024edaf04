"""What may come to the message webhook: recorded forms, bent in every way, and requests that nobody ever recorded.

A change of a form is a value, not a function, so that a counterexample can be read and kept.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from chalice.app import MultiDict, Request
from hypothesis import strategies as some
from twilio.request_validator import RequestValidator

from tests.world import AUTH_TOKEN, BASE_URL, COMPANY, CUSTOMER

Pairs = list[tuple[str, str]]
"""The parameters of a form, in order, repeated and blank ones kept."""

RECORDED: dict[str, Pairs] = {
    path.stem: parse_qsl(path.read_text(), keep_blank_values=True)
    for path in sorted((Path(__file__).parents[1] / "payloads" / "twilio").glob("*.txt"))
}

ACCOUNT = dict(RECORDED["sms_text"])["AccountSid"]
"""The account that the recorded forms come from: the tenant's."""

OTHER_ACCOUNT, OTHER_TOKEN, OTHER_COMPANY = "AC" + "7" * 32, "token-of-the-second-tenant", "+14155550000"
"""Another tenant of the same deployment, whose token is as genuine as the first one's."""

PERSONAL = ("Body", "From", "To", "ProfileName", "WaId", "Address", "Latitude", "Longitude", "ExternalUserId")
"""The parameters whose values are the customer's own."""

STATUS_CALLBACK: Pairs = [
    ("MessageSid", "SM" + "9" * 32),
    ("AccountSid", ACCOUNT),
    ("MessageStatus", "delivered"),
    ("ErrorCode", ""),
    ("From", f"whatsapp:{COMPANY}"),
    ("To", f"whatsapp:{CUSTOMER}"),
    ("ChannelPrefix", "whatsapp"),
    ("ApiVersion", "2010-04-01"),
]
"""What Twilio reports about a message that it accepted, by its documentation of status callbacks."""

TECHNICAL = {value for pairs in (*RECORDED.values(), STATUS_CALLBACK) for name, value in pairs if name not in PERSONAL}
"""Values that are nobody's own, such as `received`, and stay so where a change puts them under a personal name."""

TWILIO_PATHS = ("/webhooks/whatsapp", "/webhooks/sms")

ODD_TEXTS = some.sampled_from(
    [
        "",
        " ",
        "\0",
        "\x00\x01\x1f\x7f\x85",
        "\r\nX-Header: 1",
        "%",
        "%zz%00%ff",
        "+",
        "&=;",
        ":",
        "whatsapp:",
        f"whatsapp:whatsapp:{CUSTOMER}",
        f"messenger:{CUSTOMER}",
        f"whatsapp:{CUSTOMER}",
        CUSTOMER,
        COMPANY,
        OTHER_COMPANY,
        f"whatsapp:{OTHER_COMPANY}",
        ACCOUNT,
        OTHER_ACCOUNT,
        "STOP",
        "start",
        " Help ",
        "null",
        "-1",
        "1e400",
        "9" * 400,
        "a" * 2_000,
        "\ufffe\uffff\ufeff",
        "\u202e\u200b\U0001f44b\U0001f3fd",
        "]]><Response/>",
        "{}[]",
    ]
)
TEXTS = some.one_of(ODD_TEXTS, some.text(max_size=12))
"""Never with a lone surrogate: neither a form nor a header that API Gateway hands over can hold one."""

NAMES = some.one_of(
    some.sampled_from(sorted({name for pairs in RECORDED.values() for name, _ in pairs} | {"MediaUrl1", "Media", ""})),
    TEXTS,
)


@dataclass(frozen=True)
class Change:
    """One change of a form; a place counts around the parameters that there are."""

    verb: Literal["drop", "repeat", "blank", "swap", "rename", "replace", "insert"]
    place: int
    other: int = 0
    """The place that it is swapped with, or that its repetition takes the value of."""
    name: str = ""
    text: str = ""


PLACES = some.integers(0, 24)
CHANGES = some.one_of(
    some.builds(Change, verb=some.sampled_from(["drop", "blank"]), place=PLACES),
    some.builds(Change, verb=some.sampled_from(["swap", "repeat"]), place=PLACES, other=PLACES),
    some.builds(Change, verb=some.just("rename"), place=PLACES, name=NAMES),
    some.builds(Change, verb=some.just("replace"), place=PLACES, text=TEXTS),
    some.builds(Change, verb=some.just("insert"), place=PLACES, name=NAMES, text=TEXTS),
)

RAW_PIECES = some.one_of(
    some.sampled_from([b"%", b"%z", b"%ff", b"%C3", b"%ED%A0%80", b"\xff\xfe", b"&&", b"=", b";", b"\0", b"+", b"=&="]),
    some.binary(max_size=6),
)
CUTS = some.lists(some.tuples(some.integers(0, 900), RAW_PIECES), max_size=2)
"""Raw bytes put into the encoded form, each at a place."""


@dataclass(frozen=True)
class Form:
    """A form and what is done to it."""

    recorded: str
    """Its file's name, or `status_callback`."""
    changes: Sequence[Change] = ()
    cuts: Sequence[tuple[int, bytes]] = ()

    @property
    def body(self) -> bytes:
        pairs = list(RECORDED.get(self.recorded, STATUS_CALLBACK))
        for change in self.changes:
            pairs = changed(pairs, change)
        body = urlencode(pairs).encode()
        for place, piece in self.cuts:
            body = body[: place % (len(body) + 1)] + piece + body[place % (len(body) + 1) :]
        return body


_HOW = {"changes": some.lists(CHANGES, max_size=3), "cuts": some.one_of(some.just([]), CUTS)}
FORMS = some.builds(Form, recorded=some.sampled_from(sorted(RECORDED)), **_HOW)
REPORTS = some.builds(Form, recorded=some.just("status_callback"), **_HOW)


def changed(pairs: Pairs, change: Change) -> Pairs:
    """The form after one change."""
    if not pairs:
        return [(change.name or "Body", change.text)] if change.verb == "insert" else []
    place, other = change.place % len(pairs), change.other % len(pairs)
    name, value = pairs[place]
    after = list(pairs)
    match change.verb:
        case "drop":
            del after[place]
        case "blank":
            after[place] = (name, "")
        case "replace":
            after[place] = (name, change.text)
        case "rename":
            after[place] = (change.name, value)
        case "insert":
            after.insert(place, (change.name, change.text))
        case "repeat":
            after.insert(place, (name, pairs[other][1]))
        case "swap":
            after[place], after[other] = (name, pairs[other][1]), (pairs[other][0], value)
    return after


@dataclass(frozen=True)
class Signing:
    """How the signature of a request is made."""

    kind: Literal["right", "wrong token", "other tenant", "other path", "recorded form", "text", "none"]
    text: str = ""


RIGHT = Signing("right")
SIGNINGS = some.one_of(
    some.just(RIGHT),
    some.builds(
        Signing, some.sampled_from(["right", "wrong token", "other tenant", "other path", "recorded form", "none"])
    ),
    some.builds(Signing, some.just("text"), TEXTS),
)


@dataclass(frozen=True)
class Post:
    """One request, and what the URL is that the provider called."""

    body: bytes
    signing: Signing = RIGHT
    method: str = "POST"
    path: str = "/webhooks/whatsapp"
    template: str = ""
    """The route's path, where it is not the path itself."""
    base: str = BASE_URL
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/x-www-form-urlencoded"})
    query: Mapping[str, Sequence[str]] | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    is_base64: bool = False

    @property
    def url(self) -> str:
        pairs = [(name, value) for name, values in (self.query or {}).items() for value in values]
        return f"{self.base}{self.path}" + (f"?{urlencode(pairs)}" if pairs else "")

    @property
    def form(self) -> dict[str, list[str]]:
        """The parameters as their sender means them."""
        form: dict[str, list[str]] = {}
        for name, value in parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True):
            form.setdefault(name, []).append(value)
        return form

    @property
    def signature(self) -> str | None:
        match self.signing.kind:
            case "right":
                return self._signed(AUTH_TOKEN)
            case "wrong token":
                return self._signed(AUTH_TOKEN[::-1])
            case "other tenant":
                return self._signed(OTHER_TOKEN)
            case "other path":
                return replace(self, path="/webhooks/elsewhere")._signed(AUTH_TOKEN)
            case "recorded form":
                return replace(self, body=urlencode(RECORDED["whatsapp_text"]).encode())._signed(AUTH_TOKEN)
            case "text":
                return self.signing.text
            case "none":
                return None

    @property
    def is_proven(self) -> bool:
        """Whether the tenant of the company that is addressed signed exactly this, with its own account."""
        company = self.form.get("To", [""])[0].removeprefix("whatsapp:")
        account, token = {COMPANY: (ACCOUNT, AUTH_TOKEN), OTHER_COMPANY: (OTHER_ACCOUNT, OTHER_TOKEN)}.get(
            company, ("", "")
        )
        return bool(token) and self.is_of(account, token)

    def is_of(self, account: str, token: str) -> bool:
        """Whether this token signed exactly this, and the account is the token's."""
        return self.signature == self._signed(token) and set(self.form.get("AccountSid", ())) == {account}

    @property
    def sid(self) -> str:
        return self.form.get("MessageSid", [""])[0]

    @property
    def personal(self) -> set[str]:
        """What no log line may hold; values too short to be told from any other text are left out.

        A text that the provider calls the message's sid is told as such.
        """
        values = {one for name in PERSONAL for one in self.form.get(name, ())}
        bare = {one.removeprefix("whatsapp:") for one in values}
        return {one for one in values | bare | {CUSTOMER} if len(one) >= 8} - TECHNICAL - {self.sid}

    @property
    def event(self) -> dict[str, Any]:
        """As API Gateway hands it over."""
        signature = self.signature
        signed = {"X-Twilio-Signature": signature} if signature is not None else {}
        return {
            "headers": {**self.headers, **signed},
            "requestContext": {
                "httpMethod": self.method,
                "resourcePath": self.template or self.path,
                "path": self.path,
                **self.context,
            },
            "pathParameters": {"unknown": "unknown", "send": self.path.rpartition("/")[2], "token": "token-1"},
            "multiValueQueryStringParameters": self.query,
            "stageVariables": None,
            "body": base64.b64encode(self.body).decode() if self.is_base64 else self.body.decode(errors="replace"),
            "isBase64Encoded": self.is_base64,
        }

    def request(self, lambda_context: Any) -> Request:
        return Request(self.event, lambda_context)

    def _signed(self, token: str) -> str:
        return RequestValidator(token).compute_signature(self.url, MultiDict(self.form))


HEADERS = some.dictionaries(
    some.one_of(
        some.sampled_from(
            ["Host", "X-Forwarded-Proto", "Content-Type", "I-Twilio-Idempotency-Token", "X-Twilio-Signature", "Accept"]
        ),
        some.text(min_size=1, max_size=8),
    ),
    some.one_of(some.sampled_from(["application/json", "multipart/form-data; boundary=x", "text/xml"]), TEXTS),
    max_size=4,
)
QUERIES = some.none() | some.dictionaries(TEXTS, some.lists(TEXTS, min_size=1, max_size=2), max_size=2)
