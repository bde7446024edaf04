"""The shipped code in simulated worlds: every schedule of small ones, random runs of large ones."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.ports.tables import Attr
from tests.simulation.actors import Memory
from tests.simulation.choices import Replay
from tests.simulation.deployment import ACME, GLOBEX, TENANTS, Violation
from tests.simulation.invariants import check, people_have_all, settle_and_check
from tests.simulation.reached import REACHED, Reached
from tests.simulation.runs import explore, replay, swarm_run, variants
from tests.simulation.simulation import Budgets, Simulation
from tests.simulation.small import QUICK, SMALL
from tests.simulation.worlds import KINDS, swarm, webhooks

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
SEEDS, SEEDS_AT_ONCE = 50_000, 1_000
"""Random runs of `make simulate`, and after how many it prints how it goes on."""

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
    told = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| (?:[\d,]+|-) \| (?:[\d,]+|-) \|$", PAGE, re.MULTILINE)

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
@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_AT_ONCE))
def test_many_random_runs_of_the_large_world_keep_every_invariant(first: int):
    """The same, at length; how many there are in a second of one core is printed."""
    began = time.process_time()

    for seed in range(first, first + SEEDS_AT_ONCE):
        swarm_run(seed)

    rate = SEEDS_AT_ONCE / (time.process_time() - began)
    print(f"\nseeds {first:,} to {first + SEEDS_AT_ONCE - 1:,}, {rate:.0f} a second", end="")  # noqa: T201 - asked for


@pytest.fixture(scope="module", autouse=True)
def _reached(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the runs of `make simulate` reach is printed, and what none of them reaches."""
    is_exhaustive = any(item.get_closest_marker("exhaustive") for item in request.session.items)
    with REACHED.watching() if is_exhaustive else nullcontext():
        yield
    if is_exhaustive:
        print(REACHED.report())  # noqa: T201 - asked for


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=lambda number: KINDS[number].name)
def test_runs_of_each_kind_spend_the_budgets_that_it_has(kind: int):
    """A kind that never spends a budget looks for nothing by it."""
    spent: set[str] = set()
    for seed in range(kind, kind + 24 * len(KINDS), len(KINDS)):
        begun = swarm(seed).course.budgets
        left = swarm_run(seed).course.budgets
        spent |= {name for name in KINDS[kind].at_most if getattr(left, name) < getattr(begun, name)}

    assert spent >= KINDS[kind].at_most.keys() - {"expiries", "refusals", "second_answers", "silences"}


