"""The AI's whole turn, end to end: nothing to say, handoff, heartbeats, interim messages, takeover and return."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.clock import from_iso
from chalicelib.handlers import queues
from chalicelib.telemetry import Metric, Trail
from tests.world import KEY, World

LONG = " ".join(f"Sentence number {number} of a long answer." for number in range(100))
HANDOFF = {"action": "handoff", "reason": "wants a person", "draft": "Dear Ann"}


def with_ai(*bodies: str, **settings: str) -> tuple[World, dict[str, Any]]:
    world = World(None, **settings)
    return world, world.burst_with_ai(*(bodies or ("hello",)))


def send(world: World, document: dict[str, Any], **fields: Any) -> None:
    world.turn(document, **fields)
    world.send_replies()


def handed(world: World) -> list[dict[str, Any]]:
    return world.take(world.queues.handoff)


def refusals(world: World) -> list[str]:
    return [line["code"] for line in world.telemetry.lines if line["step"] == "reply_refused"]


def people(world: World, **fields: Any) -> None:
    """A message of people on their queue, sent."""
    told = {**KEY.item, "version": "1.1", "source": "human", "reply_id": "people-1", **fields}
    world.queues.human_replies.inject(json.dumps(told), group="acme")
    world.send_replies()


def switch(world: World, **changes: Any) -> None:
    """The company writes to its row; that raises no version."""
    world.tables.conversations.seed({**world.row, **changes})


class TestNothingToSay:
    def test_the_conversation_opens_and_nothing_is_sent(self):
        """At once: nobody waits for the stall timeout."""
        world, document = with_ai()

        send(world, document, action="none")

        assert world.row["conversation_status"] == "ai_no_reply"
        assert world.is_at_rest
        assert world.phone.texts == []

    def test_what_came_meanwhile_is_the_next_batch(self):
        """As after every end of a turn."""
        world, document = with_ai()
        world.deliver("two")
        world.clock.advance(11)

        send(world, document, action="none")
        world.clock.advance(1)
        world.work()

        (following,) = world.take(world.queues.ai)
        assert [one["body"] for one in following["messages"]] == ["two"]
        assert [one["content"] for one in following["history"]] == ["hello"]

    def test_where_people_own_the_conversation_they_get_the_batch(self):
        """Nothing to say is not nothing to do."""
        world, document = with_ai()
        switch(world, auto_queue_reply_message=True)

        send(world, document, action="none")

        (context,) = handed(world)
        assert [one["body"] for one in context["messages"]] == ["hello"]
        assert context["handoff"] == dict.fromkeys(("reason", "handoff_id", "draft", "reply_id")) | {
            "requested_by": "company"
        }

    def test_an_answer_after_it_is_a_second_one(self):
        """The turn has ended."""
        world, document = with_ai()
        send(world, document, action="none")

        world.reply(document, "after all")
        world.send_replies()

        assert refusals(world) == ["SECOND_REPLY"]
        assert world.phone.texts == []


class TestHandoff:
    def test_people_get_the_batch_with_the_reason_and_the_draft(self):
        """The customer sees neither."""
        world, document = with_ai()

        send(world, document, **HANDOFF)

        (context,) = handed(world)
        told = context["handoff"]
        assert [one["body"] for one in context["messages"]] == ["hello"]
        assert (told["requested_by"], told["reason"], told["draft"]) == ("ai", "wants a person", "Dear Ann")
        assert told["handoff_id"] == world.row["handoff_id"]
        assert world.phone.texts == []
        assert "hand_off_to_human" not in world.row

    def test_words_are_sent_before_the_batch_passes_to_people(self):
        """They are in the record, and in people's history."""
        world, document = with_ai()

        send(world, document, **HANDOFF, body="A colleague will answer.")

        (context,) = handed(world)
        assert world.phone.texts == ["A colleague will answer."]
        assert [one["content"] for one in context["history"]] == ["A colleague will answer."]
        assert context["handoff"]["draft"] == "Dear Ann"
        assert world.row["conversation_status"] == "user_reply_received"

    def test_it_lasts_until_people_give_the_conversation_back(self):
        """What the customer writes meanwhile is theirs; after that it is the AI's again."""
        world, document = with_ai()
        send(world, document, **HANDOFF)
        handed(world)
        world.deliver("two")
        (second,) = handed(world)

        people(world, action="return", handoff_id=second["handoff"]["handoff_id"], body="All done.")
        world.deliver("three")
        world.clock.advance(11)
        world.work()

        (following,) = world.take(world.queues.ai)
        assert second["handoff"]["reason"] == "wants a person"
        assert [one["body"] for one in following["messages"]] == ["three"]
        assert world.phone.texts == ["All done."]
        assert handed(world) == []

    @pytest.mark.parametrize("refusal", [{"opted_out": True}, {"channel_config": {}}], ids=["opted out", "no secret"])
    def test_words_that_cannot_be_sent_do_not_keep_the_batch_from_people(self, refusal: dict[str, Any]):
        """The claim ends with people, whatever comes of the words."""
        world, document = with_ai()
        switch(world, **refusal)

        send(world, document, **HANDOFF, body="A colleague will answer.")

        (context,) = handed(world)
        assert [one["body"] for one in context["messages"]] == ["hello"]
        assert world.phone.texts == []

    def test_words_whose_secret_cannot_be_had_are_given_up_at_the_last_try(self):
        """People get them as a draft."""
        world, document = with_ai(reply_attempts_max="1")
        world.secrets.texts.clear()
        world.clock.advance(world.settings.secret_ttl_seconds + 1)

        send(world, document, **HANDOFF, body="A colleague will answer.")
        world.clock.advance(60)
        world.send_replies()

        (context,) = handed(world)
        assert context["handoff"]["draft"] == "Dear Ann\n\nA colleague will answer."

    def test_the_same_handoff_again_hands_nothing_over_twice(self):
        """But for its draft, which may not have come with the batch: people dedupe on its reply id."""
        world, document = with_ai()
        send(world, document, **HANDOFF)
        first = handed(world)

        send(world, document, **HANDOFF)

        (again,) = handed(world)
        assert again["messages"] == []
        assert again["handoff"]["reply_id"] == first[0]["handoff"]["reply_id"]

    def test_a_handoff_of_an_answered_batch_is_refused(self):
        """By name, and people get nothing."""
        world, document = with_ai()
        world.reply(document, "an answer")
        world.send_replies()

        send(world, document, **HANDOFF)

        assert refusals(world) == ["SECOND_REPLY"]
        assert handed(world) == []
        assert "handoff_id" not in world.row

    def test_a_reason_of_a_megabyte_is_cut_and_reported(self):
        """Its neighbours in the event are unharmed."""
        world, document = with_ai()

        send(world, document, action="handoff", reason="r" * 900_000)

        (context,) = handed(world)
        assert context["handoff"]["reason"] == "r" * 1_000
        assert [line["reason"] for line in world.telemetry.lines if line["step"] == "clamped"] == ["reason"]


