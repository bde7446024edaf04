"""What a channel is: one row of data.

A new channel of a known provider is a new row, without a new branch. Code outside this folder compares no channel's
name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from chalicelib.messages.inbound import AddressKind, OptOut
from chalicelib.messages.parts import PartLimits


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


def channel_of(channels: Sequence[Channel], address: str) -> Channel | None:
    """The channel whose prefix the address bears, the longest first; None where a prefix is known to no row."""
    fitting = [one for one in channels if address.startswith(one.address_prefix)]
    found = max(fitting, key=lambda one: len(one.address_prefix), default=None)
    bare = address[len(found.address_prefix) :] if found else ""
    return None if ":" in bare else found
