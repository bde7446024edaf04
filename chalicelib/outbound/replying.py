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

from dataclasses import dataclass, field, replace
from functools import partial

from chalicelib.clock import Clock
from chalicelib.conversations import views
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import Handoff
from chalicelib.errors import Code, ReplyCode
from chalicelib.messages.replies import Action, Source
from chalicelib.outbound import decision
from chalicelib.outbound.concluding import Concluding
from chalicelib.outbound.decision import INTERIM_SECONDS
from chalicelib.outbound.endings import Endings
from chalicelib.outbound.holding import Holding
from chalicelib.outbound.job import Done, Job, Later, load
from chalicelib.outbound.late import LateReplies, draft_left
from chalicelib.outbound.parts import PartSending
from chalicelib.outbound.people import PeoplesReplies
from chalicelib.outbound.planning import Plan, Planning, first_part
from chalicelib.outbound.turns import INTERIM, Turns
from chalicelib.ports.queues import fair_group
from chalicelib.protocol import reply_claim
from chalicelib.protocol.claim_changes import Claim
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.record import MESSAGES, ClaimEnd, Record
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Step


@dataclass(kw_only=True, eq=False)
class Replying:
    """Does what messages of the replies queues ask for, one at a time."""

    planning: Planning
    parts: PartSending
    handoff: Handoff
    endings: Endings
    holding: Holding
    turns: Turns
    people: PeoplesReplies
    concluding: Concluding
    late: LateReplies
    clock: Clock
    settings: Settings
    _has_warned: bool = field(default=False, init=False)

    def process(self, job: Job) -> None:
        """Do what a message asks for.

        Raises:
            TryAgain, Misconfigured: this message must come again; see `retry_later`.
        """
        if not self.settings.public_base_url and not self._has_warned:
            self._has_warned = True  # once per process: a setting that is missing, not a fault of this reply
            job.trail.log(Step.NO_CALLBACK, Level.WARNING, reason="PUBLIC_BASE_URL is not set")
        if job.reply.clamped:
            job.trail.log(Step.CLAMPED, Level.WARNING, reason=", ".join(job.reply.clamped))
        views.look_again(partial(self._step, job))

    def retry_later(self, job: Job, code: str) -> None:
        """Send a message that failed to its own queue once more; see `Endings.retry_later`."""
        self.endings.retry_later(job, code)

    def _step(self, job: Job) -> bool | Changed:
        """One look, and the one thing to do about it."""
        is_heartbeat = job.reply.action is Action.EXTEND
        conversation = load(job, self.settings, with_messages=not is_heartbeat)
        refusal = ReplyCode.NO_CONVERSATION if conversation is None else None
        if conversation is not None:
            job.trail.bind(tenant=conversation.tenant)
            if fair_group(conversation.tenant) != job.tenant:  # who may send for one company must not for another
                refusal = ReplyCode.OTHER_COMPANY
        if conversation is None or refusal is not None:
            self.endings.dead_letter(job, refusal or ReplyCode.NO_CONVERSATION)
            return self.endings.refuse(job, refusal or ReplyCode.NO_CONVERSATION)
        if is_heartbeat:
            return self.turns.extend(job, conversation)
        if job.reply.source is Source.HUMAN:
            return self.people.step(job, conversation)
        return self._reply_of_ai(job, conversation)

    def _reply_of_ai(self, job: Job, conversation: Conversation) -> bool | Changed:
        match decision.decide(job.reply, conversation.record, now=self.clock.now(), settings=self.settings):
            case decision.Refusal(code):
                # An interim message leaves no id on the record: its parts tell whether it came before.
                return self.endings.refuse(job, code) if job.reply.is_final else self.late.end(job, conversation, code)
            case decision.WithPeople():
                return self.late.leave_to_people(job, conversation)
            case decision.HadByPeople(is_own):
                return self.late.had_by_people(job, conversation, is_own=is_own)
            case decision.Stale(had_by_people):
                self.late.send_draft(job, conversation, draft_left(job) if had_by_people else None)
                return self.late.end(job, conversation, ReplyCode.STALE)
            case decision.Ended():
                return self._end_again(job, conversation)
            case decision.AtWork(seconds):
                self.endings.retry_later(job, "AT_WORK", seconds=seconds)
                return True
            case decision.InTheWay():
                return self.endings.wait(job, INTERIM, seconds=INTERIM_SECONDS)
            case decision.Free():
                return self._take_turn(job, conversation)
            case decision.Orphaned():
                return self._claim_and_send(job, conversation, is_taken_over=True)

    def _take_turn(self, job: Job, conversation: Conversation) -> bool | Changed:
        """The batch waits for an answer: do what the reply says, unless people own the conversation by now."""
        reply = job.reply
        # A handoff comes to its end without its words, where those cannot be sent.
        is_without_words = not reply.contents or reply.attempt >= self.settings.reply_attempts_max
        if self.handoff.people.belongs_to_people(conversation, job.trail):
            return self.turns.hand_off(job, conversation)
        if reply.action is Action.NONE:
            return self.turns.end_without_reply(job, conversation)
        if reply.action is Action.HANDOFF and is_without_words:
            return self.turns.hand_off(job, conversation)
        return self.holding.hold(job, conversation) or self._claim_and_send(job, conversation, is_taken_over=False)

    def _claim_and_send(self, job: Job, conversation: Conversation, *, is_taken_over: bool) -> bool | Changed:
        is_new = not (is_taken_over or job.reply.attempt)
        # Before the claim, for a secret that cannot be had leaves none behind.
        plan = self.planning.plan(job, conversation, None if is_new else first_part(job))
        if is_taken_over and isinstance(plan, Plan) and self._belongs_to_people(job, conversation):
            plan = replace(plan, refusal=ReplyCode.TAKEN_OVER)  # what has a row is looked up; nothing new is sent
        outcome = self._claim(job, conversation, is_taken_over=is_taken_over)
        if not isinstance(outcome, Claim):
            job.trail.log(Step.CHANGED, Level.DEBUG)
            return outcome
        job.trail.log(Step.CLAIMED, outcome="taken over" if is_taken_over else None)
        claimed = Record.from_item(outcome.item)
        answered = conversation.record.unanswered if claimed.claim_end is not ClaimEnd.UNCLAIM else ()
        still_ours = partial(self._is_still_ours, job, conversation)
        sent = (
            plan
            if isinstance(plan, Done)
            else self.parts.send(job, conversation, plan, still_ours=still_ours, answered=answered)
        )
        if isinstance(sent, Later):
            # Where the batch has ended, nothing but the claim tells that it is being answered.
            return self.concluding.postpone(job, sent, claimed, has_ended=not conversation.record.unanswered_ids)
        return self.concluding.conclude(job, sent, claimed)

    def _claim(self, job: Job, conversation: Conversation, *, is_taken_over: bool) -> Claim | Changed:
        record, now, table, reply = conversation.record, self.clock.now(), job.tables.conversations, job.reply
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
            shards=self.settings.lock_index_shards,
            now=now,
        )

    def _is_still_ours(self, job: Job, conversation: Conversation) -> bool:
        """Whether the reply may begin a further part: it holds its claim, and people do not own the conversation."""
        now = load(job, self.settings, with_messages=False)
        if now is None or (now.record.claim, now.record.claim_token) != (job.reply.reply_id, job.token):
            return False
        entries = conversation.item.get(MESSAGES)
        with_entries = Conversation.from_item({**now.item, **({MESSAGES: entries} if entries is not None else {})})
        return not self._belongs_to_people(job, with_entries)

    def _belongs_to_people(self, job: Job, conversation: Conversation) -> bool:
        """Whether people own what the reply answers, even if its batch has ended."""
        return self.handoff.people.belongs_to_people(conversation, job.trail, ended_batch=job.reply.batch_id)

    def _end_again(self, job: Job, conversation: Conversation) -> bool | Changed:
        """The reply has ended, and whoever ended it may have died before reporting that; one that was not sent is."""
        may_be_sent = decision.may_be_sent_after_all(
            job.reply, conversation.record, now=self.clock.now(), settings=self.settings
        )
        if may_be_sent and first_part(job) is None:
            if conversation.record.is_locked:  # by another system, which wrote the status
                return self._wait_for_another_system(job, conversation.record.error_code)
            if self._belongs_to_people(job, conversation):
                return self.turns.hand_off(job, conversation)
            return self._claim_and_send(job, conversation, is_taken_over=False)
        code = conversation.record.error_code
        if code == ReplyCode.UNKNOWN_OUTCOME:
            return self.late.end(job, conversation, ReplyCode.UNKNOWN_OUTCOME)
        return self.endings.ended(job, (), code) if code is not None else self.endings.ended_before(job)

    def _wait_for_another_system(self, job: Job, ended_with: str | None) -> bool:
        """A given-up reply comes again, as often as it may; a redriven one goes back to the dead-letter queue."""
        if ended_with == ReplyCode.UNKNOWN_OUTCOME:
            self.endings.retry_later(job, Code.CONVERSATION_LOCKED)
        else:
            self.endings.dead_letter(job, Code.CONVERSATION_LOCKED)
        return True
