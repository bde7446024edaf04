"""The sweep: the scheduled repair of what a crash left behind. It never gives anything up.

    a stalled lock --reset--> open, and what is staged is triggered
    an orphaned row --trigger--> a batch
    a watched record --report--> its end is reported
                     --trigger--> a batch that was never answered is dispatched once more, later each time

Each item is one step of its own, so one that fails does not stop the repair of the others. Two sweeps at once do no
harm: resets are conditional, triggers are at worst spare ones, and people dedupe. A sweep that runs out of time
continues where it stopped. Stalled locks leave their index as they are reset, and the first shard differs from run to
run. The scan of the stage keeps its place in a row of the trigger lock table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from chalicelib.clock import Clock, Deadline, epoch, iso
from chalicelib.conversations import lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Attr, Item, Key, Tables
from chalicelib.protocol import conversation_lock, staging, trigger_lock
from chalicelib.protocol.record import CONVERSATION_ID, LOCK_SHARD, PRIMARY_CHANNEL, STARTED_AT, ConversationKey
from chalicelib.protocol.staging import DUE_AT, MESSAGE_SID, RECEIVED_AT, StagedMessage
from chalicelib.repair.patience import is_answer_overdue
from chalicelib.repair.retriggering import Retriggering
from chalicelib.repair.stalled_locks import StalledLock, StalledLocks
from chalicelib.settings import SWEEP_STALLED_MINUTES, Settings
from chalicelib.telemetry import Level, Metric, Step, Trail

_PLACE = {CONVERSATION_ID: "#sweep/orphans"}
"""The key of the row that keeps the scan's place. No conversation has this id."""


