"""Dead letters: a message that cannot be processed goes to its queue's dead-letter queue, with the reason.

A dead trigger is never the only copy of anything: its messages stay staged. A dead reply is the only copy, so an
operator finds it whole.
"""

from __future__ import annotations

from chalicelib.ports.queues import NO_ATTRIBUTES, REASON, Attributes, Queue, cut_to_fit
from chalicelib.telemetry import Level, Metric, Step, Trail


def send_dead_letter(
    queue: Queue, body: str, *, tenant: str, reason: str, trail: Trail, attributes: Attributes = NO_ATTRIBUTES
) -> None:
    """Send a message to a dead-letter queue.

    Args:
        queue: the dead-letter queue.
        body: the message as it came.
        tenant: the fairness group that it came with.
        reason: why, told as the attribute `reason`.
        trail: of the invocation.
        attributes: what else is told beside the body.

    Raises:
        TryAgain, Misconfigured: `QUEUE_ERROR`; it was not sent for certain.
    """
    told = {**attributes, REASON: reason}
    queue.send(cut_to_fit(body, told), group=tenant, attributes=told)
    trail.log(Step.DEAD_LETTER, Level.ERROR, reason=reason)
    trail.count(Metric.DEAD_LETTER)
