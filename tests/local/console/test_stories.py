"""The ledger counts each acknowledged message once, under the end that log lines and tables show together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from local.console.stories import End, Sight, Stories
from local.logs import LogLine

NOW = datetime(2026, 1, 5, tzinfo=UTC)
SID = "SM" + "1" * 32
CONVERSATION = "sunrise-anna"


def sight(**told: Any) -> Sight:
    nothing: dict[str, Any] = {"staged": {}, "recorded": {}, "unanswered": frozenset(), "batch_id": None}
    return Sight(**{"conversation": CONVERSATION, "status": "initial_message_sent", **nothing, **told})


def hear(stories: Stories, step: str, **fields: Any) -> None:
    stories.take(LogLine("INFO", step, fields), NOW)


@pytest.fixture
def stories() -> Stories:
    """One message that was received, staged and acknowledged."""
    stories = Stories()
    hear(stories, "received", message_sid=SID)
    hear(stories, "staged", message_sid=SID, conversation_id=CONVERSATION)
    hear(stories, "answered_provider", message_sid=SID, conversation_id=CONVERSATION, status=200)
    return stories


def end(stories: Stories) -> tuple[End, str]:
    return stories.by_sid[SID].end, stories.by_sid[SID].code


def test_a_staged_message_waits_and_shows_when_its_window_ends(stories: Stories):
    stories.see(sight(staged={SID: "2026-01-05T00:00:03+00:00"}))

    assert end(stories) == (End.WAITING, "")
    assert stories.latest[0]["due_at"] == "2026-01-05T00:00:03+00:00"


def test_an_acknowledged_message_that_no_table_holds_is_lost(stories: Stories):
    """And counts as found again where it was between two tables at the moment of the look."""
    stories.see(sight())
    assert end(stories) == (End.LOST, "")
    assert stories.ledger["lost"] == 1

    stories.see(sight(recorded={SID: {}}, unanswered=frozenset({SID}), batch_id="b1"))
    assert stories.ledger["lost"] == 0


@pytest.mark.parametrize(
    ("told", "expected"),
    [({}, (End.ANSWERED, "")), ({"code": "UNKNOWN_OUTCOME"}, (End.REFUSED, "UNKNOWN_OUTCOME"))],
)
def test_a_batch_whose_reply_has_ended_ends_its_messages(
    stories: Stories, told: dict[str, str], expected: tuple[End, str]
):
    stories.see(sight(recorded={SID: {"batch_id": "b1"}}, unanswered=frozenset({SID}), batch_id="b1"))
    hear(stories, "released", conversation_id=CONVERSATION, batch_id="b1", **told)
    stories.see(sight(recorded={SID: {"batch_id": "b1"}}, batch_id="b1"))

    assert end(stories) == expected


def test_a_batch_that_was_never_seen_locked_is_found_by_its_entry(stories: Stories):
    """A lock may come and go between two looks."""
    hear(stories, "released", conversation_id=CONVERSATION, batch_id="b1")

    stories.see(sight(recorded={SID: {"batch_id": "b1"}}, batch_id="b2"))

    assert end(stories) == (End.ANSWERED, "")


def test_what_people_received_is_with_people(stories: Stories):
    stories.people_received({"messages": [{"message_id": SID}]}, NOW)
    stories.see(sight(recorded={SID: {}}))

    assert end(stories) == (End.WITH_PEOPLE, "")


def test_what_a_rule_refused_after_it_was_staged_is_refused(stories: Stories):
    stories.see(sight(recorded={SID: {"refused": "OPTED_OUT"}}))

    assert end(stories) == (End.REFUSED, "OPTED_OUT")


def test_what_the_ai_leaves_unanswered_wants_no_answer(stories: Stories):
    stories.see(sight(recorded={SID: {"batch_id": "b1"}}, batch_id="b1", status="ai_no_reply"))

    assert end(stories) == (End.NOT_WANTED, "")


def test_a_forged_copy_of_a_message_does_not_end_it(stories: Stories):
    hear(stories, "refused", message_sid=SID, code="INVALID_SIGNATURE")

    assert end(stories) == (End.WAITING, "")


def test_a_delivery_report_is_no_message_of_a_customer():
    stories = Stories()

    hear(stories, "answered_provider", message_sid="SM" + "2" * 32, conversation_id=CONVERSATION, status=204)

    assert stories.ledger["acknowledged"] == 0


def test_each_refused_e_mail_without_an_id_is_a_story_of_its_own():
    stories = Stories()

    hear(stories, "refused", message_sid="em-unverified", code="INVALID_SIGNATURE")
    stories.take(LogLine("INFO", "refused", {"message_sid": "em-unverified", "code": "NO_PROOF"}), NOW.replace(hour=1))

    assert [one["code"] for one in stories.latest] == ["NO_PROOF", "INVALID_SIGNATURE"]
    assert stories.ledger["acknowledged"] == 0


def test_the_ledger_adds_up_and_forgets_no_count(stories: Stories):
    for number in range(300):
        sid = f"SM{number:032}"
        hear(stories, "received", message_sid=sid)
        hear(stories, "answered_provider", message_sid=sid, conversation_id=CONVERSATION, status=200)
        hear(stories, "refused", message_sid=sid, code="PROJECT_INACTIVE")
    stories.forget_old()

    told = stories.ledger
    assert len(stories.by_sid) == 200
    assert told["acknowledged"] == 301
    assert told["acknowledged"] == sum(told[one] for one in End)


def test_a_part_that_arrived_twice_is_doubled(stories: Stories):
    stories.parts.update([("reply-1", 1), ("reply-1", 1), ("reply-1", 2)])

    assert stories.ledger["doubled"] == 1
