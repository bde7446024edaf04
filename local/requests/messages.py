"""One inbound message as Twilio sends it: the form of a WhatsApp message or an SMS, signed and posted; and any request.

Guarantee: a request of ours has the parameters, the order of headers that matter and the signature of a real one, so
that what works here works with Twilio. `Message` has an option for every field of a message besides its text.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit, urlunsplit
from urllib.request import ProxyHandler, Request, build_opener

import click

from local.requests.signatures import signature, without_fragment

_PREFIXES = {"whatsapp": "whatsapp:", "sms": ""}
_CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "pdf": "application/pdf",
    "mp4": "video/mp4",
}
_TIMEOUT_SECONDS = 15  # what Twilio waits in all

CHANNELS = tuple(_PREFIXES)


def fresh_sid() -> str:
    """A message sid that was never used before."""
    return f"SM{uuid.uuid4().hex}"


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of a customer to a company."""

    channel: str
    sender: str
    """The customer's number, without a prefix."""
    recipient: str
    """The company's number, without a prefix."""
    account_sid: str
    body: str = ""
    media: tuple[str, ...] = ()
    """URLs."""
    button: str | None = None
    """The text of the quick-reply button that was pressed."""
    location: tuple[str, str] | None = None
    """Latitude and longitude."""
    opt_out: str | None = None
    """What Twilio makes of it by Advanced Opt-Out: `STOP`, `START` or `HELP`."""
    profile_name: str = "Customer"
    sid: str = field(default_factory=fresh_sid)

    @property
    def parameters(self) -> dict[str, str]:
        """The form, with every parameter that Twilio sends for this kind of message."""
        prefix = _PREFIXES[self.channel]
        return {
            "MessageSid": self.sid,
            "SmsMessageSid": self.sid,
            "SmsSid": self.sid,
            "SmsStatus": "received",
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "From": f"{prefix}{self.sender}",
            "To": f"{prefix}{self.recipient}",
            "Body": self.button or self.body,
            "NumSegments": "1",
            "NumMedia": str(len(self.media)),
            **self._media,
            **({"OptOutType": self.opt_out} if self.opt_out is not None else {}),
            **(self._of_whatsapp if self.channel == "whatsapp" else _OF_SMS),
        }

    @property
    def _media(self) -> dict[str, str]:
        parameters = {}
        for number, url in enumerate(self.media):
            ending = urlsplit(url).path.rpartition(".")[2].lower()
            parameters[f"MediaUrl{number}"] = url
            parameters[f"MediaContentType{number}"] = _CONTENT_TYPES.get(ending, "application/octet-stream")
        return parameters

    @property
    def _of_whatsapp(self) -> dict[str, str]:
        parameters = {"ProfileName": self.profile_name, "WaId": self.sender.lstrip("+"), "ReferralNumMedia": "0"}
        if self.button is not None:
            parameters |= {"ButtonText": self.button, "ButtonPayload": self.button.lower().replace(" ", "-")}
        if self.location is not None:
            latitude, longitude = self.location
            parameters |= {"Latitude": latitude, "Longitude": longitude, "Address": "", "Label": ""}
        return parameters | {"MessageType": self._message_type}

    @property
    def _message_type(self) -> str:
        if self.button is not None:
            return "button"
        if self.location is not None:
            return "location"
        return "image" if self.media else "text"


_OF_SMS = {
    f"{end}{place}": value
    for end in ("From", "To")
    for place, value in (("City", ""), ("State", ""), ("Zip", ""), ("Country", "GB"))
}
"""The fields in which Twilio describes the numbers of an SMS: blank where it knows nothing."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: str
    seconds: float

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class UnreachableError(click.ClickException):
    """Nobody answered at the URL; ends the program with one line that says so."""


def webhook_url(base: str, channel: str) -> str:
    """`base` itself where it names a path, else the channel's webhook below it."""
    parts = urlsplit(base)
    return base if parts.path.strip("/") else urlunsplit(parts._replace(path=f"/webhooks/{channel}"))


def send(url: str, message: Message, token: str, *, forge: bool = False, request_token: str | None = None) -> Answer:
    """Post `message` to the webhook at `url`, signed with `token`.

    Args:
        url: the whole URL of the webhook, as Twilio's console holds it.
        message: what the customer wrote.
        token: the account's auth token.
        forge: sign with another token, as someone without the right one would.
        request_token: `I-Twilio-Idempotency-Token`, the same for each retry of one request; None: a fresh one.

    Raises:
        UnreachableError: nobody answered.
    """
    headers, body = signed(url, message, f"not {token}" if forge else token, request_token=request_token)
    return exchange(Request(without_fragment(url), data=body, headers=headers))  # noqa: S310  # the caller names the URL; it is theirs


def signed(url: str, message: Message, token: str, *, request_token: str | None = None) -> tuple[dict[str, str], bytes]:
    """The headers and the body of the request that brings `message` to the webhook at `url`; see `send`."""
    parameters = message.parameters
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "User-Agent": "TwilioProxy/1.1",
        "Accept": "*/*",
        "X-Twilio-Signature": signature(url, parameters, token),
        "I-Twilio-Idempotency-Token": request_token or str(uuid.uuid4()),
    }
    return headers, urlencode(parameters).encode()


def exchange(request: Request) -> Answer:
    """Send a request, once; what came back, whatever its status.

    Raises:
        UnreachableError: nobody answered.
    """
    started = time.monotonic()
    status, body = _exchanged(request)
    return Answer(status, body, time.monotonic() - started)


def _exchanged(request: Request) -> tuple[int, str]:
    opener: Any = build_opener(ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
            return int(response.status), response.read().decode(errors="replace")
    except HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode(errors="replace")
    except (URLError, TimeoutError, ConnectionError) as fault:
        raise UnreachableError(f"nobody answers at {request.full_url}: {getattr(fault, 'reason', fault)}") from fault
