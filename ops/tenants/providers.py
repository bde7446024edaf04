"""What an operator can do with a provider: read its secrets, sign as it does, and ask it what it delivered.

By rows of data, like the channels. Twilio signs with a token that the tenant has too, and lists what it delivered.
SendGrid signs with a key of its own, of which a tenant has the public half, and keeps no list of inbound mail: it can
be neither probed nor caught up with, and commands say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.channels.channel import Channel, Vendor
from chalicelib.channels.sendgrid.credentials import SendGridCredentials
from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.errors import Code, Misconfigured


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


def _check_sendgrid(text: str) -> None:
    credentials = SendGridCredentials.from_secret(text)
    if not credentials.public_keys and credentials.url_token is None:
        raise Misconfigured(Code.SECRET_FETCH_FAILED, "a SendGrid secret has neither public_key nor url_token")


def _check_twilio(text: str) -> None:
    _ = TwilioCredentials.from_secret(text).api_base_url  # a region or an edge that is unknown, too


TWILIO = Provider(
    Vendor.TWILIO,
    _check_twilio,
    required=("account_sid", "auth_token"),
    proof="auth_token",
    secret_fields=("auth_token", "api_secret"),
    signs_with_secret=True,
    lists_inbound=True,
)
SENDGRID = Provider(
    Vendor.SENDGRID, _check_sendgrid, required=("public_key", "api_key"), proof="public_key", secret_fields=("api_key",)
)
PROVIDERS = {Vendor.TWILIO.value: TWILIO, Vendor.SENDGRID.value: SENDGRID}


def named(name: str) -> Provider | None:
    """The provider that the name of a secret ends with; None: it is not known here."""
    return PROVIDERS.get(name)


def of_channel(channel: Channel) -> Provider:
    """The provider that carries a channel."""
    return PROVIDERS[channel.vendor]
