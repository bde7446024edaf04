"""A checker that cannot fail is none: each sentence of the checkers is shown to convict a violation that is planted."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.send_rows import resend_id
from tests.fakes.tables import RowId
from tests.simulation.choices import Replay
from tests.simulation.deployment import ACME, GLOBEX, MAILED, TENANTS, Fields, Tenant, Violation
from tests.simulation.invariants import check, people_have_all, settle_and_check
from tests.simulation.simulation import QUEUE_FULL, Budgets, Simulation
from tests.simulation.worlds import webhooks

Plant = Callable[[], Simulation]
PLANTED: dict[str, Plant] = {}
"""What plants a violation in a run that has ended well, by the sentence that must convict it."""


def planted(sentence: str) -> Callable[[Plant], Plant]:
    """The function violates this and nothing that is checked before it."""

    def keep(plant: Plant) -> Plant:
        assert sentence not in PLANTED
        PLANTED[sentence] = plant
        return plant

    return keep


# ---------------------------------------------------------------------- runs that ended well


def ended(*bodies: str, tenants: tuple[Tenant, ...] = TENANTS, **row: Any) -> Simulation:
    """A run of two tenants has ended; the customer of the first wrote, one message after another."""
    simulation = Simulation(Budgets(), tenants=tenants, row=row)
    for body in bodies or ("one",):
        said: Fields = (("OptOutType", body),) if body in ("STOP", "START", "HELP") else ()
        webhooks(simulation, body, fields=said)
        simulation.run(Replay([]))
    settle_and_check(simulation)
    return simulation


def handed_off() -> Simulation:
    return ended("one", "two", auto_queue_reply_message=True)


def change(simulation: Simulation, tenant: Tenant = ACME, **attributes: Any) -> None:
    """Write to a record as nobody of ours does."""
    simulation.world.tables.conversations.change(tenant.key.item, lambda row: {**row, **attributes})


def entries(simulation: Simulation) -> list[dict[str, Any]]:
    return [dict(one) for one in simulation.world.row_of(ACME)["messages"]]


def inbound(simulation: Simulation) -> list[dict[str, Any]]:
    return [one for one in entries(simulation) if one["direction"] == "INBOUND"]


def mark(simulation: Simulation, number: int, **marks: Any) -> None:
    """Mark one entry of the customer's."""
    chosen = inbound(simulation)[number]["message_id"]
    change(
        simulation,
        messages=[{**one, **marks} if one["message_id"] == chosen else one for one in entries(simulation)],
    )


def receive_again(simulation: Simulation, *bodies: str, **changes: Any) -> None:
    """The phone shows these texts, as parts of messages like the first one that it got."""
    sid, part, at = simulation.world.phone.received[0]
    simulation.world.phone.received += [
        (f"{sid}-{number}", replace(part, body=body, **changes), at) for number, body in enumerate(bodies)
    ]


def parts_of_people(simulation: Simulation) -> list[str]:
    """People answered in two parts, and a code was reported for them; nothing has arrived yet."""
    text = "word " * 400
    simulation.world.replies_of_people.append(text)
    simulation.course.told += ("none",)
    return simulation.world.splits(text)[0]


# ---------------------------------------------------------------------- I1: never lost


@planted("I1: an acknowledged message is lost")
def a_message_that_is_nowhere() -> Simulation:
    simulation = ended()
    simulation.course.acknowledged += (simulation.world.new_sid(ACME),)
    return simulation


@planted("I1: the record has lost a message")
def an_answered_message_without_its_entry() -> Simulation:
    simulation = ended()
    change(simulation, messages=[one for one in entries(simulation) if one["direction"] == "OUTBOUND"])
    return simulation


@planted("I1: the record has lost a part that is known to be sent")
def a_part_without_its_entry_whose_reply_was_told_of() -> Simulation:
    simulation = ended()
    simulation.course.told += tuple(simulation.world.batches)
    change(simulation, messages=inbound(simulation))
    return simulation


@planted("I1: the record has lost a reply")
def a_reply_without_its_entry() -> Simulation:
    simulation = ended()
    change(simulation, messages=inbound(simulation))
    return simulation


