"""The shipped code in simulated worlds: every schedule of small ones, random runs of large ones."""

from __future__ import annotations

import random
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.actors import Memory
from tests.simulation.choices import Replay
from tests.simulation.deployment import ACME, GLOBEX, TENANTS, Violation
from tests.simulation.invariants import check, settle_and_check
from tests.simulation.runs import explore, replay, swarm_run, variants
from tests.simulation.simulation import Budgets, Simulation
from tests.simulation.worlds import QUICK, SMALL, webhooks

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
WORLDS = [pytest.param(*one, id=", ".join(names)) for names, one in variants().items()]


@pytest.mark.parametrize(("world", "variant"), [one for one in WORLDS if one.values in QUICK])
def test_every_schedule_of_a_small_world_keeps_every_invariant(world: int, variant: int):
    """No choice of the scheduler loses, doubles or reorders a message, or leaves a conversation locked."""
    explored = explore(world, variant)

    assert explored.schedules >= explored.ends >= 1


@pytest.mark.exhaustive
@pytest.mark.parametrize(("world", "variant"), WORLDS)
def test_every_schedule_of_every_small_world_keeps_every_invariant(world: int, variant: int):
    """The same, of all; what was explored is printed as the page tells it."""
    explored = explore(world, variant)

    name = list(SMALL[world].variants)[variant]
    print(f"\n| {SMALL[world].name} | {name} | {explored.schedules:,} | {explored.states:,} |", end="")  # noqa: T201 - asked for
    assert explored.schedules >= explored.ends >= 1


def test_the_page_tells_of_every_small_world():
    """Each world with each of its variants, and none that is no more."""
    told = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| [\d,]+ \| [\d,]+ \|$", PAGE, re.MULTILINE)

    assert told == list(variants())


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_random_runs_of_the_large_world_keep_every_invariant(first: int):
    """A run is its seed: crashes, lost answers, throttling, duplicates, sweeps, late hours and the company's writes."""
    for seed in range(first, first + 50):
        swarm_run(seed)


@pytest.mark.parametrize("first", range(0, 100, 50))
def test_random_runs_of_a_large_world_of_e_mails_keep_every_invariant(first: int):
    """Each with an attachment, which is kept in the bucket before its message is staged."""
    for seed in range(first, first + 50):
        swarm_run(seed, "mail")


@pytest.mark.parametrize("first", range(0, 100, 50))
def test_random_runs_of_a_world_of_two_policies_keep_every_invariant(first: int):
    """Two companies, each by its own window, cap, action on a stall and on a new message; bad values among them."""
    for seed in range(first, first + 50):
        swarm_run(seed, "policies")


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(0, 2_000, 1_000))
def test_many_random_runs_of_a_world_of_two_policies_keep_every_invariant(first: int):
    """The same, at length."""
    for seed in range(first, first + 1_000):
        swarm_run(seed, "policies")


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(0, 2_000, 1_000))
def test_many_random_runs_of_a_large_world_of_e_mails_keep_every_invariant(first: int):
    """The same, at length."""
    for seed in range(first, first + 1_000):
        swarm_run(seed, "mail")


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(0, 10_000, 1_000))
def test_many_random_runs_of_the_large_world_keep_every_invariant(first: int):
    """The same, at length; how many there are in a second of one core is printed."""
    began = time.process_time()

    for seed in range(first, first + 1_000):
        swarm_run(seed)

    print(f"\n1,000 runs, {1_000 / (time.process_time() - began):.0f} a second", end="")  # noqa: T201 - asked for


def test_a_run_replays_exactly():
    """The same name, the same trace: a failure that was printed can be looked at again."""
    trace = swarm_run(7).trace

    again = replay("swarm/7").trace

    assert again == trace


@pytest.mark.parametrize("world", range(len(SMALL)), ids=lambda number: SMALL[number].name)
def test_what_is_remembered_of_actors_is_what_they_would_do(world: int):
    """A walk that goes back and forth through a memory sees the same as one that runs each line of code."""
    last = len(SMALL[world].variants) - 1
    remembering = SMALL[world].of(last, Memory())
    start = remembering.save()
    rng = random.Random(world)  # noqa: S311 - reproducible, not secret
    for _ in range(20):
        remembering.load(start)
        schedule = _walk(remembering, rng)
        afresh = SMALL[world].of(last)

        afresh.run(Replay(schedule))

        assert _rows(afresh) == _rows(remembering)
        assert afresh.course.acknowledged == remembering.course.acknowledged
        assert [one.body for one in afresh.world.queues.ai.messages] == [
            one.body for one in remembering.world.queues.ai.messages
        ]


