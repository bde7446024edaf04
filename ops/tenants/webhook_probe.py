"""A webhook probe: whether the URL is ours, and whether it accepts a signature as the provider makes it.

What proves it, and what it costs. A webhook of Twilio's answers a forgery, an unknown sender and a message alike, with
200 and TwiML, so that a forger learns nothing; no answer to an ordinary message proves anything. So the request is a
probe: signed with the tenant's own token over the very URL that Twilio calls, sent from the company's address to
itself, with the header `x-replies-engine-probe`. Proven, it is answered 204, as nothing else is; anything else does not
prove it. It costs one request of the API, one invocation, one query of the look-up index and at most one read of the
secret; nothing is written, queued or sent. A refused one counts as one invalid signature, which its alarm may notice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from uuid import uuid4

from chalicelib.channels.channel import Channel
from chalicelib.channels.provider import PROBE_HEADER
from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.channels.twilio.webhooks import SIGNATURE_HEADER
from chalicelib.errors import Code
from local.requests.signatures import signature

_PATIENCE_SECONDS = 20
_TWIML = "text/xml"
_FORM = "application/x-www-form-urlencoded; charset=UTF-8"


@dataclass(frozen=True)
class Unreachable:
    """Nobody answered."""

    reason: str


@dataclass(frozen=True)
class Answer:
    """What a webhook answered."""

    status: int
    content_type: str
    body: str

    @property
    def is_ours(self) -> bool:
        """Whether this is how we answer a path that is none of ours."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return False
        if self.status != HTTPStatus.NOT_FOUND or not isinstance(document, dict):
            return False
        return (document.get("success"), document.get("code")) == (False, "UNKNOWN_PATH")

    @property
    def is_proof(self) -> bool:
        """Whether a probe was proven."""
        return self.status == HTTPStatus.NO_CONTENT

    @property
    def meaning(self) -> str:
        """Why it is no proof."""
        if self.status == HTTPStatus.OK and self.content_type.startswith(_TWIML):
            return f"the signature is not accepted ({Code.INVALID_SIGNATURE})"
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return "the result is unknown: DynamoDB or Secrets Manager does not answer the webhook"
        return f"the answer is HTTP {self.status}, which the engine never sends"


def ask_whether_ours(base: str) -> Answer | Unreachable:
    """Ask below `base` for a webhook that nobody has: no log line, no metric, no secret is touched."""
    return _exchange(Request(f"{base}/webhooks/doctor"))  # noqa: S310  # the stage's own URL


def probe(
    base: str, channel: Channel, address: str, credentials: TwilioCredentials, token: str
) -> Answer | Unreachable:
    """Send one probe, signed with `token`, to the webhook of a channel below `base`."""
    url, both = f"{base}/webhooks/{channel.name}", channel.address_prefix + address
    form = {
        "MessageSid": f"SM{uuid4().hex}",
        "AccountSid": credentials.account_sid,
        "From": both,
        "To": both,
        "Body": "",
        "NumMedia": "0",
    }
    headers = {"Content-Type": _FORM, SIGNATURE_HEADER: signature(url, form, token), PROBE_HEADER: "1"}
    return _exchange(Request(url, data=urlencode(form).encode(), headers=headers))  # noqa: S310  # as above


def _exchange(request: Request) -> Answer | Unreachable:
    try:
        with urlopen(request, timeout=_PATIENCE_SECONDS) as response:  # noqa: S310  # as above
            return _answer(response.status, response.headers, response.read())
    except HTTPError as error:
        with error:
            return _answer(error.code, error.headers, error.read())
    except (URLError, TimeoutError, ConnectionError, ValueError) as fault:
        return Unreachable(str(getattr(fault, "reason", fault)))


def _answer(status: int, headers: Message, body: bytes) -> Answer:
    return Answer(status, str(headers.get("Content-Type", "")), body.decode(errors="replace"))
