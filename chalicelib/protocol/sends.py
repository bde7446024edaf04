"""Sends: one row per part of a reply, so that a part is sent once and the provider's later reports have a place.

    (no row) --n: claim--> claimed --o: conclude--> sent | refused | unknown
        ^                     |                                |
        `-- p: give back -----'            q: report, reconcile `--> sent

    unknown --y: claim again--> claimed, for the second and last send
       ^                           |
       `------ p: give back -------'

Guarantees
    P1  A part is claimed by one process, under an id that the same part of the same reply always has. A part that is
        claimed and not concluded is in doubt, and is never sent again without proof. The exception: its claimer wrote
        down that it never asked the provider. Then the next try claims the part again.
    P2  A known outcome stays: `sent` never changes, and only a proof changes `unknown`.
    P3  A delivery status only rises: queued, sent, delivered, read; failed and undelivered end it. Repeats and any
        order of reports end in the same row.
    P4  A part is sent again only if the provider answered its send with a 5xx and its list lacked the part at
        `MISSES_NEEDED` reads. One process claims it again, from exactly the row that it read, and never a second time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from chalicelib.clock import epoch, iso
from chalicelib.ports.tables import Attr, Change, Item, Refused, Table, Written
from chalicelib.protocol.record import CONVERSATION_ID, MESSAGE_ID, PRIMARY_CHANNEL, ConversationKey, age

SEND_ID = "send_id"
STATE = "send_state"
TOKEN = "claim_token"
CLAIMED_AT = "claimed_at"
PROVIDER_SID = "provider_sid"
ERROR_CODE = "error_code"
IS_SERVER_ERROR = "answered_server_error"
MISSES = "list_misses"
MISSED_AT = "list_missed_at"
FIRST_CLAIMED_AT = "first_claimed_at"
RESENDS = "resends"
ANSWERED_IDS = "answered_ids"
CONTENT_VARIABLES = "content_variables"
DELIVERY = "delivery_status"
DELIVERY_RANK = "delivery_rank"

FAILED = frozenset({"failed", "undelivered"})
"""The statuses of a message that the provider took and could not deliver."""

MISSES_NEEDED = 2
"""Reads of the provider's list that lack a part before it is sent again."""

_RANKS = {
    name: rank
    for rank, names in enumerate(
        (
            ("accepted", "scheduled"),
            ("queued",),
            ("sending",),
            ("sent",),
            ("delivered",),
            ("read",),
            ("failed", "undelivered", "canceled"),
        ),
        start=1,
    )
    for name in names
}


class State(StrEnum):
    """What is known of a part."""

    CLAIMED = "claimed"
    SENT = "sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Part:
    """One part of one reply, as its row knows it."""

    send_id: str
    conversation: ConversationKey
    tenant: str
    channel: str
    credential_ref: str
    reply_id: str
    batch_id: str | None
    number: int
    """From 1."""
    count: int
    """Of the reply's parts."""
    entry: Mapping[str, Any]
    """What the record will hold of it once it is sent, but for the provider's id."""
    content_variables: Mapping[str, str] = field(default_factory=dict)
    """Of its template."""
    answered_ids: tuple[str, ...] = ()
    """The messages that the reply answers; none: it is of people."""
    resends: str | None = None
    """The send id of the part that was taken and not delivered, and that this one repeats."""
    state: State = State.CLAIMED
    token: str = ""
    claimed_at: str = ""
    provider_sid: str | None = None
    error_code: str | None = None
    is_server_error: bool = False
    """Whether the provider answered the send with a 5xx; False: its answer was lost, or the process died."""
    misses: int = 0
    """Reads of the provider's list that lacked the part."""
    missed_at: str | None = None
    """When the last of them was."""
    first_claimed_at: str | None = None
    """When it was first claimed, if it is being sent again."""
    delivery: str | None = None
    """The provider's last status of it."""

    def age(self, now: datetime) -> timedelta:
        """How long ago it was claimed."""
        return age(self.claimed_at, now)

    def unread(self, now: datetime) -> timedelta:
        """How long ago it was claimed, or was last looked for in the provider's list in vain."""
        return age(max(self.claimed_at, self.missed_at or ""), now)

    @property
    def is_undelivered(self) -> bool:
        """Whether the provider took it and could not deliver it."""
        return self.delivery in FAILED

    @property
    def is_sent_again(self) -> bool:
        """Whether this claim is for the second send of the part."""
        return self.first_claimed_at is not None

    @property
    def may_be_sent_again(self) -> bool:
        """Whether the part is sent once more if the provider's list lacks it."""
        return self.state is State.UNKNOWN and self.is_server_error and not self.is_sent_again

    @property
    def tried_since(self) -> str:
        """Since when the provider may have the part."""
        return self.first_claimed_at or self.claimed_at

    @classmethod
    def from_item(cls, item: Item) -> Part:
        return cls(
            send_id=item[SEND_ID],
            conversation=ConversationKey(item[PRIMARY_CHANNEL], item[CONVERSATION_ID]),
            tenant=item["tenant"],
            channel=item["channel"],
            credential_ref=item["credential_ref"],
            reply_id=item["reply_id"],
            batch_id=item.get("batch_id"),
            number=int(item["part"]),
            count=int(item["parts"]),
            entry=item["entry"],
            content_variables=item.get(CONTENT_VARIABLES, {}),
            answered_ids=tuple(item.get(ANSWERED_IDS, ())),
            resends=item.get(RESENDS),
            state=State(item[STATE]),
            token=item[TOKEN],
            claimed_at=item[CLAIMED_AT],
            provider_sid=item.get(PROVIDER_SID),
            error_code=item.get(ERROR_CODE),
            is_server_error=item.get(IS_SERVER_ERROR, False),
            misses=int(item.get(MISSES, 0)),
            missed_at=item.get(MISSED_AT),
            first_claimed_at=item.get(FIRST_CLAIMED_AT),
            delivery=item.get(DELIVERY),
        )


