"""Twilio: WhatsApp, SMS and every other channel whose messages come as Twilio's webhook form.

Twilio gives a signature over the URL and every form parameter (HMAC-SHA1 with the account's primary auth token), the
same `MessageSid` with each retry, and the channel as a prefix of the addresses. It does not give the time at which the
customer wrote, so a message's time is when we received it.

Only `twilio.request_validator` is imported: `twilio.rest` costs the webhook's cold start over 100 ms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

from chalicelib.channels.channel import Channel, NumberKind, channel_of
from chalicelib.channels.provider import DeliveryReport, WebhookRequest
from chalicelib.channels.twilio import signatures
from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.clock import Clock
from chalicelib.errors import Code, Rejected
from chalicelib.messages.inbound import Address, InboundMessage, Media, OptOut

SIGNATURE_HEADER: Final = "x-twilio-signature"

BODY_BYTES_MAX: Final = 65_536
"""Far above any form that Twilio sends; a larger one is refused before it is parsed."""

MEDIA_MAX: Final = 16
"""Above the ten that Twilio sends with one message."""

EXTRAS_BYTES_MAX: Final = 16_384
"""What is kept of parameters beyond those of the message itself, so that a staged row stays small."""

_PARAMETERS_MAX: Final = 1_000
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{27}=")
_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
"""The form of Twilio's ids. Twilio's signed string has no separators: an id without this form could contain the bytes
of the next parameter, with a valid signature, and one captured request would become many messages."""
_WORD = re.compile(r"[A-Za-z0-9_-]{2,64}")
_NO_WORD: Final = "(no word)"
_ADDRESS = re.compile(r"\+?[A-Za-z0-9][A-Za-z0-9._-]{1,127}")  # a number, a short code, or a user without a number
_OF_THE_MESSAGE = frozenset({"MessageSid", "AccountSid", "From", "To", "Body"})
_ANY: Final = None
_SAYS_NOTHING: Final[Mapping[str, str | None]] = {
    "ApiVersion": _ANY,
    "NumMedia": _ANY,  # the media are listed
    "NumSegments": "1",
    "ReferralNumMedia": "0",
    "SmsStatus": "received",
}
"""The value with which a parameter says nothing of a message: it repeats what the message has, or never differs."""
_SID_AGAIN = frozenset({"SmsMessageSid", "SmsSid"})
"""Older names of `MessageSid`, which Twilio sends beside it."""
_MEDIA = re.compile(r"Media(Url|ContentType)[0-9]+")
_MEDIA_URL = "MediaUrl"
_MEDIA_URL_NUMBERED = re.compile(r"MediaUrl(0|[1-9][0-9]{0,3})")
_OF_INBOUND = frozenset({"", "received", "receiving"})
"""What `MessageStatus` says of a message that a customer sent, if it is there at all."""
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, eq=False, repr=False)
class Twilio:
    """Parses and proves the webhooks of all channels that Twilio carries."""

    channels: Sequence[Channel]
    clock: Clock

    def bears_proof(self, headers: Mapping[str, str], url_token: str) -> bool:  # noqa: ARG002
        """Whether there is a signature in the form that Twilio's have: base64 of an HMAC-SHA1."""
        return _SIGNATURE.fullmatch(headers.get(SIGNATURE_HEADER, "")) is not None

    def parse(self, request: WebhookRequest) -> tuple[InboundMessage]:
        """The message of a form; unknown parameters are tolerated and kept among the extras.

        Raises:
            Rejected: `PARSING_ERROR`, `MISSING_REQUIRED_FIELD`; the detail names the parameter, never its value.
        """
        form = _form(request)
        is_callback = form.get("MessageStatus", [""])[0] not in _OF_INBOUND
        if is_callback and not form.get("From", [""])[0]:
            raise Rejected(Code.MISDIRECTED_CALLBACK, "a status callback was sent to the URL for messages")
        sid, account = _required(form, "MessageSid"), _required(form, "AccountSid")
        sender, recipient = _required(form, "From"), _required(form, "To")
        _check_sids(sid, account)
        if is_callback:  # of a message of the company's: it goes the other way, and its company proves the provider
            sender, recipient = recipient, sender
        channel = channel_of(self.channels, sender)
        if channel is None:
            raise Rejected(Code.PARSING_ERROR, "From bears the prefix of no channel")
        told = form.get("OptOutType", [""])[0].upper()
        message = InboundMessage(
            message_sid=sid,
            channel=channel.name,
            account_id=account,
            sender=_address(channel, "From", sender),
            recipient=_address(channel, "To", recipient),
            body=form.get("Body", [""])[0],
            received_at=self.clock.now(),
            sender_id=_user_id(form),
            refusal=Code.MISDIRECTED_CALLBACK if is_callback else None,
            opt_out=OptOut(told) if told in set(OptOut) else None,
            opt_out_unknown=None if told in {"", *OptOut} else told if _WORD.fullmatch(told) else _NO_WORD,
            opt_out_keyword=_opt_out_keyword(channel, form),
            media=_media(form),
            extras=_extras(form),
        )
        return (message,)

    def parse_report(self, request: WebhookRequest) -> DeliveryReport:
        """What a status callback tells.

        Raises:
            Rejected: `PARSING_ERROR`, `MISSING_REQUIRED_FIELD`; the detail names the parameter, never its value.
        """
        form = _form(request)
        sid, account = _required(form, "MessageSid"), _required(form, "AccountSid")
        status, code = _required(form, "MessageStatus"), form.get("ErrorCode", [""])[0]
        _check_sids(sid, account)
        if not all(_WORD.fullmatch(text) for text in (status, code or "none")):
            raise Rejected(Code.PARSING_ERROR, "MessageStatus or ErrorCode is malformed")
        return DeliveryReport(account, sid, status.lower(), code or None)

    def is_genuine(self, request: WebhookRequest, account_id: str, secret: str) -> bool:
        """Whether one of the account's tokens signed the URL and every parameter, and the account is the secret's.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; a field of the secret is missing or malformed.
        """
        credentials = TwilioCredentials.from_secret(secret)
        signature = request.headers.get(SIGNATURE_HEADER)
        if not signature or account_id != credentials.account_sid:
            return False
        try:
            parameters = request.once("signed", lambda: signatures.ordered(_form(request)))
            return any(
                signatures.is_signed(url, parameters, token, signature)
                for token in credentials.tokens
                for url in request.urls
            )
        except ValueError:  # a Host header that is no host: nobody signed that
            return False

    def signed_urls(self, request: WebhookRequest) -> Sequence[str]:
        """The request's URLs without their query strings, which are the company's own and may tell anything."""
        return [f"{url.partition('?')[0]}?..." if "?" in url else url for url in request.urls]


