"""The story: why there was or was no reply, for each way in which a message can go, and never what anybody wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chalicelib.channels.sender import PermanentFailure, TemporaryFailure
from chalicelib.conversations import lookup
from chalicelib.protocol import send_rows, staging
from chalicelib.protocol.send_rows import Part
from local.logs import LogLine
from ops.explain import timelines, verdicts
from ops.explain.timelines import Dead, Facts, Logged, SentPart
from ops.stage.dead_letters import DeadLetter
from ops.terminal import masking
from tests.world import COMPANY, CUSTOMER, KEY, World, conversation

SECRET_WORDS = "my diagnosis"


def facts(world: World, sid: str | None = None, **more) -> Facts:
    """What the tables hold of the world's conversation."""
    lock = world.tables.trigger_lock.row({"conversation_id": KEY.conversation_id})
    due_at = datetime.fromtimestamp(int(lock["expires_at"]), UTC) if lock else None
    return Facts(
        now=world.clock.now(),
        settings=world.settings,
        conversation=lookup.load(world.tables.conversations, KEY, ()),
        sid=sid,
        staged=staging.read(world.tables.stage, KEY),
        trigger_due_at=due_at if due_at and due_at > world.clock.now() else None,
        parts=[SentPart(Part.from_item(row), row.get(send_rows.DELIVERY)) for row in world.sends],
        **more,
    )


def verdict(world: World, sid: str | None = None, **more) -> str:
    return verdicts.verdict(facts(world, sid, **more)).text


def dead_letter(world: World, role: str, reason: str | None = "boom", **body) -> Dead:
    return Dead(role, DeadLetter(json.dumps({**KEY.item, **body}), "acme", reason, world.clock.now(), "receipt"))


def logged(world: World, step: str, function: str = "api_handler", **fields) -> Logged:
    return Logged(world.clock.now(), function, LogLine("INFO", step, fields))


class TestWhileItWaits:
    def test_a_message_within_its_window_waits_for_its_batch(self, world: World):
        """A trigger is on its way."""
        sid = world.deliver()

        assert verdict(world, sid).startswith("no reply yet: it waits for its batch; a trigger comes by 18:01:10")

    def test_a_message_without_a_trigger_is_found_by_the_sweep(self, world: World):
        """Its trigger was lost."""
        sid = world.deliver()
        world.clock.advance(120)

        assert (
            verdict(world, sid) == "no reply: it is staged and no trigger waits; the sweep triggers it within a minute"
        )

    def test_a_dead_trigger_is_told_with_what_redrives_it(self, world: World):
        """And with the reason that it was dead-lettered with."""
        sid = world.deliver()
        world.clock.advance(120)

        found = verdict(world, sid, dead=[dead_letter(world, "whatsapp", "the conversation stayed locked")])

        assert "its trigger is a dead letter (the conversation stayed locked)" in found
        assert found.endswith("redrive whatsapp")

    def test_a_message_behind_a_batch_waits_for_that(self, world: World):
        """It is in the next one."""
        world.burst_with_ai("first")
        sid = world.deliver("second")

        assert verdict(world, sid).startswith("no reply yet: it waits for the one before it: batch ")


