"""Stage 2: from a trigger to one batch, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import from_iso
from chalicelib.errors import TryAgain
from chalicelib.ports.queues import MESSAGE_BYTES_MAX
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.trigger_lock import Trigger
from chalicelib.telemetry import Metric
from tests.emails import CUSTOMER_EMAIL
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.world import KEY, World, conversation, email_conversation

GIVE_UP, READ_STAGE, READ_RECORD, LOCK, DISPATCH, SETTLE = range(1, 7)
"""The calls of a plain batch."""

OLD_SID = "SM" + "f" * 32
OLD = {"message_id": OLD_SID, "direction": "INBOUND", "timestamp": "2026-01-30T00:00:00+00:00", "content": "x"}


def due(world: World, *bodies: str) -> list[str]:
    """Messages whose window is over; their sids."""
    sids = [world.deliver(body) for body in bodies or ("hello",)]
    world.clock.advance(11)
    return sids


def fault(world: World, call: int, what: Fault) -> None:
    """Let the call of this number from here on meet a fault."""
    world.plan.faults = {len(world.plan.calls) + call: what}


def before(world: World, call: int, step: Callable[[], object]) -> None:
    """Let another actor act just before the call of this number from here on."""
    world.plan.interleave(len(world.plan.calls) + call, step)


def dispatched(world: World) -> list[dict[str, Any]]:
    """What the AI receives now."""
    return world.take(world.queues.ai)


def ids(document: dict[str, Any]) -> list[str]:
    return [message["message_id"] for message in document["messages"]]


def waiting(world: World) -> list[tuple[str, int, float]]:
    """The triggers on their way: id, attempt, and in how many seconds."""
    now = world.clock.monotonic()
    queue = world.queues.triggers["whatsapp"]
    bodies = [(json.loads(one.body), one.visible_at - now) for one in queue.messages]
    return [(body["trigger_id"], body["RetryAttempt"], seconds) for body, seconds in bodies]


def drop_triggers(world: World) -> None:
    world.queues.triggers["whatsapp"].messages.clear()


def trigger(trigger_id: str = "t-1", attempt: int = 0, key: ConversationKey = KEY) -> str:
    return Trigger(key, trigger_id, attempt).body


class TestBatch:
    def test_a_burst_becomes_one_batch_in_order(self, world: World):
        """Dispatched, in the record, settled, and the conversation locked for it."""
        sids = due(world, "one", "two", "three")

        world.work()

        (document,) = dispatched(world)
        assert ids(document) == world.entry_ids == world.row["unanswered_ids"] == sids
        assert document["meta"]["batch_id"] == world.row["last_batch_id"]
        assert {entry["batch_id"] for entry in world.row["messages"]} == {world.row["last_batch_id"]}
        assert world.row["conversation_status"] == "processing_reply"
        assert world.staged_ids == []

    def test_the_lock_is_given_up_before_the_stage_is_read(self, world: World):
        """T2: a message staged after the read finds no lock and sends its own trigger."""
        due(world)
        calls = len(world.plan.calls)

        world.work()

        made = [(call.operation, call.resource) for call in world.plan.calls[calls:]]
        assert made == [
            ("DeleteItem", "conversations-trigger-lock-local"),
            ("Query", "conversations-stage-local"),
            ("BatchGetItem", "conversations-local"),
            ("UpdateItem", "conversations-local"),
            ("SendMessage", "replies-engine-local-ai"),
            ("BatchWriteItem", "conversations-stage-local"),
        ]

    def test_a_trigger_that_finds_nothing_is_done(self, world: World):
        """A spare one is harmless."""
        world.invoke("whatsapp", [trigger()])

        assert (dispatched(world), waiting(world)) == ([], [])
        assert world.telemetry.steps()[-1] == "nothing_staged"

    def test_a_batch_is_the_longest_run_with_one_destination(self):
        """In order: what was staged behind a message for people waits until they have it, and the reverse."""
        world = World(None, email_conversation(auto_queue_reply_message_from_email=[CUSTOMER_EMAIL]))
        first = world.deliver("one")
        world.clock.advance(1)
        world.deliver_email()
        (mail_id,) = {*world.staged_ids} - {first}
        world.clock.advance(1)
        last = world.deliver("three")

        world.run(600)

        world.take_handoffs()
        assert list(world.batches.values()) == [[first], [last]]
        assert world.with_people == [mail_id]
        assert world.entry_ids == [first, mail_id, last]

    def test_the_batch_s_wait_and_size_are_measured(self, world: World):
        """From the oldest message on."""
        due(world, "one", "two")

        world.work()

        assert world.telemetry.total(Metric.WINDOW_WAIT) == 11
        assert world.telemetry.total(Metric.BATCH_SIZE) == 2


class TestStillTyping:
    def test_a_message_within_the_window_makes_the_batch_wait(self, world: World):
        """Until the customer has been quiet for the window."""
        world.deliver("one")
        world.clock.advance(8)
        world.deliver("two")
        world.clock.advance(2)

        world.work()

        assert dispatched(world) == []
        assert [seconds for _, _, seconds in waiting(world)] == [8]

    def test_the_later_trigger_makes_the_batch(self, world: World):
        """With both messages, and a trigger of its own id."""
        sids = [world.deliver("one")]
        world.clock.advance(8)
        sids.append(world.deliver("two"))
        world.clock.advance(2)
        world.work()
        world.clock.advance(8)

        world.work()

        assert [ids(document) for document in dispatched(world)] == [sids]

    def test_a_customer_who_never_stops_is_answered_after_the_cap(self, world: World):
        """From the first message; no message is left out and none waits for the sweep."""
        documents: list[dict[str, Any]] = []
        for _ in range(12):
            world.deliver("and another thing")
            world.clock.advance(5)
            world.work()
            documents += dispatched(world)
            if documents:
                break

        (document,) = documents
        assert world.clock.now() - START <= timedelta(seconds=35)
        assert len(document["messages"]) == 6

    def test_a_window_equal_to_the_cap_is_fixed(self):
        """The last message does not move it on."""
        world = World(batch_window_seconds="10", batch_max_wait_seconds="10")
        world.deliver("one")
        world.clock.advance(9)
        world.deliver("two")
        world.clock.advance(1)

        world.work()

        (document,) = dispatched(world)
        assert len(document["messages"]) == 2


class TestManyMessages:
    def test_what_is_beyond_the_maximum_is_batched_after_the_release(self):
        """In order, each once, without a sweep."""
        world = World(batch_messages_max="2")
        sids = due(world, *"abcde")

        for _ in range(4):
            world.work()
            world.answer_batches()
            world.send_replies()

        assert [len(batch) for batch in world.batches.values()] == [2, 2, 1]
        assert world.answered_ids == world.entry_ids == sids
        assert world.staged_ids == []

    def test_the_maximum_limits_the_stage_and_not_what_is_carried(self):
        """What an earlier batch left unanswered comes on top."""
        world = World(batch_messages_max="2")
        sids = due(world, "a", "b")
        world.work()
        dispatched(world)
        world.clock.advance(400)
        world.sweep()
        sids += due(world, "c", "d", "e")

        world.work()

        (document,) = dispatched(world)
        assert ids(document) == sids[:4]


KILOBYTES_20 = "x" * 19_500
"""The text of a message whose row is as large as one becomes."""


def full(**changes: Any) -> dict[str, Any]:
    """A record that holds as much as `MESSAGES_BYTES_MAX` can ask for, all of it answered and young."""
    entries = [
        {**OLD, "message_id": f"SM-old-{number}", "timestamp": START.isoformat(), "content": "y" * 2_500}
        for number in range(100)
    ]
    return conversation(messages=entries, **changes)


class TestLargeMessages:
    def test_a_batch_takes_no_more_than_its_record_has_room_for(self):
        """What it leaves is batched after the release, in order, until nothing is left; no write is ever refused."""
        world = World(None, full(), messages_bytes_max="262144")
        sids = due(world, *[KILOBYTES_20] * 25)

        world.run(900)

        assert world.is_at_rest
        assert world.answered_ids == sids
        assert len(world.batches) > 2
        assert "failed" not in world.telemetry.steps()

    def test_a_record_full_of_what_is_unanswered_takes_nothing_more(self):
        """It is dispatched again as it is; what waits is taken once that is answered and moved."""
        world = World(None, batch_messages_max="25")
        first = due(world, *[KILOBYTES_20] * 25)
        world.work()
        taken = ids(dispatched(world)[0])
        world.clock.advance(400)
        world.sweep()
        later = due(world, KILOBYTES_20)

        world.work()

        assert 0 < len(taken) < len(first)
        (again,) = dispatched(world)
        assert ids(again) == taken
        assert all(message["carried"] for message in again["messages"])
        world.reply(again, "an answer")
        world.run(900)
        assert world.is_at_rest
        assert world.answered_ids == [*first, *later]
        assert "failed" not in world.telemetry.steps()

    def test_one_message_is_taken_where_nothing_is_carried(self):
        """A record that its company keeps overfull itself is no reason to wait for ever."""
        entries = [{**OLD, "message_id": f"SM-old-{number}", "content": "y" * 30_000} for number in range(11)]
        world = World(None, conversation(messages=entries), messages_keep="0")
        first, _ = due(world, "one", "two")

        world.work()

        assert ids(dispatched(world)[0]) == [first]

    @pytest.mark.parametrize("changes", [{"project_status": "closed"}, {"auto_queue_reply_message": True}])
    def test_what_no_batch_takes_is_appended_within_the_same_bounds(self, changes: dict[str, Any]):
        """Refused and handed-off messages are kept in the record too."""
        world = World(None, full(), messages_bytes_max="262144")
        sids = due(world, *[KILOBYTES_20] * 25)
        world.tables.conversations.seed({**world.row, **changes})

        world.run(900)

        assert world.is_at_rest
        kept = {row["message_id"] for row in world.tables.history.rows} | set(world.entry_ids)
        assert set(sids) <= kept
        assert "DB_QUERY_ERROR" not in {line.get("code") for line in world.telemetry.lines}

    def test_the_bytes_of_a_record_are_bytes_in_every_script(self):
        """A character of Japanese is three: a record of them is brought down as early as one of English."""
        entries = [{**OLD, "message_id": f"SM-old-{number}", "content": "本" * 3_000} for number in range(10)]
        world = World(None, conversation(messages=entries), messages_bytes_max="65536")
        due(world)

        world.work()

        assert len(world.tables.history.rows) == 5


class TestResume:
    @pytest.mark.parametrize(
        ("call", "what", "times"),
        [
            (LOCK, Fault.CRASH_AFTER, 1),
            (DISPATCH, Fault.CRASH_BEFORE, 1),
            (DISPATCH, Fault.CRASH_AFTER, 2),
            (SETTLE, Fault.CRASH_BEFORE, 2),
        ],
    )
    def test_a_crash_is_resumed_by_the_same_trigger_with_the_same_batch(
        self, world: World, call: int, what: Fault, times: int
    ):
        """There is no unlock once a dispatch may have happened: the AI dedupes by the batch's id."""
        sids = due(world, "one", "two")
        fault(world, call, what)
        world.work()
        batch_id = world.row["last_batch_id"]
        world.clock.advance(180)

        world.work()

        documents = dispatched(world)
        assert [ids(document) for document in documents] == [sids] * times
        assert {document["meta"]["batch_id"] for document in documents} == {batch_id}
        assert world.row["unanswered_ids"] == world.entry_ids == sids
        assert world.staged_ids == []

    def test_a_resume_starts_the_lock_s_clock_anew(self, world: World):
        """L5: so that no sweep resets it while its batch is dispatched again."""
        due(world)
        fault(world, DISPATCH, Fault.CRASH_BEFORE)
        world.work()
        world.clock.advance(180)

        world.work()

        assert from_iso(world.row["processing_started_at"]) == world.clock.now()

    def test_a_resume_comes_before_still_typing(self, world: World):
        """A message that came since waits for the release; the crashed lock does not wait for it."""
        due(world, "one")
        fault(world, DISPATCH, Fault.CRASH_BEFORE)
        world.work()
        world.clock.advance(178)
        later = world.deliver("two")
        world.clock.advance(2)

        world.work()

        (document,) = dispatched(world)
        assert later not in ids(document)
        assert world.staged_ids == [later]

    def test_a_resume_comes_before_empty(self, world: World):
        """L5: the rows may be settled already."""
        due(world)
        fault(world, SETTLE, Fault.CRASH_AFTER)
        world.work()
        world.clock.advance(180)

        world.work()

        assert len(dispatched(world)) == 2

    def test_a_batch_that_a_reply_has_claimed_is_only_settled(self, world: World):
        """It was dispatched: to send it again could have it answered twice."""
        due(world)
        fault(world, SETTLE, Fault.CRASH_BEFORE)
        world.work()
        dispatched(world)
        world.tables.conversations.seed({**world.row, "reply_claim": "r-1"})
        world.clock.advance(180)

        world.work()

        assert (dispatched(world), world.staged_ids) == ([], [])

    def test_a_lock_that_was_reset_meanwhile_is_not_resumed(self, world: World):
        """L2: what it held is carried into a new batch, by whoever triggers that."""
        sids = due(world, "one")
        fault(world, DISPATCH, Fault.CRASH_BEFORE)
        world.work()
        first = world.row["last_batch_id"]
        world.clock.advance(400)
        world.sweep()

        world.work()

        (document,) = dispatched(world)
        assert ids(document) == world.entry_ids == sids
        assert document["meta"]["batch_id"] == world.row["last_batch_id"] != first

    def test_a_lock_reset_between_read_and_refresh_is_looked_at_again(self, world: World):
        """L2: the refresh is refused, and the next look finds what is."""
        due(world)
        fault(world, DISPATCH, Fault.CRASH_BEFORE)
        world.work()
        world.clock.advance(400)
        before(world, LOCK, world.sweep)

        world.work()

        (document,) = dispatched(world)
        assert document["messages"][0]["carried"] is True


