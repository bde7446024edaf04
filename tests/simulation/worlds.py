"""The small worlds whose every schedule is explored, and the large one of random runs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from chalicelib.channels.sender import TemporaryFailure
from chalicelib.clock import iso
from tests.simulation.actors import Memory
from tests.simulation.deployment import ACME, TENANTS, Fields, Tenant
from tests.simulation.invariants import people_have_all, settle_and_check
from tests.simulation.simulation import Budgets, Simulation, Webhook


@dataclass(frozen=True)
class SmallWorld:
    """One world: how it is set up, and the variants that are explored one after another."""

    name: str
    build: Callable[[Any, Memory | None], Simulation]
    variants: dict[str, Any]
    """What each variant adds, and what `build` receives for it."""
    is_reply_lossy: bool = False
    is_for_people: bool = False
    """Whether people have all messages when nothing is left to choose: they wait for no window, and for no AI."""

    def check(self, simulation: Simulation) -> None:
        """Let the world come to rest, and check every invariant.

        Raises:
            Violation: one does not hold.
        """
        if self.is_for_people:
            people_have_all(simulation)
        settle_and_check(simulation, is_reply_lossy=self.is_reply_lossy)

    def of(self, variant: int, memory: Memory | None = None) -> Simulation:
        """One variant, as it begins."""
        return self.build(list(self.variants.values())[variant], memory)


def webhooks(simulation: Simulation, *bodies: str, tenant: Tenant | None = None, fields: Fields = ()) -> None:
    """The customer of a tenant, the first one by default, sends messages, which its provider will deliver."""
    tenant = tenant or simulation.world.tenants[0]
    simulation.course.webhooks += tuple(
        Webhook(tenant, simulation.world.new_sid(tenant), body, fields=fields) for body in bodies
    )


def _says(kind: str) -> Fields:
    """The parameters of a request by which the provider reports STOP, START or HELP."""
    return (("OptOutType", kind),)


def _staged(simulation: Simulation, body: str, fields: Fields = (), *, at: int = 0) -> str:
    """A message was received before the choices begin, by the tenant of that number; its sid."""
    world = simulation.world
    tenant = world.tenants[at]
    sid = world.new_sid(tenant)
    simulation._note(Webhook(tenant, sid, body, fields=fields))
    with simulation.planting():
        world.receive(tenant, sid, body, fields)
    world.telemetry.lines.clear()
    simulation.course.acknowledged += (sid,)
    return sid


def _batch(simulation: Simulation, *, calls: int | None = None) -> None:
    """A worker took the trigger before the choices begin, and died before its call number `calls` + 1, if that is told.

    Then the trigger is visible again.
    """
    queues, budgets = simulation.world.queues.triggers, simulation.course.budgets
    ((channel, queue),) = ((name, queue) for name, queue in queues.items() if queue.messages)
    with simulation.planting():
        simulation._work(channel, queue, queue.messages[0])
    simulation.to_the_end(simulation.course.actors[-1], calls=calls)
    simulation.course.budgets = budgets


def _answered(simulation: Simulation) -> None:
    with simulation.planting():
        for message in list(simulation.world.queues.ai.messages):
            simulation._take_context(message)


def _swept(simulation: Simulation) -> None:
    with simulation.planting():
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
    with simulation.planting():
        simulation._reply(simulation.world.queues.replies.messages[0])
        for _ in range(calls):
            simulation._step(simulation.course.actors[0], None)
    simulation.course.budgets = budgets
    simulation.let_pass(400)
    _staged(simulation, "two")
    return simulation


def silent_ai(crashes: int, memory: Memory | None) -> Simulation:
    """The AI never answers a batch: its lock stalls, and the sweep has the batch dispatched once more."""
    simulation = Simulation(Budgets(deliveries=2, sweeps=3, jumps=2, crashes=crashes), memory=memory)
    _staged(simulation, "one")
    _batch(simulation)
    simulation.world.queues.ai.messages.clear()
    simulation.course.needs_sweep = True
    simulation.world.clock.advance(400)
    return simulation


def slow_ai(crashes: int, memory: Memory | None) -> Simulation:
    """The AI answers after its batch was reset, while the sweep has the batch dispatched once more."""
    simulation = Simulation(Budgets(deliveries=1, sweeps=1, replies=2, answers=1, crashes=crashes), memory=memory)
    _staged(simulation, "one")
    _batch(simulation)
    simulation.world.clock.advance(400)
    _swept(simulation)
    _answered(simulation)
    simulation.world.clock.advance(700)
    return simulation


def ai_answers_twice(variant: tuple[int, ...], memory: Memory | None) -> Simulation:
    """The AI answers a batch twice in different words, while the customer writes again."""
    crashes, workers = variant[:2]
    throttles = variant[2] if len(variant) > 2 else 0
    budgets = Budgets(deliveries=1, replies=3, crashes=crashes, workers=workers, throttles=throttles, second_answers=1)
    simulation = Simulation(budgets, memory=memory, answer="answer " * 300 if throttles else "answer")
    _staged(simulation, "one")
    _batch(simulation)
    with simulation.planting():
        simulation._ai_answers_twice(simulation.world.queues.ai.messages[0])
    simulation.course.budgets = replace(budgets, second_answers=0)
    return simulation


def rules_and_batch(variant: tuple[str, int], memory: Memory | None) -> Simulation:
    """The rules change while a message is batched, with the AI and answered."""
    kind, crashes = variant
    is_stop = kind == "STOP"
    budgets = Budgets(
        deliveries=2, answers=1, replies=1, crashes=crashes, company_writes=0 if is_stop else 2, workers=1
    )
    simulation = Simulation(budgets, memory=memory)
    _staged(simulation, "one")
    acts = {
        "people": (("switches to people", _switches_to_people), ("switches back", _switches_back)),
        "paused": (("pauses the project", _pauses), ("resumes the project", _resumes)),
    }
    if is_stop:
        webhooks(simulation, "STOP", fields=_says("STOP"))
    simulation.company_acts = tuple((name, partial(act, simulation, ACME)) for name, act in acts.get(kind, ()))
    return simulation


def people_reply_in_parts(variant: tuple[int, int, int], memory: Memory | None) -> Simulation:
    """People send a reply of two parts while the customer goes on by another channel."""
    crashes, throttles, duplicates = variant
    budgets = Budgets(
        deliveries=1, replies=2, waits=1, crashes=crashes, throttles=throttles, duplicates=duplicates, workers=1
    )
    simulation = Simulation(budgets, memory=memory, **(_SHORT if duplicates else {}))
    _staged(simulation, "one")
    with simulation.planting():
        simulation.undisturbed(60)
        simulation.world.reply_of_people(ACME, _LONG)
    simulation.world.telemetry.lines.clear()
    webhooks(simulation, "two", fields=ACME.by_sms)
    return simulation


def two_conversations(variant: tuple[str, int], memory: Memory | None) -> Simulation:
    """The company opens a newer conversation of the pair between a message and its retry, or its replay."""
    when, crashes = variant
    budgets = Budgets(deliveries=2, company_writes=1, crashes=crashes)
    simulation = Simulation(budgets, memory=memory, messages_keep="1", dedupe_hours="1")
    simulation.is_look_up_silent = False
    sid = _staged(simulation, "one")
    if when == "answered":
        simulation.undisturbed(60)
        simulation.world.clock.advance(7_200)
        _staged(simulation, "two")  # the first leaves the record for the history
        simulation.undisturbed(60)
    simulation.course.webhooks += (Webhook(ACME, sid, "one"),)
    simulation.company_acts = (("opens a newer conversation", partial(_opens_another, simulation, ACME)),)
    return simulation


def rolling_window(crashes: int, memory: Memory | None) -> Simulation:
    """The company appends an entry and trims one, so that the list's length stays, while entries move."""
    simulation = Simulation(
        Budgets(deliveries=2, company_writes=2, crashes=crashes), memory=memory, row={"messages": _notes(2)}, **_SHORT
    )
    _staged(simulation, "one")
    _batch(simulation)
    simulation.world.queues.ai.messages.clear()  # the batch is lost, and its message stays unanswered
    simulation.world.clock.advance(400)
    _swept(simulation)
    _staged(simulation, "two")
    simulation.course.needs_sweep = True
    simulation.company_acts = (("rolls its window", partial(_rolls, simulation, ACME)),)
    return simulation


