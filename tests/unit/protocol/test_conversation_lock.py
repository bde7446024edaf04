"""The conversation lock: L1 to L8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

import pytest

from chalicelib.clock import iso
from chalicelib.errors import TryAgain
from chalicelib.ports.tables import Attr
from chalicelib.protocol import conversation_lock, lock_changes, record_writes, reply_claim
from chalicelib.protocol.claim_changes import Released
from chalicelib.protocol.conversation_lock import Lease, Reset
from chalicelib.protocol.lock_changes import PEOPLE, Changed, Lost
from chalicelib.protocol.record import OPTED_OUT_CHANNELS, ClaimEnd, Record
from chalicelib.protocol.record_writes import Appended
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.fakes.tables import InMemoryTable
from tests.world import COMPANY, CUSTOMER, KEY, World, conversation

NO_MARKS: Final[Mapping[str, Any]] = MappingProxyType({})


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

    def acquire(
        self, record: Record | None = None, *sids: str, batch_id: str = "b-1", for_people: bool = False
    ) -> Lease | Changed:
        return conversation_lock.acquire(
            self.table,
            record or self.record,
            batch_id=batch_id,
            trigger_id=f"trigger of {batch_id}",
            entries=[entry(sid, batch_id) for sid in sids],
            for_people=for_people,
            shards=2,
            now=self.world.clock.now(),
        )

    def refresh(self, record: Record) -> Lease | Lost:
        return conversation_lock.refresh(self.table, record, now=self.world.clock.now())

    def reset(self, record: Record | None = None) -> Reset | Lost:
        return conversation_lock.reset(self.table, record or self.record, shards=2, now=self.world.clock.now())

    def unwatch(self, record: Record | None = None) -> None:
        record_writes.unwatch(self.table, record or self.record)

    def abandon(self, lease: Lease) -> None:
        conversation_lock.abandon(self.table, lease, KEY, now=self.world.clock.now())

    def append(self, record: Record, *sids: str, marks: Mapping[str, Any] = NO_MARKS) -> Appended | Changed:
        entries = [entry(sid) for sid in sids]
        return record_writes.append(self.table, record, entries, now=self.world.clock.now(), marks=marks)

    def refuse(self, record: Record, **codes: str) -> Appended | Changed:
        return record_writes.refuse_carried(self.table, record, codes, now=self.world.clock.now())

    def answer(self, batch_id: str, *, stall_resets: int = 0) -> Released | Lost:
        """The end of a reply to the batch, which has claimed it."""
        return reply_claim.release(
            self.table,
            KEY,
            batch_id=batch_id,
            reply_id=f"reply to {batch_id}",
            entries=[{"message_id": "SM-reply", "direction": "OUTBOUND"}],
            error_code=None,
            stall_resets=stall_resets,
            now=self.world.clock.now(),
        )

    def claim(self) -> None:
        """The beginning of a reply to the batch that holds the lock."""
        record = self.record
        reply_id = f"reply to {record.batch_id}"
        now = self.world.clock.now()
        reply_claim.claim(
            self.table,
            record,
            reply_id=reply_id,
            end=ClaimEnd.RELEASE,
            routing_stands=Attr("primary_channel").exists(),
            token="token",
            shards=2,
            now=now,
        )

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
        ],
        ids=str,
    )
    def test_a_record_that_changed_since_the_read_is_not_acquired(self, changes: dict[str, Any]):
        """L1: by us, who raise the version, or by the company, whose status stands beside it."""
        lock = Lock(conversation_version=7)
        record = lock.record
        lock.seed(**changes)
        before = lock.world.row

        outcome = lock.acquire(record, "SM1")

        assert (outcome, lock.world.row) == (Changed(), before)

    @pytest.mark.parametrize("list_of_the_company", [[{"message_id": "of the company"}], None], ids=["append", "trim"])
    def test_what_the_company_does_to_its_list_is_no_change(self, list_of_the_company: list[Any] | None):
        """L1: the list's length is no identity; what we append comes behind what stands there."""
        lock = Lock(conversation_version=7)
        record = lock.record
        lock.seed(messages=list_of_the_company)

        outcome = lock.acquire(record, "SM1")

        assert isinstance(outcome, Lease)
        assert [one["message_id"] for one in lock.world.row["messages"]] == [
            *(one["message_id"] for one in list_of_the_company or ()),
            "SM1",
        ]

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


