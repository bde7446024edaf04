"""What an operator can do with a provider: read its secrets, sign as it does, and ask it what it delivered.

By rows of data, like the channels: a provider that is not here has webhooks that only it can sign and no list of what
it delivered, and commands say so. SendGrid is such a one: it signs with a key of its own, of which a tenant has the
public half, and keeps no list of inbound mail.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.channels import twilio_channels
from chalicelib.channels.channel import Channel
from chalicelib.credentials import TwilioCredentials
from chalicelib.errors import Code, Misconfigured
from chalicelib.settings import Settings


@dataclass(frozen=True)
class Provider:
    """One provider, as far as it is known here."""

    name: str
    """As the names of its secrets end, before the stage."""
    check_secret: Callable[[str], object]
    """Raises `Misconfigured` where a secret is malformed."""
    signs_with_secret: bool
    """Whether who has the tenant's secret can sign as the provider does."""
    lists_inbound: bool
    """Whether it tells what it delivered."""


def _check_document(text: str) -> None:
    try:
        document = json.loads(text)
    except ValueError:
        raise Misconfigured(Code.SECRET_FETCH_FAILED, "a secret is no JSON") from None  # the error carries its text
    if not isinstance(document, dict) or not document:
        raise Misconfigured(Code.SECRET_FETCH_FAILED, "a secret is no JSON object with fields")


TWILIO = Provider("twilio", TwilioCredentials.from_secret, signs_with_secret=True, lists_inbound=True)
PROVIDERS = {TWILIO.name: TWILIO}


def named(name: str) -> Provider:
    """The provider that the name of a secret ends with."""
    return PROVIDERS.get(name, Provider(name, _check_document, signs_with_secret=False, lists_inbound=False))


def of_channel(channel: Channel, settings: Settings) -> Provider:
    """The provider that carries a channel."""
    is_twilio_s = channel.name in {one.name for one in twilio_channels(settings)}
    return TWILIO if is_twilio_s else named(f"the provider of {channel.name}")