class TestComingAgain:
    def test_a_trigger_that_failed_comes_again_as_itself_and_later(self, world: World):
        """T4: the same id, one attempt on; its batch is resumed."""
        due(world)
        ((trigger_id, _, _),) = waiting(world)
        fault(world, DISPATCH, Fault.THROTTLED)
        world.work()
        again = waiting(world)
        batch_id = world.row["last_batch_id"]
        world.clock.advance(15)

        world.work()

        (document,) = dispatched(world)
        assert again == [(trigger_id, 1, 15)]
        assert document["meta"]["batch_id"] == batch_id
        assert world.telemetry.total(Metric.REQUEUED) == 1

    def test_each_time_it_comes_later(self, world: World):
        """Doubling up to 300 seconds."""
        delays = []
        for attempt in range(6):
            drop_triggers(world)
            fault(world, READ_STAGE, Fault.THROTTLED)
            world.invoke("whatsapp", [trigger("t-1", attempt)])
            delays += [seconds for _, _, seconds in waiting(world)]

        assert delays == [15, 30, 60, 120, 240, 300]

    def test_past_the_maximum_it_goes_to_the_dead_letters_with_the_reason(self, world: World):
        """What it was for stays staged, and the sweep finds that."""
        sids = due(world)
        drop_triggers(world)
        fault(world, READ_STAGE, Fault.MISCONFIGURED)

        world.invoke("whatsapp", [trigger("t-1", 6)])

        (dead,) = world.dead
        assert json.loads(dead.body)["RetryAttempt"] == 0  # one that is redriven starts anew
        assert dead.reason.startswith("DB_QUERY_ERROR: Query conversations-stage-local")
        assert world.staged_ids == sids
        world.run(600)
        assert world.answered_ids == sids

    def test_where_even_coming_again_fails_sqs_delivers_it_again(self, world: World):
        """The function raises, after all other triggers had their turn."""
        due(world)
        world.plan.faults = dict.fromkeys(range(len(world.plan.calls) + 2, len(world.plan.calls) + 6), Fault.THROTTLED)

        world.work()

        assert [type(failure) for failure in world.failures] == [TryAgain]
        world.clock.advance(180)
        world.work()
        assert len(dispatched(world)) == 1

    def test_an_error_that_nobody_expected_has_the_trigger_come_again(self, world: World):
        """Told by its type and place."""
        due(world)
        before(world, READ_RECORD, lambda: 1 / 0)

        world.work()

        assert [attempt for _, attempt, _ in waiting(world)] == [1]
        (line,) = (line for line in world.telemetry.lines if line["step"] == "failed")
        assert line["code"] == "INTERNAL_ERROR"
        assert line["reason"].startswith("ZeroDivisionError at test_batching.py:")

    def test_without_time_left_a_trigger_comes_again_untouched(self, world: World):
        """Before the function's own timeout cuts it."""
        due(world)
        before(world, READ_STAGE, lambda: world.clock.advance(26))

        world.work()

        assert [attempt for _, attempt, _ in waiting(world)] == [1]
        assert not world.row.get("last_batch_id")


