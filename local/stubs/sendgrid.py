"""A STAND-IN for SendGrid's v3 API on the loopback interface. Never shipped, and it sends nothing to anybody.

It takes e-mails as SendGrid does - a bearer key, SendGrid's document, SendGrid's errors, as far as its documentation
tells them - and keeps what the customers' mailboxes would have got. The faults of a bad day are those of
`local/stubs/server.py`.

    POST /v3/mail/send      take an e-mail
    GET  /v3/scopes         what the key may do
    GET  /v3/messages       the Email Activity API, for accounts that have it: query=(unique_args['name']="value")

Guessed, for the documentation is silent: the exact words of most errors, that the `from` of an e-mail is checked before
what else it holds, and the 403 of a key that may not ask for activity.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from local.stubs.server import (
    GARBLED,
    SLOW_SECONDS,
    Answer,
    Call,
    Kind,
    Refused,
    StubServer,
    Tell,
    say_nothing,
    short,
    until_stopped,
)

REFUSALS = frozenset({400, 401, 403, 404, 405, 406, 408, 413, 415, 421, 422, 425, 429, 451})
"""The statuses below 500 that SendGrid is known to refuse a request with; others can be ordered too."""

BYTES_MAX = 30 * 1_024 * 1_024
CUSTOM_ARGS_BYTES_MAX = 10_000
RESERVED_HEADERS = frozenset(
    {
        "x-sg-id",
        "x-sg-eid",
        "received",
        "dkim-signature",
        "content-type",
        "content-transfer-encoding",
        "to",
        "from",
        "subject",
        "reply-to",
        "cc",
        "bcc",
    }
)
"""What SendGrid sets itself, and refuses to be told among the headers."""

_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+")
_TEMPLATE = re.compile(r"d-[0-9a-f]{32}")
_QUERY = re.compile(r"""\(?unique_args\['(?P<name>[^']+)'\]="(?P<value>[^"]*)"\)?""")
_LINE = re.compile(r"[ -~]*")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Account:
    """One account that may send, by one key."""

    api_key: str = field(repr=False)
    senders: frozenset[str] = frozenset()
    """The addresses that it has verified; empty: any."""
    has_activity: bool = True
    """Whether it bought the Email Activity API."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How one request fails."""

    kind: Kind = Kind.NONE
    status: int = 400
    """Of a refusal."""
    field: str | None = None
    """That a refusal complains of."""
    retry_after_seconds: int = 1
    """Of a 429: when the limit is reset."""
    to: str = ""
    """The recipient's address; empty: any."""
    is_of_list: bool = False
    """Whether it applies to a query for activity, not to an e-mail."""

    def applies_to(self, address: str, *, is_of_list: bool) -> bool:
        """Whether it applies to a request about this recipient."""
        return self.is_of_list == is_of_list and address.endswith(self.to)


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One e-mail that was taken."""

    id: str
    """As the answer's `X-Message-Id` tells it."""
    account: Account = field(repr=False)
    to: str
    sender: str
    subject: str
    text: str
    headers: Mapping[str, str]
    custom_args: Mapping[str, str]
    template_id: str | None
    template_data: Mapping[str, Any]
    delivery_reports: Document
    created_at: datetime
    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """The instant; the API tells whole seconds."""

    @property
    def activity_id(self) -> str:
        """As the Email Activity API tells it: the same with what SendGrid's servers added."""
        return f"{self.id}.recvd-0000000000-00000-1-00000000-1.0"

    @property
    def ledger_row(self) -> dict[str, Any]:
        """All that is known of it, but for who sent it."""
        return {
            **{name: value for name, value in asdict(self).items() if name != "account"},
            "created_at": self.created_at.isoformat(),
            "taken_at": self.taken_at.isoformat(timespec="microseconds"),
        }

    @property
    def activity(self) -> dict[str, Any]:
        """The e-mail as the Email Activity API tells it."""
        return {
            "from_email": self.sender,
            "msg_id": self.activity_id,
            "subject": self.subject,
            "to_email": self.to,
            "status": "delivered",
            "opens_count": 0,
            "clicks_count": 0,
            "last_event_time": self.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def error(message: str, name: str | None = None, status: int = HTTPStatus.BAD_REQUEST, **headers: str) -> Refused:
    """An error of SendGrid's, about a field of the document."""
    document = {"errors": [{"message": message, "field": name, "help": None}]}
    return Refused(Answer.json(document, HTTPStatus(status), **headers))


class SendGridStub(StubServer[Fault]):
    """Stands in for as long as the block lasts.

    Args:
        accounts: who may send.
        port: where; 0: any port that is free.
        slow_seconds: when a slow request is answered at last.
        tell: takes what happens.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        *,
        port: int = 0,
        slow_seconds: float = SLOW_SECONDS,
        tell: Tell = say_nothing,
    ) -> None:
        super().__init__("sendgrid", port=port, slow_seconds=slow_seconds, tell=tell)
        self._accounts = {one.api_key: one for one in accounts}
        self._mails: list[Mail] = []

    @property
    def mails(self) -> list[Mail]:
        """Everything that was taken, in order."""
        with self.changing:
            return list(self._mails)

    @property
    def ledger(self) -> dict[str, Any]:
        return {"deliveries": [one.ledger_row for one in self.mails]}

    @property
    def server_error(self) -> Answer:
        return _unavailable().answer

    def fault(self, document: Mapping[str, Any]) -> Fault:
        return Fault(**{**document, "kind": Kind(document.get("kind", Kind.NONE))})

    def add_account(self, document: Mapping[str, Any]) -> None:
        self._accounts[document["api_key"]] = Account(document["api_key"], frozenset(document["senders"]))

    def perform(self, call: Call) -> Answer | None:
        account = self.authenticate(call.headers.get("Authorization"))
        match call.method, call.path:
            case "POST", ("v3", "mail", "send"):
                return self.send(account, call)
            case "GET", ("v3", "messages"):
                return Answer.json(self.activity(account, call.query))
            case "GET", ("v3", "scopes"):
                return Answer.json({"scopes": ["mail.send"]})
        raise error("resource not found", status=HTTPStatus.NOT_FOUND)

    def authenticate(self, authorization: str | None) -> Account:
        """Whose key it is. Raises `Refused` where it is nobody's."""
        scheme, _, key = (authorization or "").partition(" ")
        account = self._accounts.get(key) if scheme.lower() == "bearer" else None
        if account is None:
            message = "The provided authorization grant is invalid, expired, or revoked"
            raise error(message, status=HTTPStatus.UNAUTHORIZED)
        return account

    def send(self, account: Account, call: Call) -> Answer | None:
        """Take an e-mail; what it is answered, or None where that is lost.

        Raises:
            Refused: it was not taken.
        """
        document = _read(call)
        mail = _mail(account, document)
        fault = self.next_fault(mail.to, is_of_list=False) or Fault()
        _refuse(fault)
        with self.changing:
            self._mails.append(mail)
        self.tell("taken", to=mail.to, message_sid=mail.id, shows=short(f"{mail.subject} | {mail.text}"))
        return self.late(fault.kind, Answer(HTTPStatus.ACCEPTED, headers={"X-Message-Id": mail.id}))

    def activity(self, account: Account, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """The account's e-mails that bear a custom argument, the newest first.

        Raises:
            Refused: the account has not bought this, or asks what nobody understands.
        """
        asked = _QUERY.fullmatch(query.get("query", [""])[0])
        _refuse(self.next_fault("", is_of_list=True) or Fault())
        if not account.has_activity:
            raise error("access forbidden", status=HTTPStatus.FORBIDDEN)
        if asked is None:
            raise error("error parsing input: syntax error", "query")
        found = [
            one.activity
            for one in reversed(self.mails)
            if one.account == account and one.custom_args.get(asked["name"]) == asked["value"]
        ]
        return {"messages": found[: int(query.get("limit", ["10"])[0])]}


def _unavailable() -> Refused:
    return error("service unavailable", status=HTTPStatus.SERVICE_UNAVAILABLE)


def _refuse(fault: Fault) -> None:
    match fault.kind:
        case Kind.TOO_MANY:
            now = datetime.now(UTC).replace(microsecond=0)
            reset = now + timedelta(seconds=fault.retry_after_seconds)
            raise error(
                "too many requests",
                status=HTTPStatus.TOO_MANY_REQUESTS,
                Date=format_datetime(now, usegmt=True),
                X_RateLimit_Limit="600",
                X_RateLimit_Remaining="0",
                X_RateLimit_Reset=f"{reset.timestamp():.0f}",
            )
        case Kind.SERVER_ERROR:
            raise _unavailable()
        case Kind.PAGE:
            raise Refused(Answer(HTTPStatus(fault.status), GARBLED))
        case Kind.REFUSE:
            raise error("refused to order", fault.field, fault.status)
        case _:
            return


def _read(call: Call) -> dict[str, Any]:
    """The document of a request. Raises `Refused` where it is none, or too large a one."""
    if len(call.body) > BYTES_MAX:
        raise error("The request is larger than 30 MB", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if not call.headers.get("Content-Type", "").startswith("application/json"):
        raise error("Content-Type should be application/json.", status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    try:
        document = json.loads(call.body)
    except ValueError:
        raise error("Bad Request") from None
    if not isinstance(document, dict):
        raise error("Bad Request")
    return document


def _mail(account: Account, document: Document) -> Mail:
    """The e-mail that a document tells. Raises `Refused`: SendGrid does not take it."""
    sender = _address(document.get("from"), "from")
    if account.senders and sender not in account.senders:
        message = "The from address does not match a verified Sender Identity."
        raise error(message, "from", HTTPStatus.FORBIDDEN)
    match document.get("personalizations"):
        case [dict() as recipient]:
            to = recipient.get("to")
        case _:
            raise error("The personalizations field is required and must have one block here.", "personalizations")
    if not isinstance(to, list) or not to:
        raise error("The to array is required.", "personalizations.0.to")
    (address,) = (_address(one, f"personalizations.0.to.{number}") for number, one in enumerate(to))
    template = document.get("template_id")
    if template is not None and not (isinstance(template, str) and _TEMPLATE.fullmatch(template)):
        raise error("The template_id must be a valid GUID", "template_id")
    subject = document.get("subject")
    if not isinstance(subject, str) or not subject:
        raise error("The subject is required.", "subject")
    return Mail(
        id=secrets.token_urlsafe(16),
        account=account,
        to=address,
        sender=sender,
        subject=subject,
        text=_text(document, is_template=template is not None),
        headers=_headers(document),
        custom_args=_custom_args(document),
        template_id=template,
        template_data=recipient.get("dynamic_template_data", {}),
        delivery_reports=document.get("tracking_settings", {}),
        created_at=datetime.now(UTC).replace(microsecond=0),
    )


def _address(told: object, name: str) -> str:
    email = told.get("email") if isinstance(told, dict) else None
    if not isinstance(email, str) or not _ADDRESS.fullmatch(email):
        raise error("Does not contain a valid address.", f"{name}.email")
    return email


def _text(document: Document, *, is_template: bool) -> str:
    match document.get("content"):
        case None if is_template:
            return ""
        case [{"type": "text/plain", "value": str() as text}, *_] if text:
            return text
        case [{"type": "text/plain"}, *_]:
            raise error("The content value must be a string at least one character in length.", "content.0.value")
        case _:
            raise error("The content parameter is required, text/plain first.", "content")


def _headers(document: Document) -> dict[str, str]:
    headers = document.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise error("The headers must be texts by name.", "headers")
    if reserved := sorted(name for name in headers if name.lower() in RESERVED_HEADERS):
        raise error("The header is reserved and cannot be overwritten.", f"headers.{reserved[0]}")
    if broken := sorted(_broken(headers)):
        raise error("A header is one line of printable ASCII.", f"headers.{broken[0]}")
    return headers


def _broken(headers: Mapping[str, str]) -> Iterator[str]:
    return (name for name, value in headers.items() if not (_LINE.fullmatch(name) and _LINE.fullmatch(value)))


def _custom_args(document: Document) -> dict[str, str]:
    told = document.get("custom_args", {})
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise error("The custom_args must be texts by name.", "custom_args")
    if len(json.dumps(told).encode()) > CUSTOM_ARGS_BYTES_MAX:
        raise error("The custom_args are limited to 10,000 bytes.", "custom_args")
    return told


def serve_stub(port: int, accounts: Iterable[Account]) -> None:
    """Stand in for SendGrid until SIGTERM."""
    until_stopped(lambda tell: SendGridStub(accounts, port=port, tell=tell))
