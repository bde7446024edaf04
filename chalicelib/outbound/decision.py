"""What the record says of an AI's reply, before anything is written; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from chalicelib.errors import Code, ReplyCode
from chalicelib.messages.replies import Reply
from chalicelib.protocol.conversation_lock import PEOPLE
from chalicelib.protocol.record import Record, Status
from chalicelib.protocol.sends import SEND_ID


@dataclass(frozen=True)
class Free:
    """The batch waits for an answer: the reply may claim it."""


@dataclass(frozen=True)
class Orphaned:
    """The reply's own claim is too old for its process to be alive: it may be taken over."""


@dataclass(frozen=True)
class AtWork:
    """The reply's own claim is young: another process may be sending it."""

    seconds: int
    """When it will be too old for that."""


@dataclass(frozen=True)
class Ended:
    """The reply came before, and has ended."""


@dataclass(frozen=True)
class Stale:
    """A newer batch has begun. Parts of the reply may have been sent before that."""


@dataclass(frozen=True)
class WithPeople:
    """The batch is claimed for people."""


@dataclass(frozen=True)
class Refusal:
    """The reply is not to be sent."""

    code: ReplyCode


Judgement = Free | Orphaned | AtWork | Ended | Stale | WithPeople | Refusal


def decide(reply: Reply, record: Record, *, now: datetime, patience_seconds: float) -> Judgement:
    """What is to be done about a reply.

    Args:
        reply: of the AI.
        record: as read, with its entries.
        now: the current instant.
        patience_seconds: how old a claim must be for the process that made it to be dead.
    """
    if record.batch_id != reply.batch_id:
        return Stale()
    if record.claim == PEOPLE:
        return WithPeople()
    if record.claim is not None:
        if record.claim != reply.reply_id:
            return Refusal(ReplyCode.SECOND)
        left = timedelta(seconds=patience_seconds) - record.claim_age(now)
        return Orphaned() if left <= timedelta(0) else AtWork(ceil(left.total_seconds()))
    if record.unanswered_ids:
        return Free()
    if record.last_reply_id == reply.reply_id:
        return Ended()
    is_with_people = record.last_reply_id == PEOPLE or record.status == Status.TIMEOUT
    return Refusal(ReplyCode.STALE if is_with_people else ReplyCode.SECOND)


def may_be_redriven(reply: Reply, record: Record) -> bool:
    """Whether a reply that has ended may be sent: it is redriven, and nothing of it was sent; pure.

    The caller holds: `decide` says `Ended`, so no newer batch began; and no part of the reply has a row.
    """
    is_refused_by_us = record.error_code in {*ReplyCode, Code.MISSING_CREDENTIAL_CONFIG}
    was_sent = any(
        isinstance(one, Mapping) and SEND_ID in one and one.get("batch_id") == reply.batch_id
        for one in record.entries or ()
    )
    return reply.attempt == 0 and record.error_code is not None and not is_refused_by_us and not was_sent
