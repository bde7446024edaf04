"""The conversation lock: L1 to L6."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.errors import TryAgain
from chalicelib.protocol import conversation_lock, reply_claim
from chalicelib.protocol.conversation_lock import Appended, Changed, Lease, Lost, Reset
from chalicelib.protocol.record import Record
from chalicelib.protocol.reply_claim import Released
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.fakes.tables import InMemoryTable
from tests.world import COMPANY, CUSTOMER, KEY, World, conversation


def entry(sid: str, batch_id: str = "b-1") -> dict[str, Any]:
    return {
        "message_id": sid,
        "direction": "INBOUND",
        "content": "hello",
        "timestamp": iso(START),
        "channel_type": "whatsapp",
        "metadata": {"sender": CUSTOMER, "recipient": COMPANY},
        "batch_id": batch_id,
    }


class Lock:
    """One conversation's lock, over a table in memory."""

    def __init__(self, **changes: Any) -> None:
        self.world = World(None, conversation(**changes))
        self.table: InMemoryTable = self.world.tables.conversations

    @property
    def record(self) -> Record:
        return Record.from_item(self.world.row)

    def acquire(self, record: Record | None = None, *sids: str, batch_id: str = "b-1") -> Lease | Changed:
        return conversation_lock.acquire(
            self.table,
            record or self.record,
            batch_id=batch_id,
            trigger_id=f"trigger of {batch_id}",
            entries=[entry(sid, batch_id) for sid in sids],
            shards=2,
            now=self.world.clock.now(),
        )

    def refresh(self, record: Record) -> Lease | Lost:
        return conversation_lock.refresh(self.table, record, now=self.world.clock.now())

    def reset(self, *, batch_id: str | None = "b-1", started_at: str | None = None, answered: bool = False) -> Any:
        return conversation_lock.reset(
            self.table,
            KEY,
            batch_id=batch_id,
            started_at=started_at or self.world.row["processing_started_at"],
            answered=answered,
            now=self.world.clock.now(),
        )

    def abandon(self, lease: Lease) -> None:
        conversation_lock.abandon(self.table, lease, KEY, now=self.world.clock.now())

    def append(self, record: Record, *sids: str, ended: tuple[str, ...] = (), to_people: bool = False) -> Any:
        return conversation_lock.append(
            self.table,
            record,
            [entry(sid) for sid in sids],
            ended_ids=ended,
            to_people=to_people,
            now=self.world.clock.now(),
        )

    def answer(self, batch_id: str) -> Released | Lost:
        """The end of a reply to the batch, which has claimed it."""
        return reply_claim.release(
            self.table,
            KEY,
            batch_id=batch_id,
            reply_id=f"reply to {batch_id}",
            entries=[{"message_id": "SM-reply", "direction": "OUTBOUND"}],
            error_code=None,
            now=self.world.clock.now(),
        )

    def claim(self) -> None:
        """The beginning of a reply to the batch that holds the lock."""
        record = self.record
        reply_id = f"reply to {record.batch_id}"
        now = self.world.clock.now()
        reply_claim.claim(self.table, record, reply_id=reply_id, token="token", shards=2, now=now)

    def seed(self, **changes: Any) -> None:
        """What another system writes; None removes an attribute."""
        row = {**self.world.row, **changes}
        self.table.seed({name: value for name, value in row.items() if value is not None})


@pytest.fixture
def lock() -> Lock:
    return Lock()


@pytest.fixture
def locked() -> Lock:
    """A lock that batch b-1 with the message SM1 holds."""
    made = Lock()
    made.acquire(None, "SM1")
    return made


