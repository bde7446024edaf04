"""Small worlds of the AI's turn and what follows: undelivered replies, handoffs that stand, what is staged behind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.fakes.faults import Fault
from tests.simulation import worlds
from tests.simulation.actors import Actor, Memory
from tests.simulation.deployment import ACME
from tests.simulation.simulation import QUEUE_FULL, Budgets, Simulation
from tests.simulation.worlds import SmallWorld, webhooks


def undelivered(variant: Mapping[str, Any], memory: Memory | None) -> Simulation:
    """The provider reports that it could not deliver a reply, which was sent or is being sent."""
    budgets = {"reports": 1, "replies": 2, "deliveries": 1, "waits": 1, **variant.get("budgets", {})}
    action, is_sent = variant.get("action", "handoff"), variant.get("is_sent", True)
    answer = "answer" if is_sent else "answer " * 300
    simulation = Simulation(Budgets(**budgets), memory=memory, answer=answer, undelivered_action=action)
    simulation.refusal_code = QUEUE_FULL
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    if is_sent:
        _reply(simulation)
    if variant.get("is_past"):
        worlds._staged(simulation, "two")
        worlds._batch(simulation)
        worlds._answered(simulation)
        _reply(simulation)
    for body in variant.get("writes", ()):
        webhooks(simulation, body)
    simulation.company_acts = (("has an operator hand over", partial(worlds._operator_hands_over, simulation, ACME)),)
    return simulation


def reports_on_a_send_in_doubt(variant: Mapping[str, Any], memory: Memory | None) -> Simulation:
    """The answer to a send was lost. Its process is about to note that, or dead; the provider reports on the part."""
    simulation = Simulation(Budgets(**{"reports": 2, **variant.get("budgets", {})}), memory=memory)
    simulation.statuses = ("sent", "delivered")
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    left = simulation.course.budgets
    with simulation.planting():
        simulation._reply(simulation.world.queues.replies.messages[0])
        while simulation.course.actors[-1].before.call.kind != "create":
            simulation._step(simulation.course.actors[-1], None)
        simulation._step(simulation.course.actors[-1], Fault.LOST_ANSWER)
        if variant.get("is_dead"):
            simulation._step(simulation.course.actors[-1], Fault.CRASH_BEFORE)
            simulation.world.queues.replies.messages.clear()
            simulation.course.needs_sweep = True
    simulation.course.budgets = left
    return simulation


def more_is_staged(turn: Any, memory: Memory | None) -> Simulation:
    """A batch was full when it began; the AI ends its turn, and what did not fit has no trigger."""
    simulation = Simulation(Budgets(replies=1), memory=memory, turn=turn, batch_messages_max="1")
    for body in ("one", "two"):
        worlds._staged(simulation, body)
    worlds._batch(simulation)
    worlds._answered(simulation)
    return simulation


def handoff_that_stands(_: None, memory: Memory | None) -> Simulation:
    """An operator hands a conversation over while the AI's handoff is on its way."""
    budgets = Budgets(replies=1, company_writes=1)
    simulation = Simulation(budgets, memory=memory, turn=worlds.HANDOFF_WITH_WORDS)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    simulation.company_acts = (("has an operator hand over", partial(worlds._operator_hands_over, simulation, ACME)),)
    return simulation


def stray_return(kind: str, memory: Memory | None) -> Simulation:
    """People give a handoff back that no longer stands, or never did, while they have another."""
    simulation = Simulation(Budgets(replies=1), memory=memory, turn=worlds.HANDOFF)
    worlds._staged(simulation, "one")
    simulation.undisturbed(60)
    if kind == "that never stood":
        simulation.world.give_back(ACME, "another", "goodbye")
        simulation.world.telemetry.lines.clear()
        return simulation
    simulation.world.give_back(ACME)
    late = _stands(simulation, calls=1)
    simulation.world.queues.human_replies.repeat(simulation.world.queues.human_replies.messages[0].message_id)
    simulation.undisturbed(30)
    worlds._staged(simulation, "two")
    simulation.undisturbed(60)
    assert late in simulation.course.actors, "it has read the record, and wakes late"
    return simulation


