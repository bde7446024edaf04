"""Guards and orders that the protocol leans on, each removed or swapped; the simulation convicts every one.

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
        "inbound/admitting.py",
        (
            "        staged = self.storing.stage(tables, conversation, message, policy, attachments, trail, route=route)\n",
            "        if route is Route.CHANNEL:\n"
            "            from chalicelib.protocol.trigger_lock import Trigger, ensure\n"
            "            ensure(tables.trigger_lock, queues.trigger(message.channel), Trigger(conversation.key, self.storing.new_id()), delay_seconds=0, now=self.clock.now(), tenant=conversation.tenant)\n"
            "            self.storing.stage(tables, conversation, message, policy, attachments, trail, route=route)\n"
            "            return Outcome()\n"
            "        staged = self.storing.stage(tables, conversation, message, policy, attachments, trail, route=route)\n",
        ),
    ),
    _mutant(
        "a message is staged over its row, wherever it was staged before",
        "S1",
        "protocol/staging.py",
        ("when=Attr(MESSAGE_SID).missing()):  # S1", "when=None):  # S1"),
    ),
    # The trigger lock.
    _mutant(
        "the trigger lock is given up after the work",
        "T2",
        "batches/batching.py",
        (
            "        trigger_lock.give_up(job.tables.trigger_lock, job.trigger)  # T2: before the stage is read.\n",
            "",
        ),
        (
            "            following = views.look_again(partial(self._step, job, copies, may_trim=may_trim))\n",
            "            following = views.look_again(partial(self._step, job, copies, may_trim=may_trim))\n"
            "        trigger_lock.give_up(job.tables.trigger_lock, job.trigger)\n",
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
        "batches/requeueing.py",
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
        ('"Key": item_to_wire(key), "ConsistentRead": is_consistent, **', '"Key": item_to_wire(key), **'),
    ),
    _mutant(
        "rows of another conversation of the same id are read along",
        "I7",
        "protocol/staging.py",
        (
            "(one for one in staged if one.conversation == conversation)",
            "(one for one in staged)",
        ),
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
        "batches/decision.py",
        (
            "    is_ours = record.trigger_id == trigger_id\n",
            "    is_ours = False\n",
        ),
    ),
    _mutant(
        "all rows that were read are settled, not only those of the batch that the lock names",
        "S3",
        "batches/settling.py",
        ("for message in view.staged if message.message_sid in ended_ids]", "for message in view.staged]"),
    ),
    _mutant(
        "rows are settled before their batch is dispatched",
        "S3",
        "batches/dispatching.py",
        (
            "        self._dispatch(job, outcome, may_abandon=not view.record.unanswered_ids, measured=wait)\n"
            "        settle(job, view, Record.from_item(outcome.item).unanswered_ids)\n",
            "        settle(job, view, Record.from_item(outcome.item).unanswered_ids)\n"
            "        self._dispatch(job, outcome, may_abandon=not view.record.unanswered_ids, measured=wait)\n",
        ),
    ),
    _mutant(
        "what was answered is dispatched again when it comes again",
        "I2",
        "conversations/views.py",
        (
            "        return [message for message in self.considered if message.message_sid in ended]\n",
            "        return []\n",
        ),
        (
            "        return [message for message in self.fresh if message.message_sid not in self.record.entry_ids]\n",
            "        return list(self.fresh)\n",
        ),
    ),
    _mutant(
        "what is on the record counts as answered, though it is not",
        "L3",
        "conversations/views.py",
        (
            "        ended = (self.record.entry_ids | self.moved_ids) - waiting\n",
            "        ended = self.record.entry_ids | self.moved_ids\n",
        ),
    ),
    _mutant(
        "the history is not asked whether a message was answered",
        "H3",
        "conversations/views.py",
        (
            "        ended = (self.record.entry_ids | self.moved_ids)",
            "        ended = (self.record.entry_ids)",
        ),
    ),
    _mutant(
        "the history is not asked again after the record was moved meanwhile",
        "H3",
        "conversations/views.py",
        (
            "        moved = tables.history.get_together(history_reads)  # H3",
            "        pass  # H3",
        ),
    ),
    _mutant(
        "a batch keeps the id of the one before it",
        "I5",
        "batches/dispatching.py",
        ("        batch_id = self.new_id()\n", "        batch_id = view.record.batch_id or self.new_id()\n"),
    ),
    _mutant(
        "people are sent a batch whose claim for them was refused",
        "L7",
        "conversations/handoff.py",
        (
            "        if not isinstance(outcome, Claim):\n"
            "            return outcome\n"
            "        return self.finish(tables, queues, Conversation.from_item(outcome.item), trail, draft=draft)\n"
            "\n"
            "    def take_from_reply(",
            "        if not isinstance(outcome, Claim):\n"
            "            self.people.send(queues, conversation, conversation.record.unanswered, trail, draft)\n"
            "            return outcome\n"
            "        return self.finish(tables, queues, Conversation.from_item(outcome.item), trail, draft=draft)\n"
            "\n"
            "    def take_from_reply(",
        ),
    ),
    _mutant(
        "a claim for people waits for its stall timeout",
        "t",
        "batches/decision.py",
        (
            "        return Contend(GRACE_SECONDS) if is_young else FinishPeople()\n",
            "        return Contend(15)\n",
        ),
    ),
    # The conversation lock.
    _mutant(
        "the lock is acquired even if the record changed since it was read",
        "L1",
        "protocol/conversation_lock.py",
        ("when=record.unchanged):  # L1", "when=Attr(STATUS).exists()):  # L1"),
    ),
    _mutant(
        "the record's version is no part of `unchanged`",
        "L1",
        "protocol/record.py",
        (
            " & Attr(STATUS).stays(self.status) & Attr(VERSION).stays(self.version)\n",
            " & Attr(STATUS).stays(self.status)\n",
        ),
    ),
    _mutant(
        "the record's status is no part of `unchanged`",
        "L1",
        "protocol/record.py",
        (
            " & Attr(STATUS).stays(self.status) & Attr(VERSION).stays(self.version)\n",
            " & Attr(VERSION).stays(self.version)\n",
        ),
    ),
    _mutant(
        "what an earlier batch left unanswered is not carried",
        "L3",
        "protocol/conversation_lock.py",
        ("    unanswered = [*carried, *(", "    unanswered = [*("),
    ),
    _mutant(
        "a message that no batch takes is appended even if the record changed",
        "u",
        "protocol/record_writes.py",
        (
            "    match table.update(record.key.item, change, when=record.unchanged):  # O1",
            "    match table.update(record.key.item, change, when=Attr(MESSAGES).exists()):  # O1",
        ),
    ),
    _mutant(
        "an open record keeps the start and the trigger of its last lock",
        "L6",
        "protocol/lock_changes.py",
        (
            "    removed = (STARTED_AT, TRIGGER_ID, LOCK_SHARD, *CLAIM_ATTRIBUTES, *(",
            "    removed = (LOCK_SHARD, *CLAIM_ATTRIBUTES, *(",
        ),
    ),
    _mutant(
        "a lock that another system set never begins to age",
        "f",
        "batches/requeueing.py",
        (
            "                conversation_lock.stamp(job.tables.conversations, record, shards=shards, now=now)\n",
            "                pass\n",
        ),
    ),
    # The reply.
    _mutant(
        "a reply claims whatever batch the record has",
        "R1",
        "outbound/decision.py",
        (
            "    if record.batch_id != reply.batch_id:\n",
            "    if record.batch_id is None:\n",
        ),
    ),
    _mutant(
        "a reply claims even if the record changed since it was read",
        "R1",
        "protocol/claim_changes.py",
        ("        & Attr(VERSION).stays(record.version)  # R1: each write of ours raises it, an opt-out's too.\n", ""),
        (
            "        & Attr(CLAIM).missing()\n        & Attr(PRIMARY_CHANNEL).exists()\n    )",
            "        & Attr(PRIMARY_CHANNEL).exists()\n    )",
        ),
    ),
    _mutant(
        "the reply to a batch whose lock was reset is refused",
        "i",
        "outbound/decision.py",
        (
            "    if record.unanswered_ids:\n",
            "    if record.unanswered_ids and record.is_locked:\n",
        ),
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
        "protocol/lock_changes.py",
        (
            "    return opened(Status.ERROR, answered=True, now=now, also=also)\n",
            "    return opened(Status.ERROR, answered=False, now=now, also=also)\n",
        ),
    ),
    _mutant(
        "people are sent a batch before it is claimed for them",
        "L7",
        "conversations/handoff.py",
        (
            "        outcome = people_claim.claim_for_people(\n",
            "        self.people.send(queues, conversation, conversation.record.unanswered, trail, draft)\n"
            "        outcome = people_claim.claim_for_people(\n",
        ),
    ),
    _mutant(
        "the stage is not looked at after a release",
        "look",
        "outbound/endings.py",
        (
            "        self.report(job, Step.RELEASED, entries, error_code)\n        return self.look_at_stage(job)\n",
            "        self.report(job, Step.RELEASED, entries, error_code)\n        return True\n",
        ),
    ),
    _mutant(
        "a part is claimed whoever claimed it before",
        "P1",
        "protocol/sends.py",
        (
            "    match table.put(row, when=is_free):  # P1",
            "    match table.put(row, when=is_free | Attr(SEND_ID).exists()):  # P1",
        ),
    ),
    _mutant(
        "a part that another process claimed is sent all the same",
        "P1",
        "outbound/parts.py",
        (
            "            case State.CLAIMED if found.token == part.token:\n",
            "            case State.CLAIMED:\n",
        ),
        (
            "            case State.CLAIMED | State.UNKNOWN:\n",
            "            case State.UNKNOWN:\n",
        ),
    ),
    # The history.
    _mutant(
        "entries leave the record before they are in the history",
        "H1",
        "protocol/history.py",
        ("    history.put_many(rows)  # H1: there before they leave here.\n", ""),
        (
            "    return isinstance(record_writes.remove_moved(conversations, record, count=count, now=now), Appended)\n",
            "    was_moved = isinstance("
            "record_writes.remove_moved(conversations, record, count=count, now=now), Appended)\n"
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
        "a batch for people ends before they are sent it",
        "t",
        "conversations/handoff.py",
        (
            "        if record.unanswered:\n"
            "            self.people.send(queues, conversation, record.unanswered, trail, draft)\n"
            "        outcome = people_claim.end_with_people(tables.conversations, record, now=self.clock.now())\n",
            "        outcome = people_claim.end_with_people(tables.conversations, record, now=self.clock.now())\n"
            "        if isinstance(outcome, Released) and record.unanswered:\n"
            "            self.people.send(queues, conversation, record.unanswered, trail, draft)\n",
        ),
    ),
    _mutant(
        "the sweep triggers no orphaned row",
        "sweep",
        "repair/orphans.py",
        (
            "        self.retriggering.trigger(tables, queues, key, message.channel, message.tenant, trail)\n",
            "        pass\n",
        ),
    ),
    # One way to people, watched records, replies that come again, identity.
    _mutant(
        "the claim for people is a second write after the acquisition",
        "L7",
        "conversations/handoff.py",
        (
            "            for_people=True,\n",
            "            for_people=False,\n",
        ),
        (
            "        return self.finish(tables, queues, Conversation.from_item(lease.item), trail)\n\n    def claim(",
            "        return self.claim(tables, queues, Conversation.from_item(lease.item), trail)\n\n    def claim(",
        ),
    ),
    _mutant(
        "rows that people received are not settled",
        "b",
        "conversations/handoff.py",
        (
            "            staging.settle(tables.stage, record.key, record.unanswered_ids)\n",
            "",
        ),
    ),
    _mutant(
        "the webhook hands over what is staged though a stalled reply's end is not reported",
        "L8",
        "conversations/handoff.py",
        (
            "            and not record.has_unreported_end\n",
            "",
        ),
    ),
    _mutant(
        "the webhook sends no trigger for what did not fit into the batch for people",
        "T2",
        "conversations/handoff.py",
        (
            "            return handed if isinstance(handed, Changed) else len(taken) == len(view.staged)\n",
            "            return handed if isinstance(handed, Changed) else True\n",
        ),
    ),
    _mutant(
        "a batch for people has their claim but keeps them waiting for the window",
        "h",
        "batches/decision.py",
        (
            "    if not view.staged or run.for_people or not run.is_all:\n",
            "    if not view.staged or not run.is_all:\n",
        ),
    ),
    _mutant(
        "a running batch is not claimed for people who own the conversation by now",
        "i",
        "batches/decision.py",
        (
            "    if record.claim is None and _is_for_people(view, routing):\n        return ClaimForPeople()\n",
            "",
        ),
    ),
    _mutant(
        "a batch takes all that is staged, whatever its destination",
        "I3",
        "batches/decision.py",
        (
            "    messages = list(takewhile(lambda one: destinations[one.message_sid] == first, view.new))\n",
            "    messages = list(view.new)\n",
        ),
    ),
    _mutant(
        "what nobody answers is appended before what is staged before it",
        "I3",
        "batches/decision.py",
        (
            "        elif not isinstance(said, OptOut):\n            break\n",
            "        elif not isinstance(said, OptOut):\n            continue\n",
        ),
    ),
    _mutant(
        "a STOP is kept without its mark",
        "O3",
        "conversations/opt_out.py",
        (
            "    return stopped_channels(view.new) - view.conversation.opt_out_marks.channels\n",
            "    return frozenset()\n",
        ),
    ),
    _mutant(
        "a reply is sent to a customer who opted out",
        "R1",
        "outbound/planning.py",
        (
            "        if conversation.is_opted_out_of(channel.name):\n",
            "        if conversation.is_opted_out_of(channel.name) and reply.attempt > 99:\n",
        ),
    ),
    _mutant(
        "a claim holds whatever else was read of the record",
        "R1",
        "protocol/claim_changes.py",
        (
            "        & Attr(VERSION).stays(record.version)  # R1: each write of ours raises it, an opt-out's too.\n",
            "",
        ),
    ),
    _mutant(
        "a take-over holds whatever else was read of the record",
        "R2",
        "protocol/reply_claim.py",
        (
            "        & Attr(VERSION).stays(record.version)  # and with what else was read: the customer may have opted out since.\n",
            "",
        ),
    ),
    _mutant(
        "a take-over does not refresh the start of the lock",
        "k",
        "protocol/reply_claim.py",
        (
            "    change = Change(set={CLAIMED_AT: iso(now), CLAIM_TOKEN: token, STARTED_AT: iso(now)}, add={VERSION: 1})\n",
            "    change = Change(set={CLAIMED_AT: iso(now), CLAIM_TOKEN: token}, add={VERSION: 1})\n",
        ),
    ),
    _mutant(
        "a give-up ignores the start of the lock",
        "m",
        "protocol/reply_claim.py",
        (
            "        Attr(BATCH_ID).stays(record.batch_id) & Attr(CLAIM).eq(reply_id) & Attr(STARTED_AT).stays(record.started_at)\n",
            "        Attr(BATCH_ID).stays(record.batch_id) & Attr(CLAIM).eq(reply_id)\n",
        ),
    ),
    _mutant(
        "a claim is given back though a part was sent",
        "R3",
        "outbound/parts.py",
        (
            "                    gives_back = outcome.gives_claim_back and not entries\n",
            "                    gives_back = outcome.gives_claim_back\n",
        ),
    ),
    _mutant(
        "a claim is given back though an earlier try may have sent the part",
        "P1",
        "outbound/parts.py",
        (
            "gives_claim_back=not plan.is_begun, unsent",
            "gives_claim_back=True, unsent",
        ),
    ),
    _mutant(
        "a claim that sent nothing is not forgiven when the reply comes again",
        "P1",
        "protocol/sends.py",
        (
            "    for one in unsent:\n",
            "    for one in ():\n",
        ),
    ),
    _mutant(
        "a reply that comes again does not say which of its claims sent nothing",
        "P1",
        "outbound/concluding.py",
        (
            "        job = replace(job, reply=job.reply.without_sending(later.unsent_claims))\n",
            "",
        ),
    ),
    _mutant(
        "a reply that cannot be queued at once forgets which of its claims sent nothing",
        "P1",
        "outbound/job.py",
        (
            "        return replace(self, reply=fault.reply) if isinstance(fault, NotRequeued) else self\n",
            "        return self\n",
        ),
    ),
    _mutant(
        "a reply that was given up before it asked is not sent",
        "R1",
        "outbound/decision.py",
        ("        return record.claimed_at is not None and is_recent\n", "        return False\n"),
    ),
    _mutant(
        "a reply is planned anew though a part of it was sent",
        "n",
        "outbound/people.py",
        (
            "        plan = self.planning.plan(job, conversation, first_part(job))\n",
            "        plan = self.planning.plan(job, conversation, None)\n",
        ),
    ),
    _mutant(
        "what was sent is recorded without a look at the history",
        "R4",
        "repair/reconciliation.py",
        (
            "    return [one for one in missing if entry_id(one) not in moved]\n",
            "    return missing\n",
        ),
    ),
    _mutant(
        "what was sent is recorded whatever the record holds of it",
        "R4",
        "repair/reconciliation.py",
        (
            "    missing = [one for one in entries if one.get(SEND_ID) not in there and entry_id(one) not in record.entry_ids]\n",
            "    missing = list(entries)\n",
        ),
    ),
    _mutant(
        "a late reply that was sent is not recorded",
        "x",
        "outbound/late.py",
        (
            "        is_news = self.endings.record(job, plan.entries, is_whole=plan.error_code is None)\n",
            "        is_news = True\n",
        ),
    ),
    _mutant(
        "a reset record is not watched",
        "L8",
        "protocol/conversation_lock.py",
        (
            "    watched = watching(record.key, shards, now) if record.unanswered_ids else {}\n",
            "    watched: dict[str, str] = {}\n",
        ),
    ),
    _mutant(
        "a given-up record is not watched",
        "L8",
        "protocol/lock_changes.py",
        (
            "ERROR_CODE: error_code, **claimed, **watching(record.key, shards, now)}",
            "ERROR_CODE: error_code, **claimed}",
        ),
    ),
    _mutant(
        "a record is taken off the index before its end is reported",
        "L8",
        "repair/stalled_locks.py",
        (
            "        record = conversation.record\n        trail = trail",
            "        record = conversation.record\n"
            "        record_writes.unwatch(tables.conversations, record)\n"
            "        trail = trail",
        ),
    ),
    _mutant(
        "a record is taken off the index even if it changed",
        "L8",
        "protocol/record_writes.py",
        (
            "remove=(STARTED_AT, LOCK_SHARD)),\n        when=record.unchanged,\n",
            "remove=(STARTED_AT, LOCK_SHARD)),\n        when=Attr(VERSION).exists(),\n",
        ),
    ),
    _mutant(
        "the next batch begins before a given-up end is reported",
        "L8",
        "batches/decision.py",
        (
            "    if record.has_unreported_end:\n        return ReportEnd()\n",
            "",
        ),
    ),
    _mutant(
        "a batch that was never answered is never overdue",
        "L8",
        "repair/patience.py",
        (
            "    return record.watched_since is not None and record.watched_for(now)",
            "    return record.watched_since is None and record.watched_for(now)",
        ),
    ),
    _mutant(
        "a deadline may pass between a trigger and its lock",
        "T5",
        "protocol/trigger_lock.py",
        (
            "    return table.within(deadline.lifted), queue.within(deadline.lifted)\n",
            "    return table, queue\n",
        ),
    ),
    _mutant(
        "a trigger whose send failed leaves its lock behind",
        "T3",
        "protocol/trigger_lock.py",
        (
            "            with suppress(TryAgain, Misconfigured):\n"
            "                give_up(table, trigger)\n"
            "        raise\n",
            "            pass\n        raise\n",
        ),
    ),
    _mutant(
        "entries leave the record by their number",
        "H2",
        "protocol/record_writes.py",
        (
            "    match table.update(record.key.item, change, when=record.unchanged & last):\n",
            "    match table.update(record.key.item, change, when=record.unchanged):\n",
        ),
    ),
    _mutant(
        "marks are set by position, whatever stands there",
        "t",
        "protocol/lock_changes.py",
        (
            "        stand &= Attr(MESSAGES).has_at(at, one, name=MESSAGE_ID)\n",
            "        pass\n",
        ),
    ),
    _mutant(
        "the pair's older conversations are not asked for a message",
        "identity",
        "inbound/admitting.py",
        (
            "        return look_elsewhere(tables, found.older, message.message_sid)\n",
            "        return None\n",
        ),
    ),
    _mutant(
        "the pair's older conversations are asked for entries only, not for what is staged",
        "identity",
        "conversations/identity.py",
        (
            "        if row is not None and (staged := StagedMessage.from_item(row)).conversation == key:\n"
            "            return Known(staged)\n",
            "",
        ),
    ),
    _mutant(
        "the pair's older conversations are asked for what their records hold, not for their histories",
        "identity",
        "conversations/identity.py",
        (
            "        is_known |= is_entry or message_sid in history.found([moved], key)\n",
            "        is_known |= is_entry\n",
        ),
    ),
    _mutant(
        "a reset ignores the start of the lock",
        "L5",
        "protocol/conversation_lock.py",
        (
            "        & Attr(STARTED_AT).eq(record.started_at)  # L5: no younger than seen,\n",
            "",
        ),
    ),
    _mutant(
        "a refresh names only the status",
        "L2",
        "protocol/conversation_lock.py",
        (
            "when=record.unchanged):  # L2",
            "when=Attr(STATUS).eq(Status.PROCESSING.value)):  # L2",
        ),
    ),
    _mutant(
        "a dispatch that may have happened is followed by an unlock",
        "h",
        "batches/dispatching.py",
        (
            "            emergency.pop_all()\n"
            "        job.queues.ai.send(body, group=fair_group(conversation.tenant), attributes=conversation.attributes)\n",
            "            job.queues.ai.send(body, group=fair_group(conversation.tenant), attributes=conversation.attributes)\n"
            "            emergency.pop_all()\n",
        ),
    ),
    _mutant(
        "a trigger that comes again dispatches a batch that a reply has claimed",
        "b",
        "batches/decision.py",
        (
            "        return Resume() if record.claim is None else SettleBatch()\n",
            "        return Resume()\n",
        ),
    ),
    _mutant(
        "a part that was answered with a 5xx is sent again though the list has it",
        "P4",
        "outbound/parts.py",
        (
            "        sids = [sid for sid in listed if sid not in taken]\n",
            "        sids = [sid for sid in listed if sid not in taken and not found.is_server_error]\n",
        ),
    ),
    _mutant(
        "a part is claimed for its second send even if its row changed",
        "P4",
        "protocol/sends.py",
        (
            "    match table.update({SEND_ID: found.send_id}, change, read_back=True, when=is_as_read):\n",
            "    match table.update({SEND_ID: found.send_id}, change, read_back=True, when=Attr(SEND_ID).exists()):\n",
        ),
    ),
    _mutant(
        "a 5xx ends a reply as a lost answer does",
        "P4",
        "outbound/parts.py",
        (
            "        if found.may_be_sent_again and plan.refusal is None:\n",
            "        if False:\n",
        ),
    ),
    _mutant(
        "a second send that was throttled leaves its claim behind",
        "P4",
        "protocol/sends.py",
        (
            "    table.update({SEND_ID: part.send_id}, first, when=is_ours_and_open)  # P1, P4\n",
            "",
        ),
    ),
    _mutant(
        "what is staged behind a START is appended with it",
        "I3",
        "batches/decision.py",
        ("        if said is OptOut.START:\n            break\n", ""),
    ),
    _mutant(
        "a START takes the mark off though a STOP was staged since the stage was read",
        "O3",
        "batches/settling.py",
        (
            "    if action.opt_out_marks and staging.read(job.tables.stage, job.trigger.conversation) != view.staged:\n",
            "    if False:\n",
        ),
    ),
    _mutant(
        "a STOP that comes in beside a START writes no mark where there is one",
        "O3",
        "conversations/opt_out.py",
        (
            "    return stopped_channels(view.new) if is_start_staged else unmarked_channels(view)\n",
            "    return unmarked_channels(view)\n",
        ),
    ),
    _mutant(
        "a START takes the mark off though a later STOP is staged",
        "O3",
        "batches/decision.py",
        ("    if not is_start or is_stopped_again:", "    if not is_start:"),
    ),
    _mutant(
        "a redriven reply gives its claim back between its tries",
        "R1",
        "outbound/concluding.py",
        (
            "        is_free = later.gives_claim_back and not has_ended\n",
            "        is_free = later.gives_claim_back\n",
        ),
    ),
    # The AI's whole turn.
    _mutant(
        "a reply claims wherever the company routes by now",
        "R5",
        "protocol/reply_claim.py",
        ("is_free(record) & routing_stands, token)  # R5", "is_free(record), token)"),
    ),
    _mutant(
        "a reply is taken over wherever the company routes by now",
        "R5",
        "protocol/reply_claim.py",
        ("        & routing_stands  # R5\n", ""),
    ),
    _mutant(
        "a further part is begun without a look",
        "I8",
        "outbound/parts.py",
        ("and not still_ours():  # I8", "and not at:"),
    ),
    _mutant(
        "the look before a part ignores the routing",
        "I8",
        "outbound/replying.py",
        (
            "        return not self._belongs_to_people(job, with_entries)\n",
            "        return bool(with_entries)\n",
        ),
    ),
    _mutant(
        "a reply that is taken over sends on though people own the conversation",
        "I8",
        "outbound/replying.py",
        ("            plan = replace(plan, refusal=ReplyCode.TAKEN_OVER)", "            plan = replace(plan)"),
    ),
    _mutant(
        "a claim that ends with people opens the conversation",
        "M",
        "outbound/concluding.py",
        (
            " or claimed.claim_end is ClaimEnd.PEOPLE:\n            return self._pass",
            ":\n            return self._pass",
        ),
    ),
    _mutant(
        "an interim message opens the conversation",
        "L",
        "outbound/concluding.py",
        (
            "        if claimed.claim_end is ClaimEnd.UNCLAIM:\n            return self._end_interim",
            "        if not claimed.claim_end:\n            return self._end_interim",
        ),
    ),
    _mutant(
        "a stalled claim that ends with people is given up",
        "M",
        "repair/stalled_locks.py",
        ("            return PassToPeople(RequestedBy.AI)\n", "            return GiveUp()\n"),
    ),
    _mutant(
        "a stalled interim message ends its turn",
        "f",
        "repair/stalled_locks.py",
        (
            "            return PassToPeople(RequestedBy.STALL) if is_for_people else Open()\n",
            "            return GiveUp()\n",
        ),
    ),
    _mutant(
        "a reply that meets an interim message's claim is a second one",
        "L",
        "outbound/decision.py",
        (
            "    if record.claim != reply.reply_id:\n"
            "        return InTheWay() if record.claim_end is ClaimEnd.UNCLAIM else Refusal(ReplyCode.SECOND)\n",
            "    if record.claim != reply.reply_id:\n        return Refusal(ReplyCode.SECOND)\n",
        ),
    ),
    _mutant(
        "an interim message is recorded as often as it comes",
        "L",
        "outbound/concluding.py",
        ("entries=unrecorded(job.tables, claimed, done.entries),", "entries=done.entries,"),
    ),
    _mutant(
        "an interim message that is ended leaves its parts out of the record",
        "L",
        "protocol/reply_claim.py",
        (
            "        set={STARTED_AT: iso(now), LAST_ACTIVITY_AT: iso(now)},\n"
            "        append={MESSAGES: entries} if entries else {},\n",
            "        set={STARTED_AT: iso(now), LAST_ACTIVITY_AT: iso(now)},\n",
        ),
    ),
    _mutant(
        "what was sent is not recorded as the claim passes to people",
        "R6",
        "protocol/people_claim.py",
        (
            "        change = replace(change, append={MESSAGES: entries})\n    is_as_seen",
            "        pass\n    is_as_seen",
        ),
    ),
    _mutant(
        "a claim passes to people whoever holds it by now",
        "R6",
        "protocol/people_claim.py",
        ("        & Attr(CLAIM_TOKEN).stays(record.claim_token)  # R6: of the process that holds it,\n", ""),
        ("        & Attr(STARTED_AT).stays(record.started_at)  # or no younger than it was seen to be;\n", ""),
        (
            "        & Attr(VERSION).stays(record.version)  # and neither the parts nor a handoff were recorded since.\n",
            "",
        ),
    ),
    _mutant(
        "a turn ends without a reply even if the record changed",
        "A2",
        "protocol/turns.py",
        ("when=is_free(record) & routing_stands):  # A2", "when=Attr(STATUS).exists()):"),
    ),
    _mutant(
        "a heartbeat extends whatever lock there is",
        "A1",
        "protocol/turns.py",
        ("    when = held_by(batch_id) & Attr(CLAIM).missing()  # A1\n", "    when = Attr(STATUS).exists()\n"),
    ),
    _mutant(
        "a rule that refuses new messages hides from a reply that people own the conversation",
        "I8",
        "conversations/views.py",
        (
            "len(handoff_reasons(conversation, asked, routing)) == len(asked)  # I8\n",
            'all(destination_of_entry(conversation, one, routing) == "handoff" for one in asked)\n',
        ),
    ),
    # Second thoughts.
    _mutant(
        "a batch is restarted even if the record changed",
        "N1",
        "protocol/restarts.py",
        ("when=record.unchanged & is_with_ai):  # N1", "when=is_with_ai):  # N1"),
    ),
    _mutant(
        "a restart keeps only the new messages",
        "N1",
        "protocol/restarts.py",
        (
            "TURN_SUPERSEDES: [*record.supersedes, record.batch_id]})  # N3",
            'TURN_SUPERSEDES: [*record.supersedes, record.batch_id], "unanswered_ids": [one["message_id"] for one in entries]})',
        ),
    ),
    _mutant(
        "a batch is restarted that a reply has claimed",
        "N2",
        "protocol/restarts.py",
        ("        and record.claim is None\n", ""),
        ("        & Attr(CLAIM).missing()  # nobody's to end,\n", ""),
    ),
    _mutant(
        "a batch is restarted while a heartbeat reports effects",
        "N2",
        "protocol/restarts.py",
        ("        & Attr(TURN_EFFECTS).missing()  # and", "        # and"),
    ),
    _mutant(
        "a lock that is no trigger's of ours is restarted",
        "N2",
        "protocol/restarts.py",
        ("        and record.trigger_id is not None\n", ""),
        ("        Attr(TRIGGER_ID).stays(record.trigger_id)  # N2: of a trigger of ours,\n        & ", "        "),
    ),
    _mutant(
        "restarts are not counted",
        "N3",
        "protocol/restarts.py",
        ("TURN_SUPERSEDES: [*record.supersedes, record.batch_id]})  # N3", "TURN_SUPERSEDES: []})"),
    ),
    _mutant(
        "an acquisition that carries messages forgets their restarts",
        "N3",
        "protocol/conversation_lock.py",
        ("    if not record.unanswered:  # N3", "    if entries:  # N3"),
    ),
    _mutant(
        "a restarted lock is abandoned",
        "N4",
        "batches/dispatching.py",
        (
            "        self._dispatch(job, outcome, may_abandon=not view.record.unanswered_ids, measured=wait)\n",
            "        self._dispatch(job, outcome, may_abandon=isinstance(action, actions.Restart))\n",
        ),
    ),
    _mutant(
        "a batch is restarted with all that is staged, whoever it is for",
        "I3",
        "conversations/second_thoughts.py",
        ("        and all(_is_for_restart(view, one, routing) for one in new)\n", ""),
    ),
    _mutant(
        "a held reply does not come again",
        "held",
        "outbound/holding.py",
        ("        return bool(seconds) and self.endings.wait(", "        return bool(seconds) or self.endings.wait("),
    ),
    _mutant(
        "a reply is held for as long as a lock may last",
        "held",
        "conversations/second_thoughts.py",
        ("    seconds = min(ceil(left.total_seconds()), cap)\n", "    seconds = settings.stall_timeout_seconds - 10\n"),
    ),
    _mutant(
        "the stage is not looked at after a turn without a reply",
        "look",
        "outbound/turns.py",
        (
            "        job.trail.count(Metric.NO_REPLY)\n        return self.endings.look_at_stage(job)\n",
            "        job.trail.count(Metric.NO_REPLY)\n        return True\n",
        ),
    ),
    _mutant(
        "the stage is not looked at after a handoff",
        "look",
        "outbound/turns.py",
        (
            "            return self.endings.refuse(job, ReplyCode.TAKEN_OVER)\n        return self.endings.look_at_stage(job)\n",
            "            return self.endings.refuse(job, ReplyCode.TAKEN_OVER)\n        return True\n",
        ),
    ),
    _mutant(
        "people give back whatever handoff stands",
        "K1",
        "protocol/handoffs.py",
        ("when=Attr(HANDOFF_ID).eq(handoff_id))  # K1", "when=Attr(HANDOFF_ID).exists())  # K1"),
    ),
    _mutant(
        "a return that names another handoff says its words",
        "K",
        "outbound/people.py",
        (
            "        if conversation.record.handoff_id != job.reply.handoff_id:\n",
            "        if not job.reply.handoff_id:\n",
        ),
    ),
    _mutant(
        "a handoff that begins takes the place of one that stands",
        "K2",
        "protocol/handoffs.py",
        (" if handoff is not None and record.handoff_id is None else {}", " if handoff is not None else {}"),
    ),
    _mutant(
        "a conversation is handed over even if its record changed",
        "K1",
        "protocol/handoffs.py",
        ("when=record.unchanged):  # K1", "when=Attr(VERSION).exists()):  # K1"),
    ),
    # What was taken and not delivered.
    _mutant(
        "a failure after acceptance requests no errand",
        "O",
        "outbound/delivery_reports.py",
        ("        queues.replies.send(Undelivered(part.send_id).body, group=fair_group(part.tenant))\n", ""),
    ),
    _mutant(
        "a report whose errand the queue refused is acknowledged",
        "O",
        "inbound/responses.py",
        ("    if is_report and code in _STAGED:\n", "    if False:\n"),
    ),
    _mutant(
        "people get the batch of an undelivered reply even if the record changed",
        "D1",
        "protocol/undelivered.py",
        ("when=is_free(record)):  # D1", "when=Attr(STATUS).exists()):  # D1"),
    ),
    _mutant(
        "people get the batch of an undelivered reply that is not the last word",
        "D1",
        "outbound/last_word.py",
        (
            "    is_last = record.last_reply_id == part.reply_id and _is_last_entry(record, part)\n",
            "    is_last = record.claim is None and not record.unanswered_ids\n",
        ),
        ("    if record.batch_id != part.batch_id:\n        return Past()\n", ""),
    ),
    _mutant(
        "people get an undelivered reply without its batch",
        "D2",
        "protocol/undelivered.py",
        ("        UNANSWERED_IDS: list(part.answered_ids),  # D2\n", ""),
    ),
    _mutant(
        "no handoff begins with an undelivered reply",
        "D2",
        "protocol/undelivered.py",
        ("        **lasting(record, handoff),\n", ""),
    ),
    _mutant(
        "an errand acts on a reply that is still being sent as on one of the past",
        "O",
        "outbound/last_word.py",
        ("        return Unsettled()\n    if record.passed", "        return Past()\n    if record.passed"),
    ),
    _mutant(
        "an errand that comes again leaves its claim for people to others",
        "O",
        "outbound/last_word.py",
        ("        return Claimed()\n", "        return Past()\n"),
    ),
    _mutant(
        "a message that was not delivered is sent again as often as it fails",
        "P1",
        "outbound/undelivered.py",
        ("        return part.resends is None and row is not None", "        return row is not None"),
    ),
    _mutant(
        "a message that was not delivered is sent again after something was said",
        "D1",
        "outbound/undelivered.py",
        ("        elif not isinstance(found, LastWord):\n", "        elif found is None:\n"),
    ),
    _mutant(
        "a message that was sent again leaves the record marked",
        "R4",
        "outbound/undelivered.py",
        ("                self._clear(job, part)\n", ""),
    ),
    # Unknown senders.
    _mutant(
        "a text to an unknown sender is counted without a cap",
        "U6",
        "protocol/unknown_senders.py",
        ("    has_room = Attr(SENT_COUNT).missing() | Attr(SENT_COUNT).lt(messages_max)\n", "    has_room = None\n"),
    ),
    _mutant(
        "a text to an unknown sender is sent though its count failed",
        "U6",
        "protocol/unknown_senders.py",
        (
            "    if isinstance(write, Written):\n        return True\n",
            "    if write is not None:\n        return True\n",
        ),
    ),
    _mutant(
        "an unknown sender is noted over their row",
        "U1",
        "protocol/unknown_senders.py",
        ("    match table.put(row, when=is_new | is_past):  # U1", "    match table.put(row, when=None):  # U1"),
    ),
    _mutant(
        "whoever writes during a turn is told that an answer is being written, also if they were told",
        "A3",
        "protocol/turns.py",
        (" & Attr(NOTICE_AT).missing()  # A3\n", "\n"),
    ),
    _mutant(
        "a reply that comes again at once ends beside the claim for people of its own earlier delivery",
        "t",
        "outbound/late.py",
        ("        if is_at_work and is_own:\n", "        if is_at_work and is_own and job.reply.attempt < 0:\n"),
    ),
    _mutant(
        "a slow AI has no more time than the first lock had",
        "f",
        "repair/patience.py",
        ("    resets = 0 if record.claim is not None else record.stall_resets\n", "    resets = 0\n"),
    ),
    _mutant(
        "a lock that stalls in a row after others is opened at once",
        "f",
        "repair/patience.py",
        (
            "    return record.lock_age(now) > patience_of(record, settings)\n",
            "    return record.stall_resets > 0 or record.lock_age(now) > patience_of(record, settings)\n",
        ),
    ),
    _mutant(
        "a segment of the stage is its sweep's for ever",
        "sweep",
        "repair/segments.py",
        (
            "        is_free = Attr(_HELD_UNTIL).missing() | Attr(_HELD_UNTIL).le(epoch(now))\n",
            "        is_free = Attr(_HELD_UNTIL).missing()\n",
        ),
    ),
    _mutant(
        "a reply of people that comes again does not look at the stage",
        "n",
        "outbound/people.py",
        ("            self.endings.ended_before(job)\n", "            pass\n"),
    ),
    _mutant(
        "a record stays in the sweep's index when a rule has refused its last message",
        "v",
        "protocol/record_writes.py",
        ("remove=() if left else (STALL_RESETS, STARTED_AT, LOCK_SHARD),", "remove=() if left else (STALL_RESETS,),"),
    ),
    _mutant(
        "the history of another conversation of the same id counts as ours",
        "H3",
        "protocol/history.py",
        (
            "    return bool(row.get(PRIMARY_CHANNEL, conversation.primary_channel) == conversation.primary_channel)\n",
            "    return True\n",
        ),
    ),
    # What is reported of a part.
    _mutant(
        "a report that proves a send in doubt writes nothing",
        "P3",
        "protocol/sends.py",
        ("        is_known = part.state is State.SENT\n", "        is_known = True\n"),
    ),
    _mutant(
        "a lower delivery status takes the place of a higher one",
        "P3",
        "protocol/sends.py",
        (
            "        is_news = Attr(DELIVERY_RANK).missing() | Attr(DELIVERY_RANK).lt(rank)  # P3",
            "        is_news = Attr(SEND_ID).exists()  # P3",
        ),
    ),
    _mutant(
        "a report that comes again does not look whether the record has what it proved",
        "q",
        "outbound/delivery_reports.py",
        (" or part.is_proven:\n", ":\n"),
    ),
    _mutant(
        "a report believes that a part is missing which was not there a moment ago",
        "P2",
        "protocol/sends.py",
        (
            "        return Part.from_item(row)\n    return find(table, wanted)\n",
            "        return Part.from_item(row)\n    return find(table, wanted) if row is not None else None\n",
        ),
    ),
    _mutant(
        "a part that was sent takes no later report",
        "q",
        "protocol/sends.py",
        (
            "        is_known = part.delivery is not None and _RANKS.get(part.delivery, 0) >= rank\n",
            "        is_known = part.state is State.SENT\n",
        ),
    ),
    _mutant(
        "a reset ignores a claim that was made since",
        "L5",
        "protocol/conversation_lock.py",
        ("        & Attr(CLAIM_TOKEN).stays(record.claim_token)  # L5: and no reply has claimed it since.\n", ""),
    ),
    _mutant(
        "a claim is as old as its lock",
        "R7",
        "protocol/record.py",
        (
            "        return since_start if self.claimed_at is None else min(since_start, self.claim_age(now))  # R7\n",
            "        return since_start\n",
        ),
    ),
    _mutant(
        "a claim has no time of its own",
        "R7",
        "repair/stalled_locks.py",
        (
            "    if not lock.is_of(record) or not is_due:\n",
            "    if not lock.is_of(record) or (record.claim is None and not is_due):\n",
        ),
    ),
    _mutant(
        "an operator's command ends a claim whose process may be alive",
        "R7",
        "repair/stalled_locks.py",
        (" or (at_once and not is_at_work)\n", " or at_once\n"),
    ),
    _mutant(
        "a claim of a lock that was reset keeps the start of the watch",
        "i",
        "protocol/reply_claim.py",
        ("keeps_start=is_young)\n", "keeps_start=True)\n"),
    ),
    _mutant(
        "a reply that was given up is sent though people own its batch",
        "I8",
        "outbound/replying.py",
        (
            "            if self._belongs_to_people(job, conversation):\n                return self.turns.hand_off",
            "            if not conversation:\n                return self.turns.hand_off",
        ),
    ),
    _mutant(
        "people who take a reply's batch over that had ended do not get it",
        "M",
        "protocol/people_claim.py",
        (
            "    return {UNANSWERED_IDS: [one[MESSAGE_ID] for one in asked_in(record.entries or (), record.batch_id)]}\n",
            "    return {}\n",
        ),
    ),
    _mutant(
        "a reply that has ended claims under the lock of another system",
        "i",
        "outbound/replying.py",
        ("            if conversation.record.is_locked:", "            if not conversation:"),
    ),
)


def by_number() -> dict[str, Mutant]:
    """The mutants as docs/protocol.md numbers them."""
    return {f"M{number}": mutant for number, mutant in enumerate(MUTANTS, start=1)}
