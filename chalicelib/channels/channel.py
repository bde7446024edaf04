"""What a channel is: one row of data, and the methods that its provider must offer.

A new channel of a known provider is a new row, without a new branch. Code outside this folder compares no channel's
name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Protocol, TypeVar

from chalicelib.clock import Deadline
from chalicelib.messages.inbound import AddressKind, InboundMessage, OptOut
from chalicelib.messages.parts import PartLimits

Read = TypeVar("Read")


class AnswerStyle(StrEnum):
    """How a provider wants its webhooks answered: a column of the table in `responses.py`."""

    TWIML = "twiml"
    JSON = "json"

    @property
    def carries_text(self) -> bool:
        """Whether the answer can tell the sender something; else that takes a message of its own."""
        return self is AnswerStyle.TWIML


class Vendor(StrEnum):
    """Who carries the messages of one or more channels: one implementation of `Provider` and of `Sender` each."""

    TWILIO = "twilio"
    SENDGRID = "sendgrid"

    @property
    def answer_style(self) -> AnswerStyle:
        """How its webhooks are answered."""
        return _ANSWER_STYLES[self]

    @property
    def report_path(self) -> str | None:
        """The path for delivery reports, without our id of the message; None: reports are not requested."""
        return _REPORT_PATHS.get(self)


_ANSWER_STYLES = {Vendor.TWILIO: AnswerStyle.TWIML, Vendor.SENDGRID: AnswerStyle.JSON}
_REPORT_PATHS = {Vendor.TWILIO: "/webhooks/twilio/status/"}


class NumberKind(StrEnum):
    """What sort of number a company sends from: the provider's default keywords differ by it."""

    LONG_CODE = "long code"
    TOLL_FREE = "toll-free"
    SHORT_CODE = "short code"

    @classmethod
    def of(cls, number: str) -> NumberKind:
        """The kind of a company's number."""
        if not number.startswith("+"):
            return cls.SHORT_CODE
        return cls.TOLL_FREE if number.startswith(_TOLL_FREE) and len(number) == _NANP_LENGTH else cls.LONG_CODE


_TOLL_FREE = tuple(f"+1{code}" for code in (800, 833, 844, 855, 866, 877, 888))
_NANP_LENGTH = len("+18005550100")

Keywords = Mapping[OptOut, frozenset[str]]
"""Whole messages, in capitals."""


@dataclass(frozen=True)
class Index:
    """The index that finds a channel's conversations by the company's and the customer's address."""

    name: str
    company_key: str
    customer_key: str


@dataclass(frozen=True)
class Channel:
    """One channel of one deployment."""

    name: str
    """As in `allowed_channels`, `channel_config` and the contexts."""
    address_prefix: str
    """What the provider puts before an address of this channel; may be empty."""
    address_kind: AddressKind
    index: Index
    queue_name: str
    """The queue of its triggers."""
    vendor: Vendor
    part_limits: PartLimits
    """What one outbound message can hold."""
    notifies_numbers_only: bool = False
    """Whether a sender without a phone number is a machine, which gets no answer when it is unknown."""
    free_text_hours: int | None = None
    """How long after the customer's last message free text may be sent; None: always."""
    shows_typing: bool = False
    """Whether the provider can show that an answer is being written."""
    opt_out_keywords: Mapping[NumberKind, Keywords] = field(default_factory=dict)
    """By kind of the company's number, whole messages by which the provider itself takes a customer out or in, without
    saying so; they count only where a company's policy says that its service has no Advanced Opt-Out."""


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
        return self.once(prefix, lambda: _digest(prefix, self.body))


def _digest(prefix: bytes, body: bytes) -> bytes:
    digest = sha256(prefix)
    digest.update(body)
    return digest.digest()


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


@dataclass(frozen=True, repr=False)
class OutboundPart:
    """One message to be sent; addresses bear the channel's prefix."""

    send_id: str
    """Ours, always the same for the same part, and telling nothing."""
    to: str
    sender: str
    messaging_service_sid: str | None
    """The provider's service through which `sender` sends, if there is one."""
    body: str
    content_sid: str | None
    content_variables: Mapping[str, str]
    media_urls: Sequence[str]
    status_callback: str | None
    answers: Mapping[str, str] = field(default_factory=dict)
    """The extras of the message that it answers, by which some providers thread a conversation."""
    is_automatic: bool = True
    """Whether no person wrote it: some providers tell that to the machines on the other side."""


