"""What once went wrong with a customer's messages: lost, taken twice, out of order, or at rest without an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chalice.app import Request

from chalicelib.channels.channel import Vendor
from chalicelib.clock import iso
from chalicelib.handlers import webhooks
from chalicelib.protocol import history, staging
from chalicelib.protocol.record import Record
from chalicelib.telemetry import Metric
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.regressions.fault_injection import inject
from tests.world import AUTH_TOKEN, COMPANY, CUSTOMER, KEY, World, conversation

TO_PEOPLE = {"auto_queue_reply_message": True}
BACK = {"auto_queue_reply_message": False}


def company_writes(world: World, **changes: Any) -> None:
    world.tables.conversations.seed({**world.row, **changes})


def old_entry(number: int) -> dict[str, Any]:
    return {
        "message_id": f"old-{number}",
        "direction": "INBOUND",
        "content": "x",
        "timestamp": "2020-01-01T00:00:00+00:00",
        "channel_type": "whatsapp",
        "metadata": {"sender": CUSTOMER, "recipient": "+1"},
    }


class TestRollingWindow:
    def test_what_the_company_trims_and_appends_beside_a_move_loses_nothing(self):
        """The list is as long as it was read; what left by position would have been in no history."""
        world = World(None, conversation(messages=[old_entry(number) for number in range(40)]), messages_keep="8")
        sid = world.deliver()
        world.clock.advance(11)
        trimmed: list[str] = []

        def roll() -> None:
            first, *rest = world.row["messages"]
            trimmed.append(first["message_id"])
            company_writes(world, messages=[*rest, {"message_id": "of the company", "direction": "OUTBOUND"}])

        world.plan.interleave(len(world.plan.calls) + 6, roll)  # between the history's rows and the removal
        world.run(120)

        kept = {entry["message_id"] for entry in world.row["messages"]}
        known = kept | {row["message_id"] for row in world.tables.history.rows}
        assert trimmed == ["old-0"]
        assert {*(f"old-{number}" for number in range(1, 40)), "of the company", sid} <= known
        assert world.answered_ids == [sid]


class TestOneWayToPeople:
    def test_people_get_what_waits_for_its_window_before_what_comes_after_the_switch(self, world: World):
        """Nothing overtakes."""
        first = world.deliver("one")
        company_writes(world, **TO_PEOPLE)
        second = world.deliver("two")

        world.run(120)

        assert world.with_people == world.entry_ids == [first, second]
        assert not world.batches

    @pytest.mark.parametrize("at", ["before people are sent it", "before the claim ends"])
    def test_what_is_on_its_way_to_people_is_not_taken_for_the_ai_as_well(self, world: World, at: str):
        """The company switches back, and another trigger comes: it finds the claim in people's name."""
        sid = world.deliver("one")
        company_writes(world, **TO_PEOPLE)
        world.clock.advance(11)

        def back() -> None:
            company_writes(world, **BACK)
            body = json.dumps({**KEY.item, "trigger_id": "another", "RetryAttempt": 0})
            world.invoke("whatsapp", [body])

        world.plan.interleave(len(world.plan.calls) + (5 if at.startswith("before people") else 6), back)
        world.run(300)

        assert world.with_people == [sid]
        assert not world.batches
        assert world.is_at_rest

    @pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.LOST_ANSWER])
    def test_a_claim_for_people_is_finished_though_the_company_switched_back_since(self, world: World, fault: Fault):
        """Whoever finds it finishes it; the message is answered once."""
        sid = world.deliver("one")
        company_writes(world, **TO_PEOPLE)
        world.clock.advance(11)
        inject(world, fault, "UpdateItem", "conversations")
        world.work()
        company_writes(world, **BACK)

        world.run(600)

        assert world.with_people == [sid]
        assert not world.batches
        assert world.is_at_rest

    def test_a_stop_overtakes_nothing_that_was_staged_before_it(self, world: World):
        """Its mark does not wait; the record keeps the order."""
        first = world.deliver("one")

        stop = world.deliver("STOP", OptOutType="STOP")

        assert world.row["opted_out_channels"] == ["whatsapp"]
        world.run(60)
        assert world.entry_ids == [first, stop]
        assert world.staged_ids == []

    def test_a_stop_does_not_overtake_a_message_of_another_channel(self, world: World):
        """A mark belongs to a channel, and the order to the conversation: the AI gets the message first."""
        first = world.deliver("one")

        stop = world.deliver("STOP", OptOutType="STOP", From=CUSTOMER, To=COMPANY)
        world.run(60)

        assert world.entry_ids == [first, stop]
        assert world.answered_ids == [first]

    def test_a_customer_who_repeats_stop_does_not_fill_the_record_beyond_its_bound(self):
        """Each was appended without a look at the room that was left."""
        world = World(messages_bytes_max="262144")
        for _ in range(25):
            world.deliver("x" * 19_500)
        world.run(900)

        for number in range(30):
            world.deliver(f"STOP {number}".ljust(19_500), OptOutType="STOP")
            world.work()
            assert history.room_bytes(Record.from_item(world.row)) >= 0

    def test_a_running_batch_goes_to_people_with_the_switch_and_the_ai_answers_no_more(self, world: World):
        """A trigger meets the lock; what was typed meanwhile comes behind, in order."""
        document = world.burst_with_ai("one", "two")
        company_writes(world, **TO_PEOPLE)
        third = world.deliver("three")
        world.work()
        world.reply(document, "too late")

        world.run(300, ai_answers=False)

        assert world.with_people == world.entry_ids == [*(one["message_id"] for one in document["messages"]), third]
        assert world.phone.texts == []
        assert all(entry["handed_off"] is True for entry in world.row["messages"])


