"""A reply that has ended and comes again: it is sent if nothing of it was sent, and no newer batch began.

Either it was dead-lettered and is redriven, or its claim was given up before the provider was asked.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from chalicelib.channels.sender import InDoubt, PermanentFailure, SendOutcome, TemporaryFailure
from chalicelib.clock import from_iso, iso
from chalicelib.errors import ReplyCode
from tests.fakes.faults import Fault, faults_for
from tests.world import DELIVER, World

SUSPENDED = TemporaryFailure("20005", is_ours_to_mend=True)
TWO_PARTS = " ".join(f"Sentence number {number}." for number in range(130))


def given_up(*outcomes: SendOutcome, body: str = "an answer") -> World:
    """A world in which a reply was retried as often as it may, and dead-lettered."""
    world = World(reply_attempts_max="2")
    world.reply(world.burst_with_ai(), body)
    world.phone.outcomes = list(outcomes or (SUSPENDED,) * 3)
    world.run(400, step=5)
    return world


def stalled(call: int, body: str = "an answer") -> World:
    """A world in which the process of a reply died after this call, and the claim was given up."""
    world = World()
    world.reply(world.burst_with_ai(), body)
    world.plan.faults = {len(world.plan.calls) + call: Fault.CRASH_AFTER}
    world.send_replies()
    world.plan.revive()
    world.clock.advance(400)
    world.sweep()
    assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME
    return world


def switch_to_people(world: World) -> None:
    world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})


def lock(world: World) -> None:
    """As another system does, which tells no start."""
    world.tables.conversations.seed({**world.row, "conversation_status": "processing_reply"})


def assert_sent(world: World) -> None:
    """The answer arrived, and the record says so."""
    assert world.phone.texts == ["an answer"]
    assert world.row["conversation_status"] == "ai_response_sent"
    assert "processing_error_code" not in world.row
    assert world.is_at_rest


def drafts(world: World) -> list[str]:
    """What people saw of the AI's replies."""
    return [one["handoff"]["draft"] for one in world.handed if one["handoff"]["draft"]]


CLAIMED, PART_CLAIMED = 2, 3
"""The calls of a reply, by number."""


def redrive(world: World) -> None:
    """As `ops redrive` does: the body is sent to the queue as it is."""
    for document in world.take(world.queues.dead_replies):
        world.queues.replies.inject(json.dumps(document), group="acme")


def test_a_fault_of_the_account_ends_in_a_dead_letter_and_an_open_conversation():
    """The record has the code; the operator is told at each try."""
    world = given_up()

    assert len(world.queues.dead_replies.messages) == 1
    assert world.row["processing_error_code"] == "20005"
    assert world.is_at_rest
    assert world.telemetry.steps().count("account_fault") == 3


def test_a_redriven_reply_of_which_nothing_was_sent_is_sent():
    """Once the account is mended."""
    world = given_up()

    redrive(world)
    world.run(60)

    assert_sent(world)


def test_a_redriven_reply_is_retried_like_the_first_time():
    """It keeps its claim between its tries, for its batch has ended and has nothing unanswered."""
    world = given_up()
    world.phone.outcomes = [SUSPENDED, TemporaryFailure("20429", 5)]

    redrive(world)
    world.run(300, step=5)

    assert world.phone.texts == ["an answer"]
    assert world.is_at_rest


def test_a_redriven_reply_to_an_account_that_is_not_mended_ends_as_before():
    """And can be redriven again."""
    world = given_up()
    world.phone.outcomes = [SUSPENDED] * 3
    redrive(world)
    world.run(400, step=5)

    redrive(world)
    world.run(60)

    assert world.phone.texts == ["an answer"]
    assert world.is_at_rest


def test_a_redriven_reply_after_a_newer_batch_is_stale():
    """The customer has the newer answer."""
    world = given_up()
    world.reply(world.burst_with_ai("next"), "the next answer")
    world.run(30)

    redrive(world)
    world.run(60)

    assert world.phone.texts == ["the next answer"]


