"""How often the AI answered lately: the bound that stops two machines from answering each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.conversations.answer_rate import is_reached

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)


def answer(minutes_ago: float, batch_id: str = "", **changes: Any) -> dict[str, Any]:
    told = {
        "direction": "OUTBOUND",
        "source": "ai",
        "timestamp": iso(NOW - timedelta(minutes=minutes_ago)),
        "send_id": f"send-{minutes_ago}",
        **({"batch_id": batch_id} if batch_id else {}),
    }
    return {**told, **changes}


@pytest.mark.parametrize(
    ("minutes", "is_full"), [([1, 2, 3], True), ([1, 2], False), ([1, 2, 59], True), ([1, 2, 60], False)]
)
def test_the_bound_is_of_the_last_hour(minutes: list[int], is_full: bool):
    """A loop is quick; a long conversation is none."""
    assert is_reached([answer(one) for one in minutes], answers_max=3, now=NOW) is is_full


def test_parts_of_one_reply_are_one_answer():
    """The AI may send ten at once."""
    entries = [answer(part, "batch-1") for part in range(10)]

    assert not is_reached(entries, answers_max=2, now=NOW)
    assert is_reached([*entries, answer(20, "batch-2")], answers_max=2, now=NOW)


@pytest.mark.parametrize(
    "changes",
    [{"direction": "INBOUND"}, {"source": "human"}, {"source": None}, {"timestamp": "yesterday"}, {"timestamp": 7}],
)
def test_what_no_ai_of_ours_said_is_not_counted(changes: dict[str, Any]):
    """People, the customer, and what the company wrote into the list itself."""
    assert not is_reached([answer(1, **changes)], answers_max=1, now=NOW)


def test_a_bound_of_zero_sends_everything_to_people():
    """A company may want no automatic answers at all."""
    assert is_reached([], answers_max=0, now=NOW)
