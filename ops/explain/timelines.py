"""The timeline of one message or conversation: what happened, in order, and why there was or was no reply; pure.

Facts come from tables, dead-letter queues and logs. What somebody wrote is told by its length, and no address whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.clock import from_iso
from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import Code, ReplyCode
from chalicelib.protocol.conversation_lock import PEOPLE
from chalicelib.protocol.record import Record, Status, entry_id
from chalicelib.protocol.sends import Part, State
from chalicelib.protocol.staging import StagedMessage
from chalicelib.settings import SWEEP_STALLED_MINUTES, Settings
from chalicelib.telemetry import Step
from local.logs import LogLine
from ops.stage.dead_letters import DeadLetter
from ops.terminal import masking
from ops.terminal.step_texts import in_words

MEANINGS: Mapping[str, str] = {
    Code.PARSING_ERROR: "what came was no message of the provider's",
    Code.MISSING_REQUIRED_FIELD: "what came was no message of the provider's",
    Code.SENDER_WITHOUT_NUMBER: "a user without a phone number, whose id no row names",
    Code.MISDIRECTED_CALLBACK: "a status callback that was sent to the URL for messages: correct it at the provider",
    Code.CONVERSATION_NOT_FOUND: "no active conversation between these two addresses",
    Code.INVALID_SIGNATURE: "no secret of the company signed it: a forger, a rotated token, a wrong PUBLIC_BASE_URL",
    Code.MISSING_CREDENTIAL_CONFIG: "the conversation names no secret for the channel",
    Code.SECRET_FETCH_FAILED: "the company's secret is missing or malformed",
    Code.PROJECT_INACTIVE: "the project is not active",
    Code.CHANNEL_NOT_ALLOWED: "the channel is not among allowed_channels",
    Code.OPTED_OUT: "the customer said STOP, and has not said START since",
    Code.CONVERSATION_LOCKED: "the conversation was locked, and the policy on_new_message is reject",
    ReplyCode.STALE: "it answered a batch that is no longer the conversation's",
    ReplyCode.SECOND: "it was the second answer to its batch",
    ReplyCode.NO_CONVERSATION: "it named a conversation that is not there",
    ReplyCode.NO_RECIPIENT: "the record tells nobody to answer",
    ReplyCode.OUTSIDE_WINDOW: "the customer last wrote too long ago for free text: a template is needed",
    ReplyCode.UNKNOWN_OUTCOME: "nobody can say whether the customer got it; it is never sent again",
}
"""What our codes mean to a person; the provider's own are told as they are."""


@dataclass(frozen=True, repr=False)
class SentPart:
    """One part of a reply, and what the provider told of it."""

    part: Part
    delivery: str | None


_REPLIES = ("ai-replies", "human-replies")
"""The queues of replies, by their roles."""


@dataclass(frozen=True, repr=False)
class Dead:
    """One dead letter of the conversation in a dead-letter queue."""

    role: str
    dead_letter: DeadLetter


@dataclass(frozen=True, repr=False)
class Logged:
    """One log line."""

    at: datetime
    function: str
    line: LogLine


@dataclass(frozen=True, repr=False)
class Facts:
    """All that is known."""

    now: datetime
    settings: Settings
    conversation: Conversation | None
    sid: str | None = None
    """The message that was asked about; None: the conversation's last."""
    staged: Sequence[StagedMessage] = ()
    trigger_due_at: datetime | None = None
    """When the waiting trigger's lock expires; None: no trigger waits."""
    moved: Sequence[Mapping[str, Any]] = ()
    """Entries of the history."""
    parts: Sequence[SentPart] = ()
    dead: Sequence[Dead] = ()
    logged: Sequence[Logged] = ()

    @property
    def record(self) -> Record | None:
        return self.conversation.record if self.conversation is not None else None

    @property
    def entries(self) -> list[Mapping[str, Any]]:
        """Every entry that is known, the history's first."""
        own = self.record.entries if self.record is not None else ()
        return [one for one in (*self.moved, *(own or ())) if isinstance(one, Mapping)]

    @property
    def wanted(self) -> str | None:
        """The message that the verdict is about."""
        inbound = [entry_id(one) for one in self.entries if one.get("direction") == "INBOUND"]
        known = [*inbound, *(one.message_sid for one in self.staged)]
        return self.sid or (known[-1] if known else None)

    def dead_in(self, *roles: str, batch_id: str | None = None) -> Dead | None:
        """The first dead letter in one of these queues, of this batch or of none that it tells."""
        found = (one for one in self.dead if one.role in roles)
        return next((one for one in found if one.dead_letter.batch_id in (None, batch_id)), None)


@dataclass(frozen=True, order=True)
class Event:
    """One thing that happened."""

    at: datetime
    target: str
    what: str


def events(facts: Facts) -> list[Event]:
    """Everything that is known to have happened, in order; each line once."""
    found = {*_of_entries(facts), *_of_tables(facts), *_of_parts(facts), *_of_queues(facts), *_of_logs(facts)}
    return sorted(found)


