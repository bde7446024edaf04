"""One batch is answered once, with heartbeats, and no fault of a model ends the worker."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from chalicelib.ai_worker.answering import SUPERSEDED, Answering, LockLostError, Question, echo
from examples.ai_worker.replies import RepliesInFile

SCHEMA = json.loads((Path(__file__).parents[3] / "schemas" / "reply.json").read_text())


@dataclass
class Bench:
    """A worker whose model, queue and record are at hand."""

    path: Path
    context: dict[str, Any]
    model: Callable[[Question], str] = echo
    sent: list[dict[str, Any]] = field(default_factory=list)
    beats: int = 0
    """Heartbeats that pass before the clock stands."""
    is_ours: bool = True
    tenants: set[str] = field(default_factory=set)
    hidden: int = 0
    beaten: threading.Event = field(default_factory=threading.Event)

    def send(self, body: str, tenant: str) -> None:
        reply = json.loads(body)
        Draft202012Validator(SCHEMA).validate(reply)
        self.sent.append(reply)
        self.tenants.add(tenant)

    def keep_hidden(self) -> None:
        self.hidden += 1

    def wait(self, ended: threading.Event, seconds: float) -> bool:
        if self.beats:
            self.beats -= 1
            return False
        self.beaten.set()
        return ended.wait()

    def answer(self, attempt: int = 1) -> None:
        """One delivery of the batch, to a worker that has just been started."""
        Answering(
            self.model,
            self.send,
            RepliesInFile(self.path),
            holds_lock=lambda _: self.is_ours,
            check_seconds=0.01,
            _waits=self.wait,
        ).answer(json.dumps(self.context), attempt, self.keep_hidden)

    def supersede(self, batch_id: str) -> None:
        """The customer adds something: another batch takes the place of this one, with all of its messages."""
        last = {**self.context["messages"][-1], "message_id": f"added for {batch_id}"}
        meta = {**self.context["meta"], "batch_id": batch_id, "supersedes": [self.context["meta"]["batch_id"]]}
        self.context = {**self.context, "meta": meta, "messages": [*self.context["messages"], last]}

    @property
    def first(self) -> str:
        """The id of the batch's first message."""
        return str(self.context["messages"][0]["message_id"])

    @property
    def actions(self) -> list[str]:
        return [one["action"] for one in self.sent]


@pytest.fixture
def bench(tmp_path: Path, context: dict[str, Any]) -> Bench:
    return Bench(tmp_path / "replies.sqlite", context)


def unable(_: Question) -> str:
    raise TimeoutError("no model")


def test_a_batch_gets_one_reply_in_its_tenant_s_group(bench: Bench):
    """Valid by the schema."""
    bench.answer()

    assert [one["body"] for one in bench.sent] == ["You wrote: hello / are you there?"]
    assert bench.tenants == {"acme"}


def test_a_batch_that_comes_again_gets_the_same_reply(bench: Bench):
    """Across restarts, whatever the model would say now: the engine knows the reply."""
    answers = iter(["one", "two"])
    bench.model = lambda _: next(answers)

    bench.answer()
    bench.answer(2)

    assert [one["body"] for one in bench.sent] == ["one", "one"]


def test_of_two_workers_with_the_same_batch_the_first_reply_counts(bench: Bench):
    """Both send it."""
    other = Bench(bench.path, bench.context, lambda _: "other")

    def late(_: Question) -> str:
        other.answer()
        return "late"

    bench.model = late
    bench.answer()

    assert [one["body"] for one in (*other.sent, *bench.sent)] == ["other", "other"]


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_fault_of_the_model_is_a_retry(bench: Bench, attempt: int):
    """Nothing is said, and nothing kept."""
    bench.model = unable

    with pytest.raises(TimeoutError):
        bench.answer(attempt)
    bench.model = echo
    bench.answer(attempt + 1)

    assert bench.actions == ["send"]


def test_the_last_fault_is_a_handoff_with_its_reason(bench: Bench):
    """The customer is answered by people; the fault's own words may hold the customer's and stay here."""
    bench.model = unable

    bench.answer(3)

    assert [(one["action"], one["reason"]) for one in bench.sent] == [
        ("handoff", "The AI failed 3 times: TimeoutError")
    ]


def test_a_long_turn_is_kept_alive_by_heartbeats(bench: Bench):
    """At the engine and at the queue, until the answer is there."""
    bench.beats = 2

    def slow(_: Question) -> str:
        assert bench.beaten.wait(10)
        return "at last"

    bench.model = slow
    bench.answer()

    assert bench.actions == ["extend", "extend", "send"]
    assert bench.hidden == 2


def test_a_heartbeat_that_fails_ends_nothing(bench: Bench):
    """The next may pass."""
    bench.beats = 2
    send = bench.send

    def send_badly(body: str, tenant: str) -> None:
        if '"extend"' in body and not bench.tenants:
            bench.tenants.add(tenant)
            raise ConnectionError
        send(body, tenant)

    bench.send = send_badly  # type: ignore[method-assign]

    def slow(_: Question) -> str:
        assert bench.beaten.wait(10)
        return "at last"

    bench.model = slow
    bench.answer()

    assert bench.actions == ["extend", "send"]