@planted("I1: a reply that nobody asked the provider to send was given up")
def an_unknown_outcome_without_a_send() -> Simulation:
    simulation = ended()
    simulation.course.unknown |= {"a-batch"}
    return simulation


@planted("I1: a STOP is lost")
def a_stop_without_its_mark() -> Simulation:
    simulation = ended("STOP")
    change(simulation, opted_out_channels=[])
    return simulation


@planted("I1: a START is lost")
def a_start_that_left_the_mark() -> Simulation:
    simulation = ended("STOP", "START")
    change(simulation, opted_out_channels=["whatsapp"])
    return simulation


@planted("I1: a message after a START was refused")
def a_refusal_after_a_start() -> Simulation:
    simulation = ended("STOP", "START", "one")
    mark(simulation, 2, refused="OPTED_OUT")
    simulation.world.batches.clear()
    simulation.world.replies.clear()
    simulation.world.phone.received.clear()
    return simulation


# ---------------------------------------------------------------------- I2: never again


@planted("I2: a message was answered twice")
def a_message_in_two_answered_batches() -> Simulation:
    simulation = ended()
    (ids,) = simulation.world.batches.values()
    simulation.world.batches["another"], simulation.world.replies["another"] = ids, ["another answer"]
    receive_again(simulation, "another answer")
    return simulation


@planted("I2: a message was answered by parts of two replies")
def a_part_of_a_second_reply() -> Simulation:
    simulation = ended()
    (ids,) = simulation.world.batches.values()
    text = "another " * 300
    simulation.world.batches["another"], simulation.world.replies["another"] = ids, [text]
    receive_again(simulation, simulation.world.splits(text)[0][0])
    return simulation


@planted("I2: a refused message was answered")
def a_refused_entry_of_an_answered_message() -> Simulation:
    simulation = ended()
    mark(simulation, 0, refused="PROJECT_INACTIVE")
    return simulation


@planted("I2: a refused message was handed off")
def a_refused_entry_of_a_message_that_people_got() -> Simulation:
    simulation = handed_off()
    mark(simulation, 0, refused="PROJECT_INACTIVE")
    return simulation


@planted("I1: people ended a batch that they did not receive")
def a_batch_that_people_never_received() -> Simulation:
    simulation = ended()
    change(simulation, last_reply_id=PEOPLE)
    return simulation


@planted("I2: a message was answered and handed off")
def an_answered_message_that_people_got() -> Simulation:
    simulation = ended()
    simulation.world.with_people += simulation.course.acknowledged
    return simulation


@planted("I2: a message is marked as handed off that people never received")
def a_mark_without_a_handoff() -> Simulation:
    simulation = handed_off()
    simulation.world.with_people.pop()
    simulation.course.acknowledged = simulation.course.acknowledged[:1]
    return simulation


@planted("I2: a message that people received is not marked")
def a_handoff_without_its_mark() -> Simulation:
    simulation = handed_off()
    unmarked = [{name: one[name] for name in one if name != "handed_off"} for one in entries(simulation)]
    change(simulation, messages=unmarked)
    return simulation


@planted("I2: what was moved is in the record again")
def an_entry_of_the_history_behind_one_that_never_moved() -> Simulation:
    simulation = ended()
    answer = entries(simulation)[-1]
    key = {"conversation_id": ACME.key.conversation_id, "message_id": answer["message_id"]}
    simulation.world.tables.history.create({**key, "primary_channel": ACME.key.primary_channel, "entry": answer})
    return simulation


@planted("I2: a customer who opted out is marked as opted in")
def a_mark_that_is_taken_off_before_its_stop_is_in_the_record() -> Simulation:
    simulation = Simulation(Budgets(deliveries=0))
    webhooks(simulation, "STOP", fields=(("OptOutType", "STOP"),))
    simulation.run(Replay([]))
    change(simulation, opted_out_channels=[])
    return simulation


@planted("I2: a STOP or HELP was answered")
def an_answered_help() -> Simulation:
    simulation = ended()
    simulation.course.opt_outs = dict.fromkeys(simulation.course.acknowledged, "HELP")
    return simulation