class TestWithTheAi:
    def test_a_young_batch_is_with_the_ai(self, world: World):
        """Since when, in seconds."""
        world.burst_with_ai()
        world.clock.advance(20)

        assert verdict(world).endswith("has been with the AI for 20 s")

    def test_an_ai_that_does_not_answer_is_told_before_the_sweep_comes(self, world: World):
        """With the command that does not wait for it."""
        world.burst_with_ai()
        world.clock.advance(301)

        assert "the AI has not answered batch" in verdict(world)
        assert "or unlock" in verdict(world)

    def test_a_batch_that_the_ai_worker_failed_at_is_told(self, world: World):
        """Its context is a dead letter."""
        world.burst_with_ai()

        assert "the AI worker failed at it: a dead letter (boom); redrive ai" in verdict(
            world, dead=[dead_letter(world, "ai")]
        )

    @pytest.mark.parametrize(
        ("role", "what"),
        [("ai-replies", "its reply could not be sent"), ("human-replies", "a reply of people could not be sent")],
    )
    def test_a_reply_that_could_not_be_sent_is_told(self, world: World, role: str, what: str):
        """By the queue that it came on: each has dead letters of its own."""
        world.burst_with_ai()

        told = verdict(world, dead=[dead_letter(world, role)])

        assert f"{what}: a dead letter (boom); redrive {role}" in told

    def test_a_dead_reply_of_people_is_told_of_a_message_that_they_have(self, world: World):
        """The customer still waits."""
        world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})
        world.deliver()

        told = verdict(world, dead=[dead_letter(world, "human-replies")])

        assert told.endswith("their reply is a dead letter (boom); redrive human-replies")

    @pytest.mark.parametrize("body", [{"batch_id": "an-old-one"}, {"meta": {"batch_id": "an-old-one"}}])
    @pytest.mark.parametrize("role", ["ai", "ai-replies"])
    def test_a_dead_letter_of_another_batch_is_not_taken_for_its_own(self, world: World, role: str, body: dict):
        """It may lie there for two weeks, while later batches are answered."""
        world.burst_with_ai()

        assert verdict(world, dead=[dead_letter(world, role, **body)]).endswith("has been with the AI for 0 s")

    def test_a_row_that_outlives_its_entry_waits_for_nothing_before_it(self, world: World):
        """The worker crashed before it settled what it had dispatched: the batch is the message's own."""
        sid = world.deliver()
        (row,) = staging.read(world.tables.stage, KEY)
        world.burst_with_ai("more")
        crashed = replace(facts(world, sid), staged=[row])

        assert verdicts.verdict(crashed).text.startswith("no reply yet: batch ")

    def test_a_batch_that_stalled_is_carried(self, world: World):
        """The sweep has reset its lock."""
        world.burst_with_ai()
        world.clock.advance(301)
        world.sweep()

        assert "did not answer batch" in verdict(world)
        assert "carried into the next one" in verdict(world)

    def test_a_reply_that_twilio_did_not_take_yet_comes_again(self, world: World):
        """Its claim was given back."""
        document = world.burst_with_ai()
        world.phone.outcomes = [TemporaryFailure("429")]
        world.reply(document, "answer")
        world.send_replies()

        assert verdict(world).startswith("no reply yet: batch ")


