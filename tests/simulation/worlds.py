"""The small worlds whose every schedule is explored, and the large one of random runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.simulation.actors import Memory
from tests.simulation.deployment import ACME, TENANTS, Tenant
from tests.simulation.simulation import Budgets, Simulation, Webhook


@dataclass(frozen=True)
class SmallWorld:
    """One world: how it is set up, and the variants that are explored one after another."""

    name: str
    build: Callable[[Any, Memory | None], Simulation]
    variants: dict[str, Any]
    """What each variant adds, and what `build` is told of it."""
    is_reply_lossy: bool = False

    def of(self, variant: int, memory: Memory | None = None) -> Simulation:
        """One variant, as it begins."""
        return self.build(list(self.variants.values())[variant], memory)


def webhooks(simulation: Simulation, *bodies: str, tenant: Tenant = ACME) -> None:
    """A tenant's customer sends messages, which its provider will deliver."""
    simulation.course.webhooks += tuple(Webhook(tenant, simulation.world.new_sid(tenant), body) for body in bodies)


def _staged(simulation: Simulation, body: str) -> str:
    """A message was received before the choices begin; its sid."""
    world = simulation.world
    sid = world.new_sid(ACME)
    with simulation.ids():
        world.receive(ACME, sid, body)
    world.telemetry.lines.clear()
    simulation.course.acknowledged += (sid,)
    simulation.course.seen |= {sid}
    return sid


def _batch(simulation: Simulation, *, calls: int | None = None) -> None:
    """A worker took the trigger before the choices begin, and died before its call number `calls` + 1, if that is told.

    Then the trigger is visible again.
    """
    queue, budgets = simulation.world.queues.triggers["whatsapp"], simulation.course.budgets
    with simulation.ids():
        simulation._work("whatsapp", queue, queue.messages[0])
    simulation.to_the_end(simulation.course.actors[-1], calls=calls)
    simulation.course.budgets = budgets


def _answered(simulation: Simulation) -> None:
    with simulation.ids():
        for message in list(simulation.world.queues.ai.messages):
            simulation._take_context(message)


def _swept(simulation: Simulation) -> None:
    with simulation.ids():
        simulation.world.sweep()
    simulation.world.telemetry.lines.clear()


def two_messages(variant: tuple[int, int], memory: Memory | None) -> Simulation:
    """Two messages of one conversation race with batch workers and crashes."""
    crashes, workers = variant
    simulation = Simulation(Budgets(crashes=crashes, deliveries=2, workers=workers), memory=memory)
    webhooks(simulation, "one", "two")
    return simulation


def second_message(variant: tuple[int, int], memory: Memory | None) -> Simulation:
    """A second message comes in while batch workers take the first."""
    crashes, workers = variant
    simulation = Simulation(Budgets(crashes=crashes, deliveries=2, workers=workers), memory=memory)
    _staged(simulation, "one")
    webhooks(simulation, "two")
    return simulation


def redelivery_and_sweep(calls: int, memory: Memory | None) -> Simulation:
    """A worker died at any call; its trigger comes again while the sweep runs, after the lock has stalled."""
    simulation = Simulation(Budgets(deliveries=2, sweeps=1, crashes=1), memory=memory)
    _staged(simulation, "one")
    _batch(simulation, calls=calls)
    simulation.world.clock.advance(400)
    return simulation


def reply_and_reset(variant: tuple[int, int], memory: Memory | None) -> Simulation:
    """A reply races with the reset of its stalled lock and with a new batch."""
    return _reply_and_reset(variant, memory)


def reply_and_people(variant: tuple[int, int], memory: Memory | None) -> Simulation:
    """A reply races with the sweep that gives its stalled batch to people."""
    return _reply_and_reset(variant, memory, stall_action="handoff")


def _reply_and_reset(variant: tuple[int, int], memory: Memory | None, **settings: str) -> Simulation:
    crashes, workers = variant
    budgets = Budgets(deliveries=1, sweeps=1, replies=workers, crashes=crashes, workers=workers)
    simulation = Simulation(budgets, memory=memory, **settings)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    simulation.world.clock.advance(400)
    _staged(simulation, "two")
    return simulation


def duplicate_and_settle(variant: tuple[int, int], memory: Memory | None) -> Simulation:
    """A retry of a message that was staged races with its batch and its settling; the answer comes after."""
    crashes, workers = variant
    simulation = Simulation(Budgets(deliveries=2, crashes=crashes, workers=workers), memory=memory)
    sid = _staged(simulation, "one")
    simulation.course.webhooks += (Webhook(ACME, sid, "one"),)
    return simulation


def handoff_and_batch(variant: tuple[int, int], memory: Memory | None) -> Simulation:
    """The company switches a conversation to people while a message is batched and another comes in."""
    crashes, workers = variant
    simulation = Simulation(
        Budgets(deliveries=workers, company_writes=1, crashes=crashes, workers=workers), memory=memory
    )
    _staged(simulation, "one")
    webhooks(simulation, "two")
    simulation.company_acts = (("switches to people", partial(_switches_to_people, simulation, ACME)),)
    return simulation