def lost_claim_of_a_part(variant: dict[str, int], memory: Memory | None) -> Simulation:
    """The answer to a write of a reply is lost, or the write is throttled."""
    simulation = Simulation(Budgets(replies=3, waits=2, **variant), memory=memory)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    return simulation


def reply_answered_5xx(variant: dict[str, int], memory: Memory | None) -> Simulation:
    """The provider answers the send of a reply with a 5xx, whether it takes the message or not."""
    bounds = {"replies": 5, "waits": 4, "server_errors": 1, "stale_reads": 1, **variant}
    simulation = Simulation(Budgets(**bounds), memory=memory)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    return simulation


def reply_of_people_answered_5xx(variant: dict[str, int], memory: Memory | None) -> Simulation:
    """The same for a reply of people, which has no claim on the record, and is delivered twice."""
    bounds = {"replies": 4, "waits": 3, "server_errors": 1, "duplicates": 1, "workers": 2, **variant}
    simulation = Simulation(Budgets(**bounds), memory=memory)
    _staged(simulation, "one")
    simulation.undisturbed(60)
    simulation.world.reply_of_people(ACME, "a person says")
    return simulation


def reply_redriven(variant: dict[str, int], memory: Memory | None) -> Simulation:
    """A reply was dead-lettered because of the account and is redriven, while the customer writes again."""
    budgets = Budgets(**{"replies": 3, "waits": 1, "deliveries": 1, "throttles": 1, **variant})
    simulation = Simulation(budgets, memory=memory, reply_attempts_max="4")
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    simulation.world.phone.outcomes = [TemporaryFailure("20005", is_ours_to_mend=True)] * 5
    simulation.undisturbed(600)
    simulation.world.telemetry.lines.clear()
    for document in simulation.world.take(simulation.world.queues.dead_replies):
        simulation.world.queues.replies.inject(json.dumps(document), group=ACME.name)
    simulation.course.budgets = budgets
    webhooks(simulation, "two")
    return simulation