def send_id(conversation: ConversationKey, reply_id: str, batch_id: str | None, number: int) -> str:
    """The id of a part: always the same for the same part, and telling nothing."""
    told = "\n".join(
        (conversation.primary_channel, conversation.conversation_id, reply_id, batch_id or "", str(number))
    )
    return sha256(told.encode()).hexdigest()[:40]


def ids_of(part: Part) -> list[str]:
    """The send ids of all parts of the reply that a part belongs to, in order."""
    numbers = range(1, part.count + 1)
    return [send_id(part.conversation, part.reply_id, part.batch_id, number) for number in numbers]


def resend_id(undelivered: str) -> str:
    """The send id under which a part that was not delivered is sent once more: always the same, so only once."""
    return sha256(f"resend\n{undelivered}".encode()).hexdigest()[:40]


def is_send_id(text: str) -> bool:
    """Whether a text could be one of our ids: what else a stranger puts into a URL is not even looked up."""
    return re.fullmatch(r"[0-9a-f]{40}", text) is not None


def claim(table: Table, part: Part, *, token: str, now: datetime, ttl_hours: int, unsent: Collection[str] = ()) -> Part:
    """The part's row as it stands now: claimed by this token, or as another process left it (P1).

    Args:
        table: of sends.
        part: to be claimed.
        token: fresh for this try.
        now: the current instant.
        ttl_hours: how long the row is kept.
        unsent: tokens of earlier tries that are known to have sent nothing.
    """
    row = {
        SEND_ID: part.send_id,
        **part.conversation.item,
        "tenant": part.tenant,
        "channel": part.channel,
        "credential_ref": part.credential_ref,
        "reply_id": part.reply_id,
        **({"batch_id": part.batch_id} if part.batch_id is not None else {}),
        "part": part.number,
        "parts": part.count,
        "entry": part.entry,
        **({CONTENT_VARIABLES: dict(part.content_variables)} if part.content_variables else {}),
        **({ANSWERED_IDS: list(part.answered_ids)} if part.answered_ids else {}),
        **({RESENDS: part.resends} if part.resends is not None else {}),
        STATE: State.CLAIMED.value,
        TOKEN: token,
        CLAIMED_AT: iso(now),
        "expires_at": epoch(now + timedelta(hours=ttl_hours)),
    }
    is_free = Attr(SEND_ID).missing()
    for one in unsent:
        # A claim for a second send is given back instead: the row has to remember the first.
        is_free |= Attr(TOKEN).eq(one) & Attr(STATE).eq(State.CLAIMED.value) & Attr(FIRST_CLAIMED_AT).missing()
    match table.put(row, when=is_free):  # P1: one process claims a part.
        case Written():
            return Part.from_item(row)
        case Refused(item):
            return Part.from_item(item)


