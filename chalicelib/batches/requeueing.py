"""How a trigger comes again: after a failure, while the customer types, and while another batch holds the lock.

Guarantee: a trigger that failed comes again with the same id, or is dead-lettered; what it was for stays staged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from chalicelib.batches import actions
from chalicelib.batches.job import Job, Next
from chalicelib.clock import Clock
from chalicelib.conversations.views import View
from chalicelib.errors import Code, EngineError
from chalicelib.protocol import conversation_lock, trigger_lock
from chalicelib.protocol.trigger_lock import Trigger, Triggered
from chalicelib.repair.dead_letters import send_dead_letter
from chalicelib.repair.retrying import Exhausted, next_try
from chalicelib.repair.stalled_locks import StalledLock, StalledLocks
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step


@dataclass(frozen=True)
class Requeueing:
    """Has triggers come again."""

    stalled_locks: StalledLocks
    clock: Clock
    new_id: Callable[[], str]
    settings: Settings

    def retry_later(self, job: Job, fault: EngineError) -> None:
        """Send a trigger that failed once more, later each time, and in the end to the dead-letter queue.

        Raises:
            TryAgain, Misconfigured: even that failed.
        """
        again = job.trigger.again()
        retry = next_try(again.attempt, self.settings.requeue_attempts_max, self.settings)
        if isinstance(retry, Exhausted):
            _dead_letter(job, f"{fault.code}: {fault.detail}")
            return
        trigger_lock.send_again(
            job.tables.trigger_lock,
            job.queue,
            again,
            delay_seconds=retry.seconds,
            now=self.clock.now(),
            tenant=job.tenant,
        )
        _report_requeued(job, again, fault.code, retry.seconds)

    def wait_for_more(self, job: Job, seconds: float) -> Next:
        """See to a later trigger."""
        outcome = trigger_lock.ensure(
            job.tables.trigger_lock,
            job.queue,
            Trigger(job.trigger.conversation, self.new_id()),
            delay_seconds=ceil(seconds),
            now=self.clock.now(),
            tenant=job.tenant,
        )
        later = outcome.trigger.trigger_id if isinstance(outcome, Triggered) else "another"
        job.trail.log(Step.STILL_TYPING, Level.DEBUG, outcome=later, seconds=seconds)
        return Next.DONE

    def contend(self, job: Job, view: View, action: actions.StampLock | actions.ResetLock | actions.Contend) -> Next:
        """Another holds the lock: open it if it stalled, else come again later."""
        record, now, settings = view.record, self.clock.now(), self.settings
        match action:
            case actions.StampLock():
                shards = settings.lock_index_shards
                conversation_lock.stamp(job.tables.conversations, record, shards=shards, now=now)
                job.trail.log(Step.STAMPED, Level.WARNING)
            case actions.ResetLock():
                lock = StalledLock.of(view.conversation)
                if self.stalled_locks.reset(job.tables, job.queues, lock, job.trail):
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
