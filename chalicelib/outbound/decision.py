"""Decides what to do with a message from the AI, by the record, before anything is written; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from chalicelib.errors import Code, ReplyCode
from chalicelib.messages.replies import Reply
from chalicelib.protocol import history
from chalicelib.protocol.entries import entry_bytes
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.record import ClaimEnd, Record, Status
from chalicelib.protocol.send_rows import SEND_ID
from chalicelib.repair.patience import claimer_left
from chalicelib.settings import Settings

INTERIM_SECONDS: Final = 5
"""When a message that meets the claim of an interim message comes again."""

EXTEND_SECONDS_MIN: Final = 10
"""A heartbeat that comes sooner after the last one changes nothing."""

_BYTES_BESIDE = 1_000
"""What the record keeps beside the text of a part, generously."""


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
class InTheWay:
    """An interim message of the same turn is being sent."""


@dataclass(frozen=True)
class Ended:
    """The reply came before, and has ended."""


@dataclass(frozen=True)
class Stale:
    """A newer batch has begun. Parts of the reply may have been sent before that."""

    had_by_people: bool = False
    """Whether people have the reply's batch."""


@dataclass(frozen=True)
class WithPeople:
    """The batch is claimed for people."""


@dataclass(frozen=True)
class HadByPeople:
    """People have the batch."""

    is_own: bool
    """Whether this reply passed it to them, or was taken over by them."""


@dataclass(frozen=True)
class Refusal:
    """Nothing is done about the message."""

    code: ReplyCode


Judgement = Free | Orphaned | AtWork | InTheWay | Ended | Stale | WithPeople | HadByPeople | Refusal


@dataclass(frozen=True)
class Extend:
    """The lock's clock starts anew."""


def decide(reply: Reply, record: Record, *, now: datetime, settings: Settings) -> Judgement:
    """What is to be done about a reply.

    Args:
        reply: of the AI, no heartbeat.
        record: as read, with its entries.
        now: the current instant.
        settings: how old a claim must be for the process that made it to be dead, and how long a turn lasts at most.
    """
    if record.batch_id != reply.batch_id:
        return Stale(_was_handed_off(record, reply.batch_id))
    if record.claim == PEOPLE:
        return WithPeople()
    if record.claim is not None:
        return _claimed(reply, record, now, settings)
    if record.unanswered_ids:
        return _free(reply, record, now, settings)
    if record.passed_reply_id == reply.reply_id:
        return HadByPeople(is_own=True)
    if record.last_reply_id == reply.reply_id:
        return Ended()
    if record.last_reply_id == PEOPLE:
        return HadByPeople(is_own=False)
    return Refusal(ReplyCode.STALE if record.status == Status.TIMEOUT else ReplyCode.SECOND)


def _was_handed_off(record: Record, batch_id: str | None) -> bool:
    """Whether the record says that people have messages of an earlier batch."""
    return any(
        one.get("handed_off") and one.get("batch_id") == batch_id
        for one in record.entries or ()
        if isinstance(one, Mapping)
    )


def _claimed(reply: Reply, record: Record, now: datetime, settings: Settings) -> Judgement:
    if record.claim != reply.reply_id:
        return InTheWay() if record.claim_end is ClaimEnd.UNCLAIM else Refusal(ReplyCode.SECOND)
    left = claimer_left(record, now, settings)
    return Orphaned() if left <= timedelta(0) else AtWork(ceil(left.total_seconds()))


def _free(reply: Reply, record: Record, now: datetime, settings: Settings) -> Judgement:
    if reply.is_final:
        return Free()
    if record.turn_age(now) > timedelta(seconds=settings.turn_max_seconds):
        return Refusal(ReplyCode.TURN_TOO_LONG)
    size = sum(entry_bytes(one.told) + _BYTES_BESIDE for one in reply.contents)
    return Free() if history.room_bytes(record) > size else Refusal(ReplyCode.RECORD_FULL)


def decide_extend(reply: Reply, record: Record, *, now: datetime, settings: Settings) -> Extend | InTheWay | Refusal:
    """What is to be done about a heartbeat.

    Args:
        reply: the heartbeat.
        record: as read, with its entries or without.
        now: the current instant.
        settings: how long a turn lasts at most.
    """
    if record.batch_id != reply.batch_id or record.claim == PEOPLE:
        return Refusal(ReplyCode.STALE)
    if record.claim is not None:
        return InTheWay() if record.claim_end is ClaimEnd.UNCLAIM else Refusal(ReplyCode.SECOND)
    if not record.unanswered_ids:
        return Refusal(ReplyCode.STALE if record.last_reply_id == PEOPLE else ReplyCode.SECOND)
    if record.status != Status.PROCESSING:
        return Refusal(ReplyCode.NOT_LOCKED)
    if record.turn_age(now) > timedelta(seconds=settings.turn_max_seconds):
        return Refusal(ReplyCode.TURN_TOO_LONG)
    is_news = reply.effects and not record.has_turn_effects
    is_soon = record.lock_age(now) < timedelta(seconds=EXTEND_SECONDS_MIN)
    return Refusal(ReplyCode.TOO_SOON) if is_soon and not is_news else Extend()


def may_be_sent_after_all(reply: Reply, record: Record, *, now: datetime, settings: Settings) -> bool:
    """Whether a reply that has ended may be sent: nothing of it was, and it was given up or is redriven; pure.

    The caller holds: `decide` says `Ended`, so no newer batch began; and no part of the reply has a row. A row is
    written before the provider is asked; one that a given-up reply had written would still be there.
    """
    if any(
        isinstance(one, Mapping) and SEND_ID in one and one.get("batch_id") == reply.batch_id
        for one in record.entries or ()
    ):
        return False
    if record.error_code == ReplyCode.UNKNOWN_OUTCOME:  # R1: only a claim that was given up leaves its instant.
        # A row may be older than the instant that was left, and lives for longer than half of its time.
        is_recent = record.claim_age(now) < timedelta(hours=settings.sends_ttl_hours) / 2
        return record.claimed_at is not None and is_recent
    is_refused_by_us = record.error_code in {*ReplyCode, Code.MISSING_CREDENTIAL_CONFIG}
    return reply.attempt == 0 and record.error_code is not None and not is_refused_by_us
