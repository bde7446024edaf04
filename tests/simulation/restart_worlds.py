"""Small worlds of second thoughts, under the policy `on_new_message: restart`, and the large one."""

from __future__ import annotations

import random
from functools import partial

from tests.simulation import worlds
from tests.simulation.actors import Memory
from tests.simulation.deployment import ACME
from tests.simulation.simulation import Budgets, Simulation
from tests.simulation.worlds import SmallWorld, webhooks

RESTARTING = {"on_new_message": "restart"}
HOLDING = {**RESTARTING, "batch_window_seconds": "5", "batch_max_wait_seconds": "5"}


def second_thought(variant: dict[str, int], memory: Memory | None) -> Simulation:
    """The customer adds something while the AI thinks and its reply is on its way."""
    budgets = Budgets(**{"deliveries": 1, "replies": 2, "answers": 1, **variant})
    simulation = Simulation(budgets, memory=memory, **RESTARTING)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._staged(simulation, "two")
    return simulation


def second_thought_comes_in(variant: dict[str, int], memory: Memory | None) -> Simulation:
    """The same, and the webhook of what is added is among the choices; the AI has answered."""
    budgets = Budgets(**{"deliveries": 1, "replies": 1, **variant})
    simulation = Simulation(budgets, memory=memory, **RESTARTING)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    webhooks(simulation, "two")
    return simulation


def two_restart(variant: dict[str, int], memory: Memory | None) -> Simulation:
    """A trigger that comes twice would restart a batch; perhaps the company pauses the project meanwhile."""
    budgets = Budgets(deliveries=2, duplicates=1, workers=2, **variant)
    simulation = Simulation(budgets, memory=memory, **RESTARTING)
    simulation.company_acts = (("pauses the project", partial(worlds._pauses, simulation, ACME)),)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._staged(simulation, "two")
    return simulation


def held_reply(variant: dict[str, int], memory: Memory | None) -> Simulation:
    """The AI has answered while the customer still types."""
    budgets = Budgets(**{"deliveries": 1, "replies": 2, "waits": 2, **variant})
    simulation = Simulation(budgets, memory=memory, **HOLDING)
    worlds._staged(simulation, "one")
    simulation.world.clock.advance(6)
    worlds._batch(simulation)
    worlds._answered(simulation)
    worlds._staged(simulation, "two")
    return simulation


def held_reply_is_free(_: None, memory: Memory | None) -> Simulation:
    """The same; the message that the reply is held for is lost to a rule, and no restart follows."""
    simulation = held_reply({"company_writes": 1}, memory)
    simulation.company_acts = (("pauses the project", partial(worlds._pauses, simulation, ACME)),)
    return simulation


def restart_died(calls: int, memory: Memory | None) -> Simulation:
    """A worker died at any call of a restart; its trigger comes again while the sweep finds the lock stalled."""
    simulation = Simulation(Budgets(deliveries=2, sweeps=1), memory=memory, **RESTARTING)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    worlds._staged(simulation, "two")
    worlds._batch(simulation, calls=calls)
    simulation.world.clock.advance(400)
    return simulation


def third_thought(variant: dict[str, int], memory: Memory | None) -> Simulation:
    """One restart is allowed and made; then the customer adds something once more."""
    budgets = Budgets(**{"deliveries": 1, "replies": 1, "answers": 1, **variant})
    simulation = Simulation(budgets, memory=memory, **RESTARTING, restarts_max="1")
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._staged(simulation, "two")
    worlds._batch(simulation)
    worlds._staged(simulation, "three")
    return simulation


def stalled_after_a_restart(_: None, memory: Memory | None) -> Simulation:
    """A restarted batch was never answered, and the next batch carries it; the customer adds something again."""
    simulation = Simulation(Budgets(deliveries=1, replies=1), memory=memory, **RESTARTING, restarts_max="1")
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._staged(simulation, "two")
    worlds._batch(simulation)
    simulation.world.queues.ai.messages.clear()
    simulation.course.needs_sweep = True
    simulation.world.clock.advance(400)
    worlds._swept(simulation)
    worlds._staged(simulation, "three")
    worlds._batch(simulation)
    worlds._staged(simulation, "four")
    return simulation


def effects_and_second_thought(_: None, memory: Memory | None) -> Simulation:
    """The AI says that it has done something, while a trigger would restart its turn."""
    budgets = Budgets(deliveries=1, replies=2, workers=2)
    simulation = Simulation(budgets, memory=memory, turn=worlds.EXTENDED, **RESTARTING)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    worlds._staged(simulation, "two")
    return simulation


def interim_and_second_thought(_: None, memory: Memory | None) -> Simulation:
    """The AI sends an interim message, while a trigger would restart its turn."""
    simulation = Simulation(Budgets(deliveries=1, replies=2), memory=memory, turn=worlds.INTERIM, **RESTARTING)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    worlds._staged(simulation, "two")
    return simulation


