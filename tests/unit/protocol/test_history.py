"""The history: H1 to H3."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.protocol import conversation_lock, history
from chalicelib.protocol.history import MOVED_AT_ONCE_MAX, Bounds
from chalicelib.protocol.record import Record
from tests.fakes.clock import START
from tests.fakes.faults import Crash, Fault
from tests.world import KEY, World, conversation

BOUNDS = Bounds(entries_keep=8, bytes_max=65_536, young_hours=72)


def old(number: int, *, days: int = 30, **changes: Any) -> dict[str, Any]:
    return {"message_id": f"old-{number}", "timestamp": iso(START - timedelta(days=days)), "content": "x", **changes}


def holding(*entries: Any, unanswered: tuple[str, ...] = ()) -> World:
    return World(None, conversation(messages=list(entries), unanswered_ids=list(unanswered)))


def record(world: World) -> Record:
    return Record.from_item(world.row)


def count(*entries: Any, bounds: Bounds = BOUNDS, unanswered: tuple[str, ...] = ()) -> int:
    return history.movable_count(record(holding(*entries, unanswered=unanswered)), bounds, now=START)


def move(world: World, number: int, seen: Record | None = None) -> bool:
    tables = world.tables
    return history.move(tables.conversations, tables.history, seen or record(world), number, now=world.clock.now())


def moved(world: World) -> list[Any]:
    """The entries in the history."""
    return [row["entry"] for row in world.tables.history.rows]


class TestBounds:
    @pytest.mark.parametrize(("length", "expected"), [(0, 0), (8, 0), (10, 0), (11, 3), (40, 32)])
    def test_a_record_keeps_its_latest_entries(self, length: int, expected: int):
        """A quarter above the bound before anything is moved, so that a move is rare."""
        assert count(*map(old, range(length))) == expected

    def test_what_is_younger_stays_where_the_bytes_allow(self):
        """Late duplicates are known by it without a look into the history."""
        entries = [*map(old, range(5)), *(old(number, days=1) for number in range(5, 40))]

        assert count(*entries) == 5

    def test_an_old_entry_behind_a_young_one_stays(self):
        """H2: entries leave from the front of the list only."""
        entries = [old(0, days=1), *map(old, range(1, 40))]

        assert count(*entries) == 0

    def test_beyond_its_bytes_even_young_entries_leave(self):
        """Down to three quarters of the bound, so that a move is rare."""
        entries = [old(number, days=0, content="x" * 10_000) for number in range(8)]

        leaving = count(*entries)

        size = len(json.dumps(entries[leaving:]).encode())
        assert size <= BOUNDS.bytes_max * 3 // 4 + 200
        assert leaving == 4

    def test_what_is_unanswered_is_never_moved(self):
        """H2: nor is anything behind it, however large."""
        entries = [old(number, content="x" * 10_000) for number in range(20)]

        assert count(*entries, unanswered=("old-3", "old-9")) == 3

    def test_a_move_takes_no_more_than_one_update_can(self):
        """A long record that we find is brought down over several batches."""
        assert count(*map(old, range(500))) == MOVED_AT_ONCE_MAX

    def test_a_setting_turns_it_off(self):
        """The record is the company's."""
        bounds = Bounds(entries_keep=0, bytes_max=4_096, young_hours=0)

        assert count(*(old(number, content="x" * 1_000) for number in range(100)), bounds=bounds) == 0

    @pytest.mark.parametrize(
        "strange", [{"content": "no id, no time"}, {"timestamp": "yesterday"}, {"timestamp": 7}, "a text", 7, None, []]
    )
    def test_an_entry_of_the_company_s_without_id_or_time_counts_as_old(self, strange: Any):
        """Whatever it put there."""
        assert count(*[strange] * 40) == 32


