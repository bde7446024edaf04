"""Conversations: a typed view of the company's record, and how one is found and loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.channels.channel import Channel
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages.inbound import AddressKind, InboundMessage
from chalicelib.ports.tables import Attr, Item, Read, Table
from chalicelib.protocol import record as names
from chalicelib.protocol.record import ConversationKey, Record

TASK_COMPLETE = "task_complete"
CREATED_AT = "created_at"
CHANNEL_CONFIG = "channel_config"
CREDENTIAL_REF = "credential_ref"
UNKNOWN_SENDER_TEXT = "unknown_sender_text"
COMPANY_ID = "company_id"

_RULES = ("project_status", "allowed_channels", TASK_COMPLETE, names.OPTED_OUT)
_ROUTING = (
    "hand_off_to_human",
    "auto_queue_reply_message",
    "auto_queue_reply_message_from_number",
    "auto_queue_reply_message_from_email",
)
_CONTEXT = ("thread_id", COMPANY_ID, "company_name", "project_id", CHANNEL_CONFIG)
_AUTO_QUEUE_LISTS = {
    AddressKind.PHONE: "auto_queue_reply_message_from_number",
    AddressKind.EMAIL: "auto_queue_reply_message_from_email",
}


@dataclass(frozen=True)
class Found:
    """What the look-up by the two addresses told."""

    key: ConversationKey | None
    """The newest active conversation; None: the company is known, the sender is not."""
    tenant: str
    credential_ref: str | None
    active_count: int
    """How many active conversations the pair of addresses has."""
    unknown_sender_text: str | None = None
    """What the company tells a sender whom it does not know; empty: nothing; None: what the settings say."""


@dataclass(frozen=True, repr=False)
class Conversation:
    """The record as rules, routing and contexts see it."""

    record: Record
    tenant: str
    project_status: str | None
    allowed_channels: tuple[str, ...]
    is_task_complete: bool
    is_opted_out: bool
    hand_off_to_human: bool
    auto_queue_reply_message: bool
    auto_queue_senders: Mapping[AddressKind, Any]
    """As the company wrote them; `routing` reads them."""
    item: Item
    """The whole row as read, for what contexts carry of it."""

    @classmethod
    def from_item(cls, item: Item) -> Conversation:
        """The conversation that a row tells.

        Raises:
            Misconfigured: an attribute of ours has a shape that we never write.
        """
        allowed = item.get("allowed_channels") or ()
        return cls(
            record=Record.from_item(item),
            tenant=str(item.get(COMPANY_ID, "unknown")),
            project_status=item.get("project_status"),
            allowed_channels=tuple(allowed) if isinstance(allowed, list | set | tuple) else (str(allowed),),
            is_task_complete=bool(item.get(TASK_COMPLETE, 0)),
            is_opted_out=item.get(names.OPTED_OUT) is True,
            hand_off_to_human=item.get("hand_off_to_human") is True,
            auto_queue_reply_message=item.get("auto_queue_reply_message") is True,
            auto_queue_senders={kind: item.get(name) for kind, name in _AUTO_QUEUE_LISTS.items()},
            item=item,
        )

    @property
    def key(self) -> ConversationKey:
        return self.record.key

    def credential_ref(self, channel: str) -> str | None:
        """The name of the secret of the company's account with the channel's provider."""
        return credential_ref_of(self.item, channel)

    def messaging_service_sid(self, channel: str) -> str | None:
        """The provider's service that sends for the company; None: its number does."""
        return _text_of_channel(self.item, channel, "messaging_service_sid")


def attributes(context_attributes: Sequence[str], *, with_messages: bool) -> tuple[str, ...]:
    """What a read of the record asks for: everything that we look at, and the company's own that contexts carry."""
    ours = (*names.ATTRIBUTES, *_RULES, *_ROUTING, *_CONTEXT, *context_attributes)
    return tuple(dict.fromkeys((*ours, names.MESSAGES) if with_messages else ours))


def find(table: Table, channel: Channel, message: InboundMessage) -> Found | None:
    """Find the conversation by the company's and the customer's address; else the company alone; else None.

    Among several active conversations the newest `created_at` wins.
    """
    index = channel.index
    company = (index.company_key, message.recipient.value)
    active = list(
        table.query(
            company,
            index=index.name,
            range_key=Attr(index.customer_key).eq(message.sender.value),
            keep=Attr(TASK_COMPLETE).eq(0),
        )
    )
    if active:
        newest = max(active, key=lambda row: str(row.get(CREATED_AT, "")))
        key = ConversationKey(newest[names.PRIMARY_CHANNEL], newest[names.CONVERSATION_ID])
        return _found(newest, channel, key, len(active))
    for row in table.query(company, index=index.name, limit=1):
        return _found(row, channel, None, 0)
    return None


def load(table: Table, key: ConversationKey, context_attributes: Sequence[str], *, with_messages: bool) -> Item | None:
    """The row of a conversation, strongly consistent; None: there is none."""
    return table.get(key.item, attributes=attributes(context_attributes, with_messages=with_messages))


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


def credential_ref_of(row: Item, channel: str) -> str | None:
    """The name of the secret of a company's account with a channel's provider, as a row of an index tells it."""
    return _text_of_channel(row, channel, CREDENTIAL_REF)


def _found(row: Item, channel: Channel, key: ConversationKey | None, active_count: int) -> Found:
    return Found(
        key,
        str(row.get(COMPANY_ID, "unknown")),
        credential_ref_of(row, channel.name),
        active_count,
        _of_channel(row, channel.name, UNKNOWN_SENDER_TEXT),
    )


def _text_of_channel(row: Item, channel: str, name: str) -> str | None:
    return _of_channel(row, channel, name) or None


def _of_channel(row: Item, channel: str, name: str) -> str | None:
    """A text of the channel's configuration, perhaps an empty one; None: there is none."""
    config = row.get(CHANNEL_CONFIG)
    of_channel = config.get(channel) if isinstance(config, Mapping) else None
    text = of_channel.get(name) if isinstance(of_channel, Mapping) else None
    return text if isinstance(text, str) else None
