"""One reply in progress, and how its sending can end; one errand in progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.clock import Deadline
from chalicelib.conversations import lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import EngineError, TryAgain
from chalicelib.messages.replies import Reply
from chalicelib.outbound.errands import Undelivered
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Tables
from chalicelib.settings import Settings
from chalicelib.telemetry import Trail

Entry = Mapping[str, Any]


class NotRequeued(TryAgain):
    """A reply could not be sent to its queue again; `reply` has the tokens of the claims that sent nothing."""

    def __init__(self, fault: EngineError, reply: Reply) -> None:
        super().__init__(fault.code, fault.detail)
        self.reply = reply


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

    def after(self, fault: EngineError) -> Job:
        """The reply as it comes again after this fault: with what the failed try learned."""
        return replace(self, reply=fault.reply) if isinstance(fault, NotRequeued) else self


def load(job: Job, settings: Settings, *, with_messages: bool = True) -> Conversation | None:
    """The reply's conversation; None: it is gone."""
    return lookup.load(
        job.tables.conversations,
        job.reply.conversation,
        settings.context_attributes,
        with_messages=with_messages,
    )


@dataclass(frozen=True)
class Done:
    """The reply is at its end; `error_code` says why not all of it was sent."""

    entries: tuple[Entry, ...]
    error_code: str | None
    withheld: str | None = None
    """What it says in parts that were not sent; None: nothing was sent."""


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


@dataclass(frozen=True)
class ErrandJob:
    """One errand at work."""

    errand: Undelivered
    tenant: str
    """The fairness group that the errand came with."""
    tables: Tables
    queues: Queues
    deadline: Deadline
    """After which no send begins."""
    token: str
    """Fresh for this invocation."""
    trail: Trail

    def after(self, fault: EngineError) -> ErrandJob:
        """The errand as it comes again after this fault: with what the failed try learned."""
        if not isinstance(fault, NotRequeued):
            return self
        return replace(self, errand=replace(self.errand, unsent_claims=fault.reply.unsent_claims))
