"""The sweep: it finds everything, repairs each thing alone, and goes on where it stopped."""

from __future__ import annotations

from itertools import chain

import pytest

from chalicelib.clock import Deadline, epoch
from chalicelib.handlers import schedules
from chalicelib.protocol.record import CONVERSATION_ID, ConversationKey
from chalicelib.telemetry import Metric
from tests.fakes.faults import Fault
from tests.world import KEY, World, conversation


def numbered(count: int) -> list[dict]:
    """So many conversations of one company."""
    return [
        conversation(
            primary_channel=f"+49{number:03}", conversation_id=f"c-{number:03}", gsi_recipient_tel=f"+49{number:03}"
        )
        for number in range(count)
    ]


def orphaned(count: int = 1, **settings: str) -> World:
    """So many conversations with a staged message each, whose trigger was lost."""
    world = World(None, *numbered(count), **settings)
    for number in range(count):
        world.deliver(From=f"whatsapp:+49{number:03}")
    lose_triggers(world)
    world.clock.advance(120)
    return world


def stalled(count: int = 1, **settings: str) -> World:
    """So many conversations whose batch the AI never answers."""
    world = World(None, *numbered(count), **settings)
    for number in range(count):
        world.deliver(From=f"whatsapp:+49{number:03}")
    world.clock.advance(11)
    while world.queues.triggers["whatsapp"].seconds_until_next == 0:
        world.work()
    world.take(world.queues.ai)
    world.clock.advance(400)
    return world


def lose_triggers(world: World) -> None:
    world.queues.triggers["whatsapp"].messages.clear()


def paged(world: World) -> World:
    """Each row of the stage is a page of its own."""
    world.tables.stage._store.page_bytes = 1
    return world


def statuses(world: World) -> set[str]:
    return {row["conversation_status"] for row in world.tables.conversations.rows}


def place(world: World) -> dict | None:
    """Where the scan of the stage goes on."""
    return world.tables.trigger_lock.row({CONVERSATION_ID: "#sweep/orphans"})


def far(world: World) -> Deadline:
    return Deadline.after(world.clock, 1_000)


def ids_of_one_run(world: World) -> list[str]:
    """What a run that has no time finds: the first row of its page."""
    found = world.engine.sweeping.orphans(world.tables, Deadline.after(world.clock, 0))
    return [row["message_sid"] for row in found]


class TestStalledLocks:
    def test_every_stalled_lock_is_let_go_of(self):
        """Over all shards and pages."""
        world = stalled(7)

        world.sweep()

        assert statuses(world) == {"processing_timeout"}
        assert world.telemetry.total(Metric.STALL_RESET) == 7

    def test_a_lock_within_the_timeout_is_kept(self, world: World):
        """The AI is thinking."""
        world.deliver()
        world.clock.advance(11)
        world.work()
        world.clock.advance(300)

        world.sweep()

        assert world.row["conversation_status"] == "processing_reply"

    def test_the_oldest_of_a_shard_come_first(self):
        """They have waited longest."""
        world = stalled(6, lock_index_shards="1")
        for number, row in enumerate(world.tables.conversations.rows):
            started_at = f"2026-01-31T17:00:0{9 - number}.000000+00:00"
            world.tables.conversations.seed({**row, "processing_started_at": started_at})

        locks = list(world.engine.sweeping.stalled_locks(world.tables, far(world)))

        assert [lock.conversation.conversation_id for lock in locks] == [f"c-00{number}" for number in range(5, -1, -1)]

    def test_the_first_shard_differs_from_run_to_run(self):
        """So that a sweep that runs out of time reaches every shard in the end."""
        world = stalled(20, lock_index_shards="4")
        first: set[str] = set()
        for _ in range(4):
            lock = next(iter(world.engine.sweeping.stalled_locks(world.tables, far(world))))
            row = world.tables.conversations.row(lock.conversation.item)
            assert row is not None
            first.add(row["lock_shard"])
            world.clock.advance(300)

        assert first == {"0", "1", "2", "3"}

    def test_past_the_deadline_no_further_lock_is_begun(self):
        """The next run finds the rest in the index still."""
        world = stalled(5, lock_index_shards="1")
        world.plan.interleave(len(world.plan.calls) + 2, lambda: world.clock.advance(60))

        schedules.reset_stalled_locks(world._lambda_context(60), world.engine)
        first = world.telemetry.total(Metric.STALL_RESET)
        schedules.reset_stalled_locks(world._lambda_context(60), world.engine)

        assert (first, world.telemetry.total(Metric.STALL_RESET)) == (1, 5)

    def test_what_was_staged_meanwhile_is_triggered(self):
        """At once, and it carries what the lock held."""
        world = stalled()
        world.deliver("again", From="whatsapp:+49000")
        lose_triggers(world)
        world.clock.advance(71)

        schedules.reset_stalled_locks(world._lambda_context(60), world.engine)
        world.work()

        (document,) = world.take(world.queues.ai)
        assert [message.get("carried", False) for message in document["messages"]] == [True, False]

    def test_one_that_fails_keeps_no_other_from_its_repair(self):
        """It is told, and left to the next sweep."""
        world = stalled(4, lock_index_shards="1")
        world.plan.faults = {len(world.plan.calls) + 2: Fault.THROTTLED}

        world.sweep()
        first = world.telemetry.total(Metric.STALL_RESET)
        world.sweep()

        assert (first, world.telemetry.total(Metric.STALL_RESET)) == (3, 4)
        assert ("Fault", 1, "none", "DB_TRANSIENT_ERROR") in world.telemetry.counts