THREADING: Final = ("subject", "email_message_id", "in_reply_to", "references")
"""The extras of a message by which an answer to it is put into its thread."""

AUTHENTICATION: Final = "authentication"
"""The extra of an e-mail that holds the verdict on its sender: `pass`, `fail` or `none`."""


def threading_of(extras: Mapping[str, str]) -> dict[str, str]:
    """The extras by which an answer is put into its thread, without the subject where nobody vouches for the sender.

    An answer goes to the address that the message names as its sender. Whoever forges that address would otherwise have
    us send words of their own to it, from the company.
    """
    told = {name: extras[name] for name in THREADING if name in extras}
    if extras.get(AUTHENTICATION) != "pass":
        told.pop("subject", None)
    return told


@dataclass(frozen=True)
class Sent:
    """The provider took the message, under this id."""

    provider_sid: str


@dataclass(frozen=True)
class PermanentFailure:
    """The provider will never take this message; its code tells why."""

    error_code: str
    is_opt_out: bool = False


@dataclass(frozen=True)
class TemporaryFailure:
    """The provider did not take the message and may take it later."""

    error_code: str
    after_seconds: int = 0
    """How long it wants to be left alone."""
    is_ours_to_mend: bool = False
    """Whether it takes the message only once somebody has mended the account or its configuration."""


@dataclass(frozen=True)
class InDoubt:
    """It is unknown whether the provider accepted the message."""

    is_server_error: bool = False
    """Whether the provider answered with a 5xx; False: the answer was lost, or proves nothing."""
    error_code: str | None = None
    """What it was answered with; None: with nothing that can be read."""


@dataclass(frozen=True)
class Refusals:
    """The provider's codes that mean, also when they come after the send, that the customer got nothing."""

    opted_out: str
    outside_window: str


SendOutcome = Sent | PermanentFailure | TemporaryFailure | InDoubt


class Sender(Protocol):
    """What `replying` needs of a provider."""

    @property
    def lists_every_message(self) -> bool:
        """Whether `find` finds every message that was taken a minute ago, so that a miss proves something."""

    def extras(self, part: OutboundPart) -> Mapping[str, str]:
        """What the message bears beyond its text, by the names of an inbound message's extras; the record keeps it."""

    def send(self, part: OutboundPart, secret: str) -> SendOutcome:
        """Send one message, once; never raises for what the provider does.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the secret's content is malformed.
        """

    def find(self, part: OutboundPart, secret: str, *, since: datetime) -> list[str]:
        """The provider's ids of messages like this one that it took since an instant.

        Raises:
            TryAgain: `QUEUE_ERROR`; the provider cannot be asked now.
            Misconfigured: `SECRET_FETCH_FAILED`; the secret is malformed or the provider does not take it.
        """


class TypingIndicator(Protocol):
    """A provider that can show that an answer is being written."""

    def show_typing(self, message_id: str, secret: str) -> str | None:
        """Show it on one of the customer's messages; why it is not shown, None: it is.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the secret's content is malformed.
        """


@dataclass(frozen=True, repr=False)
class Fetched:
    """The content of a medium."""

    content: bytes
    content_type: str
    """As the provider told it with the content; empty: it told none."""


@dataclass(frozen=True)
class NotFetched:
    """A medium that could not be had, or is not wanted."""

    reason: str
    """For the operator: a status, a type of error, or words of ours; never an address."""
    problem: str | None = None
    """By which of our rules it is not wanted; None: it could not be had."""


class Fetcher(Protocol):
    """What `media_copying` needs of a provider that keeps media; one that keeps none has no fetcher."""

    def fetch(
        self, url: str, secret: str, *, refuse: Callable[[int, str], str | None], deadline: Deadline
    ) -> Fetched | NotFetched:
        """Fetch one medium; never raises for what the provider does or the message says.

        Args:
            url: where the message says that it is; not to be trusted.
            secret: of the company's account with the provider.
            refuse: why content of so many bytes and this type is not wanted; asked before and while it comes in.
            deadline: when it must be there.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the secret's content is malformed.
        """


def channel_of(channels: Sequence[Channel], address: str) -> Channel | None:
    """The channel whose prefix the address bears, the longest first; None where a prefix is known to no row."""
    fitting = [one for one in channels if address.startswith(one.address_prefix)]
    found = max(fitting, key=lambda one: len(one.address_prefix), default=None)
    bare = address[len(found.address_prefix) :] if found else ""
    return None if ":" in bare else found
