"""What is decided of stalled locks, watched records and retries, without a call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.ports.queues import DELAY_SECONDS_MAX
from chalicelib.protocol.handoffs import RequestedBy
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.record import Record
from chalicelib.repair.retrying import Again, Exhausted, next_try
from chalicelib.repair.stalled_locks import (
    Action,
    ClaimForPeople,
    FinishPeople,
    GiveUp,
    Leave,
    Open,
    PassToPeople,
    StalledLock,
    decide,
)
from tests.fakes.clock import START
from tests.world import COMPANY, CUSTOMER, KEY, conversation, settings_of

SEEN_AT = iso(START - timedelta(seconds=400))
LOCK = StalledLock(KEY, "b-1", SEEN_AT, "acme")
SETTINGS = settings_of(())

ENTRY = {
    "message_id": "A",
    "direction": "INBOUND",
    "content": "hello",
    "timestamp": iso(START),
    "channel_type": "whatsapp",
    "metadata": {"sender": CUSTOMER, "recipient": COMPANY},
}


def stalled(**changes: Any) -> Record:
    row = conversation(
        conversation_status="processing_reply",
        last_batch_id="b-1",
        unanswered_ids=["A"],
        messages=[ENTRY],
        processing_started_at=SEEN_AT,
        lock_shard="0",
    )
    return Record.from_item({**row, **changes})


CLAIMED = {"reply_claim": "r-1"}

OF_LOCKS: list[tuple[str, dict[str, Any], str, Action]] = [
    ("as it was seen", {}, "warn", Open()),
    ("as it was seen, for people", {}, "handoff", ClaimForPeople()),
    ("with a status of the company", {"conversation_status": "human_notified"}, "warn", Open()),
    ("with a status of the company, for people", {"conversation_status": "x"}, "handoff", ClaimForPeople()),
    ("with nothing unanswered", {"unanswered_ids": []}, "handoff", Open()),
    ("with nothing that the company has left", {"messages": []}, "handoff", Open()),
    ("claimed by a reply", {"reply_claim": "r-1"}, "warn", GiveUp()),
    ("claimed by a reply, for people", {"reply_claim": "r-1"}, "handoff", GiveUp()),
    ("claimed by a handoff", CLAIMED | {"reply_claim_end": "people"}, "warn", PassToPeople(RequestedBy.AI)),
    ("claimed by an interim message", CLAIMED | {"reply_claim_end": "unclaim"}, "warn", Open()),
    (
        "claimed by an interim message, for people",
        CLAIMED | {"reply_claim_end": "unclaim"},
        "handoff",
        PassToPeople(RequestedBy.STALL),
    ),
    ("claimed for people", {"reply_claim": PEOPLE}, "warn", FinishPeople()),
    ("claimed for people since", {"reply_claim": PEOPLE, "processing_started_at": iso(START)}, "warn", FinishPeople()),
    ("another batch, claimed for people", {"reply_claim": PEOPLE, "last_batch_id": "b-2"}, "warn", Leave()),
    ("refreshed since", {"processing_started_at": iso(START)}, "warn", Leave()),
    ("another batch", {"last_batch_id": "b-2"}, "warn", Leave()),
    ("reset since, and watched", {"lock_shard": "open-0"}, "warn", Leave()),
]


@pytest.mark.parametrize(
    ("changes", "stall_action", "expected"), [case[1:] for case in OF_LOCKS], ids=[case[0] for case in OF_LOCKS]
)
def test_a_stalled_lock_asks_for_one_action(changes: dict[str, Any], stall_action: str, expected: Action):
    """By the lock as it was seen, and the record as it stands; never by the status, which another system may write."""
    assert decide(LOCK, stalled(**changes), stall_action, is_due=True) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Leave()),
        ({"reply_claim": PEOPLE}, FinishPeople()),
        (CLAIMED, Leave()),
        (CLAIMED | {"reply_claim_end": "people"}, Leave()),
        (CLAIMED | {"reply_claim_end": "unclaim"}, Leave()),
    ],
    ids=["with the AI", "for people", "claimed by a reply", "claimed by a handoff", "claimed by an interim message"],
)
def test_all_but_a_batch_of_people_may_have_time_left(changes: dict[str, Any], expected: Action):
    """R7: a lock, and a claim, is left until it is old enough; whoever finds a claim of people finishes it."""
    assert decide(LOCK, stalled(**changes), "warn", is_due=False) == expected


def test_every_action_is_reached():
    """By the table above."""
    assert {type(case[3]) for case in OF_LOCKS} == {*Action.__args__}


@pytest.mark.parametrize(
    ("attempt", "bounds", "expected"),
    [
        (1, {}, Again(15)),
        (2, {}, Again(30)),
        (6, {}, Again(300)),
        (7, {}, Exhausted()),
        (1, {"at_least": 100}, Again(100)),
        (5, {"at_least": 100}, Again(240)),
        (5, {"at_most": 150}, Again(150)),
        (1, {"at_least": 10_000}, Again(DELAY_SECONDS_MAX)),
        (1, {"at_least": 200, "at_most": 150}, Again(150)),
    ],
)
def test_what_failed_comes_again_later_each_time_and_ends(attempt: int, bounds: dict[str, int], expected: object):
    """Within what the caller asks for; the longest it may wait stands above the rest."""
    assert next_try(attempt, 6, SETTINGS, **bounds) == expected