def _walk(simulation: Simulation, rng: random.Random) -> list[int]:
    taken = []
    with simulation.ids():
        while options := simulation.options():
            taken.append(rng.randrange(len(options)))
            options[taken[-1]][1]()
    return taken


def _rows(simulation: Simulation) -> list[object]:
    return [table.state[0] for table in simulation.world.all_tables]


class TestTheChecker:
    """A checker that cannot fail is none: each planted fault is convicted by the name of its invariant."""

    def ended(self, budgets: Budgets | None = None) -> Simulation:
        simulation = Simulation(budgets or Budgets(), tenants=TENANTS)
        webhooks(simulation, "one")
        simulation.run(Replay([]))
        settle_and_check(simulation)
        return simulation

    def test_a_message_that_is_nowhere_is_lost(self):
        """I1."""
        simulation = self.ended()
        simulation.course.acknowledged += ("SM-of-nowhere",)

        with pytest.raises(Violation, match="I1"):
            check(simulation, is_reply_lossy=False)

    def test_a_message_in_two_answered_batches_was_answered_twice(self):
        """I2."""
        simulation = self.ended()
        (ids,) = simulation.world.batches.values()
        simulation.world.batches["another"] = ids
        simulation.world.replies["another"] = ["another answer"]
        sid, part, at = simulation.world.phone.received[0]
        simulation.world.phone.received.append((sid + "2", replace(part, body="another answer"), at))

        with pytest.raises(Violation, match="I2"):
            check(simulation, is_reply_lossy=False)

    def test_a_later_message_before_an_earlier_one_is_out_of_order(self):
        """I3."""
        simulation = self.ended()
        (entry,) = [one for one in simulation.world.row_of(ACME)["messages"] if one["direction"] == "INBOUND"]
        later = simulation.world.new_sid(ACME)
        simulation.world.tables.conversations.change(
            ACME.key.item, lambda row: {**row, "messages": [{**entry, "message_id": later}, *row["messages"]]}
        )
        simulation.course.one_after_another += ((entry["message_id"], later),)

        with pytest.raises(Violation, match="I3"):
            check(simulation, is_reply_lossy=False)

    def test_a_lock_that_is_taken_from_its_holder_is_seen_at_once(self):
        """I4."""
        table = Simulation(Budgets()).world.tables.conversations
        locked = {"conversation_status": "processing_reply", "last_batch_id": "b-1"}
        table.change(ACME.key.item, lambda row: {**row, **locked})

        with pytest.raises(Violation, match="I4"):
            table.change(ACME.key.item, lambda row: {**row, "last_batch_id": "b-2"})

    def test_a_reply_that_the_phone_shows_twice_was_delivered_twice(self):
        """I5."""
        simulation = self.ended()
        simulation.world.phone.received *= 2

        with pytest.raises(Violation, match="I5"):
            check(simulation, is_reply_lossy=False)

    def test_a_conversation_that_stays_locked_is_not_at_rest(self):
        """I6."""
        simulation = self.ended()
        locked = {"conversation_status": "processing_reply", "processing_started_at": "2026-01-31T18:00:00+00:00"}
        simulation.world.tables.conversations.change(ACME.key.item, lambda row: {**row, **locked})

        with pytest.raises(Violation, match="I6"):
            check(simulation, is_reply_lossy=False)

    def test_a_message_under_the_name_of_another_tenant_is_seen_at_once(self):
        """I7."""
        world = self.ended().world
        row = world.row_of(ACME)
        body = f'{{"primary_channel": "{row["primary_channel"]}"}}'

        with pytest.raises(Violation, match="I7"):
            world.queues.triggers["whatsapp"].inject(body, group=GLOBEX.name)

    def test_a_violation_within_a_function_is_told_though_its_door_catches_everything(self):
        """I4: as a watcher of the tables would raise it, in the middle of a worker."""
        simulation = Simulation(Budgets())
        webhooks(simulation, "one")
        simulation.run(Replay([0] * 6))
        simulation.world.broken.append("I4: seen in the middle")

        with pytest.raises(Violation, match="I4"):
            simulation.undisturbed(60)