class TestAtRest:
    def test_a_batch_that_was_acquired_and_never_dispatched_is_dispatched_in_the_end(self, world: World):
        """Its worker crashed, the trigger became a dead letter, and an older worker settled its rows."""
        sid = world.deliver("one")
        world.clock.advance(11)
        world.plan.faults = {len(world.plan.calls) + 5: Fault.CRASH_BEFORE}
        world.work()
        world.queues.triggers["whatsapp"].messages.clear()
        staging.settle(world.tables.stage, KEY, [sid])

        world.run(3_600)

        assert world.answered_ids == [sid]
        assert world.is_at_rest
        assert world.telemetry.total(Metric.ORPHAN_RECOVERED) == 1

    def test_the_sweep_s_patience_with_a_silent_ai_doubles(self, world: World):
        """It is asked again and again, ever later, and no message is given up."""
        world.deliver("one")
        world.run(7_200, ai_answers=False, step=60)

        dispatches = [line for line in world.telemetry.lines if line["step"] == "dispatched"]
        assert 3 <= len(dispatches) <= 5
        assert world.row["stall_resets"] >= 3
        world.run(86_400, step=60)
        assert world.is_at_rest

    def test_more_duplicates_than_one_look_considers_wait_for_no_sweep(self, world: World):
        """A replayed burst of a hundred and twenty: their trigger looks until nothing is left."""
        entries = [{**old_entry(number), "message_id": f"SM{number:032x}"} for number in range(120)]
        company_writes(world, messages=entries)
        for entry in entries:
            world.deliver(sid=entry["message_id"])
        world.clock.advance(11)

        world.work()

        assert world.staged_ids == []
        assert world.queues.ai.messages == []

    def test_a_refused_reply_looks_at_the_stage(self, world: World):
        """A second answer to a batch comes when messages are staged whose trigger was lost."""
        document = world.burst_with_ai("one")
        world.reply(document, "an answer")
        world.send_replies()
        world.deliver("two")
        world.queues.triggers["whatsapp"].messages.clear()
        world.tables.trigger_lock.delete({"conversation_id": KEY.conversation_id})
        world.reply(document, "another answer")

        world.send_replies()

        assert len(world.queues.triggers["whatsapp"].messages) == 1


class TestMarks:
    @pytest.mark.parametrize(
        ("changes", "mark"),
        [(TO_PEOPLE, ("handed_off", True)), ({"project_status": "x"}, ("refused", "PROJECT_INACTIVE"))],
    )
    def test_what_was_carried_and_goes_to_people_or_is_refused_bears_its_mark(
        self, world: World, changes: dict[str, Any], mark: tuple[str, object]
    ):
        """On the entry that an earlier batch appended."""
        document = world.burst_with_ai("one", "two")
        world.clock.advance(400)
        world.sweep()
        company_writes(world, **changes)

        world.run(1_800, ai_answers=False)

        name, value = mark
        assert [entry[name] for entry in world.row["messages"]] == [value] * len(document["messages"])
        assert world.is_at_rest


def pair(**changes: Any) -> list[dict[str, Any]]:
    """An older conversation of two addresses, with changes, and one that the company opened just now."""
    return [conversation(**changes), conversation(conversation_id="c-2", created_at=iso(START))]


