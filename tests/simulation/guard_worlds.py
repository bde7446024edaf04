"""Small worlds in which one guard alone stands between a schedule and a violation: each convicts a mutant or two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from tests.simulation import worlds
from tests.simulation.actors import Memory
from tests.simulation.deployment import ACME, TENANTS
from tests.simulation.simulation import Budgets, Simulation, Webhook
from tests.simulation.worlds import SmallWorld, webhooks


def read_of_the_past(what: str, memory: Memory | None) -> Simulation:
    """A read sees what was before the last write, unless it asks for more."""
    settings = {"messages_keep": "4", "dedupe_hours": "0"} if what == "history" else {}
    simulation = Simulation(Budgets(stale_reads=1, deliveries=1, replies=1), memory=memory, **settings)
    if what == "history":
        _message_came_again_that_only_the_history_has(simulation)
        return simulation
    worlds._staged(simulation, "one")
    if what == "record":
        worlds._batch(simulation)
        worlds._answered(simulation)
    return simulation


def _message_came_again_that_only_the_history_has(simulation: Simulation) -> None:
    """People got seven messages, and the second was the last that moved; now the AI answers, and the second comes."""
    worlds._switches_to_people(simulation, ACME)
    sids = []
    for number in range(7):
        sids.append(worlds._staged(simulation, f"message {number}"))
        simulation.world.clock.advance(1)
    simulation.undisturbed(60)
    worlds._switches_back(simulation, ACME)
    worlds._resumes(simulation, ACME)  # the last write, and it changes nothing
    with simulation.planting():
        simulation.world.receive(ACME, sids[1], "message 1")
    simulation.world.telemetry.lines.clear()


def retry_behind_another(_: None, memory: Memory | None) -> Simulation:
    """A message that was acknowledged comes again after a later one came in."""
    simulation = Simulation(Budgets(deliveries=1), memory=memory)
    sid = worlds._staged(simulation, "one")
    later = worlds._staged(simulation, "two")
    simulation.course.one_after_another += ((sid, later),)
    simulation.world.clock.advance(1)
    simulation.course.webhooks += (Webhook(ACME, sid, "one"),)
    return simulation


def people_and_batch_of_ai(is_silent: bool, memory: Memory | None) -> Simulation:
    """A batch is with the AI when the company switches to people; the AI stays silent, or the company switches back."""
    budgets = Budgets(deliveries=1) if is_silent else Budgets(deliveries=1, replies=1, company_writes=1)
    simulation = Simulation(budgets, memory=memory)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    if is_silent:
        simulation.world.queues.ai.messages.clear()
    else:
        worlds._answered(simulation)
        simulation.company_acts = (("switches back", partial(worlds._switches_back, simulation, ACME)),)
    worlds._switches_to_people(simulation, ACME)
    worlds._staged(simulation, "two")
    return simulation


def people_and_a_window(_: None, memory: Memory | None) -> Simulation:
    """A burst waits for its window when the company switches to people."""
    windows = {"batch_window_seconds": "60", "batch_max_wait_seconds": "300"}
    simulation = Simulation(Budgets(deliveries=1), memory=memory, **windows)
    worlds._staged(simulation, "one")
    simulation.world.clock.advance(50)
    worlds._staged(simulation, "two")
    worlds._switches_to_people(simulation, ACME)
    simulation.world.clock.advance(10)
    return simulation


def people_and_a_webhook_that_dies(_: None, memory: Memory | None) -> Simulation:
    """A webhook dies while it hands its message to people, and the company switches back to the AI."""
    budgets = Budgets(deliveries=2, crashes=1, company_writes=1)
    simulation = Simulation(budgets, memory=memory, row=_FOR_PEOPLE)
    webhooks(simulation, "one")
    simulation.company_acts = (("switches back", partial(worlds._switches_back, simulation, ACME)),)
    return simulation


def people_get_one_at_a_time(_: None, memory: Memory | None) -> Simulation:
    """A webhook that staged a message for people died; another takes both, one message in each batch."""
    simulation = Simulation(Budgets(deliveries=0), memory=memory, row=_FOR_PEOPLE, batch_messages_max="1")
    webhooks(simulation, "one", "two")
    with simulation.planting():
        simulation._post(simulation.course.webhooks[0])
    simulation.to_the_end(simulation.course.actors[-1], calls=2)
    return simulation


def people_and_a_rolling_window(_: None, memory: Memory | None) -> Simulation:
    """People get a message that an earlier batch appended, while the company rolls its window."""
    budgets = Budgets(deliveries=1, company_writes=1)
    simulation = Simulation(budgets, memory=memory, row={"messages": worlds._notes(2)})
    _left_unanswered(simulation)
    worlds._switches_to_people(simulation, ACME)
    webhooks(simulation, "two")
    simulation.company_acts = (("rolls its window", partial(worlds._rolls, simulation, ACME)),)
    return simulation


def people_s_claim_is_left(_: None, memory: Memory | None) -> Simulation:
    """A webhook died while it handed a message to people, and its provider comes no more: the sweep finds the claim."""
    simulation = Simulation(Budgets(sweeps=1, crashes=1), memory=memory, row=_FOR_PEOPLE)
    webhooks(simulation, "one")
    with simulation.planting():
        simulation._post(simulation.course.webhooks[0])
    simulation.to_the_end(simulation.course.actors[-1], calls=5)
    simulation.course.webhooks = ()
    simulation.course.acknowledged += tuple(simulation.course.seen)  # what is staged is as good as acknowledged
    simulation.course.needs_sweep = True
    simulation.world.clock.advance(400)
    return simulation


def trimmed_before_it_is_answered(what: str, memory: Memory | None) -> Simulation:
    """The company takes an unanswered message off the record."""
    simulation = Simulation(Budgets(deliveries=2, sweeps=1, company_writes=1), memory=memory)
    if what == "a batch that was reset":
        _left_unanswered(simulation)
        simulation.world.clock.advance(700)
    else:
        worlds._staged(simulation, "one")
    simulation.company_acts = (("trims what is unanswered", partial(worlds._trims_unanswered, simulation, ACME)),)
    return simulation


def two_messages_during_a_turn(_: None, memory: Memory | None) -> Simulation:
    """Two messages come in while the AI thinks: one of their customers' requests is answered with the notice."""
    simulation = Simulation(Budgets(deliveries=0), memory=memory, locked_notice="Still answering.")
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    webhooks(simulation, "two", "three")
    return simulation


