"""Twilio's signature of a form: HMAC-SHA1 with the auth token over the URL, then each parameter's name and its values.

Guarantee: a signature counts where `twilio.request_validator` accepts it, and nowhere else; a test compares them. The
library builds the signed text anew for each token and each spelling of the URL's port, and is most of what a forged
request costs. Here the parameters are put in order once.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import urlparse

from twilio.request_validator import add_port, remove_port


def ordered(parameters: Mapping[str, Sequence[str]]) -> bytes:
    """What is signed behind the URL: the names in order, each before each of its distinct values in order."""
    return "".join(name + value for name in sorted(parameters) for value in sorted(set(parameters[name]))).encode()


def is_signed(url: str, parameters: bytes, token: str, signature: str) -> bool:
    """Whether the token signed these parameters with the URL, told with or without its port.

    Raises:
        ValueError: the URL's host or port is none.
    """
    told = signature.encode()
    signed = (hmac.digest(token.encode(), spelled + parameters, "sha1") for spelled in _spellings(url))
    return any(hmac.compare_digest(base64.b64encode(one), told) for one in signed)


@lru_cache(64)  # a deployment has a few URLs
def _spellings(url: str) -> tuple[bytes, ...]:
    parsed = urlparse(url)
    return tuple({one(parsed).encode() for one in (remove_port, add_port)})
