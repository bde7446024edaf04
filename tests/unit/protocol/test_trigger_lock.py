"""The trigger lock: T1 to T5."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from chalicelib.clock import Deadline, epoch
from chalicelib.errors import Code, EngineError, Misconfigured, TryAgain
from chalicelib.protocol import trigger_lock
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.trigger_lock import AlreadyTriggered, Trigger, Triggered
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.world import KEY, World

LOCK_CALL, SEND_CALL, FREE_CALL = 1, 2, 3


def ensure(world: World, trigger_id: str = "ours", *, delay: int = 10) -> Triggered | AlreadyTriggered:
    return trigger_lock.ensure(
        world.tables.trigger_lock,
        world.queues.triggers["whatsapp"],
        Trigger(KEY, trigger_id),
        delay_seconds=delay,
        now=world.clock.now(),
        tenant="acme",
    )


def send_again(world: World, trigger: Trigger, *, delay: int = 15) -> None:
    trigger_lock.send_again(
        world.tables.trigger_lock,
        world.queues.triggers["whatsapp"],
        trigger,
        delay_seconds=delay,
        now=world.clock.now(),
        tenant="acme",
    )


def sent(world: World) -> list[tuple[str, float]]:
    """The triggers on their way: their ids, and in how many seconds they come."""
    now = world.clock.monotonic()
    queue = world.queues.triggers["whatsapp"]
    return [(json.loads(one.body)["trigger_id"], one.visible_at - now) for one in queue.messages]


def holder(world: World) -> str | None:
    rows = world.tables.trigger_lock.rows
    return rows[0]["trigger_id"] if rows else None


class TestEnsure:
    def test_a_free_conversation_gets_a_trigger_and_a_lock(self, world: World):
        """T1: the lock lasts as long as the trigger may take."""
        outcome = ensure(world)

        (row,) = world.tables.trigger_lock.rows
        assert outcome == Triggered(Trigger(KEY, "ours"))
        assert sent(world) == [("ours", 10)]
        assert row == {
            **KEY.item,
            "trigger_id": "ours",
            "expires_at": epoch(START) + 10 + trigger_lock.SLACK_SECONDS,
        }

    def test_a_lock_that_another_holds_for_certain_spares_the_send(self, world: World):
        """T1: that one will come, and no later."""
        ensure(world, "another")

        outcome = ensure(world)

        assert outcome == AlreadyTriggered()
        assert sent(world) == [("another", 10)]

    @pytest.mark.parametrize("seconds", [70, 71, 100_000])
    def test_an_expired_lock_is_as_good_as_free(self, world: World, seconds: int):
        """T1: DynamoDB removes it days late, so its time is compared."""
        ensure(world, "lost")
        world.clock.advance(seconds)

        outcome = ensure(world)

        assert isinstance(outcome, Triggered)
        assert holder(world) == "ours"

    def test_a_lock_just_before_its_expiry_is_held(self, world: World):
        """T1: to the second."""
        ensure(world, "another")
        world.clock.advance(69)

        outcome = ensure(world, delay=1)

        assert outcome == AlreadyTriggered()

    def test_an_earlier_trigger_replaces_a_later_one(self, world: World):
        """T1: a message after a long requeue does not wait for that."""
        ensure(world, "requeued", delay=300)

        outcome = ensure(world, delay=10)

        assert isinstance(outcome, Triggered)
        assert (holder(world), sent(world)) == ("ours", [("requeued", 300), ("ours", 10)])

    @pytest.mark.parametrize(("later", "is_replaced"), [(2, False), (3, True)])
    def test_a_trigger_that_is_later_by_no_more_than_clocks_differ_stays(
        self, world: World, later: int, is_replaced: bool
    ):
        """T1: else two machines would replace each other's for ever."""
        ensure(world, "another", delay=10 + later)

        outcome = ensure(world, delay=10)

        assert isinstance(outcome, Triggered) is is_replaced

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Fault.THROTTLED, TryAgain),
            (Fault.UNREACHABLE, TryAgain),
            (Fault.LOST_ANSWER, TryAgain),
            (Fault.MISCONFIGURED, Misconfigured),
        ],
    )
    def test_a_lock_that_could_not_be_written_does_not_spare_the_send(
        self, world: World, fault: Fault, kind: type[EngineError]
    ):
        """T1: a spare trigger is harmless, a missing one is not; the fault is told."""
        world.plan.faults = {LOCK_CALL: fault}

        outcome = ensure(world)

        assert isinstance(outcome, Triggered)
        assert isinstance(outcome.lock_fault, kind)
        assert sent(world) == [("ours", 10)]

    def test_our_own_lock_whose_answer_was_lost_is_ours(self, world: World):
        """T1: the refusal shows our own id."""
        world.plan.faults = {LOCK_CALL: Fault.REFUSED_BY_OWN_WRITE}

        outcome = ensure(world)

        assert outcome == Triggered(Trigger(KEY, "ours"))

    def test_a_trigger_that_comes_again_takes_its_own_lock(self, world: World):
        """T1: whenever it expires."""
        ensure(world, "ours", delay=0)

        outcome = ensure(world, "ours", delay=300)

        (row,) = world.tables.trigger_lock.rows
        assert isinstance(outcome, Triggered)
        assert row["expires_at"] == epoch(START) + 300 + trigger_lock.SLACK_SECONDS

    def test_a_delay_is_cut_to_what_a_queue_takes(self, world: World):
        """900 seconds; the lock lasts accordingly."""
        ensure(world, delay=1_000)

        (row,) = world.tables.trigger_lock.rows
        assert sent(world) == [("ours", 900)]
        assert row["expires_at"] == epoch(START) + 900 + trigger_lock.SLACK_SECONDS


