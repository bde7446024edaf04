"""What a channel is: one row of data, and what its provider must offer.

A new channel of a known provider is a new row and no new branch. Code outside this folder compares no channel's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from chalicelib.messages import AddressKind, InboundMessage


class AnswerStyle(StrEnum):
    """How a provider wants its webhooks answered: a column of the table in `responses.py`."""

    TWIML = "twiml"
    JSON = "json"


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
    answer_style: AnswerStyle


@dataclass(frozen=True, repr=False)
class WebhookRequest:
    """One HTTP request of a provider, as it came in."""

    url: str
    """The public URL as the provider called and signed it."""
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    request_id: str


class Provider(Protocol):
    """What `receiving` needs of a provider, once per provider and the same for all of its channels."""

    def parse(self, request: WebhookRequest) -> InboundMessage:
        """The message that the request delivers; nothing of it is trusted yet.

        Raises:
            Rejected: `PARSING_ERROR`, `MISSING_REQUIRED_FIELD`.
        """

    def is_genuine(self, request: WebhookRequest, message: InboundMessage, secret: str) -> bool:
        """Whether the provider signed the request with this secret, and the message is of the secret's account.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the secret's content is malformed.
        """


def channel_of(channels: Sequence[Channel], address: str) -> Channel | None:
    """The channel whose prefix the address bears, the longest first; None where a prefix is known to no row."""
    fitting = [one for one in channels if address.startswith(one.address_prefix)]
    found = max(fitting, key=lambda one: len(one.address_prefix), default=None)
    bare = address[len(found.address_prefix) :] if found else ""
    return None if ":" in bare else found