class TestEvent:
    def test_the_same_trigger_twice_in_an_event_is_one(self, world: World):
        """Duplicates collapse."""
        due(world)
        calls = len(world.plan.calls)

        world.invoke("whatsapp", [trigger()] * 3)

        assert len(dispatched(world)) == 1
        assert len(world.plan.calls) - calls == 6

    def test_each_conversation_succeeds_or_fails_alone(self):
        """One that fails comes again, its neighbour is answered."""
        other = conversation(conversation_id="conversation-0", gsi_recipient_tel="+4999", primary_channel="+4999")
        world = World(None, conversation(), other)
        world.deliver("mine")
        theirs = world.deliver("theirs", From="whatsapp:+4999")
        world.clock.advance(11)
        world.plan.faults = {len(world.plan.calls) + SETTLE + READ_STAGE: Fault.THROTTLED}

        world.work()

        (document,) = dispatched(world)
        assert ids(document) == [theirs]
        assert [attempt for _, attempt, _ in waiting(world)] == [1]

    @pytest.mark.parametrize(
        "body",
        ["{", "[]", "null", '{"conversation_id": "c"}', trigger().replace('"t-1"', "7"), "[" * 100_000, "x"],
        ids=["no JSON", "a list", "null", "too little", "a number", "deep", "a text"],
    )
    def test_a_malformed_trigger_is_dead_lettered_at_once_and_its_neighbours_are_unharmed(
        self, world: World, body: str
    ):
        """With the reason, and as it came."""
        due(world)

        world.invoke("whatsapp", [body, trigger(), body])

        assert [(dead.body, dead.reason.startswith("a trigger")) for dead in world.dead] == [(body, True)] * 2
        assert len(dispatched(world)) == 1

    def test_a_malformed_trigger_of_the_largest_size_is_dead_lettered_too(self, world: World):
        """The reason beside it must not make it larger than the dead-letter queue takes."""
        due(world)

        world.invoke("whatsapp", ["x" * MESSAGE_BYTES_MAX, trigger()])

        assert len(world.dead) == 1
        assert len(dispatched(world)) == 1

    def test_a_malformed_trigger_that_cannot_be_dead_lettered_harms_no_neighbour(self, world: World):
        """The function raises in the end, and SQS delivers the event again."""
        due(world)
        fault(world, 1, Fault.THROTTLED)

        with pytest.raises(TryAgain):
            world.invoke("whatsapp", ["{", trigger()])

        assert len(dispatched(world)) == 1


