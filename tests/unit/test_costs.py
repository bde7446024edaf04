"""What a message costs: the calls that it makes, and that they do not grow with the conversation."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from chalicelib.clock import iso
from chalicelib.conversations.companies import REMEMBERED_SECONDS
from tests.email_world import EmailWorld
from tests.fakes.clock import START
from tests.fakes.tables import InMemoryTable
from tests.world import KEY, World, conversation

MESSAGES = 120
TOLERANCE = 0.02
"""Of a difference in consumed capacity: the entries of two conversations are not of one size to the byte."""


@pytest.fixture
def warm(world: World) -> World:
    """A process that has answered a message: its secret is cached."""
    world.deliver()
    world.run(30)
    return world


def calls_of(world: World, act) -> list[str]:
    before = len(world.plan.calls)
    act()
    return [call.operation for call in world.plan.calls[before:]]


class TestCalls:
    def test_the_first_message_of_a_burst_makes_five(self, warm: World):
        """Find, load, stage, take the trigger lock, trigger."""
        calls = calls_of(warm, warm.deliver)

        assert calls == ["Query", "GetItem", "PutItem", "PutItem", "SendMessage"]

    def test_the_next_messages_of_a_burst_make_four(self, warm: World):
        """The trigger lock is held: nothing is sent."""
        warm.deliver()

        calls = calls_of(warm, warm.deliver)

        assert calls == ["Query", "GetItem", "PutItem", "PutItem"]

    def test_a_message_of_an_unknown_sender_makes_four(self, warm: World):
        """Find, find the company alone, note that the sender is told, count the text."""
        calls = calls_of(warm, lambda: warm.deliver(From="whatsapp:+4999"))

        assert calls == ["Query", "Query", "PutItem", "UpdateItem"]

    def test_a_further_message_of_an_unknown_sender_makes_two(self, warm: World):
        """The company is remembered for a few seconds, and the refused write tells that they were told."""
        warm.deliver(From="whatsapp:+4999")

        calls = calls_of(warm, lambda: warm.deliver(From="whatsapp:+4999"))

        assert calls == ["Query", "PutItem"]

    def test_a_letter_to_an_unknown_sender_makes_three_more_and_four_to_be_sent(self):
        """Note and count it, and request it; find, claim, send, conclude."""
        world = EmailWorld()
        world.mail()
        world.send_replies()
        world.clock.advance(REMEMBERED_SECONDS)

        calls = calls_of(world, lambda: (world.mail(sender="other@customer.example"), world.send_replies()))

        assert calls[:5] == ["Query", "Query", "PutItem", "UpdateItem", "SendMessage"]
        assert calls[5:] == ["GetItem", "UpdateItem", "CreateMessage", "UpdateItem"]

    @pytest.mark.parametrize("count", [1, 25])
    def test_a_batch_makes_six(self, warm: World, count: int):
        """Give up the trigger lock, read the stage, read the record, lock and append, dispatch, settle."""
        for _ in range(count):
            warm.deliver()
        warm.clock.advance(11)

        calls = calls_of(warm, warm.work)

        (document,) = warm.take(warm.queues.ai)
        assert len(document["messages"]) == count
        assert calls == ["DeleteItem", "Query", "BatchGetItem", "UpdateItem", "SendMessage", "BatchWriteItem"]

    def test_a_batch_of_a_record_that_has_a_history_makes_six_too(self):
        """The history of the staged messages is read together with the record."""
        world = World(None, conversation(messages_moved_before=iso(START)))
        for _ in range(25):
            world.deliver()
        world.clock.advance(11)

        calls = calls_of(world, world.work)

        assert calls == ["DeleteItem", "Query", "BatchGetItem", "UpdateItem", "SendMessage", "BatchWriteItem"]

    def test_a_restart_makes_six_and_a_reply_one_query_more(self):
        """As many as a batch; the reply looks whether something is staged that may restart its batch."""
        world = World(on_new_message="restart")
        world.burst_with_ai("one")
        world.deliver("two")
        world.clock.advance(11)

        of_restart = calls_of(world, world.work)
        world.answer_batches()
        of_reply = calls_of(world, world.send_replies)

        assert of_restart == ["DeleteItem", "Query", "BatchGetItem", "UpdateItem", "SendMessage", "BatchWriteItem"]
        assert of_reply == [
            *("GetItem", "Query"),
            *("UpdateItem", "PutItem", "CreateMessage", "UpdateItem", "UpdateItem", "Query"),
        ]

    def test_a_message_for_people_makes_nine_in_its_webhook(self):
        """Find, load, stage, look (two), acquire, hand off, end, settle: no trigger, and nothing for a worker to do."""
        world = World(None, conversation(auto_queue_reply_message=True))
        world.deliver()

        calls = calls_of(world, world.deliver)

        assert calls == [
            "Query",
            "GetItem",
            "PutItem",
            "Query",
            "BatchGetItem",
            "UpdateItem",
            "SendMessage",
            "UpdateItem",
            "BatchWriteItem",
        ]
        assert world.is_at_rest
        assert not world.queues.triggers["whatsapp"].messages

    def test_a_stop_makes_eight_in_its_webhook(self, warm: World):
        """Find, load, stage, look (two), mark, lock, send: its mark waits for no trigger, and its entry for one."""
        calls = calls_of(warm, lambda: warm.deliver("STOP", OptOutType="STOP"))

        assert calls == [
            "Query",
            "GetItem",
            "PutItem",
            "Query",
            "BatchGetItem",
            "UpdateItem",
            "PutItem",
            "SendMessage",
        ]

    def test_a_message_of_a_young_conversation_with_an_older_one_makes_one_more(self):
        """The pair's older conversations are read together: a retry may be staged in one of them."""
        newer = conversation(conversation_id="c-2", created_at=iso(START))
        world = World(None, conversation(task_complete=1), newer)
        world.deliver()

        calls = calls_of(world, world.deliver)

        assert calls == ["Query", "GetItem", "BatchGetItem", "PutItem", "PutItem"]


