"""Retrying: a message that cannot be sent now is sent to the replies queue again, with a growing delay."""

from __future__ import annotations

from chalicelib.ports.queues import DELAY_SECONDS_MAX, NO_ATTRIBUTES, RETRY_ATTEMPT, Attributes, Queues
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail


def send_later(
    queues: Queues,
    body: str,
    *,
    attempt: int,
    code: str,
    seconds: int,
    tenant: str,
    settings: Settings,
    trail: Trail,
    longest: int = DELAY_SECONDS_MAX,
    attributes: Attributes = NO_ATTRIBUTES,
) -> None:
    """Send a message of the queue of replies to it once more.

    Args:
        queues: of the invocation.
        body: the message, telling its attempt.
        attempt: how often it came again, this time included.
        code: why.
        seconds: how long to wait at least.
        tenant: the fairness group that it came with.
        settings: tell how the delay grows.
        trail: of the message.
        longest: how long to wait at most.
        attributes: what else is told beside the body.

    Raises:
        TryAgain, Misconfigured: `QUEUE_ERROR`.
    """
    delay = min(max(seconds, settings.requeue_delay(attempt)), longest)
    told: Attributes = {**attributes, RETRY_ATTEMPT: attempt}
    queues.replies.send(body, group=tenant, delay_seconds=delay, attributes=told)
    trail.log(Step.REQUEUED, Level.WARNING, attempt=attempt, reason=code, seconds=delay)
    trail.count(Metric.REPLY_RETRIED, outcome=code)
