"""A STAND-IN for Twilio's REST API on the loopback interface. Never shipped, and it sends nothing to anybody.

It takes messages as Twilio does - basic auth, Twilio's fields, Twilio's errors - so that the official library sends
through it, keeps what the customers' phones would have got, and tells the status callbacks, signed. The faults of a bad
day are those of `local/stubs/server.py`. A message's statuses can be changed too: another course, later, or with an
error code.

    POST /2010-04-01/Accounts/{account}/Messages.json           take a message
    POST /v2/Indicators/Typing.json                             show that an answer is being written
    GET  /2010-04-01/Accounts/{account}/Messages.json           list them, the newest first (To, From, PageSize, Page)
    GET  /2010-04-01/Accounts/{account}/Messages/{sid}.json     one of them
    GET  /2010-04-01/Accounts/{account}/Messages/{sid}/Media.json   its media
    GET  /2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json   a number, and where its messages go (PhoneNumber)
    GET  /2010-04-01/Accounts/{account}/Applications/{sid}.json     an application that numbers may name
    GET  /v1/Services, /v1/Services/{sid}/PhoneNumbers, .../ChannelSenders        Messaging Services and what they hold
    GET  /v2/Channels/Senders                                       the WhatsApp senders
    POST /_stand-in/inbound                                     a customer's message that Twilio got, and lists
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from http import HTTPStatus
from math import ceil
from typing import Any
from urllib.parse import parse_qs, urlencode

from local.stubs.console_settings import ConsoleSettings
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
from local.stubs.status_callbacks import Callback, StatusCallbacks, post

API = "/2010-04-01"
BODY_LENGTH_MAX = 1_600
STATUSES = ("queued", "sent", "delivered")
STEP_SECONDS = 0.3
READ_SECONDS = 2.0
"""How long after its delivery a customer reads a WhatsApp message."""

_PAGE_SIZE, _PAGE_SIZE_MAX = 50, 1_000
_NUMBER = re.compile(r"(whatsapp:)?\+[1-9]\d{6,14}")
_TYPING = "(a typing indicator)"
"""Stands for the recipient of a typing indicator, which names none."""

_NOT_ON_THE_PHONE = frozenset({"failed", "undelivered"})
_COURSE = ("accepted", "queued", "sending", "sent", "delivered", "read", "undelivered", "failed")

UNAUTHORIZED, FORBIDDEN, NOT_FOUND = HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND
BAD, TOO_MANY = HTTPStatus.BAD_REQUEST, HTTPStatus.TOO_MANY_REQUESTS

ERRORS = {
    10001: (FORBIDDEN, "Account is not active"),
    10002: (FORBIDDEN, "Trial account does not support this feature"),
    14107: (BAD, "SMS send rate limit exceeded"),
    20003: (UNAUTHORIZED, "Authenticate"),
    20005: (FORBIDDEN, "Account not active"),
    20006: (FORBIDDEN, "Access denied"),
    20008: (FORBIDDEN, "Resource not accessible with Test Account Credentials"),
    20403: (FORBIDDEN, "Forbidden"),
    20404: (NOT_FOUND, "The requested resource was not found"),
    20408: (HTTPStatus.REQUEST_TIMEOUT, "Request timeout"),
    20429: (TOO_MANY, "Too Many Requests"),
    20500: (HTTPStatus.SERVICE_UNAVAILABLE, "Service unavailable"),
    21211: (BAD, "Invalid 'To' Phone Number"),
    21212: (BAD, "Invalid 'From' Phone Number"),
    21214: (BAD, "'To' phone number cannot be reached"),
    21217: (BAD, "Phone number does not appear to be valid"),
    21219: (BAD, "'To' phone number not verified"),
    21266: (BAD, "'To' and 'From' number cannot be the same"),
    21408: (BAD, "Permission to send to this region is not enabled"),
    21601: (BAD, "'From' cannot send messages"),
    21602: (BAD, "Message body is required"),
    21603: (BAD, "A 'From' phone number is required"),
    21604: (BAD, "A 'To' phone number is required"),
    21606: (BAD, "The 'From' phone number is not a valid sender"),
    21607: (BAD, "'From' must be the sandbox number"),
    21608: (BAD, "'To' phone number not verified"),
    21609: (BAD, "Invalid 'StatusCallback' URL"),
    21610: (BAD, "Attempt to send to unsubscribed recipient"),
    21611: (BAD, "'From' has exceeded the maximum number of queued messages"),
    21612: (BAD, "'To' is not reachable from 'From'"),
    21614: (BAD, "'To' is not a mobile number"),
    21616: (BAD, "'From' matches multiple numbers"),
    21617: (BAD, "The concatenated message body exceeds the 1600 character limit"),
    21618: (BAD, "The message body cannot be sent"),
    21619: (BAD, "A text message body or media urls must be specified"),
    21620: (BAD, "Invalid media URL"),
    21621: (BAD, "'From' is not enabled for MMS"),
    21622: (BAD, "MMS is not enabled for the account"),
    21623: (BAD, "Too many media"),
    21635: (BAD, "'To' is a landline"),
    21654: (BAD, "ContentSid required"),
    21655: (BAD, "The ContentSid is invalid"),
    21656: (BAD, "The ContentVariables are invalid"),
    21657: (BAD, "The Sender ID is invalid"),
    21658: (BAD, "Parameter exceeded the character limit"),
    21659: (BAD, "'From' is not a Twilio phone number"),
    21660: (BAD, "Mismatch between 'From' and the account"),
    21661: (BAD, "'From' is not SMS-capable"),
    21662: (BAD, "Combination not available in Ireland"),
    21663: (BAD, "'From' routing configuration is incorrect"),
    21668: (BAD, "Number type not supported in Ireland"),
    21703: (BAD, "The Messaging Service does not contain a phone number"),
    21910: (BAD, "'From' and 'To' should be of the same channel"),
    30001: (BAD, "Queue overflow"),
    63001: (BAD, "Channel could not authenticate the request"),
    63002: (BAD, "Channel could not find 'From'"),
    63003: (BAD, "Channel could not find 'To' address"),
    63006: (BAD, "Content could not be formatted"),
    63007: (BAD, "Twilio could not find a Channel with the specified 'From' address"),
    63008: (BAD, "Channel module misconfigured"),
    63014: (BAD, "Channel message blocked by user action"),
    63015: (BAD, "Channel Sandbox can only send messages to users that have joined it"),
    63016: (BAD, "Failed to send freeform message because you are outside the allowed window"),
    63017: (BAD, "Rate limit exceeded"),
    63018: (BAD, "Rate limit exceeded for Channel"),
    63020: (BAD, "The business has not accepted the invitation"),
    63021: (BAD, "Channel invalid content error"),
    63022: (BAD, "Invalid vname certificate"),
    63024: (BAD, "Invalid message recipient"),
    63027: (BAD, "Template does not exist for a language and locale"),
    63028: (BAD, "Number of parameters does not match"),
    63030: (BAD, "Unsupported parameter"),
    63031: (BAD, "Channels message cannot have same 'From' and 'To'"),
    63033: (BAD, "Recipient blocked the sender"),
    63034: (BAD, "Media exceeds size limit"),
    63038: (TOO_MANY, "Account exceeded the daily messages limit"),
    63040: (BAD, "Template rejected"),
    63041: (BAD, "Template paused"),
    63042: (BAD, "Template disabled"),
    63051: (BAD, "The business account is locked"),
    63053: (BAD, "Template sync in progress"),
    63054: (BAD, "Template unavailable"),
    63056: (BAD, "Ineligible account type"),
    63058: (BAD, "Business is restricted in this country"),
    63059: (BAD, "Number migrated to a different account"),
    63112: (BAD, "Meta disabled the business account"),
}
"""Errors that a create is answered with, and the status of each: a guess where Twilio's documentation tells none."""

