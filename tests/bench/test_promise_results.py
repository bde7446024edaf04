"""The pages show what the kept evenings came to, and each cell names an evening that replays."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bench.promises import results
from bench.promises.__main__ import NAMES
from bench.promises.contenders.buffer import _joined
from bench.promises.counting import Count, Counted
from bench.promises.queues import Stream
from bench.promises.results import Design, alike, figures, read, schedules, write


def evening(**counts: Any) -> Counted:
    return Counted(Count(messages=10, bursts=4, **counts), [1.0, 2.0], {name: ["c1m0"] for name in counts})


def design(name: str, **evenings: Counted) -> Design:
    return Design(name, ["a note"], "2026-01-05", {int(seed[1:]): one for seed, one in evenings.items()})


def test_the_pages_show_the_kept_evenings_and_no_other_figure():
    designs = alike(results.read_all(results.KEPT, NAMES))

    assert [one.name for one in designs] == NAMES
    assert all(one.evenings for one in designs)
    for path, text in results.pages(designs).items():
        assert path.read_text() == text, "run: python -m bench.promises --pages"


def test_a_design_is_read_as_it_was_written(tmp_path: Path):
    written = design("the obvious build", s1=evening(lost=2), s7=evening())

    write(tmp_path, written, date(2026, 1, 5))

    found = read(tmp_path / "the-obvious-build.json")
    assert (found.name, found.notes, found.played) == ("the obvious build", ["a note"], "2026-01-05")
    assert found.total == written.total
    assert found.evenings[1].surprises == {"lost": ["c1m0"]}
    assert results.kept(tmp_path, "the obvious build").keys() == {1, 7}
    assert results.kept(tmp_path, "another") == {}


def test_only_evenings_that_every_design_played_are_compared():
    one, other = design("one", s1=evening(), s2=evening(lost=1)), design("other", s2=evening(), s3=evening())

    assert [list(each.evenings) for each in alike([one, other])] == [[2], [2]]
    assert alike([]) == []


def test_the_table_adds_the_evenings_up():
    head, rows = figures([design("one", s1=evening(lost=1), s2=evening(lost=2, ai_turns=12))])

    assert head == ["counted", "one"]
    by_name = {row[0]: row[1] for row in rows}
    assert by_name["evenings"] == "2"
    assert by_name["lost"] == "3"
    assert by_name["AI turns per burst"] == "1.50"
    assert by_name["wait, median"] == "1.5 s"


def test_each_count_that_is_not_zero_names_the_first_evening_that_it_comes_from():
    _, rows = schedules([design("one", s3=evening(lost=1), s2=evening()), design("other", s2=evening())])

    assert rows == [["lost (`lost`)", "3", "-"]]


def test_a_stream_tells_a_new_row_from_one_that_was_there_and_gives_one_window_after_another():
    stream = Stream(("sender", "id"))
    for row in ({"sender": "a", "id": "1"}, {"sender": "a", "id": "1"}, {"sender": "a", "id": "2"}):
        stream.put(row)
    stream.close_window()
    stream.close_window()
    stream.put({"sender": "b", "id": "1"})

    assert [one["eventName"] for one in stream.closed[0]] == ["INSERT", "MODIFY", "INSERT"]
    assert len(stream.closed) == 1
    assert len(stream.open_window) == 1


@pytest.mark.parametrize(
    ("kinds", "items"),
    [
        ("text text", [["1", "2"]]),
        ("text image text", [["1"], ["2"], ["3"]]),
        ("image image", [["1"], ["2"]]),
    ],
)
def test_the_sample_joins_consecutive_texts_and_leaves_other_kinds_apart(kinds: str, items: list[list[str]]):
    rows = [
        {"conversation_id": "a", "timestamp": f"{number}", "type": kind, "text": f"{number}"}
        for number, kind in enumerate(kinds.split(), 1)
    ]

    assert [one["texts"] for one in _joined(rows[::-1])] == items
