"""A customer who types steadily at a slow AI: they are answered, and no message waits beyond the staleness bound."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.repair.patience import patience_max
from tests.load.hours import STEP_SECONDS, Hours
from tests.world import World


def hours(*, every: int, ai: int, seconds: int) -> Hours:
    """A conversation in which so many seconds have passed; the AI takes longer than the stall timeout or not."""
    one = Hours(World(log_level="INFO"), every, ai)
    one.run(seconds)
    return one


def bound_seconds(world: World, turn_seconds: float) -> float:
    """The staleness bound of docs/limits.md: a turn, the cap, and what the clock of this world leaps."""
    return turn_seconds + world.settings.batch_max_wait_seconds + 2 * STEP_SECONDS


def test_an_ai_that_is_slower_than_the_stall_timeout_answers_a_customer_who_writes_on():
    """A message each 150 s, an AI of 400 s, an hour: without patience none of them was answered, and 11 were stale."""
    hour = hours(every=150, ai=400, seconds=3_600)

    assert hour.received == 24
    assert len(hour.world.phone.texts) >= 8
    assert hour.stale == 1, "the lock of the first turn alone stalls"
    assert hour.dispatched <= hour.received + 3, "the AI is sent hardly a message twice"
    assert hour.notices <= len(hour.world.phone.texts) + 1, "the customer is told once per answered batch"
    assert max(hour.waits.values()) <= bound_seconds(hour.world, hour.ai_seconds)


def test_patience_grows_until_it_outlasts_the_ai():
    """An AI of 700 s is given 300, 600 and then 1,200 s; each reset says what the next turn is given."""
    hour = hours(every=150, ai=700, seconds=2_700)

    resets = [line for line in hour.world.telemetry.lines if line["step"] == "reset_stalled_lock"]
    assert [(line["count"], line["seconds"]) for line in resets] == [(1, 600), (2, 1_200)]
    assert hour.world.phone.texts


def test_an_ai_that_is_fast_again_is_given_the_stall_timeout_again():
    """The first quick answer takes the patience back."""
    hour = hours(every=150, ai=400, seconds=900)
    hour.ai_seconds = 20

    hour.run(900)

    assert "stall_resets" not in hour.world.row


@pytest.mark.parametrize(("every", "ai"), [(8, 250), (3, 250)])
def test_no_message_of_a_customer_who_types_without_end_waits_longer_than_the_bound(every: int, ai: int):
    """One batch takes all that comes in during a turn, up to 99 messages: the wait does not grow from turn to turn."""
    quarter = hours(every=every, ai=ai, seconds=600)

    assert len(quarter.waits) > ai / every
    assert max(quarter.waits.values()) <= bound_seconds(quarter.world, ai)


def test_an_ai_that_never_answers_keeps_no_message_from_a_batch_longer_than_the_longest_patience():
    """Each stalled lock makes way for a batch that has all that came in since."""
    hour = hours(every=150, ai=100_000, seconds=3_600)

    assert not hour.world.phone.texts
    longest = patience_max(hour.world.settings) / timedelta(seconds=1)
    assert max(hour.waits.values()) <= bound_seconds(hour.world, longest)