def claim_again(table: Table, found: Part, *, token: str, now: datetime) -> Part:
    """The part's row as it stands now: claimed for its second send by this token, or as another process left it (P4).

    The caller holds: `found.may_be_sent_again`.
    """
    change = Change(
        set={STATE: State.CLAIMED.value, TOKEN: token, CLAIMED_AT: iso(now), FIRST_CLAIMED_AT: found.claimed_at}
    )
    is_as_read = (
        Attr(STATE).eq(State.UNKNOWN.value)  # P2: no report has proven it since,
        & Attr(TOKEN).eq(found.token)  # P4: and no other process has claimed it again.
        & Attr(MISSES).stays(found.misses or None)
        & Attr(FIRST_CLAIMED_AT).missing()
    )
    match table.update({SEND_ID: found.send_id}, change, when=is_as_read):
        case Written(item):
            return Part.from_item(item)
        case Refused(item):
            return Part.from_item(item) if item else found


def miss(table: Table, found: Part, *, now: datetime) -> None:
    """Count a read of the provider's list that lacked the part; of two at once one counts."""
    change = Change(set={MISSES: found.misses + 1, MISSED_AT: iso(now)})
    is_as_read = Attr(STATE).eq(State.UNKNOWN.value) & Attr(TOKEN).eq(found.token)
    table.update({SEND_ID: found.send_id}, change, when=is_as_read & Attr(MISSES).stays(found.misses or None))  # P4


def give_back(table: Table, part: Part, *, token: str) -> None:
    """Free a part that was certainly not sent, so that the reply's next try may claim it.

    Of a second send only that claim is taken back: the first send stays in doubt.
    """
    is_ours_and_open = Attr(TOKEN).eq(token) & Attr(STATE).eq(State.CLAIMED.value)
    if part.first_claimed_at is None:
        table.delete({SEND_ID: part.send_id}, when=is_ours_and_open)  # P1: only our own.
        return
    first = Change(set={STATE: State.UNKNOWN.value, CLAIMED_AT: part.first_claimed_at}, remove=(FIRST_CLAIMED_AT,))
    table.update({SEND_ID: part.send_id}, first, when=is_ours_and_open)  # P1, P4


def conclude(
    table: Table,
    part: Part,
    state: State,
    *,
    sid: str | None = None,
    error_code: str | None = None,
    is_server_error: bool = False,
) -> None:
    """Store the outcome of a part's send.

    Args:
        table: of sends.
        part: as claimed, or as read.
        state: what is known of it now.
        sid: the provider's, if it is sent.
        error_code: why it is not.
        is_server_error: whether the provider answered with a 5xx, so that the part may be sent again.
    """
    told: Mapping[str, Any] = {PROVIDER_SID: sid, ERROR_CODE: error_code, IS_SERVER_ERROR: is_server_error or None}
    is_in_doubt = Attr(STATE).eq(State.CLAIMED.value) | Attr(STATE).eq(State.UNKNOWN.value)
    table.update(
        {SEND_ID: part.send_id},
        Change(set={STATE: state.value, **{name: value for name, value in told.items() if value is not None}}),
        when=is_in_doubt & Attr(TOKEN).eq(part.token),  # P2: what is known is not unlearned. P4: nor another's claim.
    )


def find(table: Table, wanted: str) -> Part | None:
    """The part of a send id; None: no such part, or long past."""
    row = table.get({SEND_ID: wanted})
    return Part.from_item(row) if row is not None else None


def sent_entries(table: Table, part: Part) -> tuple[list[dict[str, Any]], bool]:
    """The OUTBOUND entries of a reply's parts that are known to be sent, in order; and whether these are all."""
    found = [find(table, one) for one in ids_of(part)]
    entries = [outbound(one) for one in found if one is not None and one.state is State.SENT]
    return entries, len(entries) == part.count


def outbound(part: Part) -> dict[str, Any]:
    """The OUTBOUND entry of a part that was sent."""
    return {**part.entry, MESSAGE_ID: part.provider_sid or part.send_id}


def report(table: Table, part: Part, *, sid: str, status: str, error_code: str | None) -> bool:
    """Write down what the provider reports about a part after its send; whether it was news.

    A report proves the send: a part in doubt is sent from here on.
    """
    rank = _RANKS.get(status, 0)
    change = Change(
        set={
            STATE: State.SENT.value,
            PROVIDER_SID: sid,
            DELIVERY: status,
            DELIVERY_RANK: rank,
            **({ERROR_CODE: error_code} if error_code is not None else {}),
        }
    )
    is_news = Attr(DELIVERY_RANK).missing() | Attr(DELIVERY_RANK).lt(rank)  # P3: a status only rises.
    return isinstance(table.update({SEND_ID: part.send_id}, change, when=Attr(SEND_ID).exists() & is_news), Written)
