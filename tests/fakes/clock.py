"""A clock that stands until it is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 31, 18, 0, tzinfo=UTC)


class FakeClock:
    """`now()` and `monotonic()` move in step by `advance`; setting `instant` corrects the wall clock alone."""

    def __init__(self, instant: datetime = START) -> None:
        self.instant = instant
        self._elapsed_seconds = 0.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self._elapsed_seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        assert seconds >= 0, "time does not run backwards; set `instant` to correct the wall clock"
        self.instant += timedelta(seconds=seconds)
        self._elapsed_seconds += seconds
