"""What a trigger can do after one look. `decision.py` decides which; `batching.py` does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.errors import Code
from chalicelib.protocol.staging import StagedMessage


@dataclass(frozen=True)
class ReportEnd:
    """A stalled reply was given up and perhaps nobody reported it."""


@dataclass(frozen=True)
class MarkOptOut:
    """A STOP is staged on each of these channels, and the record does not mark them yet."""

    channels: frozenset[str]


@dataclass(frozen=True)
class FinishPeople:
    """The batch is claimed for people."""


@dataclass(frozen=True)
class ClaimForPeople:
    """The conversation belongs to people now, and a batch of it waits for the AI: they get it."""


@dataclass(frozen=True)
class SettleBatch:
    """A reply has claimed the batch of this trigger: it was dispatched."""


@dataclass(frozen=True)
class Resume:
    """This trigger took the lock and came again after a crash."""


@dataclass(frozen=True)
class Stop:
    """There is nothing to do."""


@dataclass(frozen=True)
class Wait:
    """The customer is still typing."""

    seconds: float


@dataclass(frozen=True)
class SettleDuplicates:
    """All that is staged has ended before."""


@dataclass(frozen=True)
class StampLock:
    """Another system holds the lock, and it bears no start; then as `Contend`."""


@dataclass(frozen=True)
class ResetLock:
    """The lock in the way has stalled."""


@dataclass(frozen=True)
class Contend:
    """Another batch holds the lock."""

    at_least_seconds: int
    """How long until it is worth another look."""


@dataclass(frozen=True)
class Trim:
    """The record has outgrown its bounds: so many entries move to the history."""

    count: int


@dataclass(frozen=True)
class RefuseCarried:
    """A rule refuses now what an earlier batch left unanswered; codes by message id."""

    codes: Mapping[str, Code]


@dataclass(frozen=True, repr=False)
class Keep:
    """Messages that nobody answers, each with the mark that says why: they are appended and settled."""

    messages: Sequence[StagedMessage]
    marks: Mapping[str, str]
    """The codes of the rules that refuse them, by message id; the others are STOP, START or HELP."""
    opt_out_marks: Mapping[str, Any] = field(default_factory=dict)
    """What a START among them writes."""


@dataclass(frozen=True, repr=False)
class Acquire:
    """A batch: what the record carries, and these new messages."""

    messages: Sequence[StagedMessage]
    for_people: bool


@dataclass(frozen=True, repr=False)
class Restart:
    """A batch in place of the one that is with the AI: what that has, and these new messages."""

    messages: Sequence[StagedMessage]


Action = (
    ReportEnd
    | MarkOptOut
    | FinishPeople
    | ClaimForPeople
    | SettleBatch
    | Resume
    | Stop
    | Wait
    | SettleDuplicates
    | StampLock
    | ResetLock
    | Contend
    | Trim
    | RefuseCarried
    | Keep
    | Acquire
    | Restart
)