class TestAcquireForPeople:
    def test_people_s_claim_comes_with_the_lock(self, lock: Lock):
        """L7: in the same update, so that nobody takes the messages in between."""
        lease = lock.acquire(None, "SM1", for_people=True)

        row = lock.world.row
        assert isinstance(lease, Lease)
        assert (row["reply_claim"], row["reply_claimed_at"]) == (PEOPLE, iso(START))
        assert (row["conversation_status"], row["unanswered_ids"]) == ("processing_reply", ["SM1"])
        assert [call.operation for call in lock.world.plan.calls] == ["UpdateItem"]

    def test_whoever_read_the_record_before_is_refused(self, lock: Lock):
        """L7: a trigger that would take the messages for the AI finds the record changed."""
        record = lock.record
        lock.acquire(record, "SM1", for_people=True)

        outcome = lock.acquire(record, "SM1", batch_id="b-2")

        assert outcome == Changed()
        assert lock.world.row["reply_claim"] == PEOPLE

    def test_a_batch_for_the_ai_bears_no_claim(self):
        """L7: nor one that an earlier batch left."""
        lock = Lock()
        lock.seed(reply_claim_token="of an earlier reply", reply_claimed_at=iso(START))

        lock.acquire(None, "SM1")

        assert not {"reply_claim", "reply_claimed_at", "reply_claim_token"} & lock.world.row.keys()


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

    def test_a_lock_that_was_refreshed_since_is_kept(self, locked: Lock):
        """L5: it is younger than it was seen to be."""
        seen = locked.record
        locked.world.clock.advance(1)
        locked.refresh(seen)

        outcome = locked.reset(seen)

        assert outcome == Lost()
        assert locked.record.is_locked

    def test_another_batch_s_lock_is_kept(self, locked: Lock):
        """L2: even one of the same instant."""
        outcome = locked.reset(replace(locked.record, batch_id="b-0"))

        assert outcome == Lost()
        assert locked.record.is_locked

    def test_a_lock_that_a_reply_has_claimed_is_kept(self, locked: Lock):
        """L5: even if it kept the start of the lock. Its answer may be with the customer already."""
        seen = locked.record
        locked.world.clock.advance(1)
        locked.claim()

        outcome = locked.reset(seen)

        assert outcome == Lost()
        assert locked.record.claim == "reply to b-1"

    def test_a_lock_that_a_reply_claimed_and_gave_back_is_kept(self, locked: Lock):
        """L5: the reply comes again, and finds the lock as young as it left it."""
        seen = locked.record
        locked.world.clock.advance(1)
        locked.claim()
        reply_claim.unclaim(locked.table, KEY, batch_id="b-1", token="token", now=locked.world.clock.now())

        outcome = locked.reset(seen)

        assert outcome == Lost()
        assert locked.record.is_locked

    def test_a_lock_that_a_reply_has_claimed_is_not_refreshed(self, locked: Lock):
        """L2: the batch was dispatched, and the lock's clock belongs to the reply."""
        seen = locked.record
        locked.world.clock.advance(1)
        locked.claim()
        claimed = locked.world.row
        locked.world.clock.advance(1)

        outcome = locked.refresh(seen)

        assert outcome == Lost()
        assert locked.world.row == claimed

    def test_a_second_sweep_s_reset_is_the_same(self, locked: Lock):
        """Two at once do no harm."""
        seen = locked.record
        locked.reset(seen)
        before = locked.world.row

        outcome = locked.reset(seen)

        assert (outcome, locked.world.row) == (Reset(), before)

    def test_our_own_reset_whose_answer_was_lost_is_ours(self, locked: Lock):
        """The refusal shows it."""
        locked.world.plan.faults = {2: Fault.REFUSED_BY_OWN_WRITE}

        assert locked.reset() == Reset()

    def test_a_conversation_that_is_open_again_is_left_alone(self, locked: Lock):
        """L4: an answer came in time."""
        seen = locked.record
        locked.claim()
        locked.answer("b-1")
        before = locked.world.row

        outcome = locked.reset(seen)

        assert (outcome, locked.world.row) == (Lost(), before)

    def test_a_status_that_another_system_set_stays(self, locked: Lock):
        """L6: what the lock left behind is taken off; the company's own status is its own."""
        locked.seed(conversation_status="human_notified")

        outcome = locked.reset()

        assert outcome == Reset()
        assert locked.world.row["conversation_status"] == "human_notified"
        assert locked.world.row["unanswered_ids"] == ["SM1"]
        assert locked.record.started_at is None


