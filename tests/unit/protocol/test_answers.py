"""The answers that the AI gave lately: the bound that stops two machines from answering each other counts them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.protocol.answers import recent_answers
from chalicelib.protocol.record import Record
from tests.world import conversation

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


def count(entries: Iterable[Any], moved: Any = None) -> int:
    row = conversation(messages=list(entries), **({} if moved is None else {"moved_answers": moved}))
    return len(recent_answers(Record.from_item(row), now=NOW))


@pytest.mark.parametrize(("minutes", "expected"), [([1, 2, 3], 3), ([1, 2, 59], 3), ([1, 2, 60], 2), ([], 0)])
def test_an_answer_counts_for_an_hour(minutes: list[int], expected: int):
    """A loop is quick; a long conversation is none."""
    assert count(map(answer, minutes)) == expected


def test_parts_of_one_reply_are_one_answer():
    """The AI may send ten at once."""
    entries = [answer(part, "batch-1") for part in range(10)]

    assert count([*entries, answer(20, "batch-2")]) == 2


@pytest.mark.parametrize(
    "changes",
    [{"direction": "INBOUND"}, {"source": "human"}, {"source": None}, {"timestamp": "yesterday"}, {"timestamp": 7}],
)
def test_what_no_ai_of_ours_said_is_not_counted(changes: dict[str, Any]):
    """People, the customer, and what the company wrote into the list itself."""
    assert count([answer(1, **changes), "no entry at all"]) == 0


def test_a_moved_answer_counts_as_long_as_one_on_the_record():
    """And a reply of which one part was moved counts once."""
    moved = {"batch-1": iso(NOW - timedelta(minutes=5)), "batch-2": iso(NOW - timedelta(minutes=70))}

    assert count([answer(4, "batch-1"), answer(3, "batch-3")], moved) == 2


@pytest.mark.parametrize("moved", ["many", 3, [], {"batch-1": 7}])
def test_what_another_system_wrote_in_place_of_the_moved_answers_counts_for_nothing(moved: Any):
    """The conversation goes on."""
    assert count([answer(1)], moved) == 1
