"""Unlocking: an operator does by hand what the sweep does on time, under the protocol's own conditions.

    locked, stalled            reset: the batch is carried into the next one, or people get it (policy `stall_action`)
    locked, claimed, stalled   as the claim has stored: given up as answered with unknown outcome, loudly; or people get
                               the batch; or, after an interim message, as without a claim
    locked, and young          refused, unless it is asked for `--now`: the AI may be thinking still
    a reply is being sent      refused: its process may be alive
    locked by another system   begins to age; with `--now` it is reset

Every write is conditional on the lock as it was seen: whoever refreshes, claims or releases it meanwhile wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.conversations import lookup, policies
from chalicelib.conversations.conversation import Conversation
from chalicelib.protocol import conversation_lock
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.record import ClaimEnd, ConversationKey, Record
from chalicelib.repair.patience import claimer_left, patience_of
from chalicelib.repair.stalled_locks import StalledLock
from chalicelib.settings import Settings
from chalicelib.telemetry import Trail
from chalicelib.wiring import Engine


@dataclass(frozen=True)
class Verdict:
    """Whether a conversation may be unlocked, and why."""

    may_unlock: bool
    why: str


def judge(record: Record, settings: Settings, now: datetime, *, stall_action: str, at_once: bool) -> Verdict:
    """What the protocol says of unlocking a record as it was read; pure.

    Args:
        record: with its entries or without.
        settings: of the stage.
        now: the current instant.
        stall_action: the policy that applies to the conversation.
        at_once: a young lock counts as stalled too.
    """
    if not record.is_locked:
        return Verdict(may_unlock=False, why=f"it is not locked (conversation_status {record.status})")
    if record.claim is not None:
        left = claimer_left(record, now, settings)
        if left > timedelta(0):
            why = f"a reply is being sent; in {left.total_seconds():.0f} s its process cannot be alive"
            return Verdict(may_unlock=False, why=why)
    left = patience_of(record, settings) - record.lock_age(now)
    if left > timedelta(0) and not at_once:
        why = f"its batch may still be answered; it counts as stalled in {left.total_seconds():.0f} s, or with --now"
        return Verdict(may_unlock=False, why=why)
    return Verdict(may_unlock=True, why=_effect(record, stall_action))


def look(engine: Engine, key: ConversationKey, *, at_once: bool) -> tuple[Conversation, Verdict]:
    """The conversation, and what may be done with it."""
    conversation = lookup.load(engine.tables.conversations, key, engine.settings.context_attributes)
    assert conversation is not None, "the conversation was found a moment ago"
    merged = policies.merge(engine.settings, conversation.channel_config, conversation.unanswered_channel or "")
    return conversation, judge(
        conversation.record,
        engine.settings,
        engine.clock.now(),
        stall_action=merged.policy.stall_action,
        at_once=at_once,
    )


def unlock(engine: Engine, conversation: Conversation, trail: Trail) -> bool:
    """Release the lock if it is as it was read, and trigger what is staged; whether it was released.

    The caller holds: the verdict on this very record allows it.
    """
    record = conversation.record
    if record.started_at is None:
        shards = engine.settings.lock_index_shards
        conversation_lock.stamp(engine.tables.conversations, record, shards=shards, now=engine.clock.now())
        seen, (conversation, _) = record, look(engine, record.key, at_once=True)
        record = conversation.record
        if (record.batch_id, record.claim) != (seen.batch_id, seen.claim):
            return False  # opened meanwhile, and a batch or a reply of ours holds it now
    if record.started_at is None:
        return False  # opened meanwhile
    lock = StalledLock(record.key, record.batch_id, record.started_at, conversation.tenant)
    engine.sweeping.reset(engine.tables, engine.queues, lock, trail, at_once=True)
    after, _ = look(engine, record.key, at_once=True)
    return not after.record.is_locked or after.record.batch_id != record.batch_id


def _effect(record: Record, stall_action: str) -> str:
    count = len(record.unanswered_ids)
    if record.claim is not None and record.claim_end is ClaimEnd.RELEASE and record.claim != PEOPLE:
        return f"its reply is given up: {count} message(s) count as answered, with unknown outcome"
    if record.claim is not None and record.claim_end is not ClaimEnd.UNCLAIM:
        return f"the {count} message(s) of its batch go to people, who have claimed it"
    if stall_action == "handoff":
        return f"the {count} message(s) of its batch go to people, and a late answer is refused"
    return f"the {count} message(s) of its batch stay unanswered and are carried into the next one"
