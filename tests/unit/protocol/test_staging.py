"""Staging: S1 to S4."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.clock import epoch, from_iso
from chalicelib.errors import TryAgain
from chalicelib.protocol import staging
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.staging import Duplicate, Staged, StagedMessage
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.fakes.tables import InMemoryTable
from tests.world import KEY, TEMPLATE, World


def message(sid: str = "SM1", *, seconds: float = 0) -> StagedMessage:
    return StagedMessage(
        conversation=KEY,
        message_sid=sid,
        channel="whatsapp",
        tenant="acme",
        received_at=START + timedelta(seconds=seconds),
        context={"messages": [{"body": "hello"}]},
    )


def stage(table: InMemoryTable, one: StagedMessage) -> Staged | Duplicate:
    return staging.stage(table, one, now=START, ttl_hours=72)


@pytest.fixture
def table(world: World) -> InMemoryTable:
    return world.tables.stage


class TestStage:
    def test_a_message_is_staged_with_its_time_to_live(self, table: InMemoryTable):
        """The row tells all that a batch, a handoff and the sweep need."""
        outcome = stage(table, message())

        (row,) = table.rows
        assert outcome == Staged()
        assert row["expires_at"] == epoch(START) + 72 * 3_600
        assert StagedMessage.from_item(row) == replace(message(), expires_at=epoch(START) + 72 * 3_600)

    def test_a_message_is_staged_at_most_once(self, table: InMemoryTable):
        """S1: a retry finds the row as it stands, with the time at which it was first received."""
        stage(table, message())

        outcome = stage(table, message(seconds=5))

        assert isinstance(outcome, Duplicate)
        assert outcome.existing.received_at == START
        assert [from_iso(row["received_at"]) for row in table.rows] == [START]

    def test_our_own_write_whose_answer_was_lost_is_found(self, world: World, table: InMemoryTable):
        """S1: refused by the very row that it wrote."""
        world.plan.faults = {1: Fault.REFUSED_BY_OWN_WRITE}

        outcome = stage(table, message())

        assert isinstance(outcome, Duplicate)
        assert outcome.existing.message_sid == "SM1"

    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE])
    def test_a_message_that_could_not_be_staged_is_not(self, world: World, table: InMemoryTable, fault: Fault):
        """And the caller knows."""
        world.plan.faults = {1: fault}

        with pytest.raises(TryAgain):
            stage(table, message())

        assert table.rows == []


class TestRead:
    def test_every_row_to_the_last_page_is_seen_in_order(self):
        """S2: by when it was received, then by sid."""
        table = InMemoryTable(TEMPLATE.tables["conversations-stage-local"], page_bytes=1)
        for number in (3, 1, 2):
            stage(table, message(f"SM{9 - number}", seconds=number))
        stage(table, message("SM0", seconds=3))

        read = staging.read(table, KEY)

        assert [one.message_sid for one in read] == ["SM8", "SM7", "SM0", "SM6"]
        assert len(table.plan.calls) - 4 == 4, "a call for each page"

    def test_a_conversation_of_the_same_id_is_left_to_its_own_trigger(self, table: InMemoryTable):
        """Conversation ids are unique under their primary channel only."""
        stage(table, message("SM1"))
        stage(table, replace(message("SM2"), conversation=ConversationKey("+4999", KEY.conversation_id)))

        read = staging.read(table, KEY)

        assert [one.message_sid for one in read] == ["SM1"]

    def test_what_the_provider_says_of_an_opt_out_is_kept(self, table: InMemoryTable):
        """Told by the provider, or by a keyword alone: a trigger must know which."""
        told, keyword = replace(message("SM1"), opt_out="STOP"), replace(message("SM2"), opt_out_keyword="START")
        for one in (told, keyword):
            stage(table, one)

        read = staging.read(table, KEY)

        assert [(one.opt_out, one.opt_out_keyword) for one in read] == [("STOP", None), (None, "START")]


class TestSettle:
    def test_rows_are_settled_by_name_only(self, table: InMemoryTable):
        """S3: a row that came later stays."""
        for sid in ("SM1", "SM2", "SM3"):
            stage(table, message(sid))

        staging.settle(table, KEY, ["SM1", "SM3", "SM3", "SM-not-there"])

        assert [row["message_sid"] for row in table.rows] == ["SM2"]

    def test_to_settle_nothing_calls_nothing(self, world: World, table: InMemoryTable):
        """DynamoDB would refuse an empty batch."""
        staging.settle(table, KEY, [])

        assert world.plan.calls == []


class TestKeepAlive:
    def test_the_time_to_live_is_moved_on(self, table: InMemoryTable):
        """S4: time alone deletes nothing."""
        stage(table, message())
        (row,) = staging.read(table, KEY)
        later = START + timedelta(hours=70)

        staging.keep_alive(table, row, now=later, ttl_hours=72, recovered=False)

        table.expire(epoch(START + timedelta(hours=100)))
        (kept,) = staging.read(table, KEY)
        assert (kept.expires_at, kept.recoveries) == (epoch(later) + 72 * 3_600, 0)

    def test_recoveries_are_counted(self, table: InMemoryTable):
        """S4: the sweep never gives a row up, and gets louder."""
        stage(table, message())
        (row,) = staging.read(table, KEY)

        for _ in range(2):
            staging.keep_alive(table, row, now=START, ttl_hours=72, recovered=True)

        (kept,) = staging.read(table, KEY)
        assert kept.recoveries == 2

    def test_a_row_that_was_settled_meanwhile_does_not_come_back(self, table: InMemoryTable):
        """S3: an update without a condition would make an empty row of it."""
        stage(table, message())
        (row,) = staging.read(table, KEY)
        staging.settle(table, KEY, ["SM1"])

        staging.keep_alive(table, row, now=START, ttl_hours=72, recovered=True)

        assert table.rows == []


def test_a_staged_message_shows_nothing_by_accident():
    """Its context holds what the customer wrote."""
    assert "hello" not in repr(message())
