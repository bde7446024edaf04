"""Status callbacks: what Twilio tells after it took a message."""

from __future__ import annotations

from itertools import permutations

import pytest

from chalicelib.channels.sender import InDoubt
from chalicelib.errors import ReplyCode
from chalicelib.telemetry import Metric, Step
from tests.fakes.faults import Fault
from tests.world import ACCOUNT_SID, World


def answered(world: World) -> str:
    """A reply was sent; the send id of its only part."""
    world.reply(world.burst_with_ai(), "an answer")
    world.send_replies()
    (row,) = world.sends
    return row["send_id"]


@pytest.mark.parametrize("order", list(permutations(["queued", "sent", "delivered", "read", "sent"], 5))[::7])
def test_a_delivery_status_only_rises_whatever_the_order_and_the_repeats(order: tuple[str, ...]):
    """P3: any order of reports, repeated ones too, ends in the same row."""
    world = World()
    send_id = answered(world)

    for status in order:
        assert world.report(send_id, status).status_code == 204

    (row,) = world.sends
    assert row["delivery_status"] == "read"


@pytest.mark.parametrize("status", ["accepted", "scheduled", "queued", "sending", "sent"])
def test_a_report_that_says_no_more_than_that_the_part_was_sent_writes_nothing(status: str):
    """P3: the row's state says it; the line of the log has the status, and no metric counts it."""
    world = World()
    send_id = answered(world)
    before, first = world.sends, len(world.plan.calls)

    assert world.report(send_id, status).status_code == 204

    assert world.sends == before
    assert [call.operation for call in world.plan.calls[first:]] == ["GetItem"]
    assert [one["outcome"] for one in world.telemetry.lines if one["step"] == Step.REPORTED] == [status]
    assert world.telemetry.total(Metric.DELIVERY) == 0


@pytest.mark.parametrize("is_there", [False, True], ids=["no row", "an earlier row"])
@pytest.mark.parametrize(
    ("status", "told"), [("sent", None), ("delivered", "delivered"), ("undelivered", "undelivered")]
)
def test_a_report_that_reads_the_past_ends_in_the_same_row(is_there: bool, status: str, told: str | None):
    """P2, P3: only `sent` is believed of a read that need not be consistent; a status is compared as it is written."""
    world = World()
    send_id = answered(world)
    (row,) = world.sends
    early = {name: value for name, value in row.items() if name != "provider_sid"} | {"send_state": "claimed"}
    world.tables.sends.lag({"send_id": send_id}, early if is_there else None)

    assert world.report(send_id, status).status_code == 204

    assert world.sends[0].get("delivery_status") == told
    assert world.telemetry.total(Metric.UNKNOWN_SEND) == 0


def test_a_report_that_reads_a_lower_status_than_there_is_lowers_none():
    """P3: the conditional write decides."""
    world = World()
    send_id = answered(world)
    (row,) = world.sends
    world.report(send_id, "read")
    world.tables.sends.lag({"send_id": send_id}, row)

    world.report(send_id, "delivered")

    assert world.sends[0]["delivery_status"] == "read"
    assert world.telemetry.total(Metric.DELIVERY) == 1


@pytest.mark.parametrize("status", ["delivered", "read", "undelivered"])
def test_a_status_that_the_row_has_already_is_not_written(status: str):
    """P3: neither the same one, nor a lower one."""
    world = World()
    send_id = answered(world)
    world.report(send_id, status, **({"ErrorCode": "30003"} if status == "undelivered" else {}))
    before, first = world.sends, len(world.plan.calls)

    world.report(send_id, "delivered")

    assert world.sends == before
    assert "UpdateItem" not in [call.operation for call in world.plan.calls[first:]]
    assert world.telemetry.total(Metric.DELIVERY) == 1


def test_a_failure_is_final_and_its_code_is_kept():
    """`undelivered` ends the part: a late `sent` changes nothing."""
    world = World()
    send_id = answered(world)

    world.report(send_id, "undelivered", ErrorCode="30003")
    world.report(send_id, "sent")

    (row,) = world.sends
    assert (row["delivery_status"], row["error_code"]) == ("undelivered", "30003")


