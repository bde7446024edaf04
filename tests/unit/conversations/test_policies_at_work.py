"""Two companies on one deployment: each by its own rules, at no further call."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.clock import from_iso
from chalicelib.handlers import schedules
from chalicelib.telemetry import Metric, Step
from tests.world import COMPANY, CUSTOMER, SECRET_REF, World, conversation

OTHER_COMPANY, OTHER_CUSTOMER = "+14155550199", "+4917000000000"
ACME = {"From": f"whatsapp:{CUSTOMER}", "To": f"whatsapp:{COMPANY}"}
OTHER = {"From": f"whatsapp:{OTHER_CUSTOMER}", "To": f"whatsapp:{OTHER_COMPANY}"}


def config(whatsapp: Any = None, sms: Any = None) -> dict[str, Any]:
    return {
        "whatsapp": {"credential_ref": SECRET_REF, "policy": whatsapp or {}},
        "sms": {"credential_ref": SECRET_REF, "policy": sms or {}},
    }


def two_companies(other: Any = None, acme: Any = None, other_by_sms: Any = None, **settings: str) -> World:
    """Acme, and another company with policies of its own."""
    return World(
        None,
        conversation(channel_config=config(acme)),
        conversation(
            primary_channel=OTHER_CUSTOMER,
            conversation_id="conversation-2",
            gsi_company_whatsapp_number=OTHER_COMPANY,
            gsi_company_sms_number=OTHER_COMPANY,
            gsi_recipient_tel=OTHER_CUSTOMER,
            company_id="other",
            channel_config=config(other, other_by_sms),
        ),
        **settings,
    )


def rows(world: World) -> dict[str, dict[str, Any]]:
    """The two records, by company."""
    return {row["company_id"]: row for row in world.tables.conversations.rows}


def delays(world: World) -> list[float]:
    """In how many seconds each waiting trigger comes."""
    messages = [message for queue in world.queues.triggers.values() for message in queue.messages]
    return [message.visible_at - world.clock.monotonic() for message in messages]


def calls_of(world: World, act: Any) -> list[str]:
    before = len(world.plan.calls)
    act()
    return [call.operation for call in world.plan.calls[before:]]


def locked(world: World) -> World:
    """Both conversations have a batch with the AI."""
    world.deliver(**ACME)
    world.deliver(**OTHER)
    world.clock.advance(31)
    world.work()
    world.take(world.queues.ai)
    return world


class TestWindow:
    def test_the_first_trigger_comes_after_the_company_s_window(self):
        """Ten seconds by the settings, two by the other company's policy."""
        world = two_companies({"batch_window_seconds": Decimal(2)})

        world.deliver(**ACME)
        world.deliver(**OTHER)

        assert delays(world) == [10, 2]

    def test_a_burst_lasts_as_long_as_the_company_s_window(self):
        """A message eight seconds after the first begins a new burst at one company and belongs to it at the other."""
        world = two_companies({"batch_window_seconds": Decimal(5)})
        for number in range(2):
            world.deliver(f"acme {number}", **ACME)
            world.deliver(f"other {number}", **OTHER)
            world.clock.advance(8)
            world.work()

        batches = [[message["body"] for message in document["messages"]] for document in world.take(world.queues.ai)]

        assert batches == [["other 0"]]

    def test_the_cap_ends_a_burst(self):
        """Six messages, five seconds apart: the other company's cap is twelve seconds."""
        world = two_companies({"batch_max_wait_seconds": Decimal(12)})
        for _ in range(3):
            world.deliver(**ACME)
            world.deliver(**OTHER)
            world.clock.advance(5)
            world.work()

        documents = world.take(world.queues.ai)

        assert [document["company"]["company_id"] for document in documents] == ["other"]

    def test_messages_of_two_channels_wait_by_the_rules_of_their_own(self):
        """The window is the newest message's, whichever channel's trigger looks."""
        world = two_companies(other_by_sms={"batch_window_seconds": Decimal(25)})
        world.deliver("by WhatsApp", **OTHER)
        world.clock.advance(5)
        world.deliver("by SMS", From=OTHER_CUSTOMER, To=OTHER_COMPANY)
        world.clock.advance(6)

        world.work()

        assert world.take(world.queues.ai) == []
        assert 18.9 < min(delays(world)) <= 19

    def test_the_longest_window_is_waited_for(self):
        """Fifteen minutes, as long as SQS delays a message; the sweep meanwhile recovers nothing."""
        world = two_companies({"batch_window_seconds": Decimal(900)})
        world.deliver(**OTHER)
        for _ in range(14):
            world.clock.advance(60)
            world.work()
            world.sweep()
            assert world.take(world.queues.ai) == []

        world.clock.advance(61)
        world.work()

        assert len(world.take(world.queues.ai)) == 1
        assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 0