def addresses(facts: Facts) -> frozenset[str]:
    """Every address that the facts name, to be masked wherever it stands."""
    record = facts.record
    known = {record.key.primary_channel} if record is not None else set()
    told = (one.context.get("messages", ({},))[0] for one in facts.staged)
    known |= {str(one[name]) for one in told for name in ("from", "to") if name in one}
    return frozenset(known) | masking.addresses_of(facts.entries)


def verdict(facts: Facts) -> str:
    """Why there was or was no reply, and what there is to do about it."""
    wanted = facts.wanted
    if wanted is None:
        return _refusal(facts) or "nothing was ever received in this conversation"
    # A row may outlive its entry's batch, or come again after it: what the entry tells is the later word.
    entry = next((one for one in facts.entries if entry_id(one) == wanted), None)
    staged = next((one for one in facts.staged if one.message_sid == wanted), None)
    if entry is None and staged is not None:
        return _of_staged(facts, staged)
    if entry is None:
        refusal = _refusal(facts)
        if refusal is None and any(one.line.fields.get("message_sid") == wanted for one in facts.logged):
            return f"no reply: the log tells of {wanted}, and no table holds it any more: its conversation was erased"
        return refusal or (
            f"{wanted} is neither staged nor in the record or the history, and no log line tells of it: "
            "it never came, or was dropped by a fault of ours; catch-up brings it back"
        )
    return _of_entry(facts, entry, wanted)


def _of_staged(facts: Facts, staged: StagedMessage) -> str:
    record = facts.record
    if record is not None and record.is_locked:
        return f"no reply yet: it waits for the one before it: {_of_lock(facts, record)}"
    if facts.trigger_due_at is not None:
        return f"no reply yet: it waits for its batch; a trigger comes by {facts.trigger_due_at:%H:%M:%S} at the latest"
    dead = facts.dead_in(staged.channel)
    if dead is not None:
        reason = dead.dead_letter.reason or "it failed too often"
        return (
            f"no reply: its trigger is a dead letter ({reason}). The sweep triggers it again; else redrive {dead.role}"
        )
    again = f", recovered {staged.recoveries} time(s) so far" if staged.recoveries else ""
    return f"no reply: it is staged and no trigger waits{again}; the sweep triggers it within a minute"


def _dead(dead: Dead) -> str:
    """A dead letter, with its reason and what sends it back."""
    return f"a dead letter ({dead.dead_letter.reason or 'it failed too often'}); redrive {dead.role}"


def _of_marks(facts: Facts, entry: Mapping[str, Any]) -> str | None:
    """What an entry tells of its own end; None: its batch has to tell."""
    if entry.get("direction") == "OUTBOUND":
        return f"this is a reply: {_delivery(facts, entry)}"
    if entry.get("handed_off"):
        dead = facts.dead_in("human-replies")
        told = "" if dead is None else f"; their reply is {_dead(dead)}"
        return f"no reply of the AI: it was handed off to people{told}"
    if "refused" in entry:
        return f"no reply: it was refused, {_meaning(str(entry['refused']))}"
    if "opt_out" in entry:
        return f"no reply: the customer said {entry['opt_out']}, which the provider has answered itself"
    return None


def _of_entry(facts: Facts, entry: Mapping[str, Any], wanted: str) -> str:
    record, of_itself = facts.record, _of_marks(facts, entry)
    if of_itself is not None:
        return of_itself
    if record is not None and wanted in record.unanswered_ids:
        return f"no reply yet: {_of_lock(facts, record)}"
    behind = facts.entries[facts.entries.index(entry) + 1 :]
    sent = [one for one in behind if one.get("direction") == "OUTBOUND"]
    own = next((one for one in sent if "batch_id" in one and one["batch_id"] == entry.get("batch_id")), None)
    if own is not None:
        return f"answered: {_delivery(facts, own)}"
    is_last = record is not None and record.batch_id == entry.get("batch_id")
    if record is not None and is_last and record.last_reply_id == PEOPLE:
        dead = facts.dead_in("human-replies")
        told = "" if dead is None else f"; their reply is {_dead(dead)}"
        return f"no reply of the AI: people have the batch{told}"
    if record is not None and is_last and record.error_code is not None:
        return f"no reply: it was refused, {_meaning(record.error_code)}"
    # Carried into a later batch, it has that one's end.
    batch_id = record.batch_id if record is not None and not sent else entry.get("batch_id")
    dead = facts.dead_in(*_REPLIES, batch_id=batch_id)
    if dead is not None:
        return f"no reply: one is {_dead(dead)}"
    lines = (one.line.fields for one in reversed(facts.logged) if one.line.step == Step.REPLY_REFUSED)
    refused = next((one for one in lines if one.get("batch_id") in (None, entry.get("batch_id"), batch_id)), None)
    if refused is not None:
        return f"no reply: one was refused, {_meaning(str(refused.get('code')))}"
    if sent:
        return (
            f"its batch has no answer of its own; what went out next may have carried it: {_delivery(facts, sent[0])}"
        )
    return "no reply is known: its batch has ended, and nothing tells of one"


