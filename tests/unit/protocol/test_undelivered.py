"""The claim for people of a batch whose reply was not delivered: D1, D2."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.protocol import undelivered
from chalicelib.protocol.claim_changes import Claim
from chalicelib.protocol.handoffs import Handoff, RequestedBy
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.record import Record
from chalicelib.protocol.send_rows import Part
from tests.fakes.faults import Fault
from tests.world import World

HANDOFF = Handoff(RequestedBy.UNDELIVERED, "h-1", "code 30003")


@pytest.fixture
def world(world: World) -> World:
    """A batch was answered."""
    world.reply(world.burst_with_ai("one", "two"), "an answer")
    world.send_replies()
    return world


def claim(world: World, seen: Record) -> Claim | Changed:
    part = Part.from_item(world.sends[0])
    return undelivered.claim_undelivered(
        world.tables.conversations, seen, part, handoff=HANDOFF, token="token", shards=2, now=world.clock.now()
    )


def test_the_batch_is_claimed_for_people_and_unanswered_again(world: World):
    """D2: with the messages that the part names, under a handoff that lasts."""
    outcome = claim(world, Record.from_item(world.row))

    row = world.row
    assert isinstance(outcome, Claim)
    assert (row["conversation_status"], row["reply_claim"], row["reply_claim_end"]) == (
        "processing_reply",
        "#people",
        "people",
    )
    assert row["unanswered_ids"] == world.entry_ids
    assert (row["handed_off_by"], row["handoff_id"], row["handoff_reason"]) == ("undelivered", "h-1", "code 30003")
    assert row["passed_reply_id"] == row["last_reply_id"]


@pytest.mark.parametrize(
    "changes", [{"conversation_version": 99}, {"conversation_status": "closed"}, {"reply_claim": "r"}]
)
def test_a_record_that_changed_since_it_was_read_is_left_alone(world: World, changes: dict[str, Any]):
    """D1: something was said, or the company wrote."""
    seen = Record.from_item(world.row)
    world.tables.conversations.seed({**world.row, **changes})
    before = world.row

    assert isinstance(claim(world, seen), Changed)
    assert world.row == before


def test_a_claim_whose_answer_was_lost_is_known_by_its_token(world: World):
    """The refusal returns the row."""
    seen = Record.from_item(world.row)
    world.plan.faults = {len(world.plan.calls) + 1: Fault.REFUSED_BY_OWN_WRITE}

    assert isinstance(claim(world, seen), Claim)
