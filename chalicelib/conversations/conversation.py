"""A conversation: a typed view of the company's record, as rules, routing and contexts see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chalicelib.messages.inbound import AddressKind
from chalicelib.ports.queues import Attributes
from chalicelib.ports.tables import Attr, Condition, Item
from chalicelib.protocol import record as names
from chalicelib.protocol.opt_outs import OptOutMarks
from chalicelib.protocol.record import ConversationKey, Record

TASK_COMPLETE = "task_complete"


CREATED_AT = "created_at"


CHANNEL_CONFIG = "channel_config"


CREDENTIAL_REF = "credential_ref"


COMPANY_ID = "company_id"


_COMPLETION = {"0": False, "false": False, "1": True, "true": True}
_LISTS = (list, set, tuple)


_RULES = ("project_status", "allowed_channels", TASK_COMPLETE, names.OPTED_OUT, names.OPTED_OUT_CHANNELS)


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


@dataclass(frozen=True, repr=False)
class Conversation:
    """The record as rules, routing and contexts see it."""

    record: Record
    tenant: str
    project_status: str | None
    allowed_channels: tuple[str, ...]
    is_task_complete: bool
    opt_out_marks: OptOutMarks
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
        completion = is_complete(item.get(TASK_COMPLETE))
        return cls(
            record=Record.from_item(item),
            tenant=str(item.get(COMPANY_ID, "unknown")),
            project_status=item.get("project_status"),
            allowed_channels=tuple(_word(one) for one in (allowed if isinstance(allowed, _LISTS) else (allowed,))),
            is_task_complete=bool(item.get(TASK_COMPLETE, 0)) if completion is None else completion,
            opt_out_marks=OptOutMarks.from_item(item),
            hand_off_to_human=item.get("hand_off_to_human") is True,
            auto_queue_reply_message=item.get("auto_queue_reply_message") is True,
            auto_queue_senders={kind: item.get(name) for kind, name in _AUTO_QUEUE_LISTS.items()},
            item=item,
        )

    @property
    def key(self) -> ConversationKey:
        return self.record.key

    def is_opted_out_of(self, channel: str) -> bool:
        """Whether the customer wants no messages on a channel."""
        return self.opt_out_marks.stops(channel)

    @property
    def routing_stands(self) -> Condition:
        """The company routes the conversation as it was read. Its own writes raise no version, so they are named."""
        stands: Condition = Attr(names.PRIMARY_CHANNEL).exists()
        for name in _ROUTING:
            stands &= Attr(name).stays(self.item.get(name))
        return stands

    @property
    def attributes(self) -> Attributes:
        """What is told beside the body of a message about this conversation."""
        return {names.CONVERSATION_ID: self.key.conversation_id}

    @property
    def channel_config(self) -> Any:
        """As the company wrote it; `policies` reads it."""
        return self.item.get(CHANNEL_CONFIG)

    @property
    def unanswered_channel(self) -> str | None:
        """The channel of the last message that nobody has answered; None: there is none, or no entries were read."""
        unanswered = self.record.unanswered
        return str(unanswered[-1]["channel_type"]) if unanswered else None

    def credential_ref(self, channel: str) -> str | None:
        """The name of the secret of the company's account with the channel's provider."""
        return credential_ref_of(self.item, channel)

    def messaging_service_sid(self, channel: str) -> str | None:
        """The provider's service through which the company's number sends; None: it sends by itself."""
        return _nonempty_text_of_channel(self.item, channel, "messaging_service_sid")


def attributes(context_attributes: Sequence[str], *, with_messages: bool) -> tuple[str, ...]:
    """What a read of the record asks for: everything that we look at, and the company's own that contexts carry."""
    ours = (*names.ATTRIBUTES, *_RULES, *_ROUTING, *_CONTEXT, *context_attributes)
    return tuple(dict.fromkeys((*ours, names.MESSAGES) if with_messages else ours))


def credential_ref_of(row: Item, channel: str) -> str | None:
    """The name of the secret of a company's account with a channel's provider, as a row of an index tells it."""
    return _nonempty_text_of_channel(row, channel, CREDENTIAL_REF)


def _nonempty_text_of_channel(row: Item, channel: str, name: str) -> str | None:
    return text_of_channel(row, channel, name) or None


def text_of_channel(row: Item, channel: str, name: str) -> str | None:
    """A text of the channel's configuration, perhaps an empty one; None: there is none."""
    text = config_of(row.get(CHANNEL_CONFIG), channel).get(name)
    return text if isinstance(text, str) else None


def config_of(channel_config: Any, channel: str) -> Mapping[str, Any]:
    """A channel's part of `channel_config`, its name in any case; empty: there is none, or it is no map."""
    if not isinstance(channel_config, Mapping):
        return {}
    found = channel_config.get(channel)
    if found is None:
        found = next((one for name, one in channel_config.items() if _word(name) == channel), None)
    return found if isinstance(found, Mapping) else {}


def is_complete(value: Any) -> bool | None:
    """Whether `task_complete` says that a conversation has ended; None: it is missing, or says neither.

    The company's systems write a number; a boolean, and the same as text, can mean nothing else.
    """
    match value:
        case bool() | int() | Decimal() if value in {0, 1}:
            return bool(value)
        case str():
            return _COMPLETION.get(value.strip().lower())
        case _:
            return None


def _word(value: Any) -> Any:
    """A name as the company wrote it, read in any case; what is no text stays as it is."""
    return value.strip().lower() if isinstance(value, str) else value
