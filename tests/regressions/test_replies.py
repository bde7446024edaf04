"""What once went wrong with replies: never sent, cut off, recorded twice, or ended without a report."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chalicelib.channels.sender import InDoubt, TemporaryFailure
from chalicelib.clock import iso
from chalicelib.conversations.handoff import GRACE_SECONDS
from chalicelib.errors import ReplyCode
from chalicelib.telemetry import Metric
from tests.emails import Email
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.regressions.fault_injection import brown_out, inject
from tests.world import CUSTOMER, DELIVER, KEY, World, email_conversation

LONG = " ".join(f"Sentence number {number}." for number in range(200))
"""Three parts."""

WORLDLY = (Fault.THROTTLED, Fault.UNREACHABLE, Fault.LOST_ANSWER)
"""Faults of a table that somebody else mends."""


def human(body: str, reply_id: str = "r-1") -> str:
    return json.dumps({**KEY.item, "version": "1.0", "source": "human", "reply_id": reply_id, "body": body})


def abandoned_lines(world: World) -> list[dict]:
    """The error lines of stalled replies that were given up."""
    return [line for line in world.telemetry.lines if line["step"] == "stalled_reply_abandoned"]


def dead_in_the_middle(world: World) -> str:
    """A process died with a reply in its hand, between the claim and the send, and nobody took it up; the batch."""
    document = world.burst_with_ai()
    world.reply(document, "an answer")
    inject(world, Fault.CRASH_BEFORE, "CreateMessage", "twilio")
    world.send_replies()
    world.queues.replies.messages.clear()
    world.clock.advance(400)
    batch_id: str = document["meta"]["batch_id"]
    return batch_id


class TestReportedEnds:
    @pytest.mark.parametrize("fault", [*WORLDLY, Fault.MISCONFIGURED, Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
    @pytest.mark.parametrize("call", ["read sends", "after the give-up"])
    def test_a_reply_that_was_given_up_is_reported_whatever_fault_the_sweep_meets(
        self, world: World, fault: Fault, call: str
    ):
        """By the next sweep, with the same batch; the record stays in the index until then."""
        batch_id = dead_in_the_middle(world)
        if call == "read sends":
            inject(world, fault, "GetItem", "conversations-sends")
        else:
            inject(world, fault, "UpdateItem", "conversations")

        for _ in range(3):
            world.sweep()
            world.clock.advance(400)

        lines = abandoned_lines(world)
        assert {line["batch_id"] for line in lines} == {batch_id}
        assert {(line["level"], line["code"]) for line in lines} == {("error", ReplyCode.UNKNOWN_OUTCOME)}
        assert world.telemetry.total(Metric.REPLY_UNKNOWN) == len(lines)
        assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME
        assert world.is_at_rest

    def test_a_crash_before_the_report_is_made_up_for_by_the_next_message_s_trigger(self, world: World):
        """Before a new lock takes the record out of the sweep's index."""
        batch_id = dead_in_the_middle(world)
        inject(world, Fault.CRASH_BEFORE, "GetItem", "conversations-sends")
        world.sweep()
        assert abandoned_lines(world) == []

        later = world.deliver("are you there?")
        world.run(120)

        assert [line["batch_id"] for line in abandoned_lines(world)] == [batch_id]
        assert world.answered_ids == [later]

    def test_a_reply_that_was_given_up_and_is_proven_later_is_recorded_though_a_newer_batch_began(self, world: World):
        """The provider reports it delivered; the newer batch and its lock stay as they are."""
        world.reply(world.burst_with_ai("one"), "an answer")
        inject(world, Fault.CRASH_AFTER, "CreateMessage", "twilio")
        world.send_replies()
        world.queues.replies.messages.clear()
        world.clock.advance(400)
        world.sweep()
        world.burst_with_ai("two")
        batch_id, (part,) = world.row["last_batch_id"], world.sends

        world.report(part["send_id"], "delivered", MessageSid=world.phone.received[0][0])

        assert world.sent_contents == ["an answer"]
        assert (world.row["last_batch_id"], world.row["conversation_status"]) == (batch_id, "processing_reply")

    def test_a_stale_reply_of_which_a_part_was_sent_is_recorded_and_its_rest_reported(self, world: World):
        """A newer batch began: nothing more of it is sent."""
        document = world.burst_with_ai("one")
        world.reply(document, LONG)
        world.phone.outcomes = [DELIVER, TemporaryFailure("20429", after_seconds=500)]
        world.send_replies()
        world.clock.advance(400)
        world.sweep()
        world.burst_with_ai("two")
        world.clock.advance(400)

        world.send_replies()

        assert len(world.phone.texts) == 1
        assert world.sent_contents == world.phone.texts
        told = [line for line in world.telemetry.lines if line["step"] == "released"][-1]
        assert (told["batch_id"], told["code"]) == (document["meta"]["batch_id"], ReplyCode.STALE)

    def test_a_stale_reply_in_doubt_is_looked_up_and_recorded(self, world: World):
        """Nothing is sent for it, and what was is known."""
        world.reply(world.burst_with_ai("one"), "an answer")
        inject(world, Fault.CRASH_AFTER, "CreateMessage", "twilio")
        world.send_replies()
        world.clock.advance(400)
        world.sweep()
        world.burst_with_ai("two")

        world.run(300, ai_answers=False)

        assert world.phone.texts == world.sent_contents == ["an answer"]


