"""What must hold of every run, whatever was chosen: the numbered invariants of docs/protocol.md.

I1  Never lost: an acknowledged message ends with the AI and answered, with people, or refused by a named rule; a reply
    that the provider was never asked to send is sent in the end, and one that was sent is recorded.
I2  Never again: a message that was answered, handed off or refused is in no batch that is answered later.
I3  In order: of two messages of which one was acknowledged before the other came in, the record has that one first,
    each batch has the record's order, and people receive messages in that order too.
I4  One holder: the lock's batch changes only while the record is open. Watched as it happens, by the deployment.
I5  One reply: the customer gets at most one reply to a batch, and all parts of a reply of people or none.
I6  At rest: once faults stop nothing stays staged, locked or unanswered - and where no fault took the trigger away for
    good, without the sweep.
I8  Taken over: after people took a conversation over, at most one part of a reply of the AI begins, and they have it
    until they give back the handoff that stands. Watched as it happens, by the deployment.
I7  Tenants apart: nothing of one tenant reaches another. Watched as it happens, by the deployment.
I9  Bounded: an unknown sender receives one text, and all of them together within an hour no more than the cap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.errors import Code
from chalicelib.ports.tables import Item
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.opt_outs import OptOutMarks
from chalicelib.protocol.send_rows import resend_id
from tests.fakes.tables import RowId
from tests.simulation.deployment import Tenant, Violation
from tests.simulation.simulation import QUEUE_FULL, Simulation

REST_SECONDS = 290
"""Less than the stall timeout: what redelivery, requeues and reconciling have to manage without the sweep."""

AFTER_LAST_RETRY_SECONDS = 60
"""How long they have where the next message comes as late as a retry may, which is after the stall timeout."""

REPAIR_SECONDS = 7_200

STATUSES = ("sent", "delivered", "undelivered")
"""What the simulated provider reports, in the order in which a status rises."""


def settle_and_check(simulation: Simulation, *, is_reply_lossy: bool = False) -> None:
    """Let the world come to rest, and check every invariant.

    Args:
        simulation: a world that has nothing left to choose.
        is_reply_lossy: whether a fault may have left a reply in doubt, which then counts as answered.

    Raises:
        Violation: an invariant does not hold.
    """
    _demand(not simulation.unbacked_triggers(), "I6: a trigger lock stands for no trigger", simulation)
    if not simulation.course.needs_sweep:
        seconds = max(REST_SECONDS, simulation.seconds_until_next() + AFTER_LAST_RETRY_SECONDS)
        simulation.undisturbed(seconds, sweeps=False)
        _demand(simulation.world.is_at_rest, "I6: at rest without the sweep", simulation)
    simulation.undisturbed(REPAIR_SECONDS)
    check(simulation, is_reply_lossy=is_reply_lossy)


def people_have_all(simulation: Simulation) -> None:
    """I6: what is for people waits for no window and for no AI, so all of it is on its way to them by now."""
    world = simulation.world
    world.take_handoffs()
    _demand(set(simulation.course.acknowledged) <= set(world.with_people), "I6: people wait", simulation)


def check(simulation: Simulation, *, is_reply_lossy: bool) -> None:
    """Check the invariants of a world that has come to rest."""
    world, course = simulation.world, simulation.course
    _demand(world.is_at_rest, "I6: at rest", simulation)
    is_patient = course.needs_sweep  # a lock that the company leaves outlasts a trigger's patience
    _demand(is_patient or not world.dead, "I6: no trigger was given up", simulation)
    _demand(not course.surprises, f"unexpected: {course.surprises}", simulation)
    _each_ended_once(simulation, is_reply_lossy=is_reply_lossy)
    _replies(simulation)
    _undelivered(simulation)
    _reports(simulation)
    _strangers(simulation)
    _demand(not set(world.strays) & set(world.phone.texts), "I8: a return that names another said a word", simulation)
    for tenant in world.tenants:
        for row in world.rows_of(tenant):
            _in_order(simulation, tenant, *world.entries_of(row))
            _moved_once(simulation, row)
            _people_have(simulation, row)


def _people_have(simulation: Simulation, row: Item) -> None:
    """I1: a record that says that people ended its last batch."""
    if row.get("last_reply_id") != PEOPLE or row.get("unanswered_ids") or "reply_claim" in row:
        return
    asked = {
        one["message_id"]
        for one in row["messages"]
        if (one["direction"], one.get("batch_id")) == ("INBOUND", row["last_batch_id"]) and "refused" not in one
    }
    _demand(
        asked <= set(simulation.world.with_people), "I1: people ended a batch that they did not receive", simulation
    )


def _each_ended_once(simulation: Simulation, *, is_reply_lossy: bool) -> None:
    """I1, I2 and I5, of the customers' messages."""
    world, course = simulation.world, simulation.course
    answered, batches = world.answered, world.answered_ids
    _demand(len(world.phone.texts) == len(set(world.phone.texts)), "I5: a reply was delivered twice", simulation)
    _demand(len(answered) == len(set(answered)), "I5: a batch was answered twice", simulation)
    kept = [
        one
        for tenant in world.tenants
        for row in world.rows_of(tenant)
        for some in world.entries_of(row)
        for one in some
    ]
    lost = (*course.told, *_failed_batches(simulation))
    told = {sid for batch in lost for sid in world.batches.get(batch, ())} if is_reply_lossy else set()
    ended_by_rule = {one["message_id"] for one in kept if "refused" in one or "opt_out" in one}
    people, acknowledged = set(world.with_people), set(course.acknowledged)
    silent = set(world.silent)
    ended = set(batches) | people | ended_by_rule | told | silent
    _demand(acknowledged <= ended | course.trimmed, "I1: an acknowledged message is lost", simulation)
    kept_ids = {one.get("message_id") for one in kept}
    _demand(ended & acknowledged <= kept_ids, "I1: the record has lost a message", simulation)
    partly = [sid for batch_id in world.answered_partly for sid in world.batches[batch_id]]
    _demand(len(batches) == len(set(batches)), "I2: a message was answered twice", simulation)
    _demand(len(partly) == len(set(partly)), "I2: a message was answered by parts of two replies", simulation)
    _demand(not set(partly) & ended_by_rule, "I2: a refused message was answered", simulation)
    _demand(not people & ended_by_rule, "I2: a refused message was handed off", simulation)
    passed = {*course.taken_over, *_failed_batches(simulation)}
    withheld = {sid for batch_id in passed for sid in world.batches.get(batch_id, ())}
    _demand(not set(partly) & people - withheld, "I2: a message was answered and handed off", simulation)
    failed = {sid for batch_id in _failed_batches(simulation) for sid in world.batches.get(batch_id, ())}
    _demand(not set(batches) & people - failed, "I2: a message was answered wholly and handed off", simulation)
    _demand(len(world.silent) == len(silent), "I2: a message was left without a reply twice", simulation)
    _demand(not silent & {*partly, *people}, "I2: a message without a reply was answered or handed off", simulation)
    _opt_outs(simulation, {*partly, *people})
    marked = {one["message_id"] for one in kept if "handed_off" in one}
    _demand(marked <= people, "I2: a message is marked as handed off that people never received", simulation)
    _demand(people & kept_ids <= marked, "I2: a message that people received is not marked", simulation)