class TestAtTheEnd:
    def test_an_answered_message_tells_when_and_how_it_was_delivered(self, world: World):
        """By the reply of its own batch."""
        document = world.burst_with_ai()
        world.reply(document, "answer")
        world.send_replies()
        world.report(world.sends[0]["send_id"], "delivered")

        found = verdict(world)

        assert found.startswith("answered: sent 2026-01-31T18:00:11")
        assert found.endswith("by ai; delivered")

    def test_an_answered_message_without_a_later_report_is_sent(self, world: World):
        """A report of the status `sent` says nothing that the state of the part does not say."""
        world.reply(world.burst_with_ai(), "answer")
        world.send_replies()

        verdicts = [verdict(world)]
        world.report(world.sends[0]["send_id"], "sent")

        assert {*verdicts, verdict(world)} == {"answered: sent 2026-01-31T18:00:11.000000+00:00 by ai; sent"}

    def test_a_reply_that_was_not_delivered_tells_the_code_and_who_must_act(self, world: World):
        """A code that is in no table is shown as it is."""
        world.reply(world.burst_with_ai(), "answer")
        world.send_replies()

        world.report(world.sends[0]["send_id"], "undelivered", ErrorCode="30003")

        found = verdict(world)
        assert found.startswith("answered: sent ")
        assert found.endswith(
            "; NOT DELIVERED (undelivered), 30003: the handset is off or out of reach; customer must act"
        )

    def test_a_message_that_was_sent_once_more_tells_both_ends(self):
        """The first failure, and how far the second send got."""
        world = World(None, conversation(), undelivered_action="resend")
        world.reply(world.burst_with_ai(), "answer")
        world.send_replies()
        world.report(world.sends[0]["send_id"], "undelivered", ErrorCode="30001")
        world.send_replies()

        assert "NOT DELIVERED (undelivered), 30001" in verdict(world)
        assert verdict(world).endswith("; sent once more: sent")

    @pytest.mark.parametrize(
        ("code", "meaning"),
        [
            ("21211", "21211: 'To' is no valid number; customer must act"),
            ("OUTSIDE_WINDOW", "OUTSIDE_WINDOW: the customer last wrote too long ago"),
        ],
    )
    def test_a_refused_reply_tells_the_code_and_what_it_means(self, world: World, code: str, meaning: str):
        """Ours and Twilio's."""
        document = world.burst_with_ai()
        world.phone.outcomes = [PermanentFailure(code)]
        world.reply(document, "answer")
        world.send_replies()

        assert f"no reply: it was refused, {meaning}" in verdict(world)

    def test_a_message_that_went_to_people_says_so(self):
        """No AI was asked."""
        world = World(None, conversation(auto_queue_reply_message=True))
        sid = world.deliver()

        assert verdict(world, sid) == "no reply of the AI: it was handed off to people"

    def test_an_answered_message_that_is_delivered_again_stays_answered(self, world: World):
        """The duplicate is staged until its batch leaves it out."""
        sid = world.deliver("hello")
        (row,) = staging.read(world.tables.stage, KEY)
        world.reply(world.burst_with_ai("more"), "answer")
        world.send_replies()
        again = replace(facts(world, sid), staged=[row])

        assert verdicts.verdict(again).text.startswith("answered: sent ")

    def test_a_batch_that_stalled_and_went_to_people_says_so(self):
        """The entry bears the mark, whoever appended it."""
        world = World(None, conversation(), stall_action="handoff")
        document = world.burst_with_ai()
        world.clock.advance(301)
        world.sweep()

        found = verdict(world, document["messages"][0]["message_id"])

        assert found == "no reply of the AI: it was handed off to people"

    def test_another_batch_s_refused_reply_is_not_taken_for_its_own(self, world: World):
        """Lines are told apart by their batch."""
        document = world.burst_with_ai()
        world.tables.conversations.seed({**world.row, "unanswered_ids": [], "conversation_status": "another"})
        sid, line = document["messages"][0]["message_id"], logged(world, "reply_refused", batch_id="b0", code="STALE")

        assert verdict(world, sid, logged=[line]).startswith("no reply is known")

    def test_a_reply_s_own_sid_tells_how_it_was_delivered(self, world: World):
        """Twilio's console shows both kinds."""
        world.reply(world.burst_with_ai(), "answer")
        world.send_replies()

        assert verdict(world, world.row["messages"][-1]["message_id"]).startswith("this is a reply: sent ")

    def test_a_customer_s_stop_is_answered_by_the_provider(self, world: World):
        """We send nothing."""
        sid = world.deliver("STOP", OptOutType="STOP")

        assert "the customer said STOP" in verdict(world, sid)

    def test_a_message_of_a_project_that_was_switched_off_tells_the_rule(self, world: World):
        """It was staged before that."""
        sid = world.deliver()
        world.tables.conversations.seed({**world.row, "project_status": "inactive"})
        world.clock.advance(11)
        world.work()

        assert verdict(world, sid) == "no reply: it was refused, PROJECT_INACTIVE: the project is not active"

    def test_an_answer_to_a_later_batch_is_not_taken_for_its_own(self, world: World):
        """The first was refused, the second went out."""
        first = world.burst_with_ai("first")
        world.phone.outcomes = [PermanentFailure("21211")]
        world.reply(first, "one")
        world.send_replies()
        second = world.burst_with_ai("second")
        world.reply(second, "two")
        world.send_replies()
        sid = first["messages"][0]["message_id"]

        assert verdict(world, sid).startswith("its batch has no answer of its own")


