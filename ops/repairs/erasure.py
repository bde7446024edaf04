"""Erasure: everything that our tables, the replies queues and the dead-letter queues hold of a person is erased.

    what hangs on the record, replies on their way - the record, as it was read - what came in between

Guarantee: safe to repeat at any point. The record is found by the person's address and leads to everything else, so it
goes last, by a delete that is conditional on the record as it was read and open: a batch or a reply on its way is
waited for, not cut off. From then on a webhook finds no conversation; what one had begun to stage is erased by a second
look, and else refused by stage 2.

A place that holds something of a person is one row of `PLACES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from chalicelib.conversations import lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.messages.attachments import folder_of
from chalicelib.messages.phone_numbers import bare, other_spellings
from chalicelib.ports.tables import Attr, Item, Key, Refused, Table
from chalicelib.protocol import fallbacks
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey
from chalicelib.wiring import Engine
from ops.stage import search
from ops.stage.bucket import Objects
from ops.stage.dead_letters import DEAD_LETTERS_MAX, DeadLetters, leave, take_all
from ops.stage.target import CommandError
from ops.tenants.rows import every_row

if TYPE_CHECKING:
    from infrastructure.template import TableSchema

_TRIES = 4

_OBJECTS, _LETTERS, _REPLIES = "attachments", "dead letters", "replies on their way"
"""What is counted beside tables."""


@dataclass(frozen=True, repr=False)
class Person:
    """Who is forgotten."""

    spellings: tuple[str, ...]
    """Of the address: as the operator wrote it, normalised, then the others."""
    conversations: tuple[ConversationKey, ...]
    tenants: frozenset[str]
    """Whose customer they are."""


@dataclass(frozen=True)
class Place:
    """One table that holds something of a person, and how their rows are found in it."""

    setting: str
    """Which table, by the setting that names it."""
    rows: Callable[[Table, Person], Iterator[Item]]


def _under(table: Table, person: Person) -> Iterator[Item]:
    """Rows whose hash key is the conversation's id."""
    for key in person.conversations:
        rows = table.query((CONVERSATION_ID, key.conversation_id))
        yield from (row for row in rows if row.get(PRIMARY_CHANNEL) == key.primary_channel)


def _naming(table: Table, person: Person) -> Iterator[Item]:
    """Rows that name the conversation beside their key; reads every row."""
    for key in person.conversations:
        keep = Attr(CONVERSATION_ID).eq(key.conversation_id) & Attr(PRIMARY_CHANNEL).eq(key.primary_channel)
        yield from every_row(table, keep=keep)


def _sent_by(table: Table, person: Person) -> Iterator[Item]:
    """Rows that name the person as the sender; reads every row."""
    named = (Attr(fallbacks.SENDER).eq(one) for one in person.spellings)
    return every_row(table, keep=reduce(lambda one, other: one | other, named))


PLACES = (
    Place("stage_table", _under),
    Place("trigger_lock_table", _under),
    Place("history_table", _under),
    Place("sends_table", _naming),
    Place("unknown_senders_table", _sent_by),
)


@dataclass(frozen=True)
class Reach:
    """What of a deployment is searched."""

    engine: Engine
    tables: Mapping[str, tuple[Table, TableSchema]]
    """Each table of `PLACES` with its keys, by setting."""
    dead_letters: Sequence[DeadLetters]
    replies: Sequence[DeadLetters]
    """The queues of replies, which functions consume. A count does not read them: that would delay others' replies."""
    objects: Objects
    """What came with messages: rows and entries name them."""


def find(reach: Reach, address: str) -> Person:
    """The person and their conversations.

    Raises:
        CommandError: a batch or a reply is on its way in one of these.
    """
    engine = reach.engine
    spellings = (address,) if "@" in address else (address, *other_spellings(address))
    keys = search.by_address(engine.tables, engine.channels, spellings)
    tenants = set()
    for key in keys:
        conversation = _load(engine, key)
        tenants |= {conversation.tenant} if conversation is not None else set()
        if conversation is not None and conversation.record.is_locked:
            what = f"conversation {key.conversation_id} is locked: a batch or a reply is on its way"
            raise CommandError(what, "the same command once it has ended, or unlock first")
    return Person(spellings, tuple(keys), frozenset(tenants))


def normal(address: str, prefixes: Sequence[str]) -> str:
    """An address as our tables spell it: without a channel's prefix, an e-mail address in lower case, a number bare."""
    for prefix in sorted(filter(None, prefixes), key=len, reverse=True):
        address = address.removeprefix(prefix)
    return address.lower() if "@" in address else bare(address)


