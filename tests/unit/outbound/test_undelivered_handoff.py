"""The policy `undelivered_action: handoff`: people get the batch of a reply that could not be delivered."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.channels.sender import TemporaryFailure
from chalicelib.outbound.errands import Undelivered
from chalicelib.outbound.last_word import Claimed, LastWord, Passed, Past, Unsettled, standing
from chalicelib.protocol import send_rows
from chalicelib.protocol.record import Record
from chalicelib.protocol.send_rows import Part
from chalicelib.telemetry import Metric
from tests.fakes.faults import Fault, faults_for
from tests.world import DELIVER, KEY, World, conversation

CODE = "30003"
LONG = " ".join(f"Sentence number {number}." for number in range(130))


def world_of(action: str = "handoff", **changes: Any) -> World:
    config = conversation()["channel_config"]
    policy = {"undelivered_action": action}
    return World(
        None, conversation(channel_config={**config, "whatsapp": {**config["whatsapp"], "policy": policy}}, **changes)
    )


def answered(body: str = "an answer", *bodies: str) -> World:
    """A world in which a reply to these messages was sent."""
    world = world_of()
    world.reply(world.burst_with_ai(*bodies), body)
    world.send_replies()
    return world


def report(world: World, number: int = 0) -> int:
    """A message that the phone should have got was not delivered; the answer to that report."""
    callback = world.phone.received[number][1].status_callback
    assert callback is not None
    return world.report(callback.rpartition("/")[2], "undelivered", ErrorCode=CODE).status_code


def handed(world: World) -> list[dict[str, Any]]:
    """What people were sent."""
    return world.take(world.queues.handoff)


def part_of(world: World) -> Part:
    return Part.from_item(world.sends[0])


class TestHandoff:
    def test_people_get_the_batch_and_the_reply_that_was_not_delivered(self):
        """With the reason; the mark is on each entry."""
        world = answered("an answer", "one", "two")
        report(world)

        world.send_replies()

        (document,) = handed(world)
        assert [one["body"] for one in document["messages"]] == ["one", "two"]
        assert document["handoff"] == {
            "requested_by": "undelivered",
            "reason": f"the reply was not delivered, code {CODE}",
            "handoff_id": world.row["handoff_id"],
            "draft": "an answer",
            "reply_id": world.row["passed_reply_id"],
        }
        assert [one.get("handed_off") for one in world.row["messages"]] == [True, True, None]
        assert world.row["conversation_status"] == "user_reply_received"
        assert world.is_at_rest
        assert world.telemetry.total(Metric.HANDED_OFF) == 2

    def test_what_the_customer_writes_next_goes_to_people_until_they_give_the_conversation_back(self):
        """D2: the update that claims the batch begins the handoff; K ends it."""
        world = answered()
        report(world)
        world.send_replies()
        handed(world)
        world.deliver("hello?")
        (document,) = handed(world)
        told = {"version": "1.1", "source": "human", "action": "return", "reply_id": "back"}
        reply = {**KEY.item, **told, "handoff_id": document["handoff"]["handoff_id"]}

        world.queues.human_replies.inject(json.dumps(reply), group="acme")
        world.send_replies()
        world.deliver("and now?")
        world.run(60)

        assert [one["body"] for one in document["messages"]] == ["hello?"]
        assert world.phone.texts[-1].startswith("answer to ")

    def test_a_handoff_that_stands_keeps_its_id(self):
        """K2: an operator handed the conversation over after the reply."""
        world = answered()
        world.tables.conversations.seed({**world.row, "handed_off_by": "operator", "handoff_id": "h-1"})
        report(world)

        world.send_replies()

        (document,) = handed(world)
        assert (document["handoff"]["handoff_id"], document["handoff"]["requested_by"]) == ("h-1", "operator")
        assert document["handoff"]["draft"] == "an answer"

    def test_the_draft_is_the_whole_reply_whichever_part_failed(self):
        """A second part that fails later says the same under the same reply id, by which people know it."""
        world = answered(LONG)
        report(world, 1)
        world.send_replies()
        (first,) = handed(world)

        report(world, 0)
        world.send_replies()

        (again,) = handed(world)
        assert first["handoff"]["draft"].replace("\n\n", " ") == LONG
        assert again["messages"] == []
        assert again["handoff"]["draft"] == first["handoff"]["draft"]
        assert again["handoff"]["reply_id"] == first["handoff"]["reply_id"]

    def test_a_batch_whose_messages_have_left_the_record_goes_to_people_as_a_draft(self):
        """The company took them off; the reply alone tells them what happened."""
        world = answered()
        entries = [one for one in world.row["messages"] if one["direction"] == "OUTBOUND"]
        world.tables.conversations.seed({**world.row, "messages": entries})
        report(world)

        world.send_replies()

        (document,) = handed(world)
        assert (document["messages"], document["handoff"]["draft"]) == ([], "an answer")
        assert world.is_at_rest

    def test_a_failure_while_the_reply_is_being_sent_waits_for_its_end(self):
        """Its first part was taken and failed, its second is throttled; the errand spends no attempt."""
        world = world_of()
        world.reply(world.burst_with_ai(), LONG)
        world.phone.outcomes = [DELIVER, TemporaryFailure("20429", 90)]
        world.send_replies()
        report(world)
        world.send_replies()
        errands = [Undelivered.from_body(one.body) for one in world.queues.replies.messages]

        world.run(600)

        assert [one.attempt for one in errands if one is not None] == [0]
        assert world.with_people == world.entry_ids
        assert world.telemetry.total(Metric.DEAD_LETTER) == 0

    @pytest.mark.parametrize("what", ["a newer answer", "a reply of people", "people have the batch"])
    def test_a_reply_that_is_no_longer_the_last_word_is_only_reported(self, what: str):
        """D1: nobody gets anything, and the failure stays where it is."""
        world = answered()
        if what == "a newer answer":
            world.reply(world.burst_with_ai("next"), "the next answer")
        elif what == "a reply of people":
            reply = {**KEY.item, "version": "1.0", "source": "human", "reply_id": "r-1", "body": "a person says"}
            world.queues.human_replies.inject(json.dumps(reply), group="acme")
        else:
            world.tables.conversations.seed({**world.row, "last_reply_id": "#people"})
        world.send_replies()

        report(world)
        world.send_replies()

        assert handed(world) == []
        (line,) = [one for one in world.telemetry.lines if one["step"] == "not_handed_off"]
        assert (line["outcome"], line["code"]) == ("not_the_last_word", CODE)

    def test_a_reply_of_people_is_only_reported(self):
        """They have the conversation's answer in hand already."""
        world = answered()
        reply = {**KEY.item, "version": "1.0", "source": "human", "reply_id": "r-1", "body": "a person says"}
        world.queues.human_replies.inject(json.dumps(reply), group="acme")
        world.send_replies()

        report(world, 1)
        world.send_replies()

        assert handed(world) == []
        assert world.telemetry.lines[-1]["outcome"] == "no_batch"

    def test_an_errand_that_comes_twice_hands_over_once(self):
        """The second finds the batch with people, and sends them the draft alone."""
        world = answered()
        report(world)
        errand = world.queues.replies.messages[0].body
        world.queues.replies.inject(errand, group="acme")

        for _ in range(2):
            world.send_replies()

        first, second = handed(world)
        assert (len(first["messages"]), second["messages"]) == (1, [])
        assert Undelivered.from_body(errand) is not None

    def test_the_reply_that_comes_again_changes_nothing(self):
        """People have its batch; what was sent of it is on the record."""
        world = answered()
        report(world)
        world.send_replies()
        handed(world)
        before = world.row

        world.reply(
            {"conversation": KEY.item, "meta": {"batch_id": before["last_batch_id"]}, "messages": []}, "an answer"
        )
        world.send_replies()

        assert handed(world) == []
        assert world.row == before


