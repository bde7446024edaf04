"""What travels beside the bodies of our messages: whose they are, and how often they came again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.channels.sender import TemporaryFailure
from chalicelib.clock import iso
from chalicelib.ports.queues import MESSAGE_BYTES_MAX, attributes_bytes, cut_to_fit
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.trigger_lock import Trigger
from tests.fakes.faults import Fault
from tests.fakes.queues import InMemoryQueue
from tests.world import CUSTOMER, KEY, World, conversation

OURS = {"conversation_id": KEY.conversation_id}


def beside(queue: Any) -> list[dict[str, str]]:
    """The attributes of what lies in a queue."""
    assert isinstance(queue, InMemoryQueue)
    return [dict(message.attributes) for message in queue.messages]


def agree(queue: InMemoryQueue) -> bool:
    """Whether the attributes tell what the bodies tell."""
    told = [(json.loads(message.body), message.attributes) for message in queue.messages]
    return all(
        (body["conversation_id"], str(body["RetryAttempt"])) == (beside["conversation_id"], beside["RetryAttempt"])
        for body, beside in told
    )


class TestTriggers:
    def test_a_trigger_tells_its_conversation_and_its_attempt(self, world: World):
        """As the body does."""
        world.deliver()

        queue = world.queues.triggers["whatsapp"]
        assert beside(queue) == [{**OURS, "RetryAttempt": "0"}]
        assert agree(queue)

    def test_a_trigger_that_comes_again_tells_its_next_attempt(self, world: World):
        """After a fault; on a locked conversation it tells the one that it has."""
        world.deliver()
        world.clock.advance(11)
        world.plan.faults = {len(world.plan.calls) + 2: Fault.THROTTLED}
        world.work()
        after_fault = beside(world.queues.triggers["whatsapp"])
        world.clock.advance(16)
        world.work()
        world.deliver()
        world.clock.advance(11)
        world.work()

        queue = world.queues.triggers["whatsapp"]
        assert after_fault == [{**OURS, "RetryAttempt": "1"}]
        assert beside(queue) == [{**OURS, "RetryAttempt": "0"}]
        assert agree(queue)

    def test_a_dead_trigger_starts_anew_and_tells_why_it_died(self, world: World):
        """One that is redriven has all its attempts before it."""
        world.deliver()
        world.clock.advance(11)
        world.plan.faults = {len(world.plan.calls) + 1: Fault.THROTTLED}
        world.invoke("whatsapp", [Trigger(KEY, "t-9", 6).body])

        (dead,) = beside(world.queues.dead_triggers["whatsapp"])
        assert dead.pop("reason").startswith("DB_TRANSIENT_ERROR")
        assert dead == {**OURS, "RetryAttempt": "0"}


class TestContexts:
    def test_a_batch_tells_its_conversation(self, world: World):
        """The company's worker may group by it without reading the body."""
        world.deliver()
        world.clock.advance(11)
        world.work()

        assert beside(world.queues.ai) == [OURS]

    def test_a_handoff_tells_its_conversation(self):
        """To people likewise."""
        world = World(None, conversation(auto_queue_reply_message=True))

        world.deliver()

        assert beside(world.queues.handoff) == [OURS]

    def test_the_longest_id_fits_beside_the_longest_history(self):
        """A key of 1,024 bytes; the context leaves room for it."""
        key = {"primary_channel": CUSTOMER, "conversation_id": "é" * 512}
        entries = [
            {"message_id": f"m-{number}", "direction": "OUTBOUND", "content": "x" * 15_000, "timestamp": "2026"}
            for number in range(20)
        ]
        world = World(None, conversation(**key, messages=entries, notes="x" * 50_000), context_attributes="notes")

        world.deliver()
        world.clock.advance(11)
        world.work()

        assert beside(world.queues.ai) == [{"conversation_id": key["conversation_id"]}]


class TestReplies:
    def test_a_reply_that_comes_again_tells_its_attempt(self):
        """What the company's worker sent has no attributes; what we send again has."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [TemporaryFailure("20503")] * 50
        world.send_replies()
        again = beside(world.queues.replies)

        world.run(7_200, step=60)

        assert again == [{**OURS, "RetryAttempt": "1"}]
        assert beside(world.queues.dead_replies) == [{**OURS, "reason": "20503"}]


class TestCompletion:
    """Not beside a message: on the record, when its batch has ended."""

    def test_the_record_tells_when_its_batch_ended(self):
        """When the reply was sent, and not when the batch was dispatched."""
        world = World()
        document = world.burst_with_ai()
        before = world.row.get("processing_completed_at")
        world.clock.advance(7)
        world.reply(document, "an answer")
        world.send_replies()

        assert before is None
        assert world.row["processing_completed_at"] == iso(world.clock.now())

    def test_a_batch_that_is_only_reset_has_not_ended(self):
        """It is carried into the next one; people end it where they get it."""
        ends = {}
        for action in ("warn", "handoff"):
            world = World(None, stall_action=action)
            world.burst_with_ai()
            world.clock.advance(400)
            world.sweep()
            ends[action] = "processing_completed_at" in world.row

        assert ends == {"warn": False, "handoff": True}


class TestSize:
    @pytest.mark.parametrize("reason", ["short", "é" * 400])
    def test_a_dead_letter_is_cut_for_its_attributes(self, reason: str):
        """SQS counts names, types and values."""
        attributes = {**Trigger(ConversationKey("+49", "c" * 1_024), "t").attributes, "reason": reason}

        body = cut_to_fit("é" * MESSAGE_BYTES_MAX, attributes)

        assert MESSAGE_BYTES_MAX - 1 <= len(body.encode()) + attributes_bytes(attributes) <= MESSAGE_BYTES_MAX

    def test_what_fits_is_not_cut(self):
        """Nearly every dead letter."""
        assert cut_to_fit("{}", {"reason": "x"}) == "{}"
