"""Guards and orders that the protocol leans on, each removed or swapped: the simulation must convict every one.

A mutant is a change of the shipped source, applied to a copy of it; `convict` finds the run that convicts it, and the
table in docs/protocol.md keeps that. Patterns are short, so that they outlive changes of what stands around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """One guard less, or one order the other way round."""

    what: str
    guard: str
    """Its label, or the words by which docs/protocol.md knows it."""
    file: str
    """Within chalicelib."""
    changes: tuple[tuple[str, str], ...]
    """What stands there, exactly once, and what stands there instead."""

    def apply(self, package: Path) -> None:
        """Change a copy of the package.

        Raises:
            LookupError: the pattern no longer stands there once.
        """
        path = package / self.file
        source = path.read_text()
        for old, new in self.changes:
            if source.count(old) != 1:
                raise LookupError(
                    f"{self.what}: the pattern stands {source.count(old)} times in chalicelib/{self.file}; mend it in "
                    f"tests/simulation/mutants.py, and hunt again with `make mutants`:\n{old}"
                )
            source = source.replace(old, new)
        path.write_text(source)


def _mutant(what: str, guard: str, file: str, *changes: tuple[str, str]) -> Mutant:
    return Mutant(what, guard, file, changes)


MUTANTS = (
    # Stage 1.
    _mutant(
        "a trigger is ensured before the message is staged",
        "T2",
        "inbound/receiving.py",
        (
            "        staged = self._stage(",
            "        trigger_lock.ensure(tables.trigger_lock, queues.trigger(message.channel), "
            "Trigger(conversation.key, self._new_id()), delay_seconds=0, now=self._clock.now(), "
            "tenant=conversation.tenant)\n"
            "        staged = self._stage(",
        ),
        (
            "            if staged.route is Route.HANDOFF:\n",
            "            if staged.route is Route.CHANNEL:\n                return Outcome()\n"
            "            if staged.route is Route.HANDOFF:\n",
        ),
    ),
    _mutant(
        "a message is staged over its row, wherever it was staged before",
        "S1",
        "protocol/staging.py",
        ("when=Attr(MESSAGE_SID).missing()):  # S1", "when=None):  # S1"),
    ),
    _mutant(
        "a retry goes where it would be routed now, not where its row says",
        "S1",
        "inbound/receiving.py",
        (
            "            case Duplicate(existing):\n                return _duplicate(existing, trail)\n",
            "            case Duplicate(_):\n                return staged\n",
        ),
    ),
    # The trigger lock.
    _mutant(
        "the trigger lock is given up after the work",
        "T2",
        "batches/batching.py",
        ("        trigger_lock.give_up(job.tables.trigger_lock, job.trigger)  # T2", "        # T2"),
        (
            '                return\n        raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing")',
            "                trigger_lock.give_up(job.tables.trigger_lock, job.trigger)\n                return\n"
            '        raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing")',
        ),
    ),
    _mutant(
        "a trigger is not sent where its lock's write may have failed",
        "T1",
        "protocol/trigger_lock.py",
        ("        return Triggered(trigger, lock_fault=fault)\n", "        raise\n"),
    ),
    _mutant(
        "an own trigger lock whose answer was lost is taken for another's",
        "T1",
        "protocol/trigger_lock.py",
        (
            "        case Refused(held) if held.get(TRIGGER_ID) == trigger.trigger_id:\n",
            "        case Refused(held) if not held:\n",
        ),
    ),
    _mutant(
        "a trigger lock that has expired is still another's",
        "T1",
        "protocol/trigger_lock.py",
        (" | Attr(EXPIRES_AT).le(epoch(now))", ""),
    ),
    _mutant(
        "the trigger of another conversation of the same id counts as ours",
        "T1",
        "protocol/trigger_lock.py",
        (" | is_another_s\n", "\n"),
    ),
    _mutant(
        "a trigger that failed comes again under a new id",
        "T4",
        "protocol/trigger_lock.py",
        (
            "        return replace(self, attempt=self.attempt + 1)\n",
            "        return replace(self, attempt=self.attempt + 1, trigger_id=self.trigger_id + '+')\n",
        ),
    ),
    _mutant(
        "a trigger that failed comes again only where no other waits",
        "T4",
        "batches/batching.py",
        ("        trigger_lock.send_again(\n", "        trigger_lock.ensure(\n"),
    ),
    # Reading.
    _mutant(
        "the stage is read as it was a moment ago",
        "S2",
        "aws/dynamodb.py",
        ('        request |= {"ConsistentRead": True} if index', "        request |= {} if index"),
    ),
    _mutant(
        "stage 2 reads the record as it was a moment ago",
        "S2",
        "aws/dynamodb.py",
        ('"ConsistentRead": True, **request}', "**request}"),
    ),
    _mutant(
        "a reply reads the record as it was a moment ago",
        "S2",
        "aws/dynamodb.py",
        ('"Key": item_to_wire(key), "ConsistentRead": True, **', '"Key": item_to_wire(key), **'),
    ),
    _mutant(
        "rows of another conversation of the same id are read along",
        "I7",
        "protocol/staging.py",
        ("if one.conversation == conversation and route in", "if route in"),
    ),
    _mutant(
        "staged messages are taken in the order of their sids",
        "I3",
        "protocol/staging.py",
        ("key=lambda one: one.order))", "key=lambda one: one.message_sid))"),
    ),
    # Stage 2.
    _mutant(
        "a trigger that comes again does not resume its own lock",
        "g",
        "batches/batching.py",
        (
            "        if view.record.is_locked and view.record.trigger_id == job.trigger.trigger_id:\n",
            "        if False:\n",
        ),
    ),
    _mutant(
        "all rows that were read are settled, not only those of the batch that the lock names",
        "S3",
        "batches/batching.py",
        ("for message in view.staged if message.message_sid in ended_ids]", "for message in view.staged]"),
    ),
    _mutant(
        "rows are settled before their batch is dispatched",
        "S3",
        "batches/batching.py",
        (
            "                self._dispatch(job, lease, may_abandon=not view.record.unanswered_ids)\n"
            "                self._settle(job, view, Record.from_item(lease.item).unanswered_ids)\n",
            "                self._settle(job, view, Record.from_item(lease.item).unanswered_ids)\n"
            "                self._dispatch(job, lease, may_abandon=not view.record.unanswered_ids)\n",
        ),
    ),
    _mutant(
        "what was answered is dispatched again when it comes again",
        "I2",
        "batches/batching.py",
        (
            "        return [message for message in self.considered if message.message_sid in ended]\n",
            "        return []\n",
        ),
    ),
    _mutant(
        "what is on the record counts as answered, though it is not",
        "L3",
        "batches/batching.py",
        (" - frozenset(self.record.unanswered_ids)\n", "\n"),
    ),
    _mutant(
        "the history is not asked whether a message was answered",
        "H3",
        "batches/batching.py",
        ("        ended = (self.record.entry_ids | self.moved_ids)", "        ended = (self.record.entry_ids)"),
    ),
    _mutant(
        "the history is not asked again after the record was moved meanwhile",
        "H3",
        "batches/batching.py",
        ("            moved = tables.history.get_together(looking_up)  # H3", "            pass  # H3"),
    ),
    _mutant(
        "a batch keeps the id of the one before it",
        "I5",
        "batches/batching.py",
        ("        batch_id = self._new_id()\n", "        batch_id = view.record.batch_id or self._new_id()\n"),
    ),
    _mutant(
        "people are sent messages that another worker may have taken for the AI",
        "L7",
        "batches/batching.py",
        (
            "            reserved = conversation_lock.reserve(job.tables.conversations, record)  # L7\n",
            "            reserved = record\n",
        ),
    ),
    _mutant(
        "what an earlier batch left unanswered goes to people without a claim",
        "m",
        "repair/stalled_locks.py",
        ("        return isinstance(outcome, Claim) and self.hand_off(", "        return self.hand_off("),
        ("        outcome = reply_claim.claim(\n", "        outcome = lambda *_, **__: None\n        outcome(\n"),
    ),
    _mutant(
        "a claim for people waits for its stall timeout",
        "m",
        "batches/batching.py",
        ("        if record.claim == reply_claim.PEOPLE:\n", "        if record.claim is None and record.claim:\n"),
    ),
    # The conversation lock.
    _mutant(
        "the lock is acquired whatever became of the record since it was read",
        "L1",
        "protocol/conversation_lock.py",
        ("when=record.unchanged):  # L1", "when=Attr(STATUS).exists()):  # L1"),
    ),
    _mutant(
        "the record's version is no part of `unchanged`",
        "L1",
        "protocol/record.py",
        ("            & Attr(VERSION).stays(self.version)\n", ""),
    ),
    _mutant(
        "the record's status is no part of `unchanged`",
        "L1",
        "protocol/record.py",
        ("            & Attr(STATUS).stays(self.status)\n", ""),
    ),
    _mutant(
        "what an earlier batch left unanswered is not carried",
        "L3",
        "protocol/conversation_lock.py",
        ("    unanswered = [*carried, *(", "    unanswered = [*("),
    ),
    _mutant(
        "a message that no batch takes is appended whatever became of the record",
        "L4",
        "protocol/conversation_lock.py",
        ("when=record.unchanged):  # L4", "when=Attr(STATUS).exists()):  # L4"),
    ),
    _mutant(
        "a stalled lock is reset though a reply has claimed it",
        "R3",
        "protocol/conversation_lock.py",
        ("when=is_as_seen & Attr(CLAIM).missing()):", "when=is_as_seen):"),
    ),
    _mutant(
        "an open record keeps the start and the trigger of its last lock",
        "L6",
        "protocol/conversation_lock.py",
        ("    removed = (STARTED_AT, TRIGGER_ID, LOCK_SHARD, *", "    removed = (LOCK_SHARD, *"),
    ),
    _mutant(
        "a lock that another system set never begins to age",
        "f",
        "batches/batching.py",
        (
            "            conversation_lock.stamp(job.tables.conversations, record, "
            "shards=self._settings.lock_index_shards, now=now)\n",
            "",
        ),
    ),
    # The reply.
    _mutant(
        "a reply claims whatever batch the record has",
        "R1",
        "outbound/replying.py",
        ("        if record.batch_id != reply.batch_id:\n", "        if record.batch_id is None:\n"),
    ),
    _mutant(
        "a reply claims whatever became of the record since it was read",
        "R1",
        "protocol/reply_claim.py",
        ("        & Attr(VERSION).stays(record.version)  # R1: each write of ours raises it, an opt-out's too.\n", ""),
        ("        & Attr(CLAIM).missing()\n    )", "    )"),
    ),
    _mutant(
        "the reply to a batch whose lock was reset is refused",
        "i",
        "outbound/replying.py",
        ("        if not record.unanswered_ids:\n", "        if not record.unanswered_ids or not record.is_locked:\n"),
    ),
    _mutant(
        "a release names neither its batch nor its claim",
        "R3",
        "protocol/reply_claim.py",
        (
            "    is_ours = Attr(BATCH_ID).eq(batch_id) & Attr(CLAIM).eq(reply_id)  # R3\n",
            "    is_ours = Attr(BATCH_ID).exists()  # R3\n",
        ),
    ),
    _mutant(
        "a release leaves its batch unanswered",
        "R3",
        "protocol/reply_claim.py",
        ("change = opened(status, answered=True,", "change = opened(status, answered=False,"),
    ),
    _mutant(
        "a claimed reply that stalled is carried into the next batch",
        "R3",
        "protocol/reply_claim.py",
        ("    change = opened(Status.ERROR, answered=True,", "    change = opened(Status.ERROR, answered=False,"),
    ),
    _mutant(
        "a stalled batch is handed to people before it is claimed in their name",
        "m",
        "repair/stalled_locks.py",
        (
            "        outcome = reply_claim.claim(\n",
            "        self._handoff.send(queues, conversation, conversation.record.unanswered, trail)\n"
            "        outcome = reply_claim.claim(\n",
        ),
    ),
    _mutant(
        "the stage is not looked at after a release",
        "look",
        "outbound/replying.py",
        (
            "                self._tell_end(job, entries, error_code)\n                self._look_at_stage(job)\n",
            "                self._tell_end(job, entries, error_code)\n",
        ),
    ),
    _mutant(
        "a part is claimed whoever claimed it before",
        "P1",
        "protocol/sends.py",
        ("when=Attr(SEND_ID).missing()):  # P1", "when=None):  # P1"),
    ),
    _mutant(
        "a part that another process claimed is sent all the same",
        "P1",
        "outbound/replying.py",
        ("            case State.CLAIMED if found.token == job.token:\n", "            case State.CLAIMED:\n"),
        ("            case State.CLAIMED | State.UNKNOWN:\n", "            case State.UNKNOWN:\n"),
    ),
    # The history.
    _mutant(
        "entries leave the record before they are in the history",
        "H1",
        "protocol/history.py",
        ("    history.put_many(rows)  # H1: there before they leave here.\n", ""),
        (
            "    return isinstance(conversation_lock.remove_moved(conversations, record, count=count, now=now), Appended)\n",
            "    was_moved = isinstance("
            "conversation_lock.remove_moved(conversations, record, count=count, now=now), Appended)\n"
            "    history.put_many(rows)\n    return was_moved\n",
        ),
    ),
    _mutant(
        "entries leave the record that are not answered",
        "H2",
        "protocol/history.py",
        ("    waiting = frozenset(record.unanswered_ids)\n", "    waiting = frozenset[str]()\n"),
    ),
    # People, and the sweep.
    _mutant(
        "a message for people is settled before it is handed off",
        "S3",
        "conversations/handoff.py",
        (
            "            conversation, known_ids = self._read(tables, message)\n",
            "            staging.settle(tables.stage, message.conversation, [message.message_sid])\n"
            "            conversation, known_ids = self._read(tables, message)\n",
        ),
    ),
    _mutant(
        "a message for people is not looked for in the record before it is appended",
        "I2",
        "conversations/handoff.py",
        ("            if message.message_sid in known_ids:\n", "            if message.message_sid in ():\n"),
    ),
    _mutant(
        "the sweep triggers no orphaned row",
        "sweep",
        "repair/sweeping.py",
        ("            self._retriggering.trigger(tables, queues, message, trail)\n", "            pass\n"),
    ),
    _mutant(
        "the sweep hands no orphaned row to people",
        "sweep",
        "repair/sweeping.py",
        ("            self._handoff.hand_off(tables, queues, message, trail)\n", "            pass\n"),
    ),
)


def by_number() -> dict[str, Mutant]:
    """The mutants as docs/protocol.md numbers them."""
    return {f"M{number}": mutant for number, mutant in enumerate(MUTANTS, start=1)}