@planted("I2: a message after a STOP was answered")
def a_handoff_after_a_stop() -> Simulation:
    simulation = ended("STOP", "one")
    change(simulation, messages=[{k: v for k, v in one.items() if k != "refused"} for one in entries(simulation)])
    simulation.world.with_people.append(simulation.course.acknowledged[1])
    return simulation


@planted("I2: a message is in the record twice")
def an_entry_twice() -> Simulation:
    simulation = ended()
    change(simulation, messages=[*entries(simulation), *inbound(simulation)])
    return simulation


@planted("I2: a customer who opted out was written to")
def a_reply_that_was_claimed_after_the_stop() -> Simulation:
    simulation = ended()
    ((_, part, _),) = simulation.world.phone.received
    change(simulation, opted_out_channels=["whatsapp"])
    change(simulation, reply_claim="a-reply", reply_claim_token="of a later claim")
    simulation.world.see_send(part.send_id)
    return simulation


# ---------------------------------------------------------------------- I3: in order


@planted("I3: the record is out of order")
def a_later_message_first() -> Simulation:
    simulation = ended("one", "two")
    change(simulation, messages=[*reversed(entries(simulation))])
    return simulation


@planted("I3: batch {} is out of order")
def a_batch_in_another_order() -> Simulation:
    simulation = ended("one", "two")
    first, *rest = simulation.world.batches
    simulation.world.batches[first] = [*reversed(simulation.course.acknowledged)]
    for name in rest:
        simulation.world.batches[name] = []
    return simulation


@planted("I3: people received messages out of order")
def people_who_got_the_later_one_first() -> Simulation:
    simulation = handed_off()
    simulation.world.with_people.reverse()
    return simulation


@planted("I3: a reply of people came out of order")
def parts_of_people_in_another_order() -> Simulation:
    simulation = ended()
    receive_again(simulation, *reversed(parts_of_people(simulation)))
    return simulation


# ---------------------------------------------------------------------- I4: one holder


@planted("I4: a lock was taken from its holder")
def another_batch_of_a_locked_record() -> Simulation:
    simulation = ended()
    change(simulation, conversation_status="processing_reply", last_batch_id="b-1")
    change(simulation, last_batch_id="b-2")
    return simulation


@planted("I4: the clock of a claimed lock was set by another than its holder")
def a_start_that_nobody_claimed() -> Simulation:
    simulation = ended()
    change(simulation, reply_claim="r-1", reply_claim_token="token", processing_started_at="earlier")
    change(simulation, processing_started_at="later")
    return simulation


@planted("I4: a batch that was dispatched lost its lock")
def a_batch_without_a_lock_and_an_end() -> Simulation:
    simulation = ended()
    (batch_id,) = simulation.world.batches
    change(simulation, last_batch_id=batch_id, unanswered_ids=["SM1"], processing_started_at="earlier")
    simulation.world.tables.conversations.change(
        ACME.key.item, lambda row: {name: row[name] for name in row if name != "processing_started_at"}
    )
    return simulation


@planted("I6: a lock was opened before its time")
def a_reset_after_half_of_the_stall_timeout() -> Simulation:
    simulation = ended()
    seconds = simulation.world.settings.stall_timeout_seconds / 2
    since = iso(simulation.world.clock.instant - timedelta(seconds=seconds))
    change(simulation, conversation_status="processing_reply", processing_started_at=since)
    change(simulation, conversation_status="processing_timeout", stall_resets=1)
    return simulation


# ---------------------------------------------------------------------- I5: one reply


@planted("I5: a reply was delivered twice")
def a_text_twice() -> Simulation:
    simulation = ended()
    simulation.world.phone.received *= 2
    return simulation


@planted("I5: a batch was answered twice")
def two_answers_to_a_batch() -> Simulation:
    simulation = ended()
    (texts,) = simulation.world.replies.values()
    texts.append("in other words")
    receive_again(simulation, "in other words")
    return simulation


@planted("I5: a reply is in the record twice")
def a_part_that_was_recorded_twice() -> Simulation:
    simulation = ended()
    (reply,) = [one for one in entries(simulation) if one["direction"] == "OUTBOUND"]
    change(simulation, messages=[*entries(simulation), reply])
    return simulation