class TestFailedSend:
    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.MISCONFIGURED])
    def test_a_send_that_failed_for_certain_leaves_no_lock(self, world: World, fault: Fault):
        """T3: the next message triggers at once."""
        world.plan.faults = {SEND_CALL: fault}

        with pytest.raises((TryAgain, Misconfigured)) as error:
            ensure(world)

        assert error.value.code is Code.QUEUE_ERROR
        assert holder(world) is None
        assert isinstance(ensure(world, "the next message's"), Triggered)

    def test_a_send_that_may_have_happened_keeps_the_lock(self, world: World):
        """T3: nothing failed for certain."""
        world.plan.faults = {SEND_CALL: Fault.LOST_ANSWER}

        with pytest.raises(TryAgain):
            ensure(world)

        assert (holder(world), sent(world)) == ("ours", [("ours", 10)])

    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_ANSWER, Fault.MISCONFIGURED])
    def test_where_even_the_freeing_fails_the_send_s_fault_is_told(self, world: World, fault: Fault):
        """T3: the lock expires, and the sweep looks after the rows."""
        world.plan.faults = {SEND_CALL: Fault.THROTTLED, FREE_CALL: fault}

        with pytest.raises(TryAgain) as error:
            ensure(world)

        assert error.value.code is Code.QUEUE_ERROR

    def test_a_failed_send_frees_no_lock_of_another(self, world: World):
        """T3: our own may have been refused without our knowing."""
        ensure(world, "another")
        world.plan.faults = {3: Fault.THROTTLED, 4: Fault.THROTTLED}

        with pytest.raises(TryAgain):
            ensure(world)

        assert holder(world) == "another"


