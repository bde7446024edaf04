"""One reply at work, and what becomes of sending it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.clock import Deadline
from chalicelib.messages.replies import Reply
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Tables
from chalicelib.telemetry import Trail

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One reply at work."""

    reply: Reply
    tenant: str
    """The fairness group that the reply came with."""
    tables: Tables
    queues: Queues
    deadline: Deadline
    token: str
    """Fresh for this invocation."""
    trail: Trail


@dataclass(frozen=True)
class Done:
    """The reply is at its end; `error_code` says why not all of it was sent."""

    entries: tuple[Entry, ...]
    error_code: str | None


@dataclass(frozen=True)
class Later:
    """The reply must come again."""

    code: str
    seconds: int
    gives_claim_back: bool
    """Nothing of it is in doubt, so the claim need not be waited out."""
    entries: tuple[Entry, ...] = ()
    """Of the parts that were sent before."""
    unsent_claims: tuple[str, ...] = ()
    """Tokens under which a part was or may be claimed, and certainly not sent."""