def _opt_outs(simulation: Simulation, reached: set[str]) -> None:
    """I1 and I2: a STOP counts from its acknowledgement until a START comes in, and a START from then on."""
    course, world = simulation.course, simulation.world
    kept_only = {sid for sid, kind in course.opt_outs.items() if kind != "START"}  # to many, "yes" is an answer
    _demand(not reached & kept_only, "I2: a STOP or HELP was answered", simulation)
    for sid in {sid for sid, kind in course.opt_outs.items() if kind in ("STOP", "START")} & set(course.acknowledged):
        rows = world.rows_of(world.owners[sid])
        if len(rows) == 1:
            _opt_out(simulation, sid, rows[0], reached)


def _opt_out(simulation: Simulation, sid: str, row: Item, reached: set[str]) -> None:
    """What must hold of one acknowledged STOP or START of a customer with one conversation."""
    course, world = simulation.course, simulation.world
    channel, kind = course.channel_of(sid), course.opt_outs[sid]
    opposite = "START" if kind == "STOP" else "STOP"
    alike = {
        one for one in world.owners if world.owners[one] is world.owners[sid] and course.channel_of(one) == channel
    }
    opposed = {one for one, said in course.opt_outs.items() if said == opposite} & alike
    pairs = course.one_after_another
    if any((one, sid) not in pairs for one in opposed):
        return  # an opposite request came beside it or after it
    is_stopped = OptOutMarks.from_item(row).stops(channel)
    late = {then for first, then in pairs if first == sid} & alike
    if kind == "STOP":
        _demand(is_stopped, "I1: a STOP is lost", simulation)
        _demand(not late & reached, "I2: a message after a STOP was answered", simulation)
        return
    _demand(not is_stopped, "I1: a START is lost", simulation)
    moved, kept = world.entries_of(row)
    refused = {one["message_id"] for one in (*moved, *kept) if one.get("refused") == Code.OPTED_OUT}
    _demand(not late & refused, "I1: a message after a START was refused", simulation)


