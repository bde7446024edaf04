"""The timeline of one message or conversation: what is known of it, and what happened, in order; pure.

Facts come from tables, dead-letter queues and logs. Texts are shown as their length, and addresses are masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.clock import from_iso
from chalicelib.conversations.conversation import Conversation
from chalicelib.protocol.entries import entry_id
from chalicelib.protocol.record import Record
from chalicelib.protocol.send_rows import Part
from chalicelib.protocol.staging import StagedMessage
from chalicelib.settings import Settings
from local.logs import LogLine
from ops.stage.dead_letters import DeadLetter
from ops.terminal import masking
from ops.terminal.step_texts import in_words


@dataclass(frozen=True, repr=False)
class SentPart:
    """One part of a reply, and what the provider reported about it."""

    part: Part
    delivery: str | None


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
    has_logs: bool = True
    """Whether there was a log to read."""

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
            status = f", {one.delivery}" if one.delivery else ""
            told = f"part {part.number} of {part.count}: {part.state.value}{code}{status}"
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