class TestContention:
    def test_a_lock_of_another_trigger_makes_ours_come_again(self, world: World):
        """Counted; with the same id, and without spending an attempt: it has not failed."""
        due(world, "one")
        world.work()
        due(world, "two")
        ((trigger_id, _, _),) = waiting(world)

        world.work()

        assert waiting(world) == [(trigger_id, 0, 15)]
        assert world.telemetry.total(Metric.CONTENTION) == 1

    def test_a_trigger_that_waits_already_spares_ours(self, world: World):
        """That one finds the same rows."""
        due(world, "one")
        world.work()
        due(world, "two")
        before(world, LOCK, lambda: world.deliver("three"))

        world.work()

        assert [(attempt, seconds) for _, attempt, seconds in waiting(world)] == [(0, 10)]

    def test_a_trigger_that_comes_again_is_counted_whatever_the_reason(self, world: World):
        """By contention as by a fault, so that one alarm sees both; one that does not come again is not counted."""
        due(world, "one")
        world.work()
        due(world, "two")
        world.work()
        due(world, "three")
        before(world, LOCK, lambda: world.deliver("four"))
        world.work()

        requeued = [line for line in world.telemetry.lines if line["step"] == "requeued"]

        assert world.telemetry.total(Metric.CONTENTION) == 2
        assert world.telemetry.total(Metric.REQUEUED) == 1
        assert [(line["level"], line["attempt"], line["reason"]) for line in requeued] == [
            ("info", 0, "CONVERSATION_LOCKED")
        ]

    def test_a_trigger_that_meets_a_lock_is_never_dead_lettered_for_it(self, world: World):
        """However long the AI's turn lasts: here on the last attempt that faults have left it."""
        due(world, "one")
        world.work()
        sids = due(world, "two")
        ((trigger_id, _, _),) = waiting(world)
        drop_triggers(world)

        world.invoke("whatsapp", [trigger(trigger_id, 6)])

        assert world.dead == []
        assert [one[:2] for one in waiting(world)] == [(trigger_id, 6)]
        assert world.staged_ids == sids

    def test_a_stalled_lock_in_the_way_is_let_go_of(self, world: World):
        """As the sweep would; what it held is carried and marked."""
        sids = due(world, "one")
        world.work()
        dispatched(world)
        world.clock.advance(400)
        sids += due(world, "two")

        world.work()

        (document,) = dispatched(world)
        assert [(one["message_id"], one.get("carried", False)) for one in document["messages"]] == [
            (sids[0], True),
            (sids[1], False),
        ]
        assert world.entry_ids == sids

    def test_another_system_s_lock_is_stamped_then_waited_for_then_reset(self):
        """L6: without a start it could never stall."""
        world = World(None, conversation(conversation_status="processing_reply"))
        sids = due(world)
        world.work()
        stamped = world.row["processing_started_at"]

        world.run(1_000)

        assert from_iso(stamped) == START + timedelta(seconds=11)
        assert "stamped_foreign_lock" in world.telemetry.steps()
        assert world.answered_ids == sids