def bug_before_a_dispatch(crashes: int, memory: Memory | None) -> Simulation:
    """The first worker locks the conversation, and meets a bug before it dispatches the batch."""
    simulation = Simulation(Budgets(deliveries=2, crashes=crashes), memory=memory)
    simulation.buggy = "batch whatsapp#1"
    worlds._staged(simulation, "one")
    return simulation


def stop_start_stop(is_staged: bool, memory: Memory | None) -> Simulation:
    """A customer opts out, in and out again, and the last STOP comes in before or while the START takes its turn."""
    simulation = Simulation(Budgets(deliveries=1), memory=memory)
    for kind in ("STOP", "START"):
        worlds._staged(simulation, kind, worlds._says(kind))
    if is_staged:
        worlds._staged(simulation, "STOP", worlds._says("STOP"))
    else:
        webhooks(simulation, "STOP", fields=worlds._says("STOP"))
    return simulation


def _left_unanswered(simulation: Simulation) -> None:
    """The AI lost a batch, and its lock was reset."""
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    simulation.world.queues.ai.messages.clear()
    simulation.course.needs_sweep = True
    simulation.world.clock.advance(400)
    worlds._swept(simulation)


def _reply_died(simulation: Simulation, *, calls: int) -> None:
    """A reply claimed its batch, and its process died before its call number `calls` + 1."""
    budgets = simulation.course.budgets
    with simulation.planting():
        simulation._reply(simulation.world.queues.replies.messages[0])
    simulation.to_the_end(simulation.course.actors[-1], calls=calls)
    simulation.course.budgets = budgets


def given_up_and_unreported(variant: str, memory: Memory | None) -> Simulation:
    """A reply that stalled was given up by a sweep, which died before it reported that."""
    budgets = {
        "a trigger": Budgets(deliveries=1, replies=1),
        "a webhook for people": Budgets(deliveries=1, replies=1),
        "the sweep": Budgets(sweeps=2, crashes=1),
        "the sweep and a batch": Budgets(deliveries=1, sweeps=1, silences=1),
    }[variant]
    simulation = Simulation(budgets, memory=memory)
    simulation.course.needs_sweep = True
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    _reply_died(simulation, calls=2)
    simulation.let_pass(400)
    if variant.startswith("the sweep"):  # nothing brings the reply back: its queue has lost it
        simulation.world.queues.replies.messages.clear()
    if variant != "the sweep":
        _sweep_died(simulation, calls=3)
        simulation.world.clock.advance(400)
    if variant == "a webhook for people":
        worlds._switches_to_people(simulation, ACME)
        webhooks(simulation, "two")
    elif variant != "the sweep":
        worlds._staged(simulation, "two")
    return simulation


