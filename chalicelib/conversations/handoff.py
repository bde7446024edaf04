"""Handoff: a message's full context goes to people, at least once.

    staged (route handoff) --send--> with people --append--> in the record --settle--> done

A crash between any two steps repeats from the first: people's side dedupes on `message_id`. Stage 1 and the sweep hand
off one staged row; stage 2 and a stalled batch hand off what they hold, by `send` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.clock import Clock
from chalicelib.conversations import contexts, lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import Code, TryAgain
from chalicelib.ports.queues import Queues, fair_group
from chalicelib.ports.tables import Tables
from chalicelib.protocol import conversation_lock, history, staging
from chalicelib.protocol.conversation_lock import Appended
from chalicelib.protocol.record import Record
from chalicelib.protocol.staging import StagedMessage
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail

_TRIES = 4
"""How often the append is tried on a record that keeps changing."""


class Handoff:
    """Hands messages to the company's people."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._settings = settings
        self._bounds = history.Bounds(settings.messages_keep, settings.messages_bytes_max, settings.dedupe_hours)

    def hand_off(self, tables: Tables, queues: Queues, message: StagedMessage, trail: Trail) -> None:
        """Hand one staged message to people, unless they or a batch have it already, and settle its row.

        Raises:
            TryAgain, Misconfigured: the row stays staged; the sweep hands it off.
        """
        is_sent = has_moved = False
        for _ in range(_TRIES):
            conversation, known_ids = self._read(tables, message)
            if conversation is None:
                trail.log(Step.REFUSED, Level.ERROR, code=Code.CONVERSATION_NOT_FOUND.value)
                trail.count(Metric.REFUSED, outcome=Code.CONVERSATION_NOT_FOUND.value)
                break
            if message.message_sid in known_ids:
                break
            entry = contexts.entry(message.context, handed_off=True)
            if not has_moved and history.room_bytes(conversation.record) < history.entry_bytes(entry):
                has_moved = True  # before people are sent anything that the record has no room for
                self._trim(tables, conversation.record)
                continue
            if not is_sent:
                self.send(queues, conversation, [entry], trail)
                is_sent = True
            if self._append(tables, conversation, entry):
                break
        else:
            raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing while an entry is appended")
        staging.settle(tables.stage, message.conversation, [message.message_sid])
        trail.log(Step.SETTLED, Level.DEBUG, count=1)

    def send(
        self, queues: Queues, conversation: Conversation, entries: Sequence[Mapping[str, Any]], trail: Trail
    ) -> None:
        """Send one context with these messages to the handoff queue.

        Raises:
            TryAgain, Misconfigured: `QUEUE_ERROR`; `INTERNAL_ERROR` where they are larger than the queue takes.
        """
        body = contexts.handoff_context(
            conversation,
            entries,
            request_id=trail.request_id,
            context_attributes=self._settings.context_attributes,
            now=self._clock.now(),
        )
        queues.handoff.send(body, group=fair_group(conversation.tenant), attributes=conversation.attributes)
        trail.log(Step.HANDED_OFF, count=len(entries))
        trail.count(Metric.HANDED_OFF, len(entries))

    def _read(self, tables: Tables, message: StagedMessage) -> tuple[Conversation | None, frozenset[str]]:
        """The conversation, and the ids of the messages that its record or its history knows of."""
        item, *moved = tables.conversations.get_together(
            [
                lookup.reading(tables.conversations, message.conversation, self._settings.context_attributes),
                *history.reads(tables.history, message.conversation, [message.message_sid]),
            ]
        )
        if item is None:
            return None, frozenset()
        conversation = Conversation.from_item(item)
        return conversation, conversation.record.entry_ids | history.found(moved)

    def _append(self, tables: Tables, conversation: Conversation, entry: Mapping[str, Any]) -> bool:
        record, now = conversation.record, self._clock.now()
        written = conversation_lock.append(tables.conversations, record, [entry], ended_ids=(), to_people=True, now=now)
        if not isinstance(written, Appended):
            return False
        if history.movable_count(record, self._bounds, now=now):
            item = lookup.load(
                tables.conversations, conversation.key, self._settings.context_attributes, with_messages=True
            )
            if item is not None:
                self._trim(tables, Conversation.from_item(item).record)
        return True

    def _trim(self, tables: Tables, record: Record) -> None:
        """A conversation that only people answer has no batches that would move its history."""
        history.trim(tables.conversations, tables.history, record, self._bounds, now=self._clock.now())
