"""The end of a claim: a reply that was sent, or must come again, ends its claim as the update that made it stored.

Guarantee: what was sent is recorded in the update that ends the claim, or after it if the sweep ended the claim first.
A claim is given back only if nothing of the reply is sent or in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.clock import Clock
from chalicelib.conversations import views
from chalicelib.conversations.handoff import Handoff
from chalicelib.errors import Misconfigured, ReplyCode, TryAgain
from chalicelib.outbound.endings import Endings
from chalicelib.outbound.job import Done, Job, Later, load
from chalicelib.outbound.turns import draft_of
from chalicelib.ports.queues import DELAY_SECONDS_MAX
from chalicelib.protocol import reply_claim
from chalicelib.protocol.handoffs import RequestedBy
from chalicelib.protocol.lock_changes import PEOPLE, Changed, Lost
from chalicelib.protocol.record import ClaimEnd, Record
from chalicelib.protocol.reply_claim import Undelivered
from chalicelib.repair.patience import resets_kept
from chalicelib.repair.reconciliation import unrecorded
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step


@dataclass(frozen=True)
class Concluding:
    """Ends the claims of replies."""

    handoff: Handoff
    endings: Endings
    clock: Clock
    settings: Settings

    def conclude(self, job: Job, done: Done, claimed: Record) -> bool:
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
            stall_resets=resets_kept(claimed, self.clock.now(), self.settings),
            now=self.clock.now(),
        )
        if isinstance(released, Undelivered):
            # The provider reported the refusal of a part while the others were being sent.
            return self._release(job, replace(done, error_code=released.error_code), claimed)
        if isinstance(released, Lost):
            # The sweep gave this reply up while it was being sent.
            self.endings.record(job, done.entries, is_whole=done.error_code is None)
        return self.endings.ended(job, done.entries, done.error_code)

    def _end_interim(self, job: Job, done: Done, claimed: Record) -> bool:
        """Record an interim message; the turn goes on."""
        ended = reply_claim.end_interim(
            job.tables.conversations,
            job.reply.conversation,
            batch_id=job.reply.batch_id or "",
            token=job.token,
            entries=unrecorded(job.tables, claimed, done.entries),  # it may have come before
            now=self.clock.now(),
        )
        if isinstance(ended, Lost):
            # The turn stalled while it was being sent.
            self.endings.record(job, done.entries, is_whole=done.error_code is None)
        self.endings.report(job, Step.INTERIM_ENDED, done.entries, done.error_code)
        return True

    def _pass_to_people(self, job: Job, done: Done, claimed: Record) -> bool:
        """Give the claim to people, with what was sent; what was withheld goes to them as a draft."""
        is_asked = claimed.claim_end is ClaimEnd.PEOPLE
        draft = draft_of(job.reply, done.withheld)

        def act() -> bool | Changed:
            conversation = load(job, self.settings)
            if conversation is None:
                return False
            record, tables, queues = conversation.record, job.tables, job.queues
            if record.claim == PEOPLE and record.passed_reply_id == job.reply.reply_id:
                outcome = self.handoff.finish(tables, queues, conversation, job.trail, draft=draft)
            elif (record.claim, record.claim_token) == (job.reply.reply_id, job.token):
                outcome = self.handoff.take_from_reply(
                    tables,
                    queues,
                    conversation,
                    job.trail,
                    handoff=self.handoff.begun(RequestedBy.AI, record.claim_reason) if is_asked else None,
                    entries=unrecorded(tables, record, done.entries),
                    draft=draft,
                )
            else:
                return False
            return outcome if isinstance(outcome, Changed) else True

        if not views.look_again(act):
            # The sweep ended this claim while the reply was being sent.
            self.endings.record(job, done.entries, is_whole=done.error_code is None)
        return self.endings.ended(job, done.entries, done.error_code)

    def postpone(self, job: Job, later: Later, claimed: Record, *, has_ended: bool) -> bool:
        """See to it that a claimed reply comes again; after its last try its claim ends.

        `has_ended`: nothing of its batch is unanswered any more, so it keeps its claim.
        """
        job = replace(job, reply=job.reply.without_sending(later.unsent_claims))
        if job.reply.attempt >= self.settings.reply_attempts_max:
            code = later.code if later.gives_claim_back else ReplyCode.UNKNOWN_OUTCOME
            self.conclude(job, Done(later.entries, code), claimed)
            self.endings.dead_letter(job, later.code)
            return True
        is_free = later.gives_claim_back and not has_ended
        try:
            self._keep_or_give_back(job, is_free=is_free)
        except (TryAgain, Misconfigured) as fault:
            # The claim stays, and is taken over when it is too old for this process to be alive.
            is_free = False
            job.trail.fault(Step.FAILED, fault, Level.WARNING)
            job.trail.count(Metric.FAULT, outcome=fault.code.value)
        # With its claim kept the reply has to come before its lock counts as stalled.
        longest = DELAY_SECONDS_MAX if is_free else self.settings.stall_timeout_seconds // 2
        self.endings.requeue(job, later, longest=longest)
        return True

    def _keep_or_give_back(self, job: Job, *, is_free: bool) -> None:
        table, key, now = job.tables.conversations, job.reply.conversation, self.clock.now()
        batch_id = job.reply.batch_id or ""
        if is_free:
            reply_claim.unclaim(table, key, batch_id=batch_id, token=job.token, now=now)
        else:
            reply_claim.pause(table, key, batch_id=batch_id, token=job.token, now=now)
