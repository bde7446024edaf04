"""The context of one invocation: its log lines and metrics carry the ids that are known so far."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol, Unpack, cast

from chalicelib.clock import Clock
from chalicelib.telemetry.metrics import NONE, Metric
from chalicelib.telemetry.steps import OF_TROUBLE, ORIGIN, Fields, Level, Step

_PROVIDERS_OWN = re.compile(r"[A-Z]{2}[0-9a-f]{32}|em-unverified")
_SHOWN_LENGTH = 6
_QUIET = frozenset({Level.DEBUG, Level.INFO})


def unverified(message_sid: str) -> str:
    """The id of a message that nobody has verified, as a line may carry it: whole only in a form that has no words."""
    return message_sid if _PROVIDERS_OWN.fullmatch(message_sid) else f"{message_sid[:_SHOWN_LENGTH]}... (unverified)"


def _with_values(fields: Fields) -> Fields:
    """Without the fields that have none."""
    if None not in fields.values():
        return fields
    return cast("Fields", {name: value for name, value in fields.items() if value is not None})


class Telemetry(Protocol):
    """Where use cases tell what they do."""

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        """One line for one step."""

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        """One line for a step that failed, with the error's code and words, or its type and places."""

    def writes(self, level: Level) -> bool:
        """Whether a line of this level is written at all."""

    def count(self, values: Mapping[Metric, float], *, channel: str = NONE, outcome: str = NONE) -> None:
        """Add to metrics, by channel and outcome, never by customer."""


class Trail:
    """What is known so far of the one thing that an invocation handles; each of its lines carries that.

    And the milliseconds since the trail began, so that the differences tell how long each step took. Where the work
    came from (`ORIGIN`) stands in the first line from INFO on, and in each warning and error.
    """

    def __init__(self, telemetry: Telemetry, clock: Clock, **fields: Unpack[Fields]) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._began = clock.monotonic()
        self._fields = _with_values(fields)
        self._is_origin_told = False

    def bind(self, **fields: Unpack[Fields]) -> None:
        """Know more from here on."""
        self._fields = {**self._fields, **_with_values(fields)}

    def with_fields(self, **fields: Unpack[Fields]) -> Trail:
        """A trail of its own, beginning now, for one of several things that an invocation handles."""
        merged: Fields = {**self._fields, **fields}
        return Trail(self._telemetry, self._clock, **merged)

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        """One line for one step."""
        if not self._telemetry.writes(level):
            return
        known = self._known(level)
        merged: Fields = {**known, "milliseconds": self._elapsed, **_with_values(fields)}
        self._telemetry.log(step, level, **merged)

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        """One line for a step that failed."""
        known = self._known(level)
        merged: Fields = {**known, "milliseconds": self._elapsed, **_with_values(fields)}
        self._telemetry.fault(step, error, level, **merged)

    def count(self, metric: Metric, value: float = 1, *, outcome: str = NONE) -> None:
        """Add to a metric, under the channel that the trail knows."""
        self._telemetry.count({metric: value}, channel=self._fields.get("channel", NONE), outcome=outcome)

    def measure(self, values: Mapping[Metric, float]) -> None:
        """Add to several metrics that have one outcome, in one line."""
        self._telemetry.count(values, channel=self._fields.get("channel", NONE))

    @property
    def request_id(self) -> str:
        """The id of the invocation."""
        return self._fields.get("request_id", "none")

    def _known(self, level: Level) -> Fields:
        """What a line of this level has of what is known."""
        is_told = self._is_origin_told
        self._is_origin_told = is_told or level is not Level.DEBUG
        if level not in _QUIET:
            return self._fields
        left_out = ORIGIN if is_told or level is Level.DEBUG else OF_TROUBLE
        return cast("Fields", {name: value for name, value in self._fields.items() if name not in left_out})

    @property
    def _elapsed(self) -> int:
        return round((self._clock.monotonic() - self._began) * 1_000)
