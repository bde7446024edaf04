"""Two versions of the code over the same rows, queues, clock and phone, interleaved call by call from a seed.

Each invocation of a function is a greenlet that stops before every call; the seed chooses which goes on, which dies,
and which version serves the next request. Time passes only a little while an invocation is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet

from ops.repairs import watching
from tests.fakes.faults import Crash
from tests.upgrade.previous import Previous
from tests.world import World, conversation

STOPS = {"STOP": "STOP", "START": "START"}


@dataclass
class Side:
    """One version of the code at work."""

    name: str
    world: Any
    crash: type[BaseException]
    failures: list[str] = field(default_factory=list)
    """What its functions failed with."""


@dataclass
class Invocation:
    """One function under way."""

    side: Side
    thread: Any
    on_end: Callable[[], None]


@dataclass(frozen=True)
class Traffic:
    """How often something happens, in a thousand steps."""

    messages: int = 120
    retries: int = 30
    opt_outs: int = 20
    handoffs: int = 2
    """The company switches the conversation to people, and never back."""
    crashes: int = 6
    silences: int = 150
    """The AI never answers a batch, in a thousand batches."""


class SideBySide:
    """Both versions, and a ledger of every outcome."""

    def __init__(self, previous: Previous, seed: int, traffic: Traffic) -> None:
        self.random = Random(seed)  # noqa: S311  # repeatable, and nothing secret
        self.traffic = traffic
        settings = {"handoff_flag_routes": "true"}
        self.today = World(None, conversation(), **settings)
        clock = self.today.clock
        kind: Any = type("World", (previous.world.World,), {"clock_kind": staticmethod(lambda: clock)})
        self.before = kind(None, previous.world.conversation(), **settings)
        self._share()
        self.sides = {
            "before": Side("before", self.before, previous.faults.Crash),
            "today": Side("today", self.today, Crash),
        }
        for side in self.sides.values():
            side.world.plan.perform = _stopping(side)
        self.under_way: list[Invocation] = []
        self.acknowledged: list[str] = []
        self.pairs: list[tuple[str, str]] = []
        """Of two messages the first was acknowledged before the other was sent."""
        self.forms: list[dict[str, str]] = []
        """Every request of the provider so far, for its retries."""
        self.opt_outs: dict[str, str] = {}
        """What the messages with `OptOutType` say, by their sids."""

    # ------------------------------------------------------------------ what happens

    def run(self, steps: int, *, webhooks: str, functions: str) -> None:
        """So many steps, in which these versions serve: `before`, `today` or `both`."""
        for _ in range(steps):
            self._step(webhooks, functions)

    def finish(self, functions: str, seconds: float = 9_000) -> None:
        """Let everything come to rest, served by one version; of today's, after `ops watch-unanswered`."""
        self._complete()
        if functions == "today":
            engine = self.today.engine
            watching.watch(engine, watching.find(engine, engine.clock.now() - timedelta(hours=24)))
        world = self.sides[functions].world
        passed = 0.0
        while passed < seconds and not (self.today.is_at_rest and self.today.is_silent):
            self.today.clock.advance(5)
            passed += 5
            world.work()
            self.today.answer_batches()
            world.send_replies()
            self.today.take_handoffs()
            if passed % 60 < 5:
                world.sweep()

    def drain(self, functions: str, seconds: float = 1_200) -> None:
        """Let one version work until the stage has no row of today's code; webhooks rest meanwhile."""
        self._complete()
        passed = 0
        while passed < seconds and any("route" not in row for row in self.today.tables.stage.rows):
            self.today.clock.advance(5)
            passed += 5
            self.sides[functions].world.work()
            self._people_and_ai()
            self.sides[functions].world.send_replies()

    def _step(self, webhooks: str, functions: str) -> None:
        if self.under_way and self.random.random() < 0.75:
            self._go_on(self.random.choice(self.under_way))
            return
        chosen, random, traffic = self.random.randrange(1_000), self.random, self.traffic
        if chosen < traffic.messages:
            self._message(self._side(webhooks), f"message {len(self.forms)}")
        elif (chosen := chosen - traffic.messages) < traffic.opt_outs:
            self._message(self._side(webhooks), random.choice(sorted(STOPS)))
        elif (chosen := chosen - traffic.opt_outs) < traffic.retries and self.forms:
            self._post(self._side(webhooks), random.choice(self.forms[-6:]))
        elif (chosen := chosen - traffic.retries) < traffic.handoffs:
            self.today.tables.conversations.seed({**self.today.row, "hand_off_to_human": True})
        elif chosen < 350:
            self._receive(self._side(functions))
        elif chosen < 550:
            self._reply(self._side(functions))
        elif chosen < 600:
            self._sweep(self._side(functions))
        elif chosen < 750:
            self._people_and_ai()
        else:
            self._pass_time()

    def _side(self, name: str) -> Side:
        return self.sides[self.random.choice(("before", "today")) if name == "both" else name]

    def _message(self, side: Side, text: str) -> None:
        form = self.today.form(text, **({"OptOutType": STOPS[text]} if text in STOPS else {}))
        if text in STOPS:
            self.opt_outs[form["MessageSid"]] = STOPS[text]
        self.forms.append(form)
        self.pairs += [(one, form["MessageSid"]) for one in self.acknowledged]
        self._post(side, form)

    def _post(self, side: Side, form: dict[str, str]) -> None:
        sid = form["MessageSid"]

        def post() -> None:
            answer = side.world.post(form)
            outcome = side.world.telemetry.lines[-1].get("outcome")
            if answer.status_code == 200 and outcome in ("success", "TRIGGER_LOCK_WRITE_ERROR", "QUEUE_ERROR"):
                self.acknowledged.append(sid)

        self._start(side, post, lambda: None)

    def _receive(self, side: Side) -> None:
        for channel, queue in side.world.queues.triggers.items():
            for one in queue.receive(1):
                self._start(
                    side,
                    lambda channel=channel, one=one: side.world.invoke(channel, [one.body], groups=[one.group]),
                    lambda queue=queue, one=one: queue.delete(one.receipt),
                )

    def _reply(self, side: Side) -> None:
        queue = side.world.queues.replies
        for one in queue.receive(1):
            self._start(
                side,
                lambda one=one: side.world.invoke_replies(one.body, group=one.group),
                lambda one=one: queue.delete(one.receipt),
            )

    def _sweep(self, side: Side) -> None:
        self._start(side, side.world.sweep, lambda: None)

    def _people_and_ai(self) -> None:
        world = self.today
        world.take_handoffs()
        for document in world.take(world.queues.ai):
            batch_id = document["meta"]["batch_id"]
            ids = [message["message_id"] for message in document["messages"]]
            known = world.batches.setdefault(batch_id, ids)
            assert known == ids, "one batch id, one batch"
            if batch_id not in world.replies and self.random.randrange(1_000) >= self.traffic.silences:
                world.reply(document, f"answer to {batch_id}")

    def _pass_time(self) -> None:
        if self.under_way and self.random.random() < 0.7:
            self.today.clock.advance(self.random.choice((0.1, 1, 1)))
            return
        self._complete()
        self.today.clock.advance(self.random.choice((1, 3, 6, 11, 11, 20, 40, 90, 310)))

    # ------------------------------------------------------------------ invocations

    def _start(self, side: Side, act: Callable[[], None], on_end: Callable[[], None]) -> None:
        def live() -> bool:
            try:
                act()
            except side.crash:
                return False
            except Exception as error:
                if type(error).__name__ not in ("TryAgain", "Misconfigured", "Rejected"):
                    raise
                side.failures.append(f"{type(error).__name__}: {error}")
                return False
            return True

        thread: Any = greenlet(live)
        invocation = Invocation(side, thread, on_end)
        self.under_way.append(invocation)
        self._go_on(invocation)

    def _go_on(self, invocation: Invocation, *, may_crash: bool = True) -> None:
        dies = may_crash and invocation.thread and self.random.randrange(1_000) < self.traffic.crashes
        go_on = partial(invocation.thread.throw, invocation.side.crash(None)) if dies else invocation.thread.switch
        said = go_on()
        if invocation.thread.dead:
            self.under_way.remove(invocation)
            if said:
                invocation.on_end()

    def _complete(self) -> None:
        while self.under_way:
            self._go_on(self.random.choice(self.under_way), may_crash=False)

    # ------------------------------------------------------------------ what must hold

    @property
    def told_ids(self) -> set[str]:
        """The messages whose end was reported to an operator, by either version."""
        ends = ("released", "stalled_reply_abandoned", "gave_stalled_reply_up")
        lines = [line for side in self.sides.values() for line in side.world.telemetry.lines]
        told = [line for line in lines if line["step"] in ends and line.get("code", "none") != "none"]
        return {sid for line in told for sid in self.today.batches[line["batch_id"]]}

    @property
    def _refused_without_mark(self) -> set[str]:
        """Carried messages that the previous version refused: it logged that, and marked no entry."""
        lines = self.before.telemetry.lines
        return {line["message_sid"] for line in lines if line["step"] == "refused" and "message_sid" in line}

    def _requests(self, entries: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """The messages that no batch may have: each STOP, and a START that stands behind a STOP in the record.

        To today's code a START of a customer who is not opted out is a message like others.
        """
        requests, is_opted_out = {sid for sid, kind in self.opt_outs.items() if kind == "STOP"}, False
        for sid, entry in entries.items():
            if is_opted_out and self.opt_outs.get(sid) == "START":
                requests.add(sid)
            is_opted_out = {"STOP": True, "START": False}.get(entry.get("opt_out", ""), is_opted_out)
        return requests

    def violations(self) -> list[str]:
        """What does not hold now that everything is at rest."""
        world = self.today
        moved = [row["entry"] for row in world.tables.history.rows]
        entries = {one["message_id"]: one for one in (*moved, *world.row["messages"]) if one["direction"] == "INBOUND"}
        marked = {sid for sid, one in entries.items() if "refused" in one or "opt_out" in one}
        answered, people, told = world.answered_ids, set(world.with_people), self.told_ids | self._refused_without_mark
        handed = {
            sid for sid, one in entries.items() if "handed_off" in one
        }  # the previous webhooks let these overtake
        order = [sid for sid in world.entry_ids if sid not in self.opt_outs.keys() | handed]
        at = {sid: place for place, sid in enumerate(order)}
        acknowledged = set(self.acknowledged)
        batched = [sid for ids in world.batches.values() for sid in ids]
        demands = {
            "at rest": world.is_at_rest,
            "nothing is lost": acknowledged <= {*answered, *people, *told, *marked},
            "nothing is lost from the record": acknowledged <= entries.keys(),
            "nothing is answered twice": len(answered) == len(set(answered)),
            "nothing is sent twice": len(world.phone.texts) == len(set(world.phone.texts)),
            "nothing is answered and with people": not set(answered) & people,
            "nothing refused is answered": not set(answered) & marked,
            "nothing is in the record twice": len(world.entry_ids) == len(set(world.entry_ids)),
            "no request to opt out or in is in a batch": not set(batched) & self._requests(entries),
            "the record is in order": all(
                at[first] < at[then] for first, then in self.pairs if first in at and then in at
            ),
            "batches are in order": all(
                at[one] < at[two]
                for ids in world.batches.values()
                for one, two in pairwise(ids)
                if one in at and two in at
            ),
        }
        return [name for name, holds in demands.items() if not holds]

    def _share(self) -> None:
        """Give both versions the same rows, messages and phone."""
        for name, table in vars(self.today.tables).items():
            getattr(self.before.tables, name)._store.rows = table._store.rows
        for one, other in zip(_queues(self.today), _queues(self.before), strict=True):
            other.messages, other.numbers = one.messages, one.numbers
        self.before.phone.received = self.today.phone.received
        self.before.phone.outcomes = self.today.phone.outcomes
        self.before.sids = self.today.sids


def _queues(world: Any) -> list[Any]:
    queues = world.queues
    many = [*queues.triggers.values(), *queues.dead_triggers.values()]
    return [*many, queues.ai, queues.handoff, queues.replies, queues.dead_replies]


def _stopping(side: Side) -> Callable[..., Any]:
    """A plan's `perform` that stops before each call of an invocation."""

    def perform(_: Any, apply: Callable[[Any], Any]) -> Any:
        parent = getcurrent().parent
        if parent is not None:
            parent.switch()
        return apply(None)

    return perform
