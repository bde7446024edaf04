"""The queueing model: what it says of loads that the arithmetic knows, and of those beyond."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.scale.ceilings import Capacity, Units, ceilings, secret_reads
from bench.scale.events import Event, Events, measured
from bench.scale.model import Outcome, Plan, outcome

PLAN = Plan(
    messages_per_second=3,
    conversations=300,
    webhook=0.05,
    callback=0.02,
    batch=0.05,
    reply=0.4,
    stale=0.03,
    ai=5,
    batch_workers=2,
    reply_workers=2,
    api_per_second=1_000,
    api_burst=1_000,
    concurrency=1_000,
    seconds=400,
    settled_after=100,
)
"""Two reply workers, which can send five replies a second."""


def per_second(result: Outcome) -> float:
    return result.replies / result.seconds


class TestBelowSaturation:
    def test_every_message_is_answered_after_the_window_and_the_ai(self):
        """Nothing is done twice, and nothing is refused."""
        result = outcome(PLAN)

        assert result.answered == pytest.approx(result.offered, rel=0.05)
        assert (result.refused, result.stale, result.repeated) == (0, 0, 0)
        assert result.wait(0.5) == pytest.approx(PLAN.window + PLAN.ai + PLAN.reply, rel=0.1)

    def test_a_seed_repeats_a_run(self):
        """And another tells another story."""
        first, again, other = (outcome(PLAN, seed=seed) for seed in (1, 1, 2))

        assert first == again
        assert first != other


class TestBeyondSaturation:
    @pytest.mark.parametrize("factor", [2, 4])
    def test_the_reply_workers_send_all_that_they_can(self, factor: int):
        """While what waits is answered within the stall timeout, throughput is flat: a batch takes more messages."""
        load = PLAN.replies_per_second_max * factor
        plan = replace(PLAN, messages_per_second=load, conversations=600)

        result = outcome(plan)

        assert per_second(result) == pytest.approx(PLAN.replies_per_second_max, rel=0.1)
        assert result.answered > result.replies

    def test_a_patience_that_grows_repeats_less_of_the_ai_s_work(self):
        """Beyond the stall timeout batches are dispatched again, and replies to the earlier ones come too late."""
        plan = replace(PLAN, messages_per_second=10, conversations=600, stall=30, sweep=30, seconds=500)

        fixed, growing = outcome(replace(plan, patience_max=30)), outcome(replace(plan, patience_max=180))

        assert fixed.stale > growing.stale
        assert fixed.repeated_share > growing.repeated_share
        assert per_second(growing) > per_second(fixed)

    def test_an_api_that_is_throttled_takes_what_it_is_let(self):
        """The rest is given up after the provider's retries; callbacks compete with messages."""
        plan = replace(PLAN, messages_per_second=20, api_per_second=10, api_burst=10, seconds=500)

        result = outcome(plan)

        taken = (result.offered - result.refused) / result.seconds
        assert plan.api_per_second / 2 < taken < plan.api_per_second

    def test_an_account_without_room_refuses_as_a_throttle_does(self):
        """Lambda would run no further instance."""
        full = replace(PLAN, concurrency=PLAN.batch_workers + PLAN.reply_workers)

        result = outcome(full)

        assert result.refused == pytest.approx(result.offered, rel=0.05)
        assert result.answered == 0


def test_a_deployment_that_is_scaled_down_waits_as_long_and_sends_its_share():
    """A twentieth of the customers and of the workers."""
    large = replace(PLAN, messages_per_second=40, conversations=6_000, batch_workers=20, reply_workers=20, seconds=200)

    whole, part = outcome(large), outcome(large, workers_scaled_to=2)

    assert per_second(part) * 10 == pytest.approx(per_second(whole), rel=0.1)
    assert part.wait(0.5) == pytest.approx(whole.wait(0.5), rel=0.25)


def test_the_calls_of_each_event_are_those_that_the_protocol_is_said_to_cost(monkeypatch: pytest.MonkeyPatch):
    """Five, six with the sending and the settling, and six with one to the provider."""
    monkeypatch.setattr("bench.scale.events.ROUNDS", 1)

    events = measured()

    calls = {name: (one.aws_calls, one.provider_calls) for name, one in vars(events).items()}
    of_callbacks = {"callback": (2, 0), "known": (1, 0)}
    assert calls == {"message": (5, 0), "batch": (6, 0), "reply": (6, 1), "stale": (3, 0), **of_callbacks}
    assert all(one.dollars > 0 and one.cpu_milliseconds > 0 for one in vars(events).values())


class TestCeilings:
    EVENTS = Events(*(Event(1, 0, 0.0, 0.0) for _ in range(6)))
    """Each takes one call, of eight milliseconds."""
    CAPACITY = Capacity("one", workers=20, requests_per_second=500, burst=1_000, concurrency=1_000)

    def test_each_part_s_ceiling_is_what_it_can_do_by_what_one_message_needs(self):
        """One message is four requests to the API, with its three callbacks."""
        found = ceilings(self.EVENTS, self.CAPACITY, Units(10, 2), Units(100, 2), 1)

        assert found["reply workers"] == pytest.approx(20 / 0.008)
        assert found["API throttle"] == 125
        assert found["conversations table, full records"] == 400
        assert found["concurrency of the account"] == pytest.approx(1_000 / (6 * 0.008))

    def test_a_secret_is_read_for_nearly_every_event_where_tenants_are_many(self):
        """And once in its time to live where there is one tenant."""
        few, many = (secret_reads(self.EVENTS, tenants, 300) for tenants in (1, 10_000_000))

        assert few == pytest.approx(5 * 0.008 / 300, rel=0.01)
        assert many == pytest.approx(5, rel=0.01)
