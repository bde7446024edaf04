"""Dispatching: a batch is locked, appended, sent to the AI and settled, in this order.

Guarantee: a lock is not released once a dispatch may have happened. The same trigger comes again and resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType

from chalicelib.batches import actions
from chalicelib.batches.job import Job, Next
from chalicelib.batches.settling import settle
from chalicelib.clock import Clock, from_iso
from chalicelib.conversations import contexts, staged_contexts
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import Policies
from chalicelib.conversations.typing import request_typing
from chalicelib.conversations.views import View
from chalicelib.ports.queues import fair_group
from chalicelib.protocol import conversation_lock
from chalicelib.protocol.conversation_lock import Lease
from chalicelib.protocol.entries import waited
from chalicelib.protocol.lock_changes import Changed, Lost
from chalicelib.protocol.record import STARTED_AT, Record
from chalicelib.protocol.restarts import restart
from chalicelib.repair.patience import patience_of
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step


@dataclass(frozen=True)
class Dispatching:
    """Sends batches to the AI."""

    policies: Policies
    clock: Clock
    new_id: Callable[[], str]
    settings: Settings

    def acquire(self, job: Job, view: View, action: actions.Acquire | actions.Restart) -> Next | Changed:
        """Lock, append, dispatch, settle: an open record, or one whose batch is replaced."""
        batch_id = self.new_id()
        outcome = self._lock(job, view, action, batch_id)
        if not isinstance(outcome, Lease):
            return outcome
        if isinstance(action, actions.Restart):
            job.trail.log(Step.RESTARTED, batch_id=batch_id, count=len(action.messages))
            job.trail.count(Metric.RESTARTED)
        else:
            job.trail.log(Step.ACQUIRED, batch_id=batch_id, count=len(action.messages))
        now = self.clock.now()
        wait = {Metric.WINDOW_WAIT: (now - view.fresh[0].received_at).total_seconds()} if view.fresh else {}
        # N4: a restarted lock is never abandoned, because it carries the batch before.
        self._dispatch(job, outcome, may_abandon=not view.record.unanswered_ids, measured=wait)
        settle(job, view, Record.from_item(outcome.item).unanswered_ids)
        return Next.DONE

    def resume(self, job: Job, view: View) -> Next | Changed:
        """Go on where this trigger may have stopped."""
        match conversation_lock.refresh(job.tables.conversations, view.record, now=self.clock.now()):
            case Lost():
                return Changed()
            case Lease() as lease:
                job.trail.log(Step.RESUMED, Level.WARNING, batch_id=lease.batch_id)
                self._dispatch(job, lease, may_abandon=False)
                settle(job, view, Record.from_item(lease.item).unanswered_ids)
                return Next.DONE

    def _lock(self, job: Job, view: View, action: actions.Acquire | actions.Restart, batch_id: str) -> Lease | Changed:
        entries = [staged_contexts.entry(message.context, batch_id=batch_id) for message in action.messages]
        table, record, now = job.tables.conversations, view.record, self.clock.now()
        trigger_id, shards = job.trigger.trigger_id, self.settings.lock_index_shards
        match action:
            case actions.Restart():
                return restart(
                    table, record, batch_id=batch_id, trigger_id=trigger_id, entries=entries, shards=shards, now=now
                )
            case actions.Acquire():
                return conversation_lock.acquire(
                    table,
                    record,
                    batch_id=batch_id,
                    trigger_id=trigger_id,
                    entries=entries,
                    for_people=False,
                    shards=shards,
                    now=now,
                )

    def _dispatch(
        self, job: Job, lease: Lease, *, may_abandon: bool, measured: Mapping[Metric, float] = MappingProxyType({})
    ) -> None:
        """Send the batch that the record names to the AI, and tell what was measured of it before.

        Until the first try of the send a fresh lock that carries nothing is given back on any fault, because no other
        system knows the batch yet. From that try on the lock is kept, and the trigger resumes.
        """
        with ExitStack() as emergency:
            if may_abandon:
                emergency.callback(self._abandon, job, lease)
            conversation = Conversation.from_item(lease.item)
            body = contexts.batch_context(
                conversation,
                batch_id=lease.batch_id,
                deadline=from_iso(lease.item[STARTED_AT]) + patience_of(conversation.record, self.settings),
                request_id=job.trail.request_id,
                context_attributes=self.settings.context_attributes,
                now=self.clock.now(),
            )
            emergency.pop_all()
        job.queues.ai.send(body, group=fair_group(conversation.tenant), attributes=conversation.attributes)
        request_typing(job.queues, conversation, self.policies, job.trail)
        size = len(conversation.record.unanswered_ids)
        job.trail.log(Step.DISPATCHED, batch_id=lease.batch_id, count=size)
        fresh = [entry for entry in conversation.record.unanswered if entry.get("batch_id") == lease.batch_id]
        # A carried message was dispatched before.
        took = {Metric.RECEIPT_TO_DISPATCH: waited(fresh, self.clock.now()).total_seconds()} if fresh else {}
        job.trail.measure({Metric.DISPATCHED: 1, Metric.BATCH_SIZE: size, **measured, **took})

    def _abandon(self, job: Job, lease: Lease) -> None:
        conversation_lock.abandon(job.tables.conversations, lease, job.trigger.conversation, now=self.clock.now())
        job.trail.log(Step.EMERGENCY_UNLOCK, Level.ERROR, batch_id=lease.batch_id)
