"""Stalled locks: stage 2 resets the one in its way, the sweep every one that it finds.

    look - decide - act

The policy `stall_action` of the batch's channel decides.

`warn`: the batch stays unanswered. The next batch carries it, or the sweep has it dispatched once more. A slow AI's
answer is still accepted if no newer batch began. Each lock that stalls in a row doubles the time that the next batch
is given (`patience`).

`handoff`: the batch is claimed for people and handed to them, so no late answer comes between.

Either happens under any status that another system set meanwhile.

A stalled lock that a reply has claimed ends as the claim has stored:

`release`: the customer may have been answered. So the reply is given up as answered with unknown outcome, and its batch
is never dispatched or sent again. That end is reported at least once: the record stays in the sweep's index until it is
reported (L8).

`people`: they get the batch.

`unclaim`: an interim message leaves its batch unanswered, and `stall_action` decides as without a claim.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.clock import Clock
from chalicelib.conversations import lookup, views
from chalicelib.conversations.conversation import COMPANY_ID, Conversation
from chalicelib.conversations.handoff import Handoff
from chalicelib.conversations.policies import Policies
from chalicelib.errors import ReplyCode
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Item, Tables
from chalicelib.protocol import conversation_lock, record_writes, reply_claim, send_rows, sends
from chalicelib.protocol.claim_changes import Released
from chalicelib.protocol.conversation_lock import Reset
from chalicelib.protocol.handoffs import RequestedBy
from chalicelib.protocol.lock_changes import PEOPLE, Changed
from chalicelib.protocol.record import (
    BATCH_ID,
    CONVERSATION_ID,
    PRIMARY_CHANNEL,
    STARTED_AT,
    ClaimEnd,
    ConversationKey,
    Record,
)
from chalicelib.repair.patience import claimer_left, has_stalled, patience_of
from chalicelib.repair.reconciliation import record_proof
from chalicelib.settings import Settings
from chalicelib.telemetry import Fields, Level, Metric, Step, Trail


@dataclass(frozen=True)
class StalledLock:
    """A lock as it was seen to have stalled."""

    conversation: ConversationKey
    batch_id: str | None
    started_at: str
    tenant: str

    @classmethod
    def from_index(cls, row: Item) -> StalledLock:
        """The lock that a row of the sparse index tells."""
        key = ConversationKey(row[PRIMARY_CHANNEL], row[CONVERSATION_ID])
        return cls(key, row.get(BATCH_ID), row[STARTED_AT], str(row.get(COMPANY_ID, "unknown")))

    @classmethod
    def of(cls, conversation: Conversation) -> StalledLock:
        """The lock that a record bears."""
        record = conversation.record
        assert record.started_at is not None, "a lock without a start has not stalled"
        return cls(record.key, record.batch_id, record.started_at, conversation.tenant)

    def is_of(self, record: Record) -> bool:
        """Whether the record still bears this lock, whatever its status says."""
        return (record.batch_id, record.started_at) == (self.batch_id, self.started_at)


@dataclass(frozen=True)
class Leave:
    """The lock is another one by now, or none; or it has time left."""


@dataclass(frozen=True)
class FinishPeople:
    """The batch is claimed for people, and whoever claimed it may have died."""


@dataclass(frozen=True)
class ClaimForPeople:
    """People get the batch."""


@dataclass(frozen=True)
class GiveUp:
    """A reply has claimed the lock: it counts as answered."""


@dataclass(frozen=True)
class PassToPeople:
    """A reply's claim passes to people."""

    requested_by: RequestedBy


@dataclass(frozen=True)
class Open:
    """The lock opens, and its batch stays unanswered."""


Action = Leave | FinishPeople | ClaimForPeople | PassToPeople | GiveUp | Open


def decide(lock: StalledLock, record: Record, stall_action: str, *, is_due: bool) -> Action:
    """What is to be done about a stalled lock; pure.

    Args:
        lock: as it was seen to be older than the stall timeout.
        record: as read since, with its entries.
        stall_action: `warn` or `handoff`.
        is_due: whether the lock, with its claim, has outlived its patience, or is not to be waited for.
    """
    if record.claim == PEOPLE and record.batch_id == lock.batch_id:
        return FinishPeople()
    if not lock.is_of(record) or not is_due:
        return Leave()  # R7: its claim may be younger than its start.
    is_for_people = stall_action == "handoff" and bool(record.unanswered)
    if record.claim is None:
        return ClaimForPeople() if is_for_people else Open()
    match record.claim_end:
        case ClaimEnd.RELEASE:
            return GiveUp()
        case ClaimEnd.PEOPLE:
            return PassToPeople(RequestedBy.AI)
        case ClaimEnd.UNCLAIM:
            return PassToPeople(RequestedBy.STALL) if is_for_people else Open()


