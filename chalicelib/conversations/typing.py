"""Typing indicators: after a dispatch and with each heartbeat, if the company's policy asks for them.

They are best effort: a request is never repeated, and its failure fails nothing else.
"""

from __future__ import annotations

from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import Policies
from chalicelib.errors import EngineError
from chalicelib.messages.typing import TypingErrand
from chalicelib.ports.queues import Queues, fair_group
from chalicelib.telemetry import Level, Step, Trail


def request_typing(queues: Queues, conversation: Conversation, policies: Policies, trail: Trail) -> None:
    """Ask for the indicator on the last message of the batch, if a channel's policy is on; it costs one send then."""
    unanswered, channels = conversation.record.unanswered_ids, conversation.allowed_channels
    if not unanswered or not any(policies.of(conversation, one, trail).typing_indicator for one in channels):
        return
    errand = TypingErrand(conversation.key, unanswered[-1])
    try:
        queues.replies.send(errand.message, group=fair_group(conversation.tenant), attributes=conversation.attributes)
    except EngineError as fault:
        trail.fault(Step.TYPING, fault, Level.WARNING)
