"""Opting out: STOP, START and HELP, told by Twilio or, on SMS, by its keywords alone."""

from __future__ import annotations

import pytest

from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.opt_out import pending
from chalicelib.conversations.views import View
from chalicelib.messages.inbound import OptOut
from chalicelib.protocol.staging import StagedMessage
from chalicelib.telemetry import Metric
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.world import COMPANY, CUSTOMER, KEY, World, conversation

SMS = {"From": CUSTOMER, "To": COMPANY}


@pytest.mark.parametrize("parameters", [{"OptOutType": "STOP"}, SMS], ids=["told by Twilio", "by the keyword on SMS"])
def test_stop_marks_the_conversation_and_nothing_of_it_reaches_the_ai(parameters: dict[str, str]):
    """The entry is kept, nothing stays staged or is triggered, and the answer is empty TwiML."""
    world = World()

    world.deliver("Stop ", **parameters)
    world.run(120)

    assert world.row["opted_out"] is True
    assert world.row["messages"][-1]["opt_out"] == "STOP"
    assert not world.batches
    assert not world.staged_ids
    assert world.answers[-1].status_code == 200
    assert "<Message>" not in world.answers[-1].body
    assert world.telemetry.total(Metric.OPT_OUT) == 1


@pytest.mark.parametrize("body", ["STOP it", "please stop", "stopp", "cancel my order"])
def test_only_a_whole_keyword_opts_out(body: str):
    """Twilio's keywords exactly: a sentence with one in it is a message."""
    world = World()

    world.deliver(body, **SMS)

    assert "opted_out" not in world.row
    assert len(world.staged_ids) == 1


def test_a_keyword_on_whatsapp_without_twilios_word_is_a_message():
    """Only SMS has default keywords."""
    world = World()

    world.deliver("STOP")

    assert "opted_out" not in world.row
    assert len(world.staged_ids) == 1


def test_what_an_opted_out_customer_writes_is_refused_by_the_rule():
    """`OPTED_OUT`: answered with empty TwiML, not staged."""
    world = World(None, conversation(opted_out=True))

    world.deliver("hello")

    assert not world.staged_ids
    assert world.telemetry.lines[-1]["outcome"] == "OPTED_OUT"


def test_what_was_staged_before_the_stop_does_not_reach_the_ai():
    """It is refused with the code and kept in the record, in its place before the STOP."""
    world = World()
    world.deliver("one")

    world.deliver("STOP", OptOutType="STOP")
    world.run(120)

    assert not world.batches
    assert [entry.get("refused") for entry in world.row["messages"]] == ["OPTED_OUT", None]
    assert world.is_at_rest


@pytest.mark.parametrize("parameters", [{"OptOutType": "START"}, SMS], ids=["told by Twilio", "by the keyword on SMS"])
def test_start_clears_the_mark_and_the_next_message_is_batched(parameters: dict[str, str]):
    """START itself is kept and is not for the AI."""
    world = World(None, conversation(opted_out=True))

    world.deliver("START", **parameters)
    world.deliver("hello again", **parameters | {"OptOutType": ""})
    world.run(60)

    assert world.row["opted_out"] is False
    assert [len(ids) for ids in world.batches.values()] == [1]


def test_yes_is_an_answer_unless_the_customer_is_opted_out():
    """A default START keyword counts only from who is opted out: to all others "yes" answers a question."""
    world = World()

    world.deliver("Yes", **SMS)

    assert len(world.staged_ids) == 1


def test_help_is_recorded_and_left_to_twilio():
    """Twilio has answered it already: no batch, no mark."""
    world = World()

    world.deliver("HELP", OptOutType="HELP")
    world.run(60)

    assert world.row["messages"][-1]["opt_out"] == "HELP"
    assert "opted_out" not in world.row
    assert not world.batches


def test_a_retry_of_a_stop_whose_answer_was_lost_is_kept_once():
    """The mark and the entry are one conditional update; the retry finds the entry there."""
    world = World()
    world.plan.faults = {5: Fault.CRASH_AFTER}

    world.deliver("STOP", OptOutType="STOP")

    assert world.row["opted_out"] is True
    assert len(world.row["messages"]) == 1


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
    view = View(Conversation.from_item(conversation(opted_out=is_opted_out)), rows)

    request = pending(view)

    assert (request and (request.kind, request.message, list(request.before))) == expected


@pytest.mark.parametrize("where", ["the record", "the history"])
def test_a_request_that_was_done_before_is_not_done_again(where: str):
    """H3: an old START that somebody replays is a duplicate."""
    entries, moved = ([{"message_id": "T"}], frozenset()) if where == "the record" else ([], frozenset({"T"}))
    view = View(Conversation.from_item(conversation(opted_out=True, messages=entries)), [START_AGAIN], moved)

    assert pending(view) is None


def test_a_stop_does_not_wait_for_what_the_record_has_no_room_for():
    """A batch fills the record: what was staged before the STOP is refused once that has moved."""
    world = World()
    large = "x" * 19_500
    for _ in range(25):
        world.deliver(large)
    world.clock.advance(11)
    world.work()
    later = world.deliver(large)

    world.deliver("STOP", OptOutType="STOP")

    assert world.row["opted_out"] is True
    assert later in world.staged_ids
    world.run(1_800)
    assert world.is_at_rest
    assert "failed" not in world.telemetry.steps()
