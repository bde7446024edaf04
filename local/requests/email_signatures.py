"""Signs a request as SendGrid's security policy does: ECDSA with P-256 over the timestamp and the body's bytes."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"


def key_pair() -> tuple[str, str]:
    """A fresh private key, and its public one as SendGrid shows it; both DER in base64."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    secret = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(secret).decode(), base64.b64encode(public).decode()


def signed(body: bytes, private_key: str, *, timestamp: int) -> dict[str, str]:
    """The two headers of a signed request.

    Args:
        body: as it goes over the wire.
        private_key: as `key_pair` makes it.
        timestamp: seconds of the epoch.
    """
    key = load_der_private_key(base64.b64decode(private_key), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "SendGrid signs with ECDSA"
    signature = key.sign(str(timestamp).encode() + body, ec.ECDSA(SHA256()))
    return {SIGNATURE_HEADER: base64.b64encode(signature).decode(), TIMESTAMP_HEADER: str(timestamp)}
