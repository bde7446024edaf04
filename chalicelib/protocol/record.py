"""The part of a conversation's record that the protocol uses: the names of its attributes, and a typed view.

The record belongs to the company; its systems append to `messages` and set statuses of their own. The engine changes
only the attributes named here, each by an update with a condition, and never writes the list as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from chalicelib.clock import age
from chalicelib.errors import Code, Misconfigured, ReplyCode
from chalicelib.ports.tables import Attr, Condition, Item
from chalicelib.protocol.entries import entry_bytes, entry_id, is_whole

PRIMARY_CHANNEL = "primary_channel"
CONVERSATION_ID = "conversation_id"
STATUS = "conversation_status"
VERSION = "conversation_version"
MESSAGES = "messages"
UNANSWERED_IDS = "unanswered_ids"
BATCH_ID = "last_batch_id"
STARTED_AT = "processing_started_at"
TRIGGER_ID = "processing_trigger_id"
CLAIM = "reply_claim"
CLAIMED_AT = "reply_claimed_at"
CLAIM_TOKEN = "reply_claim_token"
CLAIM_END = "reply_claim_end"
CLAIM_REASON = "reply_claim_reason"
PASSED_REPLY_ID = "passed_reply_id"
TURN_STARTED_AT = "turn_started_at"
TURN_EFFECTS = "turn_effects"
NOTICE_AT = "locked_notice_at"
TURN_SUPERSEDES = "turn_supersedes"
HANDED_OFF_BY = "handed_off_by"
HANDOFF_ID = "handoff_id"
HANDOFF_REASON = "handoff_reason"
LAST_REPLY_ID = "last_reply_id"
COMPLETED_AT = "processing_completed_at"
ERROR_CODE = "processing_error_code"
OPTED_OUT = "opted_out"
OPTED_OUT_CHANNELS = "opted_out_channels"
MOVED_BEFORE = "messages_moved_before"
MOVED_ANSWERS = "moved_answers"
LOCK_SHARD = "lock_shard"
STALL_RESETS = "stall_resets"
LAST_USER_MESSAGE_AT = "last_user_message_at"
LAST_ACTIVITY_AT = "last_activity_at"
ATTRIBUTES = (
    PRIMARY_CHANNEL,
    CONVERSATION_ID,
    STATUS,
    VERSION,
    UNANSWERED_IDS,
    BATCH_ID,
    STARTED_AT,
    TRIGGER_ID,
    CLAIM,
    CLAIMED_AT,
    CLAIM_TOKEN,
    CLAIM_END,
    CLAIM_REASON,
    PASSED_REPLY_ID,
    TURN_STARTED_AT,
    TURN_EFFECTS,
    NOTICE_AT,
    TURN_SUPERSEDES,
    HANDED_OFF_BY,
    HANDOFF_ID,
    HANDOFF_REASON,
    LAST_REPLY_ID,
    ERROR_CODE,
    MOVED_BEFORE,
    MOVED_ANSWERS,
    LOCK_SHARD,
    STALL_RESETS,
)
"""What a read of the protocol's part asks for; `MESSAGES` comes on top where the list is needed."""
WATCHED = "open-"
"""Begins the shard of an open record that the sweep must look at again: its batch was never answered, or its end was
not reported. `STARTED_AT` then says since when, and is no lock's start (L6)."""


class Status(StrEnum):
    """The values of `conversation_status` that are ours; the company's own are left alone."""

    USER_REPLY_RECEIVED = "user_reply_received"
    PROCESSING = "processing_reply"
    ANSWERED = "ai_response_sent"
    NO_REPLY = "ai_no_reply"
    ERROR = "processing_error"
    TIMEOUT = "processing_timeout"


class ClaimEnd(StrEnum):
    """How a claim ends, whoever ends it; the update that claims stores it."""

    RELEASE = "release"
    """The conversation opens: the batch is answered."""
    PEOPLE = "people"
    """The batch passes to people."""
    UNCLAIM = "unclaim"
    """The turn goes on: the claim was for an interim message."""


