"""Time: deadlines, and how instants are written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chalicelib.clock import Deadline, SystemClock, epoch, from_iso, iso
from chalicelib.errors import Code, TryAgain
from tests.fakes.clock import FakeClock

INSTANT = datetime(2026, 1, 31, 18, 0, 0, 5, tzinfo=UTC)


def test_before_its_deadline_a_call_may_start():
    """Up to the last moment."""
    clock = FakeClock()
    deadline = Deadline.after(clock, 2.5)
    clock.advance(2.4)

    deadline.check("GetItem conversations", Code.DB_TRANSIENT_ERROR)

    assert not deadline.has_passed


@pytest.mark.parametrize("seconds", [2.5, 3], ids=["on the dot", "later"])
def test_after_its_deadline_no_call_starts_and_the_error_says_that_it_did_not(seconds: float):
    """With the code that the caller gave, and the call's name."""
    clock = FakeClock()
    deadline = Deadline.after(clock, 2.5)
    clock.advance(seconds)

    with pytest.raises(TryAgain) as refused:
        deadline.check("GetItem conversations", Code.DB_TRANSIENT_ERROR)

    assert (refused.value.code, refused.value.maybe_applied) == (Code.DB_TRANSIENT_ERROR, False)
    assert "GetItem conversations" in refused.value.detail


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_time_left_is_a_deadline_that_has_passed(seconds: float):
    """Zero remaining milliseconds is a number."""
    deadline = Deadline.after(FakeClock(), seconds)

    has_passed = deadline.has_passed

    assert has_passed


def test_a_corrected_wall_clock_moves_no_deadline():
    """It is measured in elapsed seconds."""
    clock = FakeClock()
    deadline = Deadline.after(clock, 2.5)

    clock.instant += timedelta(days=1)

    assert not deadline.has_passed


def test_instants_are_written_in_utc_with_six_digits():
    """Whatever their offset, and where the fraction is zero."""
    noon = datetime(2026, 1, 31, 12, 0, tzinfo=timezone(timedelta(hours=2)))

    text = iso(noon)

    assert text == "2026-01-31T10:00:00.000000+00:00"


@given(
    one=some.datetimes(timezones=some.timezones(), min_value=datetime(1970, 1, 2), max_value=datetime(9000, 1, 1)),  # noqa: DTZ001
    other=some.datetimes(timezones=some.timezones(), min_value=datetime(1970, 1, 2), max_value=datetime(9000, 1, 1)),  # noqa: DTZ001
)
def test_the_order_of_the_texts_is_the_order_of_the_instants(one: datetime, other: datetime):
    """So that DynamoDB can compare them."""
    one, other = one.astimezone(UTC), other.astimezone(UTC)

    texts = iso(one), iso(other)

    assert (texts[0] < texts[1]) is (one < other)


def test_an_instant_is_read_as_it_was_written():
    """To the microsecond."""
    text = iso(INSTANT)

    instant = from_iso(text)

    assert instant == INSTANT


@pytest.mark.parametrize("text", ["2026-01-31T18:00:00.000005", "2026-01-31T18:00:00.000005Z"])
def test_an_instant_without_an_offset_is_in_utc(text: str):
    """As other systems write it."""
    instant = from_iso(text)

    assert instant == INSTANT


def test_a_text_that_is_no_instant_is_an_error():
    """And no guess."""
    with pytest.raises(ValueError, match="Invalid isoformat"):
        from_iso("yesterday")


def test_the_time_to_live_is_in_whole_seconds():
    """Since 1970."""
    seconds = epoch(INSTANT)

    assert seconds == 1_769_882_400


def test_the_systems_clock_tells_utc_and_never_runs_back():
    """Aware, so that nobody compares it with a naive one."""
    clock = SystemClock()

    now, first, second = clock.now(), clock.monotonic(), clock.monotonic()

    assert now.tzinfo is UTC
    assert second >= first