def reply_taken_over(calls: int, memory: Memory | None) -> Simulation:
    """The process of a reply died; the reply comes again when its claim has stalled, beside the sweep."""
    budgets = Budgets(replies=2, sweeps=1, throttles=1, waits=1)
    simulation = Simulation(budgets, memory=memory)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    with simulation.planting():
        simulation._reply(simulation.world.queues.replies.messages[0])
    simulation.to_the_end(simulation.course.actors[-1], calls=calls)
    simulation.course.budgets = budgets
    simulation.let_pass(400)
    return simulation


def webhook_deadline(variant: int, memory: Memory | None) -> Simulation:
    """The deadline of a webhook passes between any two of its calls, for a message to the AI or to people."""
    row = {"auto_queue_reply_message": True} if variant else {}
    simulation = Simulation(Budgets(deliveries=2, delays=1), memory=memory, row=row)
    webhooks(simulation, "one", "two")
    return simulation


SILENT = ({"action": "none"},)
HANDOFF = ({"action": "handoff", "reason": "wants a person", "draft": "a draft"},)
HANDOFF_WITH_WORDS = ({"action": "handoff", "reason": "wants a person", "body": "somebody will answer"},)
INTERIM = ({"body": "a moment", "final": False}, None)
EXTENDED = ({"action": "extend", "effects": True}, None)


def turn_without_reply(variant: tuple[Any, int, int, int], memory: Memory | None) -> Simulation:
    """The AI says nothing, or hands off, while the customer writes on; perhaps the company switches to people."""
    turn, crashes, switches, duplicates = variant
    budgets = Budgets(deliveries=1, replies=2, crashes=crashes, company_writes=switches, duplicates=duplicates)
    simulation = Simulation(budgets, memory=memory, turn=turn)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    _staged(simulation, "two")
    simulation.company_acts = (("switches to people", partial(_switches_to_people, simulation, ACME)),)
    return simulation


def interim_message(variant: tuple[int, int, int, int], memory: Memory | None) -> Simulation:
    """The AI sends an interim message and its answer; both are delivered in any order, perhaps more than once."""
    crashes, workers, duplicates, throttles = variant
    budgets = Budgets(
        replies=3, waits=2, crashes=crashes, workers=workers, duplicates=duplicates, throttles=throttles, deliveries=0
    )
    simulation = Simulation(budgets, memory=memory, turn=INTERIM)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    return simulation


def stalled_interim(calls: int, memory: Memory | None) -> Simulation:
    """The process of an interim message died; its claim stalls, and the sweep comes beside its redelivery."""
    simulation = Simulation(Budgets(replies=2, sweeps=1, waits=1, deliveries=1), memory=memory, turn=INTERIM)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    return _died_in_a_reply(simulation, calls)


def stalled_handoff(calls: int, memory: Memory | None) -> Simulation:
    """The process of a handoff with words died; its claim stalls, and the sweep comes beside its redelivery."""
    simulation = Simulation(Budgets(replies=2, sweeps=1, waits=1), memory=memory, turn=HANDOFF_WITH_WORDS)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    return _died_in_a_reply(simulation, calls)


def _died_in_a_reply(simulation: Simulation, calls: int) -> Simulation:
    budgets = simulation.course.budgets
    with simulation.planting():
        simulation._reply(simulation.world.queues.replies.messages[0])
    simulation.to_the_end(simulation.course.actors[-1], calls=calls)
    simulation.course.budgets = budgets
    simulation.let_pass(400)
    return simulation


def heartbeat_and_sweep(crashes: int, memory: Memory | None) -> Simulation:
    """A heartbeat races with the sweep that finds the lock stalled, and with the answer."""
    simulation = Simulation(Budgets(replies=2, sweeps=1, crashes=crashes, workers=2), memory=memory, turn=EXTENDED)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    simulation.world.clock.advance(400)
    return simulation


