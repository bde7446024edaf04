"""What sends through a vendor: one part of a reply, how its send can end, and the methods that its sender must offer.

A send that may have been taken is `InDoubt`, and never a failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


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
            Misconfigured: `SECRET_FETCH_FAILED`; the secret is malformed or the provider does not take it.
        """