class TestOneIdentity:
    def test_a_retry_that_finds_a_newer_conversation_of_the_pair_is_a_duplicate(self, world: World):
        """Staged in the older one, and answered there, once."""
        form = world.form()
        world.post(form)
        world.tables.conversations.seed({**conversation(conversation_id="c-2"), "created_at": iso(START)})

        world.post(form)

        assert [row["conversation_id"] for row in world.tables.stage.rows] == [KEY.conversation_id]
        assert ("DuplicateMessageDetected", 1, "whatsapp", "staged") in world.telemetry.counts
        world.run(120)
        assert world.answered_ids == [form["MessageSid"]]

    @pytest.mark.parametrize("where", ["record", "history"])
    def test_a_replay_is_not_answered_again_in_the_pair_s_next_conversation(self, where: str):
        """The older one is finished; its record or its history has the message."""
        sid = f"SM{7:032x}"
        known = {**old_entry(1), "message_id": sid}
        world = World(None, *pair(task_complete=1, messages=[known] if where == "record" else []))
        if where == "history":
            world.tables.history.seed({"conversation_id": KEY.conversation_id, "message_id": sid, "entry": known})

        world.deliver(sid=sid)

        assert world.staged_ids == []
        assert world.is_silent
        assert ("DuplicateMessageDetected", 1, "whatsapp", "answered") in world.telemetry.counts

    def test_a_new_message_is_taken_by_the_newest_conversation(self):
        """What no older one has is no duplicate."""
        world = World(None, *pair(task_complete=1))

        world.deliver()

        assert [row["conversation_id"] for row in world.tables.stage.rows] == ["c-2"]

    def test_a_conversation_older_than_the_horizon_costs_no_further_read(self):
        """A provider's retry comes within it."""
        rows = pair(task_complete=1)
        world = World(None, rows[0], {**rows[1], "created_at": "2026-01-28T17:59:59+00:00"})

        world.deliver()

        assert "BatchGetItem" not in [call.operation for call in world.plan.calls]

    def test_where_the_older_ones_cannot_be_read_the_provider_is_asked_to_come_again(self):
        """Nothing is staged before that is known."""
        world = World(None, *pair(task_complete=1))
        inject(world, Fault.THROTTLED, "BatchGetItem", "conversations")

        response = world.post(world.form())

        assert (response.status_code, world.staged_ids) == (503, [])


class TestReplays:
    def swallowed(self, world: World, form: dict[str, str], name: str) -> Request:
        """The request with the parameter behind MessageSid moved into it: Twilio's signed string stays the same."""
        request = world._request(form, AUTH_TOKEN, "/webhooks/whatsapp")
        swallowed = {**form, "MessageSid": form["MessageSid"] + name + form[name]}
        del swallowed[name]
        event = world._request(swallowed, AUTH_TOKEN, "/webhooks/whatsapp")
        assert event.headers["x-twilio-signature"] == request.headers["x-twilio-signature"], "the attack works"
        return event

    def test_an_id_that_swallows_the_next_parameter_is_refused(self, world: World):
        """One captured request is one message: an id without Twilio's form is refused before anything else."""
        form = world.form(MessageType="text")
        world.post(form)
        calls = len(world.plan.calls)

        response = webhooks.receive_message(self.swallowed(world, form, "MessageType"), Vendor.TWILIO, world.engine)

        assert response.status_code == 200
        assert [line["code"] for line in world.telemetry.lines if line["step"] == "refused"] == ["PARSING_ERROR"]
        assert len(world.plan.calls) == calls
        assert world.staged_ids == [form["MessageSid"]]

    @pytest.mark.parametrize("is_moved", [False, True], ids=["on the record", "in the history"])
    def test_an_old_start_does_not_opt_a_customer_in_again_after_a_stop(self, is_moved: bool):
        """Captured, and replayed with its signature."""
        world = World(None, conversation(opted_out_channels=["whatsapp"]))
        start = world.form("START", OptOutType="START")
        world.post(start)
        world.run(60)
        world.deliver("STOP", OptOutType="STOP")
        world.run(60)
        if is_moved:
            entry, *rest = world.row["messages"]
            row = {"conversation_id": KEY.conversation_id, "message_id": entry["message_id"], "entry": entry}
            world.tables.history.seed(row)
            company_writes(world, messages=rest, messages_moved_before=iso(START))

        world.post(start)
        world.run(120)

        known = [*world.entry_ids, *(row["message_id"] for row in world.tables.history.rows)]
        assert world.row["opted_out_channels"] == ["whatsapp"]
        assert world.is_at_rest
        assert known.count(start["MessageSid"]) == 1

    def test_a_replayed_message_is_answered_once(self, world: World):
        """Verbatim, again and again."""
        form = world.form()
        world.post(form)
        world.run(120)

        for _ in range(3):
            world.post(form)
            world.run(120)

        assert world.answered_ids == [form["MessageSid"]]
        assert world.is_at_rest