def test_what_the_runs_reach_is_counted():
    """Writes, the comparisons that alone refused some, decisions and faults: each by its name."""
    reached = Reached()
    table = Simulation(Budgets()).world.tables.conversations
    row = table.state[0][table._id_of(ACME.key.item)]
    condition = Attr("conversation_status").eq("another") & Attr("primary_channel").exists()

    reached.guard("conversation_lock.acquire", condition, row, is_written=False)
    reached.guard("conversation_lock.acquire", condition, row, is_written=True)

    assert reached.refused == {("conversation_lock.acquire", "conversation_status"): 1}
    assert (
        "conversation_lock.acquire (L1 L3): 1, refused 1; conversation_status 1, primary_channel NEVER"
        in reached.report()
    )
    assert "conversation_lock.reset (L2 L5): NEVER, refused NEVER; NEVER TRIED" in reached.report()


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

    def test_a_message_that_people_receive_before_an_earlier_one_is_out_of_order(self):
        """I3: the record is in order, and people's first receipt is not."""
        simulation = self.handed_off("one", "two")
        simulation.world.with_people.reverse()

        with pytest.raises(Violation, match="I3: people"):
            check(simulation, is_reply_lossy=False)

    def test_a_mark_on_a_message_that_people_never_received_is_wrong(self):
        """I2."""
        simulation = self.handed_off("one", "two")
        simulation.world.with_people.pop()
        simulation.course.acknowledged = simulation.course.acknowledged[:1]

        with pytest.raises(Violation, match="I2: a message is marked"):
            check(simulation, is_reply_lossy=False)

    def test_a_message_that_people_received_without_a_mark_is_wrong(self):
        """I2."""
        simulation = self.handed_off("one")
        self.change_entries(simulation, lambda one: {name: one[name] for name in one if name != "handed_off"})

        with pytest.raises(Violation, match="I2: a message that people received is not marked"):
            check(simulation, is_reply_lossy=False)

    def test_an_entry_that_comes_back_from_the_history_is_wrong(self):
        """I2: behind entries that never left the record."""
        simulation = self.ended()
        world = simulation.world
        answer = world.row_of(ACME)["messages"][-1]
        key = {"conversation_id": ACME.key.conversation_id, "message_id": answer["message_id"]}
        world.tables.history.create({**key, "primary_channel": ACME.key.primary_channel, "entry": answer})

        with pytest.raises(Violation, match="I2: what was moved"):
            check(simulation, is_reply_lossy=False)

    def change_entries(self, simulation: Simulation, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        simulation.world.tables.conversations.change(
            ACME.key.item, lambda row: {**row, "messages": [change(one) for one in row["messages"]]}
        )

    def handed_off(self, *bodies: str) -> Simulation:
        simulation = Simulation(Budgets(), row={"auto_queue_reply_message": True})
        webhooks(simulation, *bodies)
        simulation.run(Replay([]))
        settle_and_check(simulation)
        return simulation

    def test_a_reply_that_is_in_no_record_is_lost(self):
        """I1: the customer got it."""
        simulation = self.ended()
        simulation.world.tables.conversations.change(
            ACME.key.item,
            lambda row: {**row, "messages": [one for one in row["messages"] if one["direction"] == "INBOUND"]},
        )

        with pytest.raises(Violation, match="I1: the record has lost a reply"):
            check(simulation, is_reply_lossy=False)

    def test_a_part_that_is_known_to_be_sent_is_in_the_record_though_its_end_was_reported(self):
        """I1."""
        simulation = self.ended()
        simulation.course.told += tuple(simulation.world.batches)
        self.change_entries(simulation, lambda one: {name: one[name] for name in one if name != "send_id"})

        with pytest.raises(Violation, match="I1: the record has lost a part"):
            check(simulation, is_reply_lossy=True)

    def test_a_reply_of_which_the_provider_was_never_asked_is_not_of_unknown_outcome(self):
        """I1: unless a process ended between the claim of a part and its send."""
        simulation = self.ended()
        simulation.course.unknown |= {"a-batch"}

        with pytest.raises(Violation, match="I1: a reply that nobody asked"):
            check(simulation, is_reply_lossy=False)
        simulation.course.in_doubt |= {"a-batch"}
        check(simulation, is_reply_lossy=False)

    def test_a_stop_without_its_mark_is_lost(self):
        """I1."""
        simulation = Simulation(Budgets())
        webhooks(simulation, "STOP", fields=(("OptOutType", "STOP"),))
        simulation.run(Replay([]))
        settle_and_check(simulation)
        simulation.world.tables.conversations.change(ACME.key.item, lambda row: {**row, "opted_out_channels": []})

        with pytest.raises(Violation, match="I1: a STOP"):
            check(simulation, is_reply_lossy=False)

    def test_a_part_of_a_person_s_reply_is_no_reply(self):
        """I5."""
        simulation = self.ended()
        simulation.world.replies_of_people.append("what nobody got")

        with pytest.raises(Violation, match="I5: a reply of people"):
            check(simulation, is_reply_lossy=False)

    def test_a_trigger_lock_without_a_trigger_is_seen(self):
        """I6."""
        simulation = Simulation(Budgets(deliveries=0))
        webhooks(simulation, "one")
        simulation.run(Replay([]))
        simulation.world.queues.triggers["whatsapp"].messages.clear()

        with pytest.raises(Violation, match="I6: a trigger lock"):
            settle_and_check(simulation)

    def test_a_lock_that_is_taken_from_its_holder_is_seen_at_once(self):
        """I4."""
        simulation = Simulation(Budgets())
        table = simulation.world.tables.conversations
        locked = {"conversation_status": "processing_reply", "last_batch_id": "b-1"}
        table.change(ACME.key.item, lambda row: {**row, **locked})

        with pytest.raises(Violation, match="I4"):
            table.change(ACME.key.item, lambda row: {**row, "last_batch_id": "b-2"})

    def test_a_claimed_lock_whose_clock_another_sets_is_seen_at_once(self):
        """I4: a dead reply would never stall."""
        table = Simulation(Budgets()).world.tables.conversations
        claimed = {"reply_claim": "r-1", "reply_claim_token": "token", "processing_started_at": "earlier"}
        table.change(ACME.key.item, lambda row: {**row, **claimed})

        with pytest.raises(Violation, match="I4: the clock"):
            table.change(ACME.key.item, lambda row: {**row, "processing_started_at": "later"})

    def test_a_dispatched_batch_that_loses_its_lock_is_seen_at_once(self):
        """I4: nothing would bring an answer that never comes."""
        world = Simulation(Budgets()).world
        table, started = world.tables.conversations, "processing_started_at"
        world.batches = {"b-1": ["SM1"]}
        locked = {"last_batch_id": "b-1", "unanswered_ids": ["SM1"], started: "earlier"}
        table.change(ACME.key.item, lambda row: {**row, **locked})

        with pytest.raises(Violation, match="I4: a batch that was dispatched"):
            table.change(ACME.key.item, lambda row: {name: row[name] for name in row if name != started})

    def test_an_acknowledged_message_that_nobody_will_look_at_is_seen_at_once(self):
        """I6: its trigger is gone when the provider is answered."""
        simulation = Simulation(Budgets(deliveries=0))
        webhooks(simulation, "one")
        with simulation.ids():
            while not simulation.world.queues.triggers["whatsapp"].messages:
                simulation.options()[0][1]()
        simulation.world.queues.triggers["whatsapp"].messages.clear()

        with pytest.raises(Violation, match="I6: an acknowledged message"):
            simulation.run(Replay([]))

    def test_people_who_wait_though_all_is_for_them_are_seen(self):
        """I6."""
        simulation = self.handed_off("one")
        simulation.world.with_people.clear()

        with pytest.raises(Violation, match="I6: people wait"):
            people_have_all(simulation)

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