def given_up_before_it_asked(variant: Mapping[str, int], memory: Memory | None) -> Simulation:
    """The process of a reply died between its claim and its first part; the reply comes after the stall timeout."""
    simulation = Simulation(Budgets(**{"replies": 3, "sweeps": 1, **variant}), memory=memory)
    simulation.company_acts = (("switches to people", partial(worlds._switches_to_people, simulation, ACME)),)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    _reply_died(simulation, calls=2)
    simulation.world.clock.advance(400)
    return simulation


def given_up_and_locked_by_another(variant: Mapping[str, int], memory: Memory | None) -> Simulation:
    """The same, and the company's own system locks the record once the claim was given up."""
    simulation = given_up_before_it_asked(variant, memory)
    acts = (("locks", worlds._locks), ("sets a status", worlds._sets_a_status))
    simulation.company_acts += tuple((name, partial(act, simulation, ACME)) for name, act in acts)
    return simulation


def _sweep_died(simulation: Simulation, *, calls: int) -> None:
    budgets = simulation.course.budgets
    simulation._sweep()
    simulation.to_the_end(simulation.course.actors[-1], calls=calls)
    simulation.course.budgets = budgets


def taken_over_beside_a_stop(_: None, memory: Memory | None) -> Simulation:
    """The process of a reply died; the reply comes again while the customer says STOP."""
    simulation = Simulation(Budgets(replies=1), memory=memory)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    _reply_died(simulation, calls=2)
    simulation.world.clock.advance(100)
    webhooks(simulation, "STOP", fields=worlds._says("STOP"))
    return simulation


def second_answer_after_a_death(_: None, memory: Memory | None) -> Simulation:
    """The process of a reply died after it had sent a part; the reply comes again, and a second answer beside it."""
    budgets = Budgets(replies=2, throttles=1)
    simulation = Simulation(budgets, memory=memory)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    with simulation.planting():
        simulation._ai_answers_twice(simulation.world.queues.ai.messages[0])
    _reply_died(simulation, calls=4)
    simulation.course.budgets = budgets
    simulation.world.clock.advance(100)
    return simulation


def throttled_for_long(_: None, memory: Memory | None) -> Simulation:
    """A table refuses the claim of a part and then the giving back, and what failed comes again late."""
    slow = {"requeue_delay_seconds": "300", "stall_timeout_seconds": "200", "visibility_timeout_seconds": "130"}
    simulation = Simulation(Budgets(replies=2, throttles=2, waits=1, sweeps=1), memory=memory, **slow)
    simulation.course.needs_sweep = True
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    return simulation


def given_up_in_parts(_: None, memory: Memory | None) -> Simulation:
    """A reply died between two of its parts; it comes again when its claim has stalled, beside the sweep."""
    simulation = Simulation(Budgets(replies=1, sweeps=1), memory=memory, answer="answer " * 300)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    _reply_died(simulation, calls=5)
    simulation.course.needs_sweep = True
    simulation.let_pass(400)
    return simulation


def resumed_beside_another_batch(_: None, memory: Memory | None) -> Simulation:
    """A trigger comes again when its lock has stalled, while another takes the conversation."""
    simulation = Simulation(Budgets(deliveries=2, workers=2), memory=memory)
    worlds._staged(simulation, "one")
    worlds._batch(simulation, calls=5)
    simulation.world.clock.advance(400)
    worlds._staged(simulation, "two")
    return simulation


def resumed_beside_a_reply(_: None, memory: Memory | None) -> Simulation:
    """The trigger of a batch comes again while the batch is answered."""
    simulation = Simulation(Budgets(deliveries=1, replies=1, delays=1), memory=memory)
    worlds._staged(simulation, "one")
    worlds._batch(simulation, calls=5)
    worlds._answered(simulation)
    return simulation


