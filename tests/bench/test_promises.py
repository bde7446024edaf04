"""The comparison plays the same evening for everybody, and counts what really happened."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from bench.promises.counting import counted
from bench.promises.script import Line, Script, script
from bench.promises.world import Delivered, Queue, Taken


def evening(*lines: Line, delivered: Any = (), ai: Any = (), replies: Any = ()) -> Any:
    return SimpleNamespace(
        script=SimpleNamespace(lines=lines),
        taken={line.token: Taken(line, is_acknowledged=True) for line in lines},
        delivered=[Delivered(at, 1, body) for at, body in delivered],
        ai_inputs=list(ai),
        replies=list(replies),
        calls=Counter({"dynamodb PutItem": 2, "errors": 5}),
    )


FIRST, SECOND = Line(0.0, 1, "c1m0", 0), Line(5.0, 1, "c1m1", 0)


def test_an_evening_is_the_same_for_everybody():
    assert script(7) == script(7)
    assert script(7) != script(8)
    assert script(7, has_faults=False).lines == script(7).lines


def test_an_evening_has_every_kind_of_line_and_fault():
    some = [script(seed) for seed in range(20)]

    assert {line.kind for one in some for line in one.lines} == {"text", "photo", "forged", "STOP", "probe"}
    assert any(line.is_retried for one in some for line in one.lines)
    assert {kind.value for one in some for _, kind in one.faults.sends} == {"5xx-taken", "lost", "429", "5xx"}


def test_one_answer_to_a_burst_is_nothing_wrong():
    world = evening(
        FIRST, SECOND, delivered=[(20.0, "About c1m0, c1m1 (answer 1)")], ai=[(15.0, "x", ("c1m0", "c1m1"))]
    )

    found = counted(world)

    count = found.count
    assert (count.messages, count.bursts, count.ai_turns, count.calls) == (2, 1, 1, 2)
    assert found.waits == [15.0]
    assert not any(found.surprises.values())


@pytest.mark.parametrize(
    ("name", "world"),
    [
        pytest.param("lost", evening(FIRST), id="nobody answered"),
        pytest.param(
            "answered_twice", evening(FIRST, delivered=[(9, "About c1m0 (answer 1)"), (10, "About c1m0 (answer 2)")])
        ),
        pytest.param(
            "replies_doubled", evening(FIRST, delivered=[(9, "About c1m0 (answer 1)"), (10, "About c1m0 (answer 1)")])
        ),
        pytest.param(
            "in_pieces", evening(FIRST, SECOND, delivered=[(9, "About c1m0 (answer 1)"), (10, "About c1m1 (answer 2)")])
        ),
        pytest.param("out_of_order", evening(FIRST, SECOND, ai=[(9, "x", ("c1m1",)), (10, "x", ("c1m0",))])),
        pytest.param("replies_lost", evening(FIRST, replies=["About c1m0 (answer 1)"])),
        pytest.param("forged", evening(FIRST, ai=[(9, "x", ("forged-c1m0",))])),
        pytest.param("stuck", evening(Line(0.0, 1, "c1probe", 9, "probe"))),
        pytest.param("after_stop", evening(Line(0.0, 1, "STOP", 1, "STOP"), delivered=[(9, "About c1m0 (answer 1)")])),
    ],
)
def test_each_broken_promise_is_counted_once(name: str, world: Any):
    found = counted(world)

    assert getattr(found.count, name) == 1
    assert len(found.surprises[name]) == 1


def test_an_answer_that_was_withheld_for_another_to_the_same_is_not_lost():
    replies = ["About c1m0 (answer 1)", "About c1m0 (answer 2)"]

    assert counted(evening(FIRST, delivered=[(9, replies[0])], replies=replies)).count.replies_lost == 0


def test_a_queue_hides_what_it_gave_and_kills_what_came_too_often():
    queue = Queue()
    queue.send({"MessageBody": "x", "DelaySeconds": 10}, now=0.0)
    assert queue.receive(9.0, 10, 30.0) == []

    times = [bool(queue.receive(10.0 + 31.0 * again, 10, 30.0)) for again in range(7)]

    assert times == [True] * 5 + [False] * 2
    assert len(queue.dead) == 1
    assert Script(1, (), script(1).faults).thinking_seconds("c1m0") > 0