def test_a_report_on_a_send_that_nobody_knows_is_taken_and_counted():
    """204, so that Twilio is content; no write."""
    world = World()

    answer = world.report("0" * 40, "delivered")

    assert answer.status_code == 204
    assert world.telemetry.total(Metric.UNKNOWN_SEND) == 1
    assert not world.sends


def test_a_forged_report_is_answered_by_the_table_and_writes_nothing():
    """200 with empty TwiML, a critical line, and the row as it was."""
    world = World()
    send_id = answered(world)
    before = world.sends

    answer = world.report(send_id, "failed", token="of-a-forger", ErrorCode="21610")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/xml")
    assert world.telemetry.total(Metric.INVALID_SIGNATURE) == 1
    assert world.sends == before
    assert "opted_out_channels" not in world.row


@pytest.mark.parametrize("missing", ["MessageSid", "MessageStatus", "AccountSid"])
def test_a_report_without_what_it_is_about_is_refused(missing: str):
    """A report that makes no sense is answered by the table."""
    world = World()

    answer = world.report("0" * 40, "sent", **{missing: ""})

    assert answer.status_code == 200
    assert world.telemetry.lines[-1]["outcome"] == "MISSING_REQUIRED_FIELD"


@pytest.mark.parametrize(
    "changes",
    [
        {"MessageSid": "SM" + "9" * 32 + "MessageStatussent"},
        {"MessageSid": "SM9"},
        {"AccountSid": ACCOUNT_SID.lower()},
        {"AccountSid": ACCOUNT_SID + "0"},
        {"MessageStatus": "s e n t"},
        {"ErrorCode": "30003\n"},
    ],
    ids=["an id that swallowed a parameter", "short", "lower case", "long", "status", "code"],
)
def test_a_report_with_a_malformed_part_is_refused_before_any_call(changes: dict[str, str]):
    """Twilio's signed string has no separators: without the ids' form one captured report would be many."""
    world = World()

    answer = world.report("0" * 40, "sent", **changes)

    assert answer.status_code == 200
    assert world.telemetry.lines[-1]["outcome"] == "PARSING_ERROR"
    assert world.plan.calls == []


@pytest.mark.parametrize(("code", "is_opted_out"), [("63016", False), ("21610", True)])
def test_a_refusal_that_comes_after_the_send_has_the_effect_that_it_would_have_had_then(code: str, is_opted_out: bool):
    """The record tells the code; 21610 opts the conversation out."""
    world = World()
    send_id = answered(world)

    world.report(send_id, "undelivered", ErrorCode=code)

    assert (world.row["conversation_status"], world.row["processing_error_code"]) == ("processing_error", code)
    assert ("whatsapp" in world.row.get("opted_out_channels", ())) is is_opted_out


def test_a_refusal_of_an_old_reply_leaves_the_record_of_a_newer_one_alone():
    """R4: only the reply that ended last is marked."""
    world = World()
    send_id = answered(world)
    world.reply(world.burst_with_ai("next"), "the next answer")
    world.send_replies()

    world.report(send_id, "undelivered", ErrorCode="63016")

    assert world.row["conversation_status"] == "ai_response_sent"


def test_a_report_proves_a_send_that_is_in_doubt():
    """The answer was lost, and Twilio's list does not have it yet; the callback that carries our send id does."""
    world = World()
    world.reply(world.burst_with_ai(), "an answer")
    world.phone.outcomes = [InDoubt()]
    world.send_replies()
    (row,) = world.sends

    world.report(row["send_id"], "delivered")
    world.run(300)

    assert world.row["conversation_status"] == "ai_response_sent"
    assert world.row["messages"][-1]["message_id"] == "SM" + "9" * 32
    assert world.telemetry.total(Metric.REPLY_UNKNOWN) == 0


def test_a_report_after_the_end_of_a_reply_of_unknown_outcome_clears_it():
    """The record says answered, once that is proven."""
    world = World()
    world.reply(world.burst_with_ai(), "an answer")
    world.phone.outcomes = [InDoubt()]
    world.run(300)
    assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME
    (row,) = world.sends

    world.report(row["send_id"], "delivered")

    assert world.row["conversation_status"] == "ai_response_sent"
    assert "processing_error_code" not in world.row


