"""The shipped code in simulated worlds: every schedule of small ones, random runs of large ones."""

from __future__ import annotations

import pytest

from tests.simulation.choices import Replay
from tests.simulation.invariants import check, settle_and_check
from tests.simulation.runs import explore, replay, swarm_run, variants
from tests.simulation.scheduler import Budgets, Simulation, Violation, Webhook
from tests.simulation.worlds import SMALL
from tests.world import KEY

QUICK = {(0, 0), (3, 0), (3, 1), (4, 0)}
"""Variants of small worlds that take a few seconds; the others are explored by `make simulate`."""


@pytest.mark.parametrize(
    ("world", "variant"),
    [
        pytest.param(*one, id=f"{SMALL[one[0]].name}, {SMALL[one[0]].variants[one[1]]}")
        for one in variants()
        if one in QUICK
    ],
)
def test_every_schedule_of_a_small_world_keeps_every_invariant(world: int, variant: int):
    """No choice of the scheduler loses, doubles or reorders a message, or leaves a conversation locked."""
    explored = explore(world, variant)

    assert explored.ended > 1


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("world", "variant"),
    [
        pytest.param(*one, id=f"{SMALL[one[0]].name}, {SMALL[one[0]].variants[one[1]]}")
        for one in variants()
        if one not in QUICK
    ],
)
def test_every_schedule_of_a_larger_small_world_keeps_every_invariant(world: int, variant: int):
    """The same, at length; the number of schedules is printed."""
    explored = explore(world, variant)

    print(f"{SMALL[world].name}, {SMALL[world].variants[variant]}: {explored}")  # noqa: T201 - asked for
    assert explored.ended > 1


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_random_runs_of_the_large_world_keep_every_invariant(first: int):
    """A run is its seed: crashes, lost answers, throttling, duplicates, sweeps, late hours and the company's writes."""
    for seed in range(first, first + 50):
        swarm_run(seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(200, 10_200, 500))
def test_many_random_runs_of_the_large_world_keep_every_invariant(first: int):
    """The same, at length."""
    for seed in range(first, first + 500):
        swarm_run(seed)


def test_a_run_replays_exactly():
    """The same name, the same trace: a failure that was printed can be looked at again."""
    trace = swarm_run(7).scheduler.trace

    again = replay("swarm/7").scheduler.trace

    assert again == trace


class TestTheChecker:
    """A checker that cannot fail is none: each planted fault is convicted by the name of its invariant."""

    def ended(self) -> Simulation:
        simulation = Simulation(Replay([]), Budgets())
        simulation.webhooks.append(Webhook(simulation.world.form("one")))
        simulation.explore()
        settle_and_check(simulation)
        return simulation

    def test_a_message_that_is_nowhere_is_lost(self):
        """I1."""
        simulation = self.ended()
        simulation.acknowledged.append("SM-of-nowhere")

        with pytest.raises(Violation, match="I1"):
            check(simulation, is_reply_lossy=False)

    def test_a_message_in_two_answered_batches_was_answered_twice(self):
        """I2."""
        simulation = self.ended()
        (ids,) = simulation.world.batches.values()
        simulation.world.batches["another"] = ids
        simulation.world.replies["another"] = ["another answer"]
        sid, part, at = simulation.world.phone.received[0]
        simulation.world.phone.received.append((sid + "2", type(part)(**{**vars(part), "body": "another answer"}), at))

        with pytest.raises(Violation, match="I2"):
            check(simulation, is_reply_lossy=False)

    def test_a_later_message_before_an_earlier_one_is_out_of_order(self):
        """I3."""
        simulation = self.ended()
        (entry,) = [one for one in simulation.world.row["messages"] if one["direction"] == "INBOUND"]
        row = simulation.world.row
        simulation.world.tables.conversations.seed(
            {**row, "messages": [{**entry, "message_id": "later"}, *row["messages"]]}
        )
        simulation.one_after_another.append((entry["message_id"], "later"))

        with pytest.raises(Violation, match="I3"):
            check(simulation, is_reply_lossy=False)

    def test_a_reply_that_the_phone_shows_twice_was_delivered_twice(self):
        """I5."""
        simulation = self.ended()
        simulation.world.phone.received *= 2

        with pytest.raises(Violation, match="I5"):
            check(simulation, is_reply_lossy=False)

    def test_a_conversation_that_stays_locked_is_not_at_rest(self):
        """I6."""
        simulation = self.ended()
        row = {**simulation.world.row, "conversation_status": "processing_reply"}
        simulation.world.tables.conversations.seed(row)

        with pytest.raises(Violation, match="I6"):
            check(simulation, is_reply_lossy=False)

    def test_a_lock_that_is_taken_from_its_holder_is_seen_at_once(self):
        """I4."""
        simulation = SMALL[0].build(Replay([]), 0)
        table = simulation.world.tables.conversations
        locked = {**simulation.world.row, "conversation_status": "processing_reply", "last_batch_id": "b-1"}
        table.seed(locked)
        (row_id,) = table._store.rows

        with pytest.raises(Violation, match="I4"):
            table._replace(row_id, {**locked, **KEY.item, "last_batch_id": "b-2"})
