"""Stage 2: a trigger becomes one batch, for the AI or for people.

    give the trigger lock up - look - decide - act, and look again until there is nothing to do

Guarantee: each staged message ends in one of four ways. It is dispatched under the lock that appended it, handed to
people under a claim in their name, settled as a duplicate, or refused by a named rule. After a failure the same trigger
comes again with the same id and continues; else the next process that finds the claim does, or the sweep. The lock is
not released once a dispatch may have happened.

A batch of up to 25 messages costs six calls: delete, query, read, update, send, settle. Each further 25 cost one more.
The read includes the history of the staged messages if the webhook saw that the record had moved any.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from math import ceil

from chalicelib.batches import actions, decision
from chalicelib.batches.media_copying import Copies, MediaCopying
from chalicelib.clock import Clock, Deadline, from_iso
from chalicelib.conversations import contexts, opt_out, staged_contexts, views
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import Handoff
from chalicelib.conversations.opt_out import report_refusal, report_request
from chalicelib.conversations.policies import Policies
from chalicelib.conversations.typing import request_typing
from chalicelib.conversations.views import Gone, View
from chalicelib.errors import Code, EngineError
from chalicelib.messages.inbound import OptOut
from chalicelib.ports.queues import Queue, Queues, fair_group
from chalicelib.ports.tables import Tables
from chalicelib.protocol import conversation_lock, history, record_writes, staging, trigger_lock
from chalicelib.protocol.conversation_lock import Lease
from chalicelib.protocol.entries import MESSAGE_ID, waited
from chalicelib.protocol.lock_changes import Changed, Lost
from chalicelib.protocol.record import STARTED_AT, Record
from chalicelib.protocol.record_writes import Appended
from chalicelib.protocol.restarts import restart
from chalicelib.protocol.trigger_lock import Trigger, Triggered
from chalicelib.repair.dead_letters import send_dead_letter
from chalicelib.repair.patience import patience_of
from chalicelib.repair.retrying import Exhausted, next_try
from chalicelib.repair.stalled_locks import StalledLock, StalledLocks
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail


@dataclass(frozen=True)
class Job:
    """One trigger at work."""

    trigger: Trigger
    channel: str
    """Whose queue the trigger came from and goes back to."""
    tenant: str
    """The fairness group that the trigger came with."""
    tables: Tables
    queues: Queues
    deadline: Deadline
    """After which nothing further is begun."""
    sharing: int
    """How many triggers share the time that is left, this one included."""
    trail: Trail

    @property
    def queue(self) -> Queue:
        return self.queues.trigger(self.channel)


class Next(Enum):
    """What follows an action."""

    DONE = auto()
    LOOK = auto()
    """Something was done, and there may be more to do."""
    TRIMMED = auto()
    """Entries were moved to the history, to make room for what comes next."""


class Batching:
    """Makes batches, one trigger at a time."""

    def __init__(
        self,
        *,
        handoff: Handoff,
        stalled_locks: StalledLocks,
        policies: Policies,
        media_copying: MediaCopying | None,
        clock: Clock,
        new_id: Callable[[], str],
        settings: Settings,
    ) -> None:
        self._handoff = handoff
        self._stalled_locks = stalled_locks
        self._policies = policies
        self._media_copying = media_copying  # None: media stay where they are
        self._clock = clock
        self._new_id = new_id
        self._settings = settings

    def process(self, job: Job) -> None:
        """Do what a trigger asks for.

        Raises:
            TryAgain, Misconfigured: this trigger must come again; see `retry_later`.
        """
        trigger_lock.give_up(job.tables.trigger_lock, job.trigger)  # T2: before the stage is read.
        copies = self._media_copying.begin(job.deadline, job.sharing, job.trail) if self._media_copying else None
        following = Next.LOOK
        while following is not Next.DONE:  # a long record that we find is brought down over several batches
            may_trim = following is not Next.TRIMMED
            following = views.look_again(partial(self._step, job, copies, may_trim=may_trim))

    def retry_later(self, job: Job, fault: EngineError) -> None:
        """Send a trigger that failed once more, later each time, and in the end to the dead-letter queue.

        Raises:
            TryAgain, Misconfigured: even that failed.
        """
        again = job.trigger.again()
        retry = next_try(again.attempt, self._settings.requeue_attempts_max, self._settings)
        if isinstance(retry, Exhausted):
            _dead_letter(job, f"{fault.code}: {fault.detail}")
            return
        trigger_lock.send_again(
            job.tables.trigger_lock,
            job.queue,
            again,
            delay_seconds=retry.seconds,
            now=self._clock.now(),
            tenant=job.tenant,
        )
        _report_requeued(job, again, fault.code, retry.seconds)

    def _step(self, job: Job, copies: Copies | None, *, may_trim: bool) -> Next | Changed:
        """One look, and the one thing to do about it."""
        view = views.look(job.tables, job.trigger.conversation, self._settings.context_attributes)
        if isinstance(view, Gone):
            return self._refuse_all(job, view)
        job.trail.bind(tenant=view.conversation.tenant)
        action = decision.decide(
            view,
            trigger_id=job.trigger.trigger_id,
            now=self._clock.now(),
            settings=self._settings,
            policy_of=self._policies.for_channels(view.conversation, job.trail),
            may_trim=may_trim,
        )
        outcome = self._act(job, view, action, copies)
        if isinstance(outcome, Changed):
            job.trail.log(Step.CHANGED, Level.DEBUG)
        return outcome

    def _act(  # noqa: C901, PLR0912 - one arm for each action
        self, job: Job, view: View, action: actions.Action, copies: Copies | None
    ) -> Next | Changed:
        """Do what was decided."""
        tables, queues, conversation, trail = job.tables, job.queues, view.conversation, job.trail
        match action:
            case actions.Stop():
                trail.log(Step.NOTHING_STAGED, Level.DEBUG)
                return Next.DONE
            case actions.ReportEnd():
                self._stalled_locks.report_end(tables, conversation, trail)
                return Next.LOOK
            case actions.MarkOptOut(channels):
                return _next(opt_out.mark(tables, view, channels, self._clock))
            case actions.FinishPeople():
                return _next(self._handoff.finish(tables, queues, conversation, trail))
            case actions.ClaimForPeople():
                return _next(self._handoff.claim(tables, queues, conversation, trail))
            case actions.SettleBatch():
                self._settle(job, view, view.record.unanswered_ids)
                return Next.DONE
            case actions.Resume():
                return self._resume(job, view)
            case actions.Wait(seconds):
                return self._wait_for_more(job, seconds)
            case actions.SettleDuplicates():
                self._settle(job, view, ())
                return Next.DONE if len(view.staged) == len(view.considered) else Next.LOOK
            case actions.StampLock() | actions.ResetLock() | actions.Contend():
                return self._contend(job, view, action)
            case actions.Trim(count):
                history.move(tables.conversations, tables.history, view.record, count, now=self._clock.now())
                trail.log(Step.MOVED_HISTORY, Level.DEBUG, count=count)
                return Next.TRIMMED
            case actions.RefuseCarried(codes):
                return self._refuse_carried(job, view, codes)
            case actions.Keep():
                return self._keep(job, view, action)
            case actions.Acquire(messages, for_people=True):
                trigger_id = job.trigger.trigger_id
                return _next(self._handoff.take(tables, queues, view, messages, trigger_id, trail))
            case actions.Acquire(messages) | actions.Restart(messages):
                taken = copies.of(messages, conversation) if copies else messages
                return self._acquire(job, view, replace(action, messages=taken))

    def _refuse_all(self, job: Job, gone: Gone) -> Next:
        """The conversation is gone, and its messages are refused."""
        if gone.message_sids:
            staging.settle(job.tables.stage, job.trigger.conversation, gone.message_sids)
            code, count = Code.CONVERSATION_NOT_FOUND.value, len(gone.message_sids)
            job.trail.log(Step.REFUSED, Level.ERROR, code=code, count=count)
            job.trail.count(Metric.REFUSED, count, outcome=code)
        return Next.DONE

    def _resume(self, job: Job, view: View) -> Next | Changed:
        """Go on where this trigger may have stopped."""
        match conversation_lock.refresh(job.tables.conversations, view.record, now=self._clock.now()):
            case Lost():
                return Changed()
            case Lease() as lease:
                job.trail.log(Step.RESUMED, Level.WARNING, batch_id=lease.batch_id)
                self._dispatch(job, lease, may_abandon=False)
                self._settle(job, view, Record.from_item(lease.item).unanswered_ids)
                return Next.DONE

    def _wait_for_more(self, job: Job, seconds: float) -> Next:
        """See to a later trigger."""
        outcome = trigger_lock.ensure(
            job.tables.trigger_lock,
            job.queue,
            Trigger(job.trigger.conversation, self._new_id()),
            delay_seconds=ceil(seconds),
            now=self._clock.now(),
            tenant=job.tenant,
        )
        later = outcome.trigger.trigger_id if isinstance(outcome, Triggered) else "another"
        job.trail.log(Step.STILL_TYPING, Level.DEBUG, outcome=later, seconds=seconds)
        return Next.DONE

    def _contend(self, job: Job, view: View, action: actions.StampLock | actions.ResetLock | actions.Contend) -> Next:
        """Another holds the lock: open it if it stalled, else come again later."""
        record, now, settings = view.record, self._clock.now(), self._settings
        match action:
            case actions.StampLock():
                shards = settings.lock_index_shards
                conversation_lock.stamp(job.tables.conversations, record, shards=shards, now=now)
                job.trail.log(Step.STAMPED, Level.WARNING)
            case actions.ResetLock():
                lock = StalledLock.of(view.conversation)
                if self._stalled_locks.reset(job.tables, job.queues, lock, job.trail):
                    return Next.LOOK
            case actions.Contend():
                pass
        job.trail.log(Step.CONTENDED, batch_id=record.batch_id or "none")
        job.trail.count(Metric.CONTENTION)
        # It has not failed, so it spends none of its attempts: however long a turn lasts, what the customer writes
        # meanwhile is not dead-lettered. Another trigger that comes no later will find the same rows.
        delay = action.at_least_seconds if isinstance(action, actions.Contend) else settings.requeue_delay(1)
        outcome = trigger_lock.ensure(
            job.tables.trigger_lock,
            job.queue,
            job.trigger,
            delay_seconds=delay,
            now=now,
            tenant=job.tenant,
        )
        if isinstance(outcome, Triggered):
            _report_requeued(job, job.trigger, Code.CONVERSATION_LOCKED, delay)
        return Next.DONE

    def _refuse_carried(self, job: Job, view: View, codes: Mapping[str, Code]) -> Next | Changed:
        """A rule refuses now what an earlier batch left unanswered."""
        told = {one: code.value for one, code in codes.items()}
        outcome = record_writes.refuse_carried(job.tables.conversations, view.record, told, now=self._clock.now())
        if isinstance(outcome, Appended):
            for one, code in told.items():
                report_refusal(one, code, job.trail)
            self._settle(job, view, codes)
        return _next(outcome)

    def _keep(self, job: Job, view: View, action: actions.Keep) -> Next | Changed:
        """Append messages that nobody answers, and settle them."""
        if action.opt_out_marks and staging.read(job.tables.stage, job.trigger.conversation) != view.staged:
            return Changed()  # O3: read once more, after the record: a STOP may have come in.
        entries = [
            staged_contexts.entry(one.context, refused=action.marks[one.message_sid])
            if one.message_sid in action.marks
            else staged_contexts.entry(one.context, opt_out=one.opt_out or one.opt_out_keyword)
            for one in action.messages
        ]
        outcome = record_writes.append(
            job.tables.conversations, view.record, entries, now=self._clock.now(), marks=action.opt_out_marks
        )
        if isinstance(outcome, Appended):
            for entry in entries:
                _report_kept(entry, job.trail)
            self._settle(job, view, [one.message_sid for one in action.messages])
        return _next(outcome)

    def _acquire(self, job: Job, view: View, action: actions.Acquire | actions.Restart) -> Next | Changed:
        """Lock, append, dispatch, settle: an open record, or one whose batch is replaced."""
        batch_id = self._new_id()
        outcome = self._lock(job, view, action, batch_id)
        if not isinstance(outcome, Lease):
            return outcome
        if isinstance(action, actions.Restart):
            job.trail.log(Step.RESTARTED, batch_id=batch_id, count=len(action.messages))
            job.trail.count(Metric.RESTARTED)
        else:
            job.trail.log(Step.ACQUIRED, batch_id=batch_id, count=len(action.messages))
        if view.fresh:
            wait = self._clock.now() - view.fresh[0].received_at
            job.trail.count(Metric.WINDOW_WAIT, wait.total_seconds())
        # N4: a restarted lock is never abandoned, because it carries the batch before.
        self._dispatch(job, outcome, may_abandon=not view.record.unanswered_ids)
        self._settle(job, view, Record.from_item(outcome.item).unanswered_ids)
        return Next.DONE

    def _lock(self, job: Job, view: View, action: actions.Acquire | actions.Restart, batch_id: str) -> Lease | Changed:
        entries = [staged_contexts.entry(message.context, batch_id=batch_id) for message in action.messages]
        table, record, now = job.tables.conversations, view.record, self._clock.now()
        trigger_id, shards = job.trigger.trigger_id, self._settings.lock_index_shards
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

    def _dispatch(self, job: Job, lease: Lease, *, may_abandon: bool) -> None:
        """Send the batch that the record names to the AI.

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
                deadline=from_iso(lease.item[STARTED_AT]) + patience_of(conversation.record, self._settings),
                request_id=job.trail.request_id,
                context_attributes=self._settings.context_attributes,
                now=self._clock.now(),
            )
            emergency.pop_all()
        job.queues.ai.send(body, group=fair_group(conversation.tenant), attributes=conversation.attributes)
        request_typing(job.queues, conversation, self._policies, job.trail)
        size = len(conversation.record.unanswered_ids)
        job.trail.log(Step.DISPATCHED, batch_id=lease.batch_id, count=size)
        fresh = [entry for entry in conversation.record.unanswered if entry.get("batch_id") == lease.batch_id]
        # A carried message was dispatched before.
        took = {Metric.RECEIPT_TO_DISPATCH: waited(fresh, self._clock.now()).total_seconds()} if fresh else {}
        job.trail.measure({Metric.DISPATCHED: 1, Metric.BATCH_SIZE: size, **took})

    def _abandon(self, job: Job, lease: Lease) -> None:
        conversation_lock.abandon(job.tables.conversations, lease, job.trigger.conversation, now=self._clock.now())
        job.trail.log(Step.EMERGENCY_UNLOCK, Level.ERROR, batch_id=lease.batch_id)

    def _settle(self, job: Job, view: View, ended_ids: Collection[str]) -> None:
        """Settle the rows of these messages and of those that ended before; a row that came later stays.

        A message that a rule refused, or that opted out or in, and whose row is there still, was perhaps not reported.
        """
        rows = [message.message_sid for message in view.staged if message.message_sid in ended_ids]
        ended_before = [one.message_sid for one in view.duplicates if one.message_sid not in ended_ids]
        for sid in ended_before:
            entry = view.entries.get(sid, {})
            if "refused" in entry or "opt_out" in entry:
                _report_kept(entry, job.trail)
            else:
                job.trail.log(Step.DUPLICATE, message_sid=sid)
                job.trail.count(Metric.DUPLICATE, outcome="answered")
        staging.settle(job.tables.stage, job.trigger.conversation, dict.fromkeys([*rows, *ended_before]))
        job.trail.log(Step.SETTLED, Level.DEBUG, count=len(rows))


