"""Instants of the past as an operator types them: `90m`, `24h`, `7d` ago, or ISO 8601."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import click

from chalicelib.clock import SystemClock, from_iso

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse(text: str) -> timedelta | None:
    """The span that a text tells; None: it tells none."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


def since(text: str, now: datetime) -> datetime | None:
    """The instant that a text tells, seen from now; None: it tells none."""
    try:
        span = parse(text)
        return from_iso(text) if span is None else now - span
    except (ValueError, OverflowError):
        return None


class _Since(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    name = "SINCE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        instant = since(str(value), SystemClock().now())
        return self.fail("such as 90m, 24h, 7d, or 2026-01-31T18:00", param, ctx) if instant is None else instant


SINCE = _Since()
