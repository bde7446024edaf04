"""The story of each message, and the ledger of the promise. Pure: made from log lines and from sights of the tables.

Log lines say what happened and when; a sight of the tables says where a message is now. The end of a message comes from
both, so that a line that says too much does not hide a message that is gone.

    acknowledged = answered + with people + refused + no answer wanted + waiting        lost 0, doubled 0
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from chalicelib.channels.sendgrid.unread import UNVERIFIED_SID
from chalicelib.errors import Code
from chalicelib.protocol.entries import MESSAGE_ID
from chalicelib.protocol.history import ENTRY
from chalicelib.protocol.record import BATCH_ID, CONVERSATION_ID, MESSAGES, STATUS, UNANSWERED_IDS, Status
from chalicelib.protocol.staging import DUE_AT, MESSAGE_SID
from chalicelib.telemetry import Step
from local.logs import DOCUMENT, LogLine

KEPT_MAX = 200
"""So many messages are kept; the oldest that ended goes first."""


class Phase(StrEnum):
    """Where a message is on its way, in the order of the way."""

    WEBHOOK = "webhook"
    STAGED = "staged"
    BATCH = "batch"
    AI = "AI"
    PEOPLE = "people"
    REPLY = "reply"
    DELIVERED = "delivered"


class End(StrEnum):
    """How a message ended; each acknowledged message has exactly one."""

    ANSWERED = "answered"
    WITH_PEOPLE = "with people"
    REFUSED = "refused"
    NOT_WANTED = "no answer wanted"
    WAITING = "waiting"
    LOST = "lost"


@dataclass(frozen=True)
class Mark:
    """One thing that happened to a message."""

    phase: Phase
    at: str
    words: str
    is_loud: bool = False


@dataclass(frozen=True)
class Sight:
    """What the tables say of one conversation at one moment."""

    conversation: str
    staged: Mapping[str, str | None]
    """By message id: when its window ends, ISO 8601; None: it has none."""
    recorded: Mapping[str, Mapping[str, Any]]
    """All inbound entries by their ids, moved ones too."""
    unanswered: frozenset[str]
    batch_id: str | None
    """Of the last batch."""
    status: str | None


@dataclass
class Story:
    """One message of a customer."""

    sid: str
    conversation: str = ""
    marks: list[Mark] = field(default_factory=list)
    is_acknowledged: bool = False
    end: End = End.WAITING
    code: str = ""
    """Of a refusal, or of a reply that was not sent."""
    due_at: str | None = None
    """When its window ends, while it is staged."""
    batch_id: str | None = None

    def mark(self, phase: Phase, at: datetime, words: str, *, is_loud: bool = False) -> None:
        """Add what happened."""
        self.marks.append(Mark(phase, _iso(at), words, is_loud))

    @property
    def document(self) -> dict[str, Any]:
        """The story as the page reads it."""
        return {
            "sid": self.sid,
            "conversation": self.conversation,
            "end": self.end if self.is_acknowledged or self.end is not End.WAITING else "not acknowledged",
            "code": self.code,
            "due_at": self.due_at,
            "batch": (self.batch_id or "")[:6],
            "marks": [
                {"phase": one.phase, "at": one.at, "words": one.words, "loud": one.is_loud} for one in self.marks
            ],
        }


@dataclass
class Stories:
    """All messages since the start, the oldest first."""

    by_sid: dict[str, Story] = field(default_factory=dict)
    with_people: set[str] = field(default_factory=set)
    """The ids of the messages that people received."""
    parts: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How often each part of each reply is on a phone or in a mailbox."""
    _codes: dict[str, str] = field(default_factory=dict)
    """By batch: how its reply ended."""
    _forgotten: Counter[End] = field(default_factory=Counter)

    def take(self, line: LogLine, at: datetime) -> str | None:
        """Learn from a log line; the conversation that it concerns, or None."""
        fields = line.fields
        conversation = fields.get("conversation_id")
        if (tell := _OF_A_MESSAGE.get(line.step)) is not None and "message_sid" in fields:
            if (story := self._story(line.step, str(fields["message_sid"]), str(conversation or ""), at)) is not None:
                tell(story, fields, at)
        elif (found := _OF_A_BATCH.get(line.step)) is not None and conversation:
            phase, words, is_loud = found
            told = words.format_map(_Fields(fields)).removesuffix(": none")
            for story in self._concerned(str(conversation), fields):
                story.mark(phase, at, told, is_loud=is_loud)
        match line.step:
            case Step.RELEASED | Step.REPLY_ABANDONED if fields.get("batch_id", "none") != "none":
                self._codes[str(fields["batch_id"])] = str(fields.get("code", "none"))
        return str(conversation) if conversation else None

    def people_received(self, context: Mapping[str, Any], at: datetime) -> None:
        """Learn which messages people have."""
        for one in context["messages"]:
            sid = str(one["message_id"])
            if sid in self.by_sid and sid not in self.with_people:
                self.by_sid[sid].mark(Phase.PEOPLE, at, "people have it")
            self.with_people.add(sid)

    def see(self, sight: Sight) -> None:
        """Learn where the messages of a conversation are now."""
        for story in self._of(sight.conversation):
            story.due_at = sight.staged.get(story.sid)
            if story.sid in sight.unanswered:
                story.batch_id = sight.batch_id
            if story.is_acknowledged and story.end in {End.WAITING, End.LOST}:
                story.end, story.code = self._end(story, sight)

    def forget_old(self) -> None:
        """Keep a bounded number of stories; what is forgotten stays counted."""
        ended = [one for one in self.by_sid.values() if one.end is not End.WAITING]
        for one in ended[: max(0, len(self.by_sid) - KEPT_MAX)]:
            if one.is_acknowledged:
                self._forgotten[one.end] += 1
            del self.by_sid[one.sid]

    @property
    def ledger(self) -> dict[str, int]:
        """The promise in figures."""
        ends = self._forgotten + Counter(one.end for one in self.by_sid.values() if one.is_acknowledged)
        told: dict[str, int] = {"acknowledged": sum(ends.values())}
        told |= {end.value: ends[end] for end in End if end is not End.LOST}
        told["lost"] = ends[End.LOST]
        told["doubled"] = sum(times - 1 for times in self.parts.values())
        return told

    @property
    def latest(self) -> list[dict[str, Any]]:
        """The stories as the page reads them, the latest first."""
        return [one.document for one in reversed(self.by_sid.values())][:_SHOWN_MAX]

    def _end(self, story: Story, sight: Sight) -> tuple[End, str]:
        """How a message that was waiting stands now."""
        entry = sight.recorded.get(story.sid)
        if story.sid in self.with_people or (entry is not None and entry.get("handed_off")):
            return End.WITH_PEOPLE, ""
        if story.sid in sight.staged or story.sid in sight.unanswered:
            return End.WAITING, ""
        if entry is None:
            return End.LOST, ""
        if "refused" in entry:
            return End.REFUSED, str(entry["refused"])
        batch_id = story.batch_id or entry.get("batch_id")
        match self._codes.get(str(batch_id)):
            case None:  # what the AI leaves unanswered has no reply that could end
                is_silent = batch_id is None or sight.status == Status.NO_REPLY
                return (End.NOT_WANTED if is_silent else End.WAITING), ""
            case "none":
                return End.ANSWERED, ""
            case code:
                return End.REFUSED, code

    def _story(self, step: str, sid: str, conversation: str, at: datetime) -> Story | None:
        """The story of a message; None: the line is about no message of a customer, or about one that is not known.

        An e-mail has its id only once it is verified; each refusal of one without is a story of its own.
        """
        if sid == UNVERIFIED_SID:
            if step != Step.REFUSED:
                return None
            sid = f"{sid} {_iso(at)}"
        if sid not in self.by_sid and step not in _BEGINNINGS:
            return None
        story = self.by_sid.setdefault(sid, Story(sid))
        story.conversation = story.conversation or conversation
        return story

    def _of(self, conversation: str) -> Iterator[Story]:
        return (one for one in self.by_sid.values() if one.conversation == conversation)

    def _concerned(self, conversation: str, fields: Mapping[str, Any]) -> list[Story]:
        """The messages that a line about a batch concerns: those of its context, or else those that wait."""
        if (context := fields.get(DOCUMENT)) is not None:
            sids = {str(one["message_id"]) for one in context["messages"]}
            for sid in sids & set(self.by_sid):
                self.by_sid[sid].batch_id = str(fields["batch_id"])
            return [self.by_sid[sid] for sid in sids if sid in self.by_sid]
        batch_id = fields.get("batch_id")
        mine = list(self._of(conversation))
        of_batch = [one for one in mine if batch_id is not None and one.batch_id == batch_id]
        return of_batch or [one for one in mine if one.end is End.WAITING and one.is_acknowledged]


