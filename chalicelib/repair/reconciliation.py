"""Reconciliation: a reply that was given up as unknown, and is later proven to be sent, is recorded.

The sweep asks after it gave a reply up, and a report asks that proves a part which was in doubt: whichever comes last
finds both, and records the reply. The reply's own redelivery does the same, by the parts' rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.clock import Clock
from chalicelib.conversations import lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import Code, ReplyCode, TryAgain
from chalicelib.ports.tables import Tables
from chalicelib.protocol import reply_claim, sends
from chalicelib.protocol.record import entry_id
from chalicelib.protocol.reply_claim import Released
from chalicelib.protocol.sends import Part

_LOOKS = 4


def record_proof(tables: Tables, part: Part, context_attributes: Sequence[str], clock: Clock) -> bool:
    """Record a reply that was given up as unknown, if all of its parts are known to be sent; whether it was recorded.

    Raises:
        TryAgain, Misconfigured: nothing is written; the caller comes again, or the reply's own redelivery does it.
    """
    entries, is_whole = sends.sent_entries(tables.sends, part)
    if not is_whole:
        return False
    for _ in range(_LOOKS):
        item = lookup.load(tables.conversations, part.conversation, context_attributes, with_messages=True)
        record = Conversation.from_item(item).record if item is not None else None
        if record is None or (record.last_reply_id, record.error_code) != (
            part.reply_id,
            ReplyCode.UNKNOWN_OUTCOME.value,
        ):
            return False
        missing = [entry for entry in entries if entry_id(entry) not in record.entry_ids]
        written = reply_claim.record_late(
            tables.conversations, record, reply_id=part.reply_id, entries=missing, is_whole=True, now=clock.now()
        )
        if isinstance(written, Released):
            return True
    raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing")
