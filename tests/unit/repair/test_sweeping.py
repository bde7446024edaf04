"""The sweep: it finds everything, repairs each thing alone, and goes on where it stopped."""

from __future__ import annotations

import pytest

from chalicelib.clock import Deadline
from chalicelib.handlers import schedules
from chalicelib.protocol.record import ConversationKey
from chalicelib.telemetry import Metric
from tests.fakes.faults import Fault
from tests.world import World, conversation


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


def statuses(world: World) -> set[str]:
    return {row["conversation_status"] for row in world.tables.conversations.rows}


def far(world: World) -> Deadline:
    return Deadline.after(world.clock, 1_000)


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