class TestMove:
    def test_the_first_entries_leave_for_the_history(self):
        """H2: as they stand, in order, and the record says that some have left."""
        world = holding(*map(old, range(12)))

        is_moved = move(world, 4)

        assert is_moved
        assert [one["message_id"] for one in world.row["messages"]] == [f"old-{number}" for number in range(4, 12)]
        assert moved(world) == [old(number) for number in range(4)]
        assert world.row["messages_moved_before"] == iso(START)

    def test_young_answers_of_the_ai_that_leave_stay_known(self):
        """For an hour, over several moves: they count, however few entries the bytes allow."""
        of_ai = {"direction": "OUTBOUND", "source": "ai"}
        world = holding(*(old(number, days=0, batch_id=f"batch-{number}", **of_ai) for number in range(6)))

        known = []
        for minutes, number in ((0, 2), (59, 1), (1, 1)):
            world.clock.advance(60 * minutes)
            move(world, number)
            known.append(sorted(world.row.get("moved_answers", ())))

        assert known == [["batch-0", "batch-1"], ["batch-0", "batch-1", "batch-2"], []]

    def test_an_entry_is_in_the_history_before_it_leaves(self):
        """H1: the history is written first."""
        world = holding(*map(old, range(30)))

        move(world, 30)

        assert [call.operation for call in world.plan.calls] == [
            "BatchGetItem",
            "BatchWriteItem",
            "BatchWriteItem",
            "UpdateItem",
        ]

    @pytest.mark.parametrize("call", [1, 2])
    @pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
    def test_a_crash_loses_nothing_and_the_next_move_writes_the_same_rows(self, call: int, fault: Fault):
        """H1: in between an entry is on both."""
        world = holding(*map(old, range(12)), {"free": "text"})
        world.plan.faults = {call: fault}

        with pytest.raises(Crash):
            move(world, 4)
        world.plan.revive()
        kept = [one["message_id"] for one in world.row["messages"] if "message_id" in one]
        move(world, 4)

        everything = {one["message_id"] for one in moved(world)} | {*kept}
        assert everything == {f"old-{number}" for number in range(12)}
        assert len(moved(world)) == len({json.dumps(one) for one in moved(world)})

    def test_a_record_that_the_company_trimmed_meanwhile_keeps_its_entries(self):
        """H2: the last entry that leaves no longer stands where it was read."""
        world = holding(*map(old, range(12)))
        seen = record(world)
        world.tables.conversations.seed({**world.row, "messages": world.row["messages"][1:]})

        is_moved = move(world, 4, seen)

        assert not is_moved
        assert [one["message_id"] for one in world.row["messages"]] == [f"old-{number}" for number in range(1, 12)]

    def test_one_appended_and_one_trimmed_between_read_and_move_lose_nothing(self):
        """H2: the list is as long as it was read, and holds other entries; what is in no history stays."""
        world = holding(*map(old, range(12)))
        seen = record(world)
        world.tables.conversations.seed({**world.row, "messages": [*world.row["messages"][1:], old(99)]})

        is_moved = move(world, 4, seen)

        known = {one["message_id"] for one in (*world.row["messages"], *moved(world))}
        assert not is_moved
        assert known == {*(f"old-{number}" for number in range(12)), "old-99"}

    def test_what_the_company_appends_meanwhile_does_not_hold_up_a_move(self):
        """H2: it comes behind what was read."""
        world = holding(*map(old, range(12)))
        seen = record(world)
        world.tables.conversations.seed({**world.row, "messages": [*world.row["messages"], old(99)]})

        is_moved = move(world, 4, seen)

        assert is_moved
        assert [one["message_id"] for one in world.row["messages"]] == [
            *(f"old-{number}" for number in range(4, 12)),
            "old-99",
        ]

    def test_an_entry_without_an_id_is_named_by_all_that_it_says(self):
        """H2: the company may write what it likes, and trim it too."""
        world = holding({"free": "text"}, {"free": "text 2"}, old(1))
        seen = record(world)
        world.tables.conversations.seed({**world.row, "messages": world.row["messages"][1:]})

        assert not move(world, 1, seen)

    def test_entries_without_an_id_are_kept_too(self):
        """H1: under a name that the same entry gets each time."""
        strange = [{"content": "one"}, "a text", {"message_id": True}, {"message_id": ""}, None, ["x"]]
        world = holding(*strange)

        move(world, len(strange))

        assert sorted(map(repr, moved(world))) == sorted(map(repr, strange))
        assert all(row["message_id"].startswith("moved-") for row in world.tables.history.rows)

    def test_two_entries_with_one_id_are_both_kept(self):
        """H1: the company may write what it likes."""
        world = holding(old(1, content="first"), old(1, content="second"))

        move(world, 2)

        assert sorted(one["content"] for one in moved(world)) == ["first", "second"]
        assert history.found(
            world.tables.history.get_together(history.reads(world.tables.history, KEY, ["old-1"])), KEY
        )

    def test_entries_with_one_id_that_leave_one_after_another_are_both_kept(self):
        """H1: the second must not take the first one's place."""
        world = holding(old(1, content="first"), old(2), old(1, content="second"))

        move(world, 2)
        move(world, 1)

        assert sorted(one["content"] for one in moved(world)) == ["first", "second", "x"]


class TestFind:
    def test_a_message_that_ever_was_an_entry_is_found(self):
        """H3: on the record, or in the history."""
        world = holding(*map(old, range(12)))
        move(world, 4)
        asked = [*(f"old-{number}" for number in range(12)), "never"]

        rows = world.tables.history.get_together(history.reads(world.tables.history, KEY, asked))

        assert record(world).entry_ids | history.found(rows, KEY) == set(asked) - {"never"}

    def test_the_look_up_asks_for_ids_alone(self):
        """And whose they are; not for what the customer wrote."""
        world = holding(old(1))
        move(world, 1)

        (row,) = world.tables.history.get_together(history.reads(world.tables.history, KEY, ["old-1"]))

        assert row == {"message_id": "old-1", "primary_channel": KEY.primary_channel}

    def test_another_customers_conversation_of_the_same_id_has_entries_of_its_own(self):
        """I7: an equal entry of theirs keeps its row, and is none of this conversation's."""
        world = holding(old(1))
        theirs = {**KEY.item, "primary_channel": "+4915700000000", "message_id": "old-1", "entry": old(1)}
        world.tables.history.seed(theirs)
        (read,) = history.reads(world.tables.history, KEY, ["old-1"])
        known = history.found(world.tables.history.get_together([read]), KEY)

        move(world, 1)

        assert not known
        assert theirs in world.tables.history.rows
        assert [row["entry"] for row in world.tables.history.rows] == [old(1), old(1)]

    def test_a_move_waits_for_a_lock_to_be_taken_into_account(self):
        """H2: a move over a record that was locked meanwhile does nothing."""
        world = holding(*map(old, range(12)))
        seen = record(world)
        conversation_lock.acquire(
            world.tables.conversations,
            seen,
            batch_id="b-1",
            trigger_id="t",
            entries=[],
            for_people=False,
            shards=2,
            now=START,
        )

        assert not move(world, 4, seen)


def test_the_size_of_an_entry_is_counted_once_for_each_look_at_a_record(monkeypatch: pytest.MonkeyPatch):
    """A full record has a hundred, and a batch asks three times."""
    counted: list[object] = []
    monkeypatch.setattr("chalicelib.protocol.record.entry_bytes", lambda one: counted.append(one) or 10)
    record = Record.from_item(conversation(messages=[{"content": "a"}, {"content": "b"}]))

    rooms = [history.room_bytes(record) for _ in range(3)]

    assert rooms == [history.ENTRIES_BYTES_MAX - 20] * 3
    assert len(counted) == 2
