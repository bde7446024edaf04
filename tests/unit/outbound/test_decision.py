"""What the record says of an AI's reply: every judgement, without a call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.errors import ReplyCode
from chalicelib.messages.contents import Content
from chalicelib.messages.replies import Reply, Source
from chalicelib.outbound.decision import (
    AtWork,
    Ended,
    Free,
    Judgement,
    Orphaned,
    Refusal,
    Stale,
    WithPeople,
    decide,
)
from chalicelib.protocol.conversation_lock import PEOPLE
from chalicelib.protocol.record import Record
from tests.fakes.clock import START
from tests.world import KEY, conversation

REPLY = Reply(KEY, Source.AI, "r-1", "b-1", (Content("an answer"),))
ENDED = {"last_batch_id": "b-1", "unanswered_ids": []}


def waiting(**more: Any) -> dict[str, Any]:
    return {"last_batch_id": "b-1", "unanswered_ids": ["A"], **more}


def claimed(by: str, seconds: float) -> dict[str, Any]:
    return waiting(reply_claim=by, reply_claimed_at=iso(START - timedelta(seconds=seconds)))


TABLE: list[tuple[str, dict[str, Any], Judgement]] = [
    ("no batch was ever made", {}, Stale()),
    ("a newer batch", waiting(last_batch_id="b-2"), Stale()),
    ("a newer batch that the same reply claims", {**claimed("r-1", 1), "last_batch_id": "b-2"}, Stale()),
    ("people's claim", claimed(PEOPLE, 1), WithPeople()),
    ("another reply's claim", claimed("r-2", 1_000), Refusal(ReplyCode.SECOND)),
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
    ("people have it", {**ENDED, "last_reply_id": PEOPLE}, Refusal(ReplyCode.STALE)),
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

    assert decide(REPLY, record, now=START, patience_seconds=60) == expected


def test_every_judgement_is_reached():
    """By the table above."""
    assert {type(case[2]) for case in TABLE} == {*Judgement.__args__}
