"""Stage 2: a trigger becomes one batch for the AI.

    give the trigger lock up - read - ours already? - empty? - still typing? - duplicates - locked? - rules
      - copy media, where that is on - acquire - dispatch - settle

Guarantee: each staged message of the channel route is dispatched under the lock that appended it, settled as a
duplicate, handed off, or refused by a named rule; whatever fails in between is taken up by the same trigger, come again
with the same id, or by the sweep. There is no unlock once a dispatch may have happened.

Six calls for a batch of up to 25 messages: delete, query, read, update, send, settle. The read takes the history of the
staged messages along where the webhook saw that the record had moved any.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil
from typing import Any

from chalicelib.batches.media_copying import Copies, MediaCopying
from chalicelib.clock import Clock, Deadline
from chalicelib.conversations import contexts, lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import Handoff
from chalicelib.conversations.policies import Policies
from chalicelib.conversations.routing import determine_target_queue
from chalicelib.conversations.rules import validate_conversation_rules
from chalicelib.errors import Code, EngineError, TryAgain
from chalicelib.messages.inbound import Address
from chalicelib.ports.queues import Queue, Queues, fair_group
from chalicelib.ports.tables import Tables
from chalicelib.protocol import conversation_lock, history, reply_claim, staging, trigger_lock
from chalicelib.protocol.conversation_lock import Appended, Changed, Lease, Lost
from chalicelib.protocol.record import Record, entry_id, waited
from chalicelib.protocol.staging import Route, StagedMessage
from chalicelib.protocol.trigger_lock import Trigger, Triggered
from chalicelib.repair.dead_letters import send_dead_letter
from chalicelib.repair.stalled_locks import StalledLock, StalledLocks
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail

_LOOKS = 4
"""How often a trigger looks at a record that changes under it, before it comes again later."""

_CONSIDERED_MAX = 99
"""Staged messages that one look considers: as many as are read together with the record."""

Entry = Mapping[str, Any]


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


@dataclass(frozen=True, repr=False)
class View:
    """What one look found: the record, what is staged for it, and which of that the history holds."""

    conversation: Conversation
    staged: Sequence[StagedMessage]
    """In order, of the channel route."""
    moved_ids: frozenset[str]

    @property
    def record(self) -> Record:
        return self.conversation.record

    @property
    def considered(self) -> Sequence[StagedMessage]:
        return self.staged[:_CONSIDERED_MAX]

    @property
    def duplicates(self) -> list[StagedMessage]:
        """What was answered, handed off or refused before: never dispatched again."""
        ended = (self.record.entry_ids | self.moved_ids) - frozenset(self.record.unanswered_ids)
        return [message for message in self.considered if message.message_sid in ended]

    @property
    def fresh(self) -> list[StagedMessage]:
        """What is to be dispatched: new messages, and rows of messages that are unanswered still."""
        duplicates = {message.message_sid for message in self.duplicates}
        return [message for message in self.considered if message.message_sid not in duplicates]

    @property
    def new(self) -> list[StagedMessage]:
        """What is not in the record yet."""
        return [message for message in self.fresh if message.message_sid not in self.record.entry_ids]


@dataclass(frozen=True)
class Verdicts:
    """What the rules and the routing say now of the messages that a batch would hold, by id."""

    refused: Mapping[str, Code]
    to_people: Collection[str]

    @property
    def ended(self) -> frozenset[str]:
        """The ids that no batch takes."""
        return frozenset(self.refused) | frozenset(self.to_people)


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
        self._bounds = history.Bounds(settings.messages_keep, settings.messages_bytes_max, settings.dedupe_hours)

    def process(self, job: Job) -> None:
        """Do what a trigger asks for.

        Raises:
            TryAgain, Misconfigured: this trigger must come again; see `retry_later`.
        """
        trigger_lock.give_up(job.tables.trigger_lock, job.trigger)  # T2: before the stage is read.
        copies = self._media_copying.begin(job.deadline, job.sharing, job.trail) if self._media_copying else None
        for look in range(_LOOKS):
            if self._look_and_act(job, copies, may_move=look == 0):
                return
        raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing")

    def retry_later(self, job: Job, fault: EngineError) -> None:
        """Send a trigger that failed once more, later each time, and in the end to the dead-letter queue.

        Raises:
            TryAgain, Misconfigured: even that failed.
        """
        again = job.trigger.again()
        if again.attempt > self._settings.requeue_attempts_max:
            _dead_letter(job, f"{fault.code}: {fault.detail}")
            return
        trigger_lock.send_again(
            job.tables.trigger_lock,
            job.queue,
            again,
            delay_seconds=self._settings.requeue_delay(again.attempt),
            now=self._clock.now(),
            tenant=job.tenant,
        )
        job.trail.log(Step.REQUEUED, Level.WARNING, attempt=again.attempt)
        job.trail.count(Metric.REQUEUED, outcome=fault.code.value)

    def _look_and_act(self, job: Job, copies: Copies | None, *, may_move: bool) -> bool:
        """One look, and the one thing to do about it; False: look again.

        Old entries are moved once at most: a long record that we find is brought down over several batches.
        """
        view = self._look(job)
        if view is None:
            return True
        if view.record.is_locked and view.record.trigger_id == job.trigger.trigger_id:
            return self._resume(job, view)
        if not view.staged:
            job.trail.log(Step.NOTHING_STAGED, Level.DEBUG)
            return True
        if self._wait_for_more(job, view):
            return True
        if not view.fresh:
            self._settle(job, view, ())
            return len(view.staged) == len(view.considered)
        if view.record.is_locked:
            return self._contend(job, view)
        if may_move and self._trim(job, view):
            return False
        taken = self._taken(view)
        verdicts = self._judge(view, taken)
        if verdicts.ended:
            self._set_aside(job, view, taken, verdicts)
            return False
        return self._acquire(job, view, copies.of(taken, view.conversation) if copies else taken)

    def _look(self, job: Job) -> View | None:
        """Read the stage, then the record; None: the conversation is gone, and its messages are refused."""
        key, tables = job.trigger.conversation, job.tables
        staged = staging.read(tables.stage, key, Route.CHANNEL)
        sids = [message.message_sid for message in staged[:_CONSIDERED_MAX]]
        seen = {message.moved_before_seen for message in staged[:_CONSIDERED_MAX]}
        reading = lookup.reading(tables.conversations, key, self._settings.context_attributes)
        looking_up = history.reads(tables.history, key, sids)
        item, *moved = tables.conversations.get_together([reading, *(looking_up if seen - {None} else ())])
        if item is None:
            self._refuse_all(job, sids)
            return None
        conversation = Conversation.from_item(item)
        job.trail.bind(tenant=conversation.tenant)
        if conversation.record.moved_before is not None and seen - {conversation.record.moved_before}:
            moved = tables.history.get_together(looking_up)  # H3: moved since a webhook looked, so read it after.
        return View(conversation, staged, history.found(moved))

    def _refuse_all(self, job: Job, sids: Sequence[str]) -> None:
        if sids:
            staging.settle(job.tables.stage, job.trigger.conversation, sids)
            job.trail.log(Step.REFUSED, Level.ERROR, code=Code.CONVERSATION_NOT_FOUND.value, count=len(sids))
            job.trail.count(Metric.REFUSED, len(sids), outcome=Code.CONVERSATION_NOT_FOUND.value)

    def _resume(self, job: Job, view: View) -> bool:
        """This trigger took the lock and came again after a crash: go on where it may have stopped."""
        if view.record.claim is not None:
            self._settle(job, view, view.record.unanswered_ids)  # a reply is on its way: it was dispatched
            return True
        match conversation_lock.refresh(job.tables.conversations, view.record, now=self._clock.now()):
            case Lost():
                return False
            case Lease() as lease:
                job.trail.log(Step.RESUMED, Level.WARNING, batch_id=lease.batch_id)
                self._dispatch(job, lease, may_abandon=False)
                self._settle(job, view, Record.from_item(lease.item).unanswered_ids)
                return True

    def _wait_for_more(self, job: Job, view: View) -> bool:
        """While the customer is still typing, see to a later trigger; False: the burst is over or old enough.

        The window is the policy of the newest message's channel, the cap that of the oldest one's: which channel's
        trigger looks makes no difference.
        """
        now = self._clock.now()
        oldest, newest = view.staged[0], view.staged[-1]
        window, cap = (self._policies.of(view.conversation, one.channel, job.trail) for one in (newest, oldest))
        quiet = timedelta(seconds=window.batch_window_seconds) - (now - newest.received_at)
        patience = timedelta(seconds=cap.batch_max_wait_seconds) - (now - oldest.received_at)
        remaining = min(quiet, patience)
        if remaining <= timedelta(0):
            return False
        outcome = trigger_lock.ensure(
            job.tables.trigger_lock,
            job.queue,
            Trigger(job.trigger.conversation, self._new_id()),
            delay_seconds=ceil(remaining.total_seconds()),
            now=now,
            tenant=job.tenant,
        )
        later = outcome.trigger.trigger_id if isinstance(outcome, Triggered) else "another"
        job.trail.log(Step.STILL_TYPING, Level.DEBUG, outcome=later, seconds=remaining.total_seconds())
        return True

    def _contend(self, job: Job, view: View) -> bool:
        """Another holds the lock: let go of it if it stalled, else come again later."""
        record, now = view.record, self._clock.now()
        if record.claim == reply_claim.PEOPLE:
            # Whoever claimed it for them may have died; if not, people dedupe.
            if self._stalled_locks.hand_off(job.tables, job.queues, view.conversation, job.trail):
                return False
        elif record.started_at is None:
            conversation_lock.stamp(job.tables.conversations, record, shards=self._settings.lock_index_shards, now=now)
            job.trail.log(Step.STAMPED, Level.WARNING)
        elif record.lock_age(now) > timedelta(seconds=self._settings.stall_timeout_seconds):
            lock = StalledLock(record.key, record.batch_id, record.started_at, view.conversation.tenant)
            if self._stalled_locks.reset(job.tables, job.queues, lock, job.trail):
                return False
        job.trail.log(Step.CONTENDED, batch_id=record.batch_id or "none")
        job.trail.count(Metric.CONTENTION)
        again = job.trigger.again()
        if again.attempt > self._settings.requeue_attempts_max:
            _dead_letter(job, "the conversation stayed locked")
            return True
        # Another trigger that comes no later will find the same rows, so this one need not come again beside it.
        trigger_lock.ensure(
            job.tables.trigger_lock,
            job.queue,
            again,
            delay_seconds=self._settings.requeue_delay(again.attempt),
            now=now,
            tenant=job.tenant,
        )
        return True

    def _trim(self, job: Job, view: View) -> bool:
        """Move old entries off a record that has outgrown its bounds; whether there were any."""
        tables, now = job.tables, self._clock.now()
        count = history.trim(tables.conversations, tables.history, view.record, self._bounds, now=now)
        if count:
            job.trail.log(Step.MOVED_HISTORY, Level.DEBUG, count=count)
        return count > 0

    def _judge(self, view: View, taken: Sequence[StagedMessage]) -> Verdicts:
        """Ask rules and routing again of all that the batch would hold, carried messages too."""
        carried = [(entry[contexts.ID], entry["channel_type"], entry["metadata"]["sender"]) for entry in _carried(view)]
        staged = [(one.message_sid, one.channel, contexts.sender_of(one.context)) for one in taken]
        refused: dict[str, Code] = {}
        to_people: list[str] = []
        for sid, channel, sender in [*carried, *staged]:
            refusal = validate_conversation_rules(view.conversation, channel, lock_matters=False)
            if refusal is not None:
                refused[sid] = refusal
                continue
            route = determine_target_queue(
                view.conversation, Address.from_text(sender), handoff_flag_routes=self._settings.handoff_flag_routes
            )
            if route is Route.HANDOFF:
                to_people.append(sid)
        return Verdicts(refused, to_people)

    def _set_aside(self, job: Job, view: View, taken: Sequence[StagedMessage], verdicts: Verdicts) -> None:
        """Hand off and refuse what no batch takes: people first, then one write, then the rows are settled.

        Another worker may have read the record before the company switched it to people: it is refused before they get
        anything, else both the AI and they would.
        """
        refused = [one for one in taken if one.message_sid in verdicts.refused]
        to_people = [one for one in taken if one.message_sid in verdicts.to_people]
        new_to_people = [contexts.entry(one.context, handed_off=True) for one in to_people]
        new_refused = [contexts.entry(one.context, refused=verdicts.refused[one.message_sid].value) for one in refused]
        record = view.record
        if any(entry_id(entry) in verdicts.to_people for entry in _carried(view)):
            # All of the batch, under a claim, for its answer may still come; what else is staged waits for a next look.
            self._stalled_locks.hand_over(job.tables, job.queues, view.conversation, job.trail)
            return
        if verdicts.to_people:
            reserved = conversation_lock.reserve(job.tables.conversations, record)  # L7
            if isinstance(reserved, Changed):
                job.trail.log(Step.CHANGED, Level.DEBUG)
                return
            record = reserved
            self._handoff.send(job.queues, view.conversation, new_to_people, job.trail)
        outcome = conversation_lock.append(
            job.tables.conversations,
            record,
            sorted([*new_to_people, *new_refused], key=lambda entry: (entry["timestamp"], entry[contexts.ID])),
            ended_ids=verdicts.ended,
            to_people=bool(verdicts.to_people),
            now=self._clock.now(),
        )
        if not isinstance(outcome, Appended):
            job.trail.log(Step.CHANGED, Level.DEBUG)
            return
        for sid, code in verdicts.refused.items():
            job.trail.log(Step.REFUSED, Level.WARNING, message_sid=sid, code=code.value)
            job.trail.count(Metric.REFUSED, outcome=code.value)
        self._settle(job, view, verdicts.ended)

    def _acquire(self, job: Job, view: View, taken: Sequence[StagedMessage]) -> bool:
        """Lock, append, dispatch, settle."""
        batch_id = self._new_id()
        outcome = conversation_lock.acquire(
            job.tables.conversations,
            view.record,
            batch_id=batch_id,
            trigger_id=job.trigger.trigger_id,
            entries=[contexts.entry(message.context, batch_id=batch_id) for message in taken],
            shards=self._settings.lock_index_shards,
            now=self._clock.now(),
        )
        match outcome:
            case Changed():
                job.trail.log(Step.CHANGED, Level.DEBUG)
                return False
            case Lease() as lease:
                job.trail.log(Step.ACQUIRED, batch_id=batch_id, count=len(taken))
                wait = self._clock.now() - view.fresh[0].received_at
                job.trail.count(Metric.WINDOW_WAIT, wait.total_seconds())
                self._dispatch(job, lease, may_abandon=not view.record.unanswered_ids)
                self._settle(job, view, Record.from_item(lease.item).unanswered_ids)
                return True

    def _dispatch(self, job: Job, lease: Lease, *, may_abandon: bool) -> None:
        """Send the batch that the record names to the AI.

        Until the first try of the send a fresh lock that carries nothing is given back on any fault: nobody knows of
        the batch. From that try on it is kept, whatever the send's outcome, and the trigger resumes.
        """
        with ExitStack() as emergency:
            if may_abandon:
                emergency.callback(self._abandon, job, lease)
            conversation = Conversation.from_item(lease.item)
            body = contexts.batch_context(
                conversation,
                batch_id=lease.batch_id,
                request_id=job.trail.request_id,
                context_attributes=self._settings.context_attributes,
                now=self._clock.now(),
            )
            emergency.pop_all()
        job.queues.ai.send(body, group=fair_group(conversation.tenant))
        size = len(conversation.record.unanswered_ids)
        job.trail.log(Step.DISPATCHED, batch_id=lease.batch_id, count=size)
        job.trail.count(Metric.DISPATCHED)
        job.trail.count(Metric.BATCH_SIZE, size)
        fresh = [entry for entry in conversation.record.unanswered if entry.get("batch_id") == lease.batch_id]
        if fresh:  # a carried message was dispatched before
            job.trail.count(Metric.RECEIPT_TO_DISPATCH, waited(fresh, self._clock.now()).total_seconds())

    def _abandon(self, job: Job, lease: Lease) -> None:
        conversation_lock.abandon(job.tables.conversations, lease, job.trigger.conversation, now=self._clock.now())
        job.trail.log(Step.EMERGENCY_UNLOCK, Level.ERROR, batch_id=lease.batch_id)

    def _settle(self, job: Job, view: View, ended_ids: Collection[str]) -> None:
        """Settle the rows of these messages and the duplicates; a row that came later stays."""
        duplicates = [message.message_sid for message in view.duplicates]
        rows = [message.message_sid for message in view.staged if message.message_sid in ended_ids]
        staging.settle(job.tables.stage, job.trigger.conversation, dict.fromkeys([*rows, *duplicates]))
        for sid in duplicates:
            job.trail.log(Step.DUPLICATE, message_sid=sid)
            job.trail.count(Metric.DUPLICATE, outcome="answered")
        job.trail.log(Step.SETTLED, Level.DEBUG, count=len(rows))

    def _taken(self, view: View) -> list[StagedMessage]:
        """The new messages that this batch takes; the rest stays staged and is triggered after release.

        As many as one batch may have and the record has room for. Where nothing is carried the first one is taken in
        any case: nothing would ever make more room.
        """
        room = history.room_bytes(view.record)
        taken: list[StagedMessage] = []
        for message in view.new[: self._settings.batch_messages_max]:
            room -= history.entry_bytes(contexts.entry(message.context))
            if room < 0 and (taken or view.record.unanswered):
                break
            taken.append(message)
        return taken


def _dead_letter(job: Job, reason: str) -> None:
    """A trigger that came too often; what it was for stays staged, and the sweep finds that."""
    body = replace(job.trigger, attempt=0).body
    send_dead_letter(job.queues.dead_triggers[job.channel], body, tenant=job.tenant, reason=reason, trail=job.trail)


def _carried(view: View) -> Sequence[Entry]:
    """The entries that an earlier batch left unanswered."""
    return view.record.unanswered
