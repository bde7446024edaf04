"""Reconciliation: records sent messages that are not on the record, whoever holds the lock.

Three kinds end this way: a person's reply, a reply that was given up as unknown and proven later, and a reply whose
batch is no longer the record's. The process that learns of the send records it: the reply's own redelivery, a delivery
report, or the sweep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.clock import Clock
from chalicelib.conversations import lookup, views
from chalicelib.ports.tables import Tables
from chalicelib.protocol import history, reply_claim, sends
from chalicelib.protocol.claim_changes import Released
from chalicelib.protocol.entries import entry_id
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.record import ConversationKey, Record
from chalicelib.protocol.send_rows import SEND_ID, Part

Entry = Mapping[str, Any]


def record_sent(
    tables: Tables,
    key: ConversationKey,
    entries: Sequence[Entry],
    *,
    reply_id: str,
    is_whole: bool,
    context_attributes: Sequence[str],
    clock: Clock,
) -> bool:
    """Record what was sent of a reply that does not hold the claim; whether that was news.

    Args:
        tables: of the invocation.
        key: the conversation.
        entries: the OUTBOUND entries of the parts that were sent.
        reply_id: the reply.
        is_whole: whether these are all of its parts.
        context_attributes: the company's own attributes that a read asks for.
        clock: tells when.

    Raises:
        TryAgain, Misconfigured: nothing is written; the caller comes again.
    """

    def act() -> bool | Changed:
        conversation = lookup.load(tables.conversations, key, context_attributes)
        if conversation is None or conversation.record.claim == reply_id:
            return False  # gone, or its own process records it with the release
        missing = unrecorded(tables, conversation.record, entries)
        if not missing and not _is_news(conversation.record, reply_id, is_whole=is_whole):
            return False
        written = reply_claim.record_sent(
            tables.conversations,
            conversation.record,
            reply_id=reply_id,
            entries=missing,
            is_whole=is_whole,
            now=clock.now(),
        )
        return written if isinstance(written, Changed) else isinstance(written, Released)

    return bool(entries) and views.look_again(act)


def record_proof(tables: Tables, part: Part, context_attributes: Sequence[str], clock: Clock) -> bool:
    """Record a reply of which a part was proven to be sent, if all of its parts are; whether that was news.

    Raises:
        TryAgain, Misconfigured: nothing is written; the caller comes again, or the reply's own redelivery does it.
    """
    entries, is_whole = sends.sent_entries(tables.sends, part)
    return is_whole and record_sent(
        tables,
        part.conversation,
        entries,
        reply_id=part.reply_id,
        is_whole=True,
        context_attributes=context_attributes,
        clock=clock,
    )


def unrecorded(tables: Tables, record: Record, entries: Sequence[Entry]) -> list[Entry]:
    """The entries that neither the record nor the history has: a part is known by our own id of it."""
    there = {one.get(SEND_ID) for one in record.entries or () if isinstance(one, Mapping)}
    missing = [one for one in entries if one.get(SEND_ID) not in there and entry_id(one) not in record.entry_ids]
    if not missing or record.moved_before is None:
        return missing
    ids = [one for entry in missing if (one := entry_id(entry)) is not None]
    moved = history.found(tables.history.get_together(history.reads(tables.history, record.key, ids)), record.key)
    return [one for one in missing if entry_id(one) not in moved]


def _is_news(record: Record, reply_id: str, *, is_whole: bool) -> bool:
    """Whether the record says that the outcome of this reply is unknown."""
    return is_whole and record.last_reply_id == reply_id and reply_claim.is_unknown(record)
