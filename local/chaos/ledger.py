"""The ledger: compares what was sent with its outcome. Pure; each broken rule is one named violation.

Guarantee: what no rule here convicts has kept the promise - each acknowledged message was batched and answered, handed
to people or refused by a named rule; once, in order, under its own tenant - and nothing is left behind.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Result(StrEnum):
    """What is to become of a message."""

    BATCHED = "batched"
    HANDED_OFF = "handed off"
    REFUSED = "refused"


class Kind(StrEnum):
    """The rules, by what breaks them."""

    LOST = "acknowledged, and neither batched nor handed off nor refused"
    WRONG_END = "ended in a wrong way"
    TWO_BATCHES = "dispatched as new work more than once"
    BATCH_CHANGED = "a batch came again with other messages"
    OUT_OF_ORDER = "dispatched out of order"
    RECORD_OUT_OF_ORDER = "recorded out of order"
    RECORDED_TWICE = "recorded twice"
    NOT_RECORDED = "batched or handed off, and not recorded"
    UNANSWERED = "batched, and neither answered nor reported as unknown"
    ANSWERED_TWICE = "answered more than once"
    REPLY_NOT_RECORDED = "answered, and the answer neither recorded nor reported as unknown"
    STRANGER = "in a batch, an answer or a record of another conversation or company"
    NEVER_SENT = "present, and never sent"
    LOCKED = "left locked"
    CARRYING = "left with messages that count as unanswered"
    STAGED = "left staged"
    QUEUED = "left in a queue"
    UNTOLD = "a status that the stub never sent"
    UNEXPLAINED = "more answers of unknown outcome than were disturbed"
    SURPRISE = "an unexpected error"


@dataclass(frozen=True)
class Violation:
    """One broken rule, and of what."""

    kind: Kind
    of: str

    def __str__(self) -> str:
        return f"{self.of}: {self.kind}"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One message of a customer, and how its requests were answered."""

    sid: str
    number: int
    """Counts the messages of a conversation in the order in which they were written."""
    conversation: str
    company: str
    text: str
    """No other message's."""
    result: Result = Result.BATCHED
    code: str = ""
    """Of the rule that refuses it."""
    is_acknowledged: bool = True


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch as the AI got it."""

    batch_id: str
    conversation: str
    company: str
    new: tuple[str, ...]
    carried: tuple[str, ...] = ()

    @property
    def sids(self) -> tuple[str, ...]:
        return (*self.carried, *self.new)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message on a customer's phone."""

    sid: str
    conversation: str
    """Told by its account and its recipient."""
    batch_id: str
    part: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a conversation's record says in the end."""

    conversation: str
    history: tuple[str, ...] = ()
    """The ids of the inbound entries that were moved off it, in order."""
    entries: tuple[str, ...] = ()
    """The ids of its inbound entries, in order."""
    outbound: frozenset[str] = frozenset()
    """The ids of the outbound entries, moved ones too."""
    is_locked: bool = False
    unanswered: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that was sent and all that is there."""

    sent: Sequence[Sent]
    batches: Sequence[Batch] = ()
    """In the order in which the AI got them, repeated ones repeated."""
    deliveries: Sequence[Delivery] = ()
    handed_off: Sequence[tuple[str, str]] = ()
    """Conversation and message id, as people got them, repeated ones repeated."""
    refused: frozenset[tuple[str, str]] = frozenset()
    """Message id and code, as the log told them."""
    unknown: frozenset[str] = frozenset()
    """The batches whose answer was told to be of unknown outcome."""
    records: Sequence[Record] = ()
    staged: Sequence[str] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    """How many messages each queue holds."""
    callbacks_to_come: int = 0
    answers_disturbed: int = 0
    """How many answers a kill or a fault of Twilio may have disturbed: so many may be of unknown outcome."""
    surprises: frozenset[str] = frozenset()
    """The errors that a process told as nobody's fault but ours."""


