"""The claim of people: a batch that goes to them is theirs before it is sent, and answered once it is.

These are the transitions M and t of `reply_claim.py`, and i where people claim. The labels are explained there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from chalicelib.ports.tables import Attr, Refused, Table, Written
from chalicelib.protocol.claim_changes import Claim, Released, is_free, locking
from chalicelib.protocol.entries import MESSAGE_ID, asked_in
from chalicelib.protocol.handoffs import Handoff, lasting
from chalicelib.protocol.lock_changes import (
    PEOPLE,
    Changed,
    Entry,
    marking,
    opened,
    people_claim,
)
from chalicelib.protocol.record import (
    BATCH_ID,
    CLAIM,
    CLAIM_REASON,
    CLAIM_TOKEN,
    ERROR_CODE,
    LAST_REPLY_ID,
    MESSAGES,
    PASSED_REPLY_ID,
    STARTED_AT,
    UNANSWERED_IDS,
    VERSION,
    Record,
    Status,
)


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
    """Claim for people what is unanswered: with the AI, or left by an earlier batch; or else the batch that ended.

    Args:
        table: the conversations table.
        record: as read, with its entries; it has no claim.
        handoff: the handoff that begins; None: the company's own routing sends the batch to people.
        passed_reply_id: the reply that asked for it, or that it takes the place of.
        token: fresh for this invocation.
        shards: of the sparse index of locked conversations.
        now: the current instant.
    """
    passed = {PASSED_REPLY_ID: passed_reply_id} if passed_reply_id is not None else {}
    told = {**people_claim(token, now), **lasting(record, handoff), **_unanswered_again(record), **passed}
    return Claim.write(table, record, locking(told, record, shards, now, removed=(ERROR_CODE,)), is_free(record), token)


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
    passed = {PASSED_REPLY_ID: record.claim}
    told = {**people_claim(token, now), **lasting(record, handoff), **_unanswered_again(record), **passed}
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
    return Claim.write(table, record, change, is_as_seen, token)


def _unanswered_again(record: Record) -> dict[str, Any]:
    """The unanswered list of a batch that had ended, for people to get it; nothing where something is unanswered."""
    if record.unanswered_ids:
        return {}
    return {UNANSWERED_IDS: [one[MESSAGE_ID] for one in asked_in(record.entries or (), record.batch_id)]}


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
