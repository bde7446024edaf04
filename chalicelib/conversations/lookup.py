"""The look-up: finds the conversation of a company's and a customer's address, and loads its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
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
    is_complete,
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


def find_pair(table: Table, channel: Channel, message: InboundMessage) -> Found | None:
    """Find the conversation by the company's and the customer's address; None: there is none that is active.

    Among several active conversations the newest `created_at` wins.
    """
    return _newest(_pair(table, channel, message.recipient.value, message.sender.value), channel)


def find_company(table: Table, channel: Channel, recipient: Address) -> Found | None:
    """Find a company by its address alone, by its first row; None: the address is no company's.

    A company may store its own number in the other spelling; each spelling that finds nothing costs one query.
    """
    index = channel.index
    for spelling in _companys_spellings(channel, recipient):
        for row in table.query((index.company_key, spelling), index=index.name, limit=1):
            return _found(row, channel, None, 0)
    return None


def find_respelled(table: Table, channel: Channel, message: InboundMessage) -> Found | None:
    """Find the conversation by other spellings of the two addresses, or by the customer's id; None: there is none.

    One query for each pair of spellings; two addresses with one spelling each cost none. The caller holds: `find_pair`
    found nothing, and the secret of the company has proven the provider.
    """
    own, known_as = message.sender.value, message.sender_id
    if channel.address_kind is AddressKind.EMAIL:
        others: Sequence[str | None] = [other_spelling(own)]
    else:
        others = [*other_spellings(own), known_as if known_as != own else None]
    customers = dict.fromkeys((own, *(one for one in others if one is not None)))
    companies = _companys_spellings(channel, message.recipient)
    _, *pairs = product(companies, customers)  # `find_pair` has asked for the first
    rows = [row for company, customer in pairs for row in _pair(table, channel, company, customer)]
    return _newest(rows, channel)


def load(
    table: Table, key: ConversationKey, context_attributes: Sequence[str], *, with_messages: bool = True
) -> Conversation | None:
    """A conversation, strongly consistent; None: there is none.

    Raises:
        TryAgain, Misconfigured: it could not be read, or an attribute of ours has a shape that we never write.
    """
    item = table.get(key.item, attributes=attributes(context_attributes, with_messages=with_messages))
    return Conversation.from_item(item) if item is not None else None


def holds_lock(table: Table, context: Mapping[str, Any]) -> bool:
    """Whether the record still names the batch of a context, and nobody has begun to answer it."""
    told = context["conversation"]
    key = ConversationKey(told["primary_channel"], told["conversation_id"])
    conversation = load(table, key, (), with_messages=False)
    if conversation is None:
        return False
    record = conversation.record
    is_current = record.batch_id == context["meta"]["batch_id"] and record.status == names.Status.PROCESSING
    return is_current and record.claim is None


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


def _companys_spellings(channel: Channel, recipient: Address) -> tuple[str, ...]:
    """The company's address as the provider spells it, then the other spellings of a number."""
    own = recipient.value
    return (own, *other_spellings(own)) if channel.address_kind is AddressKind.PHONE else (own,)


def _pair(table: Table, channel: Channel, company: str, customer: str) -> list[Item]:
    """The conversations of the company's address with a customer's, finished ones too."""
    index = channel.index
    by_company = (index.company_key, company)
    return list(table.query(by_company, index=index.name, range_key=Attr(index.customer_key).eq(customer)))


def _newest(pair: Sequence[Item], channel: Channel) -> Found | None:
    """The newest active conversation of a pair, and which others there are; None: none is active."""
    ordered = sorted(pair, key=_created_at, reverse=True)
    active = [row for row in ordered if is_complete(row.get(TASK_COMPLETE)) is False]
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
