"""Unlocking obeys the protocol: only what it may release, only as it was read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.ports.tables import Attr
from chalicelib.protocol import reply_claim
from chalicelib.protocol.record import ClaimEnd, Record
from chalicelib.telemetry import Trail
from ops.repairs.unlocking import judge, look, unlock
from tests.fakes.clock import START
from tests.world import KEY, World, conversation

STALLED, YOUNG = START - timedelta(seconds=301), START - timedelta(seconds=30)


def record(**changes) -> Record:
    return Record.from_item(conversation(conversation_status="processing_reply", unanswered_ids=["SM1"], **changes))


def verdict(one: Record, *, at_once: bool = False):
    return judge(one, World().settings, START, stall_action="warn", at_once=at_once)


class TestVerdicts:
    def test_an_open_conversation_has_nothing_to_unlock(self):
        """It says what its status is."""
        found = verdict(Record.from_item(conversation()), at_once=True)

        assert (found.may_unlock, found.why) == (False, "it is not locked (conversation_status initial_message_sent)")

    def test_a_stalled_lock_may_be_let_go_of(self):
        """And the outcome of its batch is printed first."""
        found = verdict(record(processing_started_at=STALLED.isoformat()))

        assert found.may_unlock
        assert "the 1 message(s) of its batch stay unanswered and are carried into the next one" in found.why

    def test_a_young_lock_is_kept_unless_it_is_asked_for(self):
        """The AI may be thinking still."""
        young = record(processing_started_at=YOUNG.isoformat())

        assert verdict(young).why.startswith("its batch may still be answered; it counts as stalled in 270 s")
        assert [verdict(young).may_unlock, verdict(young, at_once=True).may_unlock] == [False, True]

    def test_a_reply_that_is_being_sent_is_never_given_up(self):
        """Not even when asked for: the customer would not hear of it, and it may go out."""
        sending = record(
            processing_started_at=STALLED.isoformat(), reply_claim="r1", reply_claimed_at=YOUNG.isoformat()
        )

        found = verdict(sending, at_once=True)

        assert (found.may_unlock, found.why[:24]) == (False, "a reply is being sent; i")

    def test_a_stalled_claim_is_given_up_and_said_to_be(self):
        """Its outcome is unknown."""
        stalled = record(
            processing_started_at=STALLED.isoformat(), reply_claim="r1", reply_claimed_at=STALLED.isoformat()
        )

        found = verdict(stalled)

        assert found.may_unlock
        assert "count as answered, with unknown outcome" in found.why


@pytest.fixture
def locked() -> World:
    """A conversation whose batch is with an AI that does not answer, and one more message staged."""
    world = World(None, conversation())
    world.burst_with_ai("first")
    world.deliver("second")
    world.queues.triggers["whatsapp"].messages.clear()
    return world


def _claim(world: World) -> None:
    reply_claim.claim(
        world.tables.conversations,
        Record.from_item(world.row),
        reply_id="r-1",
        end=ClaimEnd.RELEASE,
        routing_stands=Attr("primary_channel").exists(),
        token="token",
        shards=world.settings.lock_index_shards,
        now=world.clock.now(),
    )


class TestUnlocking:
    def test_a_young_lock_is_let_go_of_at_once_and_what_is_staged_is_triggered(self, locked: World):
        """As the sweep would do it later: both messages are in the next batch."""
        seen, found = look(locked.engine, KEY, at_once=True)
        assert found.may_unlock
        locked.clock.advance(70)

        assert unlock(locked.engine, seen, Trail(locked.telemetry, locked.clock))

        assert locked.row["conversation_status"] == "processing_timeout"
        locked.work()
        (document,) = locked.take(locked.queues.ai)
        assert [one["body"] for one in document["messages"]] == ["first", "second"]

    def test_a_lock_that_was_refreshed_meanwhile_is_kept(self, locked: World):
        """The write is conditional on what was seen; whoever came in between wins."""
        seen, _ = look(locked.engine, KEY, at_once=True)
        locked.tables.conversations.seed({**locked.row, "processing_started_at": locked.clock.now().isoformat()})

        assert not unlock(locked.engine, seen, Trail(locked.telemetry, locked.clock))

        assert locked.row["conversation_status"] == "processing_reply"

    @pytest.mark.parametrize("calls", [1, 2], ids=["before the record is read again", "before the write"])
    def test_a_reply_that_claims_meanwhile_keeps_the_lock(self, locked: World, calls: int):
        """R7, L5: its claim leaves the start of a young lock as it was seen, and is seen all the same."""
        seen, _ = look(locked.engine, KEY, at_once=True)
        locked.clock.advance(20)
        locked.plan.interleave(len(locked.plan.calls) + calls, lambda: _claim(locked))

        assert not unlock(locked.engine, seen, Trail(locked.telemetry, locked.clock))

        assert locked.row["reply_claim"] == "r-1"

    def test_a_lock_of_another_system_is_stamped_and_reset(self):
        """It never told since when."""
        world = World(None, conversation(conversation_status="processing_reply"))
        seen, found = look(world.engine, KEY, at_once=True)
        assert found.may_unlock

        assert unlock(world.engine, seen, Trail(world.telemetry, world.clock))

        assert world.row["conversation_status"] == "processing_timeout"

    def test_a_batch_that_took_the_place_of_another_system_s_lock_is_kept(self):
        """The lock that was seen is gone; what holds the conversation now was never judged."""
        world = World(None, conversation(conversation_status="processing_reply"))
        seen, _ = look(world.engine, KEY, at_once=True)
        world.tables.conversations.seed({**world.row, "conversation_status": "initial_message_sent"})
        world.burst_with_ai("hello")
        batch_id = world.row["last_batch_id"]

        assert not unlock(world.engine, seen, Trail(world.telemetry, world.clock))

        assert (world.row["conversation_status"], world.row["last_batch_id"]) == ("processing_reply", batch_id)