def _replies(simulation: Simulation) -> None:
    """I1 and I5, of the replies."""
    world, course = simulation.world, simulation.course
    in_doubt = course.in_doubt | course.left & course.repeated
    of_people = {batch for batch, ids in world.batches.items() if set(ids) <= set(world.with_people)}
    kept = {json.loads(one.body).get("batch_id") for one in world.queues.dead_replies.messages}  # for an operator
    asked, unknown = world.asked_batches, course.unknown - in_doubt - of_people - kept - {"none"}
    _demand(unknown <= asked, "I1: a reply that nobody asked the provider to send was given up", simulation)
    entries = [
        one
        for tenant in world.tenants
        for row in world.rows_of(tenant)
        for some in world.entries_of(row)
        for one in some
        if "send_id" in one
    ]
    send_ids = [one["send_id"] for one in entries]
    _demand(len(send_ids) == len(set(send_ids)), "I5: a reply is in the record twice", simulation)
    doubtful = {text for batch in course.told for said in (world.replies, world.asides) for text in said.get(batch, ())}
    received = [part for _, part, _ in world.phone.received if part.send_id not in world.second_send_ids]
    certain = {part.send_id for part in received if not _is_part(part.body, doubtful, world)}
    if "none" not in course.told:
        _demand(certain <= set(send_ids), "I1: the record has lost a reply", simulation)
    _demand(
        world.known_send_ids <= set(send_ids), "I1: the record has lost a part that is known to be sent", simulation
    )
    for text in world.replies_of_people:
        _whole(simulation, world.splits(text))


def _strangers(simulation: Simulation) -> None:
    """I9, of a run within one hour."""
    told = simulation.course.told_strangers
    _demand(len(told) == len(set(told)), "I9: an unknown sender was told twice", simulation)
    cap = simulation.world.settings.unknown_sender_messages_per_hour
    _demand(len(told) <= cap, "I9: more unknown senders were told than the cap lets", simulation)


def _failed_batches(simulation: Simulation) -> set[str]:
    """The batches of whose replies a part was reported as not delivered."""
    rows = simulation.world.tables.sends.state[0].values()
    return {row["batch_id"] for row in rows if row["send_id"] in simulation.course.undelivered and "batch_id" in row}


def _undelivered(simulation: Simulation) -> None:
    """I1: a failure that was heard of is acted on, by the company's policy, while its reply is the last word. I2."""
    world, course = simulation.world, simulation.course
    rows = {row["send_id"]: row for row in world.tables.sends.state[0].values()}
    is_past_repeated = any(resend_id(one) in rows for one in course.past)
    _demand(not is_past_repeated, "I2: a message of the past was sent again", simulation)
    is_third = any("resends" in rows.get(str(row.get("resends")), {}) for row in rows.values())
    _demand(not is_third, "I5: a message was sent a third time", simulation)
    for send_id in course.heard & rows.keys():
        if not world.is_last_word(send_id):
            continue
        match world.settings.undelivered_action:
            case "handoff":
                _demand(False, "I1: a reply that was not delivered is the last word", simulation)
            case "resend" if simulation.refusal_code == QUEUE_FULL and "resends" not in rows[send_id]:
                _sent_again(simulation, rows, send_id)