class TestReturn:
    def test_a_return_of_another_handoff_does_nothing(self):
        """Not even its text is sent."""
        world, document = with_ai()
        send(world, document, **HANDOFF)
        handoff_id = world.row["handoff_id"]

        people(world, action="return", handoff_id="another", body="All done.")

        assert refusals(world) == ["OTHER_HANDOFF"]
        assert world.phone.texts == []
        assert world.row["handoff_id"] == handoff_id

    def test_a_text_that_cannot_be_sent_does_not_keep_the_conversation(self):
        """The customer said STOP: the handoff ends all the same."""
        world, document = with_ai()
        send(world, document, **HANDOFF)
        switch(world, opted_out=True)

        people(world, action="return", handoff_id=world.row["handoff_id"], body="All done.")

        assert world.phone.texts == []
        assert "handoff_id" not in world.row

    def test_a_text_whose_secret_cannot_be_had_ends_the_handoff_at_the_last_try(self):
        """The text is dead-lettered, the conversation given back."""
        world, document = with_ai(reply_attempts_max="1")
        send(world, document, **HANDOFF)
        world.secrets.texts.clear()
        world.clock.advance(world.settings.secret_ttl_seconds + 1)

        people(world, action="return", handoff_id=world.row["handoff_id"], body="All done.")
        assert "handoff_id" in world.row
        world.clock.advance(60)
        world.send_replies()

        assert "handoff_id" not in world.row
        assert len(world.queues.dead_human_replies.messages) == 1


