"""Widening: the opt-out of a channel becomes one of the whole conversation, which the previous version honours.

That version knows `opted_out` alone. Before a rollback each conversation with a mark in `opted_out_channels` gets
`opted_out`, and its list becomes empty, so that the customer's next START lifts everything, whichever version takes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.conversations.conversation import Conversation
from chalicelib.ports.tables import Attr
from chalicelib.protocol import record_writes
from chalicelib.protocol.record import OPTED_OUT_CHANNELS
from chalicelib.protocol.record_writes import Appended
from chalicelib.wiring import Engine
from ops.tenants.rows import every_row


def find(engine: Engine) -> list[Conversation]:
    """The conversations with a channel that is opted out of; reads every record."""
    rows = every_row(engine.tables.conversations, keep=Attr(OPTED_OUT_CHANNELS).exists())
    return [one for one in map(Conversation.from_item, rows) if one.opt_out_marks.channels]


def widen(engine: Engine, conversations: Sequence[Conversation]) -> int:
    """Mark the whole of each; how many of them had not changed since they were read."""
    table, clock = engine.tables.conversations, engine.clock
    outcomes = [
        record_writes.append(table, one.record, [], now=clock.now(), marks=one.opt_out_marks.of_the_whole())
        for one in conversations
    ]
    return sum(isinstance(one, Appended) for one in outcomes)
