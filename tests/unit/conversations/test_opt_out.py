"""Opting out: STOP, START and HELP, said by Twilio or, where a company's policy has it so, by its default keywords."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.opt_out import pending
from chalicelib.conversations.views import View
from chalicelib.messages.inbound import OptOut
from chalicelib.protocol.staging import StagedMessage
from chalicelib.telemetry import Metric
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.world import COMPANY, CUSTOMER, KEY, SECRET_REF, World, conversation

SMS = {"From": CUSTOMER, "To": COMPANY}
TOLL_FREE, SHORT_CODE = "+18885550100", "72345"


def with_keywords(number: str = COMPANY, **changes: Any) -> World:
    """A company whose service has no Advanced Opt-Out."""
    config = {
        "whatsapp": {"credential_ref": SECRET_REF},
        "sms": {"credential_ref": SECRET_REF, "policy": {"opt_out_keywords": "default"}},
    }
    return World(None, conversation(channel_config=config, gsi_company_sms_number=number, **changes))


def is_stopped(world: World, channel: str) -> bool:
    return channel in world.row.get("opted_out_channels", ())


class TestStop:
    @pytest.mark.parametrize("channel", ["whatsapp", "sms"])
    def test_stop_marks_its_channel_and_nothing_of_it_reaches_the_ai(self, channel: str):
        """The entry is kept, nothing is staged or triggered, and the answer is empty TwiML."""
        world = World()

        world.deliver("Stop ", OptOutType="STOP", **(SMS if channel == "sms" else {}))
        world.run(120)

        assert world.row["opted_out_channels"] == [channel]
        assert world.row["messages"][-1]["opt_out"] == "STOP"
        assert not world.batches
        assert not world.staged_ids
        assert world.answers[-1].status_code == 200
        assert "<Message>" not in world.answers[-1].body
        assert world.telemetry.total(Metric.OPT_OUT) == 1

    def test_a_stop_by_sms_stops_sms_alone(self):
        """As at Twilio: the customer still writes and is answered by WhatsApp."""
        world = World()
        world.deliver("STOP", OptOutType="STOP", **SMS)

        world.deliver("hello")
        world.run(60)

        assert [len(ids) for ids in world.batches.values()] == [1]
        assert [part.to for _, part, _ in world.phone.received] == [f"whatsapp:{CUSTOMER}"]

    def test_a_stop_on_a_second_channel_leaves_the_first_mark(self):
        """O1: the marks are written as they were read, with one more."""
        world = World()

        world.deliver("STOP", OptOutType="STOP", **SMS)
        world.deliver("STOP", OptOutType="STOP")

        assert world.row["opted_out_channels"] == ["sms", "whatsapp"]

    def test_what_was_staged_before_the_stop_does_not_reach_the_ai(self):
        """It is refused with the code, and kept in the record before the STOP."""
        world = World()
        world.deliver("one")

        world.deliver("STOP", OptOutType="STOP")
        world.run(120)

        assert not world.batches
        assert [entry.get("refused") for entry in world.row["messages"]] == ["OPTED_OUT", None]
        assert world.is_at_rest

    def test_a_retry_of_a_stop_whose_answer_was_lost_is_kept_once(self):
        """The mark and the entry are one conditional update; the retry finds the entry there."""
        world = World()
        world.plan.faults = {5: Fault.CRASH_AFTER}

        world.deliver("STOP", OptOutType="STOP")

        assert is_stopped(world, "whatsapp")
        assert len(world.row["messages"]) == 1


class TestAfterwards:
    def test_what_an_opted_out_customer_writes_is_kept_marked_and_goes_to_nobody(self):
        """`OPTED_OUT`: answered with empty TwiML, in the record, with neither the AI nor people."""
        world = World(None, conversation(opted_out_channels=["whatsapp"], auto_queue_reply_message=True))

        sid = world.deliver("hello")
        world.run(120)

        (entry,) = world.row["messages"]
        assert (entry["message_id"], entry["content"], entry["refused"]) == (sid, "hello", "OPTED_OUT")
        assert not world.batches
        assert not world.with_people
        assert [line["outcome"] for line in world.telemetry.lines if line["step"] == "answered_provider"] == [
            "OPTED_OUT"
        ]

    def test_its_retry_is_kept_once(self):
        """Twilio posts it again where our answer was lost."""
        world = World(None, conversation(opted_out_channels=["whatsapp"]))
        form = world.form()

        world.post(form)
        world.post(form)
        world.run(60)

        assert len(world.row["messages"]) == 1

    def test_a_record_that_is_full_takes_it_all_the_same(self):
        """It goes to nobody, but nothing that was acknowledged is dropped."""
        old = [
            {
                "message_id": f"old-{number}",
                "direction": "INBOUND",
                "content": "x" * 8_000,
                "timestamp": "2020-01-01T00:00:00+00:00",
            }
            for number in range(41)
        ]
        world = World(None, conversation(opted_out_channels=["whatsapp"], messages=old))

        sid = world.deliver("hello")
        world.run(60)

        assert world.entry_ids[-1] == sid

    def test_a_mark_of_the_whole_record_stops_every_channel(self):
        """O2: rows from before the marks belonged to channels."""
        world = World(None, conversation(opted_out=True))

        world.deliver("hello")
        world.deliver("hello", **SMS)
        world.run(60)

        assert [entry["refused"] for entry in world.row["messages"]] == ["OPTED_OUT", "OPTED_OUT"]


class TestStart:
    @pytest.mark.parametrize("marks", [{"opted_out": True}, {"opted_out_channels": ["whatsapp"]}])
    def test_start_clears_the_mark_and_the_next_message_is_batched(self, marks: dict[str, Any]):
        """START itself is kept and is not for the AI."""
        world = World(None, conversation(**marks))

        world.deliver("START", OptOutType="START")
        world.deliver("hello again")
        world.run(60)

        assert world.row.get("opted_out", False) is False
        assert world.row["opted_out_channels"] == []
        assert [len(ids) for ids in world.batches.values()] == [1]
        assert world.row["messages"][0]["opt_out"] == "START"

    def test_a_start_by_sms_restores_sms_alone(self):
        """As at Twilio."""
        world = World(None, conversation(opted_out_channels=["sms", "whatsapp"]))

        world.deliver("START", OptOutType="START", **SMS)

        assert world.row["opted_out_channels"] == ["whatsapp"]

    @pytest.mark.parametrize("parameters", [{"OptOutType": "START"}, {**SMS, "OptOutType": "START"}])
    def test_a_yes_that_twilio_reports_as_start_is_an_answer_unless_the_customer_is_opted_out(self, parameters):
        """Twilio reports it of everybody; to all but who is opted out "yes" answers a question."""
        world = World()

        world.deliver("Yes", **parameters)
        world.run(60)

        (document,) = world.batches.values()
        assert len(document) == 1
        assert world.row["messages"][0]["extras"]["opt_out_type"] == "START"

    def test_a_start_of_who_opted_out_on_another_channel_is_an_answer(self):
        """There is nothing to restore on this one."""
        world = World(None, conversation(opted_out_channels=["sms"]))

        world.deliver("Yes", OptOutType="START")

        assert len(world.staged_ids) == 1


def test_help_is_recorded_and_left_to_twilio():
    """Twilio has answered it already: no batch, no mark."""
    world = World()

    world.deliver("HELP", OptOutType="HELP")
    world.run(60)

    assert world.row["messages"][-1]["opt_out"] == "HELP"
    assert "opted_out_channels" not in world.row
    assert not world.batches


class TestKeywords:
    @pytest.mark.parametrize("body", ["STOP", "start", "Cancel"])
    def test_without_a_policy_a_keyword_is_a_message(self, body: str):
        """With Advanced Opt-Out the keywords are the service's own, and Twilio says which they are."""
        world = World()

        world.deliver(body, **SMS)

        assert len(world.staged_ids) == 1
        assert "opted_out_channels" not in world.row

    @pytest.mark.parametrize("body", ["STOP", "stopall", "Unsubscribe", "CANCEL", "END", "QUIT", "REVOKE", " optout "])
    def test_with_the_policy_twilio_s_defaults_count(self, body: str):
        """Those of long codes, as they are today."""
        world = with_keywords()

        world.deliver(body, **SMS)

        assert is_stopped(world, "sms")

    @pytest.mark.parametrize("body", ["STOP it", "please stop", "stopp", "cancel my order", "Yes"])
    def test_only_a_whole_keyword_counts_and_yes_only_from_who_is_opted_out(self, body: str):
        """A sentence with one in it is a message."""
        world = with_keywords()

        world.deliver(body, **SMS)

        assert len(world.staged_ids) == 1

    @pytest.mark.parametrize(
        ("number", "body", "is_stop"),
        [
            (TOLL_FREE, "STOP", True),
            (TOLL_FREE, "CANCEL", False),
            (TOLL_FREE, "REVOKE", False),
            (SHORT_CODE, "CANCEL", True),
            (SHORT_CODE, "REVOKE", False),
            (COMPANY, "REVOKE", True),
        ],
    )
    def test_they_differ_by_the_kind_of_the_company_s_number(self, number: str, body: str, is_stop: bool):
        """The network has its own for toll-free numbers; short codes have the first ones."""
        world = with_keywords(number)

        world.deliver(body, From=CUSTOMER, To=number)

        assert is_stopped(world, "sms") is is_stop

    @pytest.mark.parametrize(
        ("number", "body", "is_start"), [(TOLL_FREE, "YES", False), (TOLL_FREE, "UNSTOP", True), (COMPANY, "YES", True)]
    )
    def test_a_toll_free_number_is_restored_by_start_and_unstop_alone(self, number: str, body: str, is_start: bool):
        """A "yes" leaves the network's block where it is."""
        world = with_keywords(number, opted_out_channels=["sms"])

        world.deliver(body, From=CUSTOMER, To=number)

        assert is_stopped(world, "sms") is not is_start

    @pytest.mark.parametrize("told", ["HELP", "FUTURE"])
    def test_what_twilio_says_itself_alone_decides(self, told: str):
        """Also where the text is a default keyword, and where we do not know the word."""
        world = with_keywords()

        world.deliver("STOP", OptOutType=told, **SMS)

        assert not is_stopped(world, "sms")

    def test_the_setting_is_the_default_of_the_policy(self):
        """A company's own policy wins."""
        by_setting = World(None, conversation(), opt_out_keywords="default")
        config = {"sms": {"credential_ref": SECRET_REF, "policy": {"opt_out_keywords": "none"}}}
        by_policy = World(None, conversation(channel_config=config), opt_out_keywords="default")

        for world in (by_setting, by_policy):
            world.deliver("STOP", **SMS)

        assert (is_stopped(by_setting, "sms"), is_stopped(by_policy, "sms")) == (True, False)

    def test_a_keyword_on_whatsapp_is_a_message(self):
        """Only SMS has default keywords."""
        world = with_keywords()

        world.deliver("STOP")

        assert len(world.staged_ids) == 1