class TestHeartbeats:
    def test_a_long_turn_is_kept_alive_and_answered(self):
        """Past the stall timeout, and without the sweep taking it for stalled."""
        world, document = with_ai()
        for _ in range(5):
            world.clock.advance(200)
            send(world, document, action="extend")
            world.sweep()

        world.reply(document, "at last")
        world.send_replies()

        assert world.phone.texts == ["at last"]
        assert world.telemetry.total(Metric.STALL_RESET) == 0

    def test_what_the_customer_writes_meanwhile_is_not_dead_lettered(self):
        """A trigger that meets the lock spends none of its attempts."""
        world, document = with_ai()
        world.deliver("two")
        for _ in range(17):
            for _ in range(5):
                world.clock.advance(20)
                world.work()
            send(world, document, action="extend")

        world.reply(document, "at last")
        world.run(30)

        assert world.dead == []
        assert len(world.phone.texts) == 2

    def test_ten_thousand_heartbeats_are_one_write(self):
        """The others come too soon: refused by name and counted. The answer goes out."""
        world, document = with_ai()
        world.clock.advance(20)
        world.turn(document, action="extend")
        (message,) = world.queues.replies.messages
        body = message.body
        world.queues.replies.messages.clear()
        before = world.row["conversation_version"]

        for _ in range(1_000):
            records = [{"body": body, "attributes": {"MessageGroupId": "acme"}}] * 10
            queues.process_replies({"Records": records}, world._lambda_context(30), world.engine)
        world.reply(document, "an answer")
        world.send_replies()

        written = [call for call in world.plan.calls if call.operation == "UpdateItem"]
        assert refusals(world) == ["TOO_SOON"] * 9_999
        assert sum("conversations-local" in call.resource for call in written) == 1 + 3  # acquire, claim, release
        assert world.row["conversation_version"] == before + 2
        assert world.phone.texts == ["an answer"]

    @pytest.mark.parametrize(
        ("fields", "code"), [({"batch_id": "another"}, "STALE_REPLY"), ({}, "TURN_TOO_LONG")], ids=["batch", "turn"]
    )
    def test_a_heartbeat_that_may_not_extend_changes_nothing(self, fields: dict[str, str], code: str):
        """Of another batch, or past the longest turn: refused by name."""
        world, document = with_ai(turn_max_seconds="100")
        world.clock.advance(101)
        before = world.row

        send(world, document, action="extend", **fields)

        assert refusals(world) == [code]
        assert world.row == before

    def test_the_context_tells_the_deadline_and_the_actions(self):
        """So that a worker knows when to send a heartbeat."""
        world, document = with_ai()

        started = from_iso(world.row["processing_started_at"])
        assert (from_iso(document["meta"]["deadline"]) - started).total_seconds() == 300
        assert document["meta"]["actions"] == ["send", "none", "handoff", "extend"]


class TestInterim:
    def test_the_turn_goes_on(self):
        """The message is in the record; the batch stays the AI's, and is answered."""
        world, document = with_ai()

        send(world, document, body="A moment.", final=False)
        status = world.row["conversation_status"]
        world.reply(document, "The answer.")
        world.send_replies()

        assert status == "processing_reply"
        assert world.phone.texts == ["A moment.", "The answer."]
        assert world.sent_contents == ["A moment.", "The answer."]
        assert world.row["conversation_status"] == "ai_response_sent"

    def test_one_that_comes_twice_is_sent_once(self):
        """And recorded once."""
        world, document = with_ai()

        for _ in range(2):
            send(world, document, body="A moment.", final=False)

        assert world.phone.texts == world.sent_contents == ["A moment."]
        assert world.row["conversation_status"] == "processing_reply"

    @pytest.mark.parametrize("fields", [{"body": "The answer."}, {"action": "none"}, {"action": "extend"}])
    def test_whatever_meets_its_claim_comes_again(self, fields: dict[str, Any]):
        """It is no second reply, and spends no attempt."""
        world, document = with_ai()
        switch(world, reply_claim="r-1", reply_claim_end="unclaim", reply_claimed_at=world.row["processing_started_at"])

        send(world, document, **fields)

        (again,) = [json.loads(one.body) for one in world.queues.replies.messages]
        assert again["RetryAttempt"] == 0
        assert refusals(world) == []

    def test_past_the_longest_turn_it_is_refused_and_the_answer_is_not(self):
        """By name."""
        world, document = with_ai(turn_max_seconds="100")
        world.clock.advance(101)

        send(world, document, body="A moment.", final=False)
        world.reply(document, "The answer.")
        world.send_replies()

        assert refusals(world) == ["TURN_TOO_LONG"]
        assert world.phone.texts == ["The answer."]


