"""Orphaned messages: staged rows whose trigger was lost. The sweep triggers them, and never gives one up.

    scan the stage - is a repair due - is a trigger on its way - move the time to live on - trigger

The repairs of one conversation are spaced out: each waits twice as long as the one before, up to a bound. A trigger
that lies in a queue without workers is not lost, and each further one beside it would only be more work later. Of a
conversation's rows the one that was repaired most often stands for all.

A stage of more than one page is scanned in segments, which sweeps at once share; each keeps its place after every
page. So a sweep that dies or runs out of time loses nothing: the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.clock import Clock, Deadline, epoch, iso
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Attr, Condition, Item, Tables
from chalicelib.protocol import staging, trigger_lock
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL
from chalicelib.protocol.staging import DUE_AT, EXPIRES_AT, MESSAGE_SID, RECEIVED_AT, RECOVERIES, StagedMessage
from chalicelib.repair.retriggering import Retriggering
from chalicelib.repair.segments import Segment, free_segments
from chalicelib.settings import SWEEP_ORPHANS_MINUTES, Settings
from chalicelib.telemetry import Level, Metric, Step, Trail

SEGMENTS = 64
"""Into how many segments a stage is split that is longer than one page."""

DOUBLINGS_MAX = 4
"""How often the wait between two repairs doubles: from the grace to sixteen times as long."""


@dataclass(frozen=True, repr=False)
class Orphan:
    """A staged row that needs a look, as it is stored: one that cannot be read keeps no other from its repair."""

    row: Item
    is_due: bool
    """Whether a repair of its conversation is due; otherwise its time to live alone needs care."""


def is_repair_due(recoveries: int, expires_at: int, now: datetime, settings: Settings) -> bool:
    """Whether a row may be repaired once more; pure.

    Its time to live tells when it was repaired last, because each repair moves that on by the same time.

    Args:
        recoveries: how often it was repaired.
        expires_at: when it expires, in seconds since 1970.
        now: the current instant.
        settings: the grace, and the time to live.
    """
    if not recoveries:
        return True
    waited = epoch(now) - (expires_at - settings.stage_ttl_hours * 3_600)
    # A time to live that was lowered since makes the last repair one of the future.
    return waited < 0 or waited >= settings.orphan_grace_seconds << min(recoveries - 1, DOUBLINGS_MAX)


@dataclass(frozen=True, kw_only=True)
class Orphans:
    """Finds and triggers orphaned messages."""

    retriggering: Retriggering
    clock: Clock
    new_id: Callable[[], str]
    settings: Settings
    segments: int = SEGMENTS

    def find(self, tables: Tables, deadline: Deadline) -> Iterator[Orphan]:
        """The staged rows that need a look, until the deadline.

        Raises:
            TryAgain, Misconfigured: the stage cannot be read; the next sweep begins at the last place that was kept.
        """
        is_overdue = self._is_overdue()
        page = tables.stage.scan(keep=is_overdue)
        turn = epoch(self.clock.now()) // (SWEEP_ORPHANS_MINUTES * 60)
        if page.next_start is None:
            # Every sweep begins elsewhere: rows that fail again and again leave time for the others.
            for one in self._needing_a_look(_rotated(page.items, turn)):
                yield one
                if deadline.has_passed:
                    return
            return
        token, first = self.new_id(), turn * 13
        segments = free_segments(tables.trigger_lock, count=self.segments, token=token, clock=self.clock, first=first)
        for segment in segments:
            yield from self._of_segment(tables, segment, is_overdue, deadline)
            if deadline.has_passed:
                return

    def recover(self, tables: Tables, queues: Queues, orphan: Orphan, trail: Trail) -> None:
        """Trigger an orphaned message, unless its trigger is still on its way.

        Raises:
            TryAgain, Misconfigured: a later sweep finds the row again; its time to live has been moved on.
        """
        row = orphan.row
        trail.bind(message_sid=row[MESSAGE_SID], conversation_id=row[CONVERSATION_ID])
        message = StagedMessage.from_item(row)
        trail.bind(
            tenant=message.tenant,
            channel=message.channel,
        )
        now, key = self.clock.now(), message.conversation
        is_orphan = orphan.is_due and not trigger_lock.is_waiting(tables.trigger_lock, key, now=now)
        if is_orphan or self._expires_soon(message.expires_at, now):
            staging.keep_alive(  # S4: before anything else, for time alone deletes nothing.
                tables.stage, message, now=now, ttl_hours=self.settings.stage_ttl_hours, recovered=is_orphan
            )
        if not is_orphan:
            return
        times = message.recoveries + 1
        trail.log(Step.RECOVERED, self._loudness(times), count=times)
        trail.count(Metric.ORPHAN_RECOVERED)
        self.retriggering.trigger(tables, queues, key, message.channel, message.tenant, trail)

    def _of_segment(
        self, tables: Tables, segment: Segment, is_overdue: Condition, deadline: Deadline
    ) -> Iterator[Orphan]:
        place = segment.place
        while True:
            page = tables.stage.scan(start=place, keep=is_overdue, segment=segment.of_all)
            orphans = list(self._needing_a_look(page.items))
            for one in orphans:
                yield one
                if deadline.has_passed and one is not orphans[-1]:
                    segment.leave()  # where this page began: what was repaired of it is not due again
                    return
            place = page.next_start
            if place is None:
                segment.finish()
                return
            if not segment.keep_place(place):
                return
            if deadline.has_passed:
                segment.leave()
                return

    def _is_overdue(self) -> Condition:
        """What a scan keeps: the rows that their trigger should have taken by now."""
        before = self.clock.now() - timedelta(seconds=self.settings.orphan_grace_seconds)
        cap = timedelta(seconds=self.settings.batch_max_wait_seconds)
        is_without_policy = Attr(DUE_AT).missing() & Attr(RECEIVED_AT).lt(iso(before - cap))
        return Attr(DUE_AT).lt(iso(before)) | is_without_policy

    def _needing_a_look(self, rows: Sequence[Item]) -> Iterator[Orphan]:
        """Of each conversation's rows the leading one, where a repair is due, and those that expire soon."""
        by_conversation: dict[tuple[Any, Any], list[Item]] = {}
        for row in rows:
            by_conversation.setdefault((row.get(PRIMARY_CHANNEL), row[CONVERSATION_ID]), []).append(row)
        now = self.clock.now()
        for group in by_conversation.values():
            leading = max(group, key=lambda row: _number(row, RECOVERIES))
            for row in group:
                expires_at = _number(row, EXPIRES_AT)
                is_due = row is leading and is_repair_due(_number(row, RECOVERIES), expires_at, now, self.settings)
                if is_due or self._expires_soon(expires_at, now):
                    yield Orphan(row, is_due)

    def _loudness(self, times: int) -> Level:
        return Level.ERROR if times > self.settings.orphan_loud_after else Level.WARNING

    def _expires_soon(self, expires_at: int, now: datetime) -> bool:
        return expires_at - epoch(now) < self.settings.stage_ttl_hours * 1_800  # half of its time is gone


def _number(row: Item, name: str) -> int:
    """A number of a row as it is stored; 0 where it bears none."""
    try:
        return int(row.get(name, 0))
    except (TypeError, ValueError):
        return 0


def _rotated(rows: Sequence[Item], by: int) -> Sequence[Item]:
    first = by % len(rows) if rows else 0
    return [*rows[first:], *rows[:first]]
