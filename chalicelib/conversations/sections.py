"""The sections that every context has, whatever it carries; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.clock import iso
from chalicelib.conversations.conversation import Conversation
from chalicelib.protocol import record as names

VERSION = "1.1"
Document = Mapping[str, Any]


def meta(channel: str, *, request_id: str, batch_id: str | None, now: datetime) -> dict[str, Any]:
    """Which request built the context, when, and of which batch it is."""
    return {
        "request_id": request_id,
        "channel_type": channel,
        "timestamp": iso(now),
        "version": VERSION,
        "batch_id": batch_id,
        "trimmed": 0,
    }


def conversation(conversation: Conversation, context_attributes: Sequence[str]) -> dict[str, Any]:
    """The conversation, with the attributes of the company's own that contexts carry."""
    item = conversation.item
    return {
        **{name: item[name] for name in context_attributes if name in item},
        **conversation.key.item,
        names.STATUS: item.get(names.STATUS),
        "hand_off_to_human": conversation.hand_off_to_human,
        "thread_id": item.get("thread_id"),
    }


def company(conversation: Conversation, channel: str) -> dict[str, Any]:
    """The company, and the name of its secret."""
    item = conversation.item
    return {
        "company_id": item.get("company_id"),
        "project_id": item.get("project_id"),
        "company_name": item.get("company_name"),
        "credentials_reference": conversation.credential_ref(channel),
    }


def processing(*, received: str, validated: datetime, queued: datetime | None) -> dict[str, Any]:
    """When the message was received, read and sent on."""
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
