"""The claim: only one answer to a batch is sent, of the AI or of people, and its end opens the conversation.

    processing --i: claim--> claimed --l: release--> open (ai_response_sent, or processing_error with a code)
        ^  ^  ^                | |  ^
        |  |  |                | |  `-- k: take over, for the same reply comes again, after a pause or a death
        |  |  `-- j: unclaim --' |----- m: give up, for the claim stalled (processing_error, watched until reported)
        |  `----- L: end interim | ---- M: pass to people, who claim it in the reply's place
        |                        `----- t: end with people, for they were sent the batch (user_reply_received)
        `-- i: claim, of the batch of a slow AI, whose lock was reset and after which nothing newer began

The update that claims stores how the claim ends: `release`, `people` or `unclaim` (an interim message). Whoever ends
it follows that: the reply's process, its redelivery, the sweep.

    any record --x: record sent--> the same, with what was sent outside of a claim

Guarantees
    R1  One reply claims a batch: the claim holds only while the record stands as it was read, names the reply's batch,
        has something unanswered and no claim. A reply that ended before, of which no part has a row, may claim its
        batch again if its claim was given up, or when it is redriven: nothing is unanswered then, so it keeps its claim
        until it ends.
    R2  Whoever finds the claim of the same reply leaves it alone until it is too old for the process that made it to
        be alive, and then takes it over from exactly that age: one goes on, not two.
    R3  Every end of a claim names the batch and the reply that it means, and empties the unanswered list in the same
        update. It does not name the status, which another system may write. A stalled claim counts as answered too:
        perhaps it was, and answering twice is worse than never. A claim with a sent part is never given back. A batch
        claimed for an interim message stays unanswered, and its claim ends without ending the turn.
    R4  An ended reply is remembered by its id. So a repeated reply is recognised, and one that the sweep gave up can
        still be recorded. A sent part is recorded once, even if a newer batch has begun: it is recognised by our own id
        of it, on the record and in the history.
    R5  A claim is made, and taken over, only while the company routes as it was read. So if the company switches to
        people before the claim, no part of the reply is sent.
    R6  A claim passes to people only from the process that holds it, or from the age at which it was seen to have
        stalled. The parts that were sent are recorded in the same update.
    R7  A claim stalls by its own age: the age of a claimed lock counts from the later of its start and its claim. So a
        claim leaves the start of a young lock as it is, and moves nothing in the sweep's index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chalicelib.clock import iso
from chalicelib.errors import ReplyCode
from chalicelib.ports.tables import Attr, Change, Condition, Refused, Table, Written
from chalicelib.protocol.claim_changes import Claim, Released, is_free, locking
from chalicelib.protocol.lock_changes import (
    CLAIM_ATTRIBUTES,
    Changed,
    Entry,
    Lost,
    given_up,
    kept_resets,
    opened,
)
from chalicelib.protocol.record import (
    BATCH_ID,
    CLAIM,
    CLAIM_END,
    CLAIM_REASON,
    CLAIM_TOKEN,
    CLAIMED_AT,
    ERROR_CODE,
    LAST_ACTIVITY_AT,
    LAST_REPLY_ID,
    LOCK_SHARD,
    MESSAGES,
    STARTED_AT,
    STATUS,
    VERSION,
    ClaimEnd,
    ConversationKey,
    Record,
    Status,
)
from chalicelib.protocol.send_rows import SEND_ID

KEPT_START_SECONDS = 60
"""A lock younger than this keeps its start when a reply claims it. It is short beside a stall timeout: a version that
counts the age of a claim from the lock's start alone never gives up a reply whose process is alive."""

_LONG_AGO = iso(datetime(1970, 1, 1, tzinfo=UTC))
"""As if no process that could be alive held the claim."""


@dataclass(frozen=True)
class Undelivered:
    """The provider reported a refusal while the reply was being sent; nothing was written."""

    error_code: str


