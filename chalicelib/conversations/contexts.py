"""The documents that the company's AI and people receive, and the entries on the record; pure.

    InboundMessage --staged_context--> one message's context, in the stage
    one message's context --entry--> an element of the record's `messages`
    the record's entries --batch_context, handoff_context--> what is sent, as schemas/context.json describes it

A batch's context is built from the record alone, so a trigger that resumes after a crash sends the same batch again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.clock import iso
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.provenance import provenance_of
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages.inbound import InboundMessage, Media
from chalicelib.ports.queues import MESSAGE_BYTES_MAX, encode
from chalicelib.protocol import record as names
from chalicelib.protocol.handoffs import RequestedBy
from chalicelib.protocol.record import entry_id

VERSION = "1.1"

ID = names.MESSAGE_ID

_ENVELOPE_BYTES = 2_048
"""Left free of the queue's limit for the attributes that travel beside the body."""

Document = Mapping[str, Any]


def staged_context(
    conversation: Conversation,
    message: InboundMessage,
    *,
    request_id: str,
    context_attributes: Sequence[str],
    now: datetime,
) -> dict[str, Any]:
    """The context of one message without the history: what its staged row holds."""
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
        "meta": _meta(message.channel, request_id=request_id, batch_id=None, now=now),
        "conversation": _conversation(conversation, context_attributes),
        "messages": [document],
        "company": _company(conversation, message.channel),
        "processing": _processing(received=iso(message.received_at), validated=now, queued=None),
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
        names.MESSAGE_ID: document["message_id"],
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


def id_of(context: Document) -> str:
    """The message id of a staged message."""
    message_id: str = context["messages"][0]["message_id"]
    return message_id


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


ACTIONS = ("send", "none", "handoff", "extend")
"""What a reply to a batch may do."""


def batch_context(
    conversation: Conversation,
    *,
    batch_id: str,
    deadline: datetime,
    request_id: str,
    context_attributes: Sequence[str],
    now: datetime,
) -> str:
    """The body that dispatches the record's batch: its unanswered entries, and the others as history.

    Args:
        conversation: as the lock's write left it.
        batch_id: the batch.
        deadline: when its lock stalls.
        request_id: of the invocation.
        context_attributes: the company's own attributes that it carries.
        now: the current instant.

    Raises:
        Misconfigured: `INTERNAL_ERROR`; the batch alone is larger than a message of the queue, or the company has
            taken its entries off the record.
    """
    entries = conversation.record.unanswered
    if not entries:
        raise Misconfigured(Code.INTERNAL_ERROR, "the record no longer holds the entries of its batch")
    context = _context(
        conversation,
        entries,
        batch_id=batch_id,
        request_id=request_id,
        context_attributes=context_attributes,
        now=now,
    )
    supersedes = list(conversation.record.supersedes)
    context["meta"] |= {
        "deadline": iso(deadline),
        "actions": list(ACTIONS),
        "restarts": len(supersedes),
        "supersedes": supersedes,
    }
    return _fitted(context, _history(conversation, entries))


@dataclass(frozen=True, repr=False)
class Draft:
    """What the AI would have answered, for people."""

    text: str
    reply_id: str


def handoff_context(
    conversation: Conversation,
    entries: Sequence[Mapping[str, Any]],
    *,
    draft: Draft | None = None,
    reasons: Mapping[str, str],
    request_id: str,
    context_attributes: Sequence[str],
    now: datetime,
) -> str:
    """The body that hands messages off: these entries, and the record's others as history.

    Args:
        conversation: as read, under the handoff if there is one.
        entries: the messages; none where people get a draft alone.
        draft: what the AI would have answered.
        reasons: by message id, why the routing sends a message to people.
        request_id: of the invocation.
        context_attributes: the company's own attributes that it carries.
        now: the current instant.

    Raises:
        Misconfigured: `INTERNAL_ERROR`; the messages alone are larger than a message of the queue.
    """
    context = _context(
        conversation,
        entries,
        batch_id=None,
        reasons=reasons,
        request_id=request_id,
        context_attributes=context_attributes,
        now=now,
    )
    record = conversation.record
    context["handoff"] = {
        "requested_by": record.handed_off_by or RequestedBy.COMPANY.value,
        "reason": record.handoff_reason or None,
        "handoff_id": record.handoff_id,
        "draft": draft.text if draft else None,
        "reply_id": draft.reply_id if draft else None,
    }
    return _fitted(context, _history(conversation, entries))


