"""What the company's systems may do to `messages`, and what the engine promises then: docs/company-systems.md."""

from __future__ import annotations

import pytest

from tests.company.company import Company, before_call, entry
from tests.world import World, conversation

CALLS = ("PutItem", "BatchGetItem", "UpdateItem", "SendMessage", "CreateMessage")


@pytest.fixture
def company(world: World) -> Company:
    return Company(world)


def ids(world: World) -> list[str | None]:
    """The message ids of the record, in order; None where an entry has none."""
    return [one.get("message_id") for one in world.row["messages"]]


class TestAppending:
    """`SET messages = list_append(messages, :entries)`, at any time."""

    @pytest.mark.parametrize("operation", CALLS)
    def test_an_entry_that_is_appended_at_any_moment_is_kept(self, world: World, company: Company, operation: str):
        """Whatever call of ours it comes before, no message is lost, doubled or answered twice."""
        before_call(world, operation, "", lambda: company.append(entry("theirs")))

        sids = [world.deliver("one"), world.deliver("two")]
        world.run(200)

        assert sorted(one or "" for one in ids(world)) == sorted([*sids, "theirs", world.phone.received[0][0]])
        assert world.entry_ids == sids
        assert world.answered_ids == sids

    def test_an_outbound_entry_that_is_appended_while_a_reply_is_sent_stands_before_the_reply(
        self, world: World, company: Company
    ):
        """The reply is recorded when it is sent, behind what the company wrote meanwhile."""
        document = world.burst_with_ai("one")
        before_call(world, "CreateMessage", "", lambda: company.append(entry("theirs")))

        world.reply(document, "answer")
        world.send_replies()

        assert ids(world)[1:] == ["theirs", world.phone.received[0][0]]
        assert world.row["conversation_status"] == "ai_response_sent"

    def test_an_appended_entry_reaches_the_ai_as_history(self, world: World, company: Company):
        company.append(entry("theirs"))

        document = world.burst_with_ai("one")

        assert [one["message_id"] for one in document["history"]] == ["theirs"]

    def test_an_inbound_entry_of_theirs_is_not_answered(self, world: World, company: Company):
        """Only what came by a webhook is a message to be answered."""
        company.append(entry("call-1", "INBOUND"))

        document = world.burst_with_ai("one")

        assert [one["body"] for one in document["messages"]] == ["one"]

    def test_an_entry_without_an_id_is_kept(self, world: World, company: Company):
        theirs = {name: value for name, value in entry("none").items() if name != "message_id"}
        company.append(theirs)

        world.deliver("one")
        world.run(200)

        assert world.row["messages"][0] == theirs
        assert len(world.answered) == 1

    def test_a_message_that_the_company_appends_itself_is_a_duplicate(self, world: World, company: Company):
        """Its id is in the record, so it counts as ended: it is not dispatched."""
        sid = world.deliver("one")
        company.append(entry(sid, "INBOUND"))

        world.run(200)

        assert world.batches == {}
        assert world.staged_ids == []


class TestTrimming:
    """`REMOVE messages[i]`, at any time."""

    def test_a_trimmed_answered_entry_changes_nothing(self, world: World, company: Company):
        world.deliver("one")
        world.run(200)

        company.trim(0)
        second = world.deliver("two")
        world.run(200)

        assert world.answered_ids[-1] == second
        assert world.entry_ids == [second]

    def test_an_unanswered_entry_that_is_trimmed_is_not_answered_and_the_others_are(
        self, world: World, company: Company
    ):
        """The company has taken it away; the next batch carries what is left."""
        world.burst_with_ai("one", "two")
        stall(world)
        company.trim(0)

        third = world.deliver("three")
        world.run(200)

        ((_, sids),) = world.batches.items()
        assert sids == [*world.entry_ids[:1], third]
        assert world.answered_ids == sids
        assert world.is_at_rest

    def test_a_batch_whose_every_entry_is_trimmed_comes_to_rest(self, world: World, company: Company):
        """Nothing of it can be answered, and nobody waits for it."""
        world.burst_with_ai("one")
        stall(world)
        company.trim(0)

        world.run(4_000)

        assert world.batches == {}
        assert "lock_shard" not in world.row

    def test_a_reply_to_a_batch_whose_entries_are_trimmed_is_still_sent(self, world: World, company: Company):
        """The AI has the message; the reply goes to the customer's last message of the record."""
        document = world.burst_with_ai("one")
        company.append(entry("earlier", "INBOUND", metadata={"sender": "+4915112345678", "recipient": "+14155238886"}))
        company.trim(0)

        world.reply(document, "answer")
        world.send_replies()

        assert world.phone.texts == ["answer"]

    @pytest.mark.parametrize("operation", CALLS)
    def test_an_entry_that_is_trimmed_at_any_moment_takes_no_other_along(
        self, world: World, company: Company, operation: str
    ):
        company.append(entry("theirs"))
        before_call(world, operation, "", lambda: company.trim(0))

        sids = [world.deliver("one"), world.deliver("two")]
        world.run(200)

        assert world.entry_ids == sids
        assert world.answered_ids == sids


