"""The restart: the AI's batch is replaced by a larger one that loses nothing (N1), from the AI alone (N2)."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.conversations import contexts
from chalicelib.errors import Code, Misconfigured
from chalicelib.protocol import conversation_lock, restarts, turns
from chalicelib.protocol.conversation_lock import Lease
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.record import Record
from tests.fakes.faults import Fault
from tests.world import World

TWO = {
    "message_id": "two",
    "direction": "INBOUND",
    "content": "two",
    "timestamp": "2026-01-31T18:00:15.000000+00:00",
    "channel_type": "whatsapp",
    "metadata": {"sender": "+4915112345678", "recipient": "+14155238886"},
    "batch_id": "b-2",
}


@pytest.fixture
def world(world: World) -> World:
    """A batch is with the AI."""
    world.burst_with_ai("one")
    return world


def record(world: World) -> Record:
    return Record.from_item(world.row)


def restart(world: World, seen: Record, batch_id: str = "b-2") -> Lease | Changed:
    return restarts.restart(
        world.tables.conversations,
        seen,
        batch_id=batch_id,
        trigger_id="t-2",
        entries=[{**TWO, "batch_id": batch_id}],
        shards=2,
        now=world.clock.now(),
    )


def write(world: World, **changes: Any) -> None:
    world.tables.conversations.seed({**world.row, **changes})


class TestRestart:
    def test_the_fresh_batch_has_what_is_unanswered_and_what_is_new(self, world: World):
        """N1: one update, under a fresh token, for the trigger that restarts; the list names what it replaces (N3)."""
        before = world.row
        world.clock.advance(20)

        assert isinstance(restart(world, record(world)), Lease)

        after = record(world)
        assert after.unanswered_ids == (*before["unanswered_ids"], "two")
        assert after.entry_ids == {*after.unanswered_ids}
        assert (after.batch_id, after.trigger_id) == ("b-2", "t-2")
        assert after.started_at == after.turn_started_at == iso(world.clock.now())
        assert after.supersedes == (before["last_batch_id"],)

    @pytest.mark.parametrize(
        "changes",
        [
            {"conversation_version": 99},
            {"conversation_status": "looked_at"},
            {"reply_claim": "r-1"},
            {"turn_effects": True},
            {"processing_trigger_id": "t-9"},
        ],
        ids=["written meanwhile", "another status", "claimed", "with effects", "another trigger's"],
    )
    def test_a_record_that_changed_since_is_looked_at_again(self, world: World, changes: dict[str, Any]):
        """N1 and N2: a heartbeat that reports effects raises no version, nor does a lock of another system."""
        seen = record(world)
        write(world, **changes)
        before = world.row

        assert isinstance(restart(world, seen), Changed)
        assert world.row == before

    def test_of_two_triggers_one_restarts(self, world: World):
        """N1: the second one finds that the record has changed."""
        seen = record(world)
        restart(world, seen)

        assert isinstance(restart(world, seen, "b-3"), Changed)
        assert world.entry_ids.count("two") == 1

    def test_our_own_restart_whose_answer_was_lost_is_ours(self, world: World):
        """N1: the refusal shows our own batch."""
        world.plan.faults = {len(world.plan.calls) + 1: Fault.REFUSED_BY_OWN_WRITE}

        assert isinstance(restart(world, record(world)), Lease)


class TestCount:
    def test_a_batch_is_restarted_so_many_times_at_most(self, world: World):
        """N3: by the list of what was superseded."""
        restart(world, record(world))

        assert record(world).supersedes
        assert not restarts.is_restartable(record(world), restarts_max=1)
        assert restarts.is_restartable(record(world), restarts_max=2)

    def test_an_acquisition_that_carries_messages_keeps_the_count(self, world: World):
        """N3: a message that stalls is restarted no more often than another."""
        restart(world, record(world))
        seen = record(world).supersedes
        world.clock.advance(400)
        conversation_lock.reset(world.tables.conversations, record(world), shards=2, now=world.clock.now())

        acquire(world)

        assert record(world).supersedes == seen

    def test_an_acquisition_that_carries_nothing_begins_anew(self, world: World):
        """N3: what was superseded is answered."""
        restart(world, record(world))
        conversation_lock.reset(world.tables.conversations, record(world), shards=2, now=world.clock.now())
        write(world, unanswered_ids=[])

        acquire(world)

        assert record(world).supersedes == ()

    def test_a_list_that_is_none_counts_as_none(self, world: World):
        """Whatever the company wrote there."""
        write(world, turn_supersedes="b-0")

        assert record(world).supersedes == ()


def acquire(world: World) -> None:
    conversation_lock.acquire(
        world.tables.conversations,
        record(world),
        batch_id="b-4",
        trigger_id="t-4",
        entries=[{**TWO, "message_id": "four"}],
        for_people=False,
        shards=2,
        now=world.clock.now(),
    )


def test_a_heartbeat_of_the_superseded_batch_extends_nothing(world: World):
    """A1 and N2: the lock is another batch's."""
    seen = record(world)
    restart(world, seen)
    before = world.row

    assert isinstance(turns.extend(world.tables.conversations, seen, effects=True, now=world.clock.now()), Changed)
    assert world.row == before


def test_a_restarted_lock_is_never_abandoned(monkeypatch: pytest.MonkeyPatch):
    """N4: whatever happens before its dispatch, because it carries messages that the AI has been sent."""
    world = World(on_new_message="restart")
    world.burst_with_ai("one")
    world.deliver("two")
    world.clock.advance(11)

    def fails(*_: Any, **__: Any) -> str:
        raise Misconfigured(Code.INTERNAL_ERROR, "a bug")

    with monkeypatch.context() as patched:
        patched.setattr(contexts, "batch_context", fails)
        world.work()

    assert "emergency_unlock" not in world.telemetry.steps()
    assert world.row["conversation_status"] == "processing_reply"
    world.run(120)
    assert world.answered_ids == world.entry_ids