@planted("I5: a reply of people was cut off")
def a_part_of_people() -> Simulation:
    simulation = ended()
    receive_again(simulation, parts_of_people(simulation)[0])
    simulation.course.told = ()
    return simulation


@planted("I5: a reply of people went to two addresses")
def parts_of_people_to_two_addresses() -> Simulation:
    simulation = ended()
    first, second = parts_of_people(simulation)
    receive_again(simulation, first)
    receive_again(simulation, second, to="+4999")
    return simulation


@planted("I5: a customer was told twice that one answer is being written")
def a_second_notice() -> Simulation:
    simulation = ended()
    change(simulation, locked_notice_at="earlier")
    change(simulation, locked_notice_at="later")
    return simulation


@planted("I5: two batches bear one id")
def another_batch_of_the_same_id() -> Simulation:
    simulation = ended()
    ((batch_id, _),) = simulation.world.batches.items()
    document = {"meta": {"batch_id": batch_id}, "messages": [], **ACME.key.item}
    simulation.world.queues.ai.see = None
    simulation.world.queues.ai.inject(json.dumps(document), group="acme")
    simulation._take_context(simulation.world.queues.ai.messages[0])
    return simulation


# ---------------------------------------------------------------------- I6: at rest


@planted("I6: a trigger lock stands for no trigger")
def a_trigger_that_is_in_no_queue() -> Simulation:
    simulation = Simulation(Budgets(deliveries=0))
    webhooks(simulation, "one")
    simulation.run(Replay([]))
    simulation.world.queues.triggers["whatsapp"].messages.clear()
    settle_and_check(simulation)
    return simulation


@planted("I6: at rest without the sweep")
def a_message_that_only_the_sweep_finds() -> Simulation:
    simulation = Simulation(Budgets(deliveries=0))
    webhooks(simulation, "one")
    simulation.run(Replay([]))
    simulation.world.queues.triggers["whatsapp"].messages.clear()
    simulation.world.tables.trigger_lock.state = {}, {}
    settle_and_check(simulation)
    return simulation


@planted("I6: at rest")
def a_conversation_that_stays_locked() -> Simulation:
    simulation = ended()
    change(simulation, conversation_status="processing_reply", processing_started_at="2026-01-31T18:00:00+00:00")
    return simulation


@planted("I6: no trigger was given up")
def a_trigger_among_the_dead_letters() -> Simulation:
    simulation = ended()
    simulation.world.queues.dead_triggers["sms"].see = None
    simulation.world.queues.dead_triggers["sms"].inject("{}", group="acme")
    return simulation


@planted("unexpected: {}")
def an_error_that_nobody_expected() -> Simulation:
    simulation = ended()
    simulation.course.surprises += ("KeyError",)
    return simulation


@planted("I6: an acknowledged message waits for nobody")
def a_trigger_that_is_gone_when_the_provider_is_answered() -> Simulation:
    simulation = Simulation(Budgets(deliveries=0))
    webhooks(simulation, "one")
    triggers = simulation.world.queues.triggers["whatsapp"].messages
    with simulation.planting():
        while not triggers:
            simulation.options()[0][1]()
    triggers.clear()
    simulation.run(Replay([]))
    return simulation


@planted("I6: people wait")
def a_message_that_people_never_received() -> Simulation:
    simulation = handed_off()
    simulation.world.with_people.clear()
    people_have_all(simulation)
    return simulation


# ---------------------------------------------------------------------- I7: tenants apart


@planted("I7: a message is in the record of another tenant")
def an_entry_of_a_stranger() -> Simulation:
    simulation = ended()
    simulation.world.owners[simulation.course.acknowledged[0]] = GLOBEX
    return simulation


@planted("I7: an entry of one conversation took another's place in the history")
def a_moved_entry_of_another_tenant() -> Simulation:
    simulation = ended()
    for tenant in (ACME, GLOBEX):
        simulation.world.tables.history.put({**tenant.key.item, "message_id": "note-1", "entry": {}})
    return simulation


@planted("I7: a message in a queue holds another tenant's data")
def a_trigger_under_another_name() -> Simulation:
    simulation = ended()
    body = json.dumps({"primary_channel": ACME.key.primary_channel})
    simulation.world.queues.triggers["whatsapp"].inject(body, group=GLOBEX.name)
    return simulation


