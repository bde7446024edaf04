"""The shipped code in simulated worlds: every schedule of small ones, random runs of large ones."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from chalicelib.ports.tables import Attr
from tests.proofs import sampled
from tests.simulation.actors import Memory
from tests.simulation.choices import Replay
from tests.simulation.deployment import ACME
from tests.simulation.reached import REACHED, Reached
from tests.simulation.runs import explore, replay, swarm_run, variants
from tests.simulation.simulation import Budgets, Simulation
from tests.simulation.small import QUICK, SMALL
from tests.simulation.worlds import KINDS, swarm

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
SEEDS, SEEDS_AT_ONCE = 50_000, 1_000
"""Random runs of `make simulate`, and after how many it prints how it goes on."""

STEPS_MAX = 1_500_000
"""How many steps of a small world `make simulate` takes."""

WORLDS = [pytest.param(*one, id=", ".join(names)) for names, one in variants().items()]
IN_TEST = [(world, min(variant for one, variant in QUICK if one == world)) for world in sorted(dict(QUICK))[::2]]
"""One variant of every other quick world, for `make test`."""


@pytest.mark.parametrize(
    ("world", "variant"),
    sampled([one for one in WORLDS if one.values in QUICK], lambda *one: one in IN_TEST),
)
def test_every_schedule_of_a_small_world_keeps_every_invariant(world: int, variant: int):
    """No choice of the scheduler loses, doubles or reorders a message, or leaves a conversation locked."""
    explored = explore(world, variant)

    assert explored.schedules >= explored.ends >= 1


@pytest.mark.exhaustive
@pytest.mark.parametrize(("world", "variant"), WORLDS)
def test_every_schedule_of_every_small_world_keeps_every_invariant(world: int, variant: int):
    """The same, of all, up to a number of steps; what was explored is printed as the page tells it."""
    explored = explore(world, variant, steps_max=STEPS_MAX)

    is_whole = explored.steps < STEPS_MAX
    told = f"{explored.schedules:,} | {explored.states:,}" if is_whole else "- | -"
    print(f"\n| {SMALL[world].name} | {list(SMALL[world].variants)[variant]} | {told} |", end="")  # noqa: T201 - asked for
    assert explored.ends >= 1


def test_the_page_tells_of_every_small_world():
    """Each world with each of its variants, and none that is no more."""
    told = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| (?:[\d,]+|-) \| (?:[\d,]+|-) \|$", PAGE, re.MULTILINE)

    assert told == list(variants())


@pytest.mark.parametrize("first", sampled(range(0, 200, 50), lambda first: first == 0))
def test_random_runs_of_the_large_world_keep_every_invariant(first: int):
    """A run is its seed: crashes, lost answers, throttling, duplicates, sweeps, late hours and the company's writes."""
    for seed in range(first, first + 50):
        swarm_run(seed)


@pytest.mark.parametrize("first", sampled(range(0, 100, 50), lambda first: first == 0))
def test_random_runs_of_a_large_world_of_e_mails_keep_every_invariant(first: int):
    """Each with an attachment, which is kept in the bucket before its message is staged."""
    for seed in range(first, first + 50):
        swarm_run(seed, "mail")


@pytest.mark.parametrize("first", sampled(range(0, 100, 50), lambda first: first == 0))
def test_random_runs_of_a_world_of_two_policies_keep_every_invariant(first: int):
    """Two companies, each by its own window, cap, action on a stall and on a new message; bad values among them."""
    for seed in range(first, first + 50):
        swarm_run(seed, "policies")


@pytest.mark.parametrize("first", sampled(range(0, 100, 50), lambda first: first == 0))
def test_random_runs_of_a_world_of_opt_outs_keep_every_invariant(first: int):
    """STOP, START and HELP on two channels, beside each other and beside messages, batches and replies."""
    for seed in range(first, first + 50):
        swarm_run(seed, "opt-outs")


@pytest.mark.parametrize("first", sampled(range(0, 150, 50), lambda first: first == 0))
def test_random_runs_of_a_world_of_whole_turns_keep_every_invariant(first: int):
    """The AI says nothing, hands off, sends interim messages and heartbeats; operators and people take their part."""
    for seed in range(first, first + 50):
        swarm_run(seed, "turns")


@pytest.mark.parametrize("first", sampled(range(0, 150, 50), lambda first: first == 0))
def test_random_runs_of_a_world_of_second_thoughts_keep_every_invariant(first: int):
    """What customers add while the AI thinks restarts its turn, beside everything else that may happen."""
    restarted = sum(bool(swarm_run(seed, "thoughts").world.restarted) for seed in range(first, first + 50))

    assert restarted, "or the runs looked for nothing"


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(0, 4_000, 1_000))
def test_many_random_runs_of_a_world_of_second_thoughts_keep_every_invariant(first: int):
    """The same, at length."""
    for seed in range(first, first + 1_000):
        swarm_run(seed, "thoughts")


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(0, 4_000, 1_000))
def test_many_random_runs_of_a_world_of_opt_outs_keep_every_invariant(first: int):
    """The same, at length."""
    for seed in range(first, first + 1_000):
        swarm_run(seed, "opt-outs")


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(0, 4_000, 1_000))
def test_many_random_runs_of_a_world_of_whole_turns_keep_every_invariant(first: int):
    """The same, at length."""
    for seed in range(first, first + 1_000):
        swarm_run(seed, "turns")


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
        "conversation_lock.acquire (L1 N3): 1, refused 1; conversation_status 1, primary_channel NEVER"
        in reached.report()
    )
    assert "conversation_lock.reset (L2 L5): NEVER, refused NEVER; NEVER TRIED" in reached.report()


def test_a_run_replays_exactly():
    """The same name, the same trace: a failure that was printed can be looked at again."""
    trace = swarm_run(7).trace

    again = replay("swarm/7").trace

    assert again == trace


@pytest.mark.parametrize(
    "world",
    sampled((pytest.param(number, id=one.name) for number, one in enumerate(SMALL)), lambda number: number % 8 == 0),
)
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
    with simulation.planting():
        while options := simulation.options():
            taken.append(rng.randrange(len(options)))
            options[taken[-1]][1]()
    return taken


def _rows(simulation: Simulation) -> list[object]:
    return [table.state[0] for table in simulation.world.all_tables]