def reset_beside_a_reply(_: None, memory: Memory | None) -> Simulation:
    """A reply claims its batch while the sweep resets the stalled lock."""
    simulation = Simulation(Budgets(replies=1, sweeps=1), memory=memory)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    simulation.world.clock.advance(400)
    return simulation


def unlocked_beside_a_reply(_: None, memory: Memory | None) -> Simulation:
    """A reply claims its batch while an operator opens the young lock."""
    simulation = Simulation(Budgets(replies=1, company_writes=1), memory=memory)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    simulation.world.clock.advance(20)
    simulation.company_acts = (("has an operator unlock", partial(worlds._operator_unlocks, simulation, ACME)),)
    return simulation


def claimed_after_a_while(end: str, memory: Memory | None) -> Simulation:
    """The process of a reply died after its claim; the lock is older than the stall timeout by now, and the claim not.

    The reply comes again beside the sweep.
    """
    turn = {"release": (None,), "unclaim": worlds.INTERIM, "people": worlds.HANDOFF_WITH_WORDS}[end]
    simulation = Simulation(Budgets(replies=1, sweeps=1), memory=memory, turn=turn)
    worlds._staged(simulation, "one")
    worlds._batch(simulation)
    worlds._answered(simulation)
    simulation.world.clock.advance(50)
    _reply_died(simulation, calls=2)
    simulation.course.needs_sweep = True
    simulation.world.clock.advance(260)
    return simulation


_FOR_PEOPLE = {ACME.list_for_people: [ACME.customer]}


def reply_of_people_beside_a_message(_: None, memory: Memory | None) -> Simulation:
    """A reply of people has ended, and is about to send the trigger of a message, on which its webhook relies."""
    simulation = Simulation(Budgets(replies=1, throttles=1, waits=1), memory=memory)
    worlds._staged(simulation, "one")
    simulation.undisturbed(60)
    simulation.world.reply_of_people(ACME, "a person says")
    webhooks(simulation, "two")
    with simulation.planting():
        simulation._reply(simulation.world.queues.human_replies.messages[0], simulation.world.queues.human_replies)
        simulation._post(simulation.course.webhooks[0])
        for actor, calls in ((1, 2), (0, 9), (1, 1)):  # it is staged, found by the reply, and the lock is the reply's
            for _ in range(calls):
                simulation._step(simulation.course.actors[actor], None)
    return simulation


def sweeps_share_a_long_stage(crashes: int, memory: Memory | None) -> Simulation:
    """Two messages lost their triggers on a stage that is longer than a page; two sweeps at once share its segments."""
    budgets = Budgets(sweeps=2, sweepers=2, crashes=crashes, deliveries=0)
    simulation = Simulation(budgets, memory=memory, tenants=TENANTS)
    world, engine = simulation.world, simulation.world.engine
    worlds._staged(simulation, "one")
    worlds._staged(simulation, "two", at=1)
    for queue in world.queues.triggers.values():
        queue.messages.clear()
    simulation.course.needs_sweep = True
    world.clock.advance(7_200)
    world.tables.stage._store.page_bytes = 1
    with simulation.planting():
        vars(engine)["orphans"] = replace(engine.orphans, segments=2)
    return simulation


def refused_under_another_status(_: None, memory: Memory | None) -> Simulation:
    """A worker died before it settled; the company changed the status of the locked record, and paused its project."""
    simulation = Simulation(Budgets(deliveries=1), memory=memory)
    worlds._staged(simulation, "one")
    worlds._batch(simulation, calls=5)
    worlds._staged(simulation, "two")
    simulation.world.queues.ai.messages.clear()
    worlds._sets_a_status(simulation, ACME)
    worlds._pauses(simulation, ACME)
    simulation.world.clock.advance(400)
    return simulation


def equal_entries_of_two_conversations(variant: Mapping[str, int], memory: Memory | None) -> Simulation:
    """Two companies' conversations have the same id and equal entries; one has moved its own, or both are at work."""
    simulation = Simulation(
        Budgets(**variant),
        memory=memory,
        tenants=TENANTS,
        row={"messages": worlds._notes(3)},
        **worlds._SHORT,
    )
    worlds._staged(simulation, "one")
    if variant["deliveries"] == 1:
        worlds._batch(simulation)
        simulation.world.clock.advance(1)
    worlds._staged(simulation, "two", at=1)
    return simulation


