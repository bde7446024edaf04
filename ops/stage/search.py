"""Finding a conversation by what an operator has of it: its id, the sid of a message, or a person's address.

The cheapest place is asked first. Rows of a conversation's own - staged messages, moved entries, its trigger's lock -
tell its whole key; the look-up indexes are small; only then is every record read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce

from chalicelib.channels.channel import Channel
from chalicelib.messages.phone_numbers import all_spellings
from chalicelib.ports.tables import Attr, Condition, Item, Tables
from chalicelib.protocol.entries import entry_id
from chalicelib.protocol.history import ENTRY
from chalicelib.protocol.record import CONVERSATION_ID, MESSAGES, PRIMARY_CHANNEL, ConversationKey
from chalicelib.protocol.staging import MESSAGE_SID
from ops.stage.target import CommandError, Target
from ops.tenants.rows import every_row

PERSONAL = (PRIMARY_CHANNEL, "recipient_tel", "recipient_email")
"""Attributes of the record, beside the keys of its indexes, that hold the customer's address."""


def by_id(
    tables: Tables, channels: Mapping[str, Channel], conversation_id: str, primary_channel: str | None
) -> list[ConversationKey]:
    """The conversations that bear an id: one, unless two primary channels have used the same."""
    if primary_channel is not None:
        spellings = dict.fromkeys((primary_channel, *all_spellings(primary_channel)))
        keys = (ConversationKey(one, conversation_id) for one in spellings)
        return [key for key in keys if _is_there(tables, key)][:1]
    of_it = (CONVERSATION_ID, conversation_id)
    keep = Attr(CONVERSATION_ID).eq(conversation_id)
    places: tuple[Iterator[Iterable[Item]], ...] = (
        (table.query(of_it) for table in (tables.stage, tables.history)),
        (every_row(tables.conversations, index=one.index.name, keep=keep) for one in channels.values()),
        iter([every_row(tables.conversations, keep=keep)]),
    )
    for place in places:
        named = {_key(row) for rows in place for row in rows}
        found = sorted((one for one in named if _is_there(tables, one)), key=lambda one: one.primary_channel)
        if found:
            return found
    return []


def by_message(tables: Tables, sid: str) -> list[ConversationKey]:
    """The conversations in which a message is staged. For others search the log, and then use `by_entry`."""
    return [_key(row) for row in every_row(tables.stage, keep=Attr(MESSAGE_SID).eq(sid))]


def by_entry(tables: Tables, sid: str) -> list[ConversationKey]:
    """The conversations whose record or history holds a message; the history first, and else every record is read."""
    moved = [_key(row) for row in every_row(tables.history) if entry_id(row[ENTRY]) == sid]
    return moved or [
        _key(row)
        for row in every_row(tables.conversations)
        if any(entry_id(one) == sid for one in row.get(MESSAGES) or ())
    ]


def by_address(tables: Tables, channels: Mapping[str, Channel], spellings: Sequence[str]) -> list[ConversationKey]:
    """Every conversation with a person, by any of the attributes that hold an address; reads every record.

    Args:
        tables: of the deployment.
        channels: of the deployment.
        spellings: of the person's address, as our tables spell it.
    """
    names = dict.fromkeys((*PERSONAL, *(one.index.customer_key for one in channels.values())))
    named = (Attr(name).eq(one) for name in names for one in spellings)
    is_theirs: Condition = reduce(lambda one, other: one | other, named)
    return [_key(row) for row in every_row(tables.conversations, keep=is_theirs)]


def the_one(
    tables: Tables, channels: Mapping[str, Channel], conversation_id: str, primary_channel: str | None, target: Target
) -> ConversationKey:
    """The conversation that an operator means.

    Raises:
        CommandError: there is none, or there are several.
    """
    found = by_id(tables, channels, conversation_id, primary_channel)
    if not found:
        raise CommandError(f"stage {target.stage} has no conversation {conversation_id}", "its id, or another --stage")
    if len(found) > 1:
        what = f"{len(found)} conversations are called {conversation_id}"
        raise CommandError(what, "the same command with --primary-channel")
    return found[0]


def _key(row: Item) -> ConversationKey:
    return ConversationKey(row[PRIMARY_CHANNEL], row[CONVERSATION_ID])


def _is_there(tables: Tables, key: ConversationKey) -> bool:
    return tables.conversations.get(key.item, attributes=list(key.item)) is not None