class TestRefusedErrand:
    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.MISCONFIGURED, Fault.LOST_ANSWER])
    def test_a_callback_whose_errand_the_queue_refuses_is_answered_503_and_repeated(self, fault: Fault):
        """Twilio repeats it, and then people get the batch."""
        world = answered()
        number = _number_of_the_send()
        world.plan.faults = {len(world.plan.calls) + number: fault}

        first, second = report(world), report(world)
        world.run(60)

        assert (first, second) == (503, 204)
        assert world.with_people == world.entry_ids


def _number_of_the_send() -> int:
    """The number of a report's call that queues the errand."""
    world = answered()
    before = len(world.plan.calls)
    report(world)
    calls = [call.operation for call in world.plan.calls[before:]]
    return calls.index("SendMessage") + 1


def _calls_of_an_errand() -> list[Any]:
    world = answered()
    report(world)
    before = len(world.plan.calls)
    world.send_replies()
    return world.plan.calls[before:]


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        pytest.param(number, fault, id=f"call {number} {call.operation} {call.resource}: {fault}")
        for number, call in enumerate(_calls_of_an_errand(), start=1)
        for fault in faults_for(call)
    ],
)
def test_whatever_happens_to_a_call_of_an_errand_people_get_the_batch_and_the_draft(number: int, fault: Fault):
    """O: at least once, and the conversation is theirs."""
    world = answered()
    report(world)
    world.plan.faults = {len(world.plan.calls) + number: fault}

    documents = []
    for _ in range(120):
        world.clock.advance(60)
        world.send_replies()
        documents += handed(world)
    world.sweep()
    documents += handed(world)

    assert {one["message_id"] for document in documents for one in document["messages"]} == set(world.entry_ids)
    assert "an answer" in [document["handoff"]["draft"] for document in documents]
    assert world.is_at_rest
    assert world.row["handed_off_by"] == "undelivered"


class TestStanding:
    """How a reply stands in its conversation."""

    def test_a_reply_after_which_nothing_was_said_is_the_last_word(self):
        """Each of its parts says so, and a second send too."""
        world = answered(LONG)
        parts = [Part.from_item(row) for row in world.sends]
        again = replace(parts[0], send_id=send_rows.resend_id(parts[0].send_id), resends=parts[0].send_id)
        record = Record.from_item(world.row)

        assert [standing(record, one) for one in (*parts, again)] == [LastWord()] * 3

    @pytest.mark.parametrize(
        ("changes", "found"),
        [
            ({"reply_claim": "REPLY"}, Unsettled()),
            ({"reply_claim": "another"}, Past()),
            ({"unanswered_ids": ["SM1"]}, Past()),
            ({"last_batch_id": "another"}, Past()),
            ({"last_reply_id": "another"}, Past()),
            ({"messages": []}, Past()),
            ({"passed_reply_id": "REPLY", "reply_claim": "#people"}, Claimed()),
            ({"passed_reply_id": "REPLY", "handed_off_by": "undelivered"}, Passed()),
            ({"passed_reply_id": "REPLY", "handed_off_by": "undelivered", "unanswered_ids": ["SM1"]}, Past()),
            ({"passed_reply_id": "REPLY", "handed_off_by": "ai"}, Past()),
            ({"passed_reply_id": "REPLY"}, Past()),
        ],
    )
    def test_a_record_that_says_otherwise(self, changes: dict[str, Any], found: object):
        """It is being sent, people have it, or something was said since."""
        world = answered()
        part = part_of(world)
        told = {name: part.reply_id if value == "REPLY" else value for name, value in changes.items()}

        assert standing(Record.from_item({**world.row, **told}), part) == found