def violations(found: Found) -> list[Violation]:
    """Every broken rule; none: the promise was kept."""
    rules = (_ends, _dispatch, _order, _answers, _recording, _tenants, _leftovers, _errors)
    return [violation for rule in rules for violation in rule(found)]


def _ends(found: Found) -> Iterator[Violation]:
    """Each acknowledged message has one end, and each message no other end than its own."""
    batched = {sid for batch in found.batches for sid in batch.sids}
    handed_off = {sid for _, sid in found.handed_off}
    refused = {sid for sid, _ in found.refused}
    for one in found.sent:
        ends = {
            result
            for result, sids in ((Result.BATCHED, batched), (Result.HANDED_OFF, handed_off), (Result.REFUSED, refused))
            if one.sid in sids
        }
        if one.is_acknowledged and not ends:
            yield Violation(Kind.LOST, _named(one))
        elif ends - {one.result} or (
            one.result is Result.REFUSED and ends and (one.sid, one.code) not in found.refused
        ):
            told = ", ".join(sorted(ends) + sorted(code for sid, code in found.refused if sid == one.sid))
            yield Violation(Kind.WRONG_END, f"{_named(one)} ({told})")


def _dispatch(found: Found) -> Iterator[Violation]:
    """A message is new work of one batch, and a batch that comes again is the same batch."""
    first: dict[str, Batch] = {}
    for batch in found.batches:
        if set(first.setdefault(batch.batch_id, batch).sids) != set(batch.sids):
            yield Violation(Kind.BATCH_CHANGED, f"batch {batch.batch_id} of {batch.conversation}")
    times = Counter(sid for batch in first.values() for sid in batch.new)
    for one in found.sent:
        if times[one.sid] > 1:
            yield Violation(Kind.TWO_BATCHES, _named(one))


def _order(found: Found) -> Iterator[Violation]:
    """The AI gets the messages of a conversation as they were written, and the record those that were acknowledged.

    A message that nobody acknowledged may be recorded late: a webhook that died had staged it, and for people the sweep
    hands it off when it finds it. Its customer wrote on meanwhile, for a provider had given it up.
    """
    sent = {one.sid: one for one in found.sent}
    dispatched: dict[str, list[str]] = defaultdict(list)
    for batch in found.batches:
        dispatched[batch.conversation] += batch.sids
    for conversation, sids in dispatched.items():
        for before, late in _late(sids, sent):
            yield Violation(Kind.OUT_OF_ORDER, f"{late.sid} after {before.sid} in {conversation}")
    for record in found.records:
        for before, late in _late((*record.history, *record.entries), sent):
            if late.is_acknowledged:
                yield Violation(Kind.RECORD_OUT_OF_ORDER, f"{late.sid} after {before.sid} in {record.conversation}")


def _late(sids: Iterable[str], sent: Mapping[str, Sent]) -> Iterator[tuple[Sent, Sent]]:
    """Each message that comes for the first time after one that was written later, and that one."""
    latest: Sent | None = None
    for one in (sent[sid] for sid in dict.fromkeys(sids) if sid in sent):
        if latest is not None and one.number < latest.number:
            yield latest, one
        else:
            latest = one


def _answers(found: Found) -> Iterator[Violation]:
    """Each batched message is answered once, or its answer is told to be of unknown outcome."""
    parts = Counter((delivery.batch_id, delivery.part) for delivery in found.deliveries)
    for (batch_id, part), times in parts.items():
        if times > 1:
            yield Violation(Kind.ANSWERED_TWICE, f"part {part} of batch {batch_id}")
    answered = {delivery.batch_id for delivery in found.deliveries} | found.unknown
    ended = {sid for batch in found.batches if batch.batch_id in answered for sid in batch.sids}
    batched = {sid for batch in found.batches for sid in batch.sids}
    answers = Counter(text for delivery in found.deliveries for text in quoted(delivery.text))
    for one in found.sent:
        if one.sid in batched - ended:
            yield Violation(Kind.UNANSWERED, _named(one))
        if answers[one.text] > 1:
            yield Violation(Kind.ANSWERED_TWICE, _named(one))