def taken_over(variant: tuple[str, int, int], memory: Memory | None) -> Simulation:
    """The company, or an operator, switches to people at any point between a batch's dispatch and its last part."""
    who, crashes, workers = variant
    budgets = Budgets(deliveries=1, replies=2, company_writes=1, crashes=crashes, workers=workers, waits=1)
    simulation = Simulation(budgets, memory=memory, answer="answer " * 300)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    _staged(simulation, "two")
    acts = {
        "company": ("switches to people", partial(_switches_to_people, simulation, ACME)),
        "operator": ("has an operator hand over", partial(_operator_hands_over, simulation, ACME)),
    }
    simulation.company_acts = (acts[who],)
    return simulation


def died_and_taken_over(calls: int, memory: Memory | None) -> Simulation:
    """The process of a reply in parts died; the company switches to people while the reply comes again."""
    budgets = Budgets(replies=2, company_writes=1, waits=1)
    simulation = Simulation(budgets, memory=memory, answer="answer " * 300)
    _staged(simulation, "one")
    _batch(simulation)
    _answered(simulation)
    with simulation.planting():
        simulation._reply(simulation.world.queues.replies.messages[0])
    simulation.to_the_end(simulation.course.actors[-1], calls=calls)
    simulation.course.budgets = budgets
    simulation.world.clock.advance(200)
    simulation.company_acts = (("switches to people", partial(_switches_to_people, simulation, ACME)),)
    return simulation


def given_back(variant: tuple[int, int], memory: Memory | None) -> Simulation:
    """People give a conversation back to the AI while the customer writes."""
    crashes, duplicates = variant
    budgets = Budgets(deliveries=1, replies=1, crashes=crashes, duplicates=duplicates)
    simulation = Simulation(budgets, memory=memory, turn=HANDOFF)
    _staged(simulation, "one")
    with simulation.planting():
        simulation.undisturbed(60)
        simulation.world.give_back(ACME)
    simulation.world.telemetry.lines.clear()
    webhooks(simulation, "two")
    return simulation


def _operator_hands_over(simulation: Simulation, tenant: Tenant) -> None:
    """An operator's command, which is a process of its own."""
    simulation.start("operator", tenant.name, partial(simulation.world.hand_over, tenant))


def _operator_unlocks(simulation: Simulation, tenant: Tenant) -> None:
    """An operator's command, which waits for no patience."""
    simulation.start("operator", f"unlocks {tenant.name}", partial(simulation.world.unlock_at_once, tenant))


_LONG = " ".join(f"Sentence {number} of a person's long reply." for number in range(60))
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


def opt_out_beside_another_channel(variant: tuple[str, dict[str, int]], memory: Memory | None) -> Simulation:
    """A customer opts out of one channel, or in again, while a message of the other waits for its batch."""
    kinds, budgets = variant
    simulation = Simulation(Budgets(**{"deliveries": 2, "answers": 1, **budgets}), memory=memory)
    _staged(simulation, "one")
    for kind in kinds.split():
        webhooks(simulation, kind, fields=(*ACME.by_sms, *_says(kind)))
    simulation.company_acts = (
        ("sets a status", partial(_sets_a_status, simulation, ACME)),
        ("switches to people", partial(_switches_to_people, simulation, ACME)),
    )
    return simulation


def opt_out_beside_a_reply(variant: tuple[str, str, int], memory: Memory | None) -> Simulation:
    """A customer opts out of a channel while a reply is sent, to that channel or to the other, in two parts."""
    batch_by, opts_out_by, crashes = variant
    fields = {"SMS": ACME.by_sms, "WhatsApp": ()}
    simulation = Simulation(
        Budgets(deliveries=1, replies=2, crashes=crashes),
        memory=memory,
        answer="answer " * 300 if not crashes else "answer",
    )
    _staged(simulation, "one", fields[batch_by])
    _batch(simulation)
    _answered(simulation)
    webhooks(simulation, "STOP", fields=(*fields[opts_out_by], *_says("STOP")))
    return simulation


def opt_out_and_in(variant: tuple[bool, int], memory: Memory | None) -> Simulation:
    """A STOP, a START and a message of one channel are staged behind one of another channel, with or without a lock."""
    is_locked, crashes = variant
    simulation = Simulation(Budgets(deliveries=2, replies=1, crashes=crashes), memory=memory)
    _staged(simulation, "one")
    if is_locked:
        _batch(simulation)
        _answered(simulation)
        _staged(simulation, "two")
    for kind in ("STOP", "START"):
        _staged(simulation, kind, (*ACME.by_sms, *_says(kind)))
    webhooks(simulation, "three", fields=ACME.by_sms)
    return simulation


