"""Actors: invocations of the shipped functions, each in a greenlet that stops before every call.

What an actor does between two calls depends on nothing but what it has seen so far: the answers, and the clock at each
of them. So what it did once need not be done again: a `Memory` keeps each stretch of code between two calls by what
came before it, and an exhaustive exploration goes back to any state without running a line of code twice. Where a
stretch is not known and the greenlet has gone another way since, a new one is told the same answers again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from greenlet import getcurrent, greenlet

from chalicelib.errors import EngineError
from chalicelib.ports.tables import Refused, Written
from tests.fakes.faults import Call, Crash, Fault, FaultPlan
from tests.simulation.deployment import SkewedClock

AWAKE_MAX = 2_000
"""Greenlets that a memory keeps waiting; older ones are told their answers again when they are needed."""


@dataclass(slots=True)
class Answered:
    """What a call returned."""

    value: Any

    def digest(self, digests: Digests) -> int:
        return digests.of(self.value)


@dataclass(slots=True)
class Failed:
    """What a call raised."""

    error: EngineError

    def digest(self, _: Digests) -> int:
        return hash((type(self.error).__name__, self.error.code, self.error.detail))


Outcome = Answered | Failed


@dataclass(slots=True)
class Before:
    """The actor stands before a call."""

    call: Call
    apply: Callable[[Fault | None], Any]

    @property
    def detail(self) -> str:
        return f"{self.call.operation} {self.call.resource}"


@dataclass(slots=True)
class Ended:
    """The actor came to its end."""

    result: Any = None
    error: EngineError | None = None


@dataclass(slots=True)
class Stretch:
    """What an actor did since its last call."""

    told: tuple[Mapping[str, Any], ...]
    """The lines that it logged."""
    next: Before | Ended


@dataclass(eq=False, slots=True)
class Point:
    """Where an actor stands, and how it came there."""

    parent: Point | None
    outcome: Outcome | None
    at: Moment
    digest: int
    stretch: Stretch
    thread: greenlet | None
    children: dict[tuple[int, Moment], Point] = field(default_factory=dict)


class Moment(NamedTuple):
    """What the clocks tell."""

    instant: datetime
    elapsed_seconds: float


@dataclass(eq=False)
class Actor:
    """One invocation of a function, under way: replaced where it goes on."""

    name: str
    role: str
    """The name without its number."""
    begin: Callable[[], Any]
    on_end: Callable[[Any], None]
    on_crash: Callable[[], None]
    skew: timedelta
    """By how much its clock is off."""
    began: datetime
    point: Point
    disturbances: tuple[Any, list[Any]] | None = None
    """What may disturb its next call, by the budgets that are left: it stands before that for many choices."""

    @property
    def before(self) -> Before:
        """The call before which it stands."""
        before = self.point.stretch.next
        assert isinstance(before, Before), "an actor that ended has left"
        return before

    def at(self, point: Point) -> Actor:
        """The same actor, further on."""
        return replace(self, point=point, disturbances=None)

    @cached_property
    def title(self) -> str:
        """Its name and its next call."""
        return f"{self.name}: {self.before.detail}"


class Digests:
    """Digests of rows and answers; rows are replaced, never changed, so one object needs one look."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Any, int]] = {}

    def of_row(self, row: Any) -> int:
        kept = self._kept.get(id(row))
        if kept is None:
            kept = self._kept[id(row)] = (row, hash(repr(row)))
        return kept[1]

    def of(self, answer: Any) -> int:
        match answer:
            case Written(item) | Refused(item):
                return hash((type(answer).__name__, self.of_row(item)))
            case _:
                return hash(repr(answer))


class Memory:
    """What actors did before, by what they had seen."""

    def __init__(self) -> None:
        self.roots: dict[Any, Point] = {}
        self.digests = Digests()
        self._awake: dict[Point, None] = {}

    def keep_awake(self, point: Point) -> None:
        """Keep the greenlet of a point waiting, and let the one go that has waited longest."""
        self._awake[point] = None
        if len(self._awake) > AWAKE_MAX:
            oldest = next(iter(self._awake))
            del self._awake[oldest]
            oldest.thread = None

    def take_thread(self, point: Point) -> greenlet | None:
        """The greenlet that waits at a point, if it still does."""
        self._awake.pop(point, None)
        thread, point.thread = point.thread, None
        return thread