class TestSeveralMessages:
    def test_they_are_sent_in_order_as_one_reply(self):
        """Each is an entry of its own."""
        world, document = with_ai()

        send(world, document, messages=[{"body": "one"}, {"body": "two"}, {"content_sid": "HX1"}])

        assert world.phone.texts == ["one", "two", ""]
        assert [part.content_sid for _, part, _ in world.phone.received] == [None, None, "HX1"]
        assert world.row["conversation_status"] == "ai_response_sent"


class TestTakeover:
    def test_people_who_own_the_conversation_get_the_answer_as_a_draft(self):
        """The customer does not get it."""
        world, document = with_ai()
        switch(world, auto_queue_reply_message=True)

        world.reply(document, "The answer.")
        world.send_replies()

        (context,) = handed(world)
        assert context["handoff"]["draft"] == "The answer."
        assert refusals(world) == ["TAKEN_OVER"]
        assert world.phone.texts == []

    @pytest.mark.parametrize(
        "rule",
        [
            {"project_status": "paused"},
            {"allowed_channels": ["sms"]},
            {"opted_out": True},
            {"task_complete": 1},
        ],
        ids=lambda rule: next(iter(rule)),
    )
    def test_a_rule_that_refuses_new_messages_does_not_hide_that_people_own_the_conversation(
        self, rule: dict[str, Any]
    ):
        """The batch was accepted before."""
        world, document = with_ai()
        switch(world, auto_queue_reply_message=True, **rule)

        world.reply(document, "The answer.")
        world.send_replies()

        (context,) = handed(world)
        assert [one["body"] for one in context["messages"]] == ["hello"]
        assert context["handoff"]["draft"] == "The answer."
        assert world.phone.texts == []

    def test_what_is_not_sent_when_people_take_over_is_withheld(self):
        """What was sent is recorded, what was not is their draft."""
        world, document = with_ai()
        deliver = world.phone._deliver

        def switching(*arguments: Any) -> Any:
            switch(world, auto_queue_reply_message=True)
            return deliver(*arguments)

        world.phone._deliver = switching
        world.reply(document, LONG)
        world.send_replies()

        (context,) = handed(world)
        assert len(world.phone.texts) == 1
        assert world.sent_contents == world.phone.texts
        assert context["handoff"]["draft"].replace("\n\n", " ") == LONG.removeprefix(world.phone.texts[0]).strip()
        assert world.is_at_rest

    def test_an_answer_to_a_batch_that_people_have_reaches_them_once(self):
        """As a draft alone; the reply is refused."""
        world, document = with_ai()
        switch(world, auto_queue_reply_message=True)
        world.deliver("two")
        world.clock.advance(11)
        world.work()
        handed(world)

        world.reply(document, "The answer.")
        world.send_replies()

        (context,) = handed(world)
        assert (context["messages"], context["handoff"]["draft"]) == ([], "The answer.")
        assert refusals(world) == ["STALE_REPLY"]


class TestOperator:
    def hand_over(self, world: World) -> bool:
        trail = Trail(world.telemetry, world.clock, request_id="operator")
        return world.engine.handing_over.hand_over(world.engine.tables, world.engine.queues, KEY, "asked for", trail)

    def test_the_batch_of_the_ai_goes_to_people_at_once(self):
        """With the operator's reason."""
        world, _ = with_ai()

        assert self.hand_over(world)

        (context,) = handed(world)
        assert (context["handoff"]["requested_by"], context["handoff"]["reason"]) == ("operator", "asked for")
        assert [one["body"] for one in context["messages"]] == ["hello"]

    def test_an_open_conversation_is_theirs_from_its_next_message_on(self):
        """One update of its own."""
        world = World()
        world.deliver("before")
        world.run(30)

        assert self.hand_over(world)
        world.deliver("after")

        (context,) = handed(world)
        assert [one["body"] for one in context["messages"]] == ["after"]

    def test_a_handoff_that_stands_is_left_alone(self):
        """Its id is what people give back."""
        world, _ = with_ai()
        self.hand_over(world)
        handoff_id = world.row["handoff_id"]

        assert not self.hand_over(world)
        assert world.row["handoff_id"] == handoff_id


class TestStall:
    def test_people_who_get_a_stalled_batch_keep_the_conversation(self):
        """Until they give it back."""
        world, _ = with_ai(stall_action="handoff")
        world.clock.advance(400)
        world.sweep()
        world.deliver("two")

        first, second = handed(world)
        assert first["handoff"]["requested_by"] == second["handoff"]["requested_by"] == "stall"
