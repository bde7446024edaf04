"""The context of one message, as its staged row holds it, and the entry that the record keeps of it; pure.

InboundMessage --staged_context--> one message's context, in the stage
one message's context --entry--> an element of the record's `messages`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.clock import iso
from chalicelib.conversations import sections
from chalicelib.conversations.sections import Document
from chalicelib.messages.inbound import InboundMessage, Media
from chalicelib.protocol.entries import MESSAGE_ID


def staged_context(message: InboundMessage, *, request_id: str, now: datetime) -> dict[str, Any]:
    """The context of one message as its staged row holds it.

    The history, the conversation and the company are not in it: they are read from the record when the message is
    taken, and DynamoDB bills a staged row twice by its size.
    """
    document = {
        "from": message.sender.value,
        "to": message.recipient.value,
        "body": message.body,
        "message_id": message.message_sid,
        "timestamp": iso(message.received_at),
        "channel_type": message.channel,
        "account_sid": message.account_id or None,
        "media": [_medium(one) for one in message.media],
        "extras": dict(message.extras),
    }
    return {
        "meta": sections.meta(message.channel, request_id=request_id, batch_id=None, now=now),
        "messages": [document],
    }


def _medium(one: Media) -> dict[str, Any]:
    told = {"filename": one.filename, "size_bytes": one.size_bytes, "problem": one.problem}
    known = {name: value for name, value in told.items() if value is not None}
    return {"url": one.url, "content_type": one.content_type, **known}


def entry(context: Document, *, batch_id: str | None = None, **marks: Any) -> dict[str, Any]:
    """The element of `messages` that keeps a staged message.

    Args:
        context: the message's staged context.
        batch_id: the batch that takes it; None where no batch does.
        marks: why no batch does: `handed_off=True`, or `refused` with the code.
    """
    (document,) = context["messages"]
    account_sid = document.get("account_sid")
    return {
        MESSAGE_ID: document["message_id"],
        "direction": "INBOUND",
        "content": document["body"],
        "timestamp": document["timestamp"],
        "channel_type": document["channel_type"],
        "metadata": {
            "sender": document["from"],
            "recipient": document["to"],
            **({"account_sid": account_sid} if account_sid else {}),
        },
        **({"batch_id": batch_id} if batch_id is not None else {}),
        **marks,
        **({"media": document["media"]} if document["media"] else {}),
        **({"extras": document["extras"]} if document["extras"] else {}),
    }


def channel_of(context: Document) -> str:
    """The name of the channel that a staged message came by."""
    channel: str = context["messages"][0]["channel_type"]
    return channel


def sender_of(context: Document) -> str:
    """The address that a staged message came from."""
    sender: str = context["messages"][0]["from"]
    return sender


def extras_of(context: Document) -> Mapping[str, Any]:
    """The extras of a staged message."""
    extras: Mapping[str, Any] = context["messages"][0]["extras"]
    return extras


def extras_of_entry(one: Document) -> Mapping[str, Any]:
    """The extras of an entry; the company may have written anything in their place."""
    extras = one.get("extras")
    return extras if isinstance(extras, Mapping) else {}


def media_of(context: Document) -> Sequence[Mapping[str, Any]]:
    """The media of a staged message."""
    media: Sequence[Mapping[str, Any]] = context["messages"][0]["media"]
    return media


def with_media(context: Document, media: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The context of a staged message with these media in place of its own."""
    (document,) = context["messages"]
    return {**context, "messages": [{**document, "media": list(media)}]}
