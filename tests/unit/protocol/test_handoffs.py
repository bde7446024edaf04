"""Handoffs that last, and the claims that pass to people: K1, K2, R5, R6."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.ports.tables import Attr
from chalicelib.protocol import handoffs, people_claim, reply_claim
from chalicelib.protocol.claim_changes import Claim, Released
from chalicelib.protocol.handoffs import GivenBack, HandedOver, Handoff, OtherHandoff, RequestedBy
from chalicelib.protocol.lock_changes import Changed, Lost
from chalicelib.protocol.record import ClaimEnd, Record
from tests.fakes.faults import Fault
from tests.world import KEY, World

HANDOFF = Handoff(RequestedBy.OPERATOR, "h-1", "asked for")
ANOTHER = Handoff(RequestedBy.AI, "h-2")


@pytest.fixture
def world(world: World) -> World:
    """A batch is with the AI."""
    world.burst_with_ai()
    return world


def record(world: World) -> Record:
    return Record.from_item(world.row)


def hand_over(world: World, seen: Record, handoff: Handoff = HANDOFF) -> HandedOver | Changed:
    return handoffs.hand_over(world.tables.conversations, seen, handoff, now=world.clock.now())


def give_back(world: World, handoff_id: str) -> GivenBack | OtherHandoff:
    return handoffs.give_back(world.tables.conversations, KEY, handoff_id, now=world.clock.now())


def claim(world: World, seen: Record, *, end: ClaimEnd = ClaimEnd.PEOPLE, token: str = "token") -> Claim | Changed:
    return reply_claim.claim(
        world.tables.conversations,
        seen,
        reply_id="r-1",
        end=end,
        reason="wants a person",
        routing_stands=Attr("auto_queue_reply_message").stays(None),
        token=token,
        shards=2,
        now=world.clock.now(),
    )


def passed(world: World, seen: Record, *, handoff: Handoff | None = HANDOFF) -> Claim | Changed:
    return people_claim.pass_to_people(
        world.tables.conversations,
        seen,
        entries=[{"message_id": "SM-part", "direction": "OUTBOUND", "send_id": "s-1"}],
        handoff=handoff,
        token="of-people",
        shards=2,
        now=world.clock.now(),
    )


def write(world: World, **changes: Any) -> None:
    world.tables.conversations.seed({**world.row, **changes})


class TestLasting:
    def test_a_handoff_is_told_until_people_give_it_back(self, world: World):
        """K1: the batch that is with the AI is not touched."""
        before = record(world)

        hand_over(world, before)

        after = record(world)
        assert (after.handed_off_by, after.handoff_id, after.handoff_reason) == ("operator", "h-1", "asked for")
        assert (after.batch_id, after.unanswered_ids, after.claim) == (before.batch_id, before.unanswered_ids, None)
        assert isinstance(give_back(world, "h-1"), GivenBack)
        assert not {"handed_off_by", "handoff_id", "handoff_reason"} & world.row.keys()

    def test_a_handoff_that_people_do_not_name_stands(self, world: World):
        """K1: they give back what they were handed, not what came after."""
        hand_over(world, record(world))

        assert isinstance(give_back(world, "h-0"), OtherHandoff)
        assert world.row["handoff_id"] == "h-1"

    def test_of_two_handoffs_of_one_record_one_is_made(self, world: World):
        """K1: the other finds it changed."""
        seen = record(world)

        outcomes = hand_over(world, seen), hand_over(world, seen, ANOTHER)

        assert isinstance(outcomes[0], HandedOver)
        assert isinstance(outcomes[1], Changed)
        assert world.row["handoff_id"] == "h-1"

    def test_our_own_write_whose_answer_was_lost_is_ours(self, world: World):
        """K1: the refusal shows what it wrote."""
        for act in (lambda: hand_over(world, record(world)), lambda: give_back(world, "h-1")):
            world.plan.faults = {len(world.plan.calls) + 1: Fault.REFUSED_BY_OWN_WRITE}

            assert isinstance(act(), HandedOver | GivenBack)


class TestPassing:
    def test_a_claim_that_ends_with_people_sets_no_handoff(self, world: World):
        """K2: until the batch passes to them it may still be the AI's."""
        claim(world, record(world))

        seen = record(world)
        assert (seen.claim_end, seen.claim_reason) == (ClaimEnd.PEOPLE, "wants a person")
        assert seen.handoff_id is None

    def test_what_was_sent_is_recorded_as_the_claim_passes(self, world: World):
        """R6: in the same update as the handoff begins (K2)."""
        claim(world, record(world))

        assert isinstance(passed(world, record(world)), Claim)

        seen = record(world)
        assert (seen.claim, seen.passed_reply_id, seen.handoff_id) == ("#people", "r-1", "h-1")
        assert world.row["messages"][-1]["send_id"] == "s-1"
        assert "reply_claim_reason" not in world.row

    def test_a_handoff_that_stands_keeps_its_id(self, world: World):
        """K2: people were told that one."""
        hand_over(world, record(world))
        claim(world, record(world))

        passed(world, record(world), handoff=ANOTHER)

        assert record(world).handoff_id == "h-1"

    def test_the_companys_own_routing_sets_nothing_of_ours(self, world: World):
        """K2: its row says who answers, and ends it."""
        claim(world, record(world), end=ClaimEnd.RELEASE)

        assert isinstance(passed(world, record(world), handoff=None), Claim)
        assert record(world).handed_off_by is None

    @pytest.mark.parametrize(
        "changes",
        [
            {"reply_claim_token": "another"},
            {"reply_claim": "r-2"},
            {"last_batch_id": "b-2"},
            {"processing_started_at": "2026-01-01T00:00:00.000000+00:00"},
            {"conversation_version": 99},
        ],
    )
    def test_a_claim_that_changed_since_does_not_pass(self, world: World, changes: dict[str, Any]):
        """R6: another process holds it, or something was recorded meanwhile."""
        claim(world, record(world))
        seen = record(world)
        write(world, **changes)

        assert isinstance(passed(world, seen), Changed)

    def test_a_company_that_switched_meanwhile_lets_nobody_claim(self, world: World):
        """R5: its own write raises no version."""
        seen = record(world)
        write(world, auto_queue_reply_message=True)

        assert isinstance(claim(world, seen), Changed)

    def test_a_company_that_switched_meanwhile_lets_nobody_take_over(self, world: World):
        """R5: the reply that comes again looks once more."""
        claim(world, record(world))
        seen = record(world)
        write(world, auto_queue_reply_message=True)

        outcome = reply_claim.take_over(
            world.tables.conversations,
            seen,
            routing_stands=Attr("auto_queue_reply_message").stays(None),
            token="again",
            now=world.clock.now(),
        )

        assert isinstance(outcome, Changed)


