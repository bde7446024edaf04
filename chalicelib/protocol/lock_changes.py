"""What the writes to a locked record have in common: the changes of several transitions, and their conditions.

Guarantee: every end of a lock goes through `opened`, so an open record has no lock's start and no trigger (L6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zlib import crc32

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr, Change, Condition
from chalicelib.protocol.entries import MESSAGE_ID
from chalicelib.protocol.record import (
    BATCH_ID,
    CLAIM,
    CLAIM_END,
    CLAIM_REASON,
    CLAIM_TOKEN,
    CLAIMED_AT,
    COMPLETED_AT,
    ERROR_CODE,
    LAST_ACTIVITY_AT,
    LAST_REPLY_ID,
    LAST_USER_MESSAGE_AT,
    LOCK_SHARD,
    MESSAGES,
    STALL_RESETS,
    STARTED_AT,
    STATUS,
    TRIGGER_ID,
    UNANSWERED_IDS,
    VERSION,
    WATCHED,
    ClaimEnd,
    ConversationKey,
    Record,
    Status,
)

Entry = Mapping[str, Any]
"""One element of `messages`."""
PEOPLE = "#people"
"""Claims a batch for people. No reply has this id: those that begin with `#` are refused."""
MARKS_MAX = 100
"""Entries that one update marks: DynamoDB's expressions end at 4 KB. What is beyond keeps no mark."""
CLAIM_ATTRIBUTES = (CLAIM, CLAIMED_AT, CLAIM_TOKEN, CLAIM_END, CLAIM_REASON, ERROR_CODE)
"""What a reply leaves on the record, and the next lock removes."""


@dataclass(frozen=True)
class Changed:
    """The record no longer stands as it was read; nothing was written."""


@dataclass(frozen=True)
class Lost:
    """The lock is no longer the batch's; nothing was written."""


def people_claim(token: str, now: datetime) -> dict[str, str]:
    """What claims a batch for people."""
    return {CLAIM: PEOPLE, CLAIMED_AT: iso(now), CLAIM_TOKEN: token, CLAIM_END: ClaimEnd.PEOPLE.value}


def held_by(batch_id: str) -> Condition:
    """The record is locked for this batch."""
    return Attr(STATUS).eq(Status.PROCESSING.value) & Attr(BATCH_ID).eq(batch_id)


def opened(
    status: Status,
    *,
    answered: bool,
    now: datetime,
    append: Sequence[Entry] = (),
    also: Mapping[str, Any] = MappingProxyType({}),
) -> Change:
    """What every end of a lock writes; L6: an open record has no lock's start and no trigger.

    Args:
        status: the record's status from here on.
        answered: whether what was unanswered counts as answered.
        now: the current instant.
        append: entries to append.
        also: further attributes to set.
    """
    ended = {UNANSWERED_IDS: [], COMPLETED_AT: iso(now)} if answered else {}
    written = {STATUS: status.value, LAST_ACTIVITY_AT: iso(now), **ended, **also}
    removed = (STARTED_AT, TRIGGER_ID, LOCK_SHARD, *CLAIM_ATTRIBUTES, *((STALL_RESETS,) if answered else ()))
    return Change(
        set=written,
        append={MESSAGES: append} if append else {},
        add={VERSION: 1},
        remove=tuple(name for name in removed if name not in written),
    )


def kept_resets(count: int) -> dict[str, int]:
    """What an answer writes of the locks that stalled in a row; nothing: it removes the count."""
    return {STALL_RESETS: count} if count else {}


def given_up(record: Record, error_code: str, *, shards: int, now: datetime) -> Change:
    """What the end of a stalled reply writes: answered with unknown outcome, and watched until it is reported (L8).

    The instant of the claim stays: if nothing was asked of the provider after it, the reply may come again (R1).
    """
    last = max(record.claimed_at or "", record.started_at or "")  # a claim that paused has no instant of its own
    claimed = {CLAIMED_AT: last} if last else {}
    also = {LAST_REPLY_ID: record.claim, ERROR_CODE: error_code, **claimed, **watching(record.key, shards, now)}
    return opened(Status.ERROR, answered=True, now=now, also=also)


def marking(record: Record, marks: Mapping[str, Mapping[str, Any]]) -> tuple[dict[int, Mapping[str, Any]], Condition]:
    """Marks on entries of the record as positions, and the condition that those entries stand there still.

    Args:
        record: as read, with its entries.
        marks: what to set, by message id; ids without an entry are left out.
    """
    here = [one for one in marks if one in record.entry_ids][:MARKS_MAX]
    positions = {record.position(one): one for one in here}
    stand: Condition = Attr(VERSION).stays(record.version)
    for at, one in positions.items():
        stand &= Attr(MESSAGES).has_at(at, one, name=MESSAGE_ID)
    return {at: marks[one] for at, one in positions.items()}, stand


def last_user_message(entries: Sequence[Entry]) -> dict[str, str]:
    """What an append writes of the customer's last message."""
    inbound = [entry["timestamp"] for entry in entries if entry["direction"] == "INBOUND"]
    return {LAST_USER_MESSAGE_AT: inbound[-1]} if inbound else {}


def lock_shard(key: ConversationKey, shards: int) -> str:
    """The hash key of a conversation's row in the sparse index of locked conversations."""
    return str(crc32(key.conversation_id.encode()) % shards)


def watched_shard(shard: int) -> str:
    """The hash key under which the same index has watched, open records (L8)."""
    return f"{WATCHED}{shard}"


def watching(key: ConversationKey, shards: int, now: datetime) -> dict[str, str]:
    """What puts an open record into the sweep's index, from now on."""
    return {LOCK_SHARD: f"{WATCHED}{lock_shard(key, shards)}", STARTED_AT: iso(now)}