class TestConcurrentChanges:
    def test_a_row_that_arrives_between_read_and_settle_stays_staged(self, world: World):
        """Only the rows of the batch are settled; it is batched after the release."""
        first = due(world, "one")
        late: list[str] = []
        before(world, LOCK, lambda: late.append(world.deliver("two")))
        world.work()
        staged = world.staged_ids

        world.run(120)

        assert staged == late
        assert list(world.batches.values()) == [first, late]
        assert world.answered_ids == world.entry_ids == [*first, *late]

    @pytest.mark.parametrize(
        "change",
        [
            lambda row: {"messages": [*row["messages"], OLD]},
            lambda _: {"conversation_status": "something_of_the_company"},
            lambda _: {"conversation_version": 9},
        ],
        ids=["append", "status", "version"],
    )
    def test_what_changed_between_read_and_lock_is_not_lost(self, world: World, change):
        """L1: neither what the company wrote nor what we append; a status or a version is looked at again."""
        sids = due(world)
        before(world, LOCK, lambda: world.tables.conversations.seed({**world.row, **change(world.row)}))

        world.work()

        (document,) = dispatched(world)
        assert ids(document) == world.row["unanswered_ids"] == sids
        assert [one["message_id"] for one in document["history"]] == [
            one["message_id"] for one in world.row["messages"] if one["message_id"] not in sids
        ]

    def test_a_record_that_keeps_changing_has_the_trigger_come_again(self, world: World):
        """After a few looks, with the code of what the world must mend."""
        due(world)
        for look in range(4):
            status = {"conversation_status": f"of the company: {look}"}
            before(
                world,
                LOCK + 3 * look,
                lambda status=status: world.tables.conversations.seed({**world.row, **status}),
            )

        world.work()

        assert dispatched(world) == []
        assert [attempt for _, attempt, _ in waiting(world)] == [1]
        assert ("Requeued", 1, "whatsapp", "DB_TRANSIENT_ERROR") in world.telemetry.counts

    def test_a_record_that_was_locked_between_read_and_lock_is_contended_for(self, world: World):
        """By another trigger of the same conversation: one batch holds the message."""
        sids = due(world)
        before(world, LOCK, lambda: world.invoke("whatsapp", [trigger("another")]))

        world.work()

        assert [ids(document) for document in dispatched(world)] == [sids]
        assert world.entry_ids == sids