class TestOrphans:
    def test_every_orphaned_row_is_triggered(self):
        """Without delay, and counted."""
        world = orphaned(5)

        world.sweep()

        queue = world.queues.triggers["whatsapp"]
        assert [message.visible_at - world.clock.monotonic() for message in queue.messages] == [0] * 5
        assert ("OrphanRecovered", 1, "whatsapp", "none") in world.telemetry.counts
        assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 5

    def test_a_row_for_people_is_triggered_too_and_handed_off(self):
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

    def test_a_row_that_is_not_overdue_is_left_to_its_trigger(self, world: World):
        """Older than the cap plus a grace."""
        world.deliver()
        lose_triggers(world)
        world.clock.advance(90)

        world.sweep()

        assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 0

    def test_a_row_whose_trigger_is_on_its_way_is_no_orphan(self, world: World):
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

    def test_time_alone_deletes_nothing(self):
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

    def test_a_row_with_a_live_trigger_is_moved_on_before_it_expires(self):
        """S4: half of its time is gone; it is not counted as a recovery."""
        world = World(stage_ttl_hours="2")
        world.deliver()
        world.clock.advance(3_700)
        world.tables.trigger_lock.seed({**KEY.item, "trigger_id": "t", "expires_at": epoch(world.clock.now()) + 99})

        world.sweep()

        (row,) = world.tables.stage.rows
        assert row["expires_at"] == epoch(world.clock.now()) + 2 * 3_600
        assert "recoveries" not in row

    def test_a_trigger_of_another_conversation_with_the_same_id_is_not_ours(self):
        """Conversation ids are unique under their primary channel only: the row is an orphan."""
        world = orphaned()
        (row,) = world.tables.stage.rows
        held = {"conversation_id": row["conversation_id"], "primary_channel": "+4999", "trigger_id": "t"}
        world.tables.trigger_lock.seed({**held, "expires_at": epoch(world.clock.now()) + 99})

        world.sweep()

        assert len(world.queues.triggers["whatsapp"].messages) == 1

    @pytest.mark.parametrize("call", [3, 4, 5])
    def test_a_row_that_was_settled_meanwhile_does_not_come_back(self, call: int):
        """S3: the last of its batch may be settled at any moment of the sweep."""
        world = orphaned()
        (row,) = world.tables.stage.rows
        key = {name: row[name] for name in ("conversation_id", "message_sid")}
        world.plan.interleave(len(world.plan.calls) + call, lambda: world.tables.stage.delete(key))

        schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)

        assert world.tables.stage.rows == []

    def test_a_row_that_needs_it_again_and_again_gets_loud(self):
        """But is never given up."""
        world = orphaned()
        levels = []
        for _ in range(5):
            world.sweep()
            levels.append(
                next(line["level"] for line in reversed(world.telemetry.lines) if line["step"] == "recovered_orphan")
            )
            lose_triggers(world)
            world.clock.advance(120)

        assert levels == ["warning"] * 3 + ["error"] * 2

    def test_one_that_fails_keeps_no_other_from_its_repair(self):
        """It is told, and found again."""
        world = orphaned(3)
        world.plan.faults = {len(world.plan.calls) + 3: Fault.THROTTLED}

        schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)

        assert len(world.queues.triggers["whatsapp"].messages) == 2
        assert ("Fault", 1, "whatsapp", "DB_TRANSIENT_ERROR") in world.telemetry.counts

    def test_a_row_that_cannot_be_read_keeps_no_other_from_its_repair(self):
        """Somebody else's row, or one of a version to come."""
        world = orphaned(3)
        first = world.tables.stage.rows[0]
        world.tables.stage.seed({name: value for name, value in first.items() if name != "channel"})

        schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)

        assert len(world.queues.triggers["whatsapp"].messages) == 2