class Sweeping:
    """Finds and repairs stalled locks and orphaned rows."""

    def __init__(
        self,
        *,
        stalled_locks: StalledLocks,
        retriggering: Retriggering,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._stalled_locks = stalled_locks
        self._retriggering = retriggering
        self._clock = clock
        self._settings = settings

    def stalled_locks(self, tables: Tables, deadline: Deadline) -> Iterator[StalledLock]:
        """The locks that are older than the stall timeout, the oldest of each shard first, until the deadline."""
        return (StalledLock.from_index(row) for row in self._indexed(tables, deadline, str))

    def watched(self, tables: Tables, deadline: Deadline) -> Iterator[ConversationKey]:
        """The open records that have waited for longer than the stall timeout, the oldest of each shard first."""
        rows = self._indexed(tables, deadline, conversation_lock.watched_shard)
        return (ConversationKey(row[PRIMARY_CHANNEL], row[CONVERSATION_ID]) for row in rows)

    def _indexed(self, tables: Tables, deadline: Deadline, name: Callable[[int], str]) -> Iterator[Item]:
        now = self._clock.now()
        before = iso(now - timedelta(seconds=self._settings.stall_timeout_seconds))
        shards = self._settings.lock_index_shards
        first = epoch(now) // (SWEEP_STALLED_MINUTES * 60)
        for shard in ((first + offset) % shards for offset in range(shards)):
            rows = tables.conversations.query(
                (LOCK_SHARD, name(shard)), index=self._settings.lock_index, range_key=Attr(STARTED_AT).lt(before)
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
        conversation = lookup.load(tables.conversations, key, self._settings.context_attributes)
        if conversation is None or conversation.record.watched_since is None:
            return
        trail.bind(tenant=conversation.tenant)
        record = conversation.record
        if record.has_unreported_end:
            self._stalled_locks.report_end(tables, conversation, trail)
        elif not record.unanswered:
            conversation_lock.unwatch(tables.conversations, record)  # answered or trimmed since
        elif is_answer_overdue(record, self._clock.now(), self._settings):
            self._trigger_unanswered(tables, queues, conversation, trail)

    def _trigger_unanswered(self, tables: Tables, queues: Queues, conversation: Conversation, trail: Trail) -> None:
        record = conversation.record
        channel = record.unanswered[-1]["channel_type"]
        if self._retriggering.trigger(tables, queues, record.key, channel, conversation.tenant, trail):
            trail.log(Step.RECOVERED, Level.WARNING, channel=channel, count=record.stall_resets)
            trail.count(Metric.ORPHAN_RECOVERED)

    def reset(self, tables: Tables, queues: Queues, lock: StalledLock, trail: Trail, *, at_once: bool = False) -> None:
        """Reset a lock that has outlived its patience, or any `at_once`, and trigger what was staged meanwhile.

        Raises:
            TryAgain, Misconfigured: the next sweep finds the lock, or the orphaned rows, again.
        """
        trail.bind(conversation_id=lock.conversation.conversation_id, tenant=lock.tenant)
        if self._stalled_locks.reset(tables, queues, lock, trail, at_once=at_once):
            self._retriggering.look(tables, queues, lock.conversation, trail)

    def orphans(self, tables: Tables, deadline: Deadline) -> Iterator[Item]:
        """The staged rows that their trigger should have taken by now, until the deadline; then where it stopped.

        Rows as they are stored: one that cannot be read keeps no other from its repair.
        """
        before = self._clock.now() - timedelta(seconds=self._settings.orphan_grace_seconds)
        cap = timedelta(seconds=self._settings.batch_max_wait_seconds)
        is_without_policy = Attr(DUE_AT).missing() & Attr(RECEIVED_AT).lt(iso(before - cap))
        is_overdue = Attr(DUE_AT).lt(iso(before)) | is_without_policy
        place = self._place(tables)
        while True:
            page = tables.stage.scan(start=place, keep=is_overdue)
            for row in page.items:
                yield row
                if deadline.has_passed and row is not page.items[-1]:
                    self._keep_place(tables, {name: row[name] for name in (CONVERSATION_ID, MESSAGE_SID)})
                    return
            place = page.next_start
            if place is None or deadline.has_passed:
                self._keep_place(tables, place)
                return

    def recover(self, tables: Tables, queues: Queues, row: Item, trail: Trail) -> None:
        """Trigger an orphaned message, unless its trigger is still on its way.

        Raises:
            TryAgain, Misconfigured: the next sweep finds the row again; its time to live has been moved on.
        """
        trail.bind(message_sid=row[MESSAGE_SID], conversation_id=row[CONVERSATION_ID])
        message = StagedMessage.from_item(row)
        trail.bind(
            tenant=message.tenant,
            channel=message.channel,
        )
        now = self._clock.now()
        is_orphan = not trigger_lock.is_waiting(tables.trigger_lock, message.conversation, now=now)
        if is_orphan or self._expires_soon(message, now):
            staging.keep_alive(  # S4: before anything else, for time alone deletes nothing.
                tables.stage, message, now=now, ttl_hours=self._settings.stage_ttl_hours, recovered=is_orphan
            )
        if not is_orphan:
            return
        times = message.recoveries + 1
        trail.log(Step.RECOVERED, self._loudness(times), count=times)
        trail.count(Metric.ORPHAN_RECOVERED)
        self._retriggering.trigger(tables, queues, message.conversation, message.channel, message.tenant, trail)

    def _loudness(self, times: int) -> Level:
        return Level.ERROR if times > self._settings.orphan_loud_after else Level.WARNING

    def _expires_soon(self, message: StagedMessage, now: datetime) -> bool:
        return message.expires_at - epoch(now) < self._settings.stage_ttl_hours * 1_800  # half of its time is gone

    def _place(self, tables: Tables) -> Key | None:
        row = tables.trigger_lock.get(_PLACE)
        return row["place"] if row else None

    def _keep_place(self, tables: Tables, place: Key | None) -> None:
        """Remember where to go on. Without a condition: a sweep that runs beside this one at worst scans twice."""
        if place is None:
            tables.trigger_lock.delete(_PLACE)
        else:
            expires_at = epoch(self._clock.now() + timedelta(hours=1))
            tables.trigger_lock.put({**_PLACE, "place": dict(place), trigger_lock.EXPIRES_AT: expires_at})