def test_an_engine_that_knows_no_extend_is_sent_none(bench: Bench):
    """The context says what may be used."""
    del bench.context["meta"]["actions"]
    bench.beats = 2

    def slow(_: Question) -> str:
        assert bench.beaten.wait(10)
        return "at last"

    bench.model = slow
    bench.answer()

    assert bench.actions == ["send"]


def test_a_batch_that_lost_its_lock_is_not_thought_about(bench: Bench):
    """Somebody else answered it, or a larger batch took its place."""
    bench.is_ours = False
    bench.model = unable

    bench.answer()

    assert bench.sent == []


def test_a_batch_that_loses_its_lock_is_dropped(bench: Bench):
    """The engine would refuse the reply."""

    def losing(question: Question) -> str:
        bench.is_ours = False
        return echo(question)

    bench.model = losing
    bench.answer()

    assert bench.sent == []


class TestTools:
    def test_before_an_effect_the_engine_is_told(self, bench: Bench):
        """So that no larger batch does it again."""
        keys: list[str] = []

        def refunding(question: Question) -> str:
            keys.append(question.before_effect("refund", bench.first))
            return "Refunded."

        bench.model = refunding
        bench.answer()

        assert [(one["action"], one.get("effects")) for one in bench.sent] == [("extend", True), ("send", None)]
        assert len(keys[0]) == 64

    def test_a_key_belongs_to_a_message_and_a_tool(self, bench: Bench):
        """It is the same in whatever batch the message comes."""
        keys: list[tuple[str, str, str]] = []

        def calling(question: Question) -> str:
            key = partial(question.before_effect, message_id=bench.first)
            second = bench.context["messages"][1]["message_id"]
            keys.append((key("refund"), key("cancel"), question.before_effect("refund", second)))
            return "done"

        bench.model = calling
        bench.answer()
        bench.supersede("another")
        bench.answer()

        assert keys[0] == keys[1]
        assert len(set(keys[0])) == 3

    def test_without_the_lock_a_tool_does_not_act(self, bench: Bench):
        """And nothing is sent."""
        acted: list[str] = []

        def late(question: Question) -> str:
            bench.is_ours = False
            acted.append(question.before_effect("refund", bench.first))
            return "done"

        bench.model = late
        bench.answer()

        assert (acted, bench.sent) == ([], [])

    def test_a_model_that_goes_on_without_the_lock_gets_no_further(self, bench: Bench):
        """Whatever it makes of the error."""

        def stubborn(question: Question) -> str:
            bench.is_ours = False
            with pytest.raises(LockLostError):
                question.before_effect("refund", bench.first)
            return "done"

        bench.model = stubborn
        bench.answer()

        assert bench.sent == []

    def test_a_tool_names_a_message_of_the_batch(self, bench: Bench):
        """A key of no message would be the same for nothing."""

        def wrong(question: Question) -> str:
            return question.before_effect("refund", "SM-unknown")

        bench.model = wrong
        with pytest.raises(ValueError, match="no message"):
            bench.answer()

        assert bench.sent == []


class TestSuperseded:
    def test_a_batch_that_comes_after_the_one_in_its_place_is_dropped(self, bench: Bench):
        """The queue keeps no order; the customer gets the one answer to everything."""
        before = bench.context
        bench.supersede("b-2")
        bench.answer()
        bench.context = before
        bench.answer()

        assert [one["batch_id"] for one in bench.sent] == ["b-2"]

    def test_a_turn_that_is_superseded_is_left_while_the_model_thinks(self, bench: Bench):
        """The worker is free for the larger batch; nothing is said for the old one."""
        thinking, enough = threading.Event(), threading.Event()

        def slow(question: Question) -> str:
            thinking.set()
            enough.wait(60)
            return echo(question)

        bench.model = slow
        turn = threading.Thread(target=bench.answer)
        turn.start()
        thinking.wait(60)
        bench.model = echo
        bench.supersede("b-2")
        bench.answer()
        turn.join(60)

        assert not turn.is_alive()
        assert [one["batch_id"] for one in bench.sent] == ["b-2"]
        enough.set()

    def test_a_tool_of_a_superseded_turn_does_not_act(self, bench: Bench):
        """Whatever the model does in the thread that was left."""
        acted: list[str] = []
        ended = threading.Event()
        old = bench.context

        def overtaken(question: Question) -> str:
            bench.model = echo
            bench.supersede("b-2")
            bench.answer()
            try:
                acted.append(question.before_effect("refund", old["messages"][0]["message_id"]))
            finally:
                ended.set()
            return "done"

        bench.model = overtaken
        bench.answer()
        ended.wait(60)

        assert acted == []
        assert [(one["batch_id"], one["action"]) for one in bench.sent] == [("b-2", "send")]

    def test_a_reply_that_is_ready_as_its_batch_is_superseded_is_not_sent(self, bench: Bench):
        """The larger batch arrives between the model's answer and its reply."""
        old = bench.context

        def overtaken(question: Question) -> str:
            RepliesInFile(bench.path).keep(old["meta"]["batch_id"], SUPERSEDED)
            return echo(question)

        bench.model = overtaken
        bench.answer()

        assert bench.sent == []