def claim(
    table: Table,
    record: Record,
    *,
    reply_id: str,
    end: ClaimEnd,
    reason: str = "",
    routing_stands: Condition,
    token: str,
    shards: int,
    now: datetime,
) -> Claim | Changed:
    """Claim the record's batch for one reply; where its lock was reset meanwhile, take that again.

    A young lock keeps its start (R7).

    The caller holds: the record names the reply's batch, has no claim, and something is unanswered, or the reply ended
    before and may be sent after all.

    Args:
        table: the conversations table.
        record: as read.
        reply_id: of the reply.
        end: how the claim ends, whoever ends it.
        reason: why people shall answer, where it ends with them.
        routing_stands: the company still routes as it was read.
        token: fresh for this invocation; tells a claim of ours whose answer was lost from another's.
        shards: of the sparse index of locked conversations.
        now: the current instant.
    """
    claimed = {CLAIM: reply_id, CLAIMED_AT: iso(now), CLAIM_TOKEN: token, CLAIM_END: end.value}
    why = {CLAIM_REASON: reason} if reason else {}
    is_young = timedelta(0) < record.lock_age(now) < timedelta(seconds=KEPT_START_SECONDS)  # and its start is readable
    change = locking({**claimed, **why}, record, shards, now, removed=(ERROR_CODE,), keeps_start=is_young)
    return Claim.write(table, record, change, is_free(record) & routing_stands, token)  # R5


def take_over(table: Table, record: Record, *, routing_stands: Condition, token: str, now: datetime) -> Claim | Changed:
    """Go on with the claim of a process that must have died, from exactly the age that was seen."""
    change = Change(set={CLAIMED_AT: iso(now), CLAIM_TOKEN: token, STARTED_AT: iso(now)}, add={VERSION: 1})
    is_as_seen = (
        Attr(BATCH_ID).stays(record.batch_id)
        & Attr(CLAIM).stays(record.claim)
        & Attr(CLAIMED_AT).stays(record.claimed_at)  # R2: from exactly the age that was seen,
        & Attr(VERSION).stays(record.version)  # and with what else was read: the customer may have opted out since.
        & routing_stands  # R5
    )
    return Claim.write(table, record, change, is_as_seen, token)


def unclaim(table: Table, key: ConversationKey, *, batch_id: str, token: str, now: datetime) -> None:
    """Give the claim back: nothing of the reply is in doubt, and it comes again later."""
    removed = tuple(name for name in CLAIM_ATTRIBUTES if name != ERROR_CODE)
    change = Change(set={STARTED_AT: iso(now)}, add={VERSION: 1}, remove=removed)
    table.update(key.item, change, when=Attr(BATCH_ID).eq(batch_id) & Attr(CLAIM_TOKEN).eq(token))  # R2: only our own.


def pause(table: Table, key: ConversationKey, *, batch_id: str, token: str, now: datetime) -> None:
    """Keep the claim for the same reply, which comes again and may take it over at once: a part is sent or in doubt."""
    change = Change(set={CLAIMED_AT: _LONG_AGO, STARTED_AT: iso(now)}, add={VERSION: 1})
    table.update(key.item, change, when=Attr(BATCH_ID).eq(batch_id) & Attr(CLAIM_TOKEN).eq(token))  # R2: only our own.


def end_interim(
    table: Table, key: ConversationKey, *, batch_id: str, token: str, entries: Sequence[Entry], now: datetime
) -> Released | Lost:
    """Record an interim message and end its claim: the batch stays with the AI, and the lock is young again.

    Args:
        table: the conversations table.
        key: the conversation.
        batch_id: the batch whose turn goes on.
        token: of the claim.
        entries: the OUTBOUND entries of the parts that were sent and are not recorded.
        now: the current instant.
    """
    change = Change(
        set={STARTED_AT: iso(now), LAST_ACTIVITY_AT: iso(now)},
        append={MESSAGES: entries} if entries else {},
        add={VERSION: 1},
        remove=CLAIM_ATTRIBUTES,
    )
    ids = {one[SEND_ID] for one in entries}
    match table.update(key.item, change, when=Attr(BATCH_ID).eq(batch_id) & Attr(CLAIM_TOKEN).eq(token)):  # R3
        case Written():
            return Released()
        case Refused(item) if (
            CLAIM not in item
            and ids
            and ids <= {one.get(SEND_ID) for one in item.get(MESSAGES, ()) if isinstance(one, Mapping)}
        ):
            return Released()  # our own write, applied on a try whose answer was lost
        case Refused():
            return Lost()