def row(sid: str, opt_out: str | None = None, keyword: str | None = None) -> StagedMessage:
    return StagedMessage(KEY, sid, "sms", "acme", START, {}, opt_out=opt_out, opt_out_keyword=keyword)


STOP, START_AGAIN, HELP, HELLO = row("S", "STOP"), row("T", "START"), row("H", "HELP"), row("M")
STOP_BY_WORD, YES = row("s", keyword="STOP"), row("t", keyword="START")


@pytest.mark.parametrize(
    ("is_opted_out", "rows", "expected"),
    [
        (False, [], None),
        (False, [HELLO, HELP], None),
        (False, [HELLO, STOP, HELLO], (OptOut.STOP, STOP, [HELLO])),
        (False, [STOP_BY_WORD], (OptOut.STOP, STOP_BY_WORD, [])),
        (True, [STOP], (OptOut.STOP, STOP, [])),
        (False, [START_AGAIN], None),
        (False, [YES], None),
        (True, [HELLO, START_AGAIN], (OptOut.START, START_AGAIN, [HELLO])),
        (True, [YES], (OptOut.START, YES, [])),
        (True, [HELP, HELLO], None),
        (False, [START_AGAIN, STOP], (OptOut.STOP, STOP, [START_AGAIN])),
        (True, [START_AGAIN, STOP], (OptOut.START, START_AGAIN, [])),
    ],
)
def test_the_first_staged_message_that_changes_the_mark_is_the_one_to_do(is_opted_out: bool, rows: list, expected):
    """With what was staged before it. A START of who is not opted out, and a HELP, change nothing."""
    view = View(Conversation.from_item(conversation(opted_out_channels=["sms"] if is_opted_out else [])), rows)

    request = pending(view)

    assert (request and (request.kind, request.message, list(request.before))) == expected


@pytest.mark.parametrize("where", ["the record", "the history"])
def test_a_request_that_was_done_before_is_not_done_again(where: str):
    """H3: an old START that somebody replays is a duplicate."""
    entries, moved = ([{"message_id": "T"}], frozenset()) if where == "the record" else ([], frozenset({"T"}))
    view = View(
        Conversation.from_item(conversation(opted_out_channels=["sms"], messages=entries)), [START_AGAIN], moved
    )

    assert pending(view) is None


@pytest.mark.parametrize("is_with_the_ai", [True, False])
def test_a_stop_does_not_wait_for_what_the_record_has_no_room_for(is_with_the_ai: bool):
    """It is full of a batch, or of what was refused just now: the rest is refused once that has moved."""
    world = World()
    large = "x" * 19_500
    for _ in range(25):
        world.deliver(large)
    if is_with_the_ai:
        world.clock.advance(11)
        world.work()
    later = world.deliver(large)

    world.deliver("STOP", OptOutType="STOP")

    assert world.row["opted_out_channels"] == ["whatsapp"]
    assert later in world.staged_ids
    world.run(1_800)
    assert world.is_at_rest
    assert "failed" not in world.telemetry.steps()
