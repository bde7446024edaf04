"""What the company's systems may do to the other attributes of the row, and what the engine promises then."""

from __future__ import annotations

import pytest

from tests.company.company import Company, before_call
from tests.world import World, conversation


@pytest.fixture
def company(world: World) -> Company:
    return Company(world)


def flagged(**settings: str) -> tuple[World, Company]:
    """A deployment in which the flag `hand_off_to_human` routes to people."""
    world = World(None, conversation(), handoff_flag_routes="true", **settings)
    return world, Company(world)


class TestStatus:
    """`SET conversation_status = :theirs`, a status of their own, at any time."""

    def test_a_status_of_theirs_stays_until_a_batch_begins(self, world: World, company: Company):
        company.set(conversation_status="in_review")

        sid = world.deliver("one")
        status_while_staged = world.row["conversation_status"]
        world.run(200)

        assert status_while_staged == "in_review"
        assert world.answered_ids == [sid]
        assert world.row["conversation_status"] == "ai_response_sent"

    def test_the_reply_to_a_batch_is_sent_whatever_status_they_set_meanwhile(self, world: World, company: Company):
        """A batch is known by its id and not by the status."""
        document = world.burst_with_ai("one")
        company.set(conversation_status="in_review")

        world.reply(document, "answer")
        world.send_replies()

        assert world.phone.texts == ["answer"]
        assert world.row["conversation_status"] == "ai_response_sent"
        assert world.is_at_rest

    @pytest.mark.parametrize("operation", ["PutItem", "CreateMessage", "UpdateItem"])
    def test_a_status_that_they_set_while_a_reply_is_sent_neither_doubles_nor_loses_it(
        self, world: World, company: Company, operation: str
    ):
        document = world.burst_with_ai("one")
        before_call(world, operation, "", lambda: company.set(conversation_status="in_review"))

        world.reply(document, "answer")
        world.run(400)

        assert world.phone.texts == ["answer"]
        assert world.is_at_rest

    def test_after_such_a_status_the_next_message_is_batched_together_with_what_is_unanswered(
        self, world: World, company: Company
    ):
        """The lock counts as given up; the AI gets everything that is unanswered, in order."""
        world.burst_with_ai("one")
        company.set(conversation_status="in_review")

        world.deliver("two")
        world.run(200)

        assert world.entry_ids in world.batches.values()
        assert world.answered_ids == world.entry_ids

    def test_a_stalled_batch_whose_status_they_overwrote_is_reported_and_dispatched_again(self):
        """`STALL_ACTION=warn`. Their status stays until then."""
        world = World(stall_action="warn")
        company = Company(world)
        world.burst_with_ai("one")
        company.set(conversation_status="in_review")
        world.clock.advance(400)
        world.sweep()
        status_after_reset = world.row["conversation_status"]

        world.run(4_000)

        assert status_after_reset == "in_review"
        assert "reset_stalled_lock" in world.telemetry.steps()
        assert world.answered_ids == world.entry_ids

    def test_a_stalled_batch_whose_status_they_overwrote_goes_to_people_where_a_setting_says_so(self):
        """`STALL_ACTION=handoff`."""
        world = World(stall_action="handoff")
        company = Company(world)
        world.burst_with_ai("one")
        company.set(conversation_status="in_review")
        world.clock.advance(400)

        world.sweep()
        world.take_handoffs()

        assert world.with_people == world.entry_ids
        assert "reset_stalled_lock" in world.telemetry.steps()
        assert world.is_at_rest


class TestLock:
    """`SET conversation_status = processing_reply`: their own lock, without a start."""

    def test_messages_wait_behind_a_lock_of_theirs_and_are_batched_when_they_open_it(
        self, world: World, company: Company
    ):
        company.set(conversation_status="processing_reply")
        sid = world.deliver("one")
        world.run(60)
        batches_while_locked = dict(world.batches)

        company.set(conversation_status="in_review")
        world.run(400)

        assert batches_while_locked == {}
        assert world.answered_ids == [sid]

    def test_a_lock_that_they_never_open_is_opened_after_the_stall_timeout(self, world: World, company: Company):
        """It begins to age when a trigger meets it."""
        company.set(conversation_status="processing_reply")

        sid = world.deliver("one")
        world.run(2_000)

        assert world.answered_ids == [sid]
        assert {"stamped_foreign_lock", "reset_stalled_lock"} <= set(world.telemetry.steps())

    def test_a_lock_of_theirs_after_an_old_batch_of_ours_is_not_taken_for_that_one(
        self, world: World, company: Company
    ):
        """Nothing is dispatched before the stall timeout, counted from now."""
        world.deliver("one")
        world.run(200)
        world.clock.advance(5_000)
        company.set(conversation_status="processing_reply")

        world.deliver("two")
        world.run(200)

        assert len(world.batches) == 1

    def test_a_lock_of_theirs_on_a_batch_that_stalled_is_not_taken_for_the_old_one(
        self, world: World, company: Company
    ):
        """The record waits in the sweep's index since the reset; their lock is younger than that."""
        world.burst_with_ai("one")
        world.clock.advance(400)
        world.sweep()
        world.clock.advance(250)
        company.set(conversation_status="processing_reply")

        world.deliver("two")
        world.run(200)

        assert world.batches == {}

    def test_a_lock_of_theirs_delays_no_reply(self, world: World, company: Company):
        """The batch is with the AI already, and its reply is sent."""
        document = world.burst_with_ai("one")
        company.set(conversation_status="in_review")
        company.set(conversation_status="processing_reply")

        world.reply(document, "answer")
        world.send_replies()

        assert world.phone.texts == ["answer"]