def _received(story: Story, _fields: Mapping[str, Any], at: datetime) -> None:
    story.mark(Phase.WEBHOOK, at, "came again" if story.marks else "received")


def _staged(story: Story, _fields: Mapping[str, Any], at: datetime) -> None:
    story.mark(Phase.STAGED, at, "staged")


def _refused(story: Story, fields: Mapping[str, Any], at: datetime) -> None:
    code = str(fields.get("code", ""))
    story.mark(Phase.WEBHOOK, at, f"refused: {code}", is_loud=True)
    is_forged_copy = story.is_acknowledged and code == Code.INVALID_SIGNATURE
    if story.end is End.WAITING and not is_forged_copy:
        story.end, story.code = End.REFUSED, code


def _duplicate(story: Story, _fields: Mapping[str, Any], at: datetime) -> None:
    story.mark(Phase.WEBHOOK, at, "already known; ignored")


def _answered(story: Story, fields: Mapping[str, Any], at: datetime) -> None:
    status = int(fields.get("status", 0))
    is_taken = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    story.is_acknowledged |= is_taken
    story.mark(Phase.WEBHOOK, at, f"webhook answers {status}", is_loud=not is_taken)


_OF_A_MESSAGE = {
    Step.RECEIVED.value: _received,
    Step.STAGED.value: _staged,
    Step.REFUSED.value: _refused,
    Step.DUPLICATE.value: _duplicate,
    Step.ANSWERED.value: _answered,
}
"""What a line about one message says of it."""