def test_a_message_that_comes_while_a_redriven_reply_waits_gets_the_next_batch():
    """The redriven reply holds the lock until it ends."""
    world = given_up()
    world.phone.outcomes = [TemporaryFailure("20429", 5)]
    redrive(world)
    world.send_replies()
    world.deliver("next")

    world.run(300, step=5)

    assert world.phone.texts[0] == "an answer"
    assert len(world.answered_ids) == len(set(world.answered_ids)) == 2
    assert world.is_at_rest


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((PermanentFailure("21211"),), "21211"),
        ((InDoubt(),), ReplyCode.UNKNOWN_OUTCOME),
        ((InDoubt(is_server_error=True), InDoubt()), ReplyCode.UNKNOWN_OUTCOME),
    ],
)
def test_a_reply_that_was_refused_or_is_in_doubt_is_not_sent_when_it_comes_again(
    outcomes: tuple[SendOutcome, ...], code: str
):
    """Only what was certainly not taken, and may be taken, is."""
    world = World()
    document = world.burst_with_ai()
    world.reply(document, "an answer")
    world.phone.outcomes = list(outcomes)
    world.run(600, step=5)

    world.reply(document, "an answer")
    world.run(60)

    assert not world.phone.texts
    assert world.row["processing_error_code"] == code


def test_a_reply_of_which_a_part_was_sent_is_not_redriven():
    """What was sent is recorded, and the rest is people's to write."""
    world = given_up(DELIVER, SUSPENDED, SUSPENDED, SUSPENDED, body=TWO_PARTS)

    redrive(world)
    world.run(60)

    assert len(world.phone.texts) == 1
    assert world.is_at_rest


def test_a_redriven_reply_to_a_customer_who_opted_out_since_is_refused():
    """The opt-out is read with the record."""
    world = given_up()
    world.tables.conversations.seed({**world.row, "opted_out_channels": ["whatsapp"]})

    redrive(world)
    world.run(60)

    assert not world.phone.texts
    assert world.row["processing_error_code"] == ReplyCode.OPTED_OUT
    assert world.is_at_rest


def test_a_redriven_reply_is_not_sent_once_people_own_the_conversation():
    """They get its batch, and the reply as a draft."""
    world = given_up()
    switch_to_people(world)

    redrive(world)
    world.run(60)

    assert not world.phone.texts
    assert len(world.with_people) == 1
    assert drafts(world) == ["an answer"]
    assert world.is_at_rest


def test_a_reply_whose_claim_was_given_up_before_it_asked_the_provider_is_sent():
    """It has no row, and one is written before each part is sent."""
    world = stalled(CLAIMED)

    world.run(60)

    assert_sent(world)


def test_a_reply_whose_claim_was_given_up_with_a_part_in_doubt_is_not():
    """Perhaps the provider has the part."""
    world = stalled(PART_CLAIMED)

    world.run(600, step=10)

    assert not world.phone.texts
    assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME
    assert world.is_at_rest


def test_a_reply_whose_claim_was_given_up_so_long_ago_that_its_rows_may_be_gone_is_not_sent():
    """That it has no row proves nothing then; a row may be older than the claim that was last."""
    world = stalled(CLAIMED)
    claimed_at = from_iso(world.row["reply_claimed_at"])
    long_ago = claimed_at - timedelta(hours=world.settings.sends_ttl_hours) / 2
    world.tables.conversations.seed({**world.row, "reply_claimed_at": iso(long_ago)})

    world.run(60)

    assert not world.phone.texts
    assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME


def test_a_reply_whose_claim_was_given_up_is_not_sent_once_people_own_the_conversation():
    """They get its batch, and the reply as a draft."""
    world = stalled(CLAIMED)
    switch_to_people(world)

    world.run(60)

    assert not world.phone.texts
    assert len(world.with_people) == 1
    assert drafts(world) == ["an answer"]
    assert world.row["conversation_status"] == "user_reply_received"
    assert world.is_at_rest


def test_a_reply_whose_claim_was_given_up_waits_while_another_system_holds_the_lock():
    """And is sent once that is open."""
    world = stalled(CLAIMED)
    lock(world)
    world.run(30, step=5)
    assert not world.phone.texts
    world.tables.conversations.seed({**world.row, "conversation_status": "ai_response_sent"})

    world.run(300, step=5)

    assert world.phone.texts == ["an answer"]
    assert world.is_at_rest