@dataclass(frozen=True)
class Cost:
    """Of one message, on the average of many."""

    calls: float
    entries: float
    """Elements of the record's list, at the end."""
    read_units: float
    write_units: float
    index_write_units: float


def _behind(count: int) -> World:
    """A conversation with so many messages behind it: the latest hundred in the record, the others in the history."""
    entries = [
        {
            "message_id": f"SM{number:032x}",
            "direction": "INBOUND" if number % 2 else "OUTBOUND",
            "content": "a message of some length, as people write them " * 2,
            "timestamp": "2025-06-01T12:00:00.000000+00:00",
            "channel_type": "whatsapp",
            "metadata": {"sender": "+4915112345678", "recipient": "+14155238886"},
        }
        for number in range(1_000_000, 1_000_000 + count)
    ]
    kept, moved = entries[-100:], entries[:-100]
    world = World(None, conversation(messages=kept, messages_moved_before="2025-07-01T00:00:00.000000+00:00"))
    world.tables.history.seed(
        *(
            {"conversation_id": KEY.conversation_id, "message_id": one["message_id"], "entry": one, "moved_at": "2025"}
            for one in moved
        )
    )
    return world


def _cost(world: World) -> Cost:
    """The average over many messages, each answered, a few hours apart."""
    tables: list[InMemoryTable] = [
        world.tables.conversations,
        world.tables.stage,
        world.tables.trigger_lock,
        world.tables.history,
    ]
    calls, consumed = len(world.plan.calls), [table.consumed for table in tables]
    for _ in range(MESSAGES):
        world.deliver("a message of some length, as people write them " * 2)
        world.clock.advance(11)
        world.work()
        world.answer_batches()
        world.send_replies()
        world.clock.advance(4 * 3_600)
    pairs = list(zip(consumed, (table.consumed for table in tables), strict=True))
    assert len(world.answered) == MESSAGES
    return Cost(
        calls=(len(world.plan.calls) - calls) / MESSAGES,
        entries=len(world.row["messages"]),
        read_units=sum(after.read_units - before.read_units for before, after in pairs) / MESSAGES,
        write_units=sum(after.write_units - before.write_units for before, after in pairs) / MESSAGES,
        index_write_units=sum(after.index_write_units - before.index_write_units for before, after in pairs) / MESSAGES,
    )


@pytest.fixture(scope="module")
def worlds() -> tuple[World, World]:
    """A short and a long conversation."""
    return _behind(100), _behind(10_000)


@pytest.fixture(scope="module")
def costs(worlds: tuple[World, World]) -> tuple[Cost, Cost]:
    """What a message costs in each."""
    short, long = worlds
    return _cost(short), _cost(long)


class TestLongConversations:
    def test_the_cost_of_a_message_does_not_grow_with_the_conversation(self, costs: tuple[Cost, Cost]):
        """With 10,000 messages behind it: calls, items and consumed capacity are those of 100."""
        of_short, of_long = costs

        assert of_long.calls == of_short.calls
        assert of_long.entries == of_short.entries <= 125
        assert of_long.read_units == pytest.approx(of_short.read_units, rel=TOLERANCE)
        assert of_long.write_units == pytest.approx(of_short.write_units, rel=TOLERANCE)
        assert of_long.index_write_units == pytest.approx(of_short.index_write_units, rel=TOLERANCE)

    def test_moving_history_is_rare(self, worlds: tuple[World, World], costs: tuple[Cost, Cost]):
        """Less than one message in ten causes it; it comes on top of the batch's six calls."""
        moves = [
            sum((call.operation, call.resource) == ("BatchWriteItem", "conversations-history-local") for call in calls)
            for calls in (world.plan.calls for world in worlds)
        ]

        assert all(0 < count < MESSAGES / 5 for count in moves), "two calls for each move"

    def test_nothing_but_the_record_and_the_history_is_left_of_a_message(
        self, worlds: tuple[World, World], costs: tuple[Cost, Cost]
    ):
        """Rows of the stage and trigger locks go; every entry that left the record is in the history."""
        short, long = worlds

        assert short.tables.stage.rows == long.tables.stage.rows == []
        assert short.tables.trigger_lock.rows == long.tables.trigger_lock.rows == []
        assert len(short.tables.history.rows) + costs[0].entries == 100 + 2 * MESSAGES
        assert len(long.tables.history.rows) + costs[1].entries == 10_000 + 2 * MESSAGES
