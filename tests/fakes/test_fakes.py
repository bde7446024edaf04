"""The fault plan and the fakes do what they say: a simulation is worth what its faults are worth."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib.clock import Deadline
from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.ports.tables import Attr, Change, Refused, Written
from infrastructure.template import load
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Crash, Fault, FaultPlan, faults_for
from tests.fakes.queues import LATE_SECONDS, InMemoryQueue
from tests.fakes.secrets import InMemorySecrets
from tests.fakes.tables import Consumed, InMemoryTable

KEY = {"conversation_id": "c1", "message_sid": "m1"}
FREE = Attr("message_sid").missing()
RECORD = {"primary_channel": "p", "conversation_id": "c"}
ABSENT = RECORD | {"conversation_id": "absent"}
EXISTS = Attr("primary_channel").exists()
SCHEMAS = load("test").tables


class World:
    """One table, one queue and one secret under one plan."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.plan = FaultPlan()
        self.table = InMemoryTable(SCHEMAS["conversations-stage-test"], self.plan)
        self.conversations = InMemoryTable(SCHEMAS["conversations-test"], self.plan)
        self.queue = InMemoryQueue("ai", self.clock, self.plan)
        self.secrets = InMemorySecrets({"ref": "text"}, self.plan)


@pytest.fixture
def world() -> World:
    return World()