def people_and_second_thought(who: str, memory: Memory | None) -> Simulation:
    """The company, or an operator, switches to people while a trigger would restart the AI's turn."""
    simulation = Simulation(Budgets(deliveries=1, replies=1, company_writes=1), memory=memory, **RESTARTING)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    worlds._staged(simulation, "two")
    acts = {
        "the company": ("switches to people", partial(worlds._switches_to_people, simulation, ACME)),
        "an operator": ("has an operator hand over", partial(worlds._operator_hands_over, simulation, ACME)),
    }
    simulation.company_acts = (acts[who],)
    return simulation


def help_and_second_thought(_: None, memory: Memory | None) -> Simulation:
    """The customer adds something, and says HELP."""
    simulation = Simulation(Budgets(deliveries=2, replies=1), memory=memory, **RESTARTING)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    worlds._staged(simulation, "two")
    worlds._staged(simulation, "HELP", worlds._says("HELP"))
    return simulation


def foreign_lock_and_second_thought(_: None, memory: Memory | None) -> Simulation:
    """A batch was reset; then another system locks the record, and the customer adds something."""
    simulation = Simulation(Budgets(deliveries=2, waits=1), memory=memory, **RESTARTING)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    simulation.world.queues.ai.messages.clear()
    simulation.course.needs_sweep = True
    simulation.world.clock.advance(400)
    worlds._swept(simulation)
    worlds._locks(simulation, ACME)
    worlds._staged(simulation, "two")
    return simulation


def bug_before_the_dispatch_of_a_restart(_: None, memory: Memory | None) -> Simulation:
    """A worker restarts a batch, and meets a bug before it dispatches the new one."""
    simulation = Simulation(Budgets(deliveries=1, replies=1), memory=memory, **RESTARTING)
    simulation.buggy = "batch whatsapp#2"
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    worlds._staged(simulation, "two")
    return simulation


def second_thoughts(seed: int) -> Simulation:
    """The larger world of that seed under the policy; its customers add more, and its AI does all that it may."""
    rng = random.Random(f"second thoughts {seed}")  # noqa: S311 - reproducible, not secret
    windows = {"batch_window_seconds": "3", "batch_max_wait_seconds": "5"} if rng.random() < 0.6 else {}
    settings = {**RESTARTING, **windows, "restarts_max": str(rng.randint(1, 2))}
    simulation = worlds.swarm(seed, **settings)
    for number in range(rng.randint(1, 3)):
        tenant = rng.choice(simulation.world.tenants)
        by = tenant.by_sms if rng.random() < 0.2 else ()
        webhooks(simulation, f"thought {number}", tenant=tenant, fields=by)
    if rng.random() < 0.4:
        worlds.whole_turns(simulation, seed)
    return simulation


RESTART_WORLDS = (
    SmallWorld(
        "a second thought while the AI thinks",
        second_thought,
        {
            "one worker": {},
            "one worker, a crash": {"crashes": 1},
            "lost answers": {"losses": 1},
            "throttled": {"throttles": 1},
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a second thought beside the reply",
        second_thought_comes_in,
        {"one worker": {}, "one worker, a crash": {"crashes": 1}},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a trigger that restarts a batch and comes twice",
        two_restart,
        {"two workers": {}, "the project is paused": {"company_writes": 1}},
    ),
    SmallWorld(
        "a reply that is held",
        held_reply,
        {
            "one worker": {},
            "one worker, a crash": {"crashes": 1},
            "delivered twice": {"duplicates": 1, "workers": 2},
            "lost answers": {"losses": 1},
            "throttled": {"throttles": 1},
        },
        is_reply_lossy=True,
    ),
    SmallWorld("a reply that is held in vain", held_reply_is_free, {"one worker": None}, is_reply_lossy=True),
    SmallWorld(
        "a restart that died, and the sweep",
        restart_died,
        {f"a crash at call {calls + 1}": calls for calls in range(6)},
        is_reply_lossy=True,
    ),
    SmallWorld("a third thought", third_thought, {"one worker": {}, "a crash": {"crashes": 1}}, is_reply_lossy=True),
    SmallWorld("a thought after a stalled restart", stalled_after_a_restart, {"one worker": None}, is_reply_lossy=True),
    SmallWorld(
        "a second thought beside effects", effects_and_second_thought, {"two workers": None}, is_reply_lossy=True
    ),
    SmallWorld(
        "a second thought beside an interim message",
        interim_and_second_thought,
        {"one worker": None},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a second thought and people",
        people_and_second_thought,
        {one: one for one in ("the company", "an operator")},
        is_reply_lossy=True,
    ),
    SmallWorld("a second thought and a HELP", help_and_second_thought, {"one worker": None}, is_reply_lossy=True),
    SmallWorld("a second thought beside another system's lock", foreign_lock_and_second_thought, {"one worker": None}),
    SmallWorld(
        "a bug before the dispatch of a restart",
        bug_before_the_dispatch_of_a_restart,
        {"one worker": None},
        is_reply_lossy=True,
    ),
)
"""Added to those of `worlds` and `guard_worlds`."""
