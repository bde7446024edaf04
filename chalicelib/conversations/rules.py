"""The rules that a message must pass, in their order; pure."""

from __future__ import annotations

from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import Code


def validate_conversation_rules(conversation: Conversation, channel: str, *, lock_matters: bool) -> Code | None:
    """The code of the first rule that refuses a message of this channel; None: all let it pass.

    Args:
        conversation: as read.
        channel: the name of the message's channel.
        lock_matters: whether a locked conversation refuses, as the policy `on_new_message: reject` says.
    """
    if conversation.is_task_complete:
        return Code.CONVERSATION_NOT_FOUND  # as the look-up says it, which finds active conversations only
    if conversation.project_status != "active":
        return Code.PROJECT_INACTIVE
    if channel not in conversation.allowed_channels:
        return Code.CHANNEL_NOT_ALLOWED
    if conversation.is_opted_out_of(channel):
        return Code.OPTED_OUT
    if lock_matters and conversation.record.is_locked:
        return Code.CONVERSATION_LOCKED
    return None