class TestFaultPlan:
    def test_calls_of_all_fakes_are_numbered_together(self, world: World):
        """A clean run tells how many there are, what they are and on what."""
        world.table.put(KEY, when=FREE)
        world.queue.send("x", group="g")
        world.secrets.fetch("ref")
        list(world.table.query(("conversation_id", "c1")))

        calls = world.plan.calls

        assert [(call.operation, call.resource) for call in calls] == [
            ("PutItem", "conversations-stage-test"),
            ("SendMessage", "ai"),
            ("GetSecretValue", "ref"),
            ("Query", "conversations-stage-test"),
        ]

    def test_each_call_lists_the_faults_that_apply_to_it(self, world: World):
        """Only a conditional write is refused by itself; only a message is delivered twice or late."""
        world.table.put(KEY, when=FREE)
        world.table.put(KEY)
        world.queue.send("x", group="g")
        special = {Fault.REFUSED_BY_OWN_WRITE, Fault.DUPLICATED, Fault.LATE}

        faults = [set(faults_for(call)) & special for call in world.plan.calls]

        assert faults == [{Fault.REFUSED_BY_OWN_WRITE}, set(), {Fault.DUPLICATED, Fault.LATE}]

    @pytest.mark.parametrize(("fault", "happened"), [(Fault.CRASH_BEFORE, False), (Fault.CRASH_AFTER, True)])
    def test_after_a_crash_the_process_calls_nothing_until_it_is_revived(
        self, world: World, fault: Fault, happened: bool
    ):
        """Not even what its `finally` blocks try; what was applied stays applied."""
        world.plan.faults = {1: fault}
        with pytest.raises(Crash):
            world.table.put(KEY)
        with pytest.raises(Crash):
            world.queue.send("last words", group="g")

        world.plan.revive()

        assert (world.table.get(KEY) is not None) is happened
        assert world.queue.messages == []

    @pytest.mark.parametrize(
        ("fault", "happened", "kind"),
        [
            (Fault.LOST_ANSWER, True, TryAgain),
            (Fault.THROTTLED, False, TryAgain),
            (Fault.UNREACHABLE, False, TryAgain),
            (Fault.MISCONFIGURED, False, Misconfigured),
        ],
    )
    def test_a_call_that_fails_has_happened_or_not(
        self, world: World, fault: Fault, happened: bool, kind: type[TryAgain | Misconfigured]
    ):
        """And says what is known of that."""
        world.plan.faults = {1: fault}

        with pytest.raises(kind) as told:
            world.table.put(KEY)

        assert world.table.rows == ([KEY] if happened else [])
        assert getattr(told.value, "maybe_applied", False) is happened

    @pytest.mark.parametrize(
        ("call", "transient", "permanent"),
        [
            (lambda world: world.table.get(KEY), Code.DB_TRANSIENT_ERROR, Code.DB_QUERY_ERROR),
            (lambda world: world.queue.send("x", group="g"), Code.QUEUE_ERROR, Code.QUEUE_ERROR),
            (
                lambda world: world.secrets.fetch("ref"),
                Code.SECRET_FETCH_TRANSIENT_ERROR,
                Code.SECRET_FETCH_FAILED,
            ),
        ],
        ids=["table", "queue", "secrets"],
    )
    def test_a_fault_bears_the_code_of_the_call_that_fails(
        self, world: World, call: Callable[[World], object], transient: Code, permanent: Code
    ):
        """As the real ones do."""
        world.plan.faults = {1: Fault.THROTTLED, 2: Fault.MISCONFIGURED}

        with pytest.raises(TryAgain) as passing:
            call(world)
        with pytest.raises(Misconfigured) as lasting:
            call(world)

        assert (passing.value.code, lasting.value.code) == (transient, permanent)

    def test_a_write_may_be_refused_by_itself(self, world: World):
        """It happened; the refusal brings the row as it is now."""
        world.plan.faults = {1: Fault.REFUSED_BY_OWN_WRITE}

        answer = world.table.put(KEY | {"a": 1}, when=FREE)

        assert answer == Refused(KEY | {"a": 1})
        assert world.table.rows == [KEY | {"a": 1}]

    def test_a_delete_that_is_refused_by_itself_finds_no_row(self, world: World):
        """The row is gone, by our own delete."""
        world.table.seed(KEY)
        world.plan.faults = {1: Fault.REFUSED_BY_OWN_WRITE}

        answer = world.table.delete(KEY, when=Attr("message_sid").exists())

        assert answer == Refused({})
        assert world.table.rows == []

    def test_a_write_that_another_refuses_is_refused_by_the_other(self, world: World):
        """The fault changes nothing of that."""
        world.table.seed(KEY | {"owner": "another"})
        world.plan.faults = {1: Fault.REFUSED_BY_OWN_WRITE}

        answer = world.table.put(KEY | {"owner": "we"}, when=FREE)

        assert answer == Refused(KEY | {"owner": "another"})

    def test_without_a_condition_it_is_a_lost_answer(self, world: World):
        """There is nothing to be refused by."""
        world.plan.faults = {1: Fault.REFUSED_BY_OWN_WRITE}

        with pytest.raises(TryAgain) as told:
            world.table.put(KEY)

        assert told.value.maybe_applied is True

    def test_a_message_may_be_delivered_twice(self, world: World):
        """The same message, with the same id."""
        world.plan.faults = {1: Fault.DUPLICATED}

        world.queue.send("x", group="g")

        first, second = world.queue.receive()
        assert (first.body, first.message_id) == (second.body, second.message_id)

    def test_a_message_may_be_delivered_late(self, world: World):
        """Long after it was due."""
        world.plan.faults = {1: Fault.LATE}
        world.queue.send("x", group="g", delay_seconds=10)
        world.clock.advance(10)
        on_time = world.queue.receive()

        world.clock.advance(LATE_SECONDS)

        assert on_time == []
        assert len(world.queue.receive()) == 1

    def test_another_actor_may_step_in_just_before_a_call(self, world: World):
        """Its own calls are not counted and meet no fault."""
        world.plan.faults = {2: Fault.THROTTLED}
        world.plan.interleave(1, lambda: world.table.put(KEY | {"owner": "another"}))

        answer = world.table.put(KEY | {"owner": "we"}, when=FREE)

        assert answer == Refused(KEY | {"owner": "another"})
        assert len(world.plan.calls) == 1

    def test_another_actor_steps_in_once(self, world: World):
        """And may itself be the code that is tested."""
        steps = []
        world.plan.interleave(2, lambda: steps.append(world.table.get(KEY)))

        for _ in range(3):
            world.table.get(KEY)

        assert steps == [None]

    def test_many_writes_are_hit_chunk_by_chunk(self, world: World):
        """What was written before the fault stays, and the error says that something may have happened."""
        rows = [{"conversation_id": "c1", "message_sid": f"{number:02}"} for number in range(60)]
        world.plan.faults = {2: Fault.THROTTLED}

        with pytest.raises(TryAgain) as told:
            world.table.put_many(rows)

        assert len(world.table.rows) == 25
        assert told.value.maybe_applied is True

    def test_the_pages_of_a_query_are_hit_one_by_one(self, world: World):
        """The rows before the fault were read."""
        table = InMemoryTable(SCHEMAS["conversations-stage-test"], world.plan, page_bytes=90)
        table.seed(*({"conversation_id": "c1", "message_sid": f"{number}", "body": "x" * 60} for number in range(3)))
        world.plan.faults = {2: Fault.LOST_ANSWER}
        rows = table.query(("conversation_id", "c1"))
        first = next(rows)

        with pytest.raises(TryAgain):
            next(rows)

        assert first["message_sid"] == "0"


