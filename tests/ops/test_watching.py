"""Unanswered messages that an earlier version left at rest become the sweep's."""

from __future__ import annotations

from datetime import timedelta

from ops.repairs import watching
from ops.repairs.dry_run import dry_run_of
from tests.company.company import Company
from tests.upgrade.restored import fixture, restored
from tests.world import World

HOUR = timedelta(hours=1)


def at_rest() -> World:
    """A batch whose stalled lock the previous version opened, and whose customer writes no more."""
    return restored("timed_out_at_rest")


def test_what_an_earlier_version_left_unanswered_is_dispatched_once_more():
    """L8. Without this it waits for the customer's next message."""
    world = at_rest()
    world.run(2_000)
    batches_before = dict(world.batches)

    count = watching.watch(world.engine, watching.find(world.engine, world.clock.now() - HOUR))
    world.run(2_000)

    assert batches_before == {}
    assert count == 1
    assert world.answered_ids == fixture("timed_out_at_rest")["acknowledged"]
    assert world.is_at_rest


def test_a_conversation_that_rests_for_longer_than_was_asked_for_is_left_alone():
    """An answer to an old message would come as a surprise."""
    world = at_rest()
    world.clock.advance(7_200)

    assert watching.find(world.engine, world.clock.now() - HOUR) == []


def test_what_is_answered_locked_claimed_or_watched_is_left_alone():
    """Its end is on its way, or has come."""
    for name in (
        "with_ai",
        "reply_claimed",
        "claimed_for_people",
        "ended_with_people",
        "reply_given_up",
        "undelivered",
    ):
        world = restored(name)

        assert watching.find(world.engine, world.clock.now() - HOUR) == [], name
    world = at_rest()
    watching.watch(world.engine, watching.find(world.engine, world.clock.now() - HOUR))
    assert watching.find(world.engine, world.clock.now() - HOUR) == []


def test_a_record_that_changes_meanwhile_is_left_alone():
    """The company has set a status since, or a batch has begun."""
    world = at_rest()
    found = watching.find(world.engine, world.clock.now() - HOUR)
    Company(world).set(conversation_status="in_review")

    assert watching.watch(world.engine, found) == 0
    assert "lock_shard" not in world.row


def test_a_dry_run_writes_nothing():
    """It finds the same."""
    world = at_rest()
    before = world.row
    found = watching.find(world.engine, world.clock.now() - HOUR)

    assert watching.watch(dry_run_of(world.engine), found) == 1
    assert world.row == before