@planted("I7: a message went out of another tenant's account, or to another tenant's customer")
def a_reply_with_another_secret() -> Simulation:
    simulation = ended()
    ((_, part, _),) = simulation.world.phone.received
    simulation.world.phone._deliver(part, GLOBEX.secret)
    return simulation


# ---------------------------------------------------------------------- I2 and I8: whole turns, and takeovers


@planted("I2: a message was answered wholly and handed off")
def a_whole_answer_to_a_message_that_people_have() -> Simulation:
    simulation = ended()
    simulation.course.taken_over |= set(simulation.world.batches)
    simulation.world.with_people += [one["message_id"] for one in inbound(simulation)]
    return simulation


@planted("I2: a message was left without a reply twice")
def a_message_without_a_reply_twice() -> Simulation:
    simulation = ended()
    simulation.world.silent = (simulation.world.new_sid(ACME),) * 2
    return simulation


@planted("I2: a message without a reply was answered or handed off")
def an_answered_message_to_which_the_ai_had_nothing_to_say() -> Simulation:
    simulation = ended()
    simulation.world.silent = tuple(one["message_id"] for one in inbound(simulation))
    return simulation


def restarting(**row: Any) -> tuple[Simulation, dict[str, Any]]:
    """A batch is with the AI of a company that restarts turns; and the row as it would be restarted."""
    simulation = Simulation(Budgets(), on_new_message="restart", restarts_max="1")
    webhooks(simulation, "one")
    simulation.run(Replay([]))
    change(simulation, **row)
    now = simulation.world.row_of(ACME)
    return simulation, {**now, "last_batch_id": "another"}


@planted("I5: a turn with effects was begun anew")
def a_restart_of_a_turn_with_effects() -> Simulation:
    simulation, restarted = restarting(turn_effects=True)
    simulation.world.see_lock(simulation.world.row_of(ACME), restarted)
    return simulation


@planted("I6: a customer waits for more turns than may be")
def a_second_restart_where_one_may_be() -> Simulation:
    simulation, restarted = restarting()
    simulation.world.see_lock(simulation.world.row_of(ACME), restarted)
    simulation.world.see_lock(restarted, {**restarted, "last_batch_id": "a third"})
    return simulation


@planted("I1: a reply was discarded, and no newer batch holds its messages")
def a_stale_reply_to_the_batch_of_the_record() -> Simulation:
    simulation, _ = restarting()
    simulation.world.see_discarded(simulation.world.row_of(ACME)["last_batch_id"])
    return simulation


@planted("I6: a reply was held for longer than one cap")
def a_reply_that_is_held_for_a_minute() -> Simulation:
    simulation = ended()
    simulation.see_held(60)
    return simulation


@pytest.mark.parametrize("lost", ["a message", "a claim", "a trigger"])
def test_a_restart_that_loses_something_is_convicted(lost: str):
    """N1 and N2: a message of the batch, the claim of a reply, a lock that is no trigger's of ours."""
    simulation, restarted = restarting(**({"reply_claim": "r-1"} if lost == "a claim" else {}))
    if lost == "a message":
        restarted["unanswered_ids"] = []
    if lost == "a trigger":
        simulation.world.tables.conversations.change(
            ACME.key.item, lambda row: {name: row[name] for name in row if name != "processing_trigger_id"}
        )

    with pytest.raises(Violation, match="I4: a lock was taken from its holder"):
        simulation.world.see_lock(simulation.world.row_of(ACME), restarted)


def taken_over(tenants: tuple[Tenant, ...] = TENANTS, name: str | None = None) -> tuple[Simulation, str]:
    """After a reply had ended, the company listed the customer in the attribute `name`; and the id of a part of it."""
    simulation = ended(tenants=tenants)
    change(simulation, **{name or tenants[0].list_for_people: [tenants[0].customer]})
    (row,) = simulation.world.tables.sends.state[0].values()
    return simulation, row["send_id"]


def claim_late(simulation: Simulation) -> None:
    """A reply claims the record after all that came before."""
    change(simulation, reply_claim="r-1", reply_claim_token="late", reply_claimed_at="late")


