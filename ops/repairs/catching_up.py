"""Catching up: what the provider delivered and we never took is fed through stage 1, past its signature step.

    the provider's list - known here? - stage 1 from the proof on: rules, route, stage, trigger | hand off

Guarantee: a message that any of our tables knows is left alone, and one that is fed twice is staged once; so it is safe
to repeat, and to run while webhooks come in. Messages are fed in the order in which they were written, each with the
time at which it was: the free-text window of the provider counts from there.

What is known: staged rows, entries of the record and of the history, of every conversation between the two addresses,
ended ones too. What is left alone beside that: a message from before its conversation was made, and a wish to opt out
or in that a later one has overtaken. What a rule refuses is refused here as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import product

from chalicelib.channels.channel import Channel
from chalicelib.clock import from_iso
from chalicelib.conversations import lookup, views
from chalicelib.conversations.conversation import CREATED_AT, TASK_COMPLETE, is_complete
from chalicelib.conversations.opt_out import opt_out_request
from chalicelib.errors import Code, EngineError
from chalicelib.messages.inbound import InboundMessage
from chalicelib.messages.phone_numbers import other_spellings
from chalicelib.ports.tables import Attr, Tables
from chalicelib.protocol import history, staging
from chalicelib.protocol.entries import entry_id
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey, Record
from chalicelib.telemetry import Trail
from chalicelib.wiring import Engine

_LOOKED_UP_AT_ONCE = 99


class Result(StrEnum):
    """The outcome of a message."""

    KNOWN = "known here"
    TAKEN = "taken in"
    REFUSED = "refused"
    FAILED = "failed; the same command tries again"
    TOO_OLD = "left: older than its conversation"
    OVERTAKEN = "left: a later wish to opt out or in stands"


_TAKEN = frozenset({None, Code.OPTED_OUT, Code.QUEUE_ERROR, Code.TRIGGER_LOCK_WRITE_ERROR})
"""Outcomes of a message that is staged, or marked: of the last two the sweep takes care."""


@dataclass(frozen=True, repr=False)
class Caught:
    """One message and its fate."""

    message: InboundMessage
    result: Result
    code: Code | None = None


@dataclass(repr=False)
class Known:
    """What our tables know of messages between two addresses."""

    ids: set[str] = field(default_factory=set)
    since: datetime | None = None
    """When the active conversation was made; None: there is none, or it does not say."""
    wishes_at: list[datetime] = field(default_factory=list)
    """When the customer opted out or in."""
    opted_out_of: set[str] = field(default_factory=set)
    """The channels on which they want no messages."""


def catch_up(engine: Engine, messages: Sequence[InboundMessage]) -> Iterator[Caught]:
    """Feed what is missing, in order; each message is told as it is done.

    Args:
        engine: of the stage, or of a dry run.
        messages: what the provider delivered, the oldest first.
    """
    known: dict[tuple[str, str, str], Known] = {}
    for message in messages:
        pair = (message.channel, message.recipient.value, message.sender.value)
        if pair not in known:
            theirs = [one for one in messages if (one.channel, one.recipient.value, one.sender.value) == pair]
            known[pair] = _known(engine.tables, engine.channels[message.channel], theirs)
        yield _feed(engine, message, known[pair])


def _feed(engine: Engine, message: InboundMessage, known: Known) -> Caught:
    if message.message_sid in known.ids:
        return Caught(message, Result.KNOWN)
    if known.since is not None and message.received_at < known.since:
        return Caught(message, Result.TOO_OLD)
    is_wish = opt_out_request(message, is_opted_out=message.channel in known.opted_out_of) is not None
    if is_wish and any(at > message.received_at for at in known.wishes_at):
        return Caught(message, Result.OVERTAKEN)
    trail = Trail(engine.telemetry, engine.clock, request_id="ops-catch-up")
    receiving = engine.receiving(engine.channels[message.channel].vendor)
    try:
        outcome = receiving.receive_proven(message, trail)
    except EngineError as error:
        return Caught(message, Result.REFUSED if error.code in _OF_RULES else Result.FAILED, error.code)
    return Caught(message, Result.TAKEN if outcome.code in _TAKEN else Result.REFUSED, outcome.code)


_OF_RULES = frozenset(
    {
        Code.CONVERSATION_NOT_FOUND,
        Code.SENDER_WITHOUT_NUMBER,
        Code.PROJECT_INACTIVE,
        Code.CHANNEL_NOT_ALLOWED,
        Code.OPTED_OUT,
        Code.INVALID_SIGNATURE,
    }
)
"""Refusals that stand however often it is tried; the last one: the address is no company's any more."""


def _known(tables: Tables, channel: Channel, messages: Sequence[InboundMessage]) -> Known:
    """What is known of the messages from one address to another."""
    index, first = channel.index, messages[0]
    company, customer = first.recipient.value, first.sender.value
    rows = [
        row
        for stored, known_as in product((company, *other_spellings(company)), (customer, *other_spellings(customer)))
        for row in tables.conversations.query(
            (index.company_key, stored), index=index.name, range_key=Attr(index.customer_key).eq(known_as)
        )
    ]
    found = Known()
    active = [row for row in rows if is_complete(row.get(TASK_COMPLETE)) is False]
    created = [at for at in map(_created_at, active) if at is not None]
    found.since = max(created, default=None)
    for row in rows:
        key = ConversationKey(row[PRIMARY_CHANNEL], row[CONVERSATION_ID])
        staged = staging.read(tables.stage, key)
        found.ids |= {one.message_sid for one in staged}
        conversation = lookup.load(tables.conversations, key, ())
        if conversation is not None:
            is_opted_out = conversation.is_opted_out_of(channel.name)
            found.ids |= conversation.record.entry_ids
            found.wishes_at += _wishes(conversation.record)
            found.wishes_at += [
                one.received_at for one in staged if views.opt_out_request(one, is_opted_out=is_opted_out) is not None
            ]
            found.opted_out_of |= {channel.name} if is_opted_out else set()
        found.ids |= _in_history(tables, key, [one.message_sid for one in messages])
    return found


def _in_history(tables: Tables, key: ConversationKey, sids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    reads = history.reads(tables.history, key, list(dict.fromkeys(sids)))
    for first in range(0, len(reads), _LOOKED_UP_AT_ONCE):
        found |= history.found(tables.history.get_together(reads[first : first + _LOOKED_UP_AT_ONCE]), key)
    return found


def _wishes(record: Record) -> Iterator[datetime]:
    """When the customer said STOP, START or HELP: also a START that was an ordinary message to us."""
    for one in record.entries or ():
        if entry_id(one) is not None and ("opt_out" in one or "opt_out_type" in (one.get("extras") or ())):
            yield from_iso(str(one["timestamp"]))


def _created_at(row: dict[str, object]) -> datetime | None:
    try:
        return from_iso(str(row[CREATED_AT]))
    except (KeyError, ValueError):
        return None