def unknown_senders(variant: Mapping[str, Any], memory: Memory | None) -> Simulation:
    """Senders without a conversation write to one address of a company, which may tell one of them within an hour."""
    cap = {"unknown_sender_text": "Nobody reads this.", "unknown_sender_messages_per_hour": variant.get("cap", "1")}
    simulation = Simulation(Budgets(**variant.get("budgets", {})), memory=memory, **cap)
    for number in variant["numbers"]:
        webhooks(simulation, f"from {number}", fields=(("From", f"whatsapp:+499{number}"),))
    return simulation


def _reply(simulation: Simulation) -> None:
    """The reply that waits was sent, before the choices begin."""
    budgets = simulation.course.budgets
    with simulation.planting():
        simulation._reply(simulation.world.queues.replies.messages[0])
    simulation.to_the_end(simulation.course.actors[-1])
    simulation.course.budgets = budgets


def _stands(simulation: Simulation, *, calls: int) -> Actor:
    """A message of people was taken, and its process stands before its call number `calls` + 1."""
    budgets = simulation.course.budgets
    queue = simulation.world.queues.human_replies
    with simulation.planting():
        simulation._reply(queue.messages[0], queue)
        for _ in range(calls):
            simulation._step(simulation.course.actors[-1], None)
    simulation.course.budgets = budgets
    return simulation.course.actors[-1]


_LONG_TURN = {"is_sent": False, "budgets": {"replies": 3, "workers": 2}}
_RESEND = {"action": "resend"}

TURN_WORLDS = (
    SmallWorld(
        "a reply that was not delivered, and people",
        undelivered,
        {
            "one worker": {},
            "a crash": {"budgets": {"crashes": 1, "replies": 3}},
            "reported twice": {"budgets": {"reports": 2, "replies": 3}},
            "delivered twice": {"budgets": {"duplicates": 1, "workers": 2}},
            "throttled": {"budgets": {"throttles": 1, "replies": 3}},
            "another message": {"writes": ("two",), "budgets": {"answers": 1}},
            "an operator": {"budgets": {"company_writes": 1}},
            "while it is sent": _LONG_TURN,
            "after another answer": {"is_past": True},
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a reply that was not delivered, and is sent again",
        undelivered,
        {
            "one worker": _RESEND,
            "a crash": {**_RESEND, "budgets": {"crashes": 1, "replies": 3}},
            "reported twice": {**_RESEND, "budgets": {"reports": 2, "replies": 3}},
            "delivered twice": {**_RESEND, "budgets": {"duplicates": 1, "workers": 2}},
            "another message": {**_RESEND, "writes": ("two",), "budgets": {"answers": 1}},
            "while it is sent": {**_RESEND, **_LONG_TURN},
            "after another answer": {**_RESEND, "is_past": True},
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a turn that ends while more is staged",
        more_is_staged,
        {
            "nothing to say": worlds.SILENT,
            "handoff": worlds.HANDOFF,
            "handoff with words": worlds.HANDOFF_WITH_WORDS,
            "an answer": (None,),
        },
        is_reply_lossy=True,
    ),
    SmallWorld("a handoff that stands, and another", handoff_that_stands, {"an operator": None}, is_reply_lossy=True),
    SmallWorld(
        "unknown senders and the cap of an hour",
        unknown_senders,
        {
            "two senders": {"numbers": (1, 2)},
            "two senders, a crash": {"numbers": (1, 2), "budgets": {"crashes": 1}},
            "two senders, a lost answer": {"numbers": (1, 2), "budgets": {"losses": 1}},
            "one sender, twice": {"numbers": (1, 1), "cap": "5"},
            "one sender, twice, a crash": {"numbers": (1, 1), "cap": "5", "budgets": {"crashes": 1}},
        },
    ),
    SmallWorld(
        "a return of another handoff",
        stray_return,
        {one: one for one in ("that stood before", "that never stood")},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "reports on a send in doubt",
        reports_on_a_send_in_doubt,
        {
            "one worker": {},
            "a crash": {"budgets": {"reports": 1, "crashes": 1}},
            "a lost answer": {"budgets": {"reports": 1, "losses": 1}},
            "a stale read": {"budgets": {"reports": 1, "stale_reads": 1}},
            "whose reply does not come again": {"is_dead": True, "budgets": {"reports": 1, "sweeps": 1, "jumps": 1}},
        },
        is_reply_lossy=True,
    ),
)
"""Added to those of `worlds` and `guard_worlds`."""
