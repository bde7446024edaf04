"""Staging: an acknowledged message is a row here until it is dispatched, handed off or refused.

    (no row) --a: stage--> staged --b: settle--> (no row)

Guarantees
    S1  A message is staged at most once: the put is conditional on its key, so a provider's retry and our own write
        whose answer was lost both find the row.
    S2  A read sees every row whose put was answered before the read began: reads are strongly consistent, all pages.
    S3  A row is settled by name only. A row's content never changes after it was staged. So deleting a named row twice,
        or after a late duplicate staged it again, removes only what the record already has.
    S4  Time alone deletes nothing: `expires_at` is the last net, and the sweep moves it on while a row is unsettled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.clock import epoch, from_iso, iso
from chalicelib.ports.tables import Attr, Change, Item, Read, Refused, Table, Written
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey

MESSAGE_SID = "message_sid"
RECEIVED_AT = "received_at"
DUE_AT = "due_at"
EXPIRES_AT = "expires_at"
CONTEXT = "context_object"
OPT_OUT = "opt_out"
OPT_OUT_KEYWORD = "opt_out_keyword"
CHANNEL = "channel"
TENANT = "tenant"
MOVED_BEFORE_SEEN = "moved_before_seen"
RECOVERIES = "recoveries"


@dataclass(frozen=True, repr=False)
class StagedMessage:
    """One row of the stage."""

    conversation: ConversationKey
    message_sid: str
    channel: str
    tenant: str
    received_at: datetime
    context: Mapping[str, Any]
    """The context document of this one message, without the history."""
    opt_out: str | None = None
    """What the provider says that the message asks for: STOP, START or HELP; None: it is an ordinary message."""
    opt_out_keyword: str | None = None
    """The same, by the text being one of the provider's keywords only."""
    moved_before_seen: str | None = None
    """`messages_moved_before` of the record as the webhook read it: tells stage 2 whether the history needs a look."""
    due_at: datetime | None = None
    """When its burst is over at the latest, by the company's policy; None: the row was staged without it."""
    expires_at: int = 0
    """Seconds since 1970; set by `stage`."""
    recoveries: int = 0
    """How often the sweep found this row orphaned."""

    @property
    def order(self) -> tuple[datetime, str]:
        """What messages of a conversation are sorted by: when they were received, then their sids."""
        return self.received_at, self.message_sid

    @classmethod
    def from_item(cls, item: Item) -> StagedMessage:
        return cls(
            conversation=ConversationKey(item[PRIMARY_CHANNEL], item[CONVERSATION_ID]),
            message_sid=item[MESSAGE_SID],
            channel=item[CHANNEL],
            tenant=item[TENANT],
            received_at=from_iso(item[RECEIVED_AT]),
            context=item[CONTEXT],
            opt_out=item.get(OPT_OUT),
            opt_out_keyword=item.get(OPT_OUT_KEYWORD),
            moved_before_seen=item.get(MOVED_BEFORE_SEEN),
            due_at=from_iso(item[DUE_AT]) if DUE_AT in item else None,
            expires_at=int(item[EXPIRES_AT]),
            recoveries=int(item.get(RECOVERIES, 0)),
        )


@dataclass(frozen=True)
class Staged:
    """The row is there now and was not before."""


@dataclass(frozen=True)
class Duplicate:
    """The row was there already: a retry of the provider, or our own write whose answer was lost."""

    existing: StagedMessage
    """The row as it stands."""


def stage(table: Table, message: StagedMessage, *, now: datetime, ttl_hours: int) -> Staged | Duplicate:
    """Store one message durably, unless it is stored already; from here on it may be acknowledged."""
    row = {
        CONVERSATION_ID: message.conversation.conversation_id,
        MESSAGE_SID: message.message_sid,
        PRIMARY_CHANNEL: message.conversation.primary_channel,
        CHANNEL: message.channel,
        TENANT: message.tenant,
        RECEIVED_AT: iso(message.received_at),
        EXPIRES_AT: epoch(now + timedelta(hours=ttl_hours)),
        CONTEXT: message.context,
    }
    told = {
        MOVED_BEFORE_SEEN: message.moved_before_seen,
        OPT_OUT: message.opt_out,
        OPT_OUT_KEYWORD: message.opt_out_keyword,
        DUE_AT: iso(message.due_at) if message.due_at is not None else None,
    }
    row |= {name: value for name, value in told.items() if value is not None}
    match table.put(row, when=Attr(MESSAGE_SID).missing()):  # S1: a message is staged at most once.
        case Written():
            return Staged()
        case Refused(item):
            return Duplicate(StagedMessage.from_item(item))


def reading(table: Table, conversation: ConversationKey, message_sid: str) -> Read:
    """The read of a message's row, to be made together with others."""
    return Read(table, {CONVERSATION_ID: conversation.conversation_id, MESSAGE_SID: message_sid})


def find(table: Table, conversation: ConversationKey, message_sid: str) -> StagedMessage | None:
    """The row of a message; None: it is not staged now. Strongly consistent."""
    row = table.get({CONVERSATION_ID: conversation.conversation_id, MESSAGE_SID: message_sid})
    return StagedMessage.from_item(row) if row is not None else None


def read(table: Table, conversation: ConversationKey) -> tuple[StagedMessage, ...]:
    """The staged messages of a conversation, in order; strongly consistent, all pages.

    Rows of another conversation that bears the same id under another primary channel are left to their own trigger.
    """
    rows = table.query((CONVERSATION_ID, conversation.conversation_id))  # S2: consistent, to the last page.
    staged = (StagedMessage.from_item(row) for row in rows)
    return tuple(sorted((one for one in staged if one.conversation == conversation), key=lambda one: one.order))


def settle(table: Table, conversation: ConversationKey, message_sids: Iterable[str]) -> None:
    """Remove the rows of messages that are dispatched, handed off or refused.

    The caller holds: the record names each of these messages. Without a condition, for S3 makes one needless: the
    rows are named one by one, and what a row says never changes.
    """
    rows = [{CONVERSATION_ID: conversation.conversation_id, MESSAGE_SID: sid} for sid in message_sids]
    if rows:
        table.delete_many(rows)


def keep_alive(table: Table, message: StagedMessage, *, now: datetime, ttl_hours: int, recovered: bool) -> None:
    """Move a row's time to live on (S4) and, where it was recovered, count that."""
    table.update(
        {CONVERSATION_ID: message.conversation.conversation_id, MESSAGE_SID: message.message_sid},
        Change(
            set={EXPIRES_AT: epoch(now + timedelta(hours=ttl_hours))},
            add={RECOVERIES: 1} if recovered else {},
        ),
        when=Attr(MESSAGE_SID).exists(),  # S3: a row that was settled meanwhile does not come back.
    )