@pytest.mark.parametrize("status", ["sent", "delivered"])
@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.THROTTLED, Fault.LOST_ANSWER])
@pytest.mark.parametrize("call", range(2, 6))
def test_a_report_that_failed_after_it_proved_a_send_proves_it_when_it_comes_again(
    call: int, fault: Fault, status: str
):
    """The part's row says that a report proved it, so the record is looked at once more."""
    world = World()
    world.reply(world.burst_with_ai(), "an answer")
    world.phone.outcomes = [InDoubt()]
    world.run(300)
    (row,) = world.sends
    world.plan.faults = {len(world.plan.calls) + call: fault}

    for _ in range(2):
        with world.process():
            world.report(row["send_id"], status)

    assert world.row["conversation_status"] == "ai_response_sent"
    assert [one["message_id"] for one in world.row["messages"] if "send_id" in one] == ["SM" + "9" * 32]


@pytest.mark.parametrize("at", [5, 6], ids=["before the part's row tells it", "before the release"])
def test_a_refusal_that_comes_before_the_release_is_told_by_it(at: int):
    """The callback may be faster than our own record of the send."""
    world = World()
    world.reply(world.burst_with_ai(), "an answer")

    def refused() -> None:
        (row,) = world.sends
        world.report(row["send_id"], "undelivered", ErrorCode="63016")

    world.plan.interleave(len(world.plan.calls) + at, refused)
    world.send_replies()

    assert (world.row["conversation_status"], world.row["processing_error_code"]) == ("processing_error", "63016")
    assert world.row["messages"][-1]["content"] == "an answer"
    assert world.is_at_rest


@pytest.mark.parametrize("is_sweep_first", [True, False])
def test_a_send_whose_claim_stalled_is_proven_by_its_report_whichever_comes_first(is_sweep_first: bool):
    """The process died after the send, and nobody took the reply up: the report and the sweep find each other."""
    world = World()
    world.reply(world.burst_with_ai(), "an answer")
    world.plan.faults = {len(world.plan.calls) + 4: Fault.CRASH_AFTER}
    world.send_replies()
    world.queues.replies.messages.clear()
    (row,) = world.sends

    world.clock.advance(400)
    steps = [world.sweep, lambda: world.report(row["send_id"], "delivered")]
    for step in steps if is_sweep_first else reversed(steps):
        step()

    assert world.row["conversation_status"] == "ai_response_sent"
    assert world.row["messages"][-1]["content"] == "an answer"


def test_a_report_on_one_of_several_parts_does_not_make_the_reply_whole():
    """The first part is proven, the second was never sent: the record goes on saying that it is unknown."""
    world = World()
    world.reply(world.burst_with_ai(), " ".join(f"Sentence number {number}." for number in range(200)))
    world.phone.outcomes = [InDoubt()]
    world.run(300)
    (row,) = world.sends

    world.report(row["send_id"], "delivered")

    assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME


def test_an_opt_out_that_races_with_another_write_is_marked_all_the_same():
    """The mark is tried again on the record as it stands."""
    world = World()
    send_id = answered(world)

    def company() -> None:
        note = {"message_id": "note", "direction": "OUTBOUND", "content": "a note"}
        world.tables.conversations.seed({**world.row, "messages": [*world.row["messages"], note]})

    world.plan.interleave(len(world.plan.calls) + 5, company)
    world.report(send_id, "undelivered", ErrorCode="21610")

    assert world.row["opted_out_channels"] == ["whatsapp"]


def test_a_report_after_one_that_proved_the_send_and_died_mends_the_record_too():
    """Whatever it says: the provider does not come again with the first for long."""
    world = World()
    world.reply(world.burst_with_ai(), "an answer")
    world.phone.outcomes = [InDoubt()]
    world.run(300)
    (row,) = world.sends
    world.plan.faults = {len(world.plan.calls) + 4: Fault.CRASH_BEFORE}
    with world.process():
        world.report(row["send_id"], "sent")
    assert world.row["conversation_status"] == "processing_error"

    with world.process():
        world.report(row["send_id"], "delivered")

    assert world.row["conversation_status"] == "ai_response_sent"
