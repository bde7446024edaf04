"""Rows and messages that the previous version left behind are read and finished correctly by today's code.

Each fixture is one state of the protocol, recorded by `tests/upgrade/record.py`. The AI and people work on meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from chalicelib.errors import ReplyCode
from tests.emails import Email
from tests.upgrade.restored import NAMES, endings, fixture, restored


@dataclass(frozen=True)
class Expected:
    """How a state ends."""

    messages: tuple[str, ...]
    """How each of the customer's messages ends, in their order."""
    status: str
    """The record's status in the end."""
    code: str | None = None
    """The record's error code in the end."""
    sends: int = 1
    """How many messages the customer received in all, before and after the upgrade."""


ANSWERED, PEOPLE, OPT_OUT, REFUSED, REPORTED = "answered", "people", "opt-out", "refused", "reported"
SENT, WITH_PEOPLE, ERROR = "ai_response_sent", "user_reply_received", "processing_error"
UNKNOWN = ReplyCode.UNKNOWN_OUTCOME.value

EXPECTED = {
    "abandoned": Expected((ANSWERED,), SENT),
    "acquired": Expected((ANSWERED,), SENT),
    "claimed_for_people": Expected((PEOPLE, PEOPLE), WITH_PEOPLE, sends=0),
    "claimed_for_people_and_sent": Expected((PEOPLE, PEOPLE), WITH_PEOPLE, sends=0),
    "contended": Expected((ANSWERED, ANSWERED), SENT),
    "dispatched_and_staged": Expected((ANSWERED,), SENT),
    "ended_with_people": Expected((PEOPLE, PEOPLE), "processing_timeout", sends=0),
    "fallback_waits": Expected((), "initial_message_sent"),
    "first_part_sent": Expected((ANSWERED, ANSWERED), SENT, sends=2),
    "locked_by_company": Expected((ANSWERED,), SENT),
    "locked_by_company_and_stamped": Expected((ANSWERED,), SENT),
    "opted_in_again": Expected((OPT_OUT, OPT_OUT, ANSWERED), SENT),
    "opted_out": Expected((OPT_OUT, REFUSED), "initial_message_sent", sends=0),
    "opted_out_with_reply": Expected((REPORTED, REPORTED, OPT_OUT), ERROR, "OPTED_OUT", sends=0),
    "part_claimed": Expected((REPORTED, REPORTED), ERROR, UNKNOWN, sends=0),
    "part_refused": Expected((REPORTED, REPORTED), ERROR, "21211", sends=0),
    "part_sent": Expected((ANSWERED, ANSWERED), SENT),
    "part_sent_and_unknown_to_us": Expected((ANSWERED, ANSWERED), SENT),
    "part_unknown": Expected((REPORTED, REPORTED), ERROR, UNKNOWN, sends=0),
    "reply_claimed": Expected((ANSWERED, ANSWERED), SENT),
    "reply_given_up": Expected((REPORTED, REPORTED), ERROR, UNKNOWN, sends=0),
    "reply_given_up_and_sent": Expected((ANSWERED, ANSWERED), SENT),
    "reply_of_people_half_sent": Expected((ANSWERED, ANSWERED), SENT, sends=2),  # the rest: see the test of its own
    "reply_postponed": Expected((ANSWERED, ANSWERED), SENT),
    "reply_waits": Expected((ANSWERED, ANSWERED), SENT),
    "staged_after_move": Expected((ANSWERED,) * 6, SENT, sends=6),
    "staged_email": Expected((ANSWERED,), SENT),
    "staged_for_ai": Expected((ANSWERED, ANSWERED), SENT),
    "staged_for_people": Expected((PEOPLE,), WITH_PEOPLE, sends=0),
    "staged_for_people_behind_ai": Expected((PEOPLE, PEOPLE), WITH_PEOPLE, sends=0),
    "staged_with_lock_and_no_trigger": Expected((ANSWERED,), SENT),
    "stalled": Expected((ANSWERED, ANSWERED), SENT),
    "status_overwritten": Expected((ANSWERED, ANSWERED), SENT),
    "timed_out": Expected((ANSWERED, ANSWERED, ANSWERED), SENT),
    "timed_out_and_answered_late": Expected((ANSWERED, ANSWERED), SENT),
    "trigger_dead_lettered": Expected((ANSWERED,), SENT),
    "undelivered": Expected((ANSWERED, ANSWERED), ERROR, "63016"),
    "with_ai": Expected((ANSWERED, ANSWERED), SENT, sends=2),
    "with_people_and_staged": Expected((PEOPLE,), WITH_PEOPLE, sends=0),
    "with_people_in_record_and_staged": Expected((PEOPLE,), WITH_PEOPLE, sends=0),
}

