"""Each metric is counted at its event, under a bounded set of words, and stands on its page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from chalicelib import wiring
from chalicelib.channels.sender import InDoubt, PermanentFailure, TemporaryFailure
from chalicelib.conversations.routing import Route
from chalicelib.errors import Code
from chalicelib.messages.inbound import OptOut
from chalicelib.protocol.sends import _RANKS
from chalicelib.settings import Settings
from chalicelib.telemetry import Metric
from chalicelib.telemetry.metrics import CHANNELS, MEASURES, NONE, OTHER, bounded_channel, bounded_outcome
from chalicelib.telemetry.writer import CloudWatch
from chalicelib.unknown_senders.policy import Notification
from tests.email_world import EmailWorld
from tests.emails import Email
from tests.fakes.faults import Fault
from tests.world import Taken, World, conversation, email_conversation

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"

Count = tuple[float, str, str]
"""A value under its channel and outcome."""

EVENTS: dict[Metric, tuple[Callable[[], World], Count]] = {}
"""What brings each metric about, and what is counted then."""


def event(metric: Metric, value: float, channel: str, outcome: str = NONE) -> Callable[..., Callable[[], World]]:
    def keep(act: Callable[[], World]) -> Callable[[], World]:
        assert metric not in EVENTS, "one event shows it"
        EVENTS[metric] = act, (value, channel, outcome)
        return act

    return keep


@event(Metric.RECEIPT_TO_REPLY, 11, "whatsapp")
@event(Metric.REPLY_SENT, 1, "whatsapp")
@event(Metric.RECEIPT_TO_DISPATCH, 11, "whatsapp")
@event(Metric.WINDOW_WAIT, 11, "whatsapp")
@event(Metric.DISPATCHED, 1, "whatsapp")
@event(Metric.STAGED, 1, "whatsapp", "channel")
@event(Metric.RECEIVED, 1, "whatsapp")
def a_message_is_answered() -> World:
    world = World()
    world.reply(world.burst_with_ai(), "an answer")
    world.send_replies()
    return world


@event(Metric.NO_REPLY, 1, NONE)
def the_ai_has_nothing_to_say() -> World:
    world = World()
    world.turn(world.burst_with_ai(), action="none")
    world.send_replies()
    return world


@event(Metric.BATCH_SIZE, 2, "whatsapp")
def two_messages_are_one_batch() -> World:
    world = World()
    world.burst_with_ai("one", "two")
    return world


@event(Metric.DUPLICATE, 1, "whatsapp", "staged")
def the_provider_tells_of_a_message_twice() -> World:
    world = World()
    world.deliver(sid=world.deliver())
    return world


@event(Metric.SECRET_FAILURE, 1, "whatsapp", "MISSING_CREDENTIAL_CONFIG")
@event(Metric.OWN_FAULT, 1, "whatsapp", "MISSING_CREDENTIAL_CONFIG")
def a_company_has_no_secret() -> World:
    world = World(None, conversation(channel_config={}))
    world.deliver()
    return world


@event(Metric.INVALID_SIGNATURE, 1, "whatsapp", "INVALID_SIGNATURE")
def a_forger_calls() -> World:
    world = World()
    world.post(world.form(), token="of-a-forger")
    return world


@event(Metric.UNKNOWN_SENDER, 1, "whatsapp", "sent")
def a_stranger_writes() -> World:
    world = World()
    world.deliver(From="whatsapp:+4999")
    return world


@event(Metric.FALLBACK_NOT_SENT, 1, "email", "NO_RECIPIENT")
def a_stranger_cannot_be_reached() -> World:
    world = EmailWorld()
    world.mail()
    world.phone.outcomes = [PermanentFailure("NO_RECIPIENT")]
    world.send_replies()
    return world


@event(Metric.AUTOMATIC_MESSAGE, 1, "email", "AUTOMATIC_MESSAGE")
def a_holiday_notice_comes() -> World:
    world = World(None, email_conversation())
    world.post_email(Email(headers={"Auto-Submitted": "auto-replied"}))
    return world


@event(Metric.UNAUTHENTICATED_EMAIL, 1, "email", "SENDER_NOT_AUTHENTICATED")
def somebody_writes_in_a_customer_s_name() -> World:
    world = World(None, email_conversation(), unauthenticated_email="failed=refuse")
    world.post_email(Email(spf="softfail", dkim="none"))
    return world


@event(Metric.ANSWERED, 1, "whatsapp", "PROJECT_INACTIVE")
@event(Metric.REFUSED, 1, "whatsapp", "PROJECT_INACTIVE")
def a_project_is_closed() -> World:
    world = World(None, conversation(project_status="closed"))
    world.deliver()
    return world


@event(Metric.OPT_OUT, 1, "whatsapp", "STOP")
def a_customer_says_stop() -> World:
    world = World()
    world.deliver("STOP", OptOutType="STOP")
    world.work()
    return world


@event(Metric.ANSWERS_MAX_REACHED, 1, "email")
def a_machine_is_answered_no_more() -> World:
    world = World(None, email_conversation(), automatic_answers_per_hour="0")
    world.post_email(Email())
    return world


@event(Metric.HANDED_OFF, 1, "whatsapp")
def a_message_goes_to_people() -> World:
    world = World(None, conversation(auto_queue_reply_message=True))
    world.deliver()
    return world


@event(Metric.RESTARTED, 1, "whatsapp")
def a_customer_adds_something_while_the_ai_thinks() -> World:
    world = World(on_new_message="restart")
    world.burst_with_ai()
    world.deliver()
    world.clock.advance(11)
    world.work()
    return world


@event(Metric.CONTENTION, 1, "whatsapp")
def a_customer_writes_while_the_ai_thinks() -> World:
    world = World()
    world.burst_with_ai()
    world.deliver()
    world.clock.advance(11)
    world.work()
    return world


@event(Metric.FAULT, 1, "whatsapp", "DB_TRANSIENT_ERROR")
@event(Metric.REQUEUED, 1, "whatsapp", "DB_TRANSIENT_ERROR")
def a_trigger_meets_a_throttled_table() -> World:
    world = World()
    world.deliver()
    world.clock.advance(11)
    world.plan.faults[len(world.plan.calls) + 1] = Fault.THROTTLED
    world.work()
    return world


@event(Metric.DEAD_LETTER, 1, "whatsapp")
def a_message_is_no_trigger() -> World:
    world = World()
    world.invoke("whatsapp", ["no trigger"])
    return world


@event(Metric.STALL_RESET, 1, NONE, "warn")
def an_ai_does_not_answer() -> World:
    world = World()
    world.burst_with_ai()
    world.clock.advance(301)
    world.sweep()
    return world


@event(Metric.ORPHAN_RECOVERED, 1, "whatsapp")
def a_trigger_is_lost() -> World:
    world = World()
    world.deliver()
    world.queues.triggers["whatsapp"].messages.clear()
    world.clock.advance(91)
    world.sweep()
    return world


@event(Metric.REPLY_REFUSED, 1, NONE, "SECOND_REPLY")
def an_ai_answers_twice() -> World:
    world = World()
    document = world.burst_with_ai()
    world.reply(document, "an answer")
    world.send_replies()
    world.reply(document, "another")
    world.send_replies()
    return world


@event(Metric.REPLY_RETRIED, 1, "whatsapp", "IN_DOUBT")
def an_answer_of_the_provider_is_lost() -> World:
    world = World()
    world.reply(world.burst_with_ai(), "an answer")
    world.phone.outcomes = [InDoubt()]
    world.send_replies()
    return world


@event(Metric.REPLY_UNKNOWN, 1, "whatsapp", "UNKNOWN_OUTCOME")
def nothing_proves_a_reply() -> World:
    world = an_answer_of_the_provider_is_lost()
    world.clock.advance(61)
    world.send_replies()
    return world


@event(Metric.DELIVERY, 1, "whatsapp", "delivered")
def a_report_tells_of_a_delivery() -> World:
    world = a_message_is_answered()
    world.report(world.sends[0]["send_id"], "delivered")
    return world


@event(Metric.ACCOUNT_FAULT, 1, "whatsapp")
def an_account_is_suspended() -> World:
    world = World()
    world.reply(world.burst_with_ai(), "an answer")
    world.phone.outcomes = [TemporaryFailure("20005", is_ours_to_mend=True)]
    world.send_replies()
    return world


def _undelivered(code: str) -> World:
    world = a_message_is_answered()
    world.report(world.sends[0]["send_id"], "undelivered", ErrorCode=code)
    return world


@event(Metric.UNDELIVERED_CUSTOMER, 1, "whatsapp", "undelivered")
def a_handset_is_off() -> World:
    return _undelivered("30003")


@event(Metric.UNDELIVERED_WRITER, 1, "whatsapp", "undelivered")
def a_text_is_filtered() -> World:
    return _undelivered("30007")


@event(Metric.UNDELIVERED_OPERATOR, 1, "whatsapp", "undelivered")
def a_number_is_not_registered() -> World:
    return _undelivered("30034")


@event(Metric.UNDELIVERED_PROVIDER, 1, "whatsapp", "undelivered")
def a_queue_was_full() -> World:
    return _undelivered("30001")


@event(Metric.UNDELIVERED_UNKNOWN, 1, "whatsapp", "undelivered")
def a_code_is_in_no_table() -> World:
    return _undelivered("39999")


@event(Metric.RESENT, 1, "whatsapp", "sent")
def a_message_is_sent_once_more() -> World:
    world = World(undelivered_action="resend")
    world.reply(world.burst_with_ai(), "an answer")
    world.send_replies()
    world.report(world.sends[0]["send_id"], "undelivered", ErrorCode="30001")
    world.send_replies()
    return world


@event(Metric.MEDIA_COPIED, 1, "whatsapp", "copied")
def a_picture_is_copied() -> World:
    world = World(media_copying="true")
    world.deliver(**world.with_media((b"x", "image/png")))
    world.clock.advance(11)
    world.work()
    return world


@event(Metric.UNKNOWN_SEND, 1, NONE)
def a_report_is_about_nothing() -> World:
    world = World()
    world.report("0" * 40, "delivered")
    return world


def told(metric: Metric) -> str:
    """The words of a metric's outcome, as the page has them."""
    measure = MEASURES[metric]
    codes = frozenset(code.value for code in Code)
    words = ["a code"] if codes <= measure.outcomes else []
    words += [f"`{word}`" for word in sorted(measure.outcomes - (codes if words else set()))]
    return ", ".join([*words, *([f"`{OTHER}`"] if measure.of_provider else [])]) or f"`{NONE}`"


