"""The patience with an AI: it doubles with each lock that stalls in a row, and an answer takes back what it can."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.record import Record
from chalicelib.repair.patience import (
    REDISPATCH_SECONDS_MAX,
    has_stalled,
    is_answer_overdue,
    patience_max,
    patience_of,
    resets_kept,
)
from tests.fakes.clock import START
from tests.world import conversation, settings_of

SETTINGS = settings_of(())


def record(*, seconds: float, **changes: Any) -> Record:
    """A record whose lock and turn began so many seconds ago."""
    since = iso(START - timedelta(seconds=seconds))
    locked = {"conversation_status": "processing_reply", "last_batch_id": "b-1", "unanswered_ids": ["A"]}
    return Record.from_item(
        conversation(**{**locked, "processing_started_at": since, "turn_started_at": since, **changes})
    )


@pytest.mark.parametrize(("resets", "seconds"), [(0, 300), (1, 600), (2, 1_200), (3, 1_800), (10_000, 1_800)])
def test_the_patience_of_a_lock_doubles_with_each_stall_up_to_the_longest_turn(resets: int, seconds: int):
    """A lock stalls once it is older than that."""
    young, old = (record(seconds=at, stall_resets=resets) for at in (seconds, seconds + 1))

    assert patience_of(young, SETTINGS) == timedelta(seconds=seconds) <= patience_max(SETTINGS)
    assert (has_stalled(young, START, SETTINGS), has_stalled(old, START, SETTINGS)) == (False, True)


def test_a_stall_timeout_beyond_the_longest_turn_never_grows():
    """The bound is the longer of the two."""
    settings = settings_of(
        (("stall_timeout_seconds", "600"), ("turn_max_seconds", "60"), ("requeue_attempts_max", "9"))
    )

    assert patience_max(settings) == timedelta(seconds=600)


@pytest.mark.parametrize("claim", ["r-1", PEOPLE])
def test_a_claimed_lock_has_the_stall_timeout_alone(claim: str):
    """It no longer waits for the AI."""
    assert patience_of(record(seconds=0, stall_resets=3, reply_claim=claim), SETTINGS) == timedelta(seconds=300)


@pytest.mark.parametrize(("seconds", "expected"), [(300, False), (301, True)])
def test_a_claim_stalls_by_its_own_age(seconds: int, expected: bool):
    """R7: however old its lock is."""
    claimed = {"reply_claim": "r-1", "reply_claimed_at": iso(START - timedelta(seconds=seconds))}

    assert has_stalled(record(seconds=350, **claimed), START, SETTINGS) is expected


def test_a_claim_that_pauses_stalls_by_the_start_that_the_pause_set():
    """R7: its own age then says only that it may be taken over."""
    paused = {"reply_claim": "r-1", "reply_claimed_at": "1970-01-01T00:00:00.000000+00:00"}

    assert [has_stalled(record(seconds=age, **paused), START, SETTINGS) for age in (300, 301)] == [False, True]


@pytest.mark.parametrize(
    ("resets", "seconds", "kept"),
    [(0, 5_000, 0), (1, 300, 0), (1, 301, 1), (3, 20, 0), (3, 700, 2), (3, 5_000, 3), (10_000, 5_000, 16)],
)
def test_an_answer_keeps_the_patience_that_it_needed_and_no_more(resets: int, seconds: int, kept: int):
    """So a slow AI is not reset again at every turn, and one that is fast again is not waited for."""
    assert resets_kept(record(seconds=seconds, stall_resets=resets), START, SETTINGS) == kept


@pytest.mark.parametrize(
    ("resets", "seconds", "expected"),
    [
        (0, 299, False),
        (0, 300, True),
        (1, 599, False),
        (1, 600, True),
        (3, 2_399, False),
        (3, 2_400, True),
        (9, REDISPATCH_SECONDS_MAX - 1, False),
        (9, REDISPATCH_SECONDS_MAX, True),
        (10_000, REDISPATCH_SECONDS_MAX, True),
    ],
)
def test_the_wait_for_a_late_answer_doubles_with_each_stall_up_to_a_day(resets: int, seconds: int, expected: bool):
    """Then the batch is dispatched once more."""
    watched = record(seconds=seconds, lock_shard="open-0", stall_resets=resets)

    assert is_answer_overdue(watched, START, SETTINGS) is expected


def test_a_lock_is_never_an_overdue_answer():
    """It stalls, which is another thing."""
    assert not is_answer_overdue(record(seconds=0), START + timedelta(days=9), SETTINGS)
