"""The bench of second thoughts: what it counts of one burst."""

from __future__ import annotations

import sys

import pytest

from bench.second_thoughts import Outcome, Trace, main, play


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("queue", Outcome(answers=2, ignoring=1, unanswered=0, turns=2, ai_seconds=50, last_answer_seconds=41)),
        ("restart", Outcome(answers=1, ignoring=0, unanswered=0, turns=2, ai_seconds=40, last_answer_seconds=30)),
        ("reject", Outcome(answers=1, ignoring=1, unanswered=1, turns=1, ai_seconds=30, last_answer_seconds=20)),
    ],
)
def test_a_burst_is_counted_by_what_the_customer_and_the_ai_see(policy: str, expected: Outcome):
    """One more message after 20 s, while a first turn of 30 s runs; the second one takes 20 s."""
    outcome = play(Trace(20, [30, 20]), policy)

    assert outcome == expected


def test_a_message_within_the_window_is_no_second_thought():
    """Both are in the first batch."""
    outcomes = {play(Trace(3, [30]), policy) for policy in ("queue", "restart", "reject")}

    assert [(one.answers, one.turns) for one in outcomes] == [(1, 1)]


def test_it_prints_a_table_for_each_pause_and_one_for_all(monkeypatch: pytest.MonkeyPatch, capsys):
    """With each policy in each."""
    monkeypatch.setattr(sys, "argv", ["second_thoughts", "--customers", "1"])

    main()

    told = capsys.readouterr().out
    assert [told.count(one) for one in ("one more message after", "restart", "reject")] == [4, 5, 5]