class TestDuplicates:
    def test_a_message_that_was_answered_is_settled_and_never_dispatched(self, world: World):
        """In the record's own list; without a lock."""
        (sid,) = due(world)
        world.run(60)
        version = world.row["conversation_version"]
        world.deliver(sid=sid)
        world.clock.advance(11)

        world.work()

        assert (dispatched(world), world.staged_ids) == ([], [])
        assert world.row["conversation_version"] == version
        assert ("DuplicateMessageDetected", 1, "whatsapp", "answered") in world.telemetry.counts

    def test_a_message_that_was_moved_is_settled_and_never_dispatched(self):
        """H3: where the record ever moved history, that is read with it."""
        world = World(None, conversation(messages_moved_before="2026-01-30T00:00:00.000000+00:00"))
        world.tables.history.seed({**KEY.item, "message_id": OLD_SID})
        world.deliver(sid=OLD_SID)
        world.clock.advance(11)

        world.work()

        assert (dispatched(world), world.staged_ids, world.entry_ids) == ([], [], [])

    def test_a_message_that_was_moved_after_its_webhook_looked_is_found_too(self, world: World):
        """H3: the history is read after the record that shows the move."""
        world.tables.conversations.seed({**world.row, "messages": [OLD]})
        world.deliver(sid=OLD_SID)
        world.clock.advance(11)
        world.tables.history.seed({**KEY.item, "message_id": OLD_SID})
        moved = {"messages": [], "messages_moved_before": "2026-01-31T18:00:05.000000+00:00"}
        world.tables.conversations.seed({**world.row, **moved})

        world.work()

        assert (dispatched(world), world.staged_ids) == ([], [])

    def test_a_duplicate_beside_a_new_message_is_settled_with_the_batch(self, world: World):
        """The new one alone is dispatched."""
        (sid,) = due(world)
        world.run(60)
        world.deliver(sid=sid)
        (new,) = due(world)

        world.work()

        (document,) = dispatched(world)
        assert ids(document) == [new]
        assert world.staged_ids == []

    def test_a_message_that_is_unanswered_and_staged_still_is_dispatched_once(self, world: World):
        """L3: neither a duplicate nor appended again."""
        sids = due(world)
        fault(world, DISPATCH, Fault.CRASH_BEFORE)
        world.work()
        drop_triggers(world)
        world.clock.advance(400)
        world.sweep()

        world.work()

        (document,) = dispatched(world)
        assert ids(document) == world.entry_ids == sids
        assert world.staged_ids == []