class TestInterim:
    def end(self, world: World, token: str = "token", send_id: str = "s-1") -> object:
        return reply_claim.end_interim(
            world.tables.conversations,
            KEY,
            batch_id=world.row["last_batch_id"],
            token=token,
            entries=[{"message_id": "SM-part", "direction": "OUTBOUND", "send_id": send_id}],
            now=world.clock.now(),
        )

    def test_its_end_leaves_the_batch_with_the_ai(self, world: World):
        """R3: locked, unanswered and claimed by nobody; what was sent is recorded."""
        claim(world, record(world), end=ClaimEnd.UNCLAIM)
        before = record(world)

        assert isinstance(self.end(world), Released)

        after = record(world)
        assert (after.status, after.unanswered_ids) == ("processing_reply", before.unanswered_ids)
        assert (after.claim, after.claim_token) == (None, None)
        assert world.row["messages"][-1]["send_id"] == "s-1"

    def test_only_our_own_claim_is_ended(self, world: World):
        """R3: another process may have taken it over."""
        claim(world, record(world), end=ClaimEnd.UNCLAIM, token="another")

        assert isinstance(self.end(world), Lost)
        assert record(world).claim == "r-1"

    def test_our_own_end_whose_answer_was_lost_is_ours(self, world: World):
        """R3: the record has what it recorded."""
        claim(world, record(world), end=ClaimEnd.UNCLAIM)
        world.plan.faults = {len(world.plan.calls) + 1: Fault.REFUSED_BY_OWN_WRITE}

        assert isinstance(self.end(world), Released)
