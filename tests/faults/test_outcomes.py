"""Every row of the providers' tables of outcomes happens to a reply: it ends once, and no text is sent twice."""

from __future__ import annotations

import pytest

from chalicelib.channels.answers import Answer, outcome_of
from chalicelib.channels.outcomes import SERVER_ERROR, Reaction, Row, Table
from chalicelib.channels.sendgrid.outcomes import TABLE as SENDGRID
from chalicelib.channels.twilio.outcomes import TABLE as TWILIO
from tests.world import DELIVER, Taken, World

QUIET_SECONDS = 3_600
LONG = " ".join(f"Sentence number {number} of a long answer." for number in range(60))


def _answer(row: Row, table: Table) -> Answer:
    """The answer that a row is about."""
    if row.code == SERVER_ERROR:
        return Answer(503, is_of_provider=True)
    is_status = len(row.code) == 3 or table is SENDGRID
    return Answer(int(row.code) if is_status else 400, is_of_provider=True, code=row.code.replace("xx", "03"))


CASES = [
    pytest.param(row, outcome_of(table, _answer(row, table)), id=f"{name} {row.code}")
    for name, table in (("twilio", TWILIO), ("sendgrid", SENDGRID))
    for row in table.rows.values()
    if row.is_answered
]


@pytest.mark.parametrize("is_lasting", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize(("row", "outcome"), CASES)
def test_a_reply_that_meets_a_row_ends_once(row, outcome, is_lasting):
    """Sent, or told to an operator; the conversation is open, and what the customer writes next is answered."""
    world = World()
    world.reply(world.burst_with_ai("one"), "an answer")
    world.phone.outcomes = [outcome] * (50 if is_lasting else 1)

    world.run(QUIET_SECONDS, step=30)
    ended = len(world.phone.texts)
    world.phone.outcomes = []
    world.deliver("two")
    world.run(QUIET_SECONDS, step=30)

    is_sent = not is_lasting and row.reaction in (Reaction.RETRY, Reaction.OURS_TO_MEND)
    assert world.is_at_rest
    assert ended == is_sent or row.reaction is Reaction.IN_DOUBT
    assert world.phone.texts.count("an answer") <= 1
    assert len(world.phone.texts) == len(set(world.phone.texts))
    is_opted_out = getattr(outcome, "is_opt_out", False)
    assert is_opted_out or world.phone.texts[-1].startswith("answer to "), "the next message is answered"


@pytest.mark.parametrize("at", [0, 1], ids=["first part", "second part"])
@pytest.mark.parametrize("row", [row for row in TWILIO.rows.values() if row.reaction is Reaction.IN_DOUBT])
def test_a_part_that_was_taken_although_the_answer_denies_it_is_not_doubled(row, at):
    """The provider's list proves it; the parts after it follow, in order."""
    world = World()
    world.reply(world.burst_with_ai(), LONG)
    world.phone.outcomes = [DELIVER] * at + [Taken(outcome_of(TWILIO, _answer(row, TWILIO)))]

    world.run(QUIET_SECONDS, step=10)

    assert " ".join(world.phone.texts) == LONG
    assert world.row["conversation_status"] == "ai_response_sent"
    assert world.sent_contents == world.phone.texts