class TestAcquire:
    def test_lock_append_and_batch_are_one_write(self, lock: Lock):
        """L3: there is no state "locked but not appended"."""
        lease = lock.acquire(None, "SM1", "SM2")

        row = lock.world.row
        assert isinstance(lease, Lease)
        assert lease.item == row
        assert row["conversation_status"] == "processing_reply"
        assert (row["last_batch_id"], row["processing_trigger_id"]) == ("b-1", "trigger of b-1")
        assert row["processing_started_at"] == row["last_activity_at"] == iso(START)
        assert row["last_user_message_at"] == iso(START)
        assert row["unanswered_ids"] == ["SM1", "SM2"]
        assert lock.world.entry_ids == ["SM1", "SM2"]
        assert row["conversation_version"] == 1
        assert [call.operation for call in lock.world.plan.calls] == ["UpdateItem"]

    def test_a_locked_conversation_stands_in_the_sparse_index(self, locked: Lock):
        """Where the sweep finds it, by one of a few keys."""
        shard = locked.world.row["lock_shard"]

        rows = list(locked.table.query(("lock_shard", shard), index="conversation-lock-index"))

        assert shard in ("0", "1")
        assert [(row["conversation_id"], row["last_batch_id"]) for row in rows] == [(KEY.conversation_id, "b-1")]

    def test_of_several_triggers_that_read_the_same_record_one_acquires(self, lock: Lock):
        """L1: the other finds it changed."""
        record = lock.record

        outcomes = lock.acquire(record, "SM1"), lock.acquire(record, "SM1", batch_id="b-2")

        assert isinstance(outcomes[0], Lease)
        assert outcomes[1] == Changed()
        assert lock.world.entry_ids == ["SM1"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"conversation_status": "something_else"},
            {"conversation_status": "processing_reply"},
            {"conversation_status": None},
            {"conversation_version": 8},
            {"conversation_version": None},
            {"messages": [{"message_id": "of the company"}]},
            {"messages": None},
        ],
        ids=str,
    )
    def test_a_record_that_changed_since_the_read_is_not_acquired(self, changes: dict[str, Any]):
        """L1: by us, who raise the version, or by the company, whose status and list stand beside it."""
        lock = Lock(conversation_version=7)
        record = lock.record
        lock.seed(**changes)
        before = lock.world.row

        outcome = lock.acquire(record, "SM1")

        assert (outcome, lock.world.row) == (Changed(), before)

    def test_a_record_that_is_gone_is_not_made_anew(self, lock: Lock):
        """L1: an update would create a row of its own."""
        record = lock.record
        lock.table.delete(KEY.item)

        outcome = lock.acquire(record, "SM1")

        assert (outcome, lock.table.rows) == (Changed(), [])

    def test_our_own_write_whose_answer_was_lost_is_ours(self, lock: Lock):
        """L1: the refusal shows our own batch."""
        lock.world.plan.faults = {1: Fault.REFUSED_BY_OWN_WRITE}

        outcome = lock.acquire(None, "SM1")

        assert isinstance(outcome, Lease)
        assert lock.world.entry_ids == outcome.item["unanswered_ids"] == ["SM1"]

    def test_a_record_without_a_list_gets_one(self):
        """A conversation that nobody has written to yet."""
        lock = Lock(messages=[])
        lock.seed(messages=None)

        lock.acquire(None, "SM1")

        assert lock.world.entry_ids == ["SM1"]

    def test_what_is_unanswered_is_carried_and_not_appended_again(self, locked: Lock):
        """L3: the batch is what the record says is unanswered."""
        locked.reset()

        lease = locked.acquire(None, "SM2", batch_id="b-2")

        assert isinstance(lease, Lease)
        assert lease.item["unanswered_ids"] == ["SM1", "SM2"]
        assert locked.world.entry_ids == ["SM1", "SM2"]

    def test_what_the_company_took_off_its_list_is_not_carried(self):
        """L3: no context can be built of it."""
        lock = Lock(unanswered_ids=["SM-gone", "SM1"], messages=[entry("SM1")])

        lock.acquire(None, "SM2")

        assert lock.world.row["unanswered_ids"] == ["SM1", "SM2"]

    def test_a_locked_record_is_never_acquired(self, locked: Lock):
        """L1: a mistake of the caller's is an assertion."""
        with pytest.raises(AssertionError):
            locked.acquire(locked.record, "SM2", batch_id="b-2")

    def test_the_code_of_an_earlier_reply_goes(self):
        """It belonged to the batch before."""
        lock = Lock(processing_error_code="21211")

        lock.acquire(None, "SM1")

        assert "processing_error_code" not in lock.world.row

    def test_a_record_whose_reply_is_being_sent_is_no_open_one(self):
        """Whatever status another system wrote meanwhile: the claim holds the lock too."""
        lock = Lock(reply_claim="r-0", conversation_status="human_notified")

        assert lock.record.is_locked


class TestRefresh:
    def test_the_holder_starts_the_clock_anew(self, locked: Lock):
        """L2: so that no sweep takes a resumed lock for a stalled one."""
        locked.world.clock.advance(200)

        outcome = locked.refresh(locked.record)

        assert isinstance(outcome, Lease)
        assert outcome.item["processing_started_at"] == iso(START + timedelta(seconds=200))

    def test_a_holder_whose_lock_was_reset_is_refused(self, locked: Lock):
        """L2: its batch is carried into the next, and is no longer its own."""
        record = locked.record
        locked.reset()

        outcome = locked.refresh(record)

        assert outcome == Lost()

    def test_a_holder_whose_lock_passed_to_another_is_refused(self, locked: Lock):
        """L2: the token is another's."""
        record = locked.record
        locked.reset()
        locked.acquire(None, "SM2", batch_id="b-2")
        before = locked.world.row

        outcome = locked.refresh(record)

        assert (outcome, locked.world.row) == (Lost(), before)

    def test_our_own_refresh_whose_answer_was_lost_is_ours(self, locked: Lock):
        """L2: a second try of it is refused by nothing, or shows our own instant."""
        locked.world.clock.advance(5)
        record = locked.record
        locked.world.plan.faults = {2: Fault.REFUSED_BY_OWN_WRITE}

        outcome = locked.refresh(record)

        assert isinstance(outcome, Lease)