class TestEvents:
    @pytest.mark.parametrize("metric", list(Metric))
    def test_a_metric_is_counted_at_its_event(self, metric: Metric):
        """Once, with its value, under its channel and outcome."""
        act, expected = EVENTS[metric]

        world = act()

        assert [tuple(one) for name, *one in world.telemetry.counts if name == metric.value] == [expected]

    def test_an_ordinary_message_counts_nothing_else(self):
        """A metric that is counted on every message is no sign of anything."""
        world = a_message_is_answered()

        counted = {name for name, *_ in world.telemetry.counts}
        assert counted == {metric.value for metric, (act, _) in EVENTS.items() if act is a_message_is_answered} | {
            "BatchSize"
        }

    def test_the_time_to_a_dispatch_that_came_again_counts_from_the_receipt(self):
        """A crash between lock and dispatch is part of what the customer waited."""
        world = World()
        world.deliver()
        world.clock.advance(11)
        world.plan.faults[len(world.plan.calls) + 5] = Fault.CRASH_BEFORE
        world.work()
        world.clock.advance(181)

        world.work()

        assert world.telemetry.total(Metric.DISPATCHED) == 1
        assert world.telemetry.total(Metric.RECEIPT_TO_DISPATCH) == 11 + 181

    def test_a_batch_of_carried_messages_alone_tells_no_time_to_dispatch(self):
        """They were dispatched before, and that time is told."""
        world = World()
        world.burst_with_ai("carried")
        world.clock.advance(301)
        world.sweep()
        world.deliver("new")
        world.clock.advance(12)

        world.work()

        assert [value for name, value, *_ in world.telemetry.counts if name == "ReceiptToDispatch"] == [11, 12]
        assert [value for name, value, *_ in world.telemetry.counts if name == "BatchSize"] == [1, 2]

    def test_a_reply_that_is_not_sent_tells_no_time_to_reply(self):
        """Only what reached the customer is an answer."""
        world = an_answer_of_the_provider_is_lost()

        assert world.telemetry.total(Metric.RECEIPT_TO_REPLY) == 0

    def test_the_time_to_reply_is_told_with_the_last_part(self, capsys: pytest.CaptureFixture[str]):
        """Both are known at that moment. Each part before is told as soon as it is sent."""
        world = World()
        world.reply(world.burst_with_ai(), "word " * 500)
        vars(world.engine)["telemetry"] = CloudWatch("dev", "ERROR")

        world.send_replies()

        told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(world.phone.texts) == 2
        assert [(one["ReplySent"], one.get("ReceiptToReply")) for one in told] == [(1, None), (1, 11.0)]

    def test_a_part_that_the_provider_s_list_proves_tells_the_time_to_reply_alone(self):
        """It is not counted as accepted, because the answer that accepted it was lost."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [Taken(InDoubt(is_server_error=True))]

        world.run(400)

        assert world.phone.texts == ["an answer"]
        assert [name for name, *_ in world.telemetry.counts if name in {"ReplySent", "ReceiptToReply"}] == [
            "ReceiptToReply"
        ]

    def test_an_interim_message_tells_no_time_to_reply(self):
        """The turn goes on."""
        world = World()
        document = world.burst_with_ai()
        world.turn(document, body="one moment", final=False)

        world.send_replies()

        assert world.telemetry.total(Metric.REPLY_SENT) == 1
        assert world.telemetry.total(Metric.RECEIPT_TO_REPLY) == 0

    @pytest.mark.parametrize(
        ("code", "is_ours"),
        [("closed", False), ("transient", False), ("misconfigured", True)],
    )
    def test_only_what_we_drop_is_a_fault_of_ours(self, code: str, is_ours: bool):
        """A refusal is the tenant's wish, and what is tried again is not dropped."""
        world = World(None, conversation(project_status="closed" if code == "closed" else "active"))
        faults = {"transient": Fault.THROTTLED, "misconfigured": Fault.MISCONFIGURED}
        if code in faults:
            world.plan.faults[1] = faults[code]

        world.post(world.form())

        assert world.telemetry.total(Metric.OWN_FAULT) == is_ours