def _next(outcome: object) -> Next | Changed:
    return outcome if isinstance(outcome, Changed) else Next.LOOK


def _report_kept(entry: views.Entry, trail: Trail) -> None:
    """Report why nobody answers a message, under the message's own channel."""
    channel = entry.get("channel_type")
    trail = trail.with_fields(channel=channel) if isinstance(channel, str) else trail
    if "refused" in entry:
        report_refusal(entry[MESSAGE_ID], entry["refused"], trail)
    else:
        report_request(OptOut(entry["opt_out"]).value, trail.with_fields(message_sid=entry[MESSAGE_ID]))


def _report_requeued(job: Job, again: Trigger, code: Code, seconds: int) -> None:
    """Log and count that a trigger was sent again, alike for every reason."""
    level = Level.INFO if code is Code.CONVERSATION_LOCKED else Level.WARNING
    job.trail.log(Step.REQUEUED, level, attempt=again.attempt, reason=code.value, seconds=seconds)
    job.trail.count(Metric.REQUEUED, outcome=code.value)


def _dead_letter(job: Job, reason: str) -> None:
    """A trigger that came too often; what it was for stays staged, and the sweep finds that."""
    first = replace(job.trigger, attempt=0)
    send_dead_letter(
        job.queues.dead_triggers[job.channel],
        first.body,
        tenant=job.tenant,
        reason=reason,
        trail=job.trail,
        attributes=first.attributes,
    )