def handoff_and_two_workers(crashes: int, memory: Memory | None) -> Simulation:
    """The company switches a conversation to people while two workers look at it, for a trigger that came twice."""
    budgets = Budgets(deliveries=2, duplicates=1, company_writes=1, crashes=crashes, workers=2)
    simulation = Simulation(budgets, memory=memory)
    _staged(simulation, "one")
    simulation.company_acts = (("switches to people", partial(_switches_to_people, simulation, ACME)),)
    return simulation


def late_reply_and_people(variant: tuple[int, int], memory: Memory | None) -> Simulation:
    """The reply to a batch whose lock was reset races with the batch that would hand its messages to people."""
    crashes, workers = variant
    simulation = Simulation(
        Budgets(deliveries=1, sweeps=1, replies=1, company_writes=1, crashes=crashes, workers=workers), memory=memory
    )
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    simulation.world.clock.advance(400)
    _swept(simulation)
    _staged(simulation, "two")
    simulation.company_acts = (("switches to people", partial(_switches_to_people, simulation, ACME)),)
    return simulation


def stalled_reply(calls: int, memory: Memory | None) -> Simulation:
    """A reply worker stalls before one of its calls and wakes when its lock has stalled and a new message has come."""
    simulation = Simulation(Budgets(deliveries=1, sweeps=1), memory=memory)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    budgets = simulation.course.budgets
    with simulation.ids():
        simulation._reply(simulation.world.queues.replies.messages[0])
        for _ in range(calls):
            simulation._step(simulation.course.actors[0], None)
    simulation.course.budgets = budgets
    simulation.world.clock.advance(400)
    _staged(simulation, "two")
    return simulation


_SHORT = {"messages_keep": "1", "dedupe_hours": "0"}


def history_and_duplicate(crashes: int, memory: Memory | None) -> Simulation:
    """Entries move to the history while a message that was answered comes again."""
    simulation = Simulation(Budgets(deliveries=2, crashes=crashes), memory=memory, **_SHORT)
    sid = _staged(simulation, "one")
    simulation.undisturbed(60)
    simulation.course.webhooks += (Webhook(ACME, sid, "one"),)
    _staged(simulation, "two")
    return simulation


def history_and_carried(crashes: int, memory: Memory | None) -> Simulation:
    """The record outgrows its bounds by what a batch left unanswered."""
    simulation = Simulation(Budgets(deliveries=1, crashes=crashes, replies=1), memory=memory, **_SHORT)
    _staged(simulation, "one")
    _staged(simulation, "two")
    _batch(simulation)
    simulation.world.queues.ai.messages.clear()  # the AI is lost, and with it the batch
    simulation.world.clock.advance(400)
    _swept(simulation)
    _staged(simulation, "three")
    return simulation


def company_and_batch(act: Callable[[Simulation, Tenant], None], memory: Memory | None) -> Simulation:
    """The company's own systems write to the record at any time, up to twice."""
    simulation = Simulation(Budgets(deliveries=2, company_writes=2, sweeps=1, answers=1, replies=1), memory=memory)
    _staged(simulation, "one")
    simulation.company_acts = (("writes", partial(act, simulation, ACME)),)
    return simulation


def _switches_to_people(simulation: Simulation, tenant: Tenant) -> None:
    _writes(simulation, tenant, lambda row: {**row, "auto_queue_reply_message_from_number": [tenant.customer]})


def _appends(simulation: Simulation, tenant: Tenant) -> None:
    """The company's own systems append to the record, and raise no version."""

    def with_note(row: dict[str, Any]) -> dict[str, Any]:
        note = {"message_id": f"note-{len(row['messages']) + 9}", "direction": "OUTBOUND", "content": "a note"}
        return {**row, "messages": [*row["messages"], note]}

    _writes(simulation, tenant, with_note)


def _trims(simulation: Simulation, tenant: Tenant) -> None:
    """The company's own systems take the oldest entry off the record, if it is one of theirs."""

    def without_first(row: dict[str, Any]) -> dict[str, Any]:
        is_theirs = row["messages"] and row["messages"][0]["message_id"].startswith("note")
        return {**row, "messages": row["messages"][1:]} if is_theirs else row

    _writes(simulation, tenant, without_first)


def _locks(simulation: Simulation, tenant: Tenant) -> None:
    """The company's own systems lock an open record as we do, without our marks, and leave it so."""
    simulation.course.needs_sweep = True
    _writes(
        simulation,
        tenant,
        lambda row: row if "reply_claim" in row else {**row, "conversation_status": "processing_reply"},
    )


def _sets_a_status(simulation: Simulation, tenant: Tenant) -> None:
    """The company's own systems set a status of theirs, whatever ours is, and raise no version."""
    _writes(simulation, tenant, lambda row: {**row, "conversation_status": "looked_at"})