@planted("I8: a reply was claimed after people had taken the conversation over")
def a_part_under_a_claim_that_came_later() -> Simulation:
    simulation, send_id = taken_over()
    claim_late(simulation)
    simulation.world.see_send(send_id)
    return simulation


@planted("I8: a part of a reply began after people had taken the conversation over")
def a_second_part_that_began_later() -> Simulation:
    simulation, send_id = taken_over()
    simulation.world.see_send(send_id)
    simulation.world.see_send(send_id)
    return simulation


# ---------------------------------------------------------------------- what was not delivered, and handoffs


def undelivered(**settings: str) -> tuple[Simulation, str]:
    """The reply to a message was sent, and reported as not delivered; and the id of its part."""
    simulation = Simulation(Budgets(), tenants=TENANTS, **settings)
    webhooks(simulation, "one")
    simulation.run(Replay([]))
    settle_and_check(simulation)
    (row,) = simulation.world.tables.sends.state[0].values()
    simulation.course.undelivered = simulation.course.heard = frozenset({row["send_id"]})
    simulation.refusal_code = QUEUE_FULL
    return simulation, row["send_id"]


def send_again(simulation: Simulation, send_id: str) -> None:
    """The part has a second send, which was delivered."""
    table = simulation.world.tables.sends
    row = table.state[0][RowId(send_id, "")]
    table.create({**row, "send_id": resend_id(send_id), "resends": send_id})


def pass_to_people(simulation: Simulation, **changes: Any) -> None:
    """People are to get the batch that was answered last, and a handoff begins."""
    row = simulation.world.row_of(ACME)
    ids = simulation.world.batches[row["last_batch_id"]]
    told = {"reply_claim": "#people", "handoff_id": "h-1", "handed_off_by": "undelivered", "unanswered_ids": ids}
    written = {name: value for name, value in {**told, **changes}.items() if value is not None}
    change(simulation, conversation_status="processing_reply", **written)


@planted("I1: a reply that was not delivered is the last word")
def a_failure_that_people_never_hear_of() -> Simulation:
    return undelivered(undelivered_action="handoff")[0]


@planted("I1: a message that reached nobody was not sent again")
def a_failure_after_which_nothing_is_sent() -> Simulation:
    return undelivered(undelivered_action="resend")[0]


@planted("I1: a message that was sent again is told as not delivered")
def a_failure_that_stays_on_the_record() -> Simulation:
    simulation, send_id = undelivered(undelivered_action="resend")
    send_again(simulation, send_id)
    change(simulation, processing_error_code=QUEUE_FULL)
    return simulation


@planted("I1: the row of a part lacks what was reported of it")
def a_report_that_was_acknowledged_and_not_written() -> Simulation:
    simulation = ended()
    (row,) = simulation.world.tables.sends.state[0].values()
    simulation.course.reported = frozenset({(row["send_id"], "delivered")})
    return simulation


@planted("I2: a message of the past was sent again")
def a_second_send_of_what_was_said_long_before() -> Simulation:
    simulation, send_id = undelivered(undelivered_action="resend")
    send_again(simulation, send_id)
    simulation.course.past = frozenset({send_id})
    return simulation


@planted("I5: a message was sent a third time")
def a_second_send_that_is_sent_again() -> Simulation:
    simulation, send_id = undelivered(undelivered_action="resend")
    send_again(simulation, send_id)
    again = resend_id(send_id)
    send_again(simulation, again)
    return simulation


@planted("I2: people got a batch whose reply was not the last word")
def a_batch_for_people_after_a_note() -> Simulation:
    simulation = ended()
    change(simulation, messages=[*entries(simulation), {"message_id": "note", "direction": "OUTBOUND"}])
    pass_to_people(simulation)
    return simulation


@planted("I1: people got less than the batch whose reply was not delivered")
def a_batch_for_people_without_its_messages() -> Simulation:
    simulation = ended()
    pass_to_people(simulation, unanswered_ids=[])
    return simulation


@planted("I8: people got a batch that was answered, and no handoff began")
def a_batch_for_people_whose_next_message_the_ai_gets() -> Simulation:
    simulation = ended()
    pass_to_people(simulation, handoff_id=None, handed_off_by=None)
    return simulation


