"""What receives a vendor's webhooks: the request as it came in, and the methods that its provider must offer.

Nothing of a request is trusted before the provider's own proof is verified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Protocol, TypeVar

from chalicelib.messages.inbound import InboundMessage

Read = TypeVar("Read")


PROBE_HEADER: Final = "x-replies-engine-probe"
"""Asks of a request that is signed as the provider signs only whether its signature is accepted."""


@dataclass(frozen=True, repr=False)
class WebhookRequest:
    """One HTTP request of a provider, as it came in."""

    urls: tuple[str, ...]
    """The public URLs that the provider may have called and signed: the configured one, and the request's own."""
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    request_id: str
    url_token: str = ""
    """What the URL's path says after the route's own words, where a provider proves itself by that; empty: nothing."""
    _read: dict[object, Any] = field(default_factory=dict, compare=False)

    def once(self, name: object, read: Callable[[], Read]) -> Read:
        """What `read` makes of the request, under a name: read once, however many secrets and keys are tried."""
        if name not in self._read:
            self._read[name] = read()
        known: Read = self._read[name]
        return known

    def digest_after(self, prefix: bytes) -> bytes:
        """The SHA-256 digest of `prefix` and the body."""
        return self.running_digest(prefix).whole()

    def running_digest(self, prefix: bytes) -> RunningDigest:
        """The same, to be made while the body is read."""
        return self.once(prefix, lambda: RunningDigest(prefix, self.body))


class RunningDigest:
    """The SHA-256 digest of a prefix and a body, made block by block behind whoever reads the body.

    Each block is then in the processor's cache: to read and to hash a body takes hardly longer than to hash it alone.
    """

    def __init__(self, prefix: bytes, body: bytes) -> None:
        self._digest = sha256(prefix)
        self._view = memoryview(body)
        self._done = 0

    def advance(self, end: int) -> None:
        """Hash the body up to a place."""
        if end > self._done:
            self._digest.update(self._view[self._done : end])
            self._done = end

    def whole(self) -> bytes:
        """The digest of the prefix and the whole body; each byte is hashed once."""
        self.advance(len(self._view))
        return self._digest.digest()


class Provider(Protocol):
    """What `receiving` needs of a provider, once per provider and the same for all of its channels."""

    def bears_proof(self, headers: Mapping[str, str], url_token: str) -> bool:
        """Whether a request has what a proof needs at all; one that has not is refused before its body is touched.

        Args:
            headers: by lower-case name.
            url_token: as in `WebhookRequest`.
        """

    def parse(self, request: WebhookRequest) -> Sequence[InboundMessage]:
        """The message that the request delivers, once for each of its recipients; nothing of it is trusted yet.

        Raises:
            Rejected: `PARSING_ERROR`, `MISSING_REQUIRED_FIELD`.
        """

    def is_genuine(self, request: WebhookRequest, account_id: str, secret: str) -> bool:
        """Whether the provider signed the request with this secret, and the account is the secret's.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the secret's content is malformed.
        """

    def signed_urls(self, request: WebhookRequest) -> Sequence[str]:
        """The URLs that its signature was checked over, as a log may tell them; none: it signs no URL."""


class Reporter(Protocol):
    """What `delivery_reports` needs of a provider that reports the later status of a message."""

    def bears_proof(self, headers: Mapping[str, str], url_token: str) -> bool:
        """As `Provider.bears_proof`."""

    def parse_report(self, request: WebhookRequest) -> DeliveryReport:
        """The report that a request carries about a sent message; not verified yet.

        Raises:
            Rejected: `PARSING_ERROR`, `MISSING_REQUIRED_FIELD`.
        """


@dataclass(frozen=True)
class DeliveryReport:
    """A provider's report about a message that it accepted."""

    account_id: str
    provider_sid: str
    status: str
    """As `protocol/sends.py` ranks it."""
    error_code: str | None
