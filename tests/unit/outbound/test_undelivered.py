"""Messages that the provider took and could not deliver: reported, counted, and sent once more where that is safe."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.channels.outcomes import Actor
from chalicelib.channels.sender import InDoubt, PermanentFailure, TemporaryFailure
from chalicelib.channels.twilio.outcomes import TABLE
from chalicelib.errors import ReplyCode
from chalicelib.outbound.delivery_reports import METRICS
from chalicelib.outbound.errands import Undelivered
from chalicelib.protocol import send_rows
from chalicelib.telemetry import Metric
from tests.fakes.faults import Fault, FaultPlan, faults_for
from tests.world import KEY, World, conversation

SAFE = "30001"
"""The queue was full: the message reached nobody."""
UNSAFE = "30003"
TWO_PARTS = " ".join(f"Sentence number {number}." for number in range(130))


def row(**policy: object) -> dict[str, Any]:
    """A company with policies of its own for WhatsApp; by default what is safe is sent once more."""
    config = conversation()["channel_config"]
    of_whatsapp = {**config["whatsapp"], "policy": policy or {"undelivered_action": "resend"}}
    return conversation(channel_config={**config, "whatsapp": of_whatsapp})


def answered(body: str = "an answer", plan: FaultPlan | None = None, **policy: object) -> World:
    """A world in which a reply was sent."""
    world = World(plan, row(**policy))
    world.reply(world.burst_with_ai(), body)
    world.send_replies()
    return world


def send_id(world: World, number: int = 0) -> str:
    """The send id of a message that the phone got."""
    callback = world.phone.received[number][1].status_callback
    assert callback is not None
    return callback.rpartition("/")[2]


def state_of(world: World) -> tuple[str, str | None]:
    return world.row["conversation_status"], world.row.get("processing_error_code")


class TestFailure:
    @pytest.mark.parametrize("status", ["failed", "undelivered"])
    @pytest.mark.parametrize("code", sorted({one.code for one in TABLE.rows.values() if one.is_reported}))
    def test_a_failure_of_any_code_is_on_the_record_and_counted_by_who_must_act(self, code: str, status: str):
        """Each row that a callback can carry."""
        world = answered(undelivered_action="none")

        world.report(send_id(world), status, ErrorCode=code)

        actor = TABLE.rows[code].actor
        assert state_of(world) == ("processing_error", code)
        assert {one: world.telemetry.total(METRICS[one]) for one in Actor if world.telemetry.total(METRICS[one])} == {
            actor: 1
        }

    @pytest.mark.parametrize(("fields", "code"), [({}, "UNDELIVERED"), ({"ErrorCode": "39999"}, "39999")])
    def test_a_code_that_nobody_knows_is_a_failure_too(self, fields: dict[str, str], code: str):
        """It is named, and never a reason to send again."""
        world = answered()

        world.report(send_id(world), "undelivered", **fields)
        world.run(60)

        assert state_of(world) == ("processing_error", code)
        assert world.telemetry.total(Metric.UNDELIVERED_UNKNOWN) == 1
        assert world.phone.texts == ["an answer"]

    def test_a_failure_that_is_reported_twice_is_counted_once(self):
        """Twilio repeats a callback that it takes for lost."""
        world = answered()

        for _ in range(2):
            world.report(send_id(world), "undelivered", ErrorCode=UNSAFE)

        assert world.telemetry.total(Metric.UNDELIVERED_CUSTOMER) == 1

    def test_a_failure_proves_that_a_send_in_doubt_was_taken(self):
        """The reply had ended as unknown; it was taken, and not delivered."""
        world = World(None, row())
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [InDoubt()]
        world.run(300)
        (part,) = world.sends

        world.report(part["send_id"], "undelivered", ErrorCode=UNSAFE)

        assert state_of(world) == ("processing_error", UNSAFE)

    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_ANSWER, Fault.UNREACHABLE, Fault.MISCONFIGURED])
    def test_a_report_whose_errand_cannot_be_queued_queues_it_when_it_comes_again(self, fault: Fault):
        """The fault is logged, the record is marked, and a repeated report does the rest."""
        world = answered()
        report = lambda: world.report(send_id(world), "undelivered", ErrorCode=SAFE)  # noqa: E731 - said twice below
        calls = len(world.plan.calls)
        report()
        number = next(
            at for at, call in enumerate(world.plan.calls[calls:], start=1) if call.operation == "SendMessage"
        )
        world.queues.replies.messages.clear()
        world.plan.faults = {len(world.plan.calls) + number + 1: fault}

        first, second = report(), report()

        assert (first.status_code, second.status_code) != (204, 204)
        assert "failed" in world.telemetry.steps()
        assert state_of(world) == ("processing_error", SAFE)
        world.run(60)
        assert world.phone.texts == ["an answer", "an answer"]


class TestResending:
    def test_a_message_that_reached_nobody_is_sent_once_more(self):
        """The record keeps one entry, and says again that the batch was answered."""
        world = answered()
        entries = world.row["messages"]

        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.run(60)

        first, second = (part for _, part, _ in world.phone.received)
        assert (first.body, first.to, first.sender) == (second.body, second.to, second.sender)
        assert first.send_id != second.send_id
        assert world.row["messages"] == entries
        assert state_of(world) == ("ai_response_sent", None)
        assert world.telemetry.total(Metric.RESENT) == 1

    def test_a_message_that_fails_again_is_not_sent_a_third_time(self):
        """Once, whatever the second failure is."""
        world = answered()
        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.run(60)

        world.report(send_id(world, 1), "undelivered", ErrorCode=SAFE)
        world.run(60)

        assert len(world.phone.received) == 2
        assert state_of(world) == ("processing_error", SAFE)

    def test_an_errand_that_comes_twice_sends_once(self):
        """And a report that is repeated after the resend does not mark the record again."""
        world = answered()
        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.queues.replies.inject(Undelivered(send_id(world)).body, group="acme")
        world.run(60)

        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.run(60)

        assert len(world.phone.received) == 2
        assert state_of(world) == ("ai_response_sent", None)

    @pytest.mark.parametrize("code", sorted({one.code for one in TABLE.rows.values() if one.is_reported}))
    def test_only_codes_that_are_safe_are_sent_again(self, code: str):
        """What a carrier or a channel may have had in its hands is not."""
        world = answered()

        world.report(send_id(world), "undelivered", ErrorCode=code)
        world.run(60)

        assert (len(world.phone.received) == 2) is TABLE.rows[code].may_be_resent

    @pytest.mark.parametrize("policy", [{"undelivered_action": "none"}, {"undelivered_action": "sometimes"}])
    def test_without_the_policy_a_failure_is_only_reported(self, policy: dict):
        """`none` is the default; a value that cannot be read is ignored."""
        world = answered(**policy)

        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.run(60)

        assert world.phone.texts == ["an answer"]
        assert state_of(world) == ("processing_error", SAFE)

    def test_a_reply_that_is_no_longer_the_last_word_is_not_sent_again(self):
        """The customer has written since, and has the next answer."""
        world = answered()
        first = send_id(world)
        world.reply(world.burst_with_ai("next"), "the next answer")
        world.send_replies()

        world.report(first, "undelivered", ErrorCode=SAFE)
        world.run(60)

        assert world.phone.texts == ["an answer", "the next answer"]
        assert state_of(world) == ("ai_response_sent", None)

    def test_a_customer_who_opted_out_since_is_not_written_to(self):
        """The opt-out is read before the send."""
        world = answered()
        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.tables.conversations.seed({**world.row, "opted_out_channels": ["whatsapp"]})

        world.run(60)

        assert world.phone.texts == ["an answer"]

    def test_one_part_of_several_is_sent_again_and_another_failed_one_stays_on_the_record(self):
        """The reply counts as answered only when none of its parts is undelivered."""
        world = answered(TWO_PARTS)
        world.report(send_id(world, 0), "undelivered", ErrorCode=UNSAFE)
        world.report(send_id(world, 1), "undelivered", ErrorCode=SAFE)

        world.run(60)

        assert world.phone.texts[2:] == world.phone.texts[1:2]
        assert world.row["conversation_status"] == "processing_error"

    def test_a_reply_all_of_whose_failed_parts_were_sent_again_counts_as_answered(self):
        """Whichever errand comes last clears the record."""
        world = answered(TWO_PARTS)
        for number in range(2):
            world.report(send_id(world, number), "undelivered", ErrorCode=SAFE)

        world.run(60)

        assert sorted(world.phone.texts[2:]) == sorted(world.phone.texts[:2])
        assert state_of(world) == ("ai_response_sent", None)

    def test_a_reply_of_people_is_sent_again_too(self):
        """It is the last word as long as nothing follows it."""
        world = World(None, row())
        world.deliver("one")
        world.run(60)
        reply = {**KEY.item, "version": "1.0", "source": "human", "reply_id": "r-1", "body": "a person says"}
        world.queues.human_replies.inject(json.dumps(reply), group="acme")
        world.run(30)

        world.report(send_id(world, len(world.phone.received) - 1), "undelivered", ErrorCode=SAFE)
        world.run(60)

        assert world.phone.texts[-2:] == ["a person says", "a person says"]

    def test_a_template_is_sent_again_with_its_variables(self):
        """The part's row keeps them."""
        world = World(None, row())
        world.reply(world.burst_with_ai(), "", content_sid="HX1", content_variables={"1": "Tom"})
        world.send_replies()

        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.run(60)

        first, second = (part for _, part, _ in world.phone.received)
        assert (second.content_sid, second.content_variables) == (first.content_sid, first.content_variables)
        assert second.content_variables == {"1": "Tom"}

    def test_a_second_send_that_is_refused_ends_there(self):
        """The record keeps the failure of the first."""
        world = answered()
        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.phone.outcomes = [PermanentFailure("21211")]

        world.run(60)

        assert state_of(world) == ("processing_error", SAFE)
        assert "not_resent" in world.telemetry.steps()

    def test_a_busy_provider_is_waited_for(self):
        """The errand comes again, like a reply."""
        world = answered()
        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.phone.outcomes = [TemporaryFailure("20429", 20)]

        world.run(120)

        assert world.phone.texts == ["an answer", "an answer"]

    def test_a_second_send_whose_answer_is_lost_is_looked_up(self):
        """It is in the list beside the first one, whose sid the record has."""
        world = answered()
        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        number = next(
            at
            for at, call in enumerate(_calls_of_a_resend(), start=1)
            if (call.operation, call.resource) == ("CreateMessage", "twilio")
        )
        world.plan.faults = {len(world.plan.calls) + number: Fault.LOST_ANSWER}

        world.run(300)

        assert world.phone.texts == ["an answer", "an answer"]
        assert state_of(world) == ("ai_response_sent", None)

    def test_an_errand_that_never_succeeds_is_dead_lettered(self):
        """With the reason, and redrivable."""
        world = answered()
        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.phone.outcomes = [TemporaryFailure("20003", is_ours_to_mend=True)] * 40

        world.run(20_000, step=60)

        (dead,) = world.queues.dead_replies.messages
        errand = Undelivered.from_body(dead.body)
        assert errand is not None
        assert (errand.send_id, errand.attempt) == (send_id(world), 0)

    def test_another_company_s_errand_is_dead_lettered(self):
        """Its message group is not the company of the part."""
        world = answered()
        world.report(send_id(world), "undelivered", ErrorCode=SAFE)
        world.queues.replies.messages.clear()
        world.queues.replies.inject(Undelivered(send_id(world)).body, group="globex")

        world.run(30)

        (dead,) = world.queues.dead_replies.messages
        assert dead.attributes["reason"] == ReplyCode.OTHER_COMPANY
        assert world.phone.texts == ["an answer"]

    @pytest.mark.parametrize("named", ["0" * 40, "delivered"])
    def test_an_errand_about_nothing_does_nothing(self, named: str):
        """The queue is shared: who writes to it can choose nothing."""
        world = answered()
        if named == "delivered":
            named = send_id(world)
            world.report(named, "delivered")
        world.queues.replies.inject(Undelivered(named).body, group="acme")

        world.run(30)

        assert world.phone.texts == ["an answer"]
        assert not world.queues.dead_replies.messages

    def test_an_errand_whose_id_is_malformed_is_dead_lettered(self):
        """It is no message of ours."""
        world = answered()
        world.queues.replies.inject(Undelivered("x").body, group="acme")

        world.run(30)

        assert len(world.queues.dead_replies.messages) == 1


