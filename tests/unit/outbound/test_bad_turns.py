"""What makes no sense of an AI is refused or clamped by name and reported, and its neighbours are served."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.handlers import queues
from chalicelib.telemetry import Metric
from tests.world import KEY, World, conversation

NEIGHBOUR = "+4915187654321"


def two_with_ai() -> tuple[World, dict[str, Any], dict[str, Any]]:
    """The AI has a batch of each of two customers of one company."""
    numbers = {"gsi_recipient_tel": NEIGHBOUR, "recipient_tel": NEIGHBOUR, "primary_channel": NEIGHBOUR}
    world = World(None, conversation(), conversation(conversation_id="conversation-2", **numbers))
    first = world.burst_with_ai("one")
    return world, first, world.burst_with_ai("another", From=f"whatsapp:{NEIGHBOUR}")


def reply_to(document: dict[str, Any], **fields: Any) -> str:
    batch_id = document["meta"]["batch_id"]
    names = {name: document["conversation"][name] for name in KEY.item}
    return json.dumps({"version": "1.1", **names, "batch_id": batch_id, **fields})


def process(world: World, *bodies: str) -> None:
    """One event of the replies queue."""
    records = [{"body": body, "attributes": {"MessageGroupId": "acme"}} for body in bodies]
    queues.process_replies({"Records": records}, world._lambda_context(30), world.engine)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"action": "shout", "body": "hey"}, "a reply's action is one of send, none, handoff, extend, return"),
        ({"action": "extend", "batch_id": "another"}, "STALE_REPLY"),
        ({"action": "extend", "body": "and a word"}, "a reply of action extend sends nothing"),
        ({"action": "return", "handoff_id": "h-1"}, "a reply of source ai has no action return"),
        ({"messages": [{"body": "x"}] * 11}, "a reply has at most 10 messages"),
        ({"action": "none", "reason": "r" * 900_000}, ""),
    ],
    ids=["unknown action", "extend of another batch", "extend with words", "return", "eleven messages", "a reason"],
)
def test_a_message_that_makes_no_sense_is_refused_by_name_and_its_neighbour_is_sent(fields: dict[str, Any], name: str):
    """Nothing is sent for it; the batch that it names waits for its answer, unless that was what it said."""
    world, first, second = two_with_ai()
    good = reply_to(second, body="a good answer")

    process(world, reply_to(first, **fields), good)

    dead = [one.attributes["reason"] for one in world.queues.dead_replies.messages]
    refused = [line["code"] for line in world.telemetry.lines if line["step"] == "reply_refused"]
    assert [*dead, *refused] == ([name] if name else [])
    assert world.telemetry.total(Metric.DEAD_LETTER) + world.telemetry.total(Metric.REPLY_REFUSED) == bool(name)
    assert world.phone.texts == ["a good answer"]
    assert (world.row["conversation_status"] == "processing_reply") is bool(name)


def test_a_handoff_of_an_answered_batch_is_refused_by_name_and_its_neighbour_is_sent():
    """People get nothing."""
    world, first, second = two_with_ai()
    process(world, reply_to(first, body="an answer"))

    process(world, reply_to(first, action="handoff", reason="late"), reply_to(second, body="a good answer"))

    assert [line["code"] for line in world.telemetry.lines if line["step"] == "reply_refused"] == ["SECOND_REPLY"]
    assert world.phone.texts == ["an answer", "a good answer"]
    assert world.take(world.queues.handoff) == []


def test_a_reason_of_a_megabyte_is_clamped_by_name_and_its_neighbour_is_sent():
    """What people read is its beginning."""
    world, first, second = two_with_ai()

    process(world, reply_to(first, action="handoff", reason="r" * 900_000), reply_to(second, body="a good answer"))

    (context,) = world.take(world.queues.handoff)
    assert context["handoff"]["reason"] == "r" * 1_000
    assert [line["reason"] for line in world.telemetry.lines if line["step"] == "clamped"] == ["reason"]
    assert world.phone.texts == ["a good answer"]


def test_ten_thousand_heartbeats_leave_the_neighbour_s_turn_alone():
    """All but the first are refused by name and counted."""
    world, first, second = two_with_ai()
    world.clock.advance(20)

    for _ in range(100):
        process(world, *[reply_to(first, action="extend")] * 100)
    process(world, reply_to(second, body="a good answer"))

    assert world.telemetry.total(Metric.REPLY_REFUSED) == 9_999
    assert world.phone.texts == ["a good answer"]
