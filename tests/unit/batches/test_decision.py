"""What a trigger does about one look: every action, without a call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.batches import decision
from chalicelib.batches.actions import (
    Acquire,
    Action,
    ClaimForPeople,
    Contend,
    FinishPeople,
    Keep,
    MarkOptOut,
    RefuseCarried,
    ReportEnd,
    ResetLock,
    Restart,
    Resume,
    SettleBatch,
    SettleDuplicates,
    StampLock,
    Stop,
    Trim,
    Wait,
)
from chalicelib.clock import iso
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import GRACE_SECONDS
from chalicelib.conversations.policies import merge
from chalicelib.conversations.views import View
from chalicelib.errors import Code
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.staging import StagedMessage
from chalicelib.settings import Settings
from tests.fakes.clock import START
from tests.world import COMPANY, CUSTOMER, KEY, conversation, settings_of

OURS, ANOTHER = "our trigger", "another trigger"
TO_PEOPLE = {"auto_queue_reply_message": True}
OFF = {"project_status": "closed"}
SETTINGS = settings_of((("batch_messages_max", "25"),))
LEAN = settings_of((("messages_keep", "8"),))


def staged(
    sid: str,
    *,
    ago: float = 60,
    sender: str = CUSTOMER,
    text: str = "hello",
    channel: str = "whatsapp",
    **more: Any,
) -> StagedMessage:
    """A row, received so many seconds ago."""
    at = START - timedelta(seconds=ago)
    document = {
        "from": sender,
        "to": COMPANY,
        "body": text,
        "message_id": sid,
        "timestamp": iso(at),
        "channel_type": channel,
        "media": [],
        "extras": {},
    }
    return StagedMessage(KEY, sid, channel, "acme", at, {"messages": [document]}, **more)


def entry(sid: str, **marks: Any) -> dict[str, Any]:
    return {
        "message_id": sid,
        "direction": "INBOUND",
        "content": "hello",
        "timestamp": iso(START - timedelta(seconds=90)),
        "channel_type": "whatsapp",
        "metadata": {"sender": CUSTOMER, "recipient": COMPANY},
        **marks,
    }


def ago(seconds: float) -> str:
    return iso(START - timedelta(seconds=seconds))


def locked(*, by: str = ANOTHER, seconds: float = 20, **more: Any) -> dict[str, Any]:
    """A batch b-1 with the message A, with the AI."""
    return {
        "conversation_status": "processing_reply",
        "last_batch_id": "b-1",
        "unanswered_ids": ["A"],
        "messages": [entry("A", batch_id="b-1")],
        "processing_started_at": ago(seconds),
        "processing_trigger_id": by,
        "conversation_version": 3,
        **more,
    }


def carried(**more: Any) -> dict[str, Any]:
    """An open record whose batch was never answered, reset so many seconds ago."""
    return {"unanswered_ids": ["A"], "messages": [entry("A", batch_id="b-1")], "last_batch_id": "b-1", **more}


def watched(seconds: float, **more: Any) -> dict[str, Any]:
    shard = {"lock_shard": "open-0", "processing_started_at": ago(seconds), "stall_resets": 1}
    return carried(conversation_status="processing_timeout", **shard, **more)


UNREPORTED = watched(10) | {
    "conversation_status": "processing_error",
    "processing_error_code": "UNKNOWN_OUTCOME",
    "unanswered_ids": [],
}


def decide(
    row: dict[str, Any], rows: Sequence[StagedMessage] = (), *, may_trim: bool = True, settings: Settings = SETTINGS
) -> Action:
    view = View(Conversation.from_item(conversation(**row)), rows)
    return decision.decide(
        view,
        trigger_id=OURS,
        now=START,
        settings=settings,
        policy_of=lambda channel: merge(settings, None, channel).policy,
        may_trim=may_trim,
    )


B, C = staged("B", ago=40), staged("C", ago=30)
YOUNG = staged("Y", ago=4)
STOPPED = staged("S", ago=4, opt_out="STOP")
HELP = staged("H", ago=4, opt_out="HELP")
STAGED_A = staged("A")

TABLE: list[tuple[str, dict[str, Any], list[StagedMessage], Action]] = [
    # an end that nobody reported comes first of all
    ("an unreported end", UNREPORTED, [STOPPED], ReportEnd()),
    # people's claim
    ("people's claim of ours", locked(by=OURS, reply_claim=PEOPLE, reply_claimed_at=ago(1)), [B], FinishPeople()),
    ("people's old claim", locked(reply_claim=PEOPLE, reply_claimed_at=ago(GRACE_SECONDS)), [B], FinishPeople()),
    (
        "people's young claim",
        locked(reply_claim=PEOPLE, reply_claimed_at=ago(1)),
        [B],
        Contend(GRACE_SECONDS),
    ),
    # a lock
    ("our lock after a crash", locked(by=OURS), [STAGED_A], Resume()),
    ("our lock, its rows settled", locked(by=OURS), [], Resume()),
    ("our lock, still typing", locked(by=OURS), [YOUNG], Resume()),
    ("our lock, claimed by a reply", locked(by=OURS, reply_claim="r-1"), [STAGED_A], SettleBatch()),
    ("a lock while people own it", locked(**TO_PEOPLE), [B], ClaimForPeople()),
    ("our lock while people own it", locked(by=OURS, **TO_PEOPLE), [], ClaimForPeople()),
    ("a reply is being sent while people own it", locked(reply_claim="r-1", **TO_PEOPLE), [B], Contend(20)),
    (
        "another system's lock while people own it",
        {"conversation_status": "processing_reply", **TO_PEOPLE},
        [B],
        StampLock(),
    ),
    ("a lock and nothing staged", locked(), [], Stop()),
    ("a lock, still typing", locked(), [YOUNG], Wait(6)),
    ("a lock, and only duplicates", locked(messages=[entry("A"), entry("B")]), [B], SettleDuplicates()),
    ("a lock of another", locked(), [B], Contend(20)),
    ("a lock of another, just taken", locked(seconds=1), [B], Contend(15)),
    ("a lock of another whose turn is long", locked(turn_started_at=ago(900)), [B], Contend(281)),
    ("a lock of another, whose row is there still", locked(), [STAGED_A], Contend(20)),
    ("another system's lock", {"conversation_status": "processing_reply"}, [B], StampLock()),
    ("a lock at its timeout", locked(seconds=300), [B], Contend(1)),
    ("a lock past its timeout", locked(seconds=301), [B], ResetLock()),
    ("a lock while a rule refuses", locked(**OFF), [B], Keep([B], {"B": "PROJECT_INACTIVE"})),
    ("a lock and a HELP", locked(), [HELP], Keep([HELP], {})),
    # an open record
    ("nothing staged", {}, [], Stop()),
    ("nothing staged, and a batch is watched", watched(599), [], Stop()),
    ("a watched batch is overdue", watched(600), [], Acquire([], for_people=False)),
    ("a watched batch that the company trimmed", watched(600, messages=[]), [], Stop()),
    ("only duplicates", {"messages": [entry("B")]}, [B], SettleDuplicates()),
    ("still typing", {}, [YOUNG], Wait(6)),
    (
        "typing for as long as the cap",
        {},
        [staged("B", ago=30), YOUNG],
        Acquire([staged("B", ago=30), YOUNG], for_people=False),
    ),
    ("a burst is over", {}, [B, C], Acquire([B, C], for_people=False)),
    ("a burst, and something carried", carried(), [B], Acquire([B], for_people=False)),
    ("a row of what is carried", carried(), [STAGED_A, B], Acquire([B], for_people=False)),
    ("all for people, at once", TO_PEOPLE, [B, YOUNG], Acquire([B, YOUNG], for_people=True)),
    ("carried for people too", carried(**TO_PEOPLE), [B], Acquire([B], for_people=True)),
    ("a rule refuses", OFF, [B, YOUNG], Keep([B, YOUNG], {"B": "PROJECT_INACTIVE", "Y": "PROJECT_INACTIVE"})),
    ("a HELP of an open record", {}, [HELP], Keep([HELP], {})),
    ("a rule refuses what is carried", watched(600, **OFF), [], RefuseCarried({"A": Code.PROJECT_INACTIVE})),
]


@pytest.mark.parametrize(("row", "rows", "expected"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE])
def test_a_look_asks_for_one_action(row: dict[str, Any], rows: list[StagedMessage], expected: Action):
    """By the record, what is staged, and the time."""
    assert decide(row, rows) == expected


@pytest.mark.parametrize(
    "row", [{}, locked(), locked(by=OURS), locked(reply_claim="r-1")], ids=["open", "locked", "ours", "claimed"]
)
def test_the_mark_of_a_stop_waits_for_no_lock_and_no_window(row: dict[str, Any]):
    """O3: before anything else is done with the stage, and without room in the record."""
    assert decide({**row, "messages": [*OLD, *row.get("messages", [])]}, [B, STOPPED, C], settings=LEAN) == MarkOptOut(
        frozenset({"whatsapp"})
    )


SMS = staged("X", ago=5, channel="sms")
STARTED = staged("T", ago=3, opt_out="START")
STOPPED_AGAIN = staged("Z", ago=1, opt_out="STOP")
MARKED = {"opted_out_channels": ["whatsapp"]}
LIFTED = {"opted_out_channels": []}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([STOPPED], Keep([STOPPED], {})),
        ([B, STOPPED, YOUNG], Keep([B, STOPPED, YOUNG], {"B": "OPTED_OUT", "Y": "OPTED_OUT"})),
        ([SMS, STOPPED], Acquire([SMS], for_people=False)),
        ([STOPPED, SMS], Keep([STOPPED], {})),
        ([B, STARTED, YOUNG], Keep([B, STARTED], {"B": "OPTED_OUT"}, LIFTED)),
        ([SMS, STARTED], Acquire([SMS], for_people=False)),
        ([STOPPED, STARTED], Keep([STOPPED, STARTED], {}, LIFTED)),
        ([STARTED, STOPPED_AGAIN], Keep([STARTED], {})),
    ],
    ids=[
        "a STOP",
        "what was staged before and after it",
        "another channel first",
        "another channel last",
        "a START",
        "a START behind another channel",
        "a START behind a STOP",
        "a START before a STOP",
    ],
)
def test_the_entries_of_a_stop_and_a_start_are_appended_in_their_turn(rows: list[StagedMessage], expected: Action):
    """I3: a START takes the mark off with its entry, unless a STOP follows (O3); what is behind it is judged anew."""
    assert decide(MARKED, rows) == expected


def test_an_adaptive_window_learns_from_the_record_and_the_stage():
    """Gaps of 2 s: the burst is over after 3 s of quiet, and the fixed window would go on."""
    settings = settings_of((("window_mode", "adaptive"),))
    quick = {"messages": [entry(str(number), timestamp=ago(60 - 2 * number)) for number in range(5)]}

    assert decide(quick, [YOUNG], settings=settings) == Acquire([YOUNG], for_people=False)
    assert isinstance(decide(quick, [YOUNG]), Wait)
    assert isinstance(decide({}, [YOUNG], settings=settings), Wait)


def test_a_stop_that_is_in_the_record_already_is_a_duplicate():
    """It was marked then."""
    assert decide({"messages": [entry("S")], "opted_out": True}, [STOPPED]) == SettleDuplicates()


BY_PEOPLE = {"auto_queue_reply_message_from_number": ["+4999"]}
THEIRS = staged("P", ago=20, sender="+4999")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([B, THEIRS, C], Acquire([B], for_people=False)),
        ([THEIRS, B], Acquire([THEIRS], for_people=True)),
        ([B, THEIRS, YOUNG], Acquire([B], for_people=False)),
        ([HELP, B], Keep([HELP], {})),
    ],
    ids=["the AI first", "people first", "a window of what comes after", "kept first"],
)
def test_a_batch_is_the_longest_run_with_one_destination(rows: list[StagedMessage], expected: Action):
    """What was staged first is ended first; what follows another destination is no burst that goes on."""
    assert decide(BY_PEOPLE, rows) == expected


def test_what_is_carried_for_the_ai_does_not_go_to_people_with_a_new_message():
    """It is dispatched by itself; the new one waits for its answer."""
    assert decide(carried(**BY_PEOPLE), [THEIRS]) == Acquire([], for_people=False)


OLD = [{**entry(f"old-{number}"), "timestamp": "2020-01-01T00:00:00+00:00"} for number in range(40)]


@pytest.mark.parametrize(
    ("changes", "rows"),
    [({}, [B]), (OFF, [B]), (MARKED, [STOPPED]), (MARKED, [B]), (locked(messages=[*OLD, entry("A")]), [HELP])],
    ids=["a batch", "refused", "a stop", "after a stop", "beside a lock"],
)
def test_a_record_that_has_outgrown_its_bounds_is_trimmed_before_anything_is_appended(
    changes: dict[str, Any], rows: list[StagedMessage]
):
    """Not twice without anything in between: a long record that we find is brought down over several batches."""
    row = {"messages": OLD, **changes}

    first, then = decide(row, rows, settings=LEAN), decide(row, rows, settings=LEAN, may_trim=False)

    assert isinstance(first, Trim)
    assert not isinstance(then, Trim)


RESTARTING = settings_of((("on_new_message", "restart"), ("restarts_max", "1")))
BY_SMS = staged("X", ago=40, channel="sms")


@pytest.mark.parametrize(
    ("row", "rows", "expected"),
    [
        (locked(), [B], Restart([B])),
        (locked(), [B, C], Restart([B, C])),
        (locked(), [B, BY_SMS], Restart([B, BY_SMS])),
        (locked(), [YOUNG], Wait(6)),
        (locked(seconds=301), [B], ResetLock()),
        (locked(turn_supersedes=["b-0"]), [B], Contend(20)),
        (locked(turn_effects=True), [B], Contend(20)),
        (locked(reply_claim="r-1"), [B], Contend(20)),
        (locked(processing_trigger_id=None), [B], Contend(20)),
        (locked(conversation_status="looked_at", reply_claim="r-1"), [B], Contend(20)),
        (locked(messages=[]), [B], Contend(20)),
        (locked(), [STAGED_A, B], Contend(20)),
        (locked(), [B, staged("H", ago=40, opt_out="HELP")], Contend(20)),
        (locked(**BY_PEOPLE), [B, staged("P", ago=40, sender="+4999")], Contend(20)),
        (locked(**MARKED), [BY_SMS], Contend(20)),
        (locked(by=OURS), [B], Resume()),
        (locked(**OFF), [B], Keep([B], {"B": "PROJECT_INACTIVE"})),
    ],
    ids=[
        "a second thought",
        "two of them",
        "one of another channel",
        "still typing",
        "stalled",
        "restarted as often as may be",
        "with effects",
        "a reply is being sent",
        "no lock of a trigger",
        "another system's status",
        "the company trimmed the batch",
        "perhaps not dispatched",
        "a HELP among them",
        "one for people among them",
        "a rule refuses what the AI has",
        "our lock after a crash",
        "a rule refuses",
    ],
)
def test_a_second_thought_restarts_the_batch_that_is_with_the_ai(
    row: dict[str, Any], rows: list[StagedMessage], expected: Action
):
    """N2: only a lock that the AI alone holds (N3: so often at most), with everything that is staged, or not at all."""
    assert decide(row, rows, settings=RESTARTING) == expected


@pytest.mark.parametrize("channel", ["whatsapp", "sms"])
def test_every_channel_of_a_restarted_batch_has_the_policy(channel: str):
    """Of the messages that the AI has, and of the new ones."""
    config = {channel: {"policy": {"on_new_message": "queue"}}}
    view = View(Conversation.from_item(conversation(**locked(), channel_config=config)), [BY_SMS])

    action = decision.decide(
        view,
        trigger_id=OURS,
        now=START,
        settings=RESTARTING,
        policy_of=lambda one: merge(RESTARTING, config, one).policy,
        may_trim=True,
    )

    assert action == Contend(20)


def test_a_second_thought_that_does_not_fit_waits():
    """The record has no room for it before the batch is answered; nor has a batch for more than so many."""
    full = [{**entry("A"), "content": "x" * 300_000}]
    small = settings_of((("on_new_message", "restart"), ("batch_messages_max", "1")))

    assert decide(locked(messages=full), [staged("B", text="x" * 40_000)], settings=RESTARTING) == Contend(20)
    assert decide(locked(), [B, C], settings=small) == Contend(20)


def test_a_record_that_has_outgrown_its_bounds_is_trimmed_before_a_restart():
    """As before every batch."""
    lean = settings_of((("on_new_message", "restart"), ("messages_keep", "8")))
    row = locked(messages=[*OLD, entry("A")])

    assert isinstance(decide(row, [B], settings=lean), Trim)
    assert decide(row, [B], settings=lean, may_trim=False) == Restart([B])


def test_what_nobody_answers_waits_behind_a_batch_that_fills_the_record():
    """There is no room for it before that is answered and moved."""
    ids = [f"A{number}" for number in range(17)]
    full = [{**entry(one), "content": "x" * 19_500} for one in ids]

    action = decide(locked(messages=full, unanswered_ids=ids, **OFF), [staged("B", text="x" * 19_500)])

    assert isinstance(action, Contend)


def test_every_action_is_reached():
    """By the tables above."""
    of_tables = {type(case[3]) for case in TABLE} | {MarkOptOut, Restart, Trim}

    assert of_tables == {*Action.__args__}