def _sent_again(simulation: Simulation, rows: Mapping[str, Item], send_id: str) -> None:
    again = rows.get(resend_id(send_id), {})
    _demand(bool(again), "I1: a message that reached nobody was not sent again", simulation)
    parts = [one for one in rows.values() if one["reply_id"] == again["reply_id"]]
    row = simulation.world.tables.conversations.state[0][RowId(again["primary_channel"], again["conversation_id"])]
    is_whole = all("delivery_status" not in one or resend_id(one["send_id"]) in rows for one in parts)
    is_told = "processing_error_code" in row
    if is_whole and all(one["send_state"] == "sent" for one in parts):
        _demand(not is_told, "I1: a message that was sent again is told as not delivered", simulation)


def _reports(simulation: Simulation) -> None:
    """I1: a part of which the provider reported anything is sent, and its status is the highest that was reported."""
    rows = {row["send_id"]: row for row in simulation.world.tables.sends.state[0].values()}
    for send_id, status in simulation.course.reported:
        row = rows.get(send_id, {"send_state": "sent", "delivery_status": STATUSES[-1]})  # past its time to live
        at, told = (STATUSES.index(one) for one in (row.get("delivery_status", "sent"), status))
        is_there = row["send_state"] == "sent" and at >= told
        _demand(is_there, "I1: the row of a part lacks what was reported of it", simulation)


def _is_part(body: str, texts: set[str], world: Any) -> bool:
    return any(body in parts for text in texts for parts in world.splits(text))


def _whole(simulation: Simulation, splits: Sequence[list[str]]) -> None:
    """I5: a reply of people arrives whole, in order, on one channel; an end before that is reported."""
    got = [part for _, part, _ in simulation.world.phone.received if any(part.body in parts for parts in splits)]
    is_reported = "none" in simulation.course.told
    bodies = [one.body for one in got]
    _demand(is_reported or bodies in splits, "I5: a reply of people was cut off", simulation)
    is_in_order = any(bodies == parts[: len(bodies)] for parts in splits)
    _demand(is_in_order, "I3: a reply of people came out of order", simulation)
    _demand(len({one.to for one in got}) <= 1, "I5: a reply of people went to two addresses", simulation)


def _in_order(
    simulation: Simulation, tenant: Tenant, moved_entries: Sequence[Any], kept_entries: Sequence[Any]
) -> None:
    world = simulation.world
    moved, kept = ([one for one in some if one.get("direction") == "INBOUND"] for some in (moved_entries, kept_entries))
    owners = {world.owners[one["message_id"]] for one in (*moved, *kept)}
    _demand(owners <= {tenant}, "I7: a message is in the record of another tenant", simulation)
    ids = [one["message_id"] for one in kept]
    _demand(len(ids) == len(set(ids)), "I2: a message is in the record twice", simulation)
    at = {one: number for number, one in enumerate(ids)} | {one["message_id"]: -1 for one in moved}
    for batch_id, batch in world.batches.items():
        places = [at[one] for one in batch if one in at]
        _demand(places == sorted(places), f"I3: batch {batch_id} is out of order", simulation)
    for first, then in simulation.course.one_after_another:
        if {first, then} <= at.keys():
            is_first = at[first] < at[then] or at[first] == -1
            _demand(is_first, "I3: the record is out of order", simulation)
    received = [at[one] for one in world.with_people if one in at]
    _demand(received == sorted(received), "I3: people received messages out of order", simulation)


def _moved_once(simulation: Simulation, row: Item) -> None:
    """H1 and H3: what is in the history and on the record still stands at the front, and is about to leave it."""
    world = simulation.world
    moved = world.history_of(row)  # an entry whose id is another's stands there under an id of its own
    is_moved = [world.is_moved(row, one["message_id"]) or one in moved for one in row["messages"]]
    _demand(is_moved == sorted(is_moved, reverse=True), "I2: what was moved is in the record again", simulation)


def _demand(holds: bool, name: str, simulation: Simulation) -> None:
    if not holds:
        world, course = simulation.world, simulation.course
        names = ("conversation_status", "unanswered_ids", "last_batch_id", "reply_claim", "lock_shard")
        rows = [{name: row.get(name) for name in names} for one in world.tenants for row in world.rows_of(one)]
        raise Violation(
            f"{name}\nacknowledged {course.acknowledged}, answered {world.answered_ids}, people {world.with_people}, "
            f"told {course.told}, in doubt {sorted(course.in_doubt)}, staged {world.staged_ids}, records {rows}"
        )
