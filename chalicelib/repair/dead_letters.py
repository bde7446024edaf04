"""Dead letters: a message that cannot be processed goes to its queue's dead-letter queue, with the reason.

A trigger there is never the only copy of anything: what it was for stays staged. A reply there is, so an operator finds
it whole.
"""

from __future__ import annotations

from chalicelib.ports.queues import Queue, cut_for_dead_letter
from chalicelib.telemetry import Level, Metric, Step, Trail


def send_dead_letter(queue: Queue, body: str, *, tenant: str, reason: str, trail: Trail) -> None:
    """Send a message to a dead-letter queue.

    Args:
        queue: the dead-letter queue.
        body: the message as it came.
        tenant: the fairness group that it came with.
        reason: why, told as the attribute `reason`.
        trail: of the invocation.

    Raises:
        TryAgain, Misconfigured: `QUEUE_ERROR`; it was not sent for certain.
    """
    queue.send(cut_for_dead_letter(body, reason), group=tenant, reason=reason)
    trail.log(Step.DEAD_LETTER, Level.ERROR, reason=reason)
    trail.count(Metric.DEAD_LETTER)