class TestPeople:
    """`SET hand_off_to_human`, `auto_queue_reply_message` or the lists of senders, at any time."""

    def test_what_is_staged_goes_to_people_in_order_after_the_switch(self):
        world, company = flagged()
        first = world.deliver("one")
        company.set(hand_off_to_human=True)

        second = world.deliver("two")
        world.run(200)

        assert world.with_people == [first, second]
        assert world.batches == {}

    def test_people_get_the_batch_of_a_silent_ai_with_the_next_message(self):
        """A reply that comes after that is refused."""
        world, company = flagged()
        document = world.burst_with_ai("one")
        company.set(hand_off_to_human=True)

        world.deliver("two")
        world.run(200)
        world.reply(document, "too late")
        world.run(200)

        assert world.with_people == world.entry_ids
        assert world.phone.texts == []

    def test_a_reply_that_comes_after_the_switch_is_not_sent_and_people_have_the_batch(self):
        """Whether or not the customer wrote again."""
        world, company = flagged()
        document = world.burst_with_ai("one")
        company.set(hand_off_to_human=True)

        world.reply(document, "answer")
        world.run(200)

        assert world.phone.texts == []
        assert world.with_people == world.entry_ids

    @pytest.mark.parametrize("operation", ["Query", "BatchGetItem", "UpdateItem", "SendMessage"])
    def test_a_switch_at_any_moment_of_a_batch_gives_a_message_to_one_side_alone(self, operation: str):
        world, company = flagged()
        sid = world.deliver("one")
        world.clock.advance(11)
        before_call(world, operation, "", lambda: company.set(hand_off_to_human=True))

        world.run(400)

        assert (world.with_people, world.answered_ids) in (([sid], []), ([], [sid]))
        assert world.is_at_rest

    @pytest.mark.parametrize("operation", ["UpdateItem", "SendMessage", "BatchWriteItem"])
    def test_a_switch_back_at_any_moment_gives_a_message_to_one_side_alone(self, operation: str):
        world, company = flagged()
        company.set(hand_off_to_human=True)
        before_call(world, operation, "", lambda: company.set(hand_off_to_human=False))

        sid = world.deliver("one")
        world.run(400)

        assert (world.with_people, world.answered_ids) in (([sid], []), ([], [sid]))
        assert world.is_at_rest

    def test_after_the_switch_back_the_ai_gets_what_comes_then_and_sees_what_people_had(self):
        world, company = flagged()
        company.set(hand_off_to_human=True)
        first = world.deliver("one")
        world.run(200)
        company.set(hand_off_to_human=False)

        document = world.burst_with_ai("two")

        assert [one["body"] for one in document["messages"]] == ["two"]
        assert [one["message_id"] for one in document["history"]] == [first]


class TestRules:
    """`SET project_status`, `allowed_channels`, `opted_out`, `task_complete`, at any time."""

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"project_status": "paused"}, "PROJECT_INACTIVE"),
            ({"allowed_channels": ["email"]}, "CHANNEL_NOT_ALLOWED"),
            ({"opted_out": True}, "OPTED_OUT"),
            ({"task_complete": 1}, "CONVERSATION_NOT_FOUND"),
        ],
    )
    def test_a_rule_that_they_set_refuses_what_is_staged_and_the_record_says_so(
        self, world: World, company: Company, change: dict, code: str
    ):
        world.deliver("one")
        company.set(**change)

        world.run(200)

        assert [one.get("refused") for one in world.row["messages"]] == [code]
        assert world.batches == {}
        assert world.staged_ids == []

    def test_a_reply_to_a_customer_whom_they_opted_out_is_not_sent_and_is_reported(
        self, world: World, company: Company
    ):
        document = world.burst_with_ai("one")
        company.set(opted_out=True)

        world.reply(document, "answer")
        world.send_replies()

        assert world.phone.texts == []
        assert world.row["processing_error_code"] == "OPTED_OUT"

    def test_a_reply_to_a_conversation_that_they_have_closed_is_still_sent(self, world: World, company: Company):
        """The message was accepted before."""
        document = world.burst_with_ai("one")
        company.set(task_complete=1)

        world.reply(document, "answer")
        world.send_replies()

        assert world.phone.texts == ["answer"]


class TestRow:
    """The row as a whole."""

    def test_attributes_of_their_own_are_never_touched(self, world: World, company: Company):
        company.set(crm={"owner": "Ann", "stage": 3}, hand_off_to_human=False)
        before = {name: world.row[name] for name in ("crm", "thread_id", "channel_config", "hand_off_to_human")}

        world.deliver("one")
        world.run(200)

        assert {name: world.row[name] for name in before} == before

    def test_what_is_staged_for_a_row_that_they_delete_is_refused_and_reported(self, world: World, company: Company):
        world.deliver("one")
        company.delete()
        world.clock.advance(11)

        world.work()

        assert world.staged_ids == []
        refused = [line for line in world.telemetry.lines if line["step"] == "refused"]
        assert [(line["code"], line["level"]) for line in refused] == [("CONVERSATION_NOT_FOUND", "error")]

    def test_a_reply_to_a_row_that_they_delete_is_dead_lettered(self, world: World, company: Company):
        document = world.burst_with_ai("one")
        company.delete()

        world.reply(document, "answer")
        world.send_replies()

        assert len(world.queues.dead_replies.messages) == 1
        assert world.phone.texts == []
