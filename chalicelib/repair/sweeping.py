"""The sweep of conversations: the scheduled repair of what a crash left behind. It never gives anything up.

    a stalled lock --reset--> open, and what is staged is triggered
    a watched record --report--> its end is reported
                     --trigger--> a batch that was never answered is dispatched once more, later each time

Each item is one step of its own, so one that fails does not stop the repair of the others. Two sweeps at once do no
harm: resets are conditional, triggers are at worst spare ones, and people dedupe. A sweep that runs out of time
continues where it stopped: stalled locks leave their index as they are reset, and the first shard differs from run to
run. Staged messages without a trigger are the sweep of `orphans`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.clock import Clock, Deadline, epoch, iso
from chalicelib.conversations import lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Attr, Item, Tables
from chalicelib.protocol import lock_changes, record_writes
from chalicelib.protocol.record import CONVERSATION_ID, LOCK_SHARD, PRIMARY_CHANNEL, STARTED_AT, ConversationKey
from chalicelib.repair.patience import is_answer_overdue
from chalicelib.repair.retriggering import Retriggering
from chalicelib.repair.stalled_locks import StalledLock, StalledLocks
from chalicelib.settings import SWEEP_STALLED_MINUTES, Settings
from chalicelib.telemetry import Level, Metric, Step, Trail


@dataclass(frozen=True, kw_only=True)
class Sweeping:
    """Finds and repairs stalled locks and orphaned rows."""

    locks: StalledLocks
    retriggering: Retriggering
    clock: Clock
    settings: Settings

    def stalled_locks(self, tables: Tables, deadline: Deadline) -> Iterator[StalledLock]:
        """The locks that are older than the stall timeout, the oldest of each shard first, until the deadline."""
        return (StalledLock.from_index(row) for row in self._indexed(tables, deadline, str))

    def watched(self, tables: Tables, deadline: Deadline) -> Iterator[ConversationKey]:
        """The open records that have waited for longer than the stall timeout, the oldest of each shard first."""
        rows = self._indexed(tables, deadline, lock_changes.watched_shard)
        return (ConversationKey(row[PRIMARY_CHANNEL], row[CONVERSATION_ID]) for row in rows)

    def _indexed(self, tables: Tables, deadline: Deadline, name: Callable[[int], str]) -> Iterator[Item]:
        now = self.clock.now()
        before = iso(now - timedelta(seconds=self.settings.stall_timeout_seconds))
        shards = self.settings.lock_index_shards
        first = epoch(now) // (SWEEP_STALLED_MINUTES * 60)
        for shard in ((first + offset) % shards for offset in range(shards)):
            rows = tables.conversations.query(
                (LOCK_SHARD, name(shard)), index=self.settings.lock_index, range_key=Attr(STARTED_AT).lt(before)
            )
            for row in rows:
                if deadline.has_passed:
                    return
                yield row

    def look_after(self, tables: Tables, queues: Queues, key: ConversationKey, trail: Trail) -> None:
        """Report the end of a watched record, or trigger its unanswered batch once more.

        Raises:
            TryAgain, Misconfigured: the record stays in the index; the next sweep finds it again.
        """
        trail.bind(conversation_id=key.conversation_id)
        conversation = lookup.load(tables.conversations, key, self.settings.context_attributes)
        if conversation is None or conversation.record.watched_since is None:
            return
        trail.bind(tenant=conversation.tenant)
        record = conversation.record
        if record.has_unreported_end:
            self.locks.report_end(tables, conversation, trail)
        elif not record.unanswered:
            record_writes.unwatch(tables.conversations, record)  # answered or trimmed since
        elif is_answer_overdue(record, self.clock.now(), self.settings):
            self._trigger_unanswered(tables, queues, conversation, trail)

    def _trigger_unanswered(self, tables: Tables, queues: Queues, conversation: Conversation, trail: Trail) -> None:
        record = conversation.record
        channel = record.unanswered[-1]["channel_type"]
        if self.retriggering.trigger(tables, queues, record.key, channel, conversation.tenant, trail):
            trail.log(Step.RECOVERED, Level.WARNING, channel=channel, count=record.stall_resets)
            trail.count(Metric.ORPHAN_RECOVERED)

    def reset(self, tables: Tables, queues: Queues, lock: StalledLock, trail: Trail, *, at_once: bool = False) -> None:
        """Reset a lock that has outlived its patience, or any `at_once`, and trigger what was staged meanwhile.

        Raises:
            TryAgain, Misconfigured: the next sweep finds the lock, or the orphaned rows, again.
        """
        trail.bind(conversation_id=lock.conversation.conversation_id, tenant=lock.tenant)
        if self.locks.reset(tables, queues, lock, trail, at_once=at_once):
            self.retriggering.look(tables, queues, lock.conversation, trail)