class TestResuming:
    def test_a_scan_that_ran_out_of_time_goes_on_where_it_stopped(self):
        """Its place is a row beside the trigger locks, and goes at the end; the next scan begins anew."""
        world = paged(orphaned(4))

        seen = [ids_of_one_run(world)]
        while place(world) is not None:
            seen.append(ids_of_one_run(world))
        anew = ids_of_one_run(world)

        assert sorted(chain.from_iterable(seen)) == sorted(row["message_sid"] for row in world.tables.stage.rows)
        assert max(map(len, seen)) == 1, "each run had time for one row"
        assert anew == seen[0]

    def test_the_place_is_no_trigger_s_lock(self):
        """It expires like one, and no conversation has its id."""
        world = paged(orphaned(2))

        list(world.engine.sweeping.orphans(world.tables, Deadline.after(world.clock, 0)))

        kept = place(world)
        assert kept is not None
        assert kept["expires_at"] == epoch(world.clock.now()) + 3_600
        assert "trigger_id" not in kept

    def test_a_scan_goes_on_behind_a_row_that_is_gone(self):
        """The row of its place may have been settled."""
        world = paged(orphaned(3))
        sweeping = world.engine.sweeping
        (first,) = sweeping.orphans(world.tables, Deadline.after(world.clock, 0))
        world.tables.stage.delete({"conversation_id": first["conversation_id"], "message_sid": first["message_sid"]})

        rest = list(sweeping.orphans(world.tables, far(world)))

        assert len(rest) == 2

    def test_past_the_deadline_no_further_row_of_a_page_is_begun(self):
        """A page may hold more rows than there is time for: Lambda would cut the run, and no place be kept."""
        world = orphaned(5)
        world.plan.interleave(len(world.plan.calls) + 3, lambda: world.clock.advance(60))

        schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)

        assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 1
        schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)
        assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 5


def _second_sweeps() -> list[tuple[str, int]]:
    """Every call of a sweep before which another can run whole."""
    cases = []
    for name, make in (("orphaned", orphaned), ("stalled", stalled)):
        world = make(2)
        before = len(world.plan.calls)
        world.sweep()
        cases += [(name, number) for number in range(1, len(world.plan.calls) - before + 1)]
    return cases


class TestTwoAtOnce:
    @pytest.mark.parametrize(("name", "number"), _second_sweeps())
    def test_two_sweeps_at_once_do_no_harm(self, name: str, number: int):
        """Whenever the second one runs: each message is answered once, and nothing stays locked or staged."""
        world = {"orphaned": orphaned, "stalled": stalled}[name](2)
        world.plan.interleave(len(world.plan.calls) + number, world.sweep)

        world.sweep()
        for sender in ("+49000", "+49001"):
            world.deliver("still there?", From=f"whatsapp:{sender}")
        for _ in range(8):
            world.clock.advance(20)
            world.work()
            world.answer_batches()
            world.send_replies()

        assert len(world.answered_ids) == len(set(world.answered_ids)) == 4
        assert world.staged_ids == []
        assert statuses(world) == {"ai_response_sent"}


def test_an_unreachable_table_is_told(world: World):
    """The run fails, so that its alarm rings."""
    world.plan.faults = {1: Fault.MISCONFIGURED}

    world.sweep()

    assert [failure.code.value for failure in world.failures] == ["DB_QUERY_ERROR"]


def test_a_lock_whose_conversation_bears_no_row_of_the_stage_is_only_reset():
    """Nothing is triggered for nothing."""
    world = stalled()

    world.sweep()

    assert world.queues.triggers["whatsapp"].messages == []
    assert ConversationKey("+49000", "c-000").item.items() <= world.tables.conversations.rows[0].items()