def watched_rows(lock: Lock) -> list[dict[str, Any]]:
    """What the sweep's index has under the shards of watched records."""
    shards = (lock_changes.watched_shard(number) for number in range(2))
    return [row for one in shards for row in lock.table.query(("lock_shard", one), index="conversation-lock-index")]


class TestWatched:
    def test_a_batch_that_was_never_answered_stays_in_the_sweep_s_index(self, locked: Lock):
        """L8: since the reset, under a shard of its own kind, and not among the locks."""
        locked.world.clock.advance(400)

        locked.reset()

        (row,) = watched_rows(locked)
        assert row["processing_started_at"] == iso(START + timedelta(seconds=400))
        assert locked.record.watched_since == row["processing_started_at"]
        assert not locked.record.is_locked
        assert list(locked.table.query(("lock_shard", "0"), index="conversation-lock-index")) == []
        assert list(locked.table.query(("lock_shard", "1"), index="conversation-lock-index")) == []

    def test_a_lock_with_nothing_unanswered_leaves_the_index(self):
        """L8: there is nothing to come back for."""
        lock = Lock(
            conversation_status="processing_reply", processing_started_at="2026-01-31T17:00:00+00:00", lock_shard="0"
        )

        lock.reset()

        assert not {"lock_shard", "processing_started_at"} & lock.world.row.keys()

    def test_each_stall_in_a_row_is_counted_and_an_answer_ends_the_count(self, locked: Lock):
        """L8: the sweep's patience grows with it."""
        locked.reset()
        locked.acquire(None, batch_id="b-2")
        locked.reset()
        stalled = locked.record.stall_resets
        locked.acquire(None, batch_id="b-3")
        locked.claim()

        locked.answer("b-3")

        assert stalled == 2
        assert "stall_resets" not in locked.world.row

    def test_an_answer_may_leave_a_part_of_the_count(self, locked: Lock):
        """The next lock of a slow AI keeps its patience."""
        locked.reset()
        locked.acquire(None, batch_id="b-2")
        locked.claim()

        locked.answer("b-2", stall_resets=1)

        assert locked.record.stall_resets == 1

    def test_the_next_lock_takes_it_out(self, locked: Lock):
        """L8: it stands among the locks again."""
        locked.reset()

        locked.acquire(None, batch_id="b-2")

        assert watched_rows(locked) == []
        assert locked.world.row["lock_shard"] in ("0", "1")

    def test_a_late_answer_takes_it_out(self, locked: Lock):
        """L8: a slow AI's claim takes the lock again."""
        locked.reset()
        locked.claim()

        locked.answer("b-1")

        assert watched_rows(locked) == []
        assert "processing_started_at" not in locked.world.row

    def test_whoever_reported_an_end_takes_it_out(self, locked: Lock):
        """L8: by a write of its own, with a version."""
        locked.reset()
        version = locked.record.version

        locked.unwatch()

        assert watched_rows(locked) == []
        assert locked.record.version == (version or 0) + 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"conversation_version": 9},
            {"conversation_version": 9, "processing_started_at": "2026-01-31T18:30:00+00:00"},
            {"conversation_version": 9, "reply_claim": "r-1"},
            {"conversation_status": "looked_at"},
        ],
        ids=["written since", "watched anew", "claimed", "of another status"],
    )
    def test_one_that_changed_since_it_was_read_stays(self, locked: Lock, changes: dict[str, Any]):
        """L8: there may be another end to report."""
        locked.reset()
        seen = locked.record
        locked.seed(**changes)
        before = locked.world.row

        locked.unwatch(seen)

        assert locked.world.row == before