class TestSentInTheEnd:
    @pytest.mark.parametrize("text", ["an answer", LONG], ids=["one part", "three parts"])
    @pytest.mark.parametrize("fault", [*WORLDLY, Fault.REFUSED_BY_OWN_WRITE])
    def test_a_part_whose_claim_met_a_fault_is_sent(self, world: World, fault: Fault, text: str):
        """The provider was never asked, so nothing is in doubt."""
        world.reply(world.burst_with_ai(), text)
        inject(world, fault, "PutItem", "conversations-sends")

        world.run(900)

        assert " ".join(world.phone.texts) == text
        assert world.row["conversation_status"] == "ai_response_sent"

    @pytest.mark.parametrize("fault", WORLDLY)
    def test_a_part_whose_giving_back_met_a_fault_after_a_429_is_sent(self, world: World, fault: Fault):
        """Its row stays claimed, and the reply carries word that nothing was sent under that claim."""
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [TemporaryFailure("20429")]
        inject(world, fault, "DeleteItem", "conversations-sends")

        world.run(900)

        assert world.phone.texts == ["an answer"]
        assert world.row["conversation_status"] == "ai_response_sent"

    def test_without_such_word_a_claimed_part_is_never_sent_again_blind(self, world: World):
        """At most once is chosen over at least once."""
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [InDoubt()]

        world.run(900)

        assert world.phone.texts == []
        assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME

    @pytest.mark.parametrize("fault", WORLDLY)
    @pytest.mark.parametrize("skipping", range(7))
    @pytest.mark.parametrize("times", [1, 2, 3, 5, 8])
    def test_a_brown_out_of_the_tables_loses_no_reply(self, fault: Fault, skipping: int, times: int):
        """Whenever it begins and however many calls it takes: what the provider was not asked for is sent, once."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        brown_out(world, fault, skipping=skipping, times=times)

        world.run(1_800)

        assert world.phone.texts == world.sent_contents == ["an answer"]
        assert world.row["conversation_status"] == "ai_response_sent"
        assert world.is_at_rest


class TestPeople:
    def test_a_person_s_reply_is_sent_to_its_end_where_it_began(self):
        """By WhatsApp, in the same parts, though the customer has written an e-mail since."""
        world = World(None, email_conversation())
        world.burst_with_ai("a question")
        world.queues.human_replies.inject(human(LONG), group="acme")
        world.phone.outcomes = [DELIVER, TemporaryFailure("20429")]
        world.send_replies()
        world.deliver_email(Email())

        world.run(600, ai_answers=False)

        assert " ".join(world.phone.texts) == LONG
        assert {part.to for _, part, _ in world.phone.received} == {f"whatsapp:{CUSTOMER}"}
        assert world.sent_contents == world.phone.texts

    def test_a_person_s_reply_that_is_delivered_again_after_its_entry_moved_is_recorded_once(self, world: World):
        """It is known by the history too."""
        world.burst_with_ai()
        world.queues.human_replies.inject(human("a person says"), group="acme")
        world.send_replies()
        *kept, entry = world.row["messages"]
        row = {"conversation_id": KEY.conversation_id, "message_id": entry["message_id"], "entry": entry}
        world.tables.history.seed(row)
        moved = {"messages": kept, "messages_moved_before": iso(START)}
        world.tables.conversations.seed({**world.row, **moved})
        world.queues.human_replies.inject(human("a person says"), group="acme")

        world.send_replies()

        assert world.phone.texts == ["a person says"]
        assert world.sent_contents == []

    @pytest.mark.parametrize("reply_id", ["#people", "#", "#anything"])
    def test_a_reply_id_that_only_we_give_is_refused(self, world: World, reply_id: str):
        """It would pass for people's claim."""
        document = world.burst_with_ai()
        world.reply(document, "an answer", reply_id=reply_id)
        world.queues.human_replies.inject(human("a person says", reply_id), group="acme")

        world.send_replies()

        assert world.phone.texts == []
        dead = [*world.queues.dead_replies.messages, *world.queues.dead_human_replies.messages]
        assert [one.reason for one in dead] == ["a reply's reply_id is a text that does not begin with #"] * 2
        assert "reply_claim" not in world.row


class TestClaimForPeople:
    def test_a_reply_that_comes_again_at_once_finishes_the_claim_of_its_own_earlier_delivery(self):
        """It ended beside the claim, which was too young to be finished: people waited for the sweep."""
        world = World()
        document = world.burst_with_ai("one")
        world.reply(document, "Good evening.")
        world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})
        inject(world, Fault.CRASH_BEFORE, "SendMessage", "replies-engine-human-handoff")
        world.send_replies()
        (message,) = world.queues.replies.messages
        world.queues.replies.messages = [replace(message, visible_at=world.clock.monotonic())]

        world.send_replies()
        world.clock.advance(GRACE_SECONDS)
        world.send_replies()
        world.take_handoffs()

        assert len(world.with_people) == 1
        assert "reply_claim" not in world.row
        assert world.queues.replies.messages == []
