"""Retrying: decides whether something that failed is tried again, and when.

The delay grows with each try. After the last try the caller dead-letters or drops it, and reports it.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.ports.queues import DELAY_SECONDS_MAX, NO_ATTRIBUTES, RETRY_ATTEMPT, Attributes, Queues
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail


@dataclass(frozen=True)
class Again:
    """It comes again after so many seconds."""

    seconds: int


@dataclass(frozen=True)
class Exhausted:
    """It came as often as it may."""


def next_try(
    attempt: int, attempts_max: int, settings: Settings, *, at_least: int = 0, at_most: int = DELAY_SECONDS_MAX
) -> Again | Exhausted:
    """Whether something that failed is tried again, as try number `attempt`, and when; pure.

    Args:
        attempt: of the coming try: 1 for the first that is a repeat.
        attempts_max: how many repeats there may be.
        settings: determine how the delay grows.
        at_least: how many seconds it waits at least.
        at_most: how many seconds it waits at most.
    """
    if attempt > attempts_max:
        return Exhausted()
    return Again(min(max(at_least, settings.requeue_delay(attempt)), at_most))


def send_reply_again(
    queues: Queues,
    body: str,
    again: Again,
    *,
    attempt: int,
    code: str,
    tenant: str,
    trail: Trail,
    attributes: Attributes = NO_ATTRIBUTES,
) -> None:
    """Send a message of the replies queue to it once more.

    Args:
        queues: of the invocation.
        body: the message, telling its attempt.
        again: when it comes.
        attempt: how often it came again, this time included.
        code: why.
        tenant: the fairness group that it came with.
        trail: of the message.
        attributes: what else is told beside the body.

    Raises:
        TryAgain, Misconfigured: `QUEUE_ERROR`.
    """
    told: Attributes = {**attributes, RETRY_ATTEMPT: attempt}
    queues.replies.send(body, group=tenant, delay_seconds=again.seconds, attributes=told)
    trail.log(Step.REQUEUED, Level.WARNING, attempt=attempt, reason=code, seconds=again.seconds)
    trail.count(Metric.REPLY_RETRIED, outcome=code)
