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
        has something unanswered and no claim. A reply that ended before, of which nothing was sent, may claim its batch
        again when it is redriven: nothing is unanswered then, so it keeps its claim until it ends.
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
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from chalicelib.clock import iso
from chalicelib.errors import ReplyCode
from chalicelib.ports.tables import Attr, Change, Condition, Item, Refused, Table, Written
from chalicelib.protocol.conversation_lock import (
    CLAIM_ATTRIBUTES,
    PEOPLE,
    Changed,
    Entry,
    Lost,
    given_up,
    kept_resets,
    lock_shard,
    marking,
    opened,
    people_claim,
)
from chalicelib.protocol.entries import MESSAGE_ID
from chalicelib.protocol.handoffs import Handoff, lasting
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
    PASSED_REPLY_ID,
    PRIMARY_CHANNEL,
    STARTED_AT,
    STATUS,
    VERSION,
    ClaimEnd,
    ConversationKey,
    Record,
    Status,
)
from chalicelib.protocol.send_rows import SEND_ID

_LONG_AGO = iso(datetime(1970, 1, 1, tzinfo=UTC))
"""As if no process that could be alive held the claim."""


@dataclass(frozen=True, repr=False)
class Claim:
    """The reply is ours to send; `item` is the row as the claim's write left it."""

    item: Item


@dataclass(frozen=True)
class Undelivered:
    """The provider reported a refusal while the reply was being sent; nothing was written."""

    error_code: str


@dataclass(frozen=True)
class Released:
    """The reply has ended and the conversation is open."""


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

    The caller holds: the record names the reply's batch, has no claim, and something is unanswered, or the reply is
    redriven.

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
    change = locking({**claimed, **why}, record, shards, now, removed=(ERROR_CODE,))
    return _claimed(table, record, change, is_free(record) & routing_stands, token)  # R5


def claim_for_people(
    table: Table,
    record: Record,
    *,
    handoff: Handoff | None,
    passed_reply_id: str | None = None,
    token: str,
    shards: int,
    now: datetime,
) -> Claim | Changed:
    """Claim for people what is unanswered: with the AI, or left by an earlier batch.

    Args:
        table: the conversations table.
        record: as read; it has no claim, and something is unanswered.
        handoff: the handoff that begins; None: the company's own routing sends the batch to people.
        passed_reply_id: the reply that asked for it, or that it takes the place of.
        token: fresh for this invocation.
        shards: of the sparse index of locked conversations.
        now: the current instant.
    """
    passed = {PASSED_REPLY_ID: passed_reply_id} if passed_reply_id is not None else {}
    told = {**people_claim(token, now), **lasting(record, handoff), **passed}
    return _claimed(table, record, locking(told, record, shards, now, removed=(ERROR_CODE,)), is_free(record), token)


def pass_to_people(
    table: Table,
    record: Record,
    *,
    entries: Sequence[Entry],
    handoff: Handoff | None,
    token: str,
    shards: int,
    now: datetime,
) -> Claim | Changed:
    """Give a reply's claim to people, with what was sent of the reply.

    The caller holds the claim as its own, or has seen it stall.

    Args:
        table: the conversations table.
        record: as read, claimed by a reply.
        entries: the OUTBOUND entries of the parts that were sent and are not recorded.
        handoff: the handoff that begins; None: the company's own routing sends the batch to people.
        token: fresh for the claim of people.
        shards: of the sparse index of locked conversations.
        now: the current instant.
    """
    assert record.claim not in (None, PEOPLE), "a reply's claim passes to people"
    told = {**people_claim(token, now), **lasting(record, handoff), PASSED_REPLY_ID: record.claim}
    change = locking(told, record, shards, now, removed=(ERROR_CODE, CLAIM_REASON))
    if entries:
        change = replace(change, append={MESSAGES: entries})
    is_as_seen = (
        Attr(BATCH_ID).stays(record.batch_id)
        & Attr(CLAIM).stays(record.claim)
        & Attr(CLAIM_TOKEN).stays(record.claim_token)  # R6: of the process that holds it,
        & Attr(STARTED_AT).stays(record.started_at)  # or no younger than it was seen to be;
        & Attr(VERSION).stays(record.version)  # and neither the parts nor a handoff were recorded since.
    )
    return _claimed(table, record, change, is_as_seen, token)


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
    return _claimed(table, record, change, is_as_seen, token)


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
    change = given_up(reply_id, code, record.key, shards=shards, now=now)
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


def end_with_people(table: Table, record: Record, *, now: datetime) -> Released | Changed:
    """Open a conversation whose batch people were sent, under a claim in their name: it is answered.

    The entries that people got are marked, wherever an earlier batch appended them.

    Args:
        table: the conversations table.
        record: as read, with its entries, claimed for people.
        now: the current instant.
    """
    assert record.claim == PEOPLE, "people end the batches that are claimed for them"
    unmarked = [one[MESSAGE_ID] for one in record.unanswered if not one.get("handed_off")]
    marks, stand = marking(record, {one: {"handed_off": True} for one in unmarked})
    change = opened(Status.USER_REPLY_RECEIVED, answered=True, now=now, also={LAST_REPLY_ID: PEOPLE})
    if marks:
        change = replace(change, mark={MESSAGES: marks})
    is_ours = Attr(BATCH_ID).stays(record.batch_id) & Attr(CLAIM).eq(PEOPLE)  # R3
    match table.update(record.key.item, change, when=is_ours & stand if marks else is_ours):
        case Written():
            return Released()
        case Refused(item) if (item.get(BATCH_ID), item.get(LAST_REPLY_ID)) == (record.batch_id, PEOPLE) and (
            CLAIM not in item
        ):
            return Released()  # our own write whose answer was lost, or another's who found the claim: the same to us
        case Refused():
            return Changed()


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


def is_free(record: Record) -> Condition:
    """The record stands as read, names its batch, and nobody has claimed that."""
    return (
        Attr(BATCH_ID).stays(record.batch_id)
        & Attr(STATUS).stays(record.status)
        & Attr(VERSION).stays(record.version)  # R1: each write of ours raises it, an opt-out's too.
        & Attr(CLAIM).missing()
        & Attr(PRIMARY_CHANNEL).exists()
    )


def locking(told: Mapping[str, Any], record: Record, shards: int, now: datetime, *, removed: tuple[str, ...]) -> Change:
    """What every claim writes: the lock is taken, again where it was reset."""
    lock = {
        STATUS: Status.PROCESSING.value,
        STARTED_AT: iso(now),
        LOCK_SHARD: lock_shard(record.key, shards),
    }
    return Change(set={**lock, **told}, add={VERSION: 1}, remove=removed)


def _claimed(table: Table, record: Record, change: Change, when: Condition, token: str) -> Claim | Changed:
    match table.update(record.key.item, change, when=when):
        case Written(item):
            return Claim(item)
        case Refused(item) if item.get(CLAIM_TOKEN) == token:
            return Claim(item)  # our own write, applied on a try whose answer was lost
        case Refused():
            return Changed()
