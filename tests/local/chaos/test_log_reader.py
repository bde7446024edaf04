"""What the processes say is heard whole, however it comes."""

from __future__ import annotations

import json

from local.chaos.ledger import Batch
from local.chaos.log_reader import LogReader

CONTEXT = {
    "meta": {"batch_id": "b1"},
    "conversation": {"conversation_id": "c1"},
    "company": {"company_id": "acme"},
    "messages": [{"message_id": "SM1", "carried": True}, {"message_id": "SM2"}],
}


def _line(step: str, **fields: object) -> str:
    return json.dumps({"level": "INFO", "step": step, **fields})


def test_a_context_that_the_ai_got_is_a_batch():
    """Its carried messages are told from the new ones."""
    ear = LogReader()

    ear.on_line("ai", _line("thinking", document=CONTEXT))

    assert ear.batches == [
        Batch(batch_id="b1", conversation="c1", company="acme", new=("SM2",), carried=("SM1",)),
    ]


def test_two_lines_that_ran_into_one_are_two():
    """As threads of one process print them."""
    ear = LogReader()

    ear.on_line("web-1", _line("refused", message_sid="SM1", code="A") + _line("refused", message_sid="SM2", code="B"))

    assert ear.refused == {("SM1", "A"), ("SM2", "B")}


def test_half_a_line_of_a_killed_process_is_no_step():
    """It is kept out, and nothing breaks."""
    ear = LogReader()

    ear.on_line("web-1", _line("refused", message_sid="SM1", code="A")[:-5])

    assert (ear.refused, ear.steps.total()) == (set(), 0)


def test_an_answer_is_unknown_once_a_process_told_so():
    """At its release, or where the sweep gave it up; another release tells nothing."""
    ear = LogReader()

    ear.on_line("replies-1", _line("released", batch_id="b1", code="UNKNOWN_OUTCOME"))
    ear.on_line("sweeps-1", _line("stalled_reply_abandoned", batch_id="b2", code="UNKNOWN_OUTCOME"))
    ear.on_line("replies-1", _line("released", batch_id="b3"))

    assert ear.unknown == {"b1", "b2"}


def test_an_error_that_nobody_expected_is_kept_and_a_transient_one_is_not():
    """The world may fail here; we may not."""
    ear = LogReader()

    ear.on_line("replies-1", _line("failed", code="INTERNAL_ERROR", reason="TypeError at replying.py:1"))
    ear.on_line("replies-1", _line("failed", code="DB_TRANSIENT_ERROR", reason="GetItem: ReadTimeoutError"))

    assert ear.surprises == {"TypeError at replying.py:1"}


def test_each_step_is_passed_on_with_its_child():
    """So that a child can be killed right after it."""
    told = []
    ear = LogReader(on_step=lambda child, step: told.append((child, step)))

    ear.on_line("batches-2", _line("acquired", batch_id="b1"))

    assert told == [("batches-2", "acquired")]


def test_a_trace_is_of_one_conversation():
    """In the order in which it was told."""
    ear = LogReader()

    for step, conversation in (("staged", "c1"), ("staged", "c2"), ("triggered", "c1")):
        ear.on_line("web-1", _line(step, conversation_id=conversation))

    assert ear.trace("c1") == ["web-1 staged conversation_id=c1", "web-1 triggered conversation_id=c1"]


def test_a_trace_about_one_message_is_of_that_message():
    """However long the conversation is."""
    ear, sid = LogReader(), f"SM{'0' * 32}"
    ear.on_line("web-1", _line("staged", conversation_id="c1", message_sid=sid))

    for number in range(100):
        ear.on_line("web-1", _line("staged", conversation_id="c1", message_sid=f"SM{number + 1:032}"))

    assert ear.trace("c1", f"{sid} in c1: lost") == [f"web-1 staged conversation_id=c1 message_sid={sid}"]
