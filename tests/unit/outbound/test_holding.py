"""A final reply that comes while the customer adds something waits once for the restart of its batch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.telemetry import Metric
from tests.world import World, conversation


def typing(body: str = "two", **settings: str) -> tuple[World, dict[str, Any]]:
    """A batch is with the AI, and the customer adds something."""
    world = World(None, **{"on_new_message": "restart", **settings})
    document = world.burst_with_ai("one")
    world.deliver(body)
    return world, document


def queued(world: World) -> list[tuple[dict[str, Any], float]]:
    """The replies in their queue, and in how many seconds they come."""
    now = world.clock.monotonic()
    return [(json.loads(one.body), one.visible_at - now) for one in world.queues.replies.messages]


class TestHold:
    def test_the_reply_comes_again_when_the_burst_must_be_over(self):
        """Marked, and with its attempts unspent; nothing is written to the record."""
        world, document = typing()
        world.clock.advance(4)
        before = world.row
        world.reply(document, "an answer")

        world.send_replies()

        ((reply, seconds),) = queued(world)
        assert (reply["held"], reply["RetryAttempt"], seconds) == (True, 0, 26)
        assert world.row == before
        assert world.telemetry.total(Metric.REPLY_RETRIED) == 1
        assert world.phone.texts == []

    def test_then_it_is_stale_for_its_batch_was_restarted(self):
        """The customer gets one answer, to both messages."""
        world, document = typing()
        world.reply(document, "an answer")
        world.send_replies()

        world.run(120)

        assert world.phone.texts == [f"answer to {world.row['last_batch_id']}"]
        assert world.answered_ids == world.entry_ids
        assert [line["code"] for line in world.telemetry.lines if line["step"] == "reply_refused"] == ["STALE_REPLY"]

    def test_or_it_is_sent_where_no_restart_came(self):
        """Held once: what is staged still is answered next."""
        world, document = typing()
        world.reply(document, "an answer")
        world.send_replies()
        world.queues.triggers["whatsapp"].messages.clear()
        world.clock.advance(30)
        world.deliver("three")

        world.send_replies()

        assert world.phone.texts == ["an answer"]

    def test_nothing_staged_is_waited_for(self):
        """The reply goes out at once."""
        world = World(None, on_new_message="restart")
        world.reply(world.burst_with_ai("one"), "an answer")

        world.send_replies()

        assert world.phone.texts == ["an answer"]

    @pytest.mark.parametrize(
        "settings",
        [
            {"on_new_message": "queue"},
            {"restarts_max": "0"},
            {"batch_window_seconds": "0", "batch_max_wait_seconds": "0"},
        ],
        ids=["by policy", "no restarts", "no window"],
    )
    def test_a_reply_is_sent_at_once_where_no_restart_is_due(self, settings: dict[str, str]):
        """What comes meanwhile is the next batch."""
        world, document = typing(**settings)
        world.reply(document, "an answer")

        world.send_replies()

        assert world.phone.texts == ["an answer"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"turn_effects": True},
            {"processing_trigger_id": None},
            {"turn_supersedes": ["b-1", "b-2"]},
            {"auto_queue_reply_message_from_number": 7},
        ],
        ids=["effects", "no trigger's lock", "restarted twice", "a list that cannot be read"],
    )
    def test_a_batch_that_may_not_be_restarted_holds_no_reply(self, changes: dict[str, Any]):
        """N2 and N3, and whatever the company wrote into its row."""
        world, document = typing()
        world.tables.conversations.seed({**world.row, **changes})
        world.reply(document, "an answer")

        world.send_replies()

        assert world.phone.texts == ["an answer"]

    def test_a_message_for_people_holds_no_reply(self):
        """It is in no batch of the AI."""
        row = conversation(auto_queue_reply_message_from_number=["+4915199999999"])
        world = World(None, row, on_new_message="restart")
        document = world.burst_with_ai("one")
        world.deliver("two")
        (staged,) = world.tables.stage.rows
        (message,) = staged["context_object"]["messages"]
        context = {**staged["context_object"], "messages": [{**message, "from": "+4915199999999"}]}
        world.tables.stage.seed({**staged, "context_object": context})
        world.reply(document, "an answer")

        world.send_replies()

        assert world.phone.texts == ["an answer"]

    def test_a_lock_that_would_stall_meanwhile_holds_no_reply(self):
        """Or the batch would be taken for unanswered, though its answer is there."""
        world = World(None, on_new_message="restart")
        document = world.burst_with_ai("one")
        world.clock.advance(280)
        world.deliver("two")
        world.reply(document, "an answer")

        world.send_replies()

        assert world.phone.texts == ["an answer"]

    def test_a_reply_that_failed_before_is_not_held(self):
        """It waited already."""
        world, document = typing()
        world.reply(document, "an answer", RetryAttempt=1)

        world.send_replies()

        assert world.phone.texts == ["an answer"]

    @pytest.mark.parametrize(
        ("fields", "texts"),
        [
            ({"action": "handoff", "reason": "wants a person", "body": "a moment"}, ["a moment"]),
            ({"action": "none"}, []),
            ({"body": "a moment", "final": False}, ["a moment"]),
        ],
        ids=["a handoff", "nothing to say", "an interim message"],
    )
    def test_only_a_final_reply_is_held(self, fields: dict[str, Any], texts: list[str]):
        """The others end or keep the turn as they say."""
        world, document = typing()
        world.turn(document, **fields)

        world.send_replies()

        assert world.phone.texts == texts
        assert queued(world) == []


class TestRestartedTurn:
    def test_the_context_names_what_it_supersedes(self):
        """All batches since something is unanswered; a first batch supersedes none."""
        world, first = typing()
        world.clock.advance(11)
        world.work()
        (second,) = world.take(world.queues.ai)

        assert (first["meta"]["restarts"], first["meta"]["supersedes"]) == (0, [])
        assert (second["meta"]["restarts"], second["meta"]["supersedes"]) == (1, [first["meta"]["batch_id"]])
        assert [one["body"] for one in second["messages"]] == ["one", "two"]

    def test_what_the_ai_says_to_a_superseded_batch_is_stale(self):
        """Its reply, an interim message, a heartbeat, nothing to say, a handoff: none changes the record."""
        world, first = typing()
        world.clock.advance(11)
        world.work()
        before = world.row

        world.reply(first, "an answer")
        for fields in (
            {"body": "wait", "final": False},
            {"action": "extend"},
            {"action": "none"},
            {"action": "handoff"},
        ):
            world.turn(first, **fields)
        world.send_replies()

        assert world.row == before
        assert world.phone.texts == []
        codes = [line["code"] for line in world.telemetry.lines if line["step"] == "reply_refused"]
        assert codes == ["STALE_REPLY"] * 5

    def test_past_the_maximum_a_message_waits_for_the_next_batch(self):
        """As under the policy `queue`."""
        world, _ = typing(restarts_max="1")
        world.clock.advance(11)
        world.work()
        world.deliver("three")
        world.clock.advance(11)
        world.work()

        documents = world.take(world.queues.ai)
        assert [[one["body"] for one in document["messages"]] for document in documents] == [["one", "two"]]

    def test_after_an_answer_a_batch_may_be_restarted_as_often_again(self):
        """The count belongs to what is unanswered."""
        world, _ = typing(restarts_max="1")
        world.run(60)
        world.burst_with_ai("three")
        world.deliver("four")
        world.clock.advance(11)
        world.work()

        (document,) = world.take(world.queues.ai)
        assert [one["body"] for one in document["messages"]] == ["three", "four"]
