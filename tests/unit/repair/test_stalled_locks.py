"""Resetting a stalled lock: warned of, or handed to people."""

from __future__ import annotations

import pytest

from chalicelib.repair.stalled_locks import StalledLock
from chalicelib.telemetry import Metric, Trail
from tests.fakes.faults import Crash, Fault
from tests.world import KEY, World, conversation


def stalled(**settings: str) -> tuple[World, StalledLock, list[str]]:
    """A batch that the AI never answers, its lock as the index tells it, and its messages."""
    world = World(None, conversation(), **settings)
    sids = [world.deliver("one"), world.deliver("two")]
    world.clock.advance(11)
    world.work()
    world.take(world.queues.ai)
    world.clock.advance(400)
    return world, StalledLock.from_index(world.row), sids


def reset(world: World, lock: StalledLock) -> bool:
    trail = Trail(world.telemetry, world.clock, request_id="r-1")
    return world.engine._stalled_locks.reset(world.tables, world.queues, lock, trail)


def test_a_stalled_batch_is_warned_of_and_stays_unanswered():
    """It is carried into the next batch."""
    world, lock, sids = stalled()

    is_reset = reset(world, lock)

    *_, line = world.telemetry.lines
    assert is_reset
    assert world.row["conversation_status"] == "processing_timeout"
    assert world.row["unanswered_ids"] == sids
    assert world.queues.handoff.messages == []
    assert (line["step"], line["level"], line["batch_id"]) == ("reset_stalled_lock", "warning", lock.batch_id)
    assert world.telemetry.total(Metric.STALL_RESET) == 1


def test_people_get_a_stalled_batch_where_a_setting_says_so():
    """Then it counts as answered."""
    world, lock, sids = stalled(stall_action="handoff")

    is_reset = reset(world, lock)

    world.take_handoffs()
    assert is_reset
    assert world.with_people == sids
    assert world.row["unanswered_ids"] == []


def test_a_late_answer_to_what_people_have_is_refused():
    """The customer is answered once."""
    world, lock, _ = stalled(stall_action="handoff")
    reset(world, lock)

    world.reply(
        {
            "conversation": KEY.item,
            "meta": {"batch_id": lock.batch_id},
            "messages": [],
            "company": {"company_id": "acme"},
        },
        "too late",
    )
    world.send_replies()

    assert world.phone.texts == []
    assert world.row["conversation_status"] == "user_reply_received"


def test_a_late_answer_does_not_come_between_people_and_the_reset():
    """People's claim is taken before they get the batch: from then on an answer is a second one."""
    world, lock, sids = stalled(stall_action="handoff")
    document = {
        "conversation": KEY.item,
        "meta": {"batch_id": lock.batch_id},
        "messages": [],
        "company": {"company_id": "acme"},
    }

    def answer() -> None:
        world.reply(document, "too late")
        world.send_replies()

    world.plan.interleave(len(world.plan.calls) + 4, answer)
    reset(world, lock)

    world.take_handoffs()
    assert world.with_people == sids
    assert world.phone.texts == []


@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.CRASH_BEFORE])
def test_a_crash_between_handing_off_and_the_reset_repeats_both(fault: Fault):
    """People's side dedupes; nothing is forgotten."""
    world, lock, sids = stalled(stall_action="handoff")
    world.plan.faults = {len(world.plan.calls) + 2: fault}

    with pytest.raises(Crash):
        reset(world, lock)
    world.plan.revive()
    for _ in range(2):  # the second finds the claim in people's name stalled, where the first left one
        world.clock.advance(400)
        world.sweep()

    world.take_handoffs()
    assert world.with_people == sids
    assert world.row["unanswered_ids"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"processing_started_at": "2026-01-31T18:06:00.000000+00:00"},
        {"last_batch_id": "another"},
    ],
    ids=["refreshed", "another batch"],
)
def test_a_lock_that_moved_on_since_it_was_seen_is_left_alone(changes: dict):
    """L5: people get nothing, and the record stays."""
    world, lock, _ = stalled(stall_action="handoff")
    world.tables.conversations.seed({**world.row, **changes})
    before = world.row

    is_reset = reset(world, lock)

    assert not is_reset
    assert world.queues.handoff.messages == []
    assert world.row == before


def test_a_stalled_batch_whose_status_the_company_overwrote_is_reset_and_reported():
    """L6: the status is the company's, and stays; what the lock left behind is taken off, and the batch is watched."""
    world, lock, sids = stalled()
    world.tables.conversations.seed({**world.row, "conversation_status": "human_notified"})

    is_reset = reset(world, lock)

    assert is_reset
    assert world.row["conversation_status"] == "human_notified"
    assert world.row["unanswered_ids"] == sids
    assert world.row["lock_shard"].startswith("open-")
    assert "processing_trigger_id" not in world.row
    assert world.telemetry.total(Metric.STALL_RESET) == 1


def test_a_stalled_batch_whose_status_the_company_overwrote_is_handed_to_people_too():
    """`STALL_ACTION=handoff` does not lean on the status."""
    world, lock, sids = stalled(stall_action="handoff")
    world.tables.conversations.seed({**world.row, "conversation_status": "human_notified"})

    is_reset = reset(world, lock)

    world.take_handoffs()
    assert is_reset
    assert world.with_people == sids
    assert world.row["unanswered_ids"] == []
    assert world.telemetry.total(Metric.STALL_RESET) == 1


def test_a_stalled_lock_that_a_reply_has_claimed_counts_as_answered():
    """R3: perhaps it was, and twice is worse than never; loud, and people get nothing."""
    world, lock, _ = stalled(stall_action="handoff")
    world.tables.conversations.seed({**world.row, "reply_claim": "r-1"})

    is_reset = reset(world, lock)

    *_, line = world.telemetry.lines
    assert is_reset
    assert (world.row["conversation_status"], world.row["unanswered_ids"]) == ("processing_error", [])
    assert world.queues.handoff.messages == []
    assert (line["level"], line["code"]) == ("error", world.row["processing_error_code"])


def test_a_lock_of_another_system_with_nothing_unanswered_is_let_go_of():
    """There is nothing to hand off."""
    row = conversation(
        conversation_status="processing_reply", processing_started_at="2026-01-31T17:00:00+00:00", lock_shard="0"
    )
    world = World(None, row, stall_action="handoff")

    is_reset = reset(world, StalledLock.from_index(world.row))

    assert is_reset
    assert world.row["conversation_status"] == "processing_timeout"
    assert world.queues.handoff.messages == []
