"""The AI's turn beside its reply: it is extended (A1), or ends without a reply (A2)."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr
from chalicelib.protocol import conversation_lock, turns
from chalicelib.protocol.claim_changes import Released
from chalicelib.protocol.lock_changes import Changed, Lost
from chalicelib.protocol.record import Record
from chalicelib.protocol.turns import Extended
from tests.fakes.faults import Fault
from tests.world import World


@pytest.fixture
def world(world: World) -> World:
    """A batch is with the AI."""
    world.burst_with_ai()
    return world


def record(world: World) -> Record:
    return Record.from_item(world.row)


def extend(world: World, seen: Record, *, effects: bool = False) -> Extended | Changed:
    return turns.extend(world.tables.conversations, seen, effects=effects, now=world.clock.now())


def end(world: World, seen: Record) -> Released | Changed:
    return turns.end_without_reply(
        world.tables.conversations,
        seen,
        reply_id="r-1",
        routing_stands=Attr("auto_queue_reply_message").stays(None),
        stall_resets=0,
        now=world.clock.now(),
    )


def write(world: World, **changes: Any) -> None:
    world.tables.conversations.seed({**world.row, **changes})


class TestNoteNotice:
    def test_of_two_messages_that_read_the_same_record_one_tells_the_customer(self, world: World):
        """A3: the other finds the mark, and no version is raised."""
        seen = record(world)

        told = [turns.note_notice(world.tables.conversations, seen, now=world.clock.now()) for _ in range(2)]

        assert told == [True, False]
        assert world.row["conversation_version"] == seen.version

    def test_nobody_is_told_of_a_turn_that_has_ended(self, world: World):
        """A3: the record was opened since it was read."""
        seen = record(world)
        write(world, conversation_status="ai_response_sent")

        told = turns.note_notice(world.tables.conversations, seen, now=world.clock.now())

        assert not told
        assert "locked_notice_at" not in world.row


class TestExtend:
    def test_the_lock_is_young_again_and_nothing_else_changes(self, world: World):
        """A1: no version is raised, so that a claim that is under way holds."""
        before = world.row
        world.clock.advance(200)

        assert isinstance(extend(world, record(world)), Extended)
        assert world.row == {**before, "processing_started_at": iso(world.clock.now())}

    def test_effects_are_kept_until_the_next_batch(self, world: World):
        """A1: once told, a heartbeat without them changes nothing of it."""
        extend(world, record(world), effects=True)
        extend(world, record(world))

        assert record(world).has_turn_effects

    @pytest.mark.parametrize(
        "changes",
        [{"last_batch_id": "b-9"}, {"conversation_status": "looked_at"}, {"reply_claim": "r-1"}],
        ids=["another batch", "not locked", "claimed"],
    )
    def test_what_is_no_longer_the_ais_turn_is_not_extended(self, world: World, changes: dict[str, Any]):
        """A1: whatever was read before."""
        seen = record(world)
        write(world, **changes)
        before = world.row

        assert isinstance(extend(world, seen), Changed)
        assert world.row == before

    def test_a_reset_that_saw_the_lock_before_a_heartbeat_leaves_it(self, world: World):
        """L5: it is younger than it was seen to be."""
        seen = record(world)
        world.clock.advance(400)
        extend(world, record(world))

        outcome = conversation_lock.reset(world.tables.conversations, seen, shards=1, now=world.clock.now())

        assert isinstance(outcome, Lost)


class TestEndWithoutReply:
    def test_the_conversation_opens_and_nothing_is_unanswered(self, world: World):
        """A2: as after a reply, but for the status."""
        assert isinstance(end(world, record(world)), Released)

        seen = record(world)
        assert (seen.status, seen.unanswered_ids, seen.started_at) == ("ai_no_reply", (), None)
        assert seen.last_reply_id == "r-1"

    @pytest.mark.parametrize(
        "changes",
        [
            {"last_batch_id": "b-9"},
            {"conversation_status": "looked_at"},
            {"reply_claim": "r-2"},
            {"conversation_version": 99},
            {"auto_queue_reply_message": True},
        ],
        ids=["another batch", "another status", "claimed", "written meanwhile", "switched to people"],
    )
    def test_a_record_that_changed_since_is_looked_at_again(self, world: World, changes: dict[str, Any]):
        """A2: the company's own switch raises no version."""
        seen = record(world)
        write(world, **changes)
        before = world.row

        assert isinstance(end(world, seen), Changed)
        assert world.row == before

    def test_our_own_end_whose_answer_was_lost_is_ours(self, world: World):
        """A2: the refusal shows our own id."""
        world.plan.faults = {len(world.plan.calls) + 1: Fault.REFUSED_BY_OWN_WRITE}

        assert isinstance(end(world, record(world)), Released)