@dataclass(frozen=True)
class ConversationKey:
    """Which conversation. `primary_channel` may be the customer's number or address: never log it."""

    primary_channel: str
    conversation_id: str

    @property
    def item(self) -> dict[str, str]:
        """The key as the conversations table spells it."""
        return {PRIMARY_CHANNEL: self.primary_channel, CONVERSATION_ID: self.conversation_id}

    def __repr__(self) -> str:
        """Without the primary channel."""
        return f"ConversationKey({self.conversation_id!r})"


@dataclass(frozen=True, repr=False)
class Record:
    """The record as one read found it."""

    key: ConversationKey
    status: str | None
    version: int | None
    batch_id: str | None
    unanswered_ids: tuple[str, ...]
    entries: tuple[Mapping[str, Any], ...] | None
    """The elements of `messages`; None where the record has no such list or it was not read."""
    started_at: str | None
    """When the lock was taken or last refreshed, as the row spells it: what a reset is conditional on."""
    watched_since: str | None
    """Since when an open record waits for another look of the sweep, as the row spells it; None: it does not."""
    trigger_id: str | None
    claim: str | None
    """The id of the reply that is being sent; None: no reply is."""
    claimed_at: str | None
    """Since when, as the row spells it."""
    claim_token: str | None
    """Of the invocation that holds the claim."""
    claim_end: ClaimEnd
    """How the claim ends; without a claim it says nothing."""
    claim_reason: str
    """Why people shall answer, where the claim ends with them."""
    passed_reply_id: str | None
    """The id of the reply whose batch passed to people: by it, or because people took the conversation over."""
    turn_started_at: str | None
    """When the batch was acquired; None: by a version that did not tell."""
    has_turn_effects: bool
    """Whether the AI has said that it did something for the batch that must not be done twice."""
    notice_at: str | None
    """When the customer was told that an answer to what is unanswered is being written; None: they were not."""
    supersedes: tuple[str, ...]
    """The batches that restarts replaced, whose messages the batch has, the oldest first."""
    handed_off_by: str | None
    """Who handed the conversation to people, until they give it back; None: nobody, or they did."""
    handoff_id: str | None
    handoff_reason: str
    last_reply_id: str | None
    """The id of the reply that ended last, however it ended."""
    error_code: str | None
    """Why it was not sent, or not wholly; None: it was."""
    moved_before: str | None
    """Entries were moved to the history up to this instant; None: never."""
    moved_answers: Mapping[str, str]
    """Answers of the AI among the entries that were moved last, if young then: when, by the answer's id."""
    stall_resets: int
    """How many locks in a row stalled since the conversation was last answered."""

    @classmethod
    def from_item(cls, item: Item) -> Record:
        """The record that a row tells.

        Raises:
            Misconfigured: an attribute of ours has a shape that we never write.
        """
        entries, unanswered = item.get(MESSAGES), item.get(UNANSWERED_IDS, ())
        # A list that is null is no missing list: nothing can be appended to it.
        if (MESSAGES in item and not isinstance(entries, list)) or not isinstance(unanswered, list | tuple):
            raise Misconfigured(Code.DB_QUERY_ERROR, f"{MESSAGES} or {UNANSWERED_IDS} of a record is no list")
        try:
            version = int(item[VERSION]) if VERSION in item else None
        except (TypeError, ValueError) as fault:
            raise Misconfigured(Code.DB_QUERY_ERROR, f"{VERSION} of a record is no number") from fault
        is_watched = str(item.get(LOCK_SHARD, "")).startswith(WATCHED)
        return cls(
            key=ConversationKey(item[PRIMARY_CHANNEL], item[CONVERSATION_ID]),
            status=item.get(STATUS),
            version=version,
            batch_id=item.get(BATCH_ID),
            unanswered_ids=tuple(unanswered),
            entries=tuple(entries) if entries is not None else None,
            started_at=None if is_watched else item.get(STARTED_AT),
            watched_since=item.get(STARTED_AT) if is_watched else None,
            trigger_id=item.get(TRIGGER_ID),
            claim=item.get(CLAIM),
            claimed_at=item.get(CLAIMED_AT),
            claim_token=item.get(CLAIM_TOKEN),
            claim_end=_claim_end(item.get(CLAIM_END)),
            claim_reason=str(item.get(CLAIM_REASON, "")),
            passed_reply_id=item.get(PASSED_REPLY_ID),
            turn_started_at=item.get(TURN_STARTED_AT),
            has_turn_effects=item.get(TURN_EFFECTS) is True,
            notice_at=item.get(NOTICE_AT),
            supersedes=tuple(told) if isinstance(told := item.get(TURN_SUPERSEDES), list) else (),
            handed_off_by=item.get(HANDED_OFF_BY),
            handoff_id=item.get(HANDOFF_ID),
            handoff_reason=str(item.get(HANDOFF_REASON, "")),
            last_reply_id=item.get(LAST_REPLY_ID),
            error_code=item.get(ERROR_CODE),
            moved_before=item.get(MOVED_BEFORE),
            moved_answers=dict(answers) if isinstance(answers := item.get(MOVED_ANSWERS), Mapping) else {},
            stall_resets=int(item.get(STALL_RESETS, 0)),
        )

    @cached_property
    def entry_sizes(self) -> tuple[int, ...]:
        """The size of each entry, in bytes; a batch asks several times, and a full record has many."""
        return tuple(map(entry_bytes, self.entries or ()))

    @property
    def is_locked(self) -> bool:
        """A batch is with the AI, or its reply is being sent, whatever status another system wrote meanwhile."""
        return self.status == Status.PROCESSING or self.claim is not None

    def lock_age(self, now: datetime) -> timedelta:
        """How long ago the lock was taken, refreshed or claimed; one without a readable start counts as just taken."""
        since_start = age(self.started_at, now)
        return since_start if self.claimed_at is None else min(since_start, self.claim_age(now))  # R7

    def claim_age(self, now: datetime) -> timedelta:
        """How long ago a reply claimed the lock."""
        return age(self.claimed_at, now)

    def turn_age(self, now: datetime) -> timedelta:
        """How long ago the batch was acquired."""
        return age(self.turn_started_at or self.started_at, now)

    def watched_for(self, now: datetime) -> timedelta:
        """How long an open record has waited for the sweep; one that does not wait: no time."""
        return age(self.watched_since, now)

    @property
    def has_unreported_end(self) -> bool:
        """Whether a stalled reply was given up, and nobody has reported it for certain."""
        is_unknown = self.error_code == ReplyCode.UNKNOWN_OUTCOME
        return self.watched_since is not None and is_unknown and not self.unanswered_ids and self.claim is None

    @cached_property
    def entry_ids(self) -> frozenset[str]:
        """The message ids of the entries that the record keeps."""
        return frozenset(filter(None, map(entry_id, self.entries or ())))

    @cached_property
    def unanswered(self) -> tuple[Mapping[str, Any], ...]:
        """The entries of the batch: those that wait for an answer, in the order of the record.

        One that the company has trimmed or damaged since cannot be answered, and is none of them.
        """
        waiting = frozenset(self.unanswered_ids)
        return tuple(entry for entry in self.entries or () if entry_id(entry) in waiting and is_whole(entry))

    @property
    def unchanged(self) -> Condition:
        """No write of ours has come between, and the company has set no status since.

        Our own writes raise the version; the company's raise none. What it does to the list is no change: appends come
        behind what was read, and a write that leans on a position names the element that must stand there.
        """
        return Attr(PRIMARY_CHANNEL).exists() & Attr(STATUS).stays(self.status) & Attr(VERSION).stays(self.version)

    def position(self, message_id: str) -> int:
        """Where in the list, as read, the entry of a message stands."""
        return next(at for at, one in enumerate(self.entries or ()) if entry_id(one) == message_id)


def _claim_end(told: object) -> ClaimEnd:
    """An earlier version stored no end, and released every claim of a reply."""
    return ClaimEnd(told) if isinstance(told, str) and told in set(ClaimEnd) else ClaimEnd.RELEASE
