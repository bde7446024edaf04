"""The queue of the company's people: what is sent to it, and why a conversation belongs to people.

Guarantee: a list of the company that cannot be read stops no handoff; it sends nothing to people by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalicelib.clock import Clock
from chalicelib.conversations import contexts, views
from chalicelib.conversations.contexts import Draft
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import Policies
from chalicelib.conversations.routing import Routing, handoff_reasons, has_answered_enough
from chalicelib.conversations.views import Entry
from chalicelib.errors import Misconfigured
from chalicelib.messages.inbound import Address
from chalicelib.ports.queues import Queues, fair_group
from chalicelib.protocol.handoffs import RequestedBy
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail


@dataclass(frozen=True, eq=False, repr=False)
class PeopleQueue:
    """Sends contexts to the company's people."""

    policies: Policies
    clock: Clock
    settings: Settings

    def belongs_to_people(self, conversation: Conversation, trail: Trail, *, ended_batch: str | None = None) -> bool:
        """Whether all that is unanswered goes to people, as the company routes now or a handoff stands.

        `ended_batch`: the batch of a reply that may be sent though nothing is unanswered any more.

        A list that cannot be read sends nothing to people: the batch is with the AI already, and its answer goes out.
        """
        try:
            return views.belongs_to_people(conversation, self.routing(conversation, trail), ended_batch=ended_batch)
        except Misconfigured as fault:
            trail.fault(Step.FAILED, fault, Level.WARNING)
            return False

    def send(
        self,
        queues: Queues,
        conversation: Conversation,
        entries: Sequence[Entry],
        trail: Trail,
        draft: Draft | None,
    ) -> None:
        """Send one context to the handoff queue."""
        body = contexts.handoff_context(
            conversation,
            entries,
            draft=draft,
            reasons=self._reasons(conversation, entries, trail),
            request_id=trail.request_id,
            context_attributes=self.settings.context_attributes,
            now=self.clock.now(),
        )
        queues.handoff.send(body, group=fair_group(conversation.tenant), attributes=conversation.attributes)
        outcome = conversation.record.handed_off_by or RequestedBy.COMPANY.value
        batch_id = conversation.record.batch_id or "none"
        trail.log(Step.HANDED_OFF, batch_id=batch_id, count=len(entries), outcome=outcome)
        if entries:
            trail.count(Metric.HANDED_OFF, len(entries))
        routing = self.routing(conversation, trail)
        limited = [one for one in entries if _is_beyond_answers_max(conversation, one, routing)]
        if limited:
            trail.log(Step.ANSWERS_MAX_REACHED, Level.WARNING, count=len(limited))
            trail.count(Metric.ANSWERS_MAX_REACHED, len(limited))

    def send_draft(self, queues: Queues, conversation: Conversation, draft: Draft, trail: Trail) -> None:
        """Send people what the AI answered to a batch that they have: at least once, they dedupe on its reply id.

        Raises:
            TryAgain, Misconfigured: it was not sent, or perhaps.
        """
        self.send(queues, conversation, (), trail, draft)

    def routing(self, conversation: Conversation, trail: Trail) -> Routing:
        """Today's rules and the company's policies."""
        policy_of = self.policies.for_channels(conversation, trail)
        return Routing(self.settings.handoff_flag_routes, policy_of, self.clock.now())

    def _reasons(self, conversation: Conversation, entries: Sequence[Entry], trail: Trail) -> Mapping[str, str]:
        """By message id, why the routing sends a message to people; a list that cannot be read stops no hand-off."""
        try:
            return handoff_reasons(conversation, entries, self.routing(conversation, trail))
        except Misconfigured as fault:
            trail.fault(Step.FAILED, fault, Level.WARNING)
            return {}


def _is_beyond_answers_max(conversation: Conversation, entry: Entry, routing: Routing) -> bool:
    sender = Address.from_text(entry["metadata"]["sender"])
    return has_answered_enough(conversation, entry["channel_type"], sender, routing)
