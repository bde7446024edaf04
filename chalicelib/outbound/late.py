"""A reply that comes too late to be sent: its claim has ended, a newer batch has begun, or people have its batch.

Guarantee: nothing new is sent. Parts that are in doubt are looked up, what was sent is recorded once, and people get
what the AI answered to a batch that they have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.clock import Clock
from chalicelib.conversations.contexts import Draft
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import GRACE_SECONDS, Handoff
from chalicelib.errors import ReplyCode
from chalicelib.outbound.endings import Endings
from chalicelib.outbound.job import Done, Job, Later
from chalicelib.outbound.parts import PartSending
from chalicelib.outbound.planning import Planning, first_part
from chalicelib.outbound.turns import draft_of
from chalicelib.protocol.lock_changes import Changed


@dataclass(frozen=True)
class LateReplies:
    """Ends replies that come too late."""

    planning: Planning
    parts: PartSending
    handoff: Handoff
    endings: Endings
    clock: Clock

    def leave_to_people(self, job: Job, conversation: Conversation) -> bool | Changed:
        """Refuse a reply to a batch that is claimed for people; finish that claim if its maker must have died.

        The maker of its own claim is an earlier delivery of this reply. While that may be at work, the reply comes
        again: if it ended here, only the sweep would find what a dead maker left.
        """
        is_own = conversation.record.passed_reply_id == job.reply.reply_id
        is_at_work = conversation.record.claim_age(self.clock.now()).total_seconds() < GRACE_SECONDS
        if is_at_work and is_own:
            return self.endings.wait(job, "AT_WORK", seconds=GRACE_SECONDS)
        draft = draft_left(job) if is_own else draft_of(job.reply)
        if is_at_work:
            self.send_draft(job, conversation, draft)
        else:
            outcome = self.handoff.finish(job.tables, job.queues, conversation, job.trail, draft=draft)
            if isinstance(outcome, Changed):
                return outcome
        return self._end_with_people(job, conversation, is_own=is_own)

    def had_by_people(self, job: Job, conversation: Conversation, *, is_own: bool) -> bool | Changed:
        """People have the batch: they get what the AI answered."""
        draft = draft_left(job) if is_own else draft_of(job.reply)
        self.send_draft(job, conversation, draft)
        return self._end_with_people(job, conversation, is_own=is_own)

    def end(self, job: Job, conversation: Conversation, refusal: ReplyCode) -> bool | Changed:
        """A reply whose claim has ended, perhaps by the sweep, or whose batch is no longer the record's.

        Nothing new is sent. Parts that are in doubt are looked up, what was sent is recorded, and the rest reported.
        """
        first = first_part(job)
        if first is None:
            is_given_up = refusal is ReplyCode.UNKNOWN_OUTCOME
            return self.endings.ended(job, (), refusal) if is_given_up else self.endings.refuse(job, refusal)
        plan = self.planning.plan(job, conversation, first)
        if not isinstance(plan, Done):
            known = self.parts.send(job, conversation, replace(plan, refusal=refusal))
            if isinstance(known, Later):
                self.endings.record(job, known.entries, is_whole=False)
                self.endings.retry_later(job, known.code, seconds=known.seconds)
                return True
            plan = known
        is_news = self.endings.record(job, plan.entries, is_whole=plan.error_code is None)
        if is_news or plan.error_code is not None:
            return self.endings.ended(job, plan.entries, plan.error_code)
        return self.endings.ended_before(job)

    def _end_with_people(self, job: Job, conversation: Conversation, *, is_own: bool) -> bool | Changed:
        """People have the batch: a stranger's reply is refused, what was sent of its own is recorded."""
        if not is_own:
            return self.endings.refuse(job, ReplyCode.STALE)
        if first_part(job) is None:
            return self.endings.look_at_stage(job)
        return self.end(job, conversation, ReplyCode.TAKEN_OVER)

    def send_draft(self, job: Job, conversation: Conversation, draft: Draft | None) -> None:
        """Send people what the AI answered to a batch that they have, if there is anything left of it."""
        if draft is not None:
            self.handoff.people.send_draft(job.queues, conversation, draft, job.trail)


def draft_left(job: Job) -> Draft | None:
    """The draft of a reply that comes again; its words are none, where the customer may have been sent them."""
    return draft_of(job.reply, None if first_part(job) is None else "")