class Stage(FaultPlan):
    """Stands where the plan of faults stands: every call of every actor passes through it.

    Calls that are no points of choice, because they commute with all others, happen at once: see `is_silent`.
    """

    def __init__(self, is_silent: Callable[[str, Call], bool], memory: Memory | None) -> None:
        super().__init__()
        self.memory = memory
        self.clock: SkewedClock
        self.lines: list[Mapping[str, Any]]
        self._is_silent = is_silent
        self._main = getcurrent()
        self.running: greenlet | None = None

    def perform(self, call: Call, apply: Callable[[Fault | None], Any]) -> Any:
        current: Any = getcurrent()
        if current is self._main:
            return apply(None)  # nobody chooses now
        if current is not self.running:
            raise Crash(call)  # a process that died, or that was left behind, does nothing more
        if self._is_silent(current.role, call):
            return apply(None)
        match current.parent.switch(Before(call, apply)):
            case Answered(value):
                return value
            case Failed(error):
                raise error.with_traceback(None)

    def enter(
        self,
        name: str,
        role: str,
        told: Any,
        begin: Callable[[], Any],
        on_end: Callable[[Any], None],
        on_crash: Callable[[], None],
        skew: timedelta,
    ) -> Actor:
        """An actor that has begun and stands before its first call.

        Args:
            name: the actor's, unlike any other's of the run.
            role: the name without its number.
            told: what `begin` depends on.
            begin: the actor's doing; what it returns is passed to `on_end`.
            on_end: what comes of its end.
            on_crash: what comes of its death, or of its failure.
            skew: by how much its clock is off.
        """
        key = (name, told, self._moment, skew)
        point = self.memory.roots.get(key) if self.memory else None
        if point is None:
            self.clock.skew = skew
            thread = self._thread(name, role, begin)
            stretch = self._run(thread, None)
            digest = hash((role, told, self._moment, skew))
            point = Point(None, None, self._moment, digest, stretch, thread)
            if self.memory:
                self.memory.roots[key] = point
                self.memory.keep_awake(point)
        return Actor(name, role, begin, on_end, on_crash, skew, self.clock.instant, point)

    def go_on(self, actor: Actor, outcome: Outcome) -> Point:
        """Where an actor stands after its call had this outcome."""
        point, memory = actor.point, self.memory
        if memory is None:
            thread, point.thread = point.thread, None
            assert thread is not None, "nobody else went on from here"
            self.clock.skew = actor.skew
            return Point(None, None, self._moment, 0, self._run(thread, outcome), thread)
        moment = self._moment
        key = outcome.digest(memory.digests), moment
        child = point.children.get(key)
        if child is None:
            self.clock.skew = actor.skew
            thread = memory.take_thread(point) or self._once_more(actor)
            stretch = self._run(thread, outcome)
            child = point.children[key] = Point(point, outcome, moment, hash((point.digest, *key)), stretch, thread)
            memory.keep_awake(child)
        return child

    def _once_more(self, actor: Actor) -> greenlet:
        """A greenlet that stands where the actor does, told the same answers at the same moments."""
        way = []
        point: Point | None = actor.point
        while point is not None:
            way.append(point)
            point = point.parent
        now = self._moment
        thread = self._thread(actor.name, actor.role, actor.begin)
        for one in reversed(way):
            self._moment = one.at
            self._run(thread, one.outcome)
        self._moment = now
        return thread

    @property
    def _moment(self) -> Moment:
        return Moment(self.clock.instant, self.clock.monotonic())

    @_moment.setter
    def _moment(self, moment: Moment) -> None:
        self.clock.instant, self.clock._elapsed_seconds = moment.instant, moment.elapsed_seconds

    def _thread(self, name: str, role: str, begin: Callable[[], Any]) -> greenlet:
        def live(_: None) -> Any:
            try:
                return begin()
            except Crash:
                return None  # it was left behind, and is being cleared away

        thread: Any = greenlet(live)
        thread.name, thread.role, thread.ids = name, role, 0
        return thread

    def _run(self, thread: greenlet, outcome: Outcome | None) -> Stretch:
        """Let a greenlet run up to its next call."""
        before = len(self.lines)
        self.running = thread
        try:
            said = thread.switch(outcome)
        except EngineError as error:
            said = Ended(error=error)
        finally:
            self.running = None
            self.clock.skew = timedelta(0)
        told = tuple(self.lines[before:])
        del self.lines[before:]
        return Stretch(told, Ended(said) if thread.dead and not isinstance(said, Ended) else said)