AT_REST = frozenset({"timed_out_at_rest"})
"""States in which nothing is on its way: `ops watch-unanswered` finishes them, see `tests/ops/test_watching.py`."""


def test_each_fixture_has_an_expectation_and_the_reverse():
    assert set(NAMES) == EXPECTED.keys() | AT_REST


@pytest.mark.parametrize("name", EXPECTED)
def test_what_the_previous_version_left_behind_is_finished(name: str):
    """Each message ends in exactly one way, nothing is sent twice, and nothing stays staged or locked."""
    world, expected = restored(name), EXPECTED[name]

    world.run(8_000)

    assert [endings(world, sid) for sid in fixture(name)["acknowledged"]] == [{one} for one in expected.messages]
    assert world.is_at_rest
    assert world.is_silent
    assert (world.row["conversation_status"], world.row.get("processing_error_code")) == (
        expected.status,
        expected.code,
    )
    assert len(world.phone.texts) == len(set(world.phone.texts)) == expected.sends


@pytest.mark.parametrize("name", EXPECTED)
def test_the_order_of_the_record_is_kept(name: str):
    """The customer's messages stand in the record in the order in which the previous version acknowledged them."""
    world = restored(name)

    world.run(8_000)

    moved = [row["entry"]["message_id"] for row in world.tables.history.rows]
    kept = [sid for sid in world.entry_ids if sid not in moved]
    overtaken = ["SM" + "2".zfill(32)] if name == "opted_out" else []  # the previous version appended STOP at once
    assert kept == [*overtaken, *(sid for sid in fixture(name)["acknowledged"] if sid in {*kept} - {*overtaken})]


def test_a_retry_of_an_email_after_the_upgrade_is_a_duplicate():
    """Its id is made of the same."""
    world = restored("staged_email")
    photo = ("photo.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(64))

    world.deliver_email(Email(message_id="<one@customer.example>", attachments=(photo,)))
    world.run(400)

    assert world.answered_ids == fixture("staged_email")["acknowledged"]


@pytest.mark.parametrize("name", ["staged_for_ai", "with_ai", "staged_for_people", "with_people_and_staged"])
def test_a_retry_of_a_message_after_the_upgrade_is_a_duplicate(name: str):
    """Whether it is staged, with the AI or with people."""
    world = restored(name)
    sids = fixture(name)["acknowledged"]

    for sid in sids:
        world.deliver("again", sid=sid)
    world.run(400)

    assert sorted([*world.answered_ids, *world.with_people]) == sids


def test_a_person_s_reply_on_the_ai_s_queue_is_dead_lettered_and_finished_from_people_s_queue():
    """It says so, and what the previous version sent of it is not sent again."""
    world = restored("reply_of_people_half_sent")
    world.run(60)
    (dead,) = world.queues.dead_replies.messages
    reasons = [line["reason"] for line in world.telemetry.lines if line["step"] == "dead_letter"]
    sent_before_the_move = len(world.phone.texts)

    world.queues.human_replies.inject(dead.body, group=dead.group)
    world.run(600)

    assert reasons == ["a reply of source human has a queue of its own"]
    assert sent_before_the_move == 2
    assert [text.split()[0] for text in world.phone.texts] == ["answer", "first", "second"]
    assert world.is_at_rest


def test_a_reminder_of_the_previous_version_sends_its_text():
    """The row bears the text under the same attribute."""
    world = restored("fallback_waits")

    world.run(60)

    assert world.phone.texts == ["We do not know you."]
