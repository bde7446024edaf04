"""Orphaned rows: each is found and triggered, by itself, later each time, and by several sweeps at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from chalicelib.clock import Deadline, epoch
from chalicelib.errors import Code, TryAgain
from chalicelib.handlers import schedules
from chalicelib.protocol.record import CONVERSATION_ID
from chalicelib.repair.executors import Serial, Threads
from chalicelib.repair.orphans import Orphan, Orphans, is_repair_due
from chalicelib.repair.segments import LEASE_SECONDS, REST_SECONDS
from chalicelib.telemetry import Metric
from tests.fakes.faults import Crash, Fault
from tests.unit.repair.test_sweeping import lose_triggers, orphaned
from tests.world import KEY, World, settings_of


def of_segments(world: World, *, segments: int = 2, page_bytes: int = 1) -> World:
    """The stage is longer than a page, and split into so many segments."""
    world.tables.stage._store.page_bytes = page_bytes
    engine = world.engine
    vars(engine)["orphans"] = Orphans(
        retriggering=engine.retriggering,
        clock=world.clock,
        new_id=(f"sweep-{number}" for number in range(1_000)).__next__,
        settings=world.settings,
        segments=segments,
    )
    return world


def far(world: World) -> Deadline:
    return Deadline.after(world.clock, 1_000)


def sids(found: Iterator[Orphan]) -> list[str]:
    return [one.row["message_sid"] for one in found]


def leases(world: World) -> list[dict]:
    """The rows of the segments."""
    return [row for row in world.tables.trigger_lock.rows if row[CONVERSATION_ID].startswith("#sweep/orphans/")]


def recover(world: World) -> None:
    schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)


def test_every_orphaned_row_is_triggered():
    """Without delay, and counted."""
    world = orphaned(5)

    world.sweep()

    queue = world.queues.triggers["whatsapp"]
    assert [message.visible_at - world.clock.monotonic() for message in queue.messages] == [0] * 5
    assert ("OrphanRecovered", 1, "whatsapp", "none") in world.telemetry.counts
    assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 5


def test_a_row_for_people_is_triggered_too_and_handed_off():
    """There is one way to people, and the trigger takes it."""
    world = orphaned()
    (staged,) = world.tables.stage.rows
    row = world.tables.conversations.rows[0]
    world.tables.conversations.seed({**row, "auto_queue_reply_message": True})

    world.sweep()
    world.work()

    world.take_handoffs()
    assert world.with_people == [staged["message_sid"]]
    assert world.staged_ids == []


def test_a_row_that_is_not_overdue_is_left_to_its_trigger(world: World):
    """Older than the cap plus a grace."""
    world.deliver()
    lose_triggers(world)
    world.clock.advance(90)

    world.sweep()

    assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 0


def test_a_row_whose_trigger_is_on_its_way_is_no_orphan(world: World):
    """As one that contends with a lock."""
    world.deliver()
    world.clock.advance(11)
    world.work()
    world.deliver()
    world.clock.advance(11)
    for _ in range(5):
        world.work()
        world.clock.advance(20)

    schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)

    assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 0


def test_time_alone_deletes_nothing():
    """S4: a row that waits for weeks is moved on by each sweep, live trigger or not."""
    world = World(stage_ttl_hours="2")
    sid = world.deliver()
    lose_triggers(world)
    for _ in range(10):
        world.clock.advance(3_500)
        world.sweep()
        lose_triggers(world)
        world.tables.stage.expire(epoch(world.clock.now()))

    assert world.staged_ids == [sid]


def test_a_row_with_a_live_trigger_is_moved_on_before_it_expires():
    """S4: half of its time is gone; it is not counted as a recovery."""
    world = World(stage_ttl_hours="2")
    world.deliver()
    world.clock.advance(3_700)
    world.tables.trigger_lock.seed({**KEY.item, "trigger_id": "t", "expires_at": epoch(world.clock.now()) + 99})

    world.sweep()

    (row,) = world.tables.stage.rows
    assert row["expires_at"] == epoch(world.clock.now()) + 2 * 3_600
    assert "recoveries" not in row


def test_a_trigger_of_another_conversation_with_the_same_id_is_not_ours():
    """Conversation ids are unique under their primary channel only: the row is an orphan."""
    world = orphaned()
    (row,) = world.tables.stage.rows
    held = {"conversation_id": row["conversation_id"], "primary_channel": "+4999", "trigger_id": "t"}
    world.tables.trigger_lock.seed({**held, "expires_at": epoch(world.clock.now()) + 99})

    world.sweep()

    assert len(world.queues.triggers["whatsapp"].messages) == 1


@pytest.mark.parametrize("call", [2, 3, 4])
def test_a_row_that_was_settled_meanwhile_does_not_come_back(call: int):
    """S3: the last of its batch may be settled at any moment of the sweep."""
    world = orphaned()
    (row,) = world.tables.stage.rows
    key = {name: row[name] for name in ("conversation_id", "message_sid")}
    world.plan.interleave(len(world.plan.calls) + call, lambda: world.tables.stage.delete(key))

    schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)

    assert world.tables.stage.rows == []


def test_a_row_that_needs_it_again_and_again_gets_loud():
    """But is never given up."""
    world = orphaned()
    levels = []
    for _ in range(5):
        world.sweep()
        levels.append(
            next(line["level"] for line in reversed(world.telemetry.lines) if line["step"] == "recovered_orphan")
        )
        lose_triggers(world)
        world.clock.advance(1_000)

    assert levels == ["warning"] * 3 + ["error"] * 2


def test_one_that_fails_keeps_no_other_from_its_repair():
    """It is told, and found again."""
    world = orphaned(3)
    world.plan.faults = {len(world.plan.calls) + 2: Fault.THROTTLED}

    schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)

    assert len(world.queues.triggers["whatsapp"].messages) == 2
    assert ("Fault", 1, "whatsapp", "DB_TRANSIENT_ERROR") in world.telemetry.counts


def test_a_row_that_cannot_be_read_keeps_no_other_from_its_repair():
    """Somebody else's row, or one of a version to come."""
    world = orphaned(3)
    first = world.tables.stage.rows[0]
    world.tables.stage.seed({name: value for name, value in first.items() if name != "channel"})

    schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)

    assert len(world.queues.triggers["whatsapp"].messages) == 2


