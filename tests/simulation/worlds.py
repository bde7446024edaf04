"""The small worlds whose every schedule is explored, and the large one of random runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.simulation.choices import Choices
from tests.simulation.invariants import watch_locks
from tests.simulation.scheduler import Budgets, Simulation, Webhook
from tests.world import CUSTOMER, conversation


@dataclass(frozen=True)
class SmallWorld:
    """One world: how it is set up, and the variants that are explored one after another."""

    name: str
    build: Callable[[Choices, Any], Simulation]
    variants: tuple[Any, ...] = (None,)
    is_reply_lossy: bool = False


def _webhooks(simulation: Simulation, *bodies: str) -> None:
    simulation.webhooks += [Webhook(simulation.world.form(body)) for body in bodies]


def _staged(simulation: Simulation, body: str) -> str:
    """A message was received before the choices begin; its sid."""
    with simulation._ids():
        sid = simulation.world.deliver(body)
    simulation.acknowledged.append(sid)
    simulation.seen.add(sid)
    return sid


def _crashed_batch(simulation: Simulation, calls: int) -> None:
    """A worker took the trigger and died before its call number `calls` + 1; the trigger is visible again."""
    queue = simulation.world.queues.triggers["whatsapp"]
    simulation._work("whatsapp", queue, queue.messages[0])
    simulation.to_the_end(simulation.actors[-1], calls=calls)


def _batch(simulation: Simulation) -> None:
    queue = simulation.world.queues.triggers["whatsapp"]
    simulation._work("whatsapp", queue, queue.messages[0])
    simulation.to_the_end(simulation.actors[-1])


def two_messages(choices: Choices, crashes: int) -> Simulation:
    """Two messages of one conversation race with one batch worker and one crash."""
    simulation = Simulation(choices, Budgets(crashes=crashes, deliveries=2))
    watch_locks(simulation)
    _webhooks(simulation, "one", "two")
    return simulation


def redelivery_and_sweep(choices: Choices, calls: int) -> Simulation:
    """A worker died at any call; its trigger comes again while the sweep runs, after the lock has stalled."""
    simulation = Simulation(choices, Budgets(deliveries=2, sweeps=1, crashes=1))
    watch_locks(simulation)
    _staged(simulation, "one")
    _crashed_batch(simulation, calls)
    simulation.world.clock.advance(400)
    return simulation


def reply_and_reset(choices: Choices, crashes: int) -> Simulation:
    """A reply races with the reset of its stalled lock and with a new batch."""
    simulation = Simulation(choices, Budgets(deliveries=1, sweeps=1, replies=1, crashes=crashes))
    watch_locks(simulation)
    _staged(simulation, "one")
    _batch(simulation)
    with simulation._ids():
        simulation.world.answer_batches()
    simulation.world.clock.advance(400)
    _staged(simulation, "two")
    return simulation


def duplicate_and_settle(choices: Choices, crashes: int) -> Simulation:
    """A retry of a message that was staged races with its batch and its settling; the answer comes after."""
    simulation = Simulation(choices, Budgets(deliveries=2, crashes=crashes))
    watch_locks(simulation)
    sid = _staged(simulation, "one")
    simulation.webhooks.append(Webhook({**simulation.world.form("one"), "MessageSid": sid}))
    return simulation


def handoff_and_batch(choices: Choices, crashes: int) -> Simulation:
    """The company switches a conversation to people while a message is batched and another comes in."""
    simulation = Simulation(choices, Budgets(deliveries=1, company_writes=1, crashes=crashes))
    watch_locks(simulation)
    _staged(simulation, "one")
    _webhooks(simulation, "two")

    def switch() -> None:
        table = simulation.world.tables.conversations
        ((row_id, row),) = table._store.rows.items()
        table._store.rows[row_id] = {**row, "auto_queue_reply_message_from_number": [CUSTOMER]}

    simulation.company_acts.append(switch)
    return simulation


SMALL = (
    SmallWorld("two messages, one batch worker, one crash", two_messages, (0, 1)),
    SmallWorld("a redelivered trigger and the sweep", redelivery_and_sweep, tuple(range(7))),
    SmallWorld("a reply, a stall reset and a new batch", reply_and_reset, (0, 1), is_reply_lossy=True),
    SmallWorld("a duplicate webhook and settle", duplicate_and_settle, (0, 1), is_reply_lossy=True),
    SmallWorld("handoff and a batch", handoff_and_batch, (0, 1)),
)


def swarm(choices: Choices, seed: int) -> Simulation:
    """A larger world with a mix of faults that the seed tells."""
    mix = [(seed * 2_654_435_761 >> shift) % 4 for shift in range(0, 24, 3)]
    budgets = Budgets(
        crashes=mix[0],
        losses=mix[1],
        throttles=mix[2],
        duplicates=mix[3] % 3,
        sweeps=mix[4],
        jumps=mix[5] % 2,
        company_writes=mix[6] % 3,
        workers=1 + mix[7] % 2,
        answers=9,
        replies=9,
    )
    settings = {"stall_action": "handoff"} if seed % 7 == 0 else {}
    simulation = Simulation(choices, budgets, conversation(), **settings)
    watch_locks(simulation)
    _webhooks(simulation, *(f"message {number}" for number in range(2 + seed % 4)))
    if seed % 3 == 0:
        again = simulation.webhooks[0].form
        simulation.webhooks.append(Webhook(dict(again)))
    simulation.company_acts.append(lambda: _company_appends(simulation))
    return simulation


def _company_appends(simulation: Simulation) -> None:
    """The company's own systems append to the record, and raise no version."""
    table = simulation.world.tables.conversations
    ((row_id, row),) = table._store.rows.items()
    note = {"message_id": f"note-{len(row['messages'])}", "direction": "OUTBOUND", "content": "a note"}
    table._store.rows[row_id] = {**row, "messages": [*row["messages"], note]}


def every_small_world() -> Iterator[tuple[SmallWorld, Any]]:
    """Each small world with each of its variants."""
    for world in SMALL:
        for variant in world.variants:
            yield world, variant
