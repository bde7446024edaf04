"""How a message of a replies queue ends: it comes again, it is refused, or its end is reported.

After every end of a turn the stage is read, and the messages that came meanwhile are triggered at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.clock import Clock
from chalicelib.errors import Misconfigured, ReplyCode, TryAgain
from chalicelib.outbound.job import Entry, Job, Later, NotRequeued
from chalicelib.ports.queues import DELAY_SECONDS_MAX
from chalicelib.repair.dead_letters import send_dead_letter
from chalicelib.repair.reconciliation import record_sent
from chalicelib.repair.retriggering import Retriggering
from chalicelib.repair.retrying import Again, Exhausted, next_try, send_reply_again
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step


@dataclass(frozen=True)
class Endings:
    """Ends messages of the replies queues."""

    retriggering: Retriggering
    clock: Clock
    settings: Settings

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
        job = replace(job, reply=job.reply.again())
        attempts_max = self.settings.reply_attempts_max
        match next_try(job.reply.attempt, attempts_max, self.settings, at_least=seconds, at_most=longest):
            case Exhausted():
                self.dead_letter(job, code)
            case retry:
                self._send_again(job, code, retry)

    def wait(self, job: Job, code: str, *, seconds: int) -> bool:
        """Have the message come again after this time; it spends no attempt, for it has not failed.

        Raises:
            TryAgain, Misconfigured: even that failed.
        """
        self._send_again(job, code, Again(seconds))
        return True

    def requeue(self, job: Job, later: Later, *, longest: int = DELAY_SECONDS_MAX) -> None:
        """Send the reply to its queue again, with the tokens of the claims that sent nothing.

        Raises:
            NotRequeued: the send failed; whoever tries it once more has the tokens too.
        """
        try:
            self.retry_later(job, later.code, seconds=later.seconds, longest=longest)
        except (TryAgain, Misconfigured) as fault:
            raise NotRequeued(fault, job.reply) from fault

    def record(self, job: Job, entries: Sequence[Entry], *, is_whole: bool) -> bool:
        """Record what was sent without the claim on the record; whether it was news."""
        return record_sent(
            job.tables,
            job.reply.conversation,
            entries,
            reply_id=job.reply.reply_id,
            is_whole=is_whole,
            context_attributes=self.settings.context_attributes,
            clock=self.clock,
        )

    def refused(self, job: Job, code: ReplyCode, *, level: Level = Level.WARNING) -> bool:
        """Report that a message that ends no turn is refused."""
        job.trail.log(Step.REPLY_REFUSED, level, code=code)
        job.trail.count(Metric.REPLY_REFUSED, outcome=code)
        return True

    def refuse(self, job: Job, code: ReplyCode) -> bool:
        """Report that a reply is refused, and look at the stage."""
        self.refused(job, code)
        return self.look_at_stage(job)

    def report(self, job: Job, step: Step, entries: Sequence[Entry], error_code: str | None) -> None:
        """Report how the sending of a reply ended."""
        is_unknown = error_code == ReplyCode.UNKNOWN_OUTCOME
        level = Level.ERROR if is_unknown else Level.WARNING if error_code else Level.INFO
        job.trail.log(step, level, code=error_code, count=len(entries))
        if error_code is not None:
            job.trail.count(Metric.REPLY_UNKNOWN if is_unknown else Metric.REPLY_REFUSED, outcome=error_code)

    def ended(self, job: Job, entries: Sequence[Entry], error_code: str | None) -> bool:
        """Report the end of a reply, and look at the stage."""
        self.report(job, Step.RELEASED, entries, error_code)
        return self.look_at_stage(job)

    def ended_before(self, job: Job) -> bool:
        """Look at the stage for an earlier delivery, which ended the reply and may have failed before it looked."""
        job.trail.log(Step.REPLY_ENDED, Level.DEBUG)
        return self.look_at_stage(job)

    def dead_letter(self, job: Job, code: str) -> None:
        """Send the reply to the dead-letter queue, as it first came."""
        first = replace(job.reply, attempt=0)  # one that is redriven starts anew
        send_dead_letter(
            job.queues.dead_replies,
            first.message,
            tenant=job.tenant,
            reason=code,
            trail=job.trail,
            attributes=first.attributes,
        )

    def look_at_stage(self, job: Job) -> bool:
        """Trigger what was staged meanwhile."""
        self.retriggering.look(job.tables, job.queues, job.reply.conversation, job.trail)
        return True

    @staticmethod
    def _send_again(job: Job, code: str, again: Again) -> None:
        send_reply_again(
            job.queues,
            job.reply.message,
            again,
            attempt=job.reply.attempt,
            code=code,
            tenant=job.tenant,
            trail=job.trail,
            attributes=job.reply.attributes,
        )