class TestQueue:
    def test_a_receipt_of_an_earlier_delivery_deletes_nothing(self, world: World):
        """Somebody else has received the message meanwhile."""
        world.queue.send("x", group="g")
        first = world.queue.receive()[0]
        world.clock.advance(world.queue.visibility_seconds)
        second = world.queue.receive()[0]

        world.queue.delete(first.receipt)
        left = len(world.queue.messages)
        world.queue.delete(second.receipt)

        assert (left, len(world.queue.messages)) == (1, 0)

    def test_a_message_may_be_repeated_on_demand(self, world: World):
        """Both deliveries are received and deleted apart."""
        world.queue.send("x", group="g")
        first = world.queue.receive()[0]

        world.queue.repeat(first.message_id)

        second = world.queue.receive()[0]
        world.queue.delete(second.receipt)
        assert first.message_id == second.message_id
        assert len(world.queue.messages) == 1

    def test_a_queue_tells_when_its_next_message_is_visible(self, world: World):
        """So that a test lets exactly that much time pass."""
        empty = world.queue.seconds_until_next
        world.queue.send("x", group="g", delay_seconds=10)
        world.clock.advance(4)

        left = world.queue.seconds_until_next

        assert (empty, left) == (None, 6)

    def test_ten_messages_are_received_at_once_and_the_oldest_first(self, world: World):
        """As Lambda's poller is told."""
        for number in range(12):
            world.queue.send(f"{number}", group="g")

        received = world.queue.receive()

        assert [one.body for one in received] == [f"{number}" for number in range(10)]


class TestConsumedCapacity:
    """The figures are those that AWS's own DynamoDB Local returns for the same calls."""

    @pytest.fixture
    def table(self, world: World) -> InMemoryTable:
        world.conversations.seed(RECORD | {"body": "x" * 5_000})
        return world.conversations

    @pytest.mark.parametrize(
        ("call", "consumed"),
        [
            (lambda table: table.get(RECORD), Consumed(read_units=2)),
            (lambda table: table.get(RECORD, attributes=["primary_channel"]), Consumed(read_units=2)),
            (lambda table: table.get(ABSENT), Consumed(read_units=1)),
            (lambda table: list(table.query(("primary_channel", "p"))), Consumed(read_units=2)),
            (lambda table: table.scan(), Consumed(read_units=2)),
            (lambda table: table.put(RECORD), Consumed(write_units=5)),
            (lambda table: table.delete(RECORD), Consumed(write_units=5)),
            (lambda table: table.delete(ABSENT), Consumed(write_units=1)),
            (lambda table: table.put(RECORD, when=Attr("body").missing()), Consumed(write_units=5)),
            (lambda table: table.put_many([ABSENT]), Consumed(write_units=1)),
        ],
        ids=["get", "get a part", "get nothing", "query", "scan", "put", "delete", "delete nothing", "refused", "many"],
    )
    def test_a_call_costs_by_the_size_of_the_whole_row(
        self, table: InMemoryTable, call: Callable[[InMemoryTable], object], consumed: Consumed
    ):
        """4 KB a read unit, 1 KB a write unit of the larger of the row before and after."""
        call(table)

        assert table.consumed == consumed

    def test_an_index_costs_only_what_changes_in_it(self, table: InMemoryTable):
        """1 for an entry that comes, changes or goes, 2 where its key changes, 0 where nothing projected changes."""
        costs = []
        for change in (
            Change(set={"lock_shard": "1", "processing_started_at": "2"}),
            Change(set={"processing_started_at": "3"}),
            Change(set={"last_batch_id": "b"}),
            Change(set={"anything": "else"}),
            Change(remove=["lock_shard"]),
        ):
            before = table.consumed.index_write_units
            table.update(RECORD, change, when=EXISTS)
            costs.append(table.consumed.index_write_units - before)

        assert costs == [1, 2, 1, 0, 1]

    def test_an_index_is_read_at_half_the_price_and_by_its_own_size(self, table: InMemoryTable):
        """The body is not projected."""
        change = Change(set={"lock_shard": "1", "processing_started_at": "2"})
        table.update(RECORD, change, when=EXISTS)

        list(table.query(("lock_shard", "1"), index="conversation-lock-index"))

        assert table.consumed.read_units == 0.5


class TestTable:
    def test_time_to_live_deletes_on_demand_only(self, world: World):
        """DynamoDB is days late; a test says when."""
        world.table.seed(KEY | {"expires_at": 100}, {"conversation_id": "c2", "message_sid": "m", "expires_at": 200})
        before = len(world.table.rows)

        world.table.expire(150)

        assert before == 2
        assert [row["conversation_id"] for row in world.table.rows] == ["c2"]

    def test_a_write_within_a_deadline_is_seen_without_it(self, world: World):
        """It is the same table."""
        answer = world.table.within(Deadline.after(world.clock, 1)).put(KEY)

        assert answer == Written({})
        assert world.table.rows == [KEY]
