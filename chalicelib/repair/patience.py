"""How long the engine waits for an AI that does not answer; pure.

    patience    the stall timeout, doubled by each lock that stalled in a row, up to TURN_MAX_SECONDS: a lock stalls
    re-dispatch the same, doubled once more and up to a day: a batch whose lock was reset is dispatched once more

The record counts the locks that stalled in a row (`stall_resets`). An answer lowers the count to what it needed: a
conversation whose AI is slow keeps its patience, and one whose AI is fast again loses it with the next answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from chalicelib.protocol.record import Record
from chalicelib.settings import Settings

REDISPATCH_SECONDS_MAX = 86_400
"""How long a batch that was never answered waits at most before it is dispatched once more."""

_DOUBLINGS_MAX = 16
"""Beyond this any patience has reached its bound."""


def patience_of(record: Record, settings: Settings) -> timedelta:
    """How old the record's lock becomes before it counts as stalled.

    A lock that a reply has claimed, or people, no longer waits for the AI: it has the stall timeout alone.
    """
    resets = 0 if record.claim is not None else record.stall_resets
    return timedelta(seconds=_lock_seconds(resets, settings))


def patience_max(settings: Settings) -> timedelta:
    """The longest that any lock has."""
    return timedelta(seconds=_lock_seconds(_DOUBLINGS_MAX, settings))


def has_stalled(record: Record, now: datetime, settings: Settings) -> bool:
    """Whether the record's lock is older than its patience."""
    return record.lock_age(now) > patience_of(record, settings)


def claimer_left(record: Record, now: datetime, settings: Settings) -> timedelta:
    """How long the process that claimed the record may still be alive; zero or less: it cannot be."""
    return timedelta(seconds=settings.reconcile_after_seconds) - record.claim_age(now)


def is_answer_overdue(record: Record, now: datetime, settings: Settings) -> bool:
    """Whether a batch that was never answered has waited long enough to be dispatched once more.

    A slow AI's late answer is taken until then.
    """
    seconds = min(_doubled(record.stall_resets, settings), REDISPATCH_SECONDS_MAX)
    return record.watched_since is not None and record.watched_for(now) >= timedelta(seconds=seconds)


def resets_kept(record: Record, now: datetime, settings: Settings) -> int:
    """What an answer leaves of `stall_resets`: the fewest whose patience the turn would have kept."""
    taken = record.turn_age(now)
    fewer = range(min(record.stall_resets, _DOUBLINGS_MAX))
    enough = (count for count in fewer if taken <= timedelta(seconds=_lock_seconds(count, settings)))
    return next(enough, len(fewer))


def _lock_seconds(resets: int, settings: Settings) -> int:
    return min(_doubled(resets, settings), max(settings.stall_timeout_seconds, settings.turn_max_seconds))


def _doubled(resets: int, settings: Settings) -> int:
    return settings.stall_timeout_seconds << min(resets, _DOUBLINGS_MAX)