@dataclass(frozen=True)
class StalledLocks:
    """Opens stalled locks, and reports the ends that this brings."""

    handoff: Handoff
    policies: Policies
    clock: Clock
    settings: Settings

    def reset(self, tables: Tables, queues: Queues, lock: StalledLock, trail: Trail, *, at_once: bool = False) -> bool:
        """Open the lock if it still stands as it was seen and has outlived its patience; whether it is open now.

        Args:
            tables: of the invocation.
            queues: of the invocation.
            lock: as it was seen.
            trail: of the lock.
            at_once: whatever its patience is, unless the process of a reply that has claimed it may be alive.

        Raises:
            TryAgain, Misconfigured: the lock stands, or its end is not reported; the next sweep finds it again.
        """

        def act() -> bool | Changed:
            conversation = self._load(tables, lock.conversation)
            if conversation is None:
                return False
            return self._act(tables, queues, conversation, lock, trail, at_once=at_once)

        return views.look_again(act)

    def report_end(self, tables: Tables, conversation: Conversation, trail: Trail) -> None:
        """Report that a stalled reply was given up, unless it is proven to be sent; then take the record off the index.

        Raises:
            TryAgain, Misconfigured: the record stays in the index; the next sweep reports it.
        """
        record = conversation.record
        trail = trail.with_fields(batch_id=record.batch_id or "none")
        send_id = send_rows.send_id(record.key, record.last_reply_id or "", record.batch_id, 1)
        part = sends.find(tables.sends, send_id)
        if part is not None and record_proof(tables, part, self.settings.context_attributes, self.clock):
            trail.log(Step.RECONCILED, Level.WARNING)
        else:
            trail.log(Step.REPLY_ABANDONED, Level.ERROR, code=ReplyCode.UNKNOWN_OUTCOME.value)
            trail.count(Metric.REPLY_UNKNOWN, outcome="stalled")
        after = self._load(tables, record.key)
        if after is not None and after.record.watched_since == record.watched_since:
            record_writes.unwatch(tables.conversations, after.record)

    def _act(
        self,
        tables: Tables,
        queues: Queues,
        conversation: Conversation,
        lock: StalledLock,
        trail: Trail,
        *,
        at_once: bool,
    ) -> bool | Changed:
        """Do the one thing to be done; whether the lock is open."""
        record, shards, now = conversation.record, self.settings.lock_index_shards, self.clock.now()
        policy = self.policies.of(conversation, conversation.unanswered_channel or "", trail)
        is_at_work = record.claim is not None and claimer_left(record, now, self.settings) > timedelta(0)
        is_due = has_stalled(record, now, self.settings) or (at_once and not is_at_work)
        match decide(lock, record, policy.stall_action, is_due=is_due):
            case Leave():
                return False
            case FinishPeople():
                return self._handed(self.handoff.finish(tables, queues, conversation, trail), lock, trail)
            case ClaimForPeople():
                stalled = self.handoff.begun(RequestedBy.STALL)
                return self._handed(
                    self.handoff.claim(tables, queues, conversation, trail, handoff=stalled), lock, trail
                )
            case PassToPeople(requested_by):
                handoff = self.handoff.begun(requested_by, record.claim_reason)
                passed = self.handoff.take_from_reply(tables, queues, conversation, trail, handoff=handoff)
                return self._handed(passed, lock, trail)
            case GiveUp():
                outcome = reply_claim.give_up(tables.conversations, record, shards=shards, now=now)
                if not isinstance(outcome, Released):
                    return False
                after = self._load(tables, record.key)
                if after is not None and after.record.has_unreported_end:
                    self.report_end(tables, after, trail)
                return True
            case Open():
                if not isinstance(conversation_lock.reset(tables.conversations, record, shards=shards, now=now), Reset):
                    return False
                given = replace(record, claim=None, stall_resets=record.stall_resets + 1)
                self._report_reset(lock, "warn", trail, given)
                return True

    def _handed(self, outcome: Released | Changed, lock: StalledLock, trail: Trail) -> bool | Changed:
        if isinstance(outcome, Changed):
            return outcome
        self._report_reset(lock, "handoff", trail)
        return True

    def _load(self, tables: Tables, key: ConversationKey) -> Conversation | None:
        return lookup.load(tables.conversations, key, self.settings.context_attributes)

    def _report_reset(self, lock: StalledLock, action: str, trail: Trail, given: Record | None = None) -> None:
        """Report that a lock is open; of one that leaves its batch to the AI also what the next batch is given."""
        told: Fields = {"batch_id": lock.batch_id or "none", "outcome": action}
        if given is not None:
            told["count"], told["seconds"] = given.stall_resets, patience_of(given, self.settings).total_seconds()
        trail.log(Step.RESET, Level.WARNING, **told)
        trail.count(Metric.STALL_RESET, outcome=action)