def _recording(found: Found) -> Iterator[Violation]:
    """What was batched, handed off or sent stands in the record, once."""
    recorded = {sid for record in found.records for sid in (*record.history, *record.entries)}
    outbound = {sid for record in found.records for sid in record.outbound}
    ended = {sid for batch in found.batches for sid in batch.sids} | {sid for _, sid in found.handed_off}
    for record in found.records:
        for sid, times in Counter(record.entries).items():
            if times > 1:
                yield Violation(Kind.RECORDED_TWICE, f"{sid} in {record.conversation}")
    for sid in sorted(ended - recorded):
        yield Violation(Kind.NOT_RECORDED, sid)
    for delivery in found.deliveries:
        if delivery.sid not in outbound and delivery.batch_id not in found.unknown:
            yield Violation(Kind.REPLY_NOT_RECORDED, f"{delivery.sid} of batch {delivery.batch_id}")


def _tenants(found: Found) -> Iterator[Violation]:
    """Nothing of a conversation reaches another one, and nothing comes from nowhere."""
    home = {one.sid: one.conversation for one in found.sent}
    company = {one.conversation: one.company for one in found.sent}
    of_batch = {batch.batch_id: batch.conversation for batch in found.batches}
    seen = [
        *((sid, batch.conversation) for batch in found.batches for sid in batch.sids),
        *((sid, conversation) for conversation, sid in found.handed_off),
        *((sid, record.conversation) for record in found.records for sid in (*record.history, *record.entries)),
    ]
    for sid, conversation in dict.fromkeys(seen):
        if sid not in home:
            yield Violation(Kind.NEVER_SENT, f"{sid} in {conversation}")
        elif home[sid] != conversation:
            yield Violation(Kind.STRANGER, f"{sid} of {home[sid]} in {conversation}")
    for batch in found.batches:
        if batch.company != company.get(batch.conversation, batch.company):
            yield Violation(Kind.STRANGER, f"batch {batch.batch_id} of {batch.conversation}")
    for delivery in found.deliveries:
        if delivery.batch_id not in of_batch:
            yield Violation(Kind.NEVER_SENT, f"{delivery.sid} to {delivery.conversation}")
        elif of_batch[delivery.batch_id] != delivery.conversation:
            yield Violation(Kind.STRANGER, f"{delivery.sid} to {delivery.conversation}")


def _leftovers(found: Found) -> Iterator[Violation]:
    """Nothing is locked, carried, staged or queued, and no letter is dead."""
    for record in found.records:
        if record.is_locked:
            yield Violation(Kind.LOCKED, record.conversation)
        if record.unanswered:
            yield Violation(Kind.CARRYING, f"{record.conversation} ({', '.join(record.unanswered)})")
    for sid in found.staged:
        yield Violation(Kind.STAGED, sid)
    for queue, count in found.waiting.items():
        if count:
            yield Violation(Kind.QUEUED, f"{count} in {queue}")
    if found.callbacks_to_come:
        yield Violation(Kind.UNTOLD, f"{found.callbacks_to_come} callbacks")


def _errors(found: Found) -> Iterator[Violation]:
    """Unknown is an end for what was disturbed, and not a way out; and no disturbance is an error of ours."""
    if len(found.unknown) > found.answers_disturbed:
        yield Violation(Kind.UNEXPLAINED, f"{len(found.unknown)} unknown, {found.answers_disturbed} disturbed")
    for surprise in sorted(found.surprises):
        yield Violation(Kind.SURPRISE, surprise)


def quoted(text: str) -> Iterable[str]:
    """The messages that an answer of the stub AI names: every other piece between its quotation marks."""
    return text.split('"')[1::2]


def _named(one: Sent) -> str:
    return f"message {one.number} of {one.conversation} ({one.sid})"