class TestBounds:
    def test_every_metric_has_one_measure(self):
        """What is counted is explained."""
        assert set(MEASURES) == set(Metric)

    def test_the_words_are_those_of_the_code(self):
        """The list of outcomes follows what the code tells."""
        actions = get_args(get_type_hints(Settings)["stall_action"])

        assert MEASURES[Metric.STAGED].outcomes == {*Route, "opt_out"}
        assert MEASURES[Metric.OPT_OUT].outcomes == set(OptOut)
        assert MEASURES[Metric.UNKNOWN_SENDER].outcomes == set(Notification)
        assert MEASURES[Metric.DELIVERY].outcomes == set(_RANKS)
        assert MEASURES[Metric.STALL_RESET].outcomes == set(actions)

    def test_the_channels_are_those_of_the_engine(self, monkeypatch: pytest.MonkeyPatch):
        """Each whose triggers we consume."""
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        engine = wiring.Engine()
        vars(engine)["settings"] = World().settings

        assert {*engine.queues.triggers, NONE} == CHANNELS

    def test_a_code_of_the_provider_counts_as_other(self):
        """Twilio has hundreds, and each would be a metric to pay for; the line tells the code."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [TemporaryFailure("20429")]
        world.send_replies()

        (outcome,) = [outcome for name, _, _, outcome in world.telemetry.counts if name == "ReplyRetried"]

        assert outcome == "20429"
        assert bounded_outcome(Metric.REPLY_RETRIED, outcome) == OTHER
        assert [line["reason"] for line in world.telemetry.lines if line["step"] == "requeued"] == ["20429"]

    @pytest.mark.parametrize("metric", list(Metric))
    def test_no_word_of_a_stranger_becomes_a_dimension(self, metric: Metric):
        """Whatever a row or a provider says."""
        assert bounded_outcome(metric, "+4915112345678") == OTHER
        assert bounded_channel("+4915112345678") == OTHER


class TestPage:
    def test_the_page_has_every_metric_word_for_word(self):
        """Unit, outcomes and meaning are those of the code."""
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)

        assert rows == [
            (metric.value, MEASURES[metric].unit.value, told(metric), MEASURES[metric].note) for metric in Metric
        ]