def company_and_batch(act: Callable[[Simulation, Tenant], None], memory: Memory | None) -> Simulation:
    """The company's own systems write to the record at any time, up to twice."""
    simulation = Simulation(Budgets(deliveries=2, company_writes=2, sweeps=1, answers=1, replies=1), memory=memory)
    _staged(simulation, "one")
    simulation.company_acts = (("writes", partial(act, simulation, ACME)),)
    return simulation


def _switches_to_people(simulation: Simulation, tenant: Tenant) -> None:
    _writes(simulation, tenant, lambda row: {**row, tenant.list_for_people: [tenant.customer]})


def _appends(simulation: Simulation, tenant: Tenant) -> None:
    """The company's own systems append to the record, and raise no version."""

    def with_note(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "messages": [*row["messages"], _note(len(row["messages"]) + 9)]}

    _writes(simulation, tenant, with_note)


def _trims(simulation: Simulation, tenant: Tenant) -> None:
    """The company's own systems take the oldest entry off the record, if it is one of theirs."""

    def without_first(row: dict[str, Any]) -> dict[str, Any]:
        is_theirs = row["messages"] and row["messages"][0]["message_id"].startswith("note")
        return {**row, "messages": row["messages"][1:]} if is_theirs else row

    _writes(simulation, tenant, without_first)


def _trims_unanswered(simulation: Simulation, tenant: Tenant) -> None:
    """The company's own systems take off the record what is unanswered."""

    def without_unanswered(row: dict[str, Any]) -> dict[str, Any]:
        waiting = set(row.get("unanswered_ids", ()))
        simulation.course.trimmed |= waiting
        return {**row, "messages": [one for one in row["messages"] if one["message_id"] not in waiting]}

    _writes(simulation, tenant, without_unanswered)


def _notes(count: int) -> list[dict[str, Any]]:
    return [_note(number) for number in range(count)]


def _note(number: int) -> dict[str, Any]:
    return {"message_id": f"note-{number}", "direction": "OUTBOUND", "content": "a note"}


def _rolls(simulation: Simulation, tenant: Tenant) -> None:
    """The company's own systems append an entry and trim the oldest, if it is one of theirs: the length stays."""

    def rolled(row: dict[str, Any]) -> dict[str, Any]:
        entries = row["messages"]
        is_theirs = entries and entries[0]["message_id"].startswith("note")
        last = max((int(one["message_id"][5:]) for one in entries if one["message_id"].startswith("note")), default=9)
        return {**row, "messages": [*entries[1:], _note(last + 1)]} if is_theirs else row

    _writes(simulation, tenant, rolled)


def _switches_back(simulation: Simulation, tenant: Tenant) -> None:
    _writes(simulation, tenant, lambda row: {**row, tenant.list_for_people: []})
    simulation.world.begun = {}


def _pauses(simulation: Simulation, tenant: Tenant) -> None:
    _writes(simulation, tenant, lambda row: {**row, "project_status": "paused"})


def _resumes(simulation: Simulation, tenant: Tenant) -> None:
    _writes(simulation, tenant, lambda row: {**row, "project_status": "active"})


