"""A look: the staged messages of a conversation, and its record.

    read the stage - read the record, and the history of what is staged

A message that is staged after the stage was read has a trigger of its own. A staged message that the record or the
history already has is a duplicate (H3). A write for a new message requires the record as it was read, so nothing
changed between the two reads and the write. Every decision about a conversation uses such a view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from chalicelib.conversations import lookup, staged_contexts
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.routing import Destination, Routing, destination, handoff_reasons
from chalicelib.errors import Code, TryAgain
from chalicelib.messages.inbound import OptOut
from chalicelib.ports.tables import Tables
from chalicelib.protocol import history, staging
from chalicelib.protocol.entries import asked_in, entry_bytes, entry_id
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.record import ConversationKey, Record
from chalicelib.protocol.staging import StagedMessage

LOOKS_MAX = 4
"""How often something looks again at a record that changes under it, before it comes again later."""

CONSIDERED_MAX = 99
"""Staged messages that one look considers: as many as are read together with the record."""

Entry = Mapping[str, Any]
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Gone:
    """The conversation is no more; these messages are staged for it."""

    message_sids: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class View:
    """What one look found: the record, what is staged for it, and which of that the history has."""

    conversation: Conversation
    staged: Sequence[StagedMessage]
    """In order."""
    moved_ids: frozenset[str] = frozenset()

    @property
    def record(self) -> Record:
        return self.conversation.record

    @property
    def considered(self) -> Sequence[StagedMessage]:
        return self.staged[:CONSIDERED_MAX]

    @cached_property
    def duplicates(self) -> list[StagedMessage]:
        """What has ended before: answered, handed off or refused."""
        waiting = {one["message_id"] for one in self.record.unanswered}
        ended = (self.record.entry_ids | self.moved_ids) - waiting
        return [message for message in self.considered if message.message_sid in ended]

    @cached_property
    def fresh(self) -> list[StagedMessage]:
        """What has not ended: new messages, and rows of messages that are unanswered still."""
        ended = {message.message_sid for message in self.duplicates}
        return [message for message in self.considered if message.message_sid not in ended]

    @cached_property
    def new(self) -> list[StagedMessage]:
        """What is not in the record yet."""
        return [message for message in self.fresh if message.message_sid not in self.record.entry_ids]

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """The record's entries by message id."""
        return {one: entry for entry in self.record.entries or () if (one := entry_id(entry)) is not None}


def look(tables: Tables, key: ConversationKey, context_attributes: Sequence[str]) -> View | Gone:
    """Read the stage, then the record; and the history of what is staged, where the record ever moved any.

    The webhook wrote down whether the record had moved entries, so that the history is read along with the record. If
    the record moved some since, the history is read once more, after it (H3).
    """
    staged = staging.read(tables.stage, key)
    sids = [message.message_sid for message in staged[:CONSIDERED_MAX]]
    seen = {message.moved_before_seen for message in staged[:CONSIDERED_MAX]}
    reading = lookup.reading(tables.conversations, key, context_attributes)
    history_reads = history.reads(tables.history, key, sids)
    item, *moved = tables.conversations.get_together([reading, *(history_reads if seen - {None} else ())])
    if item is None:
        return Gone(tuple(sids))
    conversation = Conversation.from_item(item)
    if conversation.record.moved_before is not None and seen - {conversation.record.moved_before}:
        moved = tables.history.get_together(history_reads)  # H3: moved since a webhook looked, so read it after.
    return View(conversation, staged, history.found(moved, key))


def look_again(act: Callable[[], Outcome | Changed]) -> Outcome:
    """Do what one look at a record asks for, and look again where the record changed meanwhile.

    Raises:
        TryAgain: `DB_TRANSIENT_ERROR`; the record keeps changing.
    """
    for _ in range(LOOKS_MAX):
        outcome = act()
        if not isinstance(outcome, Changed):
            return outcome
    raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing")


def destination_of(view: View, message: StagedMessage, routing: Routing) -> Destination:
    """Who answers a staged message, by today's rules."""
    sender, extras = staged_contexts.sender_of(message.context), staged_contexts.extras_of(message.context)
    return destination(view.conversation, message.channel, sender, extras, routing)


def destination_of_entry(conversation: Conversation, entry: Entry, routing: Routing) -> Destination:
    """Who answers a message that is in the record already, by today's rules."""
    channel, sender = entry["channel_type"], entry["metadata"]["sender"]
    return destination(conversation, channel, sender, staged_contexts.extras_of_entry(entry), routing)


def belongs_to_people(conversation: Conversation, routing: Routing, *, ended_batch: str | None = None) -> bool:
    """Whether the routing sends all that is unanswered to people, or all that a batch that has ended was about.

    A rule that refuses new messages, as of a project that is paused, does not matter: the batch was accepted before.
    """
    record = conversation.record
    asked = record.unanswered or (asked_in(record.entries or (), ended_batch) if ended_batch is not None else ())
    return bool(asked) and len(handoff_reasons(conversation, asked, routing)) == len(asked)  # I8


def fitting(record: Record, messages: Sequence[StagedMessage], messages_max: int) -> list[StagedMessage]:
    """The first of these new messages, as many as one batch may have and the record has room for.

    Where nothing is carried the first one is taken in any case: nothing would ever make more room.
    """
    room = history.room_bytes(record)
    taken: list[StagedMessage] = []
    for message in messages[:messages_max]:
        room -= entry_bytes(staged_contexts.entry(message.context))
        if room < 0 and (taken or record.unanswered):
            break
        taken.append(message)
    return taken


def opt_out_request(message: StagedMessage, *, is_opted_out: bool) -> OptOut | None:
    """What a staged message asks of its conversation; None: it is an ordinary message.

    START counts only from a customer who is opted out: the provider reports it of every "yes".
    """
    told = message.opt_out or message.opt_out_keyword
    if told is None or (told == OptOut.START and not is_opted_out):
        return None
    return OptOut(told)
