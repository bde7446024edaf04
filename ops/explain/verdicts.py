"""Why there was or was no reply: one verdict for each message or conversation, with an exit code of its own; pure.

    entry of the record or history?   its own marks, then the answer to its batch, then what holds the batch
    staged?                           the lock before it, its trigger, its dead letter
    neither?                          what the log says that the webhook refused; else the id is unknown

`ours` marks the verdicts that are a fault of this deployment; everything else is the sender's, the company's or the
provider's, or is as it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from chalicelib.channels.twilio.outcomes import TABLE as TWILIO_CODES
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.rules import validate_conversation_rules
from chalicelib.errors import Code, ReplyCode
from chalicelib.messages.replies import Source
from chalicelib.protocol.entries import entry_id
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.record import Record, Status
from chalicelib.protocol.send_rows import State
from chalicelib.protocol.staging import StagedMessage
from chalicelib.repair.patience import patience_of
from chalicelib.settings import SWEEP_STALLED_MINUTES
from chalicelib.telemetry import Step
from ops.explain.timelines import Dead, Facts, SentPart


class Kind(Enum):
    """The verdicts: a name, the exit code of `explain`, and whether it is a fault of ours."""

    ANSWERED = ("answered", 0, False)
    ANSWERED_BY_PERSON = ("answered by a person", 10, False)
    WITH_PEOPLE = ("with people", 11, False)
    WAITING_FOR_BATCH = ("waiting for its batch", 20, False)
    BEHIND_LOCK = ("waiting behind a lock", 21, False)
    WITH_AI = ("with the AI", 22, False)
    BEING_SENT = ("being sent", 23, False)
    UNANSWERED = ("carried into the next batch", 24, False)
    NOT_TRIGGERED = ("staged, and no trigger waits", 25, False)
    PAUSED = ("the project is paused", 30, False)
    CHANNEL_NOT_ALLOWED = ("the channel is not allowed", 31, False)
    OPTED_OUT = ("opted out", 32, False)
    LOCKED_OUT = ("refused while the AI worked", 33, False)
    FORGED = ("forged, or signed with another token", 34, False)
    NO_CONVERSATION = ("no active conversation", 35, False)
    REFUSED = ("refused", 36, False)
    UNDELIVERED = ("sent, and not delivered", 40, False)
    REPLY_REFUSED = ("the reply was refused", 41, False)
    IN_DOUBT = ("sent or not: nobody can say", 42, False)
    NO_ANSWER = ("no answer is known", 43, False)
    AI_LATE = ("the AI does not answer", 50, False)
    DEAD_LETTER = ("a dead letter", 51, True)
    FAULT = ("a fault of ours", 52, True)
    UNKNOWN_ID = ("unknown", 60, False)
    ERASED = ("erased", 61, False)
    NOTHING_RECEIVED = ("nothing was received", 62, False)

    def __init__(self, words: str, exit_code: int, ours: bool) -> None:  # noqa: FBT001  # a column of the table above
        self.words = words
        self.exit_code = exit_code
        self.is_ours = ours


@dataclass(frozen=True)
class Verdict:
    """Why there was or was no reply, and what to do."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Meaning:
    """What one of our codes means to a person."""

    kind: Kind
    words: str