def _opens_another(simulation: Simulation, tenant: Tenant) -> None:
    """The company's own systems finish no conversation, and open a newer one of the same two addresses."""
    number = len(simulation.world.rows_of(tenant)) + 1
    key = {"primary_channel": tenant.key.primary_channel, "conversation_id": f"conversation-{number}-{tenant.name}"}
    created_at = iso(simulation.world.clock.instant)
    simulation.world.tables.conversations.create({**tenant.row(), **key, "created_at": created_at})


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
    SmallWorld(
        "the company's rolling window while entries move", rolling_window, {"one worker": 0, "one worker, a crash": 1}
    ),
    SmallWorld("an AI that stays silent", silent_ai, {"one worker": 0, "one worker, a crash": 1}),
    SmallWorld(
        "an AI slower than the stall timeout", slow_ai, {"one worker": 0, "one worker, a crash": 1}, is_reply_lossy=True
    ),
    SmallWorld(
        "an AI that answers twice", ai_answers_twice, {**WORKERS, "in parts, throttled": (0, 1, 1)}, is_reply_lossy=True
    ),
    SmallWorld(
        "rules that change mid-flight",
        rules_and_batch,
        {
            "STOP": ("STOP", 0),
            "STOP, a crash": ("STOP", 1),
            "the project is paused": ("paused", 0),
            "the project is paused, a crash": ("paused", 1),
            "to people and back": ("people", 0),
            "to people and back, a crash": ("people", 1),
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a reply of people in parts, and another channel",
        people_reply_in_parts,
        {
            "undisturbed": (0, 0, 0),
            "a crash": (1, 0, 0),
            "throttled": (0, 1, 0),
            "delivered twice, on a short record": (0, 0, 1),
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "two conversations of one pair",
        two_conversations,
        {
            "a retry": ("staged", 0),
            "a retry, a crash": ("staged", 1),
            "a replay": ("answered", 0),
            "a replay, a crash": ("answered", 1),
        },
    ),
    SmallWorld(
        "a reply that a brownout delays",
        lost_claim_of_a_part,
        {
            "lost answers": {"losses": 2},
            "throttled": {"throttles": 2},
            "a lost answer, throttled": {"losses": 1, "throttles": 2},
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a reply that is taken over beside the sweep",
        reply_taken_over,
        {"claimed, nothing sent": 2, "a part claimed": 3, "sent": 4},
        is_reply_lossy=True,
    ),
    SmallWorld("a webhook whose deadline passes", webhook_deadline, {"to the AI": 0, "to people": 1}),
    SmallWorld(
        "a reply that is answered with a 5xx",
        reply_answered_5xx,
        {
            "one worker": {},
            "a crash": {"crashes": 1},
            "a lost answer": {"losses": 1},
            "throttled": {"throttles": 1},
            "delivered twice": {"duplicates": 1, "workers": 2, "stale_reads": 0},
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a reply of people that is answered with a 5xx",
        reply_of_people_answered_5xx,
        {"two workers": {}, "a lost answer": {"losses": 1}, "a crash": {"crashes": 1}},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "an opt-out beside a message of another channel",
        opt_out_beside_another_channel,
        {
            "STOP": ("STOP", {}),
            "STOP, a crash": ("STOP", {"crashes": 1}),
            "STOP, throttled": ("STOP", {"throttles": 1}),
            "STOP, a lost answer": ("STOP", {"losses": 1}),
            "STOP, two workers": ("STOP", {"workers": 2}),
            "STOP, and the company writes": ("STOP", {"company_writes": 1}),
            "STOP and START": ("STOP START", {}),
            "STOP and HELP": ("STOP HELP", {}),
        },
    ),
    SmallWorld(
        "an opt-out while a reply is sent",
        opt_out_beside_a_reply,
        {
            "on its channel": ("SMS", "SMS", 0),
            "on its channel, a crash": ("SMS", "SMS", 1),
            "on another channel": ("WhatsApp", "SMS", 0),
            "on another channel, a crash": ("WhatsApp", "SMS", 1),
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a STOP and a START behind a message of another channel",
        opt_out_and_in,
        {
            "nothing is locked": (False, 0),
            "nothing is locked, a crash": (False, 1),
            "a batch is with the AI": (True, 0),
            "a batch is with the AI, a crash": (True, 1),
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a redriven reply and a new batch",
        reply_redriven,
        {
            "throttled": {},
            "a crash": {"crashes": 1, "throttles": 0},
            "delivered twice": {"duplicates": 1, "workers": 2},
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "an AI that ends its turn without a reply",
        turn_without_reply,
        {
            "nothing to say": (SILENT, 0, 0, 0),
            "nothing to say, a crash": (SILENT, 1, 0, 0),
            "nothing to say, twice": (SILENT, 0, 0, 1),
            "nothing to say, people take over": (SILENT, 0, 1, 0),
            "handoff": (HANDOFF, 0, 0, 0),
            "handoff, a crash": (HANDOFF, 1, 0, 0),
            "handoff with words": (HANDOFF_WITH_WORDS, 0, 0, 0),
            "handoff with words, a crash": (HANDOFF_WITH_WORDS, 1, 0, 0),
            "handoff with words, people take over": (HANDOFF_WITH_WORDS, 0, 1, 0),
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "an interim message and the answer",
        interim_message,
        {
            "one worker": (0, 1, 0, 0),
            "one worker, a crash": (1, 1, 0, 0),
            "one worker, delivered twice": (0, 1, 1, 0),
            "one worker, throttled": (0, 1, 0, 1),
            "two workers": (0, 2, 0, 0),
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "an interim message that stalls",
        stalled_interim,
        {"claimed": 2, "a part claimed": 3, "sent": 4},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a handoff that stalls",
        stalled_handoff,
        {"claimed": 2, "a part claimed": 3, "sent": 4, "passed": 6},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a heartbeat and the sweep",
        heartbeat_and_sweep,
        {"undisturbed": 0, "a crash": 1},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "people take a reply in parts over",
        taken_over,
        {
            "the company": ("company", 0, 1),
            "the company, a crash": ("company", 1, 1),
            "an operator": ("operator", 0, 1),
            "an operator, a crash": ("operator", 1, 1),
        },
        is_reply_lossy=True,
    ),
    SmallWorld(
        "people give a conversation back",
        given_back,
        {"undisturbed": (0, 0), "a crash": (1, 0), "delivered twice": (0, 1)},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "people take over a reply whose process died",
        died_and_taken_over,
        {"claimed": 2, "a part claimed": 3, "a part sent": 5, "two parts sent": 8},
        is_reply_lossy=True,
    ),
)

QUICK = {
    *((0, 0), (2, 0), (2, 3), (2, 4), (2, 6), (4, 0), (4, 2), (8, 0), (9, 0), (10, 0), (10, 1)),
    *((13, 0), (13, 1), (14, 0), (15, 0), (16, 0), (16, 1), (16, 4), (17, 2), (19, 2), (19, 3), (20, 0), (20, 1)),
    *((23, 0), (23, 3)),
}
"""Variants that take a second or two, by the numbers of world and variant."""


def _begin_with_a_stalled_claim(simulation: Simulation, rng: random.Random) -> None:
    """The process of a reply died at any of its calls, and its claim has stalled; the reply waits in its queue."""
    _staged(simulation, "before")
    simulation.world.clock.advance(45)
    _batch(simulation)
    _answered(simulation)
    budgets = simulation.course.budgets
    with simulation.planting():
        simulation._reply(simulation.world.queues.replies.messages[0])
    simulation.to_the_end(simulation.course.actors[-1], calls=rng.randint(0, 5))
    simulation.course.budgets = budgets
    simulation.let_pass(400)


def _begin_with_a_reset_batch(simulation: Simulation, _: random.Random) -> None:
    """The AI was silent, and the lock of its batch was reset."""
    _staged(simulation, "before")
    simulation.world.clock.advance(45)
    _batch(simulation)
    simulation.world.queues.ai.messages.clear()
    simulation.course.needs_sweep = True
    simulation.world.clock.advance(400)
    _swept(simulation)


TURNS: tuple[Sequence[Mapping[str, Any] | None], ...] = (
    SILENT,
    HANDOFF,
    HANDOFF_WITH_WORDS,
    INTERIM,
    EXTENDED,
    (*INTERIM[:1], *EXTENDED[:1], *HANDOFF_WITH_WORDS),
    (*INTERIM[:1], *SILENT),
    ({"body": "answer " * 300, "final": False}, None),
    ({**HANDOFF[0], "body": "answer " * 300},),
    (None, *HANDOFF),
)
"""What an AI may do with a batch, in the order in which it sends it; None is its answer."""


def whole_turns(simulation: Simulation, seed: int) -> None:
    """Let the AI of a large world do one of these, its company switch to people, and operators do what they may."""
    rng = random.Random(f"turns {seed}")  # noqa: S311 - reproducible, not secret
    simulation.turn = rng.choice(TURNS)
    tenant = simulation.world.tenants[0]
    acts = (
        ("switches to people", _switches_to_people),
        ("switches back", _switches_back),
        ("has an operator hand over", _operator_hands_over),
        ("has an operator unlock", _operator_unlocks),
        ("has people give back", _people_give_back),
    )
    simulation.company_acts += tuple((name, partial(act, simulation, tenant)) for name, act in acts)
    budgets = simulation.course.budgets
    simulation.course.budgets = replace(budgets, company_writes=budgets.company_writes + 2)


def _people_give_back(simulation: Simulation, tenant: Tenant) -> None:
    """People give the conversation back, if a handoff stands."""
    if "handoff_id" in simulation.world.row_of(tenant):
        simulation.world.give_back(tenant)


@dataclass(frozen=True)
class Kind:
    """What a random run looks for: which budgets it has at most, and which options it prefers."""

    name: str
    at_most: Mapping[str, int]
    """Budgets up to these figures, beyond those that every kind has."""
    preferred: Mapping[str, int]
    """How many times as likely options that disturb are, by a part of their names."""
    begin: Callable[[Simulation, random.Random], None] | None = None
    """What has happened before half of the runs begin."""
    late: tuple[str, ...] = ()
    """Options that are as unlikely as disturbances, by how their names begin."""


KINDS = (
    Kind(
        "everything",
        {
            "crashes": 3,
            "losses": 3,
            "throttles": 3,
            "refusals": 1,
            "stale_reads": 2,
            "duplicates": 2,
            "sweeps": 3,
            "jumps": 1,
            "expiries": 1,
            "company_writes": 3,
            "reports": 2,
            "silences": 1,
            "second_answers": 1,
            "delays": 2,
        },
        {},
    ),
    Kind(
        "deadlines",
        {"delays": 8, "throttles": 2, "losses": 2, "crashes": 1, "sweeps": 2, "expiries": 1, "company_writes": 1},
        {"a call takes long": 6},
    ),
    Kind(
        "lost answers of claims",
        {"losses": 6, "throttles": 3, "crashes": 1, "sweeps": 2, "reports": 2, "company_writes": 1, "duplicates": 1},
        {"reply#": 4, "batch": 2},
    ),
    Kind(
        "give-ups",
        {"crashes": 4, "throttles": 4, "losses": 2, "jumps": 3, "sweeps": 5, "reports": 2, "silences": 1},
        {"reply#": 4, "the sweep": 6, "time passes": 8, "sweep#": 3},
        _begin_with_a_stalled_claim,
        ("a reply", "a trigger"),
    ),
    Kind(
        "changing rules",
        {"company_writes": 5, "crashes": 2, "losses": 1, "sweeps": 2, "jumps": 1, "silences": 1, "duplicates": 2},
        {"the company": 6},
        _begin_with_a_reset_batch,
        ("a reply", "the AI answers"),
    ),
)
"""The kinds of random runs; a seed's kind is `seed % len(KINDS)`."""


def kind_of(seed: int) -> Kind:
    """The kind of a random run."""
    return KINDS[seed % len(KINDS)]


def swarm(  # noqa: C901 - one line for each thing that differs
    seed: int, tenants: tuple[Tenant, ...] = TENANTS, *, are_all_there: bool = False, **chosen: str
) -> Simulation:
    """A larger world with a mix of faults that the seed tells, and with all of the tenants or as many as it tells.

    Settings that are chosen stand, whatever the seed tells.
    """
    rng = random.Random(f"world {seed}")  # noqa: S311 - reproducible, not secret
    kind = kind_of(seed)
    budgets = Budgets(
        waits=rng.randint(2, 5),
        workers=rng.randint(1, 2),
        answers=9,
        replies=9,
        **{name: rng.randint(0, most) for name, most in kind.at_most.items()},
    )

    def happens(one_in: int) -> bool:
        return rng.randrange(one_in) == 0

    is_mail = not tenants[0].by_sms
    tenants = tenants if happens(3) or are_all_there else tenants[:1]
    settings: dict[str, str] = {}
    is_short, is_noted = happens(5), happens(3)
    if happens(7):
        settings |= {"stall_action": "handoff"}
    if is_short:
        settings |= {"messages_keep": "1", "dedupe_hours": "0"}
    if happens(4):
        settings |= {"batch_window_seconds": "3", "batch_max_wait_seconds": "5"}
    if happens(6):
        settings |= {"batch_messages_max": "1"}
    simulation = Simulation(
        budgets,
        tenants=tenants,
        row={"messages": _notes(3)} if is_noted else {},
        skewed=happens(8),
        answer="answer " * 300 if happens(5) else "answer",
        **{**settings, **chosen},
    )
    if kind.begin is not None and happens(2):
        kind.begin(simulation, rng)
    count = rng.randint(2, 5)
    for number in range(count):
        tenant = tenants[number % len(tenants)]
        fields = tenant.by_sms if happens(5) else ()
        webhooks(simulation, f"message {number}", tenant=tenant, fields=fields)
    if happens(6) and not is_mail:
        webhooks(simulation, "STOP", fields=_says("STOP"))
        if happens(3):
            webhooks(simulation, "START", fields=_says("START"))
    if happens(6) and not is_mail:
        webhooks(simulation, "HELP", fields=_says("HELP"))
    if happens(3):
        simulation.course.webhooks += simulation.course.webhooks[:1]
    simulation.people_texts = (_LONG,) if happens(4) and not is_mail else ()
    simulation.is_look_up_silent = False
    acts = [
        ("appends", _appends),
        ("trims", _trims),
        ("rolls its window", _rolls),
        ("sets a status", _sets_a_status),
        ("locks", _locks),
        ("switches to people", _switches_to_people),
        ("switches back", _switches_back),
        ("pauses the project", _pauses),
        ("resumes the project", _resumes),
        *([] if is_short or len(tenants) > 1 else [("opens a newer conversation", _opens_another)]),
    ]
    target = rng.choice(tenants)
    some = acts if kind.name == "everything" else rng.sample(acts, 4)
    simulation.company_acts = tuple((name, partial(act, simulation, target)) for name, act in some)
    return simulation


def swarm_of_opt_outs(seed: int) -> Simulation:
    """The larger world of that seed; its customers opt out and in, and write, on two channels at any time."""
    rng = random.Random(f"opt-outs {seed}")  # noqa: S311 - reproducible, not secret
    simulation = swarm(seed)
    for _ in range(rng.randint(2, 5)):
        tenant = rng.choice(simulation.world.tenants)
        by = rng.choice(((), tenant.by_sms))
        body = rng.choice(("STOP", "STOP", "START", "HELP", "hello"))
        said = () if body == "hello" else _says(body)
        webhooks(simulation, body, tenant=tenant, fields=(*by, *said))
    return simulation