class TestDeadline:
    @pytest.mark.parametrize("send", [ensure, send_again], ids=["ensure", "send again"])
    def test_past_the_deadline_neither_is_begun(self, world: World, send):
        """T5: a lock without a trigger would hold up the next message until it expires."""
        world = within(world, seconds=0)

        with pytest.raises(TryAgain) as error:
            send(world, Trigger(KEY, "ours")) if send is send_again else send(world)

        assert error.value.code is Code.QUEUE_ERROR
        assert world.plan.calls == []

    @pytest.mark.parametrize("call", [LOCK_CALL, SEND_CALL])
    def test_a_deadline_that_passes_between_the_two_keeps_neither_back(self, world: World, call: int):
        """T5: it is checked once for both."""
        world = within(world, seconds=2)
        world.plan.interleave(call, lambda: world.clock.advance(3))

        ensure(world)

        assert (holder(world), [one for one, _ in sent(world)]) == ("ours", ["ours"])

    def test_a_send_that_fails_past_the_deadline_still_leaves_no_lock(self, world: World):
        """T3, T5: the clean-up belongs to the pair."""
        world = within(world, seconds=2)
        world.plan.interleave(SEND_CALL, lambda: world.clock.advance(3))
        world.plan.faults = {SEND_CALL: Fault.THROTTLED}

        with pytest.raises(TryAgain):
            ensure(world)

        assert holder(world) is None


def within(world: World, *, seconds: float) -> World:
    """The same world, whose tables and queues have a deadline."""
    deadline = Deadline.after(world.clock, seconds)
    world.tables, world.queues = world.tables.within(deadline), world.queues.within(deadline)
    return world


class TestGiveUp:
    def test_a_trigger_gives_up_its_own_lock(self, world: World):
        """T2: before it reads the stage."""
        ensure(world)

        trigger_lock.give_up(world.tables.trigger_lock, Trigger(KEY, "ours"))

        assert holder(world) is None

    def test_a_newer_trigger_s_lock_stays(self, world: World):
        """T2: that one will come."""
        ensure(world, "newer")

        trigger_lock.give_up(world.tables.trigger_lock, Trigger(KEY, "ours"))

        assert holder(world) == "newer"

    def test_no_lock_is_no_error(self, world: World):
        """T2: a trigger may come twice."""
        trigger_lock.give_up(world.tables.trigger_lock, Trigger(KEY, "ours"))

        assert holder(world) is None


class TestComingAgain:
    def test_a_trigger_keeps_its_id(self):
        """T4: by it, it knows the conversation lock that it took."""
        again = Trigger(KEY, "ours", 2).again()

        assert again == Trigger(KEY, "ours", 3)

    def test_it_is_sent_whoever_holds_the_lock(self, world: World):
        """T4: no other trigger can resume the batch that it may hold."""
        ensure(world, "another")

        send_again(world, Trigger(KEY, "ours", 1))

        assert holder(world) == "another"
        assert sent(world) == [("another", 10), ("ours", 15)]

    def test_it_takes_a_lock_that_is_free(self, world: World):
        """T1: so that messages that come meanwhile need no trigger of their own."""
        send_again(world, Trigger(KEY, "ours", 1))

        assert holder(world) == "ours"


class TestIsWaiting:
    @pytest.mark.parametrize(("seconds", "expected"), [(0, True), (69, True), (70, False)])
    def test_a_trigger_waits_until_its_lock_expires(self, world: World, seconds: int, expected: bool):
        """Then it was lost."""
        ensure(world)
        world.clock.advance(seconds)

        is_waiting = trigger_lock.is_waiting(world.tables.trigger_lock, KEY, now=world.clock.now())

        assert is_waiting is expected

    def test_another_conversation_of_the_same_id_has_a_trigger_of_its_own(self, world: World):
        """Conversation ids are unique under their primary channel only."""
        ensure(world)

        theirs = ConversationKey("+4999", KEY.conversation_id)

        assert not trigger_lock.is_waiting(world.tables.trigger_lock, theirs, now=world.clock.now())

    def test_without_a_lock_none_waits(self, world: World):
        """Nobody promised one."""
        assert not trigger_lock.is_waiting(world.tables.trigger_lock, KEY, now=START + timedelta(days=1))
