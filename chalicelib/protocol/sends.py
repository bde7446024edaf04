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
    P3  A delivery status only rises: delivered, read; failed and undelivered end it. A status up to `sent` proves the
        send and is not stored, because the state says the same. Repeats and any order of reports end in the same row.
    P4  A part is sent again only if the provider answered its send with a 5xx and its list lacked the part at
        `MISSES_NEEDED` reads. One process claims it again, from exactly the row that it read, and never a second time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib.clock import epoch, iso
from chalicelib.ports.tables import Attr, Change, Refused, Table, Written
from chalicelib.protocol.send_rows import (
    ANSWERED_IDS,
    CLAIMED_AT,
    CONTENT_VARIABLES,
    DELIVERY,
    DELIVERY_RANK,
    ERROR_CODE,
    FIRST_CLAIMED_AT,
    IS_SERVER_ERROR,
    MISSED_AT,
    MISSES,
    PROVEN,
    PROVIDER_SID,
    RESENDS,
    SEND_ID,
    STATE,
    TOKEN,
    Part,
    State,
    ids_of,
    outbound,
)

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
_PROOFS = frozenset(name for name, rank in _RANKS.items() if rank <= _RANKS["sent"])
"""Statuses that say only that the part was sent."""


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
    match table.update({SEND_ID: found.send_id}, change, read_back=True, when=is_as_read):
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


def find_sent(table: Table, wanted: str) -> Part | None:
    """The same, for half the price where the part is sent; its delivery status may be lower than it is by now."""
    row = table.get({SEND_ID: wanted}, is_consistent=False)
    if row is not None and row[STATE] == State.SENT.value:  # P2: `sent` never changes, so an old row says it too.
        return Part.from_item(row)
    return find(table, wanted)


def sent_entries(table: Table, part: Part) -> tuple[list[dict[str, Any]], bool]:
    """The OUTBOUND entries of a reply's parts that are known to be sent, in order; and whether these are all."""
    found = [find(table, one) for one in ids_of(part)]
    entries = [outbound(one) for one in found if one is not None and one.state is State.SENT]
    return entries, len(entries) == part.count


def report(table: Table, part: Part, *, sid: str, status: str, error_code: str | None) -> bool:
    """Write down what the provider reports about a part after its send; whether it was news.

    A report proves the send: a part in doubt is sent from here on. What the row said already when it was read is not
    written: its state stays `sent`, and its status only rises.
    """
    rank = _RANKS.get(status, 0)
    told: dict[str, Any] = {STATE: State.SENT.value, PROVIDER_SID: sid}
    told |= {PROVEN: True} if part.state is not State.SENT else {}
    if status in _PROOFS and error_code is None:
        is_known = part.state is State.SENT
        is_news = Attr(STATE).ne(State.SENT.value)  # P3: no status is stored that another order would not store.
    else:
        is_known = part.delivery is not None and _RANKS.get(part.delivery, 0) >= rank
        is_news = Attr(DELIVERY_RANK).missing() | Attr(DELIVERY_RANK).lt(rank)  # P3: a status only rises.
        told |= {DELIVERY: status, DELIVERY_RANK: rank}
        told |= {ERROR_CODE: error_code} if error_code is not None else {}
    if is_known:
        return False
    when = Attr(SEND_ID).exists() & is_news
    return isinstance(table.update({SEND_ID: part.send_id}, Change(set=told), when=when), Written)
