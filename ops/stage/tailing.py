"""Tailing: the lines of all functions as one stream, in order of time, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from chalicelib.clock import Clock
from ops.stage.logs import LocalLogs, LogEvent, Logs

POLL_SECONDS = 2.0

_OVERLAP = timedelta(seconds=60)
"""How far back each look reaches: a line comes to CloudWatch some seconds after it was written."""

_LAMBDA_S_ALARMS = ("Task timed out", "Runtime exited", "Traceback", "[ERROR]", "Unable to import module")


def follow(
    logs: Logs | LocalLogs, since: datetime, clock: Clock, wait: Callable[[float], bool], words: str | None
) -> Iterator[LogEvent]:
    """What was written since an instant, and then what is written, until `wait` says that it is over.

    Args:
        logs: of the stage.
        since: where to begin.
        clock: tells how far each look reaches back.
        wait: waits so many seconds; true: end.
        words: only lines that hold them; None: all.
    """
    seen: dict[str, datetime] = {}
    begin = since
    while True:
        looked_at = clock.now()
        found = [one for one in logs.lines(begin, words=words) if one.event_id not in seen]
        yield from sorted(found, key=lambda one: (one.at, one.event_id))
        begin = max(since, looked_at - _OVERLAP)
        seen |= {one.event_id: one.at for one in found}
        seen = {event_id: at for event_id, at in seen.items() if at >= begin}
        if wait(POLL_SECONDS):
            return


def is_worth_showing(event: LogEvent) -> bool:
    """Whether a line is our own, or tells that Lambda could not run a function."""
    return event.line is not None or any(one in event.text for one in _LAMBDA_S_ALARMS)
