"""How long a burst must be quiet before it becomes a batch: the window, fixed or learned from the customer. Pure.

An adaptive window is as long as this customer usually pauses within a burst. It comes from the gaps between their
recent messages, in the record's entries and on the stage. Stage 2 reads both anyway, so it costs no call and no
attribute.

    |--gap--|--gap--|----------- longer than the cap: the end of a burst, no gap within one -----------|--gap--|
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from math import ceil
from typing import Any

from chalicelib.clock import from_iso
from chalicelib.conversations.policies import Policy

GAPS_MIN = 4
"""With fewer gaps to go by, the fixed window applies."""

GAPS_MAX = 40
"""Older gaps are not looked at: a habit changes."""

PERCENTILE = 0.9
"""So large a part of the customer's gaps is shorter than the window that they are given."""

MARGIN = 1.5
"""The window is that much longer than the gap at the percentile, for few gaps say little of the longest."""


def first_delay_seconds(policy: Policy, shortest_seconds: int) -> int:
    """How long after the first message of a burst stage 2 looks at it for the first time.

    Args:
        policy: of the message's channel.
        shortest_seconds: the shortest adaptive window.
    """
    is_adaptive = policy.window_mode == "adaptive"
    return min(shortest_seconds, policy.batch_window_seconds) if is_adaptive else policy.batch_window_seconds


def quiet_seconds(policy: Policy, shortest_seconds: int, cap_seconds: int, received_at: Sequence[datetime]) -> float:
    """How long the customer must be quiet for their burst to be over.

    Args:
        policy: of the newest message's channel.
        shortest_seconds: the shortest adaptive window.
        cap_seconds: of the burst: a longer gap is no gap within a burst.
        received_at: when the customer's recent messages were received, the oldest first.
    """
    fixed = policy.batch_window_seconds
    if policy.window_mode != "adaptive":
        return fixed
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(received_at[-GAPS_MAX - 1 :])]
    within = sorted(gap for gap in gaps if 0 <= gap < cap_seconds)
    if len(within) < GAPS_MIN:
        return fixed
    usual = within[ceil(PERCENTILE * len(within)) - 1]
    return min(max(usual * MARGIN, shortest_seconds), fixed)


def received(entries: Iterable[Mapping[str, Any]]) -> Iterator[datetime]:
    """When the customer's messages among the record's entries were received; an entry that does not say is left out."""
    for one in entries:
        if isinstance(one, Mapping) and one.get("direction") == "INBOUND" and isinstance(one.get("timestamp"), str):
            try:
                yield from_iso(one["timestamp"])
            except ValueError:
                continue