class TestSpacing:
    @pytest.mark.parametrize(
        ("recoveries", "seconds", "expected"),
        [
            (0, 0, True),
            (1, 59, False),
            (1, 60, True),
            (2, 119, False),
            (2, 120, True),
            (5, 959, False),
            (5, 960, True),
            (10_000, 960, True),
            (3, -1, True),
        ],
    )
    def test_the_repairs_of_a_row_are_spaced_out_up_to_sixteen_times_the_grace(
        self, world: World, recoveries: int, seconds: int, expected: bool
    ):
        """By the time since the last one; one of the future means that the time to live was lowered since."""
        expires_at = epoch(world.clock.now()) - seconds + 72 * 3_600

        assert is_repair_due(recoveries, expires_at, world.clock.now(), settings_of(())) is expected

    def test_one_row_stands_for_its_conversation(self, world: World):
        """Further rows of it cause no further trigger, however many there are."""
        for number in range(5):
            world.deliver(f"message {number}")
        lose_triggers(world)
        world.clock.advance(120)
        for _ in range(4):
            world.sweep()
            world.clock.advance(60)

        assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 3, "at 0, 60 and 180 s, and not each minute"

    def test_a_row_whose_repair_is_not_due_costs_no_call(self):
        """The scan alone."""
        world = orphaned(3)
        world.sweep()
        before = len(world.plan.calls)

        recover(world)

        assert [call.operation for call in world.plan.calls[before:]] == ["Scan"]