def _writes(simulation: Simulation, tenant: Tenant, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    simulation.world.tables.conversations.change(tenant.key.item, change)


WORKERS = {
    "one worker": (0, 1),
    "one worker, a crash": (1, 1),
    "two workers": (0, 2),
    "two workers, a crash": (1, 2),
}


def _first(count: int) -> dict[str, Any]:
    """The first of these variants: with more a world is too large to be explored to its end in minutes."""
    return dict(list(WORKERS.items())[:count])


SMALL = (
    SmallWorld("two messages and their batches", two_messages, _first(3)),
    SmallWorld("a second message while the first is batched", second_message, WORKERS),
    SmallWorld(
        "a redelivered trigger and the sweep",
        redelivery_and_sweep,
        {f"a crash at call {calls + 1}": calls for calls in range(7)},
    ),
    SmallWorld("a reply, a stall reset and a new batch", reply_and_reset, _first(3), is_reply_lossy=True),
    SmallWorld("a duplicate webhook and settle", duplicate_and_settle, _first(3), is_reply_lossy=True),
    SmallWorld("handoff and a batch", handoff_and_batch, _first(2)),
    SmallWorld("a late reply and people", late_reply_and_people, _first(2), is_reply_lossy=True),
    SmallWorld(
        "a reply worker that stalls and wakes late",
        stalled_reply,
        {"before its claim": 1, "before its send": 3, "before its release": 5},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "the company writes while a message is batched",
        company_and_batch,
        {"it locks": _locks, "it sets a status": _sets_a_status, "it appends": _appends},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a message comes again while its entry moves to the history",
        history_and_duplicate,
        {"one worker": 0, "one worker, a crash": 1},
    ),
    SmallWorld(
        "a lost batch on a record that outgrows its bounds",
        history_and_carried,
        {"one worker": 0, "one worker, a crash": 1},
    ),
    SmallWorld(
        "a reply and people who get stalled batches",
        reply_and_people,
        _first(2),
        is_reply_lossy=True,
    ),
    SmallWorld(
        "handoff and a trigger that comes twice",
        handoff_and_two_workers,
        {"two workers": 0, "two workers, a crash": 1},
    ),
)

QUICK = {(0, 0), (2, 0), (2, 3), (2, 4), (2, 6), (4, 0), (4, 2), (5, 0), (8, 0), (9, 0), (10, 0), (10, 1), (12, 0)}
"""Variants that take a second or two, by the numbers of world and variant."""


def swarm(seed: int, tenants: tuple[Tenant, ...] = TENANTS, *, are_all_there: bool = False) -> Simulation:
    """A larger world with a mix of faults that the seed tells, and with all of the tenants or as many as it tells."""
    mix = [(seed * 2_654_435_761 >> shift) % 4 for shift in range(0, 45, 3)]
    budgets = Budgets(
        crashes=mix[0],
        losses=mix[1],
        throttles=mix[2],
        refusals=mix[8] // 3,
        stale_reads=mix[9] % 3,
        duplicates=mix[3] % 3,
        sweeps=mix[4],
        jumps=mix[5] % 2,
        waits=2 + mix[10],
        expiries=mix[11] // 2,
        company_writes=mix[6] % 3,
        reports=mix[12] % 3,
        workers=1 + mix[7] % 2,
        answers=9,
        replies=9,
    )
    settings: dict[str, str] = {}
    if seed % 7 == 0:
        settings |= {"stall_action": "handoff"}
    if seed % 5 == 0:
        settings |= {"messages_keep": "1", "dedupe_hours": "0"}
    if seed % 4 == 1:
        settings |= {"batch_window_seconds": "3", "batch_max_wait_seconds": "5"}
    if seed % 6 == 5:
        settings |= {"batch_messages_max": "1"}
    tenants = tenants if are_all_there or seed % 3 == 1 else tenants[:1]
    notes = [{"message_id": f"note-{number}", "direction": "OUTBOUND", "content": "a note"} for number in range(3)]
    simulation = Simulation(
        budgets,
        tenants=tenants,
        row={"messages": notes} if seed % 5 == 0 else {},
        skewed=seed % 8 == 3,
        answer="answer " * 300 if seed % 11 == 2 else "answer",
        **settings,
    )
    for number in range(2 + seed % 4):
        webhooks(simulation, f"message {number}", tenant=tenants[number % len(tenants)])
    if seed % 3 == 0:
        simulation.course.webhooks += simulation.course.webhooks[:1]
    simulation.company_acts = (
        ("appends", partial(_appends, simulation, tenants[0])),
        ("trims", partial(_trims, simulation, tenants[0])),
        ("sets a status", partial(_sets_a_status, simulation, tenants[0])),
        ("locks", partial(_locks, simulation, tenants[0])),
        ("switches to people", partial(_switches_to_people, simulation, tenants[-1])),
    )
    return simulation
