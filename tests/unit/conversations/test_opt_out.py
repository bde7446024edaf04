"""Opting out: STOP, START and HELP, said by Twilio or, where a company's policy has it so, by its default keywords."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.opt_out import unmarked_channels
from chalicelib.conversations.views import View
from chalicelib.protocol.entries import entry_bytes
from chalicelib.protocol.history import ENTRIES_BYTES_MAX
from chalicelib.protocol.staging import StagedMessage
from chalicelib.telemetry import Metric, Step
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
        """The mark is there when the webhook is answered, with empty TwiML; the entry is kept."""
        world = World()

        world.deliver("Stop ", OptOutType="STOP", **(SMS if channel == "sms" else {}))

        assert is_stopped(world, channel)
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
        """The retry finds the row, and then the entry."""
        world = World()
        world.plan.faults = {7: Fault.CRASH_AFTER}
        form = world.form("STOP", OptOutType="STOP")

        for _ in range(3):
            with world.process():
                world.post(form)
            world.run(60)

        assert is_stopped(world, "whatsapp")
        assert len(world.row["messages"]) == 1

    def test_a_stop_by_sms_keeps_its_place_behind_a_message_by_whatsapp(self):
        """I3: its mark does not wait for the batch of the other channel, and its entry does."""
        world = World()
        first = world.deliver("by WhatsApp")

        second = world.deliver("STOP", OptOutType="STOP", **SMS)

        assert is_stopped(world, "sms")
        assert world.entry_ids == []
        world.run(120)
        assert world.entry_ids == [first, second]
        assert world.answered_ids == [first]

    def test_a_stop_behind_a_batch_is_kept_beside_it(self):
        """Nothing is staged before it, so its entry need not wait until the batch is answered."""
        world = World()
        first = world.deliver("by WhatsApp")
        world.clock.advance(11)
        world.work()

        second = world.deliver("STOP", OptOutType="STOP", **SMS)
        world.work()

        assert world.entry_ids == [first, second]
        assert world.row["conversation_status"] == "processing_reply"

    def test_a_mark_that_cannot_be_written_at_once_is_written_by_the_trigger(self):
        """The message is acknowledged: it is staged, and its trigger marks the channel before it does anything else."""
        world = World()
        world.plan.faults = {call: Fault.THROTTLED for call in range(5, 30) if call != 6}

        world.deliver("STOP", OptOutType="STOP")
        world.plan.faults = {}
        world.run(300)

        assert is_stopped(world, "whatsapp")
        assert len(world.row["messages"]) == 1
        assert world.is_at_rest

    def test_a_stop_has_a_mark_of_its_own_beside_that_of_the_whole_record(self):
        """O2: a START by SMS takes off the mark of the whole record, and the customer has not started WhatsApp."""
        world = World(None, conversation(opted_out=True))

        world.deliver("STOP", OptOutType="STOP")
        world.deliver("START", OptOutType="START", **SMS)
        world.run(60)

        assert world.row["opted_out"] is False
        assert world.row["opted_out_channels"] == ["whatsapp"]


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
        world.run(60)

        assert world.row["opted_out_channels"] == ["whatsapp"]

    def test_a_start_behind_a_staged_stop_opts_the_customer_in_once_the_stop_is_kept(self):
        """Both are staged before a trigger takes them: the last word counts, and the record has both in order."""
        world = World()
        first = world.deliver("by SMS", **SMS)

        sids = [world.deliver(text, OptOutType=text, **SMS) for text in ("STOP", "START")]
        assert is_stopped(world, "sms")
        after = world.deliver("hello again", **SMS)
        world.run(120)

        assert world.entry_ids == [first, *sids, after]
        assert [one.get("refused") for one in world.row["messages"] if one["message_id"] == first] == ["OPTED_OUT"]
        assert world.row["opted_out_channels"] == []
        assert world.answered_ids == [after]

    def test_a_start_leaves_the_mark_to_a_stop_that_is_staged_behind_it(self):
        """O3: no reply finds the channel open in between."""
        world = World(None, conversation(opted_out_channels=["sms"]))
        marks: list[bool] = []
        write = world.tables.conversations.update
        for text in ("START", "STOP"):
            world.deliver(text, OptOutType=text, **SMS)

        def seen(*args: Any, **more: Any) -> Any:
            answer = write(*args, **more)
            marks.append(is_stopped(world, "sms"))
            return answer

        world.tables.conversations.update = seen  # type: ignore[method-assign]
        world.run(60)

        assert [one["opt_out"] for one in world.row["messages"]] == ["START", "STOP"]
        assert marks
        assert all(marks)

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
        world.run(60)

        assert is_stopped(world, "sms") is not is_start

    @pytest.mark.parametrize("told", ["HELP", "FUTURE"])
    def test_what_twilio_says_itself_alone_decides(self, told: str):
        """Also where the text is a default keyword, and where we do not know the word."""
        world = with_keywords()

        world.deliver("STOP", OptOutType=told, **SMS)

        assert not is_stopped(world, "sms")

    @pytest.mark.parametrize(("told", "logged"), [("future", "FUTURE"), ("+49 151 12345678", "(no word)")])
    def test_a_word_that_is_unknown_is_kept_with_the_message_and_logged(self, told: str, logged: str):
        """The message is handled like any other; a line of the log names the word, and nothing that is no word."""
        world = with_keywords()

        world.deliver("hello", OptOutType=told, **SMS)
        world.run(120)

        (line,) = (one for one in world.telemetry.lines if one["step"] == Step.OPT_OUT_UNKNOWN)
        assert line["outcome"] == logged
        assert world.row["messages"][0]["extras"]["opt_out_type"] == told
        assert len(world.batches) == 1

    def test_a_word_that_is_known_is_not_logged_as_unknown(self):
        """Neither is its absence."""
        world = with_keywords()

        for parameters in ({}, {"OptOutType": "help"}, {"OptOutType": ""}):
            world.deliver("hello", **parameters, **SMS)

        assert Step.OPT_OUT_UNKNOWN not in world.telemetry.steps()

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
STOP_BY_WORD = row("s", keyword="STOP")


@pytest.mark.parametrize(
    ("row", "rows", "expected"),
    [
        ({}, [], set()),
        ({}, [HELLO, HELP, START_AGAIN], set()),
        ({}, [HELLO, STOP, HELLO], {"sms"}),
        ({}, [STOP_BY_WORD], {"sms"}),
        ({}, [STOP, START_AGAIN], {"sms"}),
        ({"opted_out_channels": ["whatsapp"]}, [STOP], {"sms"}),
        ({"opted_out_channels": ["sms"]}, [STOP], set()),
        ({"opted_out": True}, [STOP], {"sms"}),
        ({"messages": [{"message_id": "S"}]}, [STOP], set()),
    ],
)
def test_the_channel_of_a_staged_stop_is_to_be_marked(row: dict[str, Any], rows: list[StagedMessage], expected: set):
    """O3: wherever it stands, unless the record marks its channel, or has the STOP."""
    assert unmarked_channels(View(Conversation.from_item(conversation(**row)), rows)) == expected


def test_a_stop_that_has_moved_to_the_history_is_not_marked_again():
    """H3: an old STOP that somebody replays is a duplicate."""
    view = View(Conversation.from_item(conversation()), [STOP], frozenset({"S"}))

    assert unmarked_channels(view) == set()


@pytest.mark.parametrize("where", ["the record", "the history"])
def test_an_old_start_that_somebody_replays_opts_nobody_in(where: str):
    """H3: it is a duplicate."""
    world = World(None, conversation(opted_out_channels=["whatsapp"]), messages_keep="1", dedupe_hours="0")
    form = world.form("START", OptOutType="START")
    world.post(form)
    world.run(60)
    if where == "the history":
        for _ in range(3):
            world.clock.advance(3_600)
            world.deliver("hello")
            world.run(60)
    world.deliver("STOP", OptOutType="STOP")
    world.run(60)

    world.post(form)
    world.run(60)

    assert (form["MessageSid"] in world.entry_ids) is (where == "the record")
    assert is_stopped(world, "whatsapp")
    assert world.is_at_rest


@pytest.mark.parametrize("is_with_the_ai", [True, False])
def test_a_stop_does_not_wait_for_what_the_record_has_no_room_for(is_with_the_ai: bool):
    """The mark needs no room; the entry waits until the batch is answered and entries have moved."""
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


@pytest.mark.parametrize("body", ["STOP", "hello"])
@pytest.mark.parametrize("is_with_the_ai", [True, False])
def test_an_opted_out_customer_who_keeps_writing_never_fills_a_record_beyond_its_bound(body: str, is_with_the_ai: bool):
    """Old entries move to the history before a refused message is appended, and no message is lost."""
    world = World(messages_bytes_max="262144")
    batch = [world.deliver("x" * 19_500) for _ in range(25)]
    if is_with_the_ai:
        world.clock.advance(11)
        world.work()
    else:
        world.run(900)
    said = {"OptOutType": "STOP"} if body == "STOP" else {}
    sids = [world.deliver("STOP", OptOutType="STOP")]
    bytes_most = 0

    for number in range(30):
        sids.append(world.deliver(f"{body} {number}".ljust(19_500, "."), **said))
        world.work()
        bytes_most = max(bytes_most, sum(map(entry_bytes, world.row["messages"])))
    world.run(7_200)

    assert bytes_most <= ENTRIES_BYTES_MAX
    assert world.is_at_rest
    kept = {row["message_id"] for row in world.tables.history.rows} | set(world.entry_ids)
    assert {*batch, *sids} <= kept
    assert "failed" not in world.telemetry.steps()
