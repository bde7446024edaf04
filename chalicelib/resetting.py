"""Resetting a stalled lock: stage 2 does it to the lock in its way, the sweep to every one that it finds.

`STALL_ACTION=warn`: the batch stays unanswered and is carried into the next one; a slow AI's answer is still taken
where nothing newer began. `STALL_ACTION=handoff`: people get the batch first, then the lock is reset as answered, so
that a late answer is refused. A crash in between hands it off again: people's side dedupes on `message_id`.

A stalled lock that a reply has claimed is another thing: the customer may have been answered. It is given up as
answered with unknown outcome, loudly, and its batch is never dispatched or sent again.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib import conversations
from chalicelib.clock import Clock
from chalicelib.conversations import Conversation
from chalicelib.errors import ReplyCode
from chalicelib.handing_off import HandingOff
from chalicelib.observability import Level, Metric, Step, Trail
from chalicelib.protocol import conversation_lock, reply_claim, sends
from chalicelib.protocol.conversation_lock import Claimed, Reset
from chalicelib.protocol.record import BATCH_ID, CONVERSATION_ID, PRIMARY_CHANNEL, STARTED_AT, ConversationKey, Record
from chalicelib.protocol.reply_claim import Released
from chalicelib.queues import Queues
from chalicelib.reconciling import record_proof
from chalicelib.settings import Settings
from chalicelib.tables import Item, Tables


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
        return cls(key, row.get(BATCH_ID), row[STARTED_AT], str(row.get(conversations.COMPANY_ID, "unknown")))

    def is_of(self, record: Record) -> bool:
        """Whether the record still bears this lock, and no reply has claimed it."""
        return (
            record.is_locked
            and record.claim is None
            and (record.batch_id, record.started_at) == (self.batch_id, self.started_at)
        )


class Resetting:
    """Lets go of stalled locks."""

    def __init__(self, handing_off: HandingOff, clock: Clock, settings: Settings) -> None:
        self._handing_off = handing_off
        self._clock = clock
        self._settings = settings

    def reset(self, tables: Tables, queues: Queues, lock: StalledLock, trail: Trail) -> bool:
        """Let go of the lock if it still stands as it was seen; whether it is let go of.

        Raises:
            TryAgain, Misconfigured: the lock stands; the next sweep finds it again.
        """
        with_people = self._settings.stall_action == "handoff" and self._hand_off(tables, queues, lock, trail)
        outcome = conversation_lock.reset(
            tables.conversations,
            lock.conversation,
            batch_id=lock.batch_id,
            started_at=lock.started_at,
            answered=with_people,
            now=self._clock.now(),
        )
        if isinstance(outcome, Claimed):
            return self._give_up(tables, lock, outcome.reply_id, trail)
        if not isinstance(outcome, Reset):
            conversation_lock.tidy(
                tables.conversations, lock.conversation, batch_id=lock.batch_id, started_at=lock.started_at
            )
            return False
        trail.log(Step.RESET, Level.WARNING, batch_id=lock.batch_id or "none", outcome=self._settings.stall_action)
        trail.count(Metric.STALL_RESET, outcome=self._settings.stall_action)
        return True

    def _give_up(self, tables: Tables, lock: StalledLock, reply_id: str, trail: Trail) -> bool:
        """End a reply that was claimed and never recorded."""
        outcome = reply_claim.give_up(
            tables.conversations,
            lock.conversation,
            batch_id=lock.batch_id or "",
            reply_id=reply_id,
            started_at=lock.started_at,
            now=self._clock.now(),
        )
        if not isinstance(outcome, Released):
            return False
        part = sends.find(tables.sends, sends.send_id(lock.conversation, reply_id, lock.batch_id, 1))
        if part is not None and record_proof(tables, part, self._settings.context_attributes, self._clock):
            trail.log(Step.RECONCILED, Level.WARNING, batch_id=lock.batch_id or "none")
            return True
        code = ReplyCode.UNKNOWN_OUTCOME.value
        trail.log(Step.GAVE_REPLY_UP, Level.ERROR, batch_id=lock.batch_id or "none", code=code)
        trail.count(Metric.REPLY_UNKNOWN, outcome="stalled")
        return True

    def _hand_off(self, tables: Tables, queues: Queues, lock: StalledLock, trail: Trail) -> bool:
        """Hand the lock's batch to people; False: the lock moved on, or has nothing unanswered."""
        item = conversations.load(
            tables.conversations, lock.conversation, self._settings.context_attributes, with_messages=True
        )
        conversation = Conversation.from_item(item) if item else None
        if conversation is None or not lock.is_of(conversation.record) or not conversation.record.unanswered:
            return False
        self._handing_off.send(queues, conversation, conversation.record.unanswered, trail)
        return True
