"""`explain` tells each story by its own verdict, with an exit code of its own, and calls a fault ours only if it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.channels.sender import InDoubt, PermanentFailure
from ops.explain.timelines import Facts
from ops.explain.verdicts import MEANINGS, Kind, verdict
from tests.ops.test_timelines import dead_letter, facts, logged
from tests.world import World

Story = Callable[[World], Facts]


def refused(code: str, step: str = "refused") -> Story:
    """A message that the webhook did not take, as the log says."""
    return lambda world: facts(world, "SM1", logged=[logged(world, step, message_sid="SM1", code=code)])


def seeded(world: World, **attributes: Any) -> None:
    world.tables.conversations.seed({**world.row, **attributes})


def answered(world: World, *, delivery: str = "") -> Facts:
    world.reply(world.burst_with_ai(), "answer")
    world.send_replies()
    if delivery:
        world.report(world.sends[0]["send_id"], delivery)
    return facts(world)


def with_people(world: World) -> str:
    seeded(world, auto_queue_reply_message=True)
    return world.deliver()


def answered_by_person(world: World) -> Facts:
    sid = with_people(world)
    reply = {"message_id": "SM9", "direction": "OUTBOUND", "source": "human", "timestamp": "2026-01-31T18:05:00+00:00"}
    seeded(world, messages=[*world.row["messages"], reply])
    return facts(world, sid)


def behind_lock(world: World) -> Facts:
    world.burst_with_ai("first")
    return facts(world, world.deliver("second"))


def behind_late_ai(world: World) -> Facts:
    world.burst_with_ai("first")
    sid = world.deliver("second")
    world.clock.advance(400)
    return facts(world, sid)


def refused_in_batch(world: World, **attributes: Any) -> Facts:
    sid = world.deliver()
    seeded(world, **attributes)
    world.clock.advance(11)
    world.work()
    return facts(world, sid)


def undelivered(world: World) -> Facts:
    return answered(world, delivery="undelivered")


def refused_reply(world: World) -> Facts:
    world.phone.outcomes = [PermanentFailure("21211")]
    return answered(world)


def in_doubt(world: World) -> Facts:
    world.phone.outcomes = [InDoubt()]
    world.reply(world.burst_with_ai(), "answer")
    world.send_replies()
    world.clock.advance(120)
    return facts(world)


def waiting(world: World) -> Facts:
    return facts(world, world.deliver())


def without_trigger(world: World) -> Facts:
    sid = world.deliver()
    world.clock.advance(120)
    return facts(world, sid)


def dead_trigger(world: World) -> Facts:
    sid = world.deliver()
    world.clock.advance(120)
    return facts(world, sid, dead=[dead_letter(world, "whatsapp")])


def dead_reply(world: World) -> Facts:
    world.burst_with_ai()
    return facts(world, dead=[dead_letter(world, "ai-replies")])


def with_ai(world: World) -> Facts:
    world.burst_with_ai()
    return facts(world)


def restarted(world: World) -> Facts:
    """The reply to its first batch was stale, and that to the batch in its place was sent."""
    config = world.row["channel_config"]
    seeded(world, channel_config={"whatsapp": {**config["whatsapp"], "policy": {"on_new_message": "restart"}}})
    superseded = world.burst_with_ai("one")["meta"]["batch_id"]
    world.reply(world.burst_with_ai("two"), "answer")
    world.send_replies()
    stale = logged(world, "reply_refused", code="STALE_REPLY", batch_id=superseded)
    return facts(world, world.entry_ids[0], logged=[stale])


def late_ai(world: World) -> Facts:
    world.burst_with_ai()
    world.clock.advance(400)
    return facts(world)


def stalled(world: World) -> Facts:
    world.burst_with_ai()
    world.clock.advance(301)
    world.sweep()
    return facts(world)


def paused_and_silent(world: World) -> Facts:
    seeded(world, project_status="paused")
    return facts(world)


def finished_and_silent(world: World) -> Facts:
    seeded(world, task_complete=1)
    return facts(world)


def stopped(world: World) -> Facts:
    return facts(world, world.deliver("STOP", OptOutType="STOP"))


def wrote_after_stop(world: World) -> Facts:
    world.deliver("STOP", OptOutType="STOP")
    return facts(world, world.deliver("anybody there?"))


def erased(world: World) -> Facts:
    found = facts(world, "SM1", logged=[logged(world, "staged", message_sid="SM1")])
    return replace(found, conversation=None)


STORIES: dict[str, tuple[Story, Kind]] = {
    "answered, no later status yet": (answered, Kind.ANSWERED),
    "answered and delivered": (lambda world: answered(world, delivery="delivered"), Kind.ANSWERED),
    "answered by a person": (answered_by_person, Kind.ANSWERED_BY_PERSON),
    "with people, not answered": (lambda world: facts(world, with_people(world)), Kind.WITH_PEOPLE),
    "waiting for its batch": (waiting, Kind.WAITING_FOR_BATCH),
    "waiting behind a lock": (behind_lock, Kind.BEHIND_LOCK),
    "waiting behind an AI that is late": (behind_late_ai, Kind.AI_LATE),
    "answered with a second thought": (restarted, Kind.ANSWERED),
    "with the AI": (with_ai, Kind.WITH_AI),
    "the AI is late": (late_ai, Kind.AI_LATE),
    "stalled and carried": (stalled, Kind.UNANSWERED),
    "staged without a trigger": (without_trigger, Kind.NOT_TRIGGERED),
    "its trigger is a dead letter": (dead_trigger, Kind.DEAD_LETTER),
    "its reply is a dead letter": (dead_reply, Kind.DEAD_LETTER),
    "failed delivery": (undelivered, Kind.UNDELIVERED),
    "Twilio refused the reply": (refused_reply, Kind.REPLY_REFUSED),
    "sent or not": (in_doubt, Kind.IN_DOUBT),
    "the project was paused before its batch": (
        lambda world: refused_in_batch(world, project_status="paused"),
        Kind.PAUSED,
    ),
    "the channel was taken off before its batch": (
        lambda world: refused_in_batch(world, allowed_channels=["email"]),
        Kind.CHANNEL_NOT_ALLOWED,
    ),
    "the project is paused, and nobody wrote": (paused_and_silent, Kind.PAUSED),
    "the conversation has ended, and nobody wrote": (finished_and_silent, Kind.NO_CONVERSATION),
    "the customer said STOP": (stopped, Kind.OPTED_OUT),
    "the customer wrote after STOP": (wrote_after_stop, Kind.OPTED_OUT),
    "a forged request": (refused("INVALID_SIGNATURE"), Kind.FORGED),
    "a paused project at the webhook": (refused("PROJECT_INACTIVE"), Kind.PAUSED),
    "no active conversation": (refused("CONVERSATION_NOT_FOUND"), Kind.NO_CONVERSATION),
    "refused while the AI worked": (refused("CONVERSATION_LOCKED"), Kind.LOCKED_OUT),
    "a malformed request": (refused("PARSING_ERROR"), Kind.REFUSED),
    "a secret that was missing": (refused("SECRET_FETCH_FAILED", "failed"), Kind.FAULT),
    "a table that could not be read": (refused("DB_QUERY_ERROR", "failed"), Kind.FAULT),
    "an id that nothing knows": (lambda world: facts(world, "SM404"), Kind.UNKNOWN_ID),
    "an erased person's message": (erased, Kind.ERASED),
    "nobody wrote": (facts, Kind.NOTHING_RECEIVED),
}


@pytest.mark.parametrize("name", STORIES)
def test_each_story_has_its_verdict(world: World, name: str):
    """With its exit code, and a fault is called ours only where it is one."""
    story, kind = STORIES[name]

    found = verdict(story(world))

    assert found.kind is kind, found.text
    assert ("fault of ours" in found.text) == (kind is Kind.FAULT)


def test_no_two_verdicts_share_an_exit_code():
    """A script tells them apart; 1, 2 and 3 are of every command."""
    codes = [one.exit_code for one in Kind]

    assert len(set(codes)) == len(codes)
    assert not {1, 2, 3} & set(codes)


def test_every_code_of_a_fault_of_ours_says_so():
    """And none of the sender's or the company's does."""
    ours = {str(code) for code, meaning in MEANINGS.items() if meaning.kind.is_ours}

    assert {"DB_QUERY_ERROR", "SECRET_FETCH_FAILED", "INTERNAL_ERROR", "ROUTING_ERROR"} <= ours
    assert not {"INVALID_SIGNATURE", "PROJECT_INACTIVE", "OPTED_OUT", "CONVERSATION_NOT_FOUND"} & ours


def test_a_lock_of_people_is_with_people(world: World):
    """Whoever finds the claim ends it."""
    world.burst_with_ai()
    seeded(world, reply_claim="#people", reply_claimed_at="2026-01-31T18:00:10+00:00")

    assert verdict(facts(world)).kind is Kind.WITH_PEOPLE