class TestRulesAgain:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"project_status": "closed"}, "PROJECT_INACTIVE"),
            ({"allowed_channels": ["sms"]}, "CHANNEL_NOT_ALLOWED"),
            ({"opted_out": True}, "OPTED_OUT"),
            ({"task_complete": 1}, "CONVERSATION_NOT_FOUND"),
        ],
    )
    def test_what_a_rule_refuses_now_is_settled_with_the_code_and_kept_in_the_record(
        self, world: World, changes: dict, code: str
    ):
        """Logged and counted; no batch, no lock, nothing unanswered."""
        sids = due(world, "one", "two")
        world.tables.conversations.seed({**world.row, **changes})

        world.work()

        assert (dispatched(world), world.staged_ids) == ([], [])
        assert [(one["message_id"], one["refused"]) for one in world.row["messages"]] == [(sid, code) for sid in sids]
        assert not world.row.get("unanswered_ids")
        assert [count for count in world.telemetry.counts if count[0] == "Refused"] == [
            ("Refused", 1, "whatsapp", code)
        ] * 2

    def test_what_is_routed_to_people_now_is_handed_off(self, world: World):
        """With its entry, and settled."""
        sids = due(world, "one", "two")
        world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})

        world.work()

        world.take_handoffs()
        assert (world.with_people, dispatched(world), world.staged_ids) == (sids, [], [])
        assert [one["handed_off"] for one in world.row["messages"]] == [True, True]

    def test_what_was_carried_goes_to_people_too(self, world: World):
        """L4: and leaves what is unanswered in the same write."""
        sids = due(world, "one")
        world.work()
        dispatched(world)
        world.clock.advance(400)
        world.sweep()
        sids += due(world, "two")
        world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})

        world.work()

        world.take_handoffs()
        assert world.with_people == sids
        assert world.row["unanswered_ids"] == []

    def test_the_messages_of_a_conversation_that_is_gone_are_refused(self, world: World):
        """There is no record to keep them in; loud."""
        due(world)
        world.tables.conversations.delete(KEY.item)

        world.work()

        assert (dispatched(world), world.tables.stage.rows) == ([], [])
        (line,) = (line for line in world.telemetry.lines if line["step"] == "refused")
        assert (line["level"], line["code"]) == ("error", "CONVERSATION_NOT_FOUND")


