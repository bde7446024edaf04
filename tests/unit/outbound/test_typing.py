"""Typing indicators: asked for after a dispatch and with each heartbeat, shown once, and never a fault of anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.errors import Rejected
from chalicelib.messages.typing import TypingErrand
from tests.fakes.faults import Fault
from tests.world import KEY, World, conversation


def with_policy(*, channel: str = "whatsapp", value: Any = True) -> World:
    config = conversation()["channel_config"]
    told = {**config, channel: {**config[channel], "policy": {"typing_indicator": value}}}
    return World(None, conversation(channel_config=told))


def errands(world: World) -> list[dict[str, Any]]:
    bodies = [json.loads(one.body) for one in world.queues.replies.messages]
    return [one for one in bodies if one.get("errand") == "typing"]


def test_it_is_off_and_costs_nothing():
    """Nothing is sent to the replies queue, at no batch and no heartbeat."""
    world = World()
    document = world.burst_with_ai()
    world.clock.advance(20)
    world.turn(document, action="extend")
    world.send_replies()

    assert errands(world) == []
    assert world.phone.typing == []


def test_it_is_shown_after_a_dispatch_and_with_a_heartbeat():
    """On the batch's last message; the errand names the conversation and that message alone."""
    world = with_policy()
    document = world.burst_with_ai("one", "two")
    (errand,) = errands(world)
    world.send_replies()
    world.clock.advance(20)
    world.turn(document, action="extend")
    for _ in range(2):
        world.send_replies()

    last = document["messages"][-1]["message_id"]
    assert set(errand) == {"version", "source", "errand", *KEY.item, "message_id"}
    assert world.phone.typing == [last, last]


def test_a_message_that_was_answered_meanwhile_shows_none():
    """The errand may come late."""
    world = with_policy()
    document = world.burst_with_ai()
    (late,) = world.queues.replies.receive()
    world.queues.replies.delete(late.receipt)
    world.reply(document, "an answer")
    world.send_replies()

    world.invoke_replies(late.body, group="acme")

    assert world.phone.typing == []


@pytest.mark.parametrize("changes", [{"opted_out": True}, {"company_id": "another"}], ids=["opted out", "another's"])
def test_it_is_not_shown_to_who_is_not_written_to(changes: dict[str, Any]):
    """A customer who said STOP, and a conversation of another company than the errand came with."""
    world = with_policy()
    world.burst_with_ai()
    world.tables.conversations.seed({**world.row, **changes})

    world.send_replies()

    assert world.phone.typing == []


def test_a_channel_that_shows_none_is_left_alone():
    """Though its policy asks for it."""
    world = with_policy(channel="sms")
    world.deliver("hello", From="+4915112345678", To="+14155238886")
    world.clock.advance(11)
    world.work()

    world.send_replies()

    assert len(world.take(world.queues.ai)) == 1
    assert world.phone.typing == []


def test_a_fault_of_it_is_no_fault_of_the_batch():
    """Neither where it is asked for nor where it is shown; it does not come again."""
    world = with_policy()
    world.deliver()
    world.clock.advance(11)
    world.plan.faults = {len(world.plan.calls) + 6: Fault.THROTTLED}
    world.work()
    is_asked_for = bool(errands(world))

    world.invoke_replies(TypingErrand(KEY, world.row["unanswered_ids"][-1]).message, group="acme")
    world.plan.faults = {len(world.plan.calls) + 2: Fault.THROTTLED}
    world.invoke_replies(TypingErrand(KEY, world.row["unanswered_ids"][-1]).message, group="acme")

    assert not is_asked_for
    assert len(world.take(world.queues.ai)) == 1
    assert len(world.phone.typing) == 1
    assert world.queues.replies.messages == world.queues.dead_replies.messages == []
    assert world.failures == []


def test_a_refused_secret_is_read_again_for_the_next_indicator():
    """The cache has the secret from before its rotation."""
    world = with_policy()
    world.burst_with_ai()
    world.rotate()
    world.send_replies()
    before = list(world.phone.typing)

    world.invoke_replies(TypingErrand(KEY, world.row["unanswered_ids"][-1]).message, group="acme")

    assert (before, len(world.phone.typing)) == ([], 1)


def test_an_errand_that_is_malformed_is_refused_by_name():
    """As every other message of the queue."""
    with pytest.raises(Rejected, match="a typing's message_id"):
        TypingErrand.from_body(json.dumps({"source": "engine", "errand": "typing", **KEY.item}))
