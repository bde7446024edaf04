"""How long a burst must be quiet: as the policy says, or as this customer usually pauses."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chalicelib.clock import iso
from chalicelib.conversations import window
from chalicelib.conversations.policies import Policy, merge
from tests.fakes.clock import START
from tests.world import settings_of

SHORTEST, CAP = 3, 30
FIXED = merge(settings_of(()), {}, "whatsapp").policy
ADAPTIVE = replace(FIXED, window_mode="adaptive", batch_window_seconds=20)


def after(*gaps: float) -> list[datetime]:
    """Instants with these gaps between them."""
    instants = [START]
    for gap in gaps:
        instants.append(instants[-1] + timedelta(seconds=gap))
    return instants


def quiet(policy: Policy, *gaps: float) -> float:
    return window.quiet_seconds(policy, SHORTEST, CAP, after(*gaps))


def test_a_fixed_window_is_the_policys_whatever_the_customer_does():
    assert quiet(FIXED, 1, 1, 1, 1, 1) == FIXED.batch_window_seconds
    assert window.first_delay_seconds(FIXED, SHORTEST) == FIXED.batch_window_seconds


def test_an_adaptive_window_is_looked_at_early():
    assert window.first_delay_seconds(ADAPTIVE, SHORTEST) == SHORTEST


def test_a_window_shorter_than_the_shortest_adaptive_one_stays():
    assert window.first_delay_seconds(replace(ADAPTIVE, batch_window_seconds=1), SHORTEST) == 1
    assert quiet(replace(ADAPTIVE, batch_window_seconds=1), 9, 9, 9, 9) == 1


@pytest.mark.parametrize(
    ("gaps", "seconds"),
    [
        pytest.param((4, 4, 4, 4), 6, id="a steady pace"),
        pytest.param((1, 1, 1, 1), SHORTEST, id="a fast one: the shortest window"),
        pytest.param((18, 18, 18, 18), 20, id="a slow one: the fixed window"),
        pytest.param((4, 4, 4), 20, id="too little to go by: the fixed window"),
        pytest.param((4, 3_600, 4, 7_200, 4, 90_000, 4), 6, id="the end of a burst is no gap within one"),
        pytest.param((4,) * 9 + (12,), 6, id="one long gap of ten is beyond the percentile"),
        pytest.param((4,) * 8 + (12, 12), 18, id="two of ten are not"),
        pytest.param((15,) * 40 + (2,) * 40, SHORTEST, id="an old habit is forgotten"),
    ],
)
def test_an_adaptive_window_is_as_long_as_the_customer_usually_pauses(gaps: tuple[float, ...], seconds: float):
    assert quiet(ADAPTIVE, *gaps) == seconds


@given(some.lists(some.floats(-10, 1_000, allow_nan=False), max_size=60))
def test_an_adaptive_window_stays_between_its_bounds(gaps: list[float]):
    """Whatever the record holds, entries out of order among it."""
    assert SHORTEST <= quiet(ADAPTIVE, *gaps) <= ADAPTIVE.batch_window_seconds


def test_only_the_customers_own_readable_entries_count():
    entries = [
        {"direction": "INBOUND", "timestamp": iso(START)},
        {"direction": "OUTBOUND", "timestamp": iso(START)},
        {"direction": "INBOUND", "timestamp": "soon"},
        {"direction": "INBOUND", "timestamp": 5},
        {"direction": "INBOUND"},
        "written by another system",
    ]

    assert list(window.received(entries)) == [START]
