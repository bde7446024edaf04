"""Stage 3: one reply is sent once, recorded, and the conversation released.

    look - decide - claim - send each part - release - look at what was staged meanwhile

Guarantee: at most one reply per batch reaches the customer. Whoever crashes, the claim on the record and the row of
each part tell what may have happened; what is in doubt is looked up and, if it cannot be proven, counts as answered: at
most once is chosen over at least once. Every end of a reply is reported, and followed by a look at the stage.

People's replies need no lock and no claim on the record: their parts' rows are claimed under their own reply id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from chalicelib.clock import Clock
from chalicelib.conversations import lookup, views
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import GRACE_SECONDS, Handoff
from chalicelib.errors import Misconfigured, ReplyCode, TryAgain
from chalicelib.messages.replies import Source
from chalicelib.outbound import decision
from chalicelib.outbound.job import Done, Entry, Job, Later, NotRequeued
from chalicelib.outbound.parts import PartSending
from chalicelib.outbound.planning import Planning, send_id_of
from chalicelib.ports.queues import DELAY_SECONDS_MAX, fair_group
from chalicelib.protocol import history, reply_claim, sends
from chalicelib.protocol.conversation_lock import Changed, Lost
from chalicelib.protocol.record import waited
from chalicelib.protocol.reply_claim import Claim, Undelivered
from chalicelib.protocol.sends import Part
from chalicelib.repair.dead_letters import send_dead_letter
from chalicelib.repair.reconciliation import record_sent
from chalicelib.repair.retriggering import Retriggering
from chalicelib.repair.retrying import Exhausted, next_try, send_reply_again
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step


class Replying:
    """Sends replies, one at a time."""

    def __init__(
        self,
        *,
        planning: Planning,
        parts: PartSending,
        handoff: Handoff,
        retriggering: Retriggering,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._planning = planning
        self._parts = parts
        self._handoff = handoff
        self._retriggering = retriggering
        self._clock = clock
        self._settings = settings
        self._bounds = history.Bounds(settings.messages_keep, settings.messages_bytes_max, settings.dedupe_hours)
        self._has_warned = False

    def process(self, job: Job) -> None:
        """Send a reply, if it is to be sent, and end it.

        Raises:
            TryAgain, Misconfigured: this reply must come again; see `retry_later`.
        """
        if not self._settings.public_base_url and not self._has_warned:
            self._has_warned = True  # once per process: a setting that is missing, not a fault of this reply
            job.trail.log(Step.NO_CALLBACK, Level.WARNING, reason="PUBLIC_BASE_URL is not set")
        views.look_again(partial(self._step, job))

    def retry_later(self, job: Job, code: str, *, seconds: int = 0, longest: int = DELAY_SECONDS_MAX) -> None:
        """Send the reply to its own queue once more, later each time, and in the end to the dead-letter queue.

        Args:
            job: the reply.
            code: why.
            seconds: how long to wait at least.
            longest: how long to wait at most.

        Raises:
            TryAgain, Misconfigured: even that failed.
        """
        again = job.reply.again()
        attempts_max = self._settings.reply_attempts_max
        match next_try(again.attempt, attempts_max, self._settings, at_least=seconds, at_most=longest):
            case Exhausted():
                self._dead_letter(job, code)
            case retry:
                send_reply_again(
                    job.queues,
                    again.message,
                    retry,
                    attempt=again.attempt,
                    code=code,
                    tenant=job.tenant,
                    trail=job.trail,
                    attributes=again.attributes,
                )

    def _step(self, job: Job) -> bool | Changed:
        """One look, and the one thing to do about it."""
        conversation = self._load(job)
        if conversation is None:
            self._dead_letter(job, ReplyCode.NO_CONVERSATION)
            return self._refuse(job, ReplyCode.NO_CONVERSATION)
        job.trail.bind(tenant=conversation.tenant)
        if fair_group(conversation.tenant) != job.tenant:  # who may send for one company must not send for another
            self._dead_letter(job, ReplyCode.OTHER_COMPANY)
            return self._refuse(job, ReplyCode.OTHER_COMPANY)
        if job.reply.source is Source.HUMAN:
            return self._reply_of_people(job, conversation)
        return self._reply_of_ai(job, conversation)

    def _reply_of_ai(self, job: Job, conversation: Conversation) -> bool | Changed:
        patience = self._settings.reconcile_after_seconds
        judgement = decision.decide(job.reply, conversation.record, now=self._clock.now(), patience_seconds=patience)
        match judgement:
            case decision.Refusal(code):
                return self._refuse(job, code)
            case decision.WithPeople():
                return self._leave_to_people(job, conversation)
            case decision.Stale():
                return self._end_late(job, conversation, ReplyCode.STALE)
            case decision.Ended():
                return self._end_again(job, conversation)
            case decision.AtWork(seconds):
                self.retry_later(job, "AT_WORK", seconds=seconds)
                return True
            case decision.Free():
                return self._claim_and_send(job, conversation, is_taken_over=False)
            case decision.Orphaned():
                return self._claim_and_send(job, conversation, is_taken_over=True)

    def _load(self, job: Job) -> Conversation | None:
        return lookup.load(job.tables.conversations, job.reply.conversation, self._settings.context_attributes)

    def _first_part(self, job: Job) -> Part | None:
        """The row of the reply's first part; None: nothing of it was ever tried."""
        return sends.find(job.tables.sends, send_id_of(job.reply, 1))

    def _claim_and_send(self, job: Job, conversation: Conversation, *, is_taken_over: bool) -> bool | Changed:
        first = self._first_part(job) if is_taken_over or job.reply.attempt else None
        # Before the claim, for a secret that cannot be had leaves none behind.
        plan = self._planning.plan(job, conversation, first)
        record, now, table = conversation.record, self._clock.now(), job.tables.conversations
        if is_taken_over:
            outcome = reply_claim.take_over(table, record, token=job.token, now=now)
        else:
            outcome = reply_claim.claim(
                table,
                record,
                reply_id=job.reply.reply_id,
                token=job.token,
                shards=self._settings.lock_index_shards,
                now=now,
            )
        if not isinstance(outcome, Claim):
            job.trail.log(Step.CHANGED, Level.DEBUG)
            return outcome
        job.trail.log(Step.CLAIMED, outcome="taken over" if is_taken_over else "claimed")
        sent = plan if isinstance(plan, Done) else self._parts.send(job, conversation, plan)
        if isinstance(sent, Done) and sent.error_code is None and record.unanswered:
            job.trail.count(Metric.RECEIPT_TO_REPLY, waited(record.unanswered, self._clock.now()).total_seconds())
        if isinstance(sent, Done):
            return self._release(job, sent)
        # The batch of a redriven reply has ended: without the claim nothing would tell that it is being answered.
        return self._postpone(job, sent, is_redriven=not record.unanswered_ids)

    def _release(self, job: Job, done: Done) -> bool:
        """Record what was sent, and release the conversation."""
        reply = job.reply
        assert reply.batch_id is not None, "an AI's reply names its batch"
        released = reply_claim.release(
            job.tables.conversations,
            reply.conversation,
            batch_id=reply.batch_id,
            reply_id=reply.reply_id,
            entries=done.entries,
            error_code=done.error_code,
            now=self._clock.now(),
        )
        if isinstance(released, Undelivered):
            # The provider reported the refusal of a part while the others were being sent.
            return self._release(job, replace(done, error_code=released.error_code))
        if isinstance(released, Lost):
            # The sweep gave this reply up while it was being sent.
            self._record(job, done.entries, is_whole=done.error_code is None)
        return self._ended(job, done.entries, done.error_code)

    def _postpone(self, job: Job, later: Later, *, is_redriven: bool) -> bool:
        """See to it that a claimed reply comes again; after its last try it ends."""
        job = replace(job, reply=job.reply.without_sending(later.unsent_claims))
        if job.reply.attempt >= self._settings.reply_attempts_max:
            self._release(job, Done(later.entries, later.code if later.gives_claim_back else ReplyCode.UNKNOWN_OUTCOME))
            self._dead_letter(job, later.code)
            return True
        is_free = later.gives_claim_back and not is_redriven
        try:
            self._keep_or_give_back(job, is_free=is_free)
        except (TryAgain, Misconfigured) as fault:
            # The claim stays, and is taken over when it is too old for this process to be alive.
            is_free = False
            job.trail.fault(Step.FAILED, fault, Level.WARNING)
            job.trail.count(Metric.FAULT, outcome=fault.code.value)
        # With its claim kept the reply has to come before its lock counts as stalled.
        longest = DELAY_SECONDS_MAX if is_free else self._settings.stall_timeout_seconds // 2
        self._requeue(job, later, longest=longest)
        return True

    def _requeue(self, job: Job, later: Later, *, longest: int = DELAY_SECONDS_MAX) -> None:
        """Send the reply to its queue again, with the tokens of the claims that sent nothing.

        Raises:
            NotRequeued: the send failed; whoever tries it once more has the tokens too.
        """
        try:
            self.retry_later(job, later.code, seconds=later.seconds, longest=longest)
        except (TryAgain, Misconfigured) as fault:
            raise NotRequeued(fault, job.reply) from fault

    def _keep_or_give_back(self, job: Job, *, is_free: bool) -> None:
        table, key, now = job.tables.conversations, job.reply.conversation, self._clock.now()
        batch_id = job.reply.batch_id or ""
        if is_free:
            reply_claim.unclaim(table, key, batch_id=batch_id, token=job.token, now=now)
        else:
            reply_claim.pause(table, key, batch_id=batch_id, token=job.token, now=now)

    def _leave_to_people(self, job: Job, conversation: Conversation) -> bool | Changed:
        """Refuse a reply to a batch that is claimed for people; finish that claim if its maker must have died."""
        if conversation.record.claim_age(self._clock.now()).total_seconds() >= GRACE_SECONDS:
            outcome = self._handoff.finish(job.tables, job.queues, conversation, job.trail)
            if isinstance(outcome, Changed):
                return outcome
        return self._refuse(job, ReplyCode.STALE)

    def _end_again(self, job: Job, conversation: Conversation) -> bool | Changed:
        """The reply has ended, and whoever ended it may have died before reporting that; a redriven one is sent."""
        if decision.may_be_redriven(job.reply, conversation.record) and self._first_part(job) is None:
            return self._claim_and_send(job, conversation, is_taken_over=False)
        job.trail.log(Step.REPLY_ENDED, Level.DEBUG)
        code = conversation.record.error_code
        if code == ReplyCode.UNKNOWN_OUTCOME:
            return self._end_late(job, conversation, ReplyCode.UNKNOWN_OUTCOME)
        return self._ended(job, (), code) if code is not None else self._look_at_stage(job)

    def _end_late(self, job: Job, conversation: Conversation, refusal: ReplyCode) -> bool | Changed:
        """A reply whose claim has ended, perhaps by the sweep, or whose batch is no longer the record's.

        Nothing new is sent. Parts that are in doubt are looked up, what was sent is recorded, and the rest reported.
        """
        first = self._first_part(job)
        if first is None:
            return self._refuse(job, refusal) if refusal is ReplyCode.STALE else self._ended(job, (), refusal)
        plan = self._planning.plan(job, conversation, first)
        if not isinstance(plan, Done):
            known = self._parts.send(job, conversation, replace(plan, refusal=refusal))
            if isinstance(known, Later):
                self._record(job, known.entries, is_whole=False)
                self.retry_later(job, known.code, seconds=known.seconds)
                return True
            plan = known
        is_news = self._record(job, plan.entries, is_whole=plan.error_code is None)
        if is_news or plan.error_code is not None:
            return self._ended(job, plan.entries, plan.error_code)
        job.trail.log(Step.REPLY_ENDED, Level.DEBUG)  # all of it is recorded already
        return self._look_at_stage(job)

    def _reply_of_people(self, job: Job, conversation: Conversation) -> bool | Changed:
        """Send a reply of people, once per reply id, whoever holds the lock."""
        if history.room_bytes(conversation.record) < 0 and self._make_room(job, conversation):
            return Changed()
        plan = self._planning.plan(job, conversation, self._first_part(job))
        match plan if isinstance(plan, Done) else self._parts.send(job, conversation, plan):
            case Later(entries=entries, unsent_claims=unsent) as later:
                job = replace(job, reply=job.reply.without_sending(unsent))
                self._record_before_requeue(job, entries)
                self._requeue(job, later)
            case Done(entries, error_code):
                if self._record(job, entries, is_whole=error_code is None) or error_code is not None:
                    return self._ended(job, entries, error_code)
                job.trail.log(Step.REPLY_ENDED, Level.DEBUG)
        return True

    def _record_before_requeue(self, job: Job, entries: Sequence[Entry]) -> None:
        """Record the parts that were sent before; where that fails, the reply's end records them.

        Raises:
            NotRequeued: the reply has to come again.
        """
        try:
            self._record(job, entries, is_whole=False)
        except (TryAgain, Misconfigured) as fault:
            raise NotRequeued(fault, job.reply) from fault

    def _make_room(self, job: Job, conversation: Conversation) -> bool:
        """Move old entries off a record that only people write to: no batch does it. Whether there were any."""
        tables, now = job.tables, self._clock.now()
        count = history.trim(tables.conversations, tables.history, conversation.record, self._bounds, now=now)
        if count:
            job.trail.log(Step.MOVED_HISTORY, Level.DEBUG, count=count)
        return count > 0

    def _record(self, job: Job, entries: Sequence[Entry], *, is_whole: bool) -> bool:
        """Record what was sent without the claim on the record; whether it was news."""
        return record_sent(
            job.tables,
            job.reply.conversation,
            entries,
            reply_id=job.reply.reply_id,
            is_whole=is_whole,
            context_attributes=self._settings.context_attributes,
            clock=self._clock,
        )

    def _refuse(self, job: Job, code: ReplyCode) -> bool:
        job.trail.log(Step.REPLY_REFUSED, Level.WARNING, code=code)
        job.trail.count(Metric.REPLY_REFUSED, outcome=code)
        return self._look_at_stage(job)

    def _ended(self, job: Job, entries: Sequence[Entry], error_code: str | None) -> bool:
        """Report the end of a reply, and look at the stage."""
        is_unknown = error_code == ReplyCode.UNKNOWN_OUTCOME
        level = Level.ERROR if is_unknown else Level.WARNING if error_code else Level.INFO
        job.trail.log(Step.RELEASED, level, code=error_code or "none", count=len(entries))
        if error_code is not None:
            job.trail.count(Metric.REPLY_UNKNOWN if is_unknown else Metric.REPLY_REFUSED, outcome=error_code)
        return self._look_at_stage(job)

    def _dead_letter(self, job: Job, code: str) -> None:
        first = replace(job.reply, attempt=0)  # one that is redriven starts anew
        send_dead_letter(
            job.queues.dead_replies,
            first.message,
            tenant=job.tenant,
            reason=code,
            trail=job.trail,
            attributes=first.attributes,
        )

    def _look_at_stage(self, job: Job) -> bool:
        self._retriggering.look(job.tables, job.queues, job.reply.conversation, job.trail)
        return True