_FAULT, _REFUSED, _REPLY = Kind.FAULT, Kind.REFUSED, Kind.REPLY_REFUSED
MEANINGS: Mapping[str, Meaning] = {
    Code.PARSING_ERROR: Meaning(_REFUSED, "the request was no message of the provider's"),
    Code.MISSING_REQUIRED_FIELD: Meaning(_REFUSED, "the request was no message of the provider's"),
    Code.SENDER_WITHOUT_NUMBER: Meaning(_REFUSED, "a user without a phone number, whose id is in no row"),
    Code.MISDIRECTED_CALLBACK: Meaning(
        _REFUSED, "a status callback that was sent to the URL for messages: correct it at the provider"
    ),
    Code.CONVERSATION_NOT_FOUND: Meaning(Kind.NO_CONVERSATION, "no active conversation between these two addresses"),
    Code.INVALID_SIGNATURE: Meaning(
        Kind.FORGED, "no secret of the company signed it: a forger, a rotated token, or a wrong PUBLIC_BASE_URL"
    ),
    Code.MISSING_CREDENTIAL_CONFIG: Meaning(_FAULT, "the conversation names no secret for the channel"),
    Code.SECRET_FETCH_FAILED: Meaning(_FAULT, "the company's secret is missing or malformed"),
    Code.CONFIGURATION_ERROR: Meaning(_FAULT, "the settings are wrong"),
    Code.PROJECT_INACTIVE: Meaning(Kind.PAUSED, "the project is not active"),
    Code.CHANNEL_NOT_ALLOWED: Meaning(Kind.CHANNEL_NOT_ALLOWED, "the channel is not among allowed_channels"),
    Code.OPTED_OUT: Meaning(Kind.OPTED_OUT, "the customer said STOP, and has not said START since"),
    Code.AUTOMATIC_MESSAGE: Meaning(_REFUSED, "a program wrote it, and programs are not answered"),
    Code.SENDER_NOT_AUTHENTICATED: Meaning(
        _REFUSED, "the e-mail failed SPF and DKIM, and the policy refuses such mail"
    ),
    Code.CONVERSATION_LOCKED: Meaning(
        Kind.LOCKED_OUT, "the conversation was locked, and the policy on_new_message is reject"
    ),
    Code.ROUTING_ERROR: Meaning(_FAULT, "the message could not be routed"),
    Code.DB_QUERY_ERROR: Meaning(_FAULT, "a table could not be read: it is missing, or no right allows it"),
    Code.INTERNAL_ERROR: Meaning(_FAULT, "an unexpected error; see the log"),
    Code.DB_TRANSIENT_ERROR: Meaning(_FAULT, "DynamoDB did not answer in time; the provider was asked to retry"),
    Code.SECRET_FETCH_TRANSIENT_ERROR: Meaning(
        _FAULT, "Secrets Manager did not answer in time; the provider was asked to retry"
    ),
    Code.STAGE_WRITE_ERROR: Meaning(_FAULT, "it could not be staged; the provider was asked to retry"),
    Code.RECIPIENTS_LEFT: Meaning(_FAULT, "its recipients were not all looked up in time; the provider retries"),
    ReplyCode.OTHER_COMPANY: Meaning(_REPLY, "its message group is not the company of the conversation's row"),
    ReplyCode.PARTS_CHANGED: Meaning(_REPLY, "a part of it was sent, and its text would now be split differently"),
    ReplyCode.STALE: Meaning(_REPLY, "it answered a batch that is no longer the conversation's"),
    ReplyCode.SECOND: Meaning(_REPLY, "it was the second answer to its batch"),
    ReplyCode.NO_CONVERSATION: Meaning(_REPLY, "it named a conversation that does not exist"),
    ReplyCode.NO_RECIPIENT: Meaning(_REPLY, "the record names no recipient"),
    ReplyCode.OUTSIDE_WINDOW: Meaning(
        _REPLY, "the customer last wrote too long ago for free text: a template is needed"
    ),
    ReplyCode.UNKNOWN_OUTCOME: Meaning(
        Kind.IN_DOUBT, "it is unknown whether the customer got it; it is not sent again"
    ),
    ReplyCode.UNDELIVERED: Meaning(Kind.UNDELIVERED, "the provider reported no code"),
}
"""What our codes mean to a person; Twilio's are in its table of outcomes."""

_NO_STATUS = "no delivery status was reported"

_REPLIES = ("ai-replies", "human-replies")
"""The queues of replies, by their roles."""
_NOT_DELIVERED = frozenset({"failed", "undelivered", "canceled"})
"""Statuses by which a provider says that the customer has not got it."""


