"""Handoff: the only way to people, used by webhooks, triggers, replies and the sweep.

    open --acquire for people--> claimed for people --send, end--> open, and the batch is with people
    with the AI --claim for people-->      `-- whoever finds the claim finishes it

Guarantee: messages go to people only under a claim in their name (L7), so no batch and no reply takes them as well.
They go in the order of the record, and at least once. A crash between the send and the end repeats both; people dedupe
on `message_id`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.clock import Clock
from chalicelib.conversations import lookup, staged_contexts, views
from chalicelib.conversations.contexts import Draft
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.people_queue import PeopleQueue
from chalicelib.conversations.routing import Route
from chalicelib.conversations.views import Entry, Gone, View
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Tables
from chalicelib.protocol import conversation_lock, handoffs, history, people_claim, staging
from chalicelib.protocol.claim_changes import Claim, Released
from chalicelib.protocol.conversation_lock import Lease
from chalicelib.protocol.handoffs import HandedOver, RequestedBy
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.staging import StagedMessage
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Step, Trail

GRACE_SECONDS = 5
"""How old another's claim for people must be before somebody else finishes it: its maker is mostly still at it."""


@dataclass(frozen=True, eq=False, repr=False)
class Handoff:
    """Hands batches to the company's people."""

    people: PeopleQueue
    clock: Clock
    new_id: Callable[[], str]
    settings: Settings

    def run_at_once(self, tables: Tables, queues: Queues, key: ConversationKey, trail: Trail) -> bool:
        """Hand all that is staged to people, if nothing is in the way; False: a trigger must do it.

        Raises:
            TryAgain, Misconfigured: perhaps the batch is claimed for people; whoever finds the claim finishes it.
        """

        def act() -> bool | Changed:
            view = views.look(tables, key, self.settings.context_attributes)
            if isinstance(view, Gone) or not self._is_clear(view, trail):
                return False
            taken = views.fitting(view.record, view.new, self.settings.batch_messages_max)
            handed = self.take(tables, queues, view, taken, self.new_id(), trail)
            return handed if isinstance(handed, Changed) else len(taken) == len(view.staged)

        return views.look_again(act)

    def take(
        self,
        tables: Tables,
        queues: Queues,
        view: View,
        messages: Sequence[StagedMessage],
        trigger_id: str,
        trail: Trail,
    ) -> Released | Changed:
        """Acquire an open record for people, with these new messages and what it carries, and hand all of it to them.

        Raises:
            TryAgain, Misconfigured: perhaps it is claimed for people; whoever finds the claim finishes it.
        """
        batch_id = self.new_id()
        lease = conversation_lock.acquire(
            tables.conversations,
            view.record,
            batch_id=batch_id,
            trigger_id=trigger_id,
            entries=[staged_contexts.entry(one.context, handed_off=True) for one in messages],
            for_people=True,
            shards=self.settings.lock_index_shards,
            now=self.clock.now(),
        )
        if not isinstance(lease, Lease):
            return lease
        trail.log(Step.ACQUIRED, batch_id=batch_id, count=len(messages), route=Route.HANDOFF.value)
        return self.finish(tables, queues, Conversation.from_item(lease.item), trail)

    def claim(
        self,
        tables: Tables,
        queues: Queues,
        conversation: Conversation,
        trail: Trail,
        *,
        handoff: handoffs.Handoff | None = None,
        passed_reply_id: str | None = None,
        draft: Draft | None = None,
    ) -> Released | Changed:
        """Claim what is unanswered for people - with the AI, or left by an earlier batch - and hand it to them.

        Args:
            tables: of the invocation.
            queues: of the invocation.
            conversation: as read, with its entries and no claim.
            trail: of the invocation.
            handoff: the handoff that begins; None: the company's own routing sends the batch to people.
            passed_reply_id: the reply that asked for it, or that it takes the place of.
            draft: what the AI would have answered.

        Raises:
            TryAgain, Misconfigured: as `take`.
        """
        outcome = people_claim.claim_for_people(
            tables.conversations,
            conversation.record,
            handoff=handoff,
            passed_reply_id=passed_reply_id,
            token=self.new_id(),
            shards=self.settings.lock_index_shards,
            now=self.clock.now(),
        )
        if not isinstance(outcome, Claim):
            return outcome
        return self.finish(tables, queues, Conversation.from_item(outcome.item), trail, draft=draft)

    def take_from_reply(
        self,
        tables: Tables,
        queues: Queues,
        conversation: Conversation,
        trail: Trail,
        *,
        handoff: handoffs.Handoff | None,
        entries: Sequence[Entry] = (),
        draft: Draft | None = None,
    ) -> Released | Changed:
        """Pass a batch that a reply has claimed to people, with what was sent of the reply.

        The caller holds the claim as its own, or has seen it stall. Arguments and errors as of `claim`.
        """
        outcome = people_claim.pass_to_people(
            tables.conversations,
            conversation.record,
            entries=entries,
            handoff=handoff,
            token=self.new_id(),
            shards=self.settings.lock_index_shards,
            now=self.clock.now(),
        )
        if not isinstance(outcome, Claim):
            return outcome
        return self.finish(tables, queues, Conversation.from_item(outcome.item), trail, draft=draft)

    def finish(
        self,
        tables: Tables,
        queues: Queues,
        conversation: Conversation,
        trail: Trail,
        *,
        draft: Draft | None = None,
    ) -> Released | Changed:
        """Hand a batch that is claimed for people to them, end it, and settle its rows; repeated, it does no harm.

        Raises:
            TryAgain, Misconfigured: the claim stands; whoever finds it finishes it.
        """
        record = conversation.record
        if record.unanswered:
            self.people.send(queues, conversation, record.unanswered, trail, draft)
        outcome = people_claim.end_with_people(tables.conversations, record, now=self.clock.now())
        if isinstance(outcome, Released):
            staging.settle(tables.stage, record.key, record.unanswered_ids)
            trail.log(Step.SETTLED, Level.DEBUG, count=len(record.unanswered_ids))
        return outcome

    def hand_over(
        self, tables: Tables, queues: Queues, key: ConversationKey, handoff: handoffs.Handoff, trail: Trail
    ) -> bool:
        """Hand a conversation to people until they give it back; False: it is with them already, or gone.

        What is unanswered goes to them at once, unless a reply of the AI is being sent: its own process, before its
        next part, finds the handoff.

        Raises:
            TryAgain, Misconfigured: perhaps it is theirs; whoever comes again finds out.
        """

        def act() -> bool | Changed:
            conversation = lookup.load(tables.conversations, key, self.settings.context_attributes)
            if conversation is None or conversation.record.handed_off_by is not None:
                # Its own, and this is a repeat: the batch may be claimed and not finished.
                return conversation is not None and conversation.record.handoff_id == handoff.handoff_id
            record = conversation.record
            if record.unanswered and record.claim is None:
                claimed = self.claim(tables, queues, conversation, trail, handoff=handoff)
                return claimed if isinstance(claimed, Changed) else True
            handed = handoffs.hand_over(tables.conversations, record, handoff, now=self.clock.now())
            return isinstance(handed, HandedOver) or handed

        return views.look_again(act)

    def begun(self, requested_by: RequestedBy, reason: str = "") -> handoffs.Handoff:
        """A new handoff."""
        return handoffs.Handoff(requested_by, self.new_id(), reason)

    def _is_clear(self, view: View, trail: Trail) -> bool:
        """Whether the record is open and small, and all that it carries and all that is staged is for people."""
        record, conversation = view.record, view.conversation
        routing = self.people.routing(conversation, trail)
        carried = [views.destination_of_entry(conversation, one, routing) for one in record.unanswered]
        staged = [views.destination_of(view, one, routing) for one in view.new]
        is_ordinary = not any(one.opt_out or one.opt_out_keyword for one in view.new)
        settings = self.settings
        bounds = history.Bounds(settings.messages_keep, settings.messages_bytes_max, settings.dedupe_hours)
        return (
            not record.is_locked
            and not record.has_unreported_end
            and is_ordinary
            and bool(view.new)
            and len(view.new) == len(view.staged)
            and all(one is Route.HANDOFF for one in (*carried, *staged))
            and not history.movable_count(record, bounds, now=routing.now)
        )
