"""What an operator can do with a provider: read its secrets, sign as it does, and ask it what it delivered.

By rows of data, like the channels. Twilio signs with a token that the tenant has too, and lists what it delivered.
SendGrid signs with a key of its own, of which a tenant has the public half, and keeps no list of inbound mail: it can
be neither probed nor caught up with, and commands say so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.channels.channel import Channel
from chalicelib.credentials import TwilioCredentials
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages import AddressKind


@dataclass(frozen=True)
class Provider:
    """One provider, as far as it is known here."""

    name: str
    """As the names of its secrets end, before the stage."""
    check_secret: Callable[[str], object]
    """Raises `Misconfigured` where a secret is malformed."""
    required: tuple[str, ...]
    """The fields that a secret must have."""
    proof: str
    """The field that proves its webhooks; the next one stands beside it as `next_...` until it is promoted."""
    secret_fields: tuple[str, ...] = ()
    """Those that nobody may see."""
    signs_with_secret: bool = False
    """Whether who has the tenant's secret can sign as the provider does."""
    lists_inbound: bool = False
    """Whether it tells what it delivered, and takes the proof as a password."""

    @property
    def next_proof(self) -> str:
        return f"next_{self.proof}"


def _document(text: str) -> dict[str, object]:
    try:
        document = json.loads(text)
    except ValueError:
        raise Misconfigured(Code.SECRET_FETCH_FAILED, "a secret is no JSON") from None  # the error carries its text
    if not isinstance(document, dict):
        raise Misconfigured(Code.SECRET_FETCH_FAILED, "a secret is no JSON object")
    return document


def _check_sendgrid(text: str) -> None:
    document = _document(text)
    for name in ("public_key", "api_key"):
        if not isinstance(document.get(name), str) or not document[name]:
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"a SendGrid secret has no {name}")


TWILIO = Provider(
    "twilio",
    TwilioCredentials.from_secret,
    required=("account_sid", "auth_token"),
    proof="auth_token",
    secret_fields=("auth_token", "api_secret"),
    signs_with_secret=True,
    lists_inbound=True,
)
SENDGRID = Provider(
    "sendgrid", _check_sendgrid, required=("public_key", "api_key"), proof="public_key", secret_fields=("api_key",)
)
PROVIDERS = {one.name: one for one in (TWILIO, SENDGRID)}

_CARRIES = {AddressKind.PHONE: TWILIO, AddressKind.EMAIL: SENDGRID}


def named(name: str) -> Provider | None:
    """The provider that the name of a secret ends with; None: it is not known here."""
    return PROVIDERS.get(name)


def of_channel(channel: Channel) -> Provider:
    """The provider that carries a channel, by the kind of its addresses."""
    return _CARRIES[channel.address_kind]