def count(reach: Reach, person: Person) -> dict[str, int]:
    """How much there is of a person, by place; the records first."""
    found = {"conversations_table": len(person.conversations)}
    for place in PLACES:
        table, _ = reach.tables[place.setting]
        found[place.setting] = sum(1 for _ in place.rows(table, person))
    found[_OBJECTS] = len(_objects(reach, person))
    found[_LETTERS] = sum(_letters(one, person, is_erasing=False) for one in reach.dead_letters)
    return found


def erase(reach: Reach, person: Person) -> dict[str, int]:
    """Erase everything; how much it was, by place.

    Raises:
        EngineError: the same command goes on where this one stopped.
        CommandError: a record keeps changing.
    """
    erased = _hanging(reach, person)
    # A reply that comes later finds no record, and is a dead letter, which the second look erases.
    replies = sum(_letters(one, person, is_erasing=True) for one in reach.replies)
    for key in person.conversations:
        _erase_record(reach.engine, key)
    again = _hanging(reach, person)
    records = {"conversations_table": len(person.conversations), _REPLIES: replies}
    return records | {name: number + again[name] for name, number in erased.items()}


def _hanging(reach: Reach, person: Person) -> dict[str, int]:
    """Erase what hangs on the records; the objects first, for rows lead to them."""
    objects = _objects(reach, person)
    for key in objects:
        reach.objects.delete(key)
    erased = {_OBJECTS: len(objects)}
    for place in PLACES:
        table, schema = reach.tables[place.setting]
        keys = [_key(row, schema) for row in place.rows(table, person)]
        table.delete_many(keys)  # named one by one, and nothing of them is to stay: no condition
        erased[place.setting] = len(keys)
    erased[_LETTERS] = sum(_letters(one, person, is_erasing=True) for one in reach.dead_letters)
    return erased


def _objects(reach: Reach, person: Person) -> list[str]:
    """The keys of the objects that a person's rows and entries name, where they are of a company of theirs."""
    begin = f"s3://{reach.objects.name}/"
    rows: list[Any] = [row for place in PLACES for row in place.rows(reach.tables[place.setting][0], person)]
    rows += [conversation.item for key in person.conversations if (conversation := _load(reach.engine, key))]
    keys = [text.removeprefix(begin) for text in _texts(rows) if text.startswith(begin)]
    own = tuple(folder_of(tenant, "") for tenant in person.tenants)
    return sorted({key for key in keys if key.startswith(own)})


def _texts(value: Any) -> Iterator[str]:
    """Every text within lists and maps."""
    match value:
        case str():
            yield value
        case Mapping():
            yield from _texts(list(value.values()))
        case list() | tuple():
            for one in value:
                yield from _texts(one)


def _erase_record(engine: Engine, key: ConversationKey) -> None:
    for _ in range(_TRIES):
        conversation = _load(engine, key)
        if conversation is None:
            return
        record = conversation.record
        if record.is_locked:
            break
        if not isinstance(engine.tables.conversations.delete(key.item, when=record.unchanged), Refused):
            return
    raise CommandError(
        f"conversation {key.conversation_id} keeps changing", "the same command once more; it is safe to repeat"
    )


def _letters(dead_letters: DeadLetters, person: Person, *, is_erasing: bool) -> int:
    """The person's dead letters in one queue, deleted or left where they are.

    Raises:
        CommandError: the queue holds more than is looked at, so that one of theirs might stay unseen.
    """
    taken = take_all(dead_letters)
    if len(taken) >= DEAD_LETTERS_MAX:
        leave(dead_letters, taken)
        what = f"{dead_letters.name} holds {DEAD_LETTERS_MAX:,} messages or more, and not all can be looked at"
        raise CommandError(what, "redrive or purge it, then the same command")
    theirs = [
        one for one in taken if one.conversation in person.conversations or one.unknown_sender in person.spellings
    ]
    for one in theirs if is_erasing else ():
        dead_letters.delete(one)
    leave(dead_letters, [one for one in taken if not is_erasing or one not in theirs])
    return len(theirs)


def _load(engine: Engine, key: ConversationKey) -> Conversation | None:
    return lookup.load(engine.tables.conversations, key, ())


def _key(row: Item, schema: TableSchema) -> Key:
    return {name: row[name] for name in (schema.hash_key, schema.range_key) if name is not None}
