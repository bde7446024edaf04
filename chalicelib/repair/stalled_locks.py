"""Stalled locks: stage 2 resets the one in its way, the sweep every one that it finds.

The policy `stall_action` of the batch's channel decides. `warn`: the batch stays unanswered and is carried into the
next one; a slow AI's answer is still taken where nothing newer began. `handoff`: the batch is claimed in the name of
people, as a reply claims it, so that no late answer comes between; then people get it, and the lock is reset as
answered. A crash in between hands it off again when that claim has stalled too: people's side dedupes on `message_id`.
What an earlier batch left unanswered goes the same way where stage 2 finds that people are to have it.

Where the deployment's setting is `warn`, no further read finds the company's policy: the reset is conditional on no
channel's policy saying `handoff`, and a refused write returns the row.

A stalled lock that a reply has claimed is another thing: the customer may have been answered. It is given up as
answered with unknown outcome, loudly, and its batch is never dispatched or sent again.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.clock import Clock
from chalicelib.conversations import lookup
from chalicelib.conversations.conversation import COMPANY_ID, Conversation
from chalicelib.conversations.handoff import Handoff
from chalicelib.conversations.policies import Policies
from chalicelib.errors import ReplyCode
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Condition, Item, Tables
from chalicelib.protocol import conversation_lock, reply_claim, sends
from chalicelib.protocol.conversation_lock import Claimed, Lost, Reset, Unmet
from chalicelib.protocol.record import BATCH_ID, CONVERSATION_ID, PRIMARY_CHANNEL, STARTED_AT, ConversationKey, Record
from chalicelib.protocol.reply_claim import Claim, Released
from chalicelib.repair.reconciliation import record_proof
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail


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

    def is_of(self, record: Record) -> bool:
        """Whether the record still bears this lock, and no reply has claimed it."""
        return (
            record.is_locked
            and record.claim is None
            and (record.batch_id, record.started_at) == (self.batch_id, self.started_at)
        )


class StalledLocks:
    """Lets go of stalled locks."""

    def __init__(self, handoff: Handoff, policies: Policies, clock: Clock, settings: Settings) -> None:
        self._handoff = handoff
        self._policies = policies
        self._clock = clock
        self._settings = settings

    def reset(self, tables: Tables, queues: Queues, lock: StalledLock, trail: Trail) -> bool:
        """Let go of the lock if it still stands as it was seen; whether it is let go of.

        Raises:
            TryAgain, Misconfigured: the lock stands; the next sweep finds it again.
        """
        outcome: Reset | Claimed | Unmet | Lost
        if self._settings.stall_action == "handoff":
            outcome = Unmet(self._read(tables, lock) or {})
        else:
            outcome = self._reset(tables, lock, only_if=self._policies.no_channel_says("stall_action", "handoff"))
        if isinstance(outcome, Unmet):
            conversation = Conversation.from_item(outcome.item) if outcome.item else None
            if (
                conversation is not None
                and lock.is_of(conversation.record)
                and self._is_for_people(conversation, trail)
            ):
                token = f"people since {lock.started_at}"
                is_handed = self._claim_for_people(tables, queues, conversation, token, trail)
                if is_handed:
                    self._tell(lock, "handoff", trail)
                return is_handed
            outcome = self._reset(tables, lock)
        assert not isinstance(outcome, Unmet), "the second reset has no further condition"
        match outcome:
            case Reset():
                self._tell(lock, "warn", trail)
                return True
            case Claimed(reply_id=reply_claim.PEOPLE):
                conversation = self._load(tables, lock)
                is_handed = conversation is not None and self.hand_off(tables, queues, conversation, trail)
                if is_handed:
                    self._tell(lock, "handoff", trail)
                return is_handed
            case Claimed(reply_id):
                return self._give_up(tables, lock, reply_id, trail)
            case Lost():
                conversation_lock.tidy(
                    tables.conversations, lock.conversation, batch_id=lock.batch_id, started_at=lock.started_at
                )
                return False

    def hand_over(self, tables: Tables, queues: Queues, conversation: Conversation, trail: Trail) -> bool:
        """Hand what an earlier batch left unanswered on an open record to people; False: the record changed meanwhile.

        Raises:
            TryAgain, Misconfigured: perhaps it is claimed for people; then the trigger hands it off, come again.
        """
        token = f"people of version {conversation.record.version}"
        return self._claim_for_people(tables, queues, conversation, token, trail)

    def _claim_for_people(
        self, tables: Tables, queues: Queues, conversation: Conversation, token: str, trail: Trail
    ) -> bool:
        """Claim the batch in the name of people before they get it, so that no late answer comes between."""
        outcome = reply_claim.claim(
            tables.conversations,
            conversation.record,
            reply_id=reply_claim.PEOPLE,
            token=token,
            shards=self._settings.lock_index_shards,
            now=self._clock.now(),
        )
        return isinstance(outcome, Claim) and self.hand_off(tables, queues, conversation, trail)

    def hand_off(self, tables: Tables, queues: Queues, conversation: Conversation, trail: Trail) -> bool:
        """Hand a batch that is claimed for people to them, and end it; whether it is at its end.

        A crash in between repeats it, by the next trigger or when the claim has stalled.
        """
        record = conversation.record
        if record.unanswered:
            self._handoff.send(queues, conversation, record.unanswered, trail)
        outcome = reply_claim.end_with_people(
            tables.conversations, record.key, batch_id=record.batch_id or "", now=self._clock.now()
        )
        return isinstance(outcome, Released)

    def _reset(
        self, tables: Tables, lock: StalledLock, *, only_if: Condition | None = None
    ) -> Reset | Claimed | Unmet | Lost:
        return conversation_lock.reset(
            tables.conversations,
            lock.conversation,
            batch_id=lock.batch_id,
            started_at=lock.started_at,
            answered=False,
            now=self._clock.now(),
            only_if=only_if,
        )

    def _is_for_people(self, conversation: Conversation, trail: Trail) -> bool:
        """Whether people get what is unanswered, by the policy of the channel of its last message."""
        channel = conversation.unanswered_channel
        return channel is not None and self._policies.of(conversation, channel, trail).stall_action == "handoff"

    def _read(self, tables: Tables, lock: StalledLock) -> Item | None:
        return lookup.load(
            tables.conversations, lock.conversation, self._settings.context_attributes, with_messages=True
        )

    def _load(self, tables: Tables, lock: StalledLock) -> Conversation | None:
        item = self._read(tables, lock)
        return Conversation.from_item(item) if item is not None else None

    def _tell(self, lock: StalledLock, action: str, trail: Trail) -> None:
        trail.log(Step.RESET, Level.WARNING, batch_id=lock.batch_id or "none", outcome=action)
        trail.count(Metric.STALL_RESET, outcome=action)

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
        trail.log(Step.REPLY_ABANDONED, Level.ERROR, batch_id=lock.batch_id or "none", code=code)
        trail.count(Metric.REPLY_UNKNOWN, outcome="stalled")
        return True
