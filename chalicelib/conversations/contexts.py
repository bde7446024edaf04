"""The documents that the company's AI and people receive; pure.

    the record's entries --batch_context, handoff_context--> what is sent, as schemas/context.json describes it

A batch's context is built from the record alone, so a trigger that resumes after a crash sends the same batch again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.clock import iso
from chalicelib.conversations import sections
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.provenance import provenance_of
from chalicelib.conversations.staged_contexts import extras_of_entry
from chalicelib.errors import Code, Misconfigured
from chalicelib.ports.queues import MESSAGE_BYTES_MAX, encode
from chalicelib.protocol.entries import MESSAGE_ID, entry_id
from chalicelib.protocol.handoffs import RequestedBy

_ENVELOPE_BYTES = 2_048
"""Left free of the queue's limit for the attributes that travel beside the body."""
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
    received = entries[0]["timestamp"] if entries else iso(now)
    return {
        "meta": sections.meta(channel, request_id=request_id, batch_id=batch_id, now=now),
        "conversation": sections.conversation(conversation, context_attributes),
        "messages": [_message(one, batch_id, (reasons or {}).get(one[MESSAGE_ID])) for one in entries],
        "company": sections.company(conversation, channel),
        "processing": sections.processing(received=received, validated=now, queued=now),
    }


def _last_channel(conversation: Conversation) -> str:
    """The channel of the customer's last message on the record; where all of theirs have moved, of the last entry."""
    latest = [one for one in reversed(conversation.record.entries or ()) if isinstance(one, Mapping)]
    latest.sort(key=lambda one: one.get("direction") != "INBOUND")
    channels = (one.get("channel_type") for one in latest)
    return next((one for one in channels if isinstance(one, str) and one), "unknown")


def _fitted(context: dict[str, Any], history: Sequence[Any]) -> str:
    """`context` with as much of the history as the queue takes, the newest first kept; `trimmed` tells the rest."""
    whole = encode({**context, "history": history})
    if len(whole.encode()) <= MESSAGE_BYTES_MAX - _ENVELOPE_BYTES:
        return whole
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
        "message_id": one[MESSAGE_ID],
        "timestamp": one["timestamp"],
        "channel_type": one["channel_type"],
        "account_sid": one["metadata"].get("account_sid"),
        "media": one.get("media", []),
        "extras": one.get("extras", {}),
        "provenance": provenance_of(one["metadata"]["sender"], extras_of_entry(one), has_media=bool(one.get("media"))),
        **({"carried": True} if is_carried else {}),
        **({"handoff_reason": handoff_reason} if handoff_reason is not None else {}),
    }