GUARD_WORLDS = (
    SmallWorld("a read of the past", read_of_the_past, {one: one for one in ("stage", "record", "history")}),
    SmallWorld("a retry behind a later message", retry_behind_another, {"one worker": None}),
    SmallWorld(
        "people take over a batch of the AI",
        people_and_batch_of_ai,
        {"which was answered": False},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "people take over a batch of a silent AI",
        people_and_batch_of_ai,
        {"one worker": True},
        is_for_people=True,
    ),
    SmallWorld("people take over a burst", people_and_a_window, {"one worker": None}, is_for_people=True),
    SmallWorld("people, and a webhook that dies", people_and_a_webhook_that_dies, {"a crash": None}),
    SmallWorld("people get one message at a time", people_get_one_at_a_time, {"a webhook that died": None}),
    SmallWorld("people, and a rolling window", people_and_a_rolling_window, {"one worker": None}),
    SmallWorld(
        "a reply that was given up and not reported",
        given_up_and_unreported,
        {one: one for one in ("a trigger", "a webhook for people", "the sweep", "the sweep and a batch")},
        is_reply_lossy=True,
    ),
    SmallWorld("a reply taken over beside a STOP", taken_over_beside_a_stop, {"one worker": None}, is_reply_lossy=True),
    SmallWorld("a second answer after a death", second_answer_after_a_death, {"throttled": None}, is_reply_lossy=True),
    SmallWorld("a reply that is throttled for long", throttled_for_long, {"throttled": None}, is_reply_lossy=True),
    SmallWorld("a reply in parts that is given up", given_up_in_parts, {"the sweep": None}, is_reply_lossy=True),
    SmallWorld("a trigger that comes again beside another batch", resumed_beside_another_batch, {"two workers": None}),
    SmallWorld(
        "a trigger that comes again beside a reply", resumed_beside_a_reply, {"one worker": None}, is_reply_lossy=True
    ),
    SmallWorld("a reset beside a reply", reset_beside_a_reply, {"the sweep": None}, is_reply_lossy=True),
    SmallWorld("a claim for people that was left", people_s_claim_is_left, {"the sweep, a crash": None}),
    SmallWorld(
        "a message that is trimmed before it is answered",
        trimmed_before_it_is_answered,
        {one: one for one in ("a batch that begins", "a batch that was reset")},
    ),
    SmallWorld("a bug before a dispatch", bug_before_a_dispatch, {"one worker": 0, "one worker, a crash": 1}),
    SmallWorld("STOP, START and STOP", stop_start_stop, {"the last is staged": True, "the last comes in": False}),
    SmallWorld("two messages during a turn", two_messages_during_a_turn, {"one worker": None}),
    SmallWorld("a reply of people beside a message", reply_of_people_beside_a_message, {"throttled": None}),
    SmallWorld("a rule that refuses under another status", refused_under_another_status, {"one worker": None}),
    SmallWorld(
        "equal entries of two conversations",
        equal_entries_of_two_conversations,
        {
            "one worker": {"deliveries": 1},
            "one worker, a crash": {"deliveries": 1, "crashes": 1},
            "two workers": {"deliveries": 2},
        },
    ),
    SmallWorld("two sweeps of a long stage", sweeps_share_a_long_stage, {"undisturbed": 0, "a crash": 1}),
    SmallWorld(
        "an operator who unlocks beside a reply", unlocked_beside_a_reply, {"one worker": None}, is_reply_lossy=True
    ),
    SmallWorld(
        "a claim younger than its lock",
        claimed_after_a_while,
        {"of a reply": "release", "of an interim message": "unclaim", "of a handoff": "people"},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a reply that was given up before it asked",
        given_up_before_it_asked,
        {"one worker": {}, "throttled": {"throttles": 1, "waits": 1}, "delivered twice": {"duplicates": 1, "waits": 1}},
    ),
    SmallWorld(
        "a reply that was given up, and people",
        given_up_before_it_asked,
        {"one worker": {"company_writes": 1}, "a crash": {"company_writes": 1, "crashes": 1, "sweeps": 0}},
        is_reply_lossy=True,
    ),
    SmallWorld(
        "a reply that was given up, and another system's lock",
        given_up_and_locked_by_another,
        {"one worker": {"company_writes": 2}},
        is_reply_lossy=True,
    ),
)
"""Added to those of `worlds`."""