def release(
    table: Table,
    key: ConversationKey,
    *,
    batch_id: str,
    reply_id: str,
    entries: Sequence[Entry],
    error_code: str | None,
    stall_resets: int,
    now: datetime,
) -> Released | Undelivered | Lost:
    """Record what was sent and open the conversation, in one update.

    Args:
        table: the conversations table.
        key: the conversation.
        batch_id: the batch that was answered.
        reply_id: the reply that claimed it.
        entries: the OUTBOUND entries of the parts that were sent.
        error_code: why not all of it was sent; None: it was.
        stall_resets: what the answer leaves of the locks that stalled in a row.
        now: the current instant.
    """
    status = Status.ANSWERED if error_code is None else Status.ERROR
    code = {} if error_code is None else {ERROR_CODE: error_code}
    also = {LAST_REPLY_ID: reply_id, **code, **kept_resets(stall_resets)}
    change = opened(status, answered=True, now=now, append=entries, also=also)
    is_ours = Attr(BATCH_ID).eq(batch_id) & Attr(CLAIM).eq(reply_id)  # R3
    match table.update(key.item, change, when=is_ours & Attr(ERROR_CODE).missing() if error_code is None else is_ours):
        case Written():
            return Released()
        case Refused(item) if (item.get(BATCH_ID), item.get(CLAIM)) == (batch_id, reply_id):
            return Undelivered(item[ERROR_CODE])
        case Refused(item) if (item.get(STATUS), item.get(LAST_REPLY_ID)) == (status, reply_id) and (
            item.get(ERROR_CODE) == error_code
        ):
            return Released()  # our own write, applied on a try whose answer was lost
        case Refused():
            return Lost()


def give_up(table: Table, record: Record, *, shards: int, now: datetime) -> Released | Lost:
    """Open a conversation whose claimed reply stalled: it counts as answered, with unknown outcome.

    The record stays in the sweep's index until that end is reported.

    Args:
        table: the conversations table.
        record: as read: with the claim, and the lock's start.
        shards: of the sparse index.
        now: the current instant.
    """
    reply_id = record.claim
    assert reply_id is not None, "only a claimed reply is given up"
    code = ReplyCode.UNKNOWN_OUTCOME.value
    change = given_up(record, code, shards=shards, now=now)
    is_as_seen = (
        Attr(BATCH_ID).stays(record.batch_id) & Attr(CLAIM).eq(reply_id) & Attr(STARTED_AT).stays(record.started_at)
    )
    match table.update(record.key.item, change, when=is_as_seen):  # R3
        case Written():
            return Released()
        case Refused(item) if (item.get(LAST_REPLY_ID), item.get(ERROR_CODE)) == (reply_id, code):
            return Released()  # our own write whose answer was lost, or another sweep's: the same to us
        case Refused():
            return Lost()


def record_sent(
    table: Table, record: Record, *, reply_id: str, entries: Sequence[Entry], is_whole: bool, now: datetime
) -> Released | Changed:
    """Record what was sent without the claim: by people, or after the reply's claim had ended.

    The caller holds: neither the record nor the history has any of the entries, and the reply does not hold the claim.

    Args:
        table: the conversations table.
        record: as read, with its entries.
        reply_id: the reply.
        entries: the OUTBOUND entries of the parts that were sent.
        is_whole: whether these are all of its parts; a reply that was given up as unknown is answered then.
        now: the current instant.
    """
    was_unknown = is_whole and record.last_reply_id == reply_id and is_unknown(record)  # R4
    is_watched = record.watched_since is not None
    ended = (ERROR_CODE, *((STARTED_AT, LOCK_SHARD) if is_watched else ()))  # L8: an answer takes it off the index.
    change = Change(
        set={LAST_ACTIVITY_AT: iso(now), **({STATUS: Status.ANSWERED.value} if was_unknown else {})},
        append={MESSAGES: entries} if entries else {},
        add={VERSION: 1},
        remove=ended if was_unknown else (),
    )
    written = table.update(record.key.item, change, when=record.unchanged)
    return Released() if isinstance(written, Written) else Changed()


def is_unknown(record: Record) -> bool:
    """Whether the reply that ended last counts as answered with unknown outcome."""
    is_last = record.claim is None and not record.unanswered_ids
    return is_last and (record.status, record.error_code) == (Status.ERROR, ReplyCode.UNKNOWN_OUTCOME)
