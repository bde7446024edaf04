"""The sweep: the scheduled repair of what a crash left behind. It never gives anything up.

    a stalled lock --reset--> open, and what is staged is triggered
    an orphaned row of the channel route --trigger--> a batch
    an orphaned row of the handoff route --hand off--> with people

Each thing found is one step of its own, so that one that fails keeps no other from its repair. Two sweeps at once do no
harm: resets are conditional, triggers spare ones at worst, people dedupe. A sweep that runs out of time goes on where
it stopped: stalled locks leave their index as they are reset, and the first shard differs from run to run; the scan
of the stage keeps its place in a row of the trigger lock table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from chalicelib.clock import Clock, Deadline, epoch, iso
from chalicelib.conversations.handoff import Handoff
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Attr, Item, Key, Tables
from chalicelib.protocol import staging, trigger_lock
from chalicelib.protocol.record import CONVERSATION_ID, LOCK_SHARD, STARTED_AT
from chalicelib.protocol.staging import DUE_AT, MESSAGE_SID, RECEIVED_AT, Route, StagedMessage
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
        handoff: Handoff,
        stalled_locks: StalledLocks,
        retriggering: Retriggering,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._handoff = handoff
        self._stalled_locks = stalled_locks
        self._retriggering = retriggering
        self._clock = clock
        self._settings = settings

    def stalled_locks(self, tables: Tables, deadline: Deadline) -> Iterator[StalledLock]:
        """The locks that are older than the stall timeout, the oldest of each shard first, until the deadline."""
        now = self._clock.now()
        before = iso(now - timedelta(seconds=self._settings.stall_timeout_seconds))
        shards = self._settings.lock_index_shards
        first = epoch(now) // (SWEEP_STALLED_MINUTES * 60)
        for shard in ((first + offset) % shards for offset in range(shards)):
            rows = tables.conversations.query(
                (LOCK_SHARD, str(shard)), index=self._settings.lock_index, range_key=Attr(STARTED_AT).lt(before)
            )
            for row in rows:
                if deadline.has_passed:
                    return
                yield StalledLock.from_index(row)

    def reset(self, tables: Tables, queues: Queues, lock: StalledLock, trail: Trail) -> None:
        """Let go of a stalled lock and trigger what was staged meanwhile.

        Raises:
            TryAgain, Misconfigured: the next sweep finds the lock, or the orphaned rows, again.
        """
        trail.bind(conversation_id=lock.conversation.conversation_id, tenant=lock.tenant)
        if self._stalled_locks.reset(tables, queues, lock, trail):
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
        """Trigger or hand off an orphaned message, unless its trigger is still on its way.

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
        is_handoff = message.route is Route.HANDOFF
        is_orphan = is_handoff or not trigger_lock.is_waiting(tables.trigger_lock, message.conversation, now=now)
        if is_orphan or self._expires_soon(message, now):
            staging.keep_alive(  # S4: before anything else, for time alone deletes nothing.
                tables.stage, message, now=now, ttl_hours=self._settings.stage_ttl_hours, recovered=is_orphan
            )
        if not is_orphan:
            return
        times = message.recoveries + 1
        trail.log(Step.RECOVERED, self._loudness(times), route=message.route.value, count=times)
        trail.count(Metric.ORPHAN_RECOVERED, outcome=message.route.value)
        if is_handoff:
            self._handoff.hand_off(tables, queues, message, trail)
        else:
            self._retriggering.trigger(tables, queues, message, trail)

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
