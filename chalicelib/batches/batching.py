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

from dataclasses import dataclass, replace
from functools import partial

from chalicelib.batches import actions, decision
from chalicelib.batches.dispatching import Dispatching
from chalicelib.batches.job import Job, Next, next_of
from chalicelib.batches.media_copying import Copies, MediaCopying
from chalicelib.batches.requeueing import Requeueing
from chalicelib.batches.settling import keep, refuse_all, refuse_carried, settle
from chalicelib.clock import Clock
from chalicelib.conversations import opt_out, views
from chalicelib.conversations.handoff import Handoff
from chalicelib.conversations.policies import Policies
from chalicelib.conversations.views import Gone, View
from chalicelib.protocol import history, trigger_lock
from chalicelib.protocol.lock_changes import Changed
from chalicelib.repair.stalled_locks import StalledLocks
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Step


@dataclass(frozen=True, kw_only=True)
class Batching:
    """Makes batches, one trigger at a time."""

    handoff: Handoff
    stalled_locks: StalledLocks
    policies: Policies
    media_copying: MediaCopying | None
    """None: media stay where they are."""
    dispatching: Dispatching
    requeueing: Requeueing
    clock: Clock
    settings: Settings

    def process(self, job: Job) -> None:
        """Do what a trigger asks for.

        Raises:
            TryAgain, Misconfigured: this trigger must come again; see `Requeueing.retry_later`.
        """
        trigger_lock.give_up(job.tables.trigger_lock, job.trigger)  # T2: before the stage is read.
        copies = self.media_copying.begin(job.deadline, job.sharing, job.trail) if self.media_copying else None
        following = Next.LOOK
        while following is not Next.DONE:  # a long record that we find is brought down over several batches
            may_trim = following is not Next.TRIMMED
            following = views.look_again(partial(self._step, job, copies, may_trim=may_trim))

    def _step(self, job: Job, copies: Copies | None, *, may_trim: bool) -> Next | Changed:
        """One look, and the one thing to do about it."""
        view = views.look(job.tables, job.trigger.conversation, self.settings.context_attributes)
        if isinstance(view, Gone):
            return refuse_all(job, view)
        job.trail.bind(tenant=view.conversation.tenant)
        action = decision.decide(
            view,
            trigger_id=job.trigger.trigger_id,
            now=self.clock.now(),
            settings=self.settings,
            policy_of=self.policies.for_channels(view.conversation, job.trail),
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
                self.stalled_locks.report_end(tables, conversation, trail)
                return Next.LOOK
            case actions.MarkOptOut(channels):
                return next_of(opt_out.mark(tables, view, channels, self.clock))
            case actions.FinishPeople():
                return next_of(self.handoff.finish(tables, queues, conversation, trail))
            case actions.ClaimForPeople():
                return next_of(self.handoff.claim(tables, queues, conversation, trail))
            case actions.SettleBatch():
                settle(job, view, view.record.unanswered_ids)
                return Next.DONE
            case actions.Resume():
                return self.dispatching.resume(job, view)
            case actions.Wait(seconds):
                return self.requeueing.wait_for_more(job, seconds)
            case actions.SettleDuplicates():
                settle(job, view, ())
                return Next.DONE if len(view.staged) == len(view.considered) else Next.LOOK
            case actions.StampLock() | actions.ResetLock() | actions.Contend():
                return self.requeueing.contend(job, view, action)
            case actions.Trim(count):
                history.move(tables.conversations, tables.history, view.record, count, now=self.clock.now())
                trail.log(Step.MOVED_HISTORY, Level.DEBUG, count=count)
                return Next.TRIMMED
            case actions.RefuseCarried(codes):
                return refuse_carried(job, view, codes, now=self.clock.now())
            case actions.Keep():
                return keep(job, view, action, now=self.clock.now())
            case actions.Acquire(messages, for_people=True):
                trigger_id = job.trigger.trigger_id
                return next_of(self.handoff.take(tables, queues, view, messages, trigger_id, trail))
            case actions.Acquire(messages) | actions.Restart(messages):
                taken = copies.of(messages, conversation) if copies else messages
                return self.dispatching.acquire(job, view, replace(action, messages=taken))