FAILURES = frozenset(
    {
        *("14107", "21610", "30001", "30002", "30003", "30004", "30005", "30006", "30007", "30008", "30010", "30011"),
        *("30017", "30018", "30019", "30020", "30021", "30022", "30023", "30024", "30027", "30032", "30033", "30034"),
        *("30035", "30036", "30037", "30038", "30039", "30040", "30041", "30042", "30043", "30044", "30046", "30410"),
        *("30450", "30500", "63001", "63002", "63003", "63005", "63006", "63008", "63009", "63010", "63011", "63012"),
        *("63013", "63014", "63015", "63016", "63017", "63018", "63019", "63020", "63021", "63022", "63023", "63024"),
        *("63025", "63026", "63027", "63028", "63029", "63030", "63031", "63032", "63033", "63034", "63037", "63038"),
        *("63040", "63041", "63042", "63049", "63050", "63051", "63053", "63054", "63056", "63058", "63059", "63112"),
    }
)
"""Errors that a status callback carries with `failed` or `undelivered`; others can be ordered too."""


@dataclass(frozen=True)
class Account:
    """One account that may send: by an auth token, or by an API key."""

    sid: str
    auth_token: str = field(repr=False)
    api_key: str | None = None
    api_secret: str | None = field(default=None, repr=False)
    secondary_auth_token: str | None = field(default=None, repr=False)
    """Authenticates like the primary one, and signs nothing."""

    def takes(self, user: str, password: str) -> bool:
        """Whether these are credentials of the account."""
        pairs = {
            (self.sid, self.auth_token),
            (self.sid, self.secondary_auth_token),
            (self.api_key, self.api_secret),
        }
        return bool(password) and (user, password) in pairs


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How one request fails."""

    kind: Kind = Kind.NONE
    code: int = 21610
    """Twilio's, of a refusal."""
    status: int | None = None
    """Of a refusal or a page; None: the code's own."""
    retry_after_seconds: int | None = None
    """Of a 429."""
    statuses: tuple[str, ...] = STATUSES
    """The statuses that an accepted message gets, in this order."""
    error_code: str | None = None
    """Sent with `failed` and `undelivered`."""
    after_seconds: float = 0
    """How much later than usual the first status is sent."""
    to: str = ""
    """The recipient's number; empty: any."""
    is_of_list: bool = False
    """Whether it applies to a listing, not to a message."""
    is_of_typing: bool = False
    """Whether it applies to a typing indicator, not to a message."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Fault:
        """The fault that a JSON document describes.

        Raises:
            TypeError, ValueError: it describes no fault.
        """
        statuses = tuple(document.get("statuses", STATUSES))
        if unknown := set(statuses) - set(_COURSE):
            raise ValueError(f"no status of a message: {', '.join(sorted(unknown))}")
        return cls(**{**document, "kind": Kind(document.get("kind", Kind.NONE)), "statuses": statuses})

    def applies_to(self, address: str, *, is_of_list: bool) -> bool:
        """Whether it applies to a request about this recipient."""
        if self.is_of_typing or address == _TYPING:
            return self.is_of_typing and address == _TYPING
        return self.is_of_list == is_of_list and address.endswith(self.to)


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message that was taken."""

    sid: str
    account_sid: str
    to: str
    sender: str | None
    messaging_service_sid: str | None
    body: str
    content_sid: str | None
    content_variables: str | None
    media_urls: tuple[str, ...]
    status_callback: str | None
    created_at: datetime
    status: str
    error_code: str | None = None
    callbacks: tuple[tuple[str, int], ...] = ()
    """Each status that was told, and how that was answered."""
    direction: str = "outbound-api"
    """Or `inbound`: a customer sent it."""
    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """The instant; the API tells whole seconds."""

    @property
    def is_on_the_phone(self) -> bool:
        """Whether the customer has it, or is about to."""
        return self.status not in _NOT_ON_THE_PHONE

    @property
    def ledger_row(self) -> dict[str, Any]:
        """All that is known of it."""
        at = self.taken_at.isoformat(timespec="microseconds")
        told = {"created_at": self.created_at.isoformat(), "taken_at": at, "is_on_the_phone": self.is_on_the_phone}
        return asdict(self) | told

    @property
    def document(self) -> dict[str, Any]:
        """The message as Twilio's API tells it."""
        at = format_datetime(self.created_at)
        uri = f"{API}/Accounts/{self.account_sid}/Messages/{self.sid}"
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": at,
            "date_sent": None if self.status in {"accepted", "queued"} else at,
            "date_updated": at,
            "direction": self.direction,
            "error_code": int(self.error_code) if self.error_code else None,
            "error_message": None,
            "from": self.sender,
            "messaging_service_sid": self.messaging_service_sid,
            "num_media": str(len(self.media_urls)),
            "num_segments": "0" if self.status == "accepted" else str(segments(self.body)),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.to,
            "uri": f"{uri}.json",
        }

    @property
    def media(self) -> dict[str, Any]:
        """Its media as Twilio's API lists them, all on one page."""
        uri = f"{API}/Accounts/{self.account_sid}/Messages/{self.sid}/Media"
        listed = [
            {
                "account_sid": self.account_sid,
                "content_type": "image/jpeg",
                "parent_sid": self.sid,
                "sid": f"ME{number:032x}",
                "uri": f"{uri}/ME{number:032x}.json",
            }
            for number, _ in enumerate(self.media_urls)
        ]
        return {"media_list": listed, "page": 0, "page_size": 50, "uri": f"{uri}.json", "next_page_uri": None}