def test_it_waits_only_as_often_as_it_may():
    """Then it is in the dead-letter queue, and can be redriven once the lock is open."""
    world = stalled(CLAIMED)
    lock(world)
    world.run(8_000, step=60)
    assert len(world.queues.dead_replies.messages) == 1
    world.tables.conversations.seed({**world.row, "conversation_status": "ai_response_sent"})

    redrive(world)
    world.run(60)

    assert world.phone.texts == ["an answer"]
    assert world.is_at_rest


def test_a_redriven_reply_that_meets_the_lock_of_another_system_is_dead_lettered_again():
    """And is sent when it is redriven once more."""
    world = given_up()
    lock(world)
    redrive(world)
    world.run(60)
    assert not world.phone.texts
    assert len(world.queues.dead_replies.messages) == 1
    world.tables.conversations.seed({**world.row, "conversation_status": "ai_response_sent"})

    redrive(world)
    world.run(60)

    assert world.phone.texts == ["an answer"]
    assert world.is_at_rest


def test_people_who_take_over_after_such_a_reply_claimed_again_get_its_batch():
    """Its process died once more, between that claim and the first part."""
    world = stalled(CLAIMED)
    # Read, look for a row, fetch the secret anew, claim.
    world.plan.faults = {len(world.plan.calls) + 4: Fault.CRASH_AFTER}
    world.run(30, step=5)
    world.plan.revive()
    assert world.row["reply_claim"]
    switch_to_people(world)

    world.run(300, step=5)

    assert not world.phone.texts
    assert len(world.with_people) == 1
    assert drafts(world) == ["an answer"]
    assert world.row["conversation_status"] == "user_reply_received"
    assert world.is_at_rest


@pytest.mark.parametrize("is_redriven", [True, False])
def test_people_who_take_over_between_its_parts_get_its_batch_and_the_rest(is_redriven: bool):
    """As with every reply."""
    world = given_up(body=TWO_PARTS) if is_redriven else stalled(CLAIMED, TWO_PARTS)
    redrive(world)
    # Before the look that follows the first part.
    world.plan.interleave(len(world.plan.calls) + 7, lambda: switch_to_people(world))

    world.run(300, step=5)

    (sent,) = world.phone.texts
    (draft,) = drafts(world)
    assert f"{sent} {draft}" == TWO_PARTS
    assert len(world.with_people) == 1
    assert world.is_at_rest


def test_a_reply_that_waits_after_its_claim_was_given_up_is_sent_though_that_stalls_too():
    """A claim that pauses has no instant of its own."""
    world = stalled(CLAIMED)
    world.phone.outcomes = [TemporaryFailure("20429")]
    world.send_replies()
    world.clock.advance(400)
    world.sweep()

    world.run(200, step=5)

    assert world.phone.texts == ["an answer"]
    assert world.is_at_rest


def test_a_reply_whose_claim_was_given_up_is_stale_after_a_newer_batch():
    """The customer has the newer answer."""
    world = stalled(CLAIMED)
    (mine,) = world.queues.replies.messages
    world.queues.replies.messages.clear()
    world.reply(world.burst_with_ai("next"), "the next answer")
    world.run(30)

    world.queues.replies.inject(mine.body, group="acme")
    world.run(60)

    assert world.phone.texts == ["the next answer"]


def _cases() -> list:
    world = given_up()
    redrive(world)
    before = len(world.plan.calls)
    world.send_replies()
    return [
        pytest.param(number, fault, id=f"call {number} {call.operation} {call.resource}: {fault}")
        for number, call in enumerate(world.plan.calls[before:], start=1)
        for fault in faults_for(call)
    ]


@pytest.mark.parametrize(("number", "fault"), _cases())
def test_whatever_happens_to_a_call_a_redriven_reply_arrives_once_at_most_and_the_conversation_opens(
    number: int, fault: Fault
):
    """A crash may leave it in doubt; every other fault is made up for."""
    world = given_up()
    redrive(world)
    world.plan.faults = {len(world.plan.calls) + number: fault}

    world.run(1_500, step=10)

    assert len(world.phone.texts) <= 1
    assert world.is_at_rest
    is_sent = world.row["conversation_status"] == "ai_response_sent"
    assert is_sent is bool(world.phone.texts)
    assert is_sent or world.row["processing_error_code"] in {ReplyCode.UNKNOWN_OUTCOME, "20005", "21211"}
