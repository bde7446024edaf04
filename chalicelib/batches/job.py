"""One trigger at work, and what follows each of its actions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from chalicelib.clock import Deadline
from chalicelib.ports.queues import Queue, Queues
from chalicelib.ports.tables import Tables
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.trigger_lock import Trigger
from chalicelib.telemetry import Trail


@dataclass(frozen=True)
class Job:
    """One trigger at work."""

    trigger: Trigger
    channel: str
    """Whose queue the trigger came from and goes back to."""
    tenant: str
    """The fairness group that the trigger came with."""
    tables: Tables
    queues: Queues
    deadline: Deadline
    """After which nothing further is begun."""
    sharing: int
    """How many triggers share the time that is left, this one included."""
    trail: Trail

    @property
    def queue(self) -> Queue:
        return self.queues.trigger(self.channel)


class Next(Enum):
    """What follows an action."""

    DONE = auto()
    LOOK = auto()
    """Something was done, and there may be more to do."""
    TRIMMED = auto()
    """Entries were moved to the history, to make room for what comes next."""


def next_of(outcome: object) -> Next | Changed:
    """What follows a write: another look, whether it was made or the record had changed."""
    return outcome if isinstance(outcome, Changed) else Next.LOOK
