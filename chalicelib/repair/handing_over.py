"""Handing over: an operator hands a conversation to people, until they give it back.

The unanswered messages go to people at once. If a reply of the AI is being sent, its own process finds the handoff
before its next part and passes the batch to people. Staged messages go to people by a trigger.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.conversations.handoff import Handoff
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Tables
from chalicelib.protocol.handoffs import RequestedBy
from chalicelib.protocol.record import ConversationKey
from chalicelib.repair.retriggering import Retriggering
from chalicelib.telemetry import Trail


@dataclass(frozen=True)
class HandingOver:
    """Hands conversations to people by an operator's command."""

    handoff: Handoff
    retriggering: Retriggering

    def hand_over(self, tables: Tables, queues: Queues, key: ConversationKey, reason: str, trail: Trail) -> bool:
        """Hand a conversation to people; False: a handoff stands already, or the conversation is gone.

        Raises:
            TryAgain, Misconfigured: perhaps it is theirs; a repeat finds out.
        """
        trail.bind(conversation_id=key.conversation_id)
        handoff = self.handoff.begun(RequestedBy.OPERATOR, reason)
        is_theirs = self.handoff.hand_over(tables, queues, key, handoff, trail)
        self.retriggering.look(tables, queues, key, trail)
        return is_theirs