class TestWhatNeverCameIn:
    def test_what_nothing_knows_of_is_unknown_and_no_fault_of_ours(self, world: World):
        """Whether the provider delivered it is asked of the provider."""
        assert verdict(world, "SM404").startswith("SM404 is unknown: no table, and no log line of that time holds it")
        assert "fault of ours" not in verdict(world, "SM404")

    def test_the_log_tells_why_the_webhook_took_nothing(self, world: World):
        """Even where no conversation is known of it."""
        line = logged(world, "refused", message_sid="SM1", code="INVALID_SIGNATURE")
        unknown = replace(facts(world, "SM1", logged=[line]), conversation=None)

        assert verdicts.verdict(unknown).text.startswith("no reply: it was not taken, INVALID_SIGNATURE: no secret of")

    def test_another_message_s_refusal_is_not_taken_for_it(self, world: World):
        """Lines are told apart by their sid."""
        line = logged(world, "refused", message_sid="SM2", code="INVALID_SIGNATURE")

        assert "INVALID_SIGNATURE" not in verdict(world, "SM1", logged=[line])

    def test_a_conversation_in_which_nobody_wrote_says_so(self, world: World):
        """There is nothing to explain."""
        assert verdict(world) == "nothing was received"


class TestTimeline:
    def test_everything_is_told_in_order_from_every_place(self, world: World):
        """Record, parts, dead letters and log lines on one line of time."""
        document = world.burst_with_ai(SECRET_WORDS)
        world.clock.advance(5)
        world.reply(document, "an answer")
        world.send_replies()
        world.clock.advance(5)
        found = timelines.events(
            facts(
                world,
                dead=[dead_letter(world, "ai")],
                logged=[logged(world, "dispatched", batch_id="b1234567", count=1)],
            )
        )

        assert [one.at for one in found] == sorted(one.at for one in found)
        assert {one.target for one in found} == {"record", "sends", "ai-dlq", "api_handler"}
        assert "batch b12345 dispatched to the AI: 1 message(s)" in [one.what for one in found]

    def test_neither_texts_nor_addresses_are_shown(self, world: World):
        """A text by its length, an address by its ends."""
        world.deliver(SECRET_WORDS)
        document = world.burst_with_ai("more")
        world.reply(document, "a private answer")
        world.send_replies()
        told = facts(world)

        lines = [*(one.what for one in timelines.events(told)), verdicts.verdict(told).text]
        shown = "\n".join(masking.text(one, timelines.addresses(told)) for one in lines)

        assert "12 characters" in shown
        assert not [one for one in (SECRET_WORDS, "private", CUSTOMER, COMPANY) if one in shown]


class TestMasking:
    @pytest.mark.parametrize(
        ("told", "shown"),
        [
            ("+4915112345678", "+49…678"),
            ("whatsapp:+4915112345678 wrote", "whatsapp:+49…678 wrote"),
            ("anna.schmidt@example.com", "a…@example.com"),
            ("SM00000000000000000000000000000001", "SM00000000000000000000000000000001"),
            ("arn:aws:sqs:eu-west-1:123456789012:q", "arn:aws:sqs:eu-west-1:123456789012:q"),
            ("2026-01-31T18:00:00+00:00", "2026-01-31T18:00:00+00:00"),
        ],
    )
    def test_addresses_are_masked_and_ids_are_not(self, told: str, shown: str):
        """Numbers in E.164 and e-mail addresses, wherever they stand."""
        assert masking.text(told) == shown

    def test_an_address_that_looks_like_none_is_masked_where_it_is_known(self):
        """A conversation's id may be made of its customer's number."""
        assert masking.text("conversation 4915112345678-1", ["4915112345678"]) == "conversation 491…678-1"