@planted("I8: a handoff that stands was replaced")
def a_second_handoff() -> Simulation:
    simulation = ended()
    for handoff_id in ("h-1", "h-2"):
        change(simulation, handoff_id=handoff_id)
    return simulation


@planted("I8: a handoff was ended by a return that names another")
def a_return_of_an_earlier_handoff() -> Simulation:
    simulation = ended()
    change(simulation, handoff_id="h-2")
    simulation.world.returned.add("h-1")
    without = {name: value for name, value in simulation.world.row_of(ACME).items() if name != "handoff_id"}
    simulation.world.tables.conversations.change(ACME.key.item, lambda _: without)
    return simulation


@planted("I8: a return that names another said a word")
def a_stray_return_that_was_sent() -> Simulation:
    simulation = ended()
    simulation.world.strays += simulation.world.phone.texts
    return simulation


@planted("I9: an unknown sender was told twice")
def a_stranger_who_was_told_twice() -> Simulation:
    simulation = ended()
    simulation.course.told_strangers = ("+4991", "+4991")
    return simulation


@planted("I9: more unknown senders were told than the cap lets")
def more_strangers_than_the_cap() -> Simulation:
    simulation = ended()
    cap = simulation.world.settings.unknown_sender_messages_per_hour
    simulation.course.told_strangers = tuple(map(str, range(cap + 1)))
    return simulation


# ---------------------------------------------------------------------- all of them


@pytest.mark.parametrize("sentence", PLANTED)
def test_a_planted_violation_is_convicted_by_its_sentence(sentence: str):
    """And by none that is checked before."""
    with pytest.raises(Violation) as raised:
        check(PLANTED[sentence](), is_reply_lossy=False)

    before, _, after = sentence.partition("{}")
    said = str(raised.value).partition("\n")[0]
    assert said.startswith(before)
    assert said.endswith(after)


def test_each_sentence_of_the_checkers_has_a_planted_violation():
    """A checker that is added shows what it catches."""
    assert PLANTED.keys() == _sentences()


def _sentences() -> set[str]:
    """What the checkers and the watchers of the simulation may say of a run."""
    found = set()
    for name in ("invariants.py", "deployment.py", "simulation.py"):
        for node in ast.walk(ast.parse((Path(__file__).parent / name).read_text())):
            if isinstance(node, ast.Call):
                called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                at = {"_demand": 1, "violate": 0, "Violation": 0}.get(called)
                if at is not None and (said := _text(node.args[at])) is not None:
                    found.add(said)
    return found


def _text(node: ast.expr) -> str | None:
    """A text that stands in the source, with {} for what is put into it; None: it comes from elsewhere."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(values):
            said = "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in values)
            return said if ":" in said else None
        case _:
            return None


def test_a_claim_after_a_switch_of_e_mails_to_people_is_convicted():
    """I8: the company lists an address for e-mails in an attribute of its own."""
    simulation, send_id = taken_over(MAILED)
    claim_late(simulation)

    with pytest.raises(Violation, match="I8: a reply was claimed after people"):
        simulation.world.see_send(send_id)


def test_an_e_mail_address_in_the_list_of_numbers_is_no_switch_to_people():
    """The routing reads the list of the sender's own kind of address."""
    simulation, send_id = taken_over(MAILED, ACME.list_for_people)
    claim_late(simulation)

    simulation.world.see_send(send_id)

    assert not simulation.world.broken
    assert not simulation.world.begun


def test_what_a_process_that_died_left_in_doubt_may_end_with_unknown_outcome():
    """I1: nobody knows whether the provider was asked."""
    simulation = PLANTED["I1: a reply that nobody asked the provider to send was given up"]()
    simulation.course.in_doubt |= simulation.course.unknown

    check(simulation, is_reply_lossy=False)


def test_a_violation_within_a_function_is_told_though_its_door_catches_everything():
    """I4: as a watcher of the tables would raise it, in the middle of a worker."""
    simulation = Simulation(Budgets())
    webhooks(simulation, "one")
    simulation.run(Replay([0] * 6))
    simulation.world.broken.append("I4: seen in the middle")

    with pytest.raises(Violation, match="I4"):
        simulation.undisturbed(60)
