"""The previous version and today's work over the same rows while functions are deployed one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.telemetry import Step
from ops.repairs import widening
from tests.fakes.faults import Call, Crash
from tests.upgrade.previous import Previous
from tests.upgrade.record import recorded
from tests.upgrade.restored import FIXTURES, NAMES
from tests.upgrade.side_by_side import SideBySide, Traffic
from tests.world import World

SEEDS = range(8)


@pytest.fixture
def both(earlier: Previous) -> Callable[..., SideBySide]:
    """Makes a deployment that both versions serve."""
    return lambda seed=0, **traffic: SideBySide(earlier, seed, Traffic(**traffic))


@pytest.mark.parametrize("name", NAMES)
def test_the_fixtures_are_what_the_previous_version_writes(earlier: Previous, name: str):
    """Recording them anew changes nothing."""
    assert recorded(name, earlier) == (FIXTURES / f"{name}.json").read_text()


class TestUpgrade:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_in_the_order_of_the_deployment_nothing_is_lost_doubled_or_reordered(self, both, seed: int):
        """The webhooks' function is the last: workers, replies and sweeps of both versions see the old rows."""
        world = both(seed)
        world.run(100, webhooks="before", functions="before")
        world.run(250, webhooks="before", functions="both")
        world.run(50, webhooks="before", functions="today")
        world.run(50, webhooks="today", functions="today")

        world.finish("today")

        assert world.violations() == []

    @pytest.mark.parametrize("seed", SEEDS)
    def test_in_any_order_nothing_is_lost_doubled_or_reordered(self, both, seed: int):
        """Every function of either version serves: the previous one meets rows that it cannot read."""
        world = both(seed)
        world.run(100, webhooks="before", functions="before")
        world.run(300, webhooks="both", functions="both")
        world.run(50, webhooks="today", functions="today")

        world.finish("today")

        assert world.violations() == []


class TestClaims:
    """The previous version counts the age of a claimed lock from its start alone."""

    @pytest.mark.parametrize("seconds", [20, 59, 61, 200, 290])
    def test_its_sweep_gives_up_no_reply_of_today_whose_process_may_be_alive(self, both, seconds: int):
        """So long after the lock the reply claims, and the sweep comes while its process may be at work."""
        world = both()
        document = world.today.burst_with_ai("one")
        world.today.clock.advance(seconds)
        world.today.reply(document, "answer")
        _dying(world.today, "PutItem", "sends", world.today.send_replies)

        world.today.clock.advance(world.today.settings.reconcile_after_seconds)
        world.before.sweep()

        assert world.today.row["reply_claim"]


class TestRollback:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_webhooks_first_and_the_rest_when_the_stage_has_no_row_of_today_loses_nothing(self, both, seed: int):
        """The previous version writes rows that both read; what today's wrote is drained before its workers go."""
        world = both(seed, handoffs=0, crashes=0, silences=0)
        world.run(150, webhooks="today", functions="today")
        world.run(100, webhooks="before", functions="today")
        world.drain("today")
        world.run(150, webhooks="before", functions="before")

        world.finish("before")

        assert world.violations() == []

    def test_all_at_once_leaves_rows_of_today_staged_and_loud(self, both):
        """The previous sweep reports them each minute; they are finished once today's code is back."""
        world = both()
        sid = world.today.deliver("one")

        world.finish("before", seconds=1_200)
        staged_meanwhile = world.today.staged_ids
        world.finish("today")

        assert staged_meanwhile == [sid]
        assert _unreadable(world)
        assert world.today.answered_ids == [sid]

    def test_a_batch_that_today_claimed_for_people_is_handed_to_them_by_the_previous_sweep(self, both):
        """The claim bears the same name in both."""
        world = both()
        sid = world.before.deliver("one")
        world.today.tables.conversations.seed({**world.today.row, "hand_off_to_human": True})
        world.today.clock.advance(11)
        _dying(world.today, "SendMessage", "human-handoff", world.today.work)

        world.finish("before")

        assert world.today.with_people == [sid]
        assert world.violations() == []

    def test_the_lock_of_another_system_on_a_watched_row_is_opened_at_once(self, both):
        """The previous version takes the start of the watch for the lock's."""
        world = both()
        world.today.burst_with_ai("one")
        world.today.clock.advance(400)
        world.today.sweep()
        world.today.clock.advance(301)
        world.today.tables.conversations.seed({**world.today.row, "conversation_status": "processing_reply"})

        world.before.deliver("two")
        world.today.clock.advance(11)
        world.before.work()

        assert [line["outcome"] for line in world.before.telemetry.lines if line["step"] == "reset_stalled_lock"] == [
            "warn"
        ]

    def test_the_messages_of_a_watched_row_wait_for_the_customer_s_next_one(self, both):
        """The previous sweep does not read that part of the index."""
        world = both()
        world.today.burst_with_ai("one")
        world.today.clock.advance(400)
        world.today.sweep()

        world.finish("before", seconds=3_000)
        batches_without_it = dict(world.today.batches)
        world.before.deliver("two")
        world.finish("before", seconds=3_000)

        assert batches_without_it == {}
        assert world.today.answered_ids == world.today.entry_ids