class TestStamp:
    def test_a_lock_of_another_system_begins_now(self):
        """L6: so that it can stall, and the sweep finds it."""
        lock = Lock(conversation_status="processing_reply")

        conversation_lock.stamp(lock.table, lock.record, shards=2, now=START)

        assert lock.world.row["processing_started_at"] == iso(START)
        assert lock.reset() == Reset()

    def test_a_lock_is_stamped_once(self):
        """L6: another trigger that read it before finds it changed; the lock's age is that of the first stamp."""
        lock = Lock(conversation_status="processing_reply")
        record = lock.record
        conversation_lock.stamp(lock.table, record, shards=2, now=START)
        before = lock.world.row

        conversation_lock.stamp(lock.table, record, shards=2, now=START + timedelta(seconds=90))

        assert lock.world.row == before

    @pytest.mark.parametrize(
        "changes",
        [{"conversation_status": "ai_response_sent"}, {"conversation_version": 9, "reply_claim": "r-1"}],
        ids=["released", "claimed"],
    )
    def test_what_was_released_or_claimed_meanwhile_is_left_alone(self, changes: dict[str, Any]):
        """L6: an open record has no start, and a claim brings its own."""
        lock = Lock(conversation_status="processing_reply")
        record = lock.record
        lock.seed(**changes)
        before = lock.world.row

        conversation_lock.stamp(lock.table, record, shards=2, now=START)

        assert lock.world.row == before

    def test_a_watched_record_that_another_system_locks_begins_anew(self, locked: Lock):
        """L6: since when it was watched is no start of that lock; it stands among the locks from here on."""
        locked.reset()
        locked.seed(conversation_status="processing_reply")
        later = START + timedelta(seconds=900)

        conversation_lock.stamp(locked.table, locked.record, shards=2, now=later)

        assert locked.record.started_at == iso(later)
        assert locked.record.watched_since is None


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

    record = lock.record
    assert (record.started_at, record.trigger_id) == (None, None)
    assert (record.watched_since is None) == (end != "reset")


class TestAppend:
    def test_an_append_leaves_lock_and_batch_as_they_are(self, locked: Lock):
        """L4: the batch is with the AI still."""
        outcome = locked.append(locked.record, "SM2")

        assert outcome == Appended()
        assert locked.record.is_locked
        assert locked.world.row["unanswered_ids"] == ["SM1"]
        assert locked.world.entry_ids == ["SM1", "SM2"]

    @pytest.mark.parametrize("channels", [["sms"], []])
    def test_the_marks_of_an_opt_out_come_in_the_same_update(self, lock: Lock, channels: list[str]):
        """Nobody sees the message without its marks, nor the reverse."""
        lock.append(lock.record, "SM1", marks={OPTED_OUT_CHANNELS: channels})

        assert (lock.world.row["opted_out_channels"], lock.world.entry_ids) == (channels, ["SM1"])
        assert len(lock.world.plan.calls) == 1

    def test_a_record_that_changed_since_the_read_gets_nothing(self, lock: Lock):
        """L1: whoever reads it again decides anew."""
        record = lock.record
        lock.acquire(None, "SM1")

        outcome = lock.append(record, "SM2", marks={OPTED_OUT_CHANNELS: ["sms"]})

        assert outcome == Changed()
        assert lock.world.entry_ids == ["SM1"]
        assert "opted_out_channels" not in lock.world.row

    def test_an_append_whose_answer_was_lost_is_not_done_twice(self, lock: Lock):
        """The record changed: whoever reads it again finds the entry."""
        lock.world.plan.faults = {1: Fault.REFUSED_BY_OWN_WRITE}

        outcome = lock.append(lock.record, "SM1")

        assert outcome == Changed()
        assert lock.world.entry_ids == ["SM1"]


