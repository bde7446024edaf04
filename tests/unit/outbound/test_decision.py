"""What the record says of an AI's reply: every judgement, without a call."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.errors import ReplyCode
from chalicelib.messages.contents import Content
from chalicelib.messages.replies import Action, Reply, Source
from chalicelib.outbound.decision import (
    AtWork,
    Ended,
    Extend,
    Free,
    HadByPeople,
    InTheWay,
    Judgement,
    Orphaned,
    Refusal,
    Stale,
    WithPeople,
    decide,
    decide_extend,
)
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.record import Record
from tests.fakes.clock import START
from tests.world import KEY, conversation, settings_of

REPLY = Reply(KEY, Source.AI, "r-1", "b-1", (Content("an answer"),))
INTERIM = replace(REPLY, is_final=False)
SETTINGS = settings_of((("reconcile_after_seconds", "60"), ("turn_max_seconds", "1800")))
ENDED = {"last_batch_id": "b-1", "unanswered_ids": []}


def waiting(**more: Any) -> dict[str, Any]:
    return {"last_batch_id": "b-1", "unanswered_ids": ["A"], **more}


def claimed(by: str, seconds: float) -> dict[str, Any]:
    return waiting(reply_claim=by, reply_claimed_at=iso(START - timedelta(seconds=seconds)))


SECOND = Refusal(ReplyCode.SECOND)

TABLE: list[tuple[str, dict[str, Any], Judgement]] = [
    ("no batch was ever made", {}, Stale()),
    ("a newer batch", waiting(last_batch_id="b-2"), Stale()),
    ("a newer batch that the same reply claims", {**claimed("r-1", 1), "last_batch_id": "b-2"}, Stale()),
    (
        "a newer batch, and people have the reply's",
        waiting(last_batch_id="b-2", messages=[{"message_id": "A", "batch_id": "b-1", "handed_off": True}]),
        Stale(had_by_people=True),
    ),
    ("people's claim", claimed(PEOPLE, 1), WithPeople()),
    ("another reply's claim", claimed("r-2", 1_000), Refusal(ReplyCode.SECOND)),
    ("another interim message's claim", {**claimed("r-2", 1), "reply_claim_end": "unclaim"}, InTheWay()),
    ("another reply's claim that ends with people", {**claimed("r-2", 1), "reply_claim_end": "people"}, SECOND),
    ("our own young claim", claimed("r-1", 20.5), AtWork(40)),
    ("our own claim, just too old", claimed("r-1", 60), Orphaned()),
    ("our own paused claim", claimed("r-1", 1e9), Orphaned()),
    ("the batch waits", waiting(conversation_status="processing_reply"), Free()),
    ("the batch waits, its lock reset", waiting(conversation_status="processing_timeout"), Free()),
    ("the batch waits, with a status of the company", waiting(conversation_status="human_notified"), Free()),
    ("it ended before", {**ENDED, "last_reply_id": "r-1"}, Ended()),
    (
        "it ended without outcome",
        {**ENDED, "last_reply_id": "r-1", "processing_error_code": "UNKNOWN_OUTCOME"},
        Ended(),
    ),
    ("another reply ended", {**ENDED, "last_reply_id": "r-2"}, Refusal(ReplyCode.SECOND)),
    ("people have it", {**ENDED, "last_reply_id": PEOPLE}, HadByPeople(is_own=False)),
    ("it passed to people", {**ENDED, "last_reply_id": PEOPLE, "passed_reply_id": "r-1"}, HadByPeople(is_own=True)),
    ("another passed to people", {**ENDED, "last_reply_id": PEOPLE, "passed_reply_id": "r"}, HadByPeople(is_own=False)),
    (
        "people have it, by an earlier version",
        {**ENDED, "conversation_status": "processing_timeout"},
        Refusal(ReplyCode.STALE),
    ),
]


@pytest.mark.parametrize(("changes", "expected"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE])
def test_the_record_judges_a_reply(changes: dict[str, Any], expected: Judgement):
    """By its batch, its claim, what is unanswered and how the last reply ended."""
    record = Record.from_item(conversation(**changes))

    assert decide(REPLY, record, now=START, settings=SETTINGS) == expected


def test_every_judgement_is_reached():
    """By the table above."""
    assert {type(case[2]) for case in TABLE} == {*Judgement.__args__}


def started(seconds: float) -> dict[str, Any]:
    ago = iso(START - timedelta(seconds=seconds))
    return waiting(conversation_status="processing_reply", processing_started_at=ago, turn_started_at=ago)


def entries(count: int) -> dict[str, Any]:
    return {"messages": [{"message_id": str(number), "content": "x" * 10_000} for number in range(count)]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (started(1_800), Free()),
        (started(1_801), Refusal(ReplyCode.TURN_TOO_LONG)),
        ({**started(1), "turn_started_at": iso(START - timedelta(seconds=1_801))}, Refusal(ReplyCode.TURN_TOO_LONG)),
        ({**started(1), **entries(31)}, Free()),
        ({**started(1), **entries(33)}, Refusal(ReplyCode.RECORD_FULL)),
        (ENDED | {"last_reply_id": "r-2"}, SECOND),
    ],
)
def test_an_interim_message_needs_a_turn_that_is_young_and_a_record_with_room(changes, expected):
    """The final reply must still fit: a record that is full could not be released."""
    record = Record.from_item(conversation(**changes))

    assert decide(INTERIM, record, now=START, settings=SETTINGS) == expected


def test_a_final_reply_is_taken_however_long_its_turn_is():
    """Late is better than never; the lock stalls by itself."""
    record = Record.from_item(conversation(**started(9_999)))

    assert decide(REPLY, record, now=START, settings=SETTINGS) == Free()


HEARTBEATS: list[tuple[str, dict[str, Any], bool, object]] = [
    ("a lock of its batch", started(60), False, Extend()),
    ("a lock that was just extended", started(9), False, Refusal(ReplyCode.TOO_SOON)),
    ("a lock that was just extended, and news of effects", started(9), True, Extend()),
    ("the same news again", {**started(9), "turn_effects": True}, True, Refusal(ReplyCode.TOO_SOON)),
    ("a turn that is too long", started(1_801), True, Refusal(ReplyCode.TURN_TOO_LONG)),
    ("another batch", {**started(60), "last_batch_id": "b-2"}, True, Refusal(ReplyCode.STALE)),
    ("people's claim", claimed(PEOPLE, 1), True, Refusal(ReplyCode.STALE)),
    ("people have it", {**ENDED, "last_reply_id": PEOPLE}, True, Refusal(ReplyCode.STALE)),
    ("a reply's claim", claimed("r-2", 1), True, SECOND),
    ("an interim message's claim", {**claimed("r-2", 1), "reply_claim_end": "unclaim"}, True, InTheWay()),
    ("an answered batch", {**ENDED, "last_reply_id": "r-2"}, True, SECOND),
    ("a lock that was reset", waiting(conversation_status="processing_timeout"), True, Refusal(ReplyCode.NOT_LOCKED)),
]


@pytest.mark.parametrize(
    ("changes", "effects", "expected"), [case[1:] for case in HEARTBEATS], ids=[case[0] for case in HEARTBEATS]
)
def test_the_record_judges_a_heartbeat(changes, effects, expected):
    """By its batch, the claim, the lock's age and the turn's."""
    heartbeat = replace(REPLY, action=Action.EXTEND, contents=(), effects=effects)

    assert decide_extend(heartbeat, Record.from_item(conversation(**changes)), now=START, settings=SETTINGS) == expected