class TestOptOuts:
    """The previous version knows `opted_out` alone; today's marks a channel in `opted_out_channels`."""

    def test_a_stop_of_the_previous_version_stops_today_s_replies_until_a_start(self, both):
        """Today's START lifts the mark for both."""
        world = both()
        document = world.before.burst_with_ai("one")
        world.before.deliver("STOP", OptOutType="STOP")
        world.today.reply(document, "answer")
        world.today.send_replies()

        world.today.deliver("START", OptOutType="START")
        world.today.work()

        assert world.today.phone.texts == []
        assert (world.today.row["opted_out"], world.today.row["opted_out_channels"]) == (False, [])

    def test_a_stop_that_today_took_does_not_stop_the_previous_version_s_replies(self, both):
        """Only the provider refuses them."""
        world = both()
        document = world.before.burst_with_ai("one")
        world.today.deliver("STOP", OptOutType="STOP")
        world.today.reply(document, "answer")

        world.before.send_replies()

        assert world.today.row["opted_out_channels"] == ["whatsapp"]
        assert "opted_out" not in world.today.row
        assert world.today.phone.texts == ["answer"]

    def test_once_it_is_widened_that_stop_stops_the_previous_version_too(self, both):
        """What an operator does before a rollback: `ops widen-opt-outs`."""
        world = both()
        document = world.before.burst_with_ai("one")
        world.today.deliver("STOP", OptOutType="STOP")
        widening.widen(world.today.engine, widening.find(world.today.engine))
        world.today.reply(document, "answer")

        world.before.send_replies()

        assert world.today.phone.texts == []

    def test_a_start_that_the_previous_version_takes_leaves_today_s_mark_until_the_next_one(self, both):
        """It does not know that mark."""
        world = both()
        world.today.deliver("STOP", OptOutType="STOP")
        world.today.work()
        world.before.deliver("START", OptOutType="START")
        before_the_next = list(world.today.row["opted_out_channels"])

        world.today.deliver("START", OptOutType="START")
        world.today.work()

        assert before_the_next == ["whatsapp"]
        assert world.today.row["opted_out_channels"] == []


class TestUnreadableRows:
    """Today's rows of the stage have no `route`: the previous version stops at them, whatever else is staged."""

    def test_the_previous_version_never_batches_a_conversation_with_a_row_of_today(self, both):
        """A STOP that is staged would be a message like others to it."""
        world = both()
        before, today = world.before, world.today
        before.deliver("one")
        _stage_only(today, "STOP", OptOutType="STOP")

        today.clock.advance(11)
        before.work()

        assert today.queues.ai.messages == []
        assert "unanswered_ids" not in today.row

    def test_its_trigger_comes_again_until_a_worker_of_today_takes_it(self, both):
        """Within the retry horizon nothing waits for the sweep."""
        world = both()
        world.before.deliver("one")
        _stage_only(world.today, "STOP", OptOutType="STOP")
        world.today.clock.advance(11)
        world.before.work()
        (waiting,) = world.today.queues.triggers["whatsapp"].messages

        world.today.clock.advance(16)
        world.today.work()

        assert '"RetryAttempt":1' in waiting.body
        assert [one.get("refused") or one.get("opt_out") for one in world.today.row["messages"]] == [
            "OPTED_OUT",
            "STOP",
        ]
        assert world.today.staged_ids == []

    def test_a_trigger_that_met_no_worker_of_today_is_dead_lettered_and_the_sweep_of_today_finds_the_rows(self, both):
        """The horizon is that of `REQUEUE_ATTEMPTS_MAX`."""
        world = both()
        sid = world.today.deliver("one")
        for _ in range(60):
            world.today.clock.advance(15)
            world.before.work()
        dead = list(world.today.dead)

        world.finish("today")

        assert len(dead) == 1
        assert world.today.answered_ids == [sid]

    def test_a_reply_that_the_previous_version_sends_beside_such_a_row_is_sent_once_and_dead_lettered(self, both):
        """Its look at the stage fails after the release: the reply comes again, and has ended."""
        world = both()
        document = world.before.burst_with_ai("one")
        world.today.deliver("two")
        world.today.reply(document, "answer")

        for _ in range(60):
            world.before.send_replies()
            world.today.clock.advance(60)
        dead = list(world.today.queues.dead_replies.messages)
        world.finish("today")

        assert world.today.phone.texts[0] == "answer"
        assert world.today.phone.texts.count("answer") == 1
        assert len(dead) == 1
        assert len(world.today.answered_ids) == 2


def _unreadable(world: SideBySide) -> list[str]:
    """What the previous version said of rows that it cannot read."""
    lines = world.before.telemetry.lines
    failed = (line for line in lines if line["step"] == Step.FAILED.value)
    return [line["reason"] for line in failed if line["reason"].startswith("KeyError")]


def _stage_only(today: World, body: str, **parameters: str) -> None:
    """A webhook of today that died right after it staged a message, and that the provider does not repeat."""
    form = today.form(body, **parameters)
    _dying(today, "PutItem", "stage", lambda: today.post(form))


def _dying(today: World, operation: str, resource: str, act: Callable[[], object]) -> None:
    """A process of today that dies at such a call: after a put, before a send."""
    plan, perform = today.plan, today.plan.perform

    def dying(call: Call, apply: Callable[..., Any]) -> Any:
        is_it = call.operation == operation and resource in call.resource
        if is_it and call.kind == "send":
            raise Crash(call)
        answer = perform(call, apply)
        if is_it:
            raise Crash(call)
        return answer

    plan.perform = dying  # type: ignore[method-assign]
    with today.process():
        act()
    plan.perform = perform  # type: ignore[method-assign]
