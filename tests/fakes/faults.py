"""One plan of faults for all fakes of a test: every call to a table, a queue or a secret passes through it.

The plan numbers the calls from 1. A clean run tells how many there are (`len(plan.calls)`) and which faults apply to
each (`faults_for`), so that a test can walk every call through every fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeVar

from chalicelib.errors import Code, Misconfigured, TryAgain

Answer = TypeVar("Answer")


class Fault(StrEnum):
    """One way in which a call fails."""

    CRASH_BEFORE = "crash before"
    """The process dies; the call does not happen."""
    CRASH_AFTER = "crash after"
    """The call happens; the process dies before it sees the answer."""
    LOST_ANSWER = "lost answer"
    """The call happens; its answer times out."""
    THROTTLED = "throttled"
    """The call is refused for the moment."""
    UNREACHABLE = "unreachable"
    """The call never leaves the machine."""
    MISCONFIGURED = "misconfigured"
    """The call is refused for good: no such resource, no right."""
    REFUSED_BY_OWN_WRITE = "refused by own write"
    """A conditional write happens, its answer is lost, and botocore's own second try is refused by it. A call without a
    condition would succeed on that second try; to be harder on the caller it is a lost answer here."""
    DUPLICATED = "duplicated"
    """A message is delivered twice."""
    LATE = "late"
    """A message is delivered long after it was due."""
    ANSWERED_5XX = "answered with a 5xx"
    """The provider does not take a message, and answers with a 5xx."""
    TAKEN_5XX = "taken, answered with a 5xx"
    """The provider takes a message, and answers with a 5xx."""


class Crash(BaseException):
    """The process died; not an `Exception`, so that no handler survives it."""


@dataclass(frozen=True)
class Call:
    """One call as the plan sees it."""

    operation: str
    """As AWS spells it, such as `PutItem`."""
    resource: str
    kind: Literal["read", "write", "send", "create"]
    """`create`: a provider is asked to send a message to a customer."""
    transient: Code
    permanent: Code
    is_conditional: bool = False
    index: str | None = None
    """Of a query that reads one."""
    is_consistent: bool = True
    """Of a read of rows: whether it sees every write that was answered before."""


def faults_for(call: Call) -> tuple[Fault, ...]:
    """The faults that apply to `call`, each different in what it does."""
    faults = [
        Fault.CRASH_BEFORE,
        Fault.CRASH_AFTER,
        Fault.LOST_ANSWER,
        Fault.THROTTLED,
        Fault.UNREACHABLE,
        Fault.MISCONFIGURED,
    ]
    if call.is_conditional:
        faults.append(Fault.REFUSED_BY_OWN_WRITE)
    if call.kind == "send":
        faults += [Fault.DUPLICATED, Fault.LATE]
    if call.kind == "create":
        faults += [Fault.ANSWERED_5XX, Fault.TAKEN_5XX]
    return tuple(faults)


class FaultPlan:
    """Which call meets which fault, and whether the process lives.

    Args:
        faults: by the number of the call, from 1.
    """

    def __init__(self, faults: Mapping[int, Fault] | None = None) -> None:
        self.faults = dict(faults or {})
        self.calls: list[Call] = []
        """Every call so far, other actors' steps left out; the first has the number 1."""
        self.is_dead = False
        self._steps: dict[int, Callable[[], object]] = {}
        self._is_another_acting = False

    def interleave(self, number: int, step: Callable[[], object]) -> None:
        """Just before call `number`, let another actor do `step`: its calls are not counted and meet no fault."""
        self._steps[number] = step

    def revive(self) -> None:
        """Start a new process after a crash; the numbering goes on."""
        self.is_dead = False

    def perform(self, call: Call, apply: Callable[[Fault | None], Answer]) -> Answer:
        """Let `call` happen, or what the plan says instead.

        Args:
            call: what is called.
            apply: does it; told the faults that a fake itself must bring about (REFUSED_BY_OWN_WRITE on a conditional
                write, DUPLICATED and LATE on a send), else None.
        """
        if self._is_another_acting:
            return apply(None)
        if self.is_dead:
            raise Crash(call)
        self._take_steps_before(len(self.calls) + 1)
        self.calls.append(call)
        number = len(self.calls)
        return self.inject(call, apply, self.faults.get(number), f"{call.operation} {call.resource}: call {number}")

    def inject(self, call: Call, apply: Callable[[Fault | None], Answer], fault: Fault | None, detail: str) -> Answer:
        """Let `call` meet `fault`; None: it happens and is answered."""
        match fault:
            case Fault.CRASH_BEFORE:
                self.is_dead = True
                raise Crash(call)
            case Fault.CRASH_AFTER:
                apply(None)
                self.is_dead = True
                raise Crash(call)
            case Fault.THROTTLED | Fault.UNREACHABLE:
                raise TryAgain(call.transient, f"{detail} {fault}", maybe_applied=False)
            case Fault.MISCONFIGURED:
                raise Misconfigured(call.permanent, f"{detail} {fault}")
            case Fault.REFUSED_BY_OWN_WRITE if call.is_conditional:
                return apply(fault)
            case Fault.LOST_ANSWER | Fault.REFUSED_BY_OWN_WRITE:
                apply(None)
                raise TryAgain(call.transient, f"{detail} {fault}", maybe_applied=True)
            case Fault.DUPLICATED | Fault.LATE if call.kind == "send":
                return apply(fault)
            case Fault.ANSWERED_5XX | Fault.TAKEN_5XX if call.kind == "create":
                return apply(fault)
            case _:
                return apply(None)

    def _take_steps_before(self, number: int) -> None:
        step = self._steps.pop(number, None)
        if step is None:
            return
        self._is_another_acting = True
        try:
            step()
        finally:
            self._is_another_acting = False