def verdict(facts: Facts) -> Verdict:
    """Why there was or was no reply, and what there is to do about it."""
    wanted = facts.wanted
    if wanted is None:
        return _refusal(facts) or _closed(facts) or _told(Kind.NOTHING_RECEIVED, "nothing was received")
    # A row may outlive its entry's batch, or come again after it: what the entry says is the later word.
    entry = next((one for one in facts.entries if entry_id(one) == wanted), None)
    staged = next((one for one in facts.staged if one.message_sid == wanted), None)
    if entry is None and staged is not None:
        return _of_staged(facts, staged)
    if entry is not None:
        return _of_entry(facts, entry, wanted)
    refusal = _refusal(facts)
    if refusal is not None:
        return refusal
    if any(one.line.fields.get("message_sid") == wanted for one in facts.logged):
        return _told(Kind.ERASED, f"no reply: the log has {wanted}, and no table holds it: its conversation was erased")
    where = "no table, and no log line of that time" if facts.has_logs else "no table, and there is no log to read"
    return _told(
        Kind.UNKNOWN_ID,
        f"{wanted} is unknown: {where} holds it. Check the id and --stage, or look further back with --since; "
        "catch-up asks the provider whether it delivered it",
    )


def _told(kind: Kind, text: str) -> Verdict:
    return Verdict(kind, text)


def _closed(facts: Facts) -> Verdict | None:
    """Why a conversation that has received nothing would refuse a message now; None: it would not."""
    conversation = facts.conversation
    if conversation is None:
        return None
    if conversation.project_status != "active":
        return _told(Kind.PAUSED, f"nothing was received; {_meaning(Code.PROJECT_INACTIVE)}: every message is refused")
    if conversation.is_task_complete:
        return _told(Kind.NO_CONVERSATION, "nothing was received; task_complete says that the conversation has ended")
    return None


def _of_staged(facts: Facts, staged: StagedMessage) -> Verdict:
    record, conversation = facts.record, facts.conversation
    rule = _rule(conversation, staged.channel) if conversation is not None else None
    if rule is not None:
        return _told(_kind(rule, _REFUSED), f"no reply: its batch will refuse it, {_meaning(rule)}")
    if record is not None and record.is_locked:
        before = _of_lock(facts, record)
        kind = before.kind if before.kind in (Kind.AI_LATE, Kind.DEAD_LETTER) else Kind.BEHIND_LOCK
        return _told(kind, f"no reply yet: it waits for the one before it: {before.text}")
    if facts.trigger_due_at is not None:
        at = f"{facts.trigger_due_at:%H:%M:%S}"
        text = f"no reply yet: it waits for its batch; a trigger comes by {at} at the latest"
        return _told(Kind.WAITING_FOR_BATCH, text)
    dead = facts.dead_in(staged.channel)
    if dead is not None:
        reason = dead.dead_letter.reason or "it failed too often"
        text = f"no reply: its trigger is a dead letter ({reason}). The sweep triggers it again, or redrive {dead.role}"
        return _told(Kind.DEAD_LETTER, text)
    again = f", recovered {staged.recoveries} time(s) so far" if staged.recoveries else ""
    text = f"no reply: it is staged and no trigger waits{again}; the sweep triggers it within a minute"
    return _told(Kind.NOT_TRIGGERED, text)


def _rule(conversation: Conversation, channel: str) -> Code | None:
    """The rule by which a batch would refuse a message now."""
    return validate_conversation_rules(conversation, channel, lock_matters=False)


def _of_marks(facts: Facts, entry: Mapping[str, Any]) -> Verdict | None:
    """What an entry says of its own end; None: its batch has to say."""
    if entry.get("direction") == "OUTBOUND":
        kind, text = _delivery(facts, entry)
        return _told(kind, f"this is a reply: {text}")
    if entry.get("handed_off"):
        person = _by_person(facts, entry)
        if person is not None:
            return _told(Kind.ANSWERED_BY_PERSON, f"answered by a person: {_delivery(facts, person)[1]}")
        return _with_people(facts, "no reply of the AI: it was handed off to people")
    if "refused" in entry:
        code = str(entry["refused"])
        return _told(_kind(code, _REFUSED), f"no reply: it was refused, {_meaning(code)}")
    if "opt_out" in entry:
        text = f"no reply: the customer said {entry['opt_out']}, which the provider has answered itself"
        return _told(Kind.OPTED_OUT, text)
    return None


def _with_people(facts: Facts, words: str) -> Verdict:
    """People have it; their reply may be a dead letter."""
    dead = facts.dead_in("human-replies")
    if dead is None:
        return _told(Kind.WITH_PEOPLE, words)
    return _told(Kind.DEAD_LETTER, f"{words}; their reply is {_dead(dead)}")