class TestReset:
    def test_a_stalled_lock_is_let_go_of_and_its_batch_is_carried(self, locked: Lock):
        """L4: nothing that was not answered is forgotten."""
        outcome = locked.reset()

        assert outcome == Reset()
        assert locked.world.row["conversation_status"] == "processing_timeout"
        assert locked.world.row["unanswered_ids"] == ["SM1"]

    def test_a_batch_that_people_have_counts_as_answered(self, locked: Lock):
        """L4: emptied under the token that set it."""
        locked.reset(answered=True)

        assert locked.world.row["unanswered_ids"] == []

    def test_a_lock_that_was_refreshed_since_is_kept(self, locked: Lock):
        """L5: it is younger than it was seen to be."""
        seen = locked.world.row["processing_started_at"]
        locked.world.clock.advance(1)
        locked.refresh(locked.record)

        outcome = locked.reset(started_at=seen)

        assert outcome == Lost()
        assert locked.record.is_locked

    def test_another_batch_s_lock_is_kept(self, locked: Lock):
        """L2: even one of the same instant."""
        outcome = locked.reset(batch_id="b-0")

        assert outcome == Lost()
        assert locked.record.is_locked

    def test_a_lock_that_a_reply_has_claimed_is_kept(self, locked: Lock):
        """Its answer may be with the customer already."""
        locked.seed(reply_claim="r-1")

        outcome = locked.reset()

        assert not isinstance(outcome, Reset)
        assert locked.record.is_locked

    def test_a_second_sweep_s_reset_is_the_same(self, locked: Lock):
        """Two at once do no harm."""
        started_at = locked.world.row["processing_started_at"]
        locked.reset()
        before = locked.world.row

        outcome = locked.reset(started_at=started_at)

        assert (outcome, locked.world.row) == (Reset(), before)

    def test_our_own_reset_whose_answer_was_lost_is_ours(self, locked: Lock):
        """The refusal shows it."""
        locked.world.plan.faults = {2: Fault.REFUSED_BY_OWN_WRITE}

        assert locked.reset() == Reset()

    def test_a_conversation_that_is_open_again_is_left_alone(self, locked: Lock):
        """L4: an answer came in time."""
        started_at = locked.world.row["processing_started_at"]
        locked.claim()
        locked.answer("b-1")
        before = locked.world.row

        outcome = locked.reset(started_at=started_at)

        assert (outcome, locked.world.row) == (Lost(), before)


class TestStamp:
    def test_a_lock_of_another_system_begins_now(self):
        """L6: so that it can stall, and the sweep finds it."""
        lock = Lock(conversation_status="processing_reply")

        conversation_lock.stamp(lock.table, lock.record, shards=2, now=START)

        assert lock.world.row["processing_started_at"] == iso(START)
        assert lock.reset(batch_id=None) == Reset()

    @pytest.mark.parametrize(
        "changes",
        [
            {"conversation_status": "processing_reply", "processing_started_at": "2026-01-01T00:00:00+00:00"},
            {"conversation_status": "ai_response_sent"},
        ],
        ids=["has a start", "is open"],
    )
    def test_what_has_a_start_or_is_open_is_left_alone(self, changes: dict[str, Any]):
        """L6: another trigger stamped it, or it was released."""
        lock = Lock(conversation_status="processing_reply")
        record = lock.record
        lock.seed(**changes)
        before = lock.world.row

        conversation_lock.stamp(lock.table, record, shards=2, now=START)

        assert lock.world.row == before


class TestAbandon:
    def test_a_fresh_lock_is_given_back_and_its_messages_wait(self, lock: Lock):
        """L4: they are carried into the next batch."""
        lease = lock.acquire(None, "SM1")
        assert isinstance(lease, Lease)

        lock.abandon(lease)

        assert lock.world.row["conversation_status"] == "processing_error"
        assert lock.world.row["unanswered_ids"] == ["SM1"]

    def test_a_lock_that_was_resumed_meanwhile_is_kept(self, lock: Lock):
        """L2: a redelivery of the trigger may have dispatched the batch."""
        lease = lock.acquire(None, "SM1")
        assert isinstance(lease, Lease)
        lock.world.clock.advance(1)
        lock.refresh(lock.record)

        lock.abandon(lease)

        assert lock.record.is_locked