class TestRefuseCarried:
    def test_what_a_rule_refuses_is_no_longer_unanswered_and_marked(self):
        """L4: on an open record that stands as it was read; the code stands at the message's own entry."""
        lock = Lock(unanswered_ids=["SM1", "SM2"], messages=[entry("SM0"), entry("SM1"), entry("SM2")])

        outcome = lock.refuse(lock.record, SM1="OPTED_OUT")

        assert outcome == Appended()
        assert lock.world.row["unanswered_ids"] == ["SM2"]
        assert lock.world.row["conversation_status"] == "initial_message_sent"
        assert [one.get("refused") for one in lock.world.row["messages"]] == [None, "OPTED_OUT", None]

    def test_the_last_one_takes_a_record_of_another_status_off_the_sweeps_index(self):
        """The company changed the status of a locked record: nothing is left that the sweep could look after."""
        lock = Lock(messages=[entry("SM0")])
        lock.acquire(None, "SM1")
        lock.seed(conversation_status="looked_at")

        outcome = lock.refuse(lock.record, SM1="PROJECT_INACTIVE")

        assert outcome == Appended()
        assert not {"lock_shard", "processing_started_at"} & lock.world.row.keys()

    def test_nothing_ends_while_a_batch_is_with_the_ai(self, locked: Lock):
        """L4: only the holder ends messages of its batch; a mistake of the caller's is an assertion."""
        with pytest.raises(AssertionError):
            locked.refuse(locked.record, SM1="OPTED_OUT")

    def test_nothing_ends_on_a_record_that_was_locked_meanwhile(self):
        """L4: what was carried into that batch stays unanswered."""
        lock = Lock(unanswered_ids=["SM1"], messages=[entry("SM1")])
        record = lock.record
        lock.acquire(None, "SM2")

        outcome = lock.refuse(record, SM1="OPTED_OUT")

        assert outcome == Changed()
        assert lock.world.row["unanswered_ids"] == ["SM1", "SM2"]

    def test_a_mark_is_never_set_on_another_entry(self):
        """The company trimmed one off the front since: the position names another message."""
        lock = Lock(unanswered_ids=["SM1"], messages=[entry("SM0"), entry("SM1"), entry("SM2")])
        record = lock.record
        lock.seed(messages=lock.world.row["messages"][1:])
        before = lock.world.row

        outcome = lock.refuse(record, SM1="OPTED_OUT")

        assert (outcome, lock.world.row) == (Changed(), before)

    def test_a_watched_record_with_nothing_left_leaves_the_index(self, locked: Lock):
        """L8: there is nothing to dispatch once more."""
        locked.reset()

        locked.refuse(locked.record, SM1="OPTED_OUT")

        assert watched_rows(locked) == []
        assert not {"processing_started_at", "stall_resets"} & locked.world.row.keys()

    def test_a_watched_record_with_something_left_stays_in_it(self, locked: Lock):
        """L8: the rest still waits for an answer."""
        locked.append(locked.record, "SM2")
        locked.seed(unanswered_ids=["SM1", "SM2"])
        locked.reset()

        locked.refuse(locked.record, SM1="OPTED_OUT")

        assert len(watched_rows(locked)) == 1
        assert locked.record.stall_resets == 1


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_ANSWER])
def test_a_fault_is_told_with_what_is_known_of_it(lock: Lock, fault: Fault):
    """A timeout is an unknown outcome, not a failure."""
    lock.world.plan.faults = {1: fault}

    with pytest.raises(TryAgain) as error:
        lock.acquire(None, "SM1")

    assert error.value.maybe_applied is (fault is Fault.LOST_ANSWER)
    assert lock.record.is_locked is (fault is Fault.LOST_ANSWER)