class TestStatusCallbacks:
    def test_a_company_may_do_without_reports(self):
        """The provider is not asked for them."""
        world = answered(status_callbacks=False)

        ((_, part, _),) = world.phone.received
        assert part.status_callback is None

    def test_reports_stay_on_while_a_company_acts_on_them(self):
        """A policy that contradicts another is not applied, and warned of."""
        world = answered(status_callbacks=False, undelivered_action="resend")

        ((_, part, _),) = world.phone.received
        assert part.status_callback is not None
        assert "policy_not_applied" in world.telemetry.steps()


def _calls_of_a_resend() -> list[Any]:
    """The calls that one errand makes."""
    world = answered()
    world.report(send_id(world), "undelivered", ErrorCode=SAFE)
    before = len(world.plan.calls)
    world.send_replies()
    return world.plan.calls[before:]


def _cases() -> list[Any]:
    return [
        pytest.param(number, fault, id=f"call {number} {call.operation} {call.resource}: {fault}")
        for number, call in enumerate(_calls_of_a_resend(), start=1)
        for fault in faults_for(call)
    ]


@pytest.mark.parametrize(("number", "fault"), _cases())
def test_whatever_happens_to_a_call_of_an_errand_the_message_is_sent_once_more_at_most(number: int, fault: Fault):
    """And exactly once where no outcome is unknown."""
    world = answered()
    world.report(send_id(world), "undelivered", ErrorCode=SAFE)
    world.plan.faults = {len(world.plan.calls) + number: fault}

    world.run(900, step=5)

    again = world.tables.sends.get({send_rows.SEND_ID: send_rows.resend_id(send_id(world))})
    assert len(world.phone.received) <= 2
    assert again is not None
    assert again["send_state"] in ("sent", "refused")
    assert (again["send_state"] == "sent") is (len(world.phone.received) == 2)
    assert state_of(world) == (
        ("ai_response_sent", None) if again["send_state"] == "sent" else ("processing_error", SAFE)
    )