def _of_lock(facts: Facts, record: Record) -> str:
    """What keeps the batch that the record names."""
    if record.claim == PEOPLE:
        return (
            f"batch {record.batch_id} is being handed to people; whoever finds it next ends that if a crash cut it off"
        )
    if record.claim is not None:
        seconds = record.claim_age(facts.now).total_seconds()
        doubt = any(one.part.state in (State.CLAIMED, State.UNKNOWN) for one in facts.parts)
        is_old = seconds > facts.settings.reconcile_after_seconds
        what = "its send is in doubt and will be looked up at the provider" if doubt and is_old else "it is being sent"
        return f"a reply has claimed batch {record.batch_id}, {seconds:.0f} s ago; {what}"
    dead = facts.dead_in("ai", *_REPLIES, batch_id=record.batch_id)
    if dead is not None:
        known = {"ai": "the AI worker failed at it", "ai-replies": "its reply could not be sent"}
        return f"{known.get(dead.role, 'a reply of people could not be sent')}: {_dead(dead)}"
    if not record.is_locked:
        why = {
            Status.TIMEOUT.value: "the AI did not answer batch {} in time",
            Status.ERROR.value: "batch {} could not be made",
        }.get(record.status or "", "another system opened the record while batch {} was with the AI")
        return f"{why.format(record.batch_id)}; its messages are carried into the next one"
    age, patience = record.lock_age(facts.now), timedelta(seconds=facts.settings.stall_timeout_seconds)
    if age <= patience:
        return f"batch {record.batch_id} has been with the AI for {age.total_seconds():.0f} s"
    return (
        f"the AI has not answered batch {record.batch_id} for {age.total_seconds():.0f} s; "
        f"the sweep lets go of it within {SWEEP_STALLED_MINUTES} minutes, or unlock"
    )


def _delivery(facts: Facts, answer: Mapping[str, Any]) -> str:
    told = next((one for one in facts.parts if one.part.send_id == answer.get("send_id")), None)
    status = (told.delivery if told is not None else None) or "no delivery status was told"
    code = f", {told.part.error_code}" if told is not None and told.part.error_code else ""
    return (
        f"sent {answer.get('timestamp', 'at an unknown time')} by {answer.get('source', 'the company')}; {status}{code}"
    )


def _refusal(facts: Facts) -> str | None:
    """Why the webhook took nothing, as the log tells."""
    steps = (Step.REFUSED, Step.FAILED)
    found = [one.line.fields for one in facts.logged if one.line.step in steps]
    mine = [one for one in found if facts.sid is None or one.get("message_sid") == facts.sid]
    return f"no reply: it was not taken, {_meaning(str(mine[-1].get('code')))}" if mine else None


def _meaning(code: str) -> str:
    return f"{code}: {MEANINGS[code]}" if code in MEANINGS else code


def _of_entries(facts: Facts) -> Iterator[Event]:
    for one in facts.entries:
        at = _instant(one.get("timestamp"))
        if at is None:
            continue
        inbound = one.get("direction") == "INBOUND"
        who = "the customer wrote" if inbound else f"{one.get('source', 'the company')} wrote"
        marks = [f"{name} {one[name]}" for name in ("batch_id", "refused", "opt_out") if name in one]
        marks += ["handed off to people"] if one.get("handed_off") else []
        told = ", ".join([str(entry_id(one) or "without an id"), masking.content(one.get("content")), *marks])
        yield Event(at, "record", f"{who}: {told}")


def _of_tables(facts: Facts) -> Iterator[Event]:
    for one in facts.staged:
        again = f", recovered {one.recoveries} time(s)" if one.recoveries else ""
        yield Event(one.received_at, "stage", f"{one.message_sid} is staged{again}")
    if facts.trigger_due_at is not None:
        yield Event(facts.trigger_due_at, "trigger lock", "a trigger waits until then at the latest")
    record = facts.record
    if record is None:
        return
    for at, what in (
        (record.started_at, f"locked for batch {record.batch_id}, or refreshed"),
        (record.claimed_at, f"a reply claimed batch {record.batch_id}"),
        (record.moved_before, "old entries were moved to the history"),
    ):
        instant = _instant(at)
        if instant is not None:
            yield Event(instant, "record", what)


def _of_parts(facts: Facts) -> Iterator[Event]:
    for one in facts.parts:
        at = _instant(one.part.claimed_at)
        if at is not None:
            part = one.part
            code = f", {part.error_code}" if part.error_code else ""
            told = f"part {part.number} of {part.count}: {part.state.value}{code}, {one.delivery or 'no status told'}"
            yield Event(at, "sends", f"{told} ({part.provider_sid or 'no sid'})")


def _of_queues(facts: Facts) -> Iterator[Event]:
    for one in facts.dead:
        yield Event(one.dead_letter.sent_at, f"{one.role}-dlq", one.dead_letter.reason or "it failed too often")


def _of_logs(facts: Facts) -> Iterator[Event]:
    for one in facts.logged:
        yield Event(one.at, one.function, in_words(one.line))


def _instant(text: object) -> datetime | None:
    try:
        return from_iso(text) if isinstance(text, str) else None
    except ValueError:
        return None