def _dead(dead: Dead) -> str:
    """A dead letter, with its reason and what sends it back."""
    return f"a dead letter ({dead.dead_letter.reason or 'it failed too often'}); redrive {dead.role}"


def _by_person(facts: Facts, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first message of a person behind an entry."""
    behind = facts.entries[facts.entries.index(entry) + 1 :]
    sent = (one for one in behind if one.get("direction") == "OUTBOUND")
    return next((one for one in sent if one.get("source") == Source.HUMAN.value), None)


def _of_entry(facts: Facts, entry: Mapping[str, Any], wanted: str) -> Verdict:
    record, of_itself = facts.record, _of_marks(facts, entry)
    if of_itself is not None:
        return of_itself
    if record is not None and wanted in record.unanswered_ids:
        held = _of_lock(facts, record)
        return _told(held.kind, f"no reply yet: {held.text}")
    behind = facts.entries[facts.entries.index(entry) + 1 :]
    sent = [one for one in behind if one.get("direction") == "OUTBOUND"]
    batch_id = _batch_of(record, entry)
    own = next((one for one in sent if "batch_id" in one and one["batch_id"] == batch_id), None)
    if own is not None:
        return _answered(facts, own, "answered")
    is_last = record is not None and record.batch_id == batch_id
    person = _by_person(facts, entry)
    if record is not None and is_last and record.last_reply_id == PEOPLE:
        if person is not None:
            return _answered(facts, person, "answered by a person")
        return _with_people(facts, "no reply of the AI: people have the batch")
    if record is not None and is_last and record.error_code is not None:
        code = record.error_code
        return _told(_kind(code, _REPLY), f"no reply: it was refused, {_meaning(code)}")
    return _of_ended_batch(facts, entry, sent, person)


def _batch_of(record: Record | None, entry: Mapping[str, Any]) -> Any:
    """The batch that an entry was in last, as far as the record knows: its own, or the one that restarted that."""
    own = entry.get("batch_id")
    return record.batch_id if record is not None and own in record.supersedes else own


def _of_ended_batch(
    facts: Facts, entry: Mapping[str, Any], sent: list[Mapping[str, Any]], person: Mapping[str, Any] | None
) -> Verdict:
    """The outcome of a batch that the record no longer names, or that no entry answers."""
    record = facts.record
    # Carried into a later batch, it has that one's end.
    batch_id = record.batch_id if record is not None and not sent else entry.get("batch_id")
    dead = facts.dead_in(*_REPLIES, batch_id=batch_id)
    if dead is not None:
        return _told(Kind.DEAD_LETTER, f"no reply: one is {_dead(dead)}")
    told = (one.line.fields for one in reversed(facts.logged) if one.line.step == Step.REPLY_REFUSED)
    # A stale reply says only that a later batch has the messages, and something was sent since.
    lines = (one for one in told if not sent or one.get("code") != ReplyCode.STALE)
    refused = next((one for one in lines if one.get("batch_id") in (None, entry.get("batch_id"), batch_id)), None)
    if refused is not None:
        code = str(refused.get("code"))
        return _told(_kind(code, _REPLY), f"no reply: one was refused, {_meaning(code)}")
    if person is not None and person is sent[0]:
        return _answered(facts, person, "answered by a person")
    if sent:
        return _answered(facts, sent[0], "its batch has no answer of its own; what went out next may have carried it")
    return _told(Kind.NO_ANSWER, "no reply is known: its batch has ended in an unknown way")


def _answered(facts: Facts, answer: Mapping[str, Any], words: str) -> Verdict:
    kind, text = _delivery(facts, answer)
    is_person = answer.get("source") == Source.HUMAN.value
    return _told(Kind.ANSWERED_BY_PERSON if kind is Kind.ANSWERED and is_person else kind, f"{words}: {text}")


def _of_lock(facts: Facts, record: Record) -> Verdict:
    """What holds the batch that the record names."""
    batch = record.batch_id
    if record.claim == PEOPLE:
        text = f"batch {batch} is being handed to people; whoever finds it next ends that if a crash cut it off"
        return _told(Kind.WITH_PEOPLE, text)
    if record.claim is not None:
        seconds = record.claim_age(facts.now).total_seconds()
        doubt = any(one.part.state in (State.CLAIMED, State.UNKNOWN) for one in facts.parts)
        is_old = seconds > facts.settings.reconcile_after_seconds
        what = "its send is in doubt and will be looked up at the provider" if doubt and is_old else "it is being sent"
        text = f"a reply has claimed batch {batch}, {seconds:.0f} s ago; {what}"
        return _told(Kind.IN_DOUBT if doubt and is_old else Kind.BEING_SENT, text)
    dead = facts.dead_in("ai", *_REPLIES, batch_id=batch)
    if dead is not None:
        known = {"ai": "the AI worker failed at it", "ai-replies": "its reply could not be sent"}
        what = known.get(dead.role, "a reply of people could not be sent")
        return _told(Kind.DEAD_LETTER, f"{what}: {_dead(dead)}")
    if not record.is_locked:
        why = {
            Status.TIMEOUT.value: "the AI did not answer batch {} in time",
            Status.ERROR.value: "batch {} could not be made",
        }.get(record.status or "", "another system opened the record while batch {} was with the AI")
        return _told(Kind.UNANSWERED, f"{why.format(batch)}; its messages are carried into the next one")
    age, patience = record.lock_age(facts.now), patience_of(record, facts.settings)
    if age <= patience:
        text = f"batch {batch} has been with the AI for {age.total_seconds():.0f} s"
        if record.stall_resets:
            longer = f"its lock stalls after {patience.total_seconds():.0f} s"
            text += f"; {longer}, because {record.stall_resets} lock(s) stalled before it"
        return _told(Kind.WITH_AI, text)
    return _told(
        Kind.AI_LATE,
        f"the AI has not answered batch {batch} for {age.total_seconds():.0f} s; "
        f"the sweep resets the lock within {SWEEP_STALLED_MINUTES} minutes, or unlock",
    )


def _delivery(facts: Facts, answer: Mapping[str, Any]) -> tuple[Kind, str]:
    """How an answer arrived, as the provider says; of one that was sent once more, both."""
    first = next((one for one in facts.parts if one.part.send_id == answer.get("send_id")), None)
    again = next((one for one in facts.parts if one.part.resends == answer.get("send_id")), None) if first else None
    sends = [one for one in (first, again) if one is not None]
    last = sends[-1] if sends else None
    kind = Kind.ANSWERED
    if last is not None and (last.part.is_undelivered or last.delivery in _NOT_DELIVERED):
        kind = Kind.UNDELIVERED
    if last is not None and last.part.state is State.REFUSED:
        kind = _REPLY
    at, source = answer.get("timestamp", "at an unknown time"), answer.get("source", "the company")
    words = [_status(one) for one in sends] or [_NO_STATUS]
    return kind, f"sent {at} by {source}; {'; sent once more: '.join(words)}"


def _status(one: SentPart) -> str:
    """The last word on a part: its delivery status; for a failure also its code, what it means and who must act."""
    status = one.delivery or one.part.state.value
    if one.part.is_undelivered:
        return f"NOT DELIVERED ({status}), {_meaning(one.part.error_code or ReplyCode.UNDELIVERED)}"
    return f"{status}, {_meaning(one.part.error_code)}" if one.part.error_code else status


def _refusal(facts: Facts) -> Verdict | None:
    """Why the webhook took nothing, as the log says."""
    steps = (Step.REFUSED, Step.FAILED)
    found = [one.line.fields for one in facts.logged if one.line.step in steps]
    mine = [one for one in found if facts.sid is None or one.get("message_sid") == facts.sid]
    if not mine:
        return None
    code = str(mine[-1].get("code"))
    kind = _kind(code, _FAULT)
    ours = ". This is a fault of ours: doctor names it, and catch-up brings the message back" if kind.is_ours else ""
    return _told(kind, f"no reply: it was not taken, {_meaning(code)}{ours}")


def _kind(code: str, otherwise: Kind) -> Kind:
    return MEANINGS[code].kind if code in MEANINGS else otherwise


def _meaning(code: str) -> str:
    if code in MEANINGS:
        return f"{code}: {MEANINGS[code].words}"
    row = TWILIO_CODES.row(code)
    return f"{code}: {row.meaning}; {row.actor.value} must act" if row is not None else code
