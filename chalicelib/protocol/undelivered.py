"""A reply that was accepted and not delivered: the record tells it, and people can get its batch.

    open, ended by a reply --O: claim undelivered--> claimed for people, and the reply's batch is unanswered again

Guarantees
    D1  People get a batch because its reply was not delivered only while that reply is the last word: the record stands
        as it was read, names the batch and the reply, and has nothing unanswered and no claim.
    D2  They get the messages that the reply answered, which the rows of its parts name. The update that claims the
        batch also begins the handoff, so that what follows goes to people (K2).
"""

from __future__ import annotations

from datetime import datetime

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr, Change, Refused, Table, Written
from chalicelib.protocol.claim_changes import Claim, is_free, locking
from chalicelib.protocol.handoffs import Handoff, lasting
from chalicelib.protocol.lock_changes import Changed, people_claim
from chalicelib.protocol.record import (
    BATCH_ID,
    CLAIM,
    CLAIM_TOKEN,
    ERROR_CODE,
    LAST_ACTIVITY_AT,
    LAST_REPLY_ID,
    PASSED_REPLY_ID,
    STATUS,
    UNANSWERED_IDS,
    VERSION,
    Record,
    Status,
)
from chalicelib.protocol.send_rows import Part


def mark_undelivered(table: Table, part: Part, *, error_code: str, now: datetime) -> None:
    """Tell on the record that the provider refused the reply after it had taken it, whether it has ended or not."""
    is_last = Attr(BATCH_ID).stays(part.batch_id) & Attr(LAST_REPLY_ID).eq(part.reply_id)  # R4
    ended = Change(
        set={STATUS: Status.ERROR.value, ERROR_CODE: error_code, LAST_ACTIVITY_AT: iso(now)}, add={VERSION: 1}
    )
    for _ in range(2):  # it may be released between the two
        written = table.update(
            part.conversation.item, ended, when=Attr(STATUS).eq(Status.ANSWERED.value) & is_last & Attr(CLAIM).missing()
        )
        if isinstance(written, Written) or written.item.get(CLAIM) != part.reply_id:
            return
        claimed = Change(set={ERROR_CODE: error_code}, add={VERSION: 1})
        if isinstance(table.update(part.conversation.item, claimed, when=Attr(CLAIM).eq(part.reply_id)), Written):
            return


def clear_undelivered(table: Table, part: Part, *, error_code: str, now: datetime) -> None:
    """Mark a reply as answered again whose undelivered parts the provider took a second time."""
    is_last = Attr(BATCH_ID).stays(part.batch_id) & Attr(LAST_REPLY_ID).eq(part.reply_id)  # R4
    is_marked = Attr(STATUS).eq(Status.ERROR.value) & Attr(ERROR_CODE).eq(error_code) & Attr(CLAIM).missing()
    change = Change(
        set={STATUS: Status.ANSWERED.value, LAST_ACTIVITY_AT: iso(now)}, add={VERSION: 1}, remove=(ERROR_CODE,)
    )
    table.update(part.conversation.item, change, when=is_marked & is_last)


def claim_undelivered(
    table: Table, record: Record, part: Part, *, handoff: Handoff, token: str, shards: int, now: datetime
) -> Claim | Changed:
    """Claim for people the batch of a reply of which a part was not delivered.

    The caller holds: the reply ended last, nothing is unanswered, and the part names the messages that it answers.

    Args:
        table: the conversations table.
        record: as read, open.
        part: the part that was not delivered.
        handoff: the handoff that begins.
        token: fresh for this claim.
        shards: of the sparse index of locked conversations.
        now: the current instant.
    """
    told = {
        **people_claim(token, now),
        **lasting(record, handoff),
        PASSED_REPLY_ID: part.reply_id,
        UNANSWERED_IDS: list(part.answered_ids),  # D2
    }
    change = locking(told, record, shards, now, removed=(ERROR_CODE,))
    match table.update(record.key.item, change, read_back=True, when=is_free(record)):  # D1: as read, and unclaimed.
        case Written(item):
            return Claim(item)
        case Refused(item) if item.get(CLAIM_TOKEN) == token:
            return Claim(item)  # our own write, applied on a try whose answer was lost
        case Refused():
            return Changed()