def error(code: int, status: int | None = None, **headers: str) -> Refused:
    """An error of Twilio's; a status in place of the code's own."""
    own_status, message = ERRORS.get(code, (BAD, "Refused"))
    status = HTTPStatus(status or own_status)
    document = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": int(status),
    }
    return Refused(Answer.json(document, status, **headers))


class TwilioStub(StubServer[Fault]):
    """Stands in for as long as the block lasts.

    Args:
        accounts: who may send.
        port: where; 0: any port that is free.
        step_seconds: between two statuses of a message.
        read_seconds: from the delivery of a WhatsApp message to `read`; None: nobody reads.
        slow_seconds: when a slow request is answered at last.
        tell: takes what happens.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        *,
        port: int = 0,
        step_seconds: float = 0.0,
        read_seconds: float | None = None,
        slow_seconds: float = SLOW_SECONDS,
        tell: Tell = say_nothing,
    ) -> None:
        super().__init__("twilio", port=port, slow_seconds=slow_seconds, tell=tell)
        self._accounts = {one.sid: one for one in accounts}
        self._step_seconds, self._read_seconds = step_seconds, read_seconds
        self._messages: dict[str, Message] = {}
        self._inbound: dict[str, Message] = {}
        self._status_callbacks = StatusCallbacks()
        self.console = ConsoleSettings()
        """What the account's owner has set."""

    def close(self) -> None:
        self._status_callbacks.close()

    @property
    def messages(self) -> list[Message]:
        """Everything that was taken, in order."""
        with self.changing:
            return list(self._messages.values())

    @property
    def ledger(self) -> dict[str, Any]:
        """Everything that was taken, and how many callbacks are still to come."""
        return {
            "deliveries": [one.ledger_row for one in self.messages],
            "callbacks_to_come": self._status_callbacks.unfinished,
        }

    @property
    def server_error(self) -> Answer:
        return error(20500).answer

    def fault(self, document: Mapping[str, Any]) -> Fault:
        return Fault.from_document(document)

    def add_account(self, document: Mapping[str, Any]) -> None:
        account = Account(**document)
        self._accounts[account.sid] = account

    def perform(self, call: Call) -> Answer | None:
        match call.path:
            case ("_stand-in", "inbound"):
                told = json.loads(call.body)
                return Answer.json(self.take_in(told.pop("account_sid"), **told).document, HTTPStatus.CREATED)
            case ("v2", "Indicators", "Typing.json") if call.method == "POST":
                return self.show_typing(call)
            case (("v1" | "v2"), *rest) if call.method == "GET":
                self.authenticate_any(call.headers.get("Authorization"))
                found = self.console.of_messaging(tuple(rest))
                if found is not None:
                    return Answer.json(found)
            case ("2010-04-01", "Accounts", account, *rest):
                self.authenticate(account, call.headers.get("Authorization"))
                return self.perform_for(account, call, rest)
        raise error(20404)

    def perform_for(self, account: str, call: Call, path: Sequence[str]) -> Answer | None:
        """Answer a request to what is an account's own; see `perform`."""
        match call.method, path:
            case "POST", ["Messages.json"]:
                return self.create(account, parse_qs(call.body.decode()))
            case "GET", ["Messages.json"]:
                return Answer.json(self.page(account, call.query))
            case "GET", ["Messages", sid, "Media.json"]:
                return Answer.json(self.fetch(account, sid).media)
            case "GET", ["Messages", name]:
                return Answer.json(self.fetch(account, name.removesuffix(".json")).document)
            case "GET", ["IncomingPhoneNumbers.json"]:
                return Answer.json(self.console.of_number(call.query.get("PhoneNumber", [""])[0]))
            case "GET", ["Applications", name]:
                return Answer.json(self.console.of_application(name.removesuffix(".json")))
        raise error(20404)

    def show_typing(self, call: Call) -> Answer | None:
        """Show on a customer's WhatsApp message that an answer is being written.

        Raises:
            Refused: no account has these credentials, or it is no message of WhatsApp.
        """
        self.authenticate_any(call.headers.get("Authorization"))
        told = parse_qs(call.body.decode())
        message_id, channel = (told.get(name, [""])[0] for name in ("messageId", "channel"))
        if channel != "whatsapp" or not message_id:
            raise error(20404)
        fault = self.next_fault(_TYPING, is_of_list=False) or Fault()
        _refuse(fault)
        self.tell("typing", message_sid=message_id)
        return self.late(fault.kind, Answer.json({"success": True}))

    def wait_until_told(self, seconds: float = 5.0) -> bool:
        """Whether all statuses of all messages were told within `seconds`."""
        return self._status_callbacks.wait_until_told(seconds)

    def authenticate(self, account_sid: str, authorization: str | None) -> None:
        """Raises `Refused` unless the credentials are the account's."""
        account = self._accounts.get(account_sid)
        user, password = _basic_auth(authorization)
        if account is None or not account.takes(user, password):
            raise error(20003)

    def authenticate_any(self, authorization: str | None) -> None:
        """Raises `Refused` unless the credentials are some account's."""
        user, password = _basic_auth(authorization)
        if not any(account.takes(user, password) for account in self._accounts.values()):
            raise error(20003)

    def create(self, account_sid: str, form: Mapping[str, Sequence[str]]) -> Answer | None:
        """Take a message; what it is answered, or None where that is lost.

        Raises:
            Refused: it was not taken.
        """
        told = {name: values[0] for name, values in form.items()}
        fault = self.next_fault(told.get("To", ""), is_of_list=False) or Fault()
        _refuse(fault)
        _check(told)
        message = _message(account_sid, told, form.get("MediaUrl", ()))
        with self.changing:
            self._messages[message.sid] = message
        self.tell("taken", to=message.to, message_sid=message.sid, shows=short(message.body))
        self._plan_callbacks(message, fault)
        return self.late(fault.kind, Answer.json(message.document, HTTPStatus.CREATED))

    def take_in(self, account_sid: str, *, created_at: datetime | None = None, **told: Any) -> Message:
        """A customer's message as Twilio got it: listed from now on, and told to no webhook.

        Args:
            account_sid: whose number it was sent to.
            created_at: when; None: now.
            told: `to`, `sender`, and where there are any `sid`, `body` and `media_urls`.
        """
        form = {"To": told["to"], "From": told["sender"], "Body": told.get("body", "")}
        message = replace(
            _message(account_sid, form, told.get("media_urls", ())), direction="inbound", status="received"
        )
        message = replace(message, sid=told.get("sid", message.sid), created_at=created_at or message.created_at)
        with self.changing:
            self._inbound[message.sid] = message
        return message

    def fetch(self, account_sid: str, sid: str) -> Message:
        """One message. Raises `Refused`: the account has none of that sid."""
        with self.changing:
            found = self._messages.get(sid) or self._inbound.get(sid)
        if found is None or found.account_sid != account_sid:
            raise error(20404)
        return found

    def page(self, account_sid: str, query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """One page of an account's messages, the newest first, as Twilio's API tells it."""
        told = {name: values[0] for name, values in query.items()}
        _refuse(self.next_fault(told.get("To", ""), is_of_list=True) or Fault())
        size = min(int(told.get("PageSize", _PAGE_SIZE)), _PAGE_SIZE_MAX)
        number = int(told.get("Page", 0))
        found = [
            one.document
            for one in self._newest_first()
            if one.account_sid == account_sid
            and told.get("To", one.to) == one.to
            and told.get("From", one.sender) == one.sender
        ]
        start, end = number * size, min((number + 1) * size, len(found))

        def uri(page: int) -> str:
            kept = {name: value for name, value in told.items() if name in {"To", "From"}}
            paging = {"PageSize": size, "Page": page}
            return f"{API}/Accounts/{account_sid}/Messages.json?{urlencode({**kept, **paging})}"

        return {
            "messages": found[start:end],
            "page": number,
            "page_size": size,
            "start": start,
            "end": max(end - 1, 0),
            "uri": uri(number),
            "first_page_uri": uri(0),
            "next_page_uri": uri(number + 1) if end < len(found) else None,
            "previous_page_uri": uri(number - 1) if number else None,
        }

    def _newest_first(self) -> list[Message]:
        with self.changing:
            listed = [*self._messages.values(), *self._inbound.values()]
        return sorted(listed, key=lambda one: one.created_at)[::-1]

    def _plan_callbacks(self, message: Message, fault: Fault) -> None:
        seconds = fault.after_seconds
        for status in fault.statuses:
            self._status_callbacks.after(seconds, partial(self._report, message, status, fault.error_code))
            seconds += self._step_seconds
        if self._read_seconds is not None and message.to.startswith("whatsapp:") and fault.statuses == STATUSES:
            seconds += self._read_seconds
            self._status_callbacks.after(seconds, partial(self._report, message, "read", None))

    def _report(self, message: Message, status: str, error_code: str | None) -> None:
        """The message has a new status: keep it, and tell it to whoever wanted to know."""
        is_refused = status in _NOT_ON_THE_PHONE
        answer = self._call_back(message, status, error_code if is_refused else None)
        with self.changing:
            before = self._messages[message.sid]
            told = before.callbacks if answer is None else (*before.callbacks, (status, answer))
            self._messages[message.sid] = replace(
                before,
                status=max(before.status, status, key=_COURSE.index),  # told out of order, it is what it is
                error_code=error_code if is_refused else before.error_code,
                callbacks=told,
            )
        self.tell("status", to=message.to, message_sid=message.sid, outcome=status, count=answer or 0)

    def _call_back(self, message: Message, status: str, error_code: str | None) -> int | None:
        if message.status_callback is None:
            return None
        parameters = {
            "ApiVersion": "2010-04-01",
            "AccountSid": message.account_sid,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "MessageStatus": status,
            "SmsStatus": status,
            "To": message.to,
            "From": message.sender or "",
            **({"MessagingServiceSid": message.messaging_service_sid} if message.messaging_service_sid else {}),
            **({"ErrorCode": error_code} if error_code else {}),
            **({"ChannelPrefix": "whatsapp"} if message.to.startswith("whatsapp:") else {}),
        }
        return post(Callback(message.status_callback, parameters, self._accounts[message.account_sid].auth_token))


def segments(body: str) -> int:
    """How many SMS a text is, near enough: seven bits a character where it is plain, sixteen where it is not."""
    alone, joined = (160, 153) if body.isascii() else (70, 67)
    return 1 if len(body) <= alone else ceil(len(body) / joined)


def _refuse(fault: Fault) -> None:
    match fault.kind:
        case Kind.TOO_MANY if fault.retry_after_seconds is not None:
            raise error(20429, Retry_After=str(fault.retry_after_seconds))
        case Kind.TOO_MANY:
            raise error(20429)
        case Kind.SERVER_ERROR:
            raise error(20500)
        case Kind.REFUSE:
            raise error(fault.code, fault.status)
        case Kind.PAGE:
            raise Refused(Answer(HTTPStatus(fault.status or FORBIDDEN), GARBLED))
        case _:
            return


def _check(told: Mapping[str, str]) -> None:
    """What Twilio checks of every message, in its order."""
    if not _NUMBER.fullmatch(told.get("To", "")):
        raise error(21211)
    if not (told.get("From") or told.get("MessagingServiceSid")):
        raise error(21603)
    if not (told.get("Body") or told.get("MediaUrl") or told.get("ContentSid")):
        raise error(21602)
    if len(told.get("Body", "").encode("utf-16-le")) // 2 > BODY_LENGTH_MAX:
        raise error(21617)


def _message(account_sid: str, told: Mapping[str, str], media_urls: Sequence[str]) -> Message:
    content_sid = told.get("ContentSid")
    return Message(
        sid=("MM" if media_urls else "SM") + uuid.uuid4().hex,
        account_sid=account_sid,
        to=told["To"],
        sender=told.get("From"),
        messaging_service_sid=told.get("MessagingServiceSid"),
        body=told.get("Body", f"(the template {content_sid})" if content_sid else ""),
        content_sid=content_sid,
        content_variables=told.get("ContentVariables"),
        media_urls=tuple(media_urls),
        status_callback=told.get("StatusCallback"),
        created_at=datetime.now(UTC).replace(microsecond=0),  # Twilio tells whole seconds
        status="accepted" if told.get("MessagingServiceSid") else "queued",
    )


def _basic_auth(authorization: str | None) -> tuple[str, str]:
    """The user and the password of a header; blank ones where it has none."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def serve_stub(port: int, accounts: Iterable[Account], *, is_read: bool) -> None:
    """Stand in for Twilio until SIGTERM; `is_read`: customers read what they get by WhatsApp."""
    read_seconds = READ_SECONDS if is_read else None
    until_stopped(
        lambda tell: TwilioStub(accounts, port=port, step_seconds=STEP_SECONDS, read_seconds=read_seconds, tell=tell)
    )
