"""Stage 3: one reply of the AI is sent once and recorded, and its claim ends as it is stored.

    look - decide - claim - send each part - end the claim - look at what was staged meanwhile

Guarantee: at most one final reply per batch reaches the customer. After a crash, the claim on the record and the row of
each part show what may have happened. A part in doubt is looked up. If its send cannot be proven, it counts as
answered: at most once is chosen over at least once. Every end of a reply is reported. After it, the messages staged
meanwhile are triggered.

The update that made a claim stores how it ends: the conversation opens, people get the batch, or (after an interim
message) the turn goes on. If people take the conversation over meanwhile, the parts not yet sent are withheld, and the
claim passes to people.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from chalicelib.clock import Clock
from chalicelib.conversations import lookup, views
from chalicelib.conversations.contexts import Draft
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import GRACE_SECONDS, Handoff
from chalicelib.conversations.policies import Policies
from chalicelib.errors import Misconfigured, ReplyCode, TryAgain
from chalicelib.messages.replies import Action, Source
from chalicelib.outbound import decision
from chalicelib.outbound.decision import INTERIM_SECONDS
from chalicelib.outbound.endings import Endings
from chalicelib.outbound.holding import Holding
from chalicelib.outbound.job import Done, Job, Later
from chalicelib.outbound.parts import PartSending
from chalicelib.outbound.people import PeoplesReplies
from chalicelib.outbound.planning import Plan, Planning, first_part
from chalicelib.outbound.turns import INTERIM, Turns, draft_of
from chalicelib.ports.queues import DELAY_SECONDS_MAX, fair_group
from chalicelib.protocol import reply_claim
from chalicelib.protocol.conversation_lock import PEOPLE, Changed, Lost
from chalicelib.protocol.entries import waited
from chalicelib.protocol.handoffs import RequestedBy
from chalicelib.protocol.record import MESSAGES, ClaimEnd, Record
from chalicelib.protocol.reply_claim import Claim, Undelivered
from chalicelib.repair.patience import resets_kept
from chalicelib.repair.reconciliation import unrecorded
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step


class Replying:
    """Does what messages of the replies queues ask for, one at a time."""

    def __init__(
        self,
        *,
        planning: Planning,
        parts: PartSending,
        handoff: Handoff,
        endings: Endings,
        policies: Policies,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._planning = planning
        self._parts = parts
        self._handoff = handoff
        self._endings = endings
        self._holding = Holding(endings, policies, clock, settings)
        self._turns = Turns(handoff, endings, policies, clock, settings)
        self._people = PeoplesReplies(planning, parts, endings, clock, settings)
        self._clock = clock
        self._settings = settings
        self._has_warned = False

    def process(self, job: Job) -> None:
        """Do what a message asks for.

        Raises:
            TryAgain, Misconfigured: this message must come again; see `retry_later`.
        """
        if not self._settings.public_base_url and not self._has_warned:
            self._has_warned = True  # once per process: a setting that is missing, not a fault of this reply
            job.trail.log(Step.NO_CALLBACK, Level.WARNING, reason="PUBLIC_BASE_URL is not set")
        if job.reply.clamped:
            job.trail.log(Step.CLAMPED, Level.WARNING, reason=", ".join(job.reply.clamped))
        views.look_again(partial(self._step, job))

    def retry_later(self, job: Job, code: str) -> None:
        """Send a message that failed to its own queue once more; see `Endings.retry_later`."""
        self._endings.retry_later(job, code)

    def _step(self, job: Job) -> bool | Changed:
        """One look, and the one thing to do about it."""
        is_heartbeat = job.reply.action is Action.EXTEND
        conversation = self._load(job, with_messages=not is_heartbeat)
        refusal = ReplyCode.NO_CONVERSATION if conversation is None else None
        if conversation is not None:
            job.trail.bind(tenant=conversation.tenant)
            if fair_group(conversation.tenant) != job.tenant:  # who may send for one company must not for another
                refusal = ReplyCode.OTHER_COMPANY
        if conversation is None or refusal is not None:
            self._endings.dead_letter(job, refusal or ReplyCode.NO_CONVERSATION)
            return self._endings.refuse(job, refusal or ReplyCode.NO_CONVERSATION)
        if is_heartbeat:
            return self._turns.extend(job, conversation)
        if job.reply.source is Source.HUMAN:
            return self._people.step(job, conversation)
        return self._reply_of_ai(job, conversation)

    def _reply_of_ai(self, job: Job, conversation: Conversation) -> bool | Changed:
        match decision.decide(job.reply, conversation.record, now=self._clock.now(), settings=self._settings):
            case decision.Refusal(code):
                # An interim message leaves no id on the record: its parts tell whether it came before.
                return (
                    self._endings.refuse(job, code) if job.reply.is_final else self._end_late(job, conversation, code)
                )
            case decision.WithPeople():
                return self._leave_to_people(job, conversation)
            case decision.HadByPeople(is_own):
                return self._had_by_people(job, conversation, is_own=is_own)
            case decision.Stale(had_by_people):
                self._send_draft(job, conversation, self._draft_left(job) if had_by_people else None)
                return self._end_late(job, conversation, ReplyCode.STALE)
            case decision.Ended():
                return self._end_again(job, conversation)
            case decision.AtWork(seconds):
                self._endings.retry_later(job, "AT_WORK", seconds=seconds)
                return True
            case decision.InTheWay():
                return self._endings.wait(job, INTERIM, seconds=INTERIM_SECONDS)
            case decision.Free():
                return self._take_turn(job, conversation)
            case decision.Orphaned():
                return self._claim_and_send(job, conversation, is_taken_over=True)

    def _load(self, job: Job, *, with_messages: bool = True) -> Conversation | None:
        return lookup.load(
            job.tables.conversations,
            job.reply.conversation,
            self._settings.context_attributes,
            with_messages=with_messages,
        )

    def _take_turn(self, job: Job, conversation: Conversation) -> bool | Changed:
        """The batch waits for an answer: do what the reply says, unless people own the conversation by now."""
        reply = job.reply
        # A handoff comes to its end without its words, where those cannot be sent.
        is_without_words = not reply.contents or reply.attempt >= self._settings.reply_attempts_max
        if self._handoff.belongs_to_people(conversation, job.trail):
            return self._turns.hand_off(job, conversation)
        if reply.action is Action.NONE:
            return self._turns.end_without_reply(job, conversation)
        if reply.action is Action.HANDOFF and is_without_words:
            return self._turns.hand_off(job, conversation)
        return self._holding.hold(job, conversation) or self._claim_and_send(job, conversation, is_taken_over=False)

    def _claim_and_send(self, job: Job, conversation: Conversation, *, is_taken_over: bool) -> bool | Changed:
        is_new = not (is_taken_over or job.reply.attempt)
        # Before the claim, for a secret that cannot be had leaves none behind.
        plan = self._planning.plan(job, conversation, None if is_new else first_part(job))
        if is_taken_over and isinstance(plan, Plan) and self._handoff.belongs_to_people(conversation, job.trail):
            plan = replace(plan, refusal=ReplyCode.TAKEN_OVER)  # what has a row is looked up; nothing new is sent
        outcome = self._claim(job, conversation, is_taken_over=is_taken_over)
        if not isinstance(outcome, Claim):
            job.trail.log(Step.CHANGED, Level.DEBUG)
            return outcome
        job.trail.log(Step.CLAIMED, outcome="taken over" if is_taken_over else "claimed")
        claimed = Record.from_item(outcome.item)
        sent = (
            plan
            if isinstance(plan, Done)
            else self._parts.send(job, conversation, plan, still_ours=partial(self._is_still_ours, job, conversation))
        )
        if isinstance(sent, Later):
            # The batch of a redriven reply has ended: without the claim nothing would tell that it is being answered.
            return self._postpone(job, sent, claimed, is_redriven=not conversation.record.unanswered_ids)
        unanswered = conversation.record.unanswered
        if sent.error_code is None and unanswered and claimed.claim_end is not ClaimEnd.UNCLAIM:
            job.trail.count(Metric.RECEIPT_TO_REPLY, waited(unanswered, self._clock.now()).total_seconds())
        return self._conclude(job, sent, claimed)

    def _claim(self, job: Job, conversation: Conversation, *, is_taken_over: bool) -> Claim | Changed:
        record, now, table, reply = conversation.record, self._clock.now(), job.tables.conversations, job.reply
        routing_stands = conversation.routing_stands
        if is_taken_over:
            return reply_claim.take_over(table, record, routing_stands=routing_stands, token=job.token, now=now)
        if reply.action is Action.HANDOFF:
            end = ClaimEnd.PEOPLE
        else:
            end = ClaimEnd.RELEASE if reply.is_final else ClaimEnd.UNCLAIM
        return reply_claim.claim(
            table,
            record,
            reply_id=reply.reply_id,
            end=end,
            reason=reply.reason,
            routing_stands=routing_stands,
            token=job.token,
            shards=self._settings.lock_index_shards,
            now=now,
        )

    def _is_still_ours(self, job: Job, conversation: Conversation) -> bool:
        """Whether the reply may begin a further part: it holds its claim, and people do not own the conversation."""
        now = self._load(job, with_messages=False)
        if now is None or (now.record.claim, now.record.claim_token) != (job.reply.reply_id, job.token):
            return False
        entries = conversation.item.get(MESSAGES)
        with_entries = Conversation.from_item({**now.item, **({MESSAGES: entries} if entries is not None else {})})
        return not self._handoff.belongs_to_people(with_entries, job.trail)

    def _conclude(self, job: Job, done: Done, claimed: Record) -> bool:
        """End the claim as it is stored; or people get the batch, where they took the conversation over."""
        if done.error_code == ReplyCode.TAKEN_OVER or claimed.claim_end is ClaimEnd.PEOPLE:
            return self._pass_to_people(job, done, claimed)
        if claimed.claim_end is ClaimEnd.UNCLAIM:
            return self._end_interim(job, done, claimed)
        return self._release(job, done, claimed)

    def _release(self, job: Job, done: Done, claimed: Record) -> bool:
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
            stall_resets=resets_kept(claimed, self._clock.now(), self._settings),
            now=self._clock.now(),
        )
        if isinstance(released, Undelivered):
            # The provider reported the refusal of a part while the others were being sent.
            return self._release(job, replace(done, error_code=released.error_code), claimed)
        if isinstance(released, Lost):
            # The sweep gave this reply up while it was being sent.
            self._endings.record(job, done.entries, is_whole=done.error_code is None)
        return self._endings.ended(job, done.entries, done.error_code)

    def _end_interim(self, job: Job, done: Done, claimed: Record) -> bool:
        """Record an interim message; the turn goes on."""
        ended = reply_claim.end_interim(
            job.tables.conversations,
            job.reply.conversation,
            batch_id=job.reply.batch_id or "",
            token=job.token,
            entries=unrecorded(job.tables, claimed, done.entries),  # it may have come before
            now=self._clock.now(),
        )
        if isinstance(ended, Lost):
            # The turn stalled while it was being sent.
            self._endings.record(job, done.entries, is_whole=done.error_code is None)
        self._endings.report(job, Step.INTERIM_ENDED, done.entries, done.error_code)
        return True

    def _pass_to_people(self, job: Job, done: Done, claimed: Record) -> bool:
        """Give the claim to people, with what was sent; what was withheld goes to them as a draft."""
        is_asked = claimed.claim_end is ClaimEnd.PEOPLE
        draft = draft_of(job.reply, done.withheld)

        def act() -> bool | Changed:
            conversation = self._load(job)
            if conversation is None:
                return False
            record, tables, queues = conversation.record, job.tables, job.queues
            if record.claim == PEOPLE and record.passed_reply_id == job.reply.reply_id:
                outcome = self._handoff.finish(tables, queues, conversation, job.trail, draft=draft)
            elif (record.claim, record.claim_token) == (job.reply.reply_id, job.token):
                outcome = self._handoff.take_from_reply(
                    tables,
                    queues,
                    conversation,
                    job.trail,
                    handoff=self._handoff.begun(RequestedBy.AI, record.claim_reason) if is_asked else None,
                    entries=unrecorded(tables, record, done.entries),
                    draft=draft,
                )
            else:
                return False
            return outcome if isinstance(outcome, Changed) else True

        if not views.look_again(act):
            # The sweep ended this claim while the reply was being sent.
            self._endings.record(job, done.entries, is_whole=done.error_code is None)
        return self._endings.ended(job, done.entries, done.error_code)

    def _postpone(self, job: Job, later: Later, claimed: Record, *, is_redriven: bool) -> bool:
        """See to it that a claimed reply comes again; after its last try its claim ends."""
        job = replace(job, reply=job.reply.without_sending(later.unsent_claims))
        if job.reply.attempt >= self._settings.reply_attempts_max:
            code = later.code if later.gives_claim_back else ReplyCode.UNKNOWN_OUTCOME
            self._conclude(job, Done(later.entries, code), claimed)
            self._endings.dead_letter(job, later.code)
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
        self._endings.requeue(job, later, longest=longest)
        return True

    def _keep_or_give_back(self, job: Job, *, is_free: bool) -> None:
        table, key, now = job.tables.conversations, job.reply.conversation, self._clock.now()
        batch_id = job.reply.batch_id or ""
        if is_free:
            reply_claim.unclaim(table, key, batch_id=batch_id, token=job.token, now=now)
        else:
            reply_claim.pause(table, key, batch_id=batch_id, token=job.token, now=now)

    def _leave_to_people(self, job: Job, conversation: Conversation) -> bool | Changed:
        """Refuse a reply to a batch that is claimed for people; finish that claim if its maker must have died.

        The maker of its own claim is an earlier delivery of this reply. While that may be at work, the reply comes
        again: if it ended here, only the sweep would find what a dead maker left.
        """
        is_own = conversation.record.passed_reply_id == job.reply.reply_id
        is_at_work = conversation.record.claim_age(self._clock.now()).total_seconds() < GRACE_SECONDS
        if is_at_work and is_own:
            return self._endings.wait(job, "AT_WORK", seconds=GRACE_SECONDS)
        draft = self._draft_left(job) if is_own else draft_of(job.reply)
        if is_at_work:
            self._send_draft(job, conversation, draft)
        else:
            outcome = self._handoff.finish(job.tables, job.queues, conversation, job.trail, draft=draft)
            if isinstance(outcome, Changed):
                return outcome
        return self._end_with_people(job, conversation, is_own=is_own)

    def _had_by_people(self, job: Job, conversation: Conversation, *, is_own: bool) -> bool | Changed:
        """People have the batch: they get what the AI answered."""
        draft = self._draft_left(job) if is_own else draft_of(job.reply)
        self._send_draft(job, conversation, draft)
        return self._end_with_people(job, conversation, is_own=is_own)

    def _end_with_people(self, job: Job, conversation: Conversation, *, is_own: bool) -> bool | Changed:
        """People have the batch: a stranger's reply is refused, what was sent of its own is recorded."""
        if not is_own:
            return self._endings.refuse(job, ReplyCode.STALE)
        if first_part(job) is None:
            return self._endings.look_at_stage(job)
        return self._end_late(job, conversation, ReplyCode.TAKEN_OVER)

    def _send_draft(self, job: Job, conversation: Conversation, draft: Draft | None) -> None:
        if draft is not None:
            self._handoff.send_draft(job.queues, conversation, draft, job.trail)

    @staticmethod
    def _draft_left(job: Job) -> Draft | None:
        """The draft of a reply that comes again; its words are none, where the customer may have been sent them."""
        return draft_of(job.reply, None if first_part(job) is None else "")

    def _end_again(self, job: Job, conversation: Conversation) -> bool | Changed:
        """The reply has ended, and whoever ended it may have died before reporting that; a redriven one is sent."""
        if decision.may_be_redriven(job.reply, conversation.record) and first_part(job) is None:
            return self._claim_and_send(job, conversation, is_taken_over=False)
        code = conversation.record.error_code
        if code == ReplyCode.UNKNOWN_OUTCOME:
            return self._end_late(job, conversation, ReplyCode.UNKNOWN_OUTCOME)
        return self._endings.ended(job, (), code) if code is not None else self._endings.ended_before(job)

    def _end_late(self, job: Job, conversation: Conversation, refusal: ReplyCode) -> bool | Changed:
        """A reply whose claim has ended, perhaps by the sweep, or whose batch is no longer the record's.

        Nothing new is sent. Parts that are in doubt are looked up, what was sent is recorded, and the rest reported.
        """
        first = first_part(job)
        if first is None:
            is_given_up = refusal is ReplyCode.UNKNOWN_OUTCOME
            return self._endings.ended(job, (), refusal) if is_given_up else self._endings.refuse(job, refusal)
        plan = self._planning.plan(job, conversation, first)
        if not isinstance(plan, Done):
            known = self._parts.send(job, conversation, replace(plan, refusal=refusal))
            if isinstance(known, Later):
                self._endings.record(job, known.entries, is_whole=False)
                self._endings.retry_later(job, known.code, seconds=known.seconds)
                return True
            plan = known
        is_news = self._endings.record(job, plan.entries, is_whole=plan.error_code is None)
        if is_news or plan.error_code is not None:
            return self._endings.ended(job, plan.entries, plan.error_code)
        return self._endings.ended_before(job)