def _history(conversation: Conversation, entries: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The record's entries but these."""
    ids = {entry_id(one) for one in entries}
    return [one for one in conversation.record.entries or () if entry_id(one) not in ids]


def _context(
    conversation: Conversation,
    entries: Sequence[Mapping[str, Any]],
    *,
    batch_id: str | None,
    request_id: str,
    context_attributes: Sequence[str],
    now: datetime,
    reasons: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    channel = entries[-1]["channel_type"] if entries else _last_channel(conversation)
    return {
        "meta": _meta(channel, request_id=request_id, batch_id=batch_id, now=now),
        "conversation": _conversation(conversation, context_attributes),
        "messages": [_message(one, batch_id, (reasons or {}).get(one[ID])) for one in entries],
        "company": _company(conversation, channel),
        "processing": _processing(received=entries[0]["timestamp"] if entries else iso(now), validated=now, queued=now),
    }


def _last_channel(conversation: Conversation) -> str:
    """The channel of the customer's last message on the record."""
    channels = (
        one.get("channel_type")
        for one in reversed(conversation.record.entries or ())
        if isinstance(one, Mapping) and one.get("direction") == "INBOUND"
    )
    return next((one for one in channels if isinstance(one, str) and one), "unknown")


def _fitted(context: dict[str, Any], history: Sequence[Any]) -> str:
    """`context` with as much of the history as the queue takes, the newest first kept; `trimmed` tells the rest."""
    room = MESSAGE_BYTES_MAX - _ENVELOPE_BYTES - len(encode({**context, "history": []}).encode())
    if room < 0:
        raise Misconfigured(Code.INTERNAL_ERROR, "the messages of one batch are larger than the queue takes")
    kept: list[Any] = []
    for one in reversed(history):
        room -= len(encode({"": one}).encode())
        if room < 0:
            break
        kept.insert(0, one)
    context["meta"]["trimmed"] = len(history) - len(kept)
    return encode({**context, "history": kept})


def _message(one: Mapping[str, Any], batch_id: str | None, handoff_reason: str | None) -> dict[str, Any]:
    is_carried = batch_id is not None and one.get("batch_id") != batch_id
    return {
        "from": one["metadata"]["sender"],
        "to": one["metadata"]["recipient"],
        "body": one["content"],
        "message_id": one[names.MESSAGE_ID],
        "timestamp": one["timestamp"],
        "channel_type": one["channel_type"],
        "account_sid": one["metadata"].get("account_sid"),
        "media": one.get("media", []),
        "extras": one.get("extras", {}),
        "provenance": provenance_of(one["metadata"]["sender"], extras_of_entry(one), has_media=bool(one.get("media"))),
        **({"carried": True} if is_carried else {}),
        **({"handoff_reason": handoff_reason} if handoff_reason is not None else {}),
    }


def _meta(channel: str, *, request_id: str, batch_id: str | None, now: datetime) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "channel_type": channel,
        "timestamp": iso(now),
        "version": VERSION,
        "batch_id": batch_id,
        "trimmed": 0,
    }


def _conversation(conversation: Conversation, context_attributes: Sequence[str]) -> dict[str, Any]:
    item = conversation.item
    return {
        **{name: item[name] for name in context_attributes if name in item},
        **conversation.key.item,
        names.STATUS: item.get(names.STATUS),
        "hand_off_to_human": conversation.hand_off_to_human,
        "thread_id": item.get("thread_id"),
    }


def _company(conversation: Conversation, channel: str) -> dict[str, Any]:
    item = conversation.item
    return {
        "company_id": item.get("company_id"),
        "project_id": item.get("project_id"),
        "company_name": item.get("company_name"),
        "credentials_reference": conversation.credential_ref(channel),
    }


def _processing(*, received: str, validated: datetime, queued: datetime | None) -> dict[str, Any]:
    return {
        "validation_status": "valid",
        "ai_response": None,
        "sent_response": None,
        "processing_timestamps": {
            "received": received,
            "validated": iso(validated),
            "queued": iso(queued) if queued else None,
        },
    }