Form = Mapping[str, Sequence[str]]
"""The values of each parameter, repeated and blank ones kept, in the order in which they came."""


def _form(request: WebhookRequest) -> dict[str, list[str]]:
    return request.once("form", lambda: _parsed(request))


def _parsed(request: WebhookRequest) -> dict[str, list[str]]:
    if len(request.body) > BODY_BYTES_MAX:
        raise Rejected(Code.PARSING_ERROR, f"the form is larger than {BODY_BYTES_MAX} bytes")
    pairs = request.body.decode("utf-8", errors="replace").split("&")
    if len(pairs) > _PARAMETERS_MAX:
        raise Rejected(Code.PARSING_ERROR, f"the form has more than {_PARAMETERS_MAX} parameters")
    form: dict[str, list[str]] = {}
    for pair in filter(None, pairs):
        name, _, value = pair.partition("=")
        form.setdefault(_unquoted(name), []).append(_unquoted(value))
    return form


def _unquoted(text: str) -> str:
    """As `parse_qsl` reads a name or a value; most have nothing to be replaced."""
    return unquote_plus(text) if "%" in text or "+" in text else text


def _required(form: Form, name: str) -> str:
    values = form.get(name, [""])
    if not values[0]:
        raise Rejected(Code.MISSING_REQUIRED_FIELD, f"{name} is missing or blank")
    if len(set(values)) > 1:
        raise Rejected(Code.PARSING_ERROR, f"{name} is given with several values")
    return values[0]


def _check_sids(message_sid: str, account_sid: str) -> None:
    if not _SID.fullmatch(message_sid) or not _SID.fullmatch(account_sid):
        raise Rejected(Code.PARSING_ERROR, "MessageSid or AccountSid is no sid")


def _address(channel: Channel, name: str, text: str) -> Address:
    bare = text.removeprefix(channel.address_prefix)
    if not text.startswith(channel.address_prefix) or not _ADDRESS.fullmatch(bare):
        raise Rejected(Code.PARSING_ERROR, f"{name} is no address of the channel {channel.name}")
    return Address(channel.address_kind, bare)


def _user_id(form: Form) -> str | None:
    """The id by which the channel knows a user, perhaps one without a phone number; None: Twilio tells none."""
    told = form.get("ExternalUserId", [""])[0]
    return told if _ADDRESS.fullmatch(told) else None


def _opt_out_keyword(channel: Channel, form: Form) -> OptOut | None:
    """What the text alone says; where Twilio says something itself, that alone decides."""
    if form.get("OptOutType", [""])[0]:
        return None
    text = form.get("Body", [""])[0].strip().upper()
    number = form["To"][0].removeprefix(channel.address_prefix)
    keywords = channel.opt_out_keywords.get(NumberKind.of(number), {})
    return next((kind for kind, texts in keywords.items() if text in texts), None)


def _media(form: Form) -> tuple[Media, ...]:
    """The media by the parameters that are there, whatever `NumMedia` says and from whatever number on."""
    numbers = sorted(int(name[len(_MEDIA_URL) :]) for name in form if _MEDIA_URL_NUMBERED.fullmatch(name))
    found = [
        Media(url, form.get(f"MediaContentType{number}", [""])[0])
        for number in numbers
        for url in form[f"{_MEDIA_URL}{number}"]
        if url
    ]
    return tuple(found[:MEDIA_MAX])


def _extras(form: Form) -> dict[str, str]:
    """What else Twilio told that says something, by snake-case names, within a bound that says so when it cuts."""
    extras: dict[str, str] = {}
    room = EXTRAS_BYTES_MAX
    for name, values in form.items():
        if not name or name in _OF_THE_MESSAGE or _MEDIA.fullmatch(name) or _says_nothing(form, name):
            continue
        size = len(name) + sum(len(value.encode()) for value in values)
        if size > room:
            extras["extras_cut"] = "true"
            continue
        room -= size
        extras[_snake_case(name)] = values[0]
    return extras


def _says_nothing(form: Form, name: str) -> bool:
    if name in _SID_AGAIN:
        return form[name][0] == form["MessageSid"][0]
    return name in _SAYS_NOTHING and _SAYS_NOTHING[name] in (_ANY, form[name][0])


@lru_cache(256)  # Twilio has some forty names
def _snake_case(name: str) -> str:
    return _CAPITAL.sub("_", name).lower()
