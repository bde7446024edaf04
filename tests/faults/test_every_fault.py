"""Every call of every use case meets every fault; then redelivery, the AI, people and the sweep do their part.

Nothing that was acknowledged may be lost, nothing doubled, nothing reordered, and nothing may stay locked.

`make test` has each call meet one of its faults, in turn; `make proofs` has it meet the others.
"""

from __future__ import annotations

import itertools

import pytest

from chalicelib.channels.sendgrid.unread import UNVERIFIED_SID
from chalicelib.errors import Code, ReplyCode
from chalicelib.messages.splitting import split
from tests.fakes.faults import Fault, FaultPlan, faults_for
from tests.faults.scenarios import EMAILS, SCENARIOS, Scenario
from tests.world import World

NEVER_STAGED = {
    code.value
    for code in (Code.DB_QUERY_ERROR, Code.SECRET_FETCH_FAILED, Code.DB_TRANSIENT_ERROR, Code.STAGE_WRITE_ERROR)
} | {Code.SECRET_FETCH_TRANSIENT_ERROR.value}
"""What a message that was not acknowledged as received was answered: nothing of it may be anywhere."""

CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)

QUIET_SECONDS = 5_400

REPAIR_SECONDS = 300 + 300 + 30
"""From a fault anywhere to rest at most: the stall timeout, the interval of the sweep, and a window at its longest."""


def _prepared(scenario: Scenario) -> tuple[World, list[str]]:
    world = World(FaultPlan(), scenario.row(), **scenario.settings)
    return world, scenario.prepare(world)


def _cases():
    """Each fault of each call of each scenario, and whether it is the one that the call meets in `make test`."""
    for first, scenario in enumerate(SCENARIOS):
        world, _ = _prepared(scenario)
        before = len(world.plan.calls)
        scenario.act(world)
        for number, call in enumerate(world.plan.calls[before:], start=1):
            faults = faults_for(call)
            sample = faults[(first + number) % len(faults)]
            for fault in faults:
                name = f"{scenario.name}: call {number} {call.operation} {call.resource}: {fault}"
                yield pytest.param(scenario, number, fault, id=name, marks=() if fault is sample else pytest.mark.proof)


@pytest.mark.parametrize(("scenario", "number", "fault"), list(_cases()))
def test_whichever_call_fails_every_acknowledged_message_ends_once(scenario: Scenario, number: int, fault: Fault):
    """A crash, a lost answer, throttling, a missing right, a duplicate or late delivery: still once each."""
    world, sids = _prepared(scenario)
    before = _unsent_claims(world)
    world.plan.faults = {len(world.plan.calls) + number: fault}

    sids += scenario.act(world)
    faulted_at = world.clock.monotonic()
    world.run(QUIET_SECONDS, step=10)
    seconds = world.clock.monotonic() - faulted_at
    sids += _written_again(world)

    taken = [sid for sid in sids if sid not in _refused_sids(world)]
    assert world.is_at_rest, "nothing is staged, locked or unanswered"
    assert fault is Fault.LATE or seconds <= REPAIR_SECONDS + scenario.grace_seconds, "and that soon"
    assert _ends(world, taken, scenario), "each message ended in the one state that the rules name"
    assert sorted(world.entry_ids) == sorted(taken), "the record holds each message once"
    assert scenario.ends != "answered" or world.entry_ids == taken, "the record holds what the AI answers in order"
    assert len(world.phone.texts) == len(set(world.phone.texts)), "the phone shows no text twice"
    assert scenario.is_in_doubt or world.sent_contents == world.phone.texts, "what the phone shows the record holds"
    assert len(world.answered_ids) == len(set(world.answered_ids)), "no message was answered twice"
    assert _named_objects(world) <= set(world.bucket.objects), "the record names only objects that are there"
    assert not world.dead, "no trigger was given up"
    assert fault in CRASHES or _unasked(world) <= before, "what the provider was never asked to send is sent in the end"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_without_a_fault_every_message_reaches_its_end(scenario: Scenario):
    """The walk's worlds are sound: undisturbed they end as they should, and messages are answered in order."""
    world, sids = _prepared(scenario)

    sids += scenario.act(world)
    world.run(QUIET_SECONDS, step=10)

    assert world.is_at_rest
    assert _ends(world, sids, scenario)
    assert world.entry_ids == sids
    assert world.answered_ids == [sid for sid in sids if sid in world.answered_ids]


def _unasked(world: World) -> set[str]:
    """The batches whose reply ended with unknown outcome at last, and of which the provider was asked for no part."""
    ends = [line for line in world.telemetry.lines if line["step"] in ("released", "stalled_reply_abandoned")]
    codes = {line["batch_id"]: line.get("code") for line in ends}
    unknown = {batch_id for batch_id, code in codes.items() if code == ReplyCode.UNKNOWN_OUTCOME}
    texts = {one: set(split(text, world.part_length_max)) for one in unknown for text in world.replies.get(one, ())}
    return {one for one in unknown if not texts.get(one, set()) & world.phone.asked}


def _unsent_claims(world: World) -> set[str]:
    """The batches of which a process that died before the fault had claimed a part."""
    return {row["batch_id"] for row in world.tables.sends.rows if row["send_state"] == "claimed" and "batch_id" in row}


def _written_again(world: World) -> list[str]:
    """Where the AI got a batch only after its lock was reset, the batch waits for the customer, who writes again."""
    if not world.row.get("unanswered_ids"):
        return []
    sid = world.deliver("are you there?")
    world.run(120)
    return [sid]


def _named_objects(world: World) -> set[str]:
    """The keys of the bucket's objects that the record's media name."""
    urls = [medium["url"] for entry in world.row["messages"] for medium in entry.get("media", ())]
    return {url.partition(f"{world.bucket.name}/")[2] for url in urls if url.startswith("s3://")}


def _refused_sids(world: World) -> set[str]:
    """The messages whose last answer was a fault before they were staged."""
    answers = [line for line in world.telemetry.lines if line["step"] == "answered_provider"]
    by_sid = {sid: list(lines) for sid, lines in itertools.groupby(answers, key=lambda line: line.get("message_sid"))}
    refused = {sid for sid, lines in by_sid.items() if lines[-1]["outcome"] in NEVER_STAGED}
    if UNVERIFIED_SID not in refused:
        return refused
    # An e-mail has its id once it is verified: the lines of one whose secret cannot be read bear none. It was refused
    # for good if no later line bears its id.
    return refused | {email.message_sid for email in EMAILS} - set(by_sid)


def _ends(world: World, sids: list[str], scenario: Scenario) -> bool:
    answered, people = set(world.answered_ids), set(world.with_people)
    refused = {entry["message_id"] for entry in world.row["messages"] if "refused" in entry}
    match scenario.ends:
        case "answered":
            return answered == set(sids) and not people and not refused
        case "with people":
            return people == set(sids) and not answered and not refused
        case "answered in vain, and with people":
            is_refused = any(line.get("outcome") == Code.DB_QUERY_ERROR.value for line in world.telemetry.lines)
            return answered == set(sids) and people == (set() if is_refused else answered)
        case "with people, or told":
            return people | set(world.told_ids) == set(sids) and not answered & people
        case "without a reply":
            return world.row["conversation_status"] == "ai_no_reply" and not answered | people | refused
        case "told":
            return answered | set(world.told_ids) == set(sids) and not people
        case "opted out":
            return ("whatsapp" in world.row.get("opted_out_channels", ())) is bool(sids) and not answered | people
        case "refused":
            return refused == set(sids) and not answered and not people
        case _:
            return answered | people == set(sids) and not refused