class TestRelease:
    def test_a_stale_holder_s_release_is_refused(self, locked: Lock):
        """L2, L4: an answer to a batch of the past neither opens nor empties anything."""
        locked.reset()
        locked.acquire(None, "SM2", batch_id="b-2")

        outcome = locked.answer("b-1")

        assert outcome == Lost()
        assert locked.record.is_locked
        assert locked.world.row["last_batch_id"] == "b-2"
        assert locked.world.row["unanswered_ids"] == ["SM1", "SM2"]

    def test_an_answer_opens_the_conversation_and_empties_what_was_unanswered(self, locked: Lock):
        """L4: in one update, with the entry of the answer."""
        locked.claim()

        outcome = locked.answer("b-1")

        assert outcome == Released()
        assert locked.world.row["conversation_status"] == "ai_response_sent"
        assert locked.world.row["unanswered_ids"] == []
        assert [one["direction"] for one in locked.world.row["messages"]] == ["INBOUND", "OUTBOUND"]


@pytest.mark.parametrize("end", ["reset", "abandon", "answer"])
def test_an_open_record_tells_no_start_and_no_trigger(end: str):
    """L6: a lock that another system sets is never taken for an old one of ours, nor resumed by an old trigger."""
    lock = Lock()
    lease = lock.acquire(None, "SM1")
    assert isinstance(lease, Lease)
    if end == "answer":
        lock.claim()

    {"reset": lock.reset, "abandon": lambda: lock.abandon(lease), "answer": lambda: lock.answer("b-1")}[end]()

    assert not {"processing_started_at", "processing_trigger_id", "lock_shard"} & lock.world.row.keys()


class TestAppend:
    def test_what_is_handed_off_is_told_by_the_status_of_an_open_record(self, lock: Lock):
        """The customer wrote."""
        outcome = lock.append(lock.record, "SM1", to_people=True)

        assert outcome == Appended()
        assert lock.world.row["conversation_status"] == "user_reply_received"
        assert lock.world.entry_ids == ["SM1"]

    def test_a_lock_is_left_as_it_is(self, locked: Lock):
        """L4: the batch is with the AI still."""
        locked.append(locked.record, "SM2", to_people=True)

        assert locked.record.is_locked
        assert locked.world.row["unanswered_ids"] == ["SM1"]
        assert locked.world.entry_ids == ["SM1", "SM2"]

    def test_what_ended_is_no_longer_unanswered(self):
        """L4: on an open record that stands as it was read."""
        lock = Lock(unanswered_ids=["SM1", "SM2"], messages=[entry("SM1"), entry("SM2")])

        lock.append(lock.record, "SM3", ended=("SM1", "SM3"))

        assert lock.world.row["unanswered_ids"] == ["SM2"]
        assert lock.world.row["conversation_status"] == "initial_message_sent"

    def test_nothing_ends_while_a_batch_is_with_the_ai(self, locked: Lock):
        """L4: only the holder ends messages of its batch; a mistake of the caller's is an assertion."""
        with pytest.raises(AssertionError):
            locked.append(locked.record, ended=("SM1",))

    def test_nothing_ends_on_a_record_that_was_locked_meanwhile(self):
        """L4: what was carried into that batch stays unanswered."""
        lock = Lock(unanswered_ids=["SM1"], messages=[entry("SM1")])
        record = lock.record
        lock.acquire(None, "SM2")

        outcome = lock.append(record, ended=("SM1",))

        assert outcome == Changed()
        assert lock.world.row["unanswered_ids"] == ["SM1", "SM2"]

    def test_an_append_whose_answer_was_lost_is_not_done_twice(self, lock: Lock):
        """The record changed: whoever reads it again finds the entry."""
        lock.world.plan.faults = {1: Fault.REFUSED_BY_OWN_WRITE}

        outcome = lock.append(lock.record, "SM1", to_people=True)

        assert outcome == Changed()
        assert lock.world.entry_ids == ["SM1"]


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_ANSWER])
def test_a_fault_is_told_with_what_is_known_of_it(lock: Lock, fault: Fault):
    """A timeout is an unknown outcome, not a failure."""
    lock.world.plan.faults = {1: fault}

    with pytest.raises(TryAgain) as error:
        lock.acquire(None, "SM1")

    assert error.value.maybe_applied is (fault is Fault.LOST_ANSWER)
    assert lock.record.is_locked is (fault is Fault.LOST_ANSWER)
