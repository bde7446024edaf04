"""The look-up: the conversation of a company's and a customer's address, and how its record is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.channels.channel import Channel
from chalicelib.conversations.conversation import (
    CHANNEL_CONFIG,
    COMPANY_ID,
    CREATED_AT,
    CREDENTIAL_REF,
    TASK_COMPLETE,
    Conversation,
    attributes,
    credential_ref_of,
)
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages.email_domains import other_spelling
from chalicelib.messages.inbound import Address, AddressKind, InboundMessage
from chalicelib.messages.phone_numbers import other_spellings
from chalicelib.ports.tables import Attr, Item, Read, Table
from chalicelib.protocol import record as names
from chalicelib.protocol.record import ConversationKey


@dataclass(frozen=True)
class Found:
    """What the look-up by the two addresses told."""

    key: ConversationKey | None
    """The newest active conversation; None: the company is known, the sender is not."""
    tenant: str
    credential_ref: str | None
    active_count: int
    """How many active conversations the pair of addresses has."""
    created_at: str = ""
    """When the conversation was made, as the company spells it."""
    older: tuple[ConversationKey, ...] = ()
    """The pair's other conversations, finished ones included, the newest first."""
    channel_config: Any = None
    """As the company wrote it; `policies` reads it."""


def find(table: Table, channel: Channel, message: InboundMessage) -> Found | None:
    """Find the conversation by the company's and the customer's address; else the company alone; else None.

    Among several active conversations the newest `created_at` wins.
    """
    return _newest(_pair(table, channel, message, message.sender.value), channel) or find_company(
        table, channel, message.recipient
    )


def find_company(table: Table, channel: Channel, recipient: Address) -> Found | None:
    """Find a company by its address alone, by its first row; None: the address is no company's."""
    index = channel.index
    for row in table.query((index.company_key, recipient.value), index=index.name, limit=1):
        return _found(row, channel, None, 0)
    return None


def find_respelled(table: Table, channel: Channel, message: InboundMessage) -> Found | None:
    """Find the conversation by another spelling of the customer's address, or by their id; None: there is none by any.

    One query for each of these; an address with one spelling costs none. The caller holds: `find` found the company
    alone, and its secret has proven the provider.
    """
    own, known_as = message.sender.value, message.sender_id
    if channel.address_kind is AddressKind.EMAIL:
        others: Sequence[str | None] = [other_spelling(own)]
    else:
        others = [*other_spellings(own), known_as if known_as != own else None]
    spellings = dict.fromkeys(one for one in others if one is not None)
    return _newest([row for one in spellings for row in _pair(table, channel, message, one)], channel)


def load(
    table: Table, key: ConversationKey, context_attributes: Sequence[str], *, with_messages: bool = True
) -> Conversation | None:
    """A conversation, strongly consistent; None: there is none.

    Raises:
        TryAgain, Misconfigured: it could not be read, or an attribute of ours has a shape that we never write.
    """
    item = table.get(key.item, attributes=attributes(context_attributes, with_messages=with_messages))
    return Conversation.from_item(item) if item is not None else None


def reading(table: Table, key: ConversationKey, context_attributes: Sequence[str]) -> Read:
    """The read that `load` makes with messages, to be made together with others."""
    return Read(table, key.item, attributes(context_attributes, with_messages=True))


def require_credential_ref(found: Found, channel: Channel) -> str:
    """The name of the secret that proves the provider.

    Raises:
        Misconfigured: `MISSING_CREDENTIAL_CONFIG`.
    """
    if found.credential_ref is None:
        name = f"{CHANNEL_CONFIG}.{channel.name}.{CREDENTIAL_REF}"
        raise Misconfigured(Code.MISSING_CREDENTIAL_CONFIG, f"{name} is missing for tenant {found.tenant}")
    return found.credential_ref


def _pair(table: Table, channel: Channel, message: InboundMessage, customer: str) -> list[Item]:
    """The conversations of the company's address with a customer's, finished ones too."""
    index = channel.index
    company = (index.company_key, message.recipient.value)
    return list(table.query(company, index=index.name, range_key=Attr(index.customer_key).eq(customer)))


def _newest(pair: Sequence[Item], channel: Channel) -> Found | None:
    """The newest active conversation of a pair, and which others there are; None: none is active."""
    ordered = sorted(pair, key=_created_at, reverse=True)
    active = [row for row in ordered if row.get(TASK_COMPLETE) == 0]
    if not active:
        return None
    older = tuple(_key(row) for row in ordered if row is not active[0])
    return replace(_found(active[0], channel, _key(active[0]), len(active)), older=older)


def _created_at(row: Item) -> str:
    return str(row.get(CREATED_AT, ""))


def _key(row: Item) -> ConversationKey:
    return ConversationKey(row[names.PRIMARY_CHANNEL], row[names.CONVERSATION_ID])


def _found(row: Item, channel: Channel, key: ConversationKey | None, active_count: int) -> Found:
    return Found(
        key,
        str(row.get(COMPANY_ID, "unknown")),
        credential_ref_of(row, channel.name),
        active_count,
        created_at=_created_at(row),
        channel_config=row.get(CHANNEL_CONFIG),
    )