class TestSegments:
    def test_a_stage_of_one_page_is_read_in_one_call_and_leaves_no_row(self):
        """As it mostly is."""
        world = orphaned(4)

        recover(world)

        assert [call.operation for call in world.plan.calls].count("Scan") == 1
        assert leases(world) == []

    def test_a_longer_stage_is_recovered_segment_by_segment(self):
        """Each row once."""
        world = of_segments(orphaned(6))

        recover(world)

        assert len(world.queues.triggers["whatsapp"].messages) == 6
        assert len(leases(world)) == 2

    def test_a_sweep_that_ran_out_of_time_is_continued_where_it_stopped(self):
        """Row by row, over as many sweeps as there are rows; then all rest, and the next pass begins anew."""
        world = of_segments(orphaned(4))
        seen: list[str] = []
        for _ in range(12):
            seen += sids(world.engine.orphans.find(world.tables, Deadline.after(world.clock, 0)))
            world.clock.advance(1)

        assert set(seen) == set(world.staged_ids)

    def test_two_sweeps_at_once_take_different_segments(self):
        """The second finds nothing of what the first holds."""
        world = of_segments(orphaned(6), page_bytes=1_000_000, segments=2)
        world.tables.stage._store.page_bytes = 1
        first = world.engine.orphans.find(world.tables, far(world))
        begun = next(first)

        second = sids(world.engine.orphans.find(world.tables, far(world)))
        rest = [begun.row["message_sid"], *sids(first)]

        assert sorted([*rest, *second]) == sorted(world.staged_ids)

    def test_the_segment_of_a_sweep_that_died_is_continued_once_its_lease_has_run_out(self):
        """At the place that was kept after the last whole page."""
        world = of_segments(orphaned(5), segments=1)
        world.plan.faults = {len(world.plan.calls) + 8: Fault.CRASH_AFTER}
        with pytest.raises(Crash):
            recover(world)
        world.plan.revive()

        held = sids(world.engine.orphans.find(world.tables, far(world)))
        world.clock.advance(LEASE_SECONDS)
        rest = sids(world.engine.orphans.find(world.tables, far(world)))

        assert held == []
        assert set(world.staged_ids) - set(rest) <= {
            row["message_sid"] for row in world.tables.stage.rows if row.get("recoveries")
        }

    def test_a_sweep_whose_lease_ran_out_stops_at_its_page(self):
        """Another goes on with the segment by now."""
        world = of_segments(orphaned(5), segments=1)
        slow = world.engine.orphans.find(world.tables, far(world))
        first = next(slow).row["message_sid"]
        world.clock.advance(LEASE_SECONDS)

        others = sids(world.engine.orphans.find(world.tables, far(world)))

        assert sids(slow) == []
        assert sorted(others) == sorted(world.staged_ids)
        assert first in others

    def test_a_segment_rests_after_its_end(self):
        """A sweep beside the one that ended it does not scan it again; the next one on schedule does."""
        world = of_segments(orphaned(3), segments=1)
        whole = sids(world.engine.orphans.find(world.tables, far(world)))

        at_once = sids(world.engine.orphans.find(world.tables, far(world)))
        world.clock.advance(REST_SECONDS)
        next_pass = sids(world.engine.orphans.find(world.tables, far(world)))

        assert (len(whole), at_once, next_pass) == (3, [], whole)

    def test_a_lease_that_was_taken_by_an_own_write_is_ours(self):
        """Botocore tried twice, and the first answer was lost."""
        world = of_segments(orphaned(3), segments=1)
        world.plan.faults = {len(world.plan.calls) + 2: Fault.REFUSED_BY_OWN_WRITE}

        recover(world)

        assert len(world.queues.triggers["whatsapp"].messages) == 3

    def test_a_throttled_scan_fails_its_sweep_and_loses_nothing(self):
        """The alarm rings; a later sweep goes on."""
        world = of_segments(orphaned(3), segments=1)
        world.plan.faults = {len(world.plan.calls) + 3: Fault.THROTTLED}
        with pytest.raises(TryAgain):
            recover(world)
        world.clock.advance(LEASE_SECONDS)

        recover(world)

        assert len(world.queues.triggers["whatsapp"].messages) == 3


class TestExecutors:
    @pytest.mark.parametrize("executor", [Serial(), Threads(4)], ids=["serial", "threads"])
    def test_each_thing_that_is_found_is_repaired_once(self, executor: Serial | Threads):
        """And counted."""
        repaired: list[int] = []

        count = executor.each(iter(range(100)), repaired.append)

        assert (count, sorted(repaired)) == (100, list(range(100)))

    def test_threads_repair_several_things_at_once(self):
        """As many as there are threads: each of these waits for the others."""
        together = threading.Barrier(4, timeout=10)

        count = Threads(4).each(range(4), lambda _: together.wait() and None)

        assert count == 4

    @pytest.mark.parametrize("executor", [Serial(), Threads(4)], ids=["serial", "threads"])
    def test_a_fault_of_the_finding_is_raised_once_what_was_found_is_repaired(self, executor: Serial | Threads):
        """What is found after it is left to the next sweep."""

        def found() -> Iterator[int]:
            yield from range(10)
            raise TryAgain(Code.DB_TRANSIENT_ERROR, "throttled", maybe_applied=False)

        repaired: list[int] = []

        with pytest.raises(TryAgain):
            executor.each(found(), repaired.append)

        assert sorted(repaired) == list(range(10))

    def test_a_sweep_that_finds_nothing_starts_no_thread(self):
        """As it mostly is."""
        before = threading.active_count()

        count = Threads(4).each([], lambda _: None)

        assert (count, threading.active_count()) == (0, before)