class TestRollingWindow:
    """One entry is appended and the first is trimmed: the list's length stays as it was."""

    def grown(self, entries: int = 9) -> tuple[World, Company]:
        """A record that keeps four entries; beyond five the next batch moves some to the history."""
        old = [entry(f"old-{one}", timestamp=f"2026-01-0{one + 1}T12:00:00.000000+00:00") for one in range(entries)]
        world = World(None, conversation(messages=old), messages_keep="4")
        return world, Company(world)

    @pytest.mark.parametrize(
        ("operation", "resource"), [("BatchWriteItem", "history"), ("UpdateItem", "conversations-local")]
    )
    def test_a_rolling_window_beside_a_move_to_the_history_loses_nothing(self, operation: str, resource: str):
        """The move names the entry that it takes off last, and not only how many."""
        world, company = self.grown()
        world.deliver("one")
        world.clock.advance(11)
        before_call(world, operation, resource, lambda: company.roll(entry("theirs")))

        world.run(200)

        kept = set(ids(world)) | {row["message_id"] for row in world.tables.history.rows}
        assert world.tables.history.rows
        assert {"theirs", *world.answered_ids, *(f"old-{one}" for one in range(1, 9))} <= kept
        assert len(world.answered_ids) == 1

    def test_a_rolling_window_never_lets_a_move_take_an_unanswered_message(self):
        """A batch that stalled is carried; the window rolls four times between the copy and the removal."""
        world, company = self.grown(5)
        world.burst_with_ai("one")
        stall(world)
        world.deliver("two")
        world.clock.advance(11)
        before_call(
            world, "UpdateItem", "conversations-local", lambda: [company.roll(entry(f"r-{one}")) for one in range(4)]
        )

        world.run(400)

        assert world.tables.history.rows
        assert len(world.answered_ids) == 2
        assert world.entry_ids == world.answered_ids

    def test_a_rolling_window_beside_a_release_keeps_the_reply(self, world: World, company: Company):
        company.append(entry("old"))
        document = world.burst_with_ai("one")
        before_call(world, "CreateMessage", "", lambda: company.roll(entry("theirs")))

        world.reply(document, "answer")
        world.send_replies()

        assert ids(world)[-2:] == ["theirs", world.phone.received[0][0]]


class TestEntries:
    """An entry that is there."""

    def test_attributes_of_their_own_are_kept(self, world: World, company: Company):
        world.deliver("one")
        world.run(200)

        company.change_entry(0, sentiment="calm")
        world.deliver("two")
        world.run(200)

        assert world.row["messages"][0]["sentiment"] == "calm"
        assert len(world.answered) == 2

    def test_an_unanswered_entry_that_is_damaged_is_not_answered_and_the_others_are(
        self, world: World, company: Company
    ):
        """Without its text or its sender nothing can be dispatched of it."""
        world.burst_with_ai("one", "two")
        stall(world)
        company.change_entry(0, content=None)

        world.deliver("three")
        world.run(400)

        (sids,) = world.batches.values()
        assert sids == world.entry_ids[1:]
        assert world.is_at_rest

    def test_a_row_without_messages_gets_them(self):
        row = {name: value for name, value in conversation().items() if name != "messages"}
        world = World(None, row)

        sid = world.deliver("one")
        world.run(200)

        assert world.entry_ids == [sid]

    def test_messages_that_are_no_list_stop_the_conversation_and_are_reported(self, world: World, company: Company):
        """Nothing can be appended to them; the message stays staged until the company mends the row."""
        company.set(messages=None)
        sid = world.deliver("one")
        world.run(60)
        is_loud = any(line["level"] == "error" for line in world.telemetry.lines)

        company.set(messages=[])
        world.run(2_000)

        assert is_loud
        assert world.answered_ids == [sid]


class TestWholeItems:
    """A put of a whole item: what they must not do, and its result."""

    def test_a_row_that_was_read_before_a_batch_and_is_put_back_loses_its_messages(
        self, world: World, company: Company
    ):
        """The acknowledged message is in no record and no stage any more: this is why it is forbidden."""
        read = world.row
        document = world.burst_with_ai("one")

        company.put(read)
        world.reply(document, "answer")
        world.run(400)

        assert world.entry_ids == []
        assert world.phone.texts == []

    def test_what_is_staged_survives_a_put(self, world: World, company: Company):
        """It is not in the row yet."""
        read = world.row
        sid = world.deliver("one")

        company.put(read)
        world.run(200)

        assert world.answered_ids == [sid]


def stall(world: World) -> None:
    """The AI stays silent until the lock is opened."""
    world.clock.advance(400)
    world.sweep()
    assert world.row["conversation_status"] == "processing_timeout"
