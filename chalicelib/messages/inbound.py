"""An inbound message, the same for every channel: frozen values, independent of providers and AWS."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chalicelib.errors import Code

_NUMBER = re.compile(r"\+[0-9]{2,15}")


class AddressKind(StrEnum):
    """What sort of address a channel uses."""

    PHONE = "phone"
    EMAIL = "email"


@dataclass(frozen=True)
class Address:
    """Where a message came from or went to: without the channel's prefix, an e-mail address in lower case."""

    kind: AddressKind
    value: str

    @classmethod
    def from_text(cls, value: str) -> Address:
        """The address that a stored value tells: with an `@` an e-mail address, else a phone's."""
        return cls(AddressKind.EMAIL if "@" in value else AddressKind.PHONE, value)

    @property
    def is_number(self) -> bool:
        """Whether it is an international number: no short code, no name, no id of a user without a number."""
        return self.kind is AddressKind.PHONE and _NUMBER.fullmatch(self.value) is not None

    def __repr__(self) -> str:
        """Without the value: an address never comes into a log by accident."""
        return f"Address({self.kind})"


class OptOut(StrEnum):
    """What a message says of wanting messages; the provider has acted on it and answered it already."""

    STOP = "STOP"
    START = "START"
    HELP = "HELP"


@dataclass(frozen=True, repr=False)
class Media:
    """One attachment: where its content is, and what is known of it."""

    url: str
    """At the provider, taking the tenant's credentials, or `s3://` in our own bucket; empty: it was not kept."""
    content_type: str
    filename: str | None = None
    size_bytes: int | None = None
    problem: str | None = None
    """Why its content is not where it should be, by a word of ours; None: it is."""


@dataclass(frozen=True, repr=False)
class Attachment:
    """A part of the message that came with the request; it is kept in our bucket before the message is staged."""

    content: bytes
    content_type: str
    filename: str | None = None
    problem: str | None = None
    """Why it is not to be kept (its type, its size, their number); None: it is."""
    dropped_bytes: int = 0
    """How much of its content was dropped, where it is not to be kept."""

    @property
    def size_bytes(self) -> int:
        return len(self.content) + self.dropped_bytes


class Unread(Protocol):
    """The content of a message that takes long to read: it is read once the message is verified."""

    @property
    def seconds_spent(self) -> float:
        """On reading, for all recipients of the message together."""

    def judged(self, message: InboundMessage, *, lists: Collection[str]) -> InboundMessage:
        """The message under its own id, with its author and what SPF and DKIM say of them.

        Args:
            message: the one that was verified, for one of its recipients.
            lists: the addresses of the company's own lists.
        """

    def read(self, message: InboundMessage, earlier: Iterable[str]) -> InboundMessage:
        """The message with its text and its attachments.

        Args:
            message: the one whose content this is, for one of its recipients.
            earlier: what was said before in the conversation, the newest first.
        """


@dataclass(frozen=True, repr=False)
class InboundMessage:
    """One message as a provider delivered it, parsed and not yet trusted."""

    message_sid: str
    """The provider's id of the message, the same for each of its retries: what duplicates are told by."""
    channel: str
    """The name of the channel's row in `channels/`."""
    account_id: str
    """The provider's account that claims to deliver it; must be the secret's once the signature is proven."""
    sender: Address
    recipient: Address
    body: str
    """What the customer wrote; empty where a message is only media, a location or a button."""
    received_at: datetime
    sender_id: str | None = None
    """By which the provider knows the sender beside the address: a row may name them by it."""
    opt_out: OptOut | None = None
    """What the provider says that it is about, if it is about wanting messages."""
    opt_out_unknown: str | None = None
    """What the provider says of wanting messages in a word that we do not know: it is logged and changes nothing."""
    opt_out_keyword: OptOut | None = None
    """The same by the text alone, one of the provider's default keywords; None where the provider says it itself."""
    media: tuple[Media, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    """What becomes media once it is kept."""
    whole: Attachment | None = None
    """All of the text, where `body` is less than that."""
    refusal: Code | None = None
    """Why the channel itself does not take it: told once its provider is proven."""
    may_be_notified: bool = True
    """Whether an unknown sender of it may be answered without being bothered."""
    is_of_list: bool = False
    """Whether it was read from the provider's list of messages, which tells less than a webhook."""
    extras: Mapping[str, str] = field(default_factory=dict)
    """What else the provider told, by snake-case names: buttons, location, profile, and parameters unknown to us."""
    unread: Unread | None = None
    """Reads text and attachments, which are not read yet; None: they are."""