class TestEmergencyUnlock:
    @pytest.fixture
    def unbuildable(self) -> World:
        """A conversation whose context is larger than the queue takes: an error between the lock and the dispatch."""
        return World(None, conversation(notes="\x01" * 200_000), context_attributes="notes")

    def test_a_fresh_lock_that_carries_nothing_is_given_back(self, unbuildable: World):
        """Nobody knows of the batch yet; its messages are carried into the next."""
        sids = due(unbuildable)

        unbuildable.work()

        assert unbuildable.row["conversation_status"] == "processing_error"
        assert unbuildable.row["unanswered_ids"] == unbuildable.staged_ids == sids
        assert [attempt for _, attempt, _ in waiting(unbuildable)] == [1]

    def test_a_lock_that_carries_something_is_kept(self, unbuildable: World):
        """The carried message may be with the AI already."""
        due(unbuildable)
        unbuildable.work()
        unbuildable.clock.advance(15)

        unbuildable.work()

        assert unbuildable.row["conversation_status"] == "processing_reply"

    def test_a_resumed_lock_is_kept(self, world: World):
        """Its batch may have been dispatched before the crash."""
        due(world)
        fault(world, DISPATCH, Fault.CRASH_AFTER)
        world.work()
        world.clock.advance(180)
        world.tables.conversations.seed({**world.row, "messages": []})

        world.work()

        assert world.row["conversation_status"] == "processing_reply"
        assert "emergency_unlock" not in world.telemetry.steps()

    @pytest.mark.parametrize("what", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.LOST_ANSWER, Fault.MISCONFIGURED])
    def test_once_a_dispatch_was_tried_the_lock_is_kept(self, world: World, what: Fault):
        """Whatever its outcome: the same trigger comes again and resumes."""
        due(world)
        fault(world, DISPATCH, what)

        world.work()

        assert world.row["conversation_status"] == "processing_reply"
        assert [attempt for _, attempt, _ in waiting(world)] == [1]

    def test_the_messages_reach_the_ai_once_the_cause_is_gone(self, unbuildable: World):
        """Nothing is lost meanwhile."""
        sids = due(unbuildable)
        unbuildable.work()
        unbuildable.tables.conversations.seed({**unbuildable.row, "notes": "short"})

        unbuildable.run(120)

        assert unbuildable.answered_ids == unbuildable.entry_ids == sids


class TestHistory:
    def test_a_record_that_has_outgrown_its_bounds_is_brought_down_before_the_lock(self):
        """And the batch is dispatched all the same."""
        entries = [
            {**OLD, "message_id": f"old-{number}", "timestamp": "2020-01-01T00:00:00+00:00"} for number in range(40)
        ]
        world = World(None, conversation(messages=entries), messages_keep="8")
        sids = due(world)

        world.work()

        (document,) = dispatched(world)
        assert ids(document) == sids
        assert len(world.row["messages"]) == 9
        assert len(world.tables.history.rows) == 32
