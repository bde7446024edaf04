"""The ledger convicts each kind of violation, planted alone in a run that kept every promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from local.chaos.ledger import Batch, Delivery, Found, Kind, Record, Result, Sent, violations

GOOD = Found(
    sent=[
        Sent(sid="SM1", number=1, conversation="acme-ann", company="acme", text="one"),
        Sent(sid="SM2", number=2, conversation="acme-ann", company="acme", text="two"),
        Sent(sid="SM3", number=3, conversation="acme-ann", company="acme", text="three"),
        Sent(sid="SM4", number=1, conversation="bolt-bob", company="bolt", text="four", result=Result.HANDED_OFF),
        Sent(
            sid="SM5", number=1, conversation="bolt-cy", company="bolt", text="five", result=Result.REFUSED, code="OFF"
        ),
        Sent(sid="SM6", number=4, conversation="acme-ann", company="acme", text="six", is_acknowledged=False),
    ],
    batches=[
        Batch(batch_id="b1", conversation="acme-ann", company="acme", new=("SM1", "SM2")),
        Batch(batch_id="b1", conversation="acme-ann", company="acme", new=("SM1", "SM2")),
        Batch(batch_id="b2", conversation="acme-ann", company="acme", new=("SM3",), carried=("SM2",)),
    ],
    deliveries=[
        Delivery(sid="OUT1", conversation="acme-ann", batch_id="b1", part=1, text='Thanks for "one".'),
        Delivery(sid="OUT2", conversation="acme-ann", batch_id="b2", part=1, text='Thanks for "two", "three".'),
    ],
    handed_off=[("bolt-bob", "SM4"), ("bolt-bob", "SM4")],
    refused=frozenset({("SM5", "OFF")}),
    records=[
        Record(
            conversation="acme-ann",
            history=("SM1",),
            entries=("SM1", "SM2", "SM3"),
            outbound=frozenset({"OUT1", "OUT2"}),
        ),
        Record(conversation="bolt-bob", entries=("SM4",)),
        Record(conversation="bolt-cy"),
    ],
    waiting={"ai": 0, "ai-dlq": 0},
)
"""A run with everything in it that may be: a batch that came again, a carried message, a message handed off twice, an
entry that stands in the history and on the record, and a message that nobody acknowledged."""


def _batches(*more: Batch) -> Found:
    return replace(GOOD, batches=[*GOOD.batches, *more])


def _record(**changes: object) -> Found:
    return replace(GOOD, records=[replace(GOOD.records[0], **changes), *GOOD.records[1:]])


def _delivered(**changes: object) -> Found:
    return replace(GOOD, deliveries=[*GOOD.deliveries, replace(GOOD.deliveries[0], **changes)])


AGAIN = Batch(batch_id="b3", conversation="acme-ann", company="acme", new=("SM3",))
SIXTH = Batch(batch_id="b3", conversation="acme-ann", company="acme", new=("SM6",))

PLANTED: dict[str, tuple[Kind, Callable[[], Found]]] = {
    "a message vanished": (Kind.LOST, lambda: replace(GOOD, handed_off=[])),
    "a refusal was not told": (Kind.LOST, lambda: replace(GOOD, refused=frozenset())),
    "handed off and batched": (
        Kind.WRONG_END,
        lambda: replace(GOOD, handed_off=[*GOOD.handed_off, ("acme-ann", "SM3")]),
    ),
    "batched and refused": (Kind.WRONG_END, lambda: replace(GOOD, refused=GOOD.refused | {("SM3", "OFF")})),
    "refused by another rule": (Kind.WRONG_END, lambda: replace(GOOD, refused=frozenset({("SM5", "ODD")}))),
    "a message is new in two batches": (Kind.TWO_BATCHES, lambda: _batches(AGAIN)),
    "a batch came again with less": (
        Kind.BATCH_CHANGED,
        lambda: _batches(replace(GOOD.batches[0], new=("SM1",))),
    ),
    "a batch turned around": (
        Kind.OUT_OF_ORDER,
        lambda: replace(GOOD, batches=[replace(one, new=one.new[::-1]) for one in GOOD.batches]),
    ),
    "a later batch came first": (
        Kind.OUT_OF_ORDER,
        lambda: replace(GOOD, batches=[replace(GOOD.batches[2], carried=()), *GOOD.batches[:2]]),
    ),
    "entries turned around": (Kind.RECORD_OUT_OF_ORDER, lambda: _record(entries=("SM1", "SM3", "SM2"))),
    "history after the record": (
        Kind.RECORD_OUT_OF_ORDER,
        lambda: _record(history=("SM3",), entries=("SM1", "SM2")),
    ),
    "an entry twice": (Kind.RECORDED_TWICE, lambda: _record(entries=("SM1", "SM2", "SM2", "SM3"))),
    "an entry missing": (Kind.NOT_RECORDED, lambda: _record(entries=("SM1", "SM2"))),
    "a handoff not recorded": (
        Kind.NOT_RECORDED,
        lambda: replace(GOOD, records=[GOOD.records[0], GOOD.records[2]]),
    ),
    "a batch without an answer": (Kind.UNANSWERED, lambda: replace(GOOD, deliveries=GOOD.deliveries[:1])),
    "an unacknowledged one batched and not answered": (Kind.UNANSWERED, lambda: _batches(SIXTH)),
    "a part sent twice": (Kind.ANSWERED_TWICE, lambda: _delivered(sid="OUT2")),
    "a message answered with two batches": (Kind.ANSWERED_TWICE, lambda: _delivered(batch_id="b2", part=2, sid="OUT2")),
    "an answer not recorded": (Kind.REPLY_NOT_RECORDED, lambda: _record(outbound=frozenset({"OUT1"}))),
    "a message in another's batch": (
        Kind.STRANGER,
        lambda: replace(GOOD, batches=[replace(one, conversation="bolt-cy") for one in GOOD.batches]),
    ),
    "a batch under another company": (
        Kind.STRANGER,
        lambda: replace(GOOD, batches=[replace(one, company="bolt") for one in GOOD.batches]),
    ),
    "a message with another's people": (Kind.STRANGER, lambda: replace(GOOD, handed_off=[("bolt-cy", "SM4")])),
    "an answer to another customer": (
        Kind.STRANGER,
        lambda: replace(GOOD, deliveries=[replace(one, conversation="bolt-bob") for one in GOOD.deliveries]),
    ),
    "an unknown message in a record": (Kind.NEVER_SENT, lambda: _record(entries=("SM1", "SM2", "SM3", "SM9"))),
    "an answer to no batch": (Kind.NEVER_SENT, lambda: _delivered(batch_id="b9", sid="OUT2", text="")),
    "a lock": (Kind.LOCKED, lambda: _record(is_locked=True)),
    "an unanswered id": (Kind.CARRYING, lambda: _record(unanswered=("SM3",))),
    "a staged row": (Kind.STAGED, lambda: replace(GOOD, staged=["SM3"])),
    "a dead letter": (Kind.QUEUED, lambda: replace(GOOD, waiting={"ai": 0, "ai-dlq": 1})),
    "an answer unknown for no reason": (Kind.UNEXPLAINED, lambda: replace(GOOD, unknown=frozenset({"b1"}))),
    "an error of ours": (Kind.SURPRISE, lambda: replace(GOOD, surprises=frozenset({"TypeError at replying.py:1"}))),
    "a callback to come": (Kind.UNTOLD, lambda: replace(GOOD, callbacks_to_come=1)),
}


def test_a_run_that_kept_every_promise_has_no_violation():
    """Whatever is allowed to happen twice happened twice in it."""
    run = GOOD

    found = violations(run)

    assert found == []


@pytest.mark.parametrize(("kind", "plant"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_convicted(kind: Kind, plant: Callable[[], Found]):
    """By its own name, whatever else it breaks."""
    run = plant()

    found = violations(run)

    assert kind in {violation.kind for violation in found}


def test_each_kind_of_violation_is_planted():
    """A rule that was never seen to convict anybody is no rule."""
    kinds = set(Kind)

    planted = {kind for kind, _ in PLANTED.values()}

    assert planted == kinds


def test_an_answer_whose_outcome_was_told_as_unknown_counts_as_an_answer():
    """At most once is chosen over at least once, aloud."""
    run = replace(GOOD, deliveries=GOOD.deliveries[:1], unknown=frozenset({"b2"}), answers_disturbed=1)

    found = violations(run)

    assert found == []


def test_what_nobody_acknowledged_may_be_recorded_late():
    """Its webhook died, and the sweep hands it to people after later ones; what was acknowledged keeps its place."""
    first = Sent(sid="SM7", number=1, conversation="bolt-bob", company="bolt", text="7", result=Result.HANDED_OFF)
    second = replace(GOOD.sent[3], number=2)
    records = [GOOD.records[0], Record(conversation="bolt-bob", entries=("SM4", "SM7")), GOOD.records[2]]
    others = [one for one in GOOD.sent if one.sid != "SM4"]
    run = replace(GOOD, records=records, handed_off=[*GOOD.handed_off, ("bolt-bob", "SM7")])

    late = violations(replace(run, sent=[*others, replace(first, is_acknowledged=False), second]))
    misplaced = violations(replace(run, sent=[*others, first, second]))

    assert late == []
    assert [violation.kind for violation in misplaced] == [Kind.RECORD_OUT_OF_ORDER]


def test_a_violation_names_what_it_is_of():
    """In one readable line."""
    run = replace(GOOD, handed_off=[])

    (found,) = [str(violation) for violation in violations(run) if violation.kind is Kind.LOST]

    assert found == "message 1 of bolt-bob (SM4): acknowledged, and neither batched nor handed off nor refused"
