"""SendGrid's Inbound Parse: one e-mail per request, as one message for each company's address among its recipients.

SendGrid gives a signature over a timestamp and the body's bytes (ECDSA, by a security policy of the company's account),
the envelope with the addresses that it accepted the e-mail for, and the results of SPF and DKIM. The proof is the
secret of the company that the e-mail is addressed to.

SendGrid gives no id of its own and no account. A retry posts the same fields again, so it is recognised by the e-mail's
Message-ID. Without a Message-ID, or if the sender may be forged, it is recognised by its content. SendGrid does not
document whether a retry gets a new timestamp and signature, so no timestamp is too old: a repeated request finds its
message staged, or answered.

Only the first e-mail loads this module: its parsers would lengthen the cold start of the other channels' webhooks.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import randrange
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from chalicelib.channels.channel import Channel
from chalicelib.channels.email.notes import Notes
from chalicelib.channels.provider import WebhookRequest
from chalicelib.channels.sendgrid.credentials import SendGridCredentials
from chalicelib.channels.sendgrid.inbound_parse import read_mail
from chalicelib.channels.sendgrid.unread import UnreadMail
from chalicelib.clock import Clock
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages.inbound import InboundMessage
from chalicelib.settings import Settings

SIGNATURE_HEADER: Final = "x-twilio-email-event-webhook-signature"
TIMESTAMP_HEADER: Final = "x-twilio-email-event-webhook-timestamp"

URL_TOKEN_LENGTH_MIN: Final = 32
"""As many hexadecimal digits as make 128 bits."""

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256."""
_KEYS_MAX: Final = 128
"""How many public keys a process keeps read."""
_TIMESTAMP = re.compile(r"[0-9]{1,20}")
_URL_TOKEN = re.compile(rf"[!-~]{{{URL_TOKEN_LENGTH_MIN},}}")


class SendGrid:
    """Parses and verifies the webhooks of the channel that SendGrid carries."""

    def __init__(
        self,
        channels: Sequence[Channel],
        clock: Clock,
        settings: Settings,
        *,
        sample_start: Callable[[int], int] = randrange,
    ) -> None:
        (self._channel,) = channels
        self._sample_start = sample_start
        self._clock = clock
        self._settings = settings

    def bears_proof(self, headers: Mapping[str, str], url_token: str) -> bool:
        """Whether there is a token in the URL, or a timestamp and a signature, in the form that each must have."""
        if _URL_TOKEN.fullmatch(url_token):
            return True
        timestamp, signature = headers.get(TIMESTAMP_HEADER, ""), headers.get(SIGNATURE_HEADER, "")
        return _TIMESTAMP.fullmatch(timestamp) is not None and _is_signature(signature)

    def parse(self, request: WebhookRequest) -> tuple[InboundMessage, ...]:
        """The e-mail, once for each distinct address of its envelope, with its content unread.

        Raises:
            Rejected: `PARSING_ERROR`, `MISSING_REQUIRED_FIELD`; the detail names the field, never its value.
        """
        digest = None
        if TIMESTAMP_HEADER in request.headers:
            digest = request.running_digest(_bytes(request.headers[TIMESTAMP_HEADER]))
        searched = digest.advance if digest is not None else None
        mail = read_mail(request, Notes(), sample_start=self._sample_start, searched=searched)
        if digest is not None:
            digest.whole()  # now, so that an address that is no company's takes as long as one that is
        return UnreadMail(mail, self._channel.name, self._clock, self._settings).messages()

    def is_genuine(self, request: WebhookRequest, account_id: str, secret: str) -> bool:  # noqa: ARG002
        """Whether one of the company's keys signed the request; or, where it has none, the URL bears its token.

        SendGrid tells no account: the secret is the company's whose address the e-mail is for.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the secret proves nothing, or what it has to is malformed.
        """
        credentials = SendGridCredentials.from_secret(secret)
        keys = [_public_key(one) for one in credentials.public_keys]
        if keys:
            return any(_has_signed(key, request) for key in keys)
        token = credentials.url_token
        if token is None:
            raise Misconfigured(Code.SECRET_FETCH_FAILED, "a SendGrid secret has neither public_key nor url_token")
        if not _URL_TOKEN.fullmatch(token):
            detail = f"url_token of a SendGrid secret is no {URL_TOKEN_LENGTH_MIN} visible characters of ASCII or more"
            raise Misconfigured(Code.SECRET_FETCH_FAILED, detail)
        return hmac.compare_digest(_bytes(request.url_token), _bytes(token))

    def signed_urls(self, request: WebhookRequest) -> Sequence[str]:  # noqa: ARG002
        """None: SendGrid signs the body alone, and the URL may bear the company's token."""
        return ()


def _is_signature(text: str) -> bool:
    """Whether a header could hold a signature over the curve at all: base64 of two numbers below the curve's order."""
    try:
        return all(
            0 < number < _ORDER for number in decode_dss_signature(base64.b64decode(_bytes(text), validate=True))
        )
    except ValueError:
        return False


@lru_cache(maxsize=_KEYS_MAX)
def _public_key(text: str) -> EllipticCurvePublicKey:
    """The key that SendGrid's console shows. Raises `Misconfigured` where it is none."""
    try:
        key = load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Misconfigured(Code.SECRET_FETCH_FAILED, "a public_key of a SendGrid secret is no key of its policies")
    return key


def _has_signed(key: EllipticCurvePublicKey, request: WebhookRequest) -> bool:
    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    # Nothing parts it from the body: the start of a body could pass for its end, or its end for the start of a body.
    if not _TIMESTAMP.fullmatch(timestamp) or request.body[:1].isdigit():
        return False
    try:
        signature = base64.b64decode(_bytes(request.headers.get(SIGNATURE_HEADER, "")), validate=True)
        key.verify(signature, request.digest_after(_bytes(timestamp)), ECDSA(Prehashed(SHA256())))
    except (binascii.Error, InvalidSignature):
        return False
    return True


def _bytes(text: str) -> bytes:
    """A header or a part of the path; API Gateway can hand over halves of characters."""
    return text.encode("utf-8", "surrogatepass")