_OF_A_BATCH: Mapping[str, tuple[Phase, str, bool]] = {
    Step.STILL_TYPING: (Phase.STAGED, "still typing; looks again in {seconds} s", False),
    Step.ACQUIRED: (Phase.BATCH, "locked as batch {batch_id}", False),
    Step.RESTARTED: (Phase.BATCH, "the AI begins anew: batch {batch_id} has this too", False),
    Step.RESUMED: (Phase.BATCH, "the worker had died; batch {batch_id} goes on", True),
    Step.CONTENDED: (Phase.BATCH, "waits: batch {batch_id} is with the AI", False),
    Step.DISPATCHED: (Phase.BATCH, "sent to the AI", False),
    "thinking": (Phase.AI, "the AI thinks", False),
    "answered": (Phase.AI, "the AI has answered", False),
    Step.SENT: (Phase.REPLY, "part {count} sent", False),
    Step.IN_DOUBT: (Phase.REPLY, "part {count} may have been sent; it is looked up before a retry", True),
    Step.RECONCILED: (Phase.REPLY, "found in the provider's list: it was sent", False),
    Step.REQUEUED: (Phase.REPLY, "tried again in {seconds} s: {reason}", True),
    Step.RELEASED: (Phase.REPLY, "the reply has ended: {code}", False),
    Step.REPORTED: (Phase.DELIVERED, "{outcome}", False),
    Step.RESET: (Phase.BATCH, "the stalled lock is reset: {outcome}", True),
    Step.REPLY_ABANDONED: (Phase.REPLY, "the reply was given up: {code}", True),
}
"""What a line about a conversation says of its messages: phase, words, and whether it is loud."""

_BEGINNINGS = frozenset({Step.RECEIVED.value, Step.STAGED.value, Step.REFUSED.value})
"""The lines that begin a story. Other lines also tell ids of our own messages, in delivery reports."""

_SHOWN_MAX = 60


class _Fields(dict[str, Any]):
    """The fields of a line, short; one that it lacks is left out of its words."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__({"code": "none", **fields})
        if "batch_id" in self:
            self["batch_id"] = str(self["batch_id"])[:6]
        if "seconds" in self:
            self["seconds"] = f"{float(self['seconds']):.1f}"

    def __missing__(self, name: str) -> str:
        return ""


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def sight_of(
    row: Mapping[str, Any], history: Sequence[Mapping[str, Any]], staged: Sequence[Mapping[str, Any]]
) -> Sight:
    """What a conversation's row, its history rows and its staged rows say."""
    entries = [*(one[ENTRY] for one in history), *row.get(MESSAGES, ())]
    return Sight(
        conversation=str(row[CONVERSATION_ID]),
        staged={str(one[MESSAGE_SID]): one.get(DUE_AT) for one in staged},
        recorded={str(one[MESSAGE_ID]): one for one in entries if one.get("direction") == "INBOUND"},
        unanswered=frozenset(row.get(UNANSWERED_IDS, ())),
        batch_id=row.get(BATCH_ID),
        status=row.get(STATUS),
    )
