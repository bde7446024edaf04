"""The only module that knows the time: the clock, the deadline of one invocation, and the text form of instants.

Instants are aware datetimes in UTC. They are stored as ISO 8601 with six digits of fraction, so the order of the texts
is the order of the instants. Sweeps and conditions compare instants written by different functions. The protocol stays
safe under skew between their clocks: it can only lengthen a wait or cause a spare trigger.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Protocol

from chalicelib.errors import Code, TryAgain


class Clock(Protocol):
    """Where instants and elapsed seconds come from."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that only ever grow; meaningful as differences."""


class SystemClock:
    """The clock of the machine that we run on."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True)
class Deadline:
    """The moment after which one invocation starts no further call to AWS."""

    clock: Clock
    at: float
    """In seconds of `clock.monotonic()`."""

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> Deadline:
        """The deadline that lies `seconds` ahead; zero or less has passed already."""
        return cls(clock, clock.monotonic() + seconds)

    def later(self, seconds: float) -> Deadline:
        """The deadline that lies `seconds` behind this one."""
        return Deadline(self.clock, self.at + seconds)

    @property
    def has_passed(self) -> bool:
        return self.clock.monotonic() >= self.at

    @property
    def seconds_left(self) -> float:
        """How long until then; zero or less: it has passed."""
        return self.at - self.clock.monotonic()

    @property
    def lifted(self) -> Deadline:
        """A deadline that never passes, for calls that must follow one that was begun in time."""
        return replace(self, at=inf)

    def check(self, call: str, code: Code) -> None:
        """Refuse to start `call` once the deadline has passed.

        Raises:
            TryAgain: nothing was sent; the caller may come again in an invocation of its own.
        """
        if self.has_passed:
            raise TryAgain(code, f"no time left for {call}")


def iso(instant: datetime) -> str:
    """`instant` as ISO 8601 in UTC with microseconds: sortable as text."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def from_iso(text: str) -> datetime:
    """The instant that `text` tells; without an offset it is taken as UTC.

    Raises:
        ValueError: `text` is no ISO 8601 instant.
    """
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def epoch(instant: datetime) -> int:
    """`instant` in whole seconds since 1970: the unit of DynamoDB's time to live."""
    return int(instant.timestamp())


def age(instant: str | None, now: datetime) -> timedelta:
    """How long ago a stored instant was; none, or one that cannot be read, counts as now."""
    try:
        return now - from_iso(instant or "")
    except ValueError:
        return timedelta(0)