class TestOrphans:
    def test_a_row_is_orphaned_by_its_company_s_cap(self):
        """Cap and grace: 90 seconds by the settings, 260 by the other company's policy."""
        world = two_companies({"batch_window_seconds": Decimal(20), "batch_max_wait_seconds": Decimal(200)})
        world.deliver(**ACME)
        world.deliver(**OTHER)
        for row in world.tables.trigger_lock.rows:
            world.tables.trigger_lock.delete({"conversation_id": row["conversation_id"]})
        recovered = []
        for seconds in (91, 168, 2):
            world.clock.advance(seconds)
            schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)
            recovered.append({line["tenant"] for line in world.telemetry.lines if line["step"] == Step.RECOVERED.value})

        assert recovered == [{"acme"}, {"acme"}, {"acme", "other"}]

    def test_a_row_says_when_its_burst_is_over(self):
        """The sweep needs no read of the conversation."""
        world = two_companies({"batch_max_wait_seconds": Decimal(200)})

        world.deliver(**OTHER)

        (row,) = world.tables.stage.rows
        assert from_iso(row["due_at"]) - from_iso(row["received_at"]) == timedelta(seconds=200)

    def test_a_row_that_does_not_say_it_is_judged_by_the_settings(self):
        """It was staged by an earlier version."""
        world = two_companies({"batch_max_wait_seconds": Decimal(200)})
        world.deliver(**OTHER)
        (row,) = world.tables.stage.rows
        del row["due_at"]
        world.tables.stage.seed(row)
        world.tables.trigger_lock.delete({"conversation_id": "conversation-2"})
        world.clock.advance(91)

        schedules.recover_orphaned_messages(world._lambda_context(60), world.engine)

        assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 1


class TestLocked:
    def test_one_company_queues_and_another_rejects(self):
        """What is rejected is not staged; each has its own notice."""
        world = locked(two_companies({"on_new_message": "reject", "locked_notice": "Please write later."}))

        queued, rejected = world.post(world.form(**ACME)), world.post(world.form(**OTHER))

        assert world.settings.locked_notice in queued.body
        assert "Please write later." in rejected.body
        assert [row["tenant"] for row in world.tables.stage.rows] == ["acme"]

    def test_a_policy_queues_where_the_setting_rejects(self):
        """The setting is only the default."""
        world = locked(two_companies({"on_new_message": "queue", "locked_notice": ""}, on_new_message="reject"))

        world.post(world.form(**ACME))
        queued = world.post(world.form(**OTHER))

        assert "<Message>" not in queued.body
        assert [row["tenant"] for row in world.tables.stage.rows] == ["other"]


class TestStall:
    @pytest.mark.parametrize(
        ("setting", "policy"), [("warn", "handoff"), ("handoff", "warn")], ids=["people by policy", "people by setting"]
    )
    def test_people_get_the_stalled_batch_of_the_company_that_wants_it(self, setting: str, policy: str):
        """The other one's is carried into its next batch."""
        world = locked(two_companies({"stall_action": policy}, stall_action=setting))
        world.clock.advance(400)

        world.sweep()

        to_people = {"handoff": "other", "warn": "acme"}[policy]
        (document,) = world.take(world.queues.handoff)
        assert document["company"]["company_id"] == to_people
        assert {company: bool(row["unanswered_ids"]) for company, row in rows(world).items()} == {
            "acme": to_people != "acme",
            "other": to_people != "other",
        }

    def test_the_policy_is_that_of_the_batch_s_channel(self):
        """People get what stalls of SMS; this batch is of WhatsApp."""
        world = locked(two_companies(other_by_sms={"stall_action": "handoff"}))
        world.clock.advance(400)

        world.sweep()

        assert world.take(world.queues.handoff) == []
        assert [row["conversation_status"] for row in rows(world).values()] == ["processing_timeout"] * 2


class TestBadPolicies:
    @pytest.mark.parametrize(
        "bad",
        [
            "no map",
            {"batch_window_seconds": Decimal(-1)},
            {"batch_window_seconds": Decimal(1_000_000)},
            {"on_new_message": "sometimes", "stall_action": Decimal(3)},
            {"locked_notice": ["a", "list"], "unknown_sender_text": {}},
        ],
        ids=repr,
    )
    def test_the_message_is_handled(self, bad: Any):
        """With the settings or the nearest bound; warned of once, however many messages come."""
        world = two_companies()
        row = rows(world)["other"]
        row["channel_config"]["whatsapp"]["policy"] = bad
        world.tables.conversations.seed(row)

        responses = [world.post(world.form(**OTHER)) for _ in range(3)]
        world.clock.advance(901)
        world.work()

        (document,) = world.take(world.queues.ai)
        warned = [line["reason"] for line in world.telemetry.lines if line["step"] == Step.POLICY_NOT_APPLIED.value]
        assert [response.status_code for response in responses] == [200] * 3
        assert len(document["messages"]) == 3
        assert len(warned) == len(set(warned)) == (len(bad) if isinstance(bad, dict) else 1)


class TestCalls:
    def test_policies_cost_no_call(self):
        """The row that holds them is read anyway."""
        policy = {"batch_window_seconds": Decimal(5), "locked_notice": "Later.", "stall_action": "handoff"}
        plain, own = two_companies(), two_companies(policy)

        def life(world: World) -> None:
            world.deliver(**OTHER)
            world.deliver(From="whatsapp:+4999", To=f"whatsapp:{OTHER_COMPANY}")
            world.clock.advance(11)
            world.work()
            world.deliver(**OTHER)
            world.answer_batches()
            world.send_replies()
            world.clock.advance(11)
            world.work()

        calls = [calls_of(world, lambda world=world: life(world)) for world in (plain, own)]

        assert calls[0] == calls[1]
