"""Signs a request as Twilio does: over the URL and every form parameter, with the account's primary auth token."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from twilio.request_validator import RequestValidator


def signature(url: str, parameters: Mapping[str, str], token: str) -> str:
    """The value of the header `X-Twilio-Signature`.

    Args:
        url: as Twilio's console holds it; its fragment sets Twilio's retries and is neither sent nor signed.
        parameters: every parameter of the form, blank ones too.
        token: the account's auth token.
    """
    return str(RequestValidator(token).compute_signature(without_fragment(url), dict(parameters)))


def without_fragment(url: str) -> str:
    """`url` as it goes over the wire."""
    return urlunsplit(urlsplit(url)._replace(fragment=""))
