"""Replies of people: sent once per reply id, whoever holds the lock; and the return of a conversation to the AI.

A return names the handoff that it ends. Its text, if it has one, is sent first. The handoff ends even if that send
fails. Then the messages staged meanwhile are triggered, and the company's own routing decides where they go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.clock import Clock
from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import EngineError, Misconfigured, ReplyCode, TryAgain
from chalicelib.messages.replies import Action
from chalicelib.outbound.endings import Endings
from chalicelib.outbound.job import Done, Entry, Job, Later, NotRequeued
from chalicelib.outbound.parts import PartSending
from chalicelib.outbound.planning import Planning, first_part
from chalicelib.protocol import handoffs, history
from chalicelib.protocol.handoffs import GivenBack
from chalicelib.protocol.lock_changes import Changed
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Step


@dataclass(frozen=True)
class PeoplesReplies:
    """Sends replies of people."""

    planning: Planning
    parts: PartSending
    endings: Endings
    clock: Clock
    settings: Settings

    def step(self, job: Job, conversation: Conversation) -> bool | Changed:
        """One look at the record, and the one thing to do about the reply."""
        if history.room_bytes(conversation.record) < 0 and self._make_room(job, conversation):
            return Changed()
        if job.reply.action is Action.RETURN:
            return self._return(job, conversation)
        outcome = self._send(job, conversation)
        if isinstance(outcome, Later):
            self.endings.requeue(replace(job, reply=job.reply.without_sending(outcome.unsent_claims)), outcome)
            return True
        self._sent(job, outcome)
        return True

    def _return(self, job: Job, conversation: Conversation) -> bool:
        """Send the text of a return, end the handoff, and look at the stage."""
        if conversation.record.handoff_id != job.reply.handoff_id:
            return self.endings.refuse(job, ReplyCode.OTHER_HANDOFF)
        is_last_try = job.reply.attempt >= self.settings.reply_attempts_max
        if job.reply.contents:
            try:
                outcome = self._send(job, conversation)
            except EngineError:
                if is_last_try:
                    self._give_back(job)
                raise
            if isinstance(outcome, Later):
                if is_last_try:
                    self._give_back(job)
                self.endings.requeue(replace(job, reply=job.reply.without_sending(outcome.unsent_claims)), outcome)
                return True
            self._sent(job, outcome)
        return self._give_back(job)

    def _give_back(self, job: Job) -> bool:
        reply = job.reply
        ended = handoffs.give_back(job.tables.conversations, reply.conversation, reply.handoff_id, now=self.clock.now())
        if not isinstance(ended, GivenBack):
            return self.endings.refuse(job, ReplyCode.OTHER_HANDOFF)
        job.trail.log(Step.GIVEN_BACK)
        return self.endings.look_at_stage(job)

    def _send(self, job: Job, conversation: Conversation) -> Done | Later:
        """Send what was not sent yet; what an earlier try sent is recorded before the reply comes again."""
        plan = self.planning.plan(job, conversation, first_part(job))
        outcome = plan if isinstance(plan, Done) else self.parts.send(job, conversation, plan)
        if isinstance(outcome, Later):
            job = replace(job, reply=job.reply.without_sending(outcome.unsent_claims))
            self._record_before_requeue(job, outcome.entries)
        return outcome

    def _sent(self, job: Job, done: Done) -> None:
        """Record what was sent, and report the end where it is news."""
        is_news = self.endings.record(job, done.entries, is_whole=done.error_code is None)
        if is_news or done.error_code is not None:
            self.endings.ended(job, done.entries, done.error_code)
        else:
            self.endings.ended_before(job)

    def _record_before_requeue(self, job: Job, entries: Sequence[Entry]) -> None:
        """Record the parts that were sent before; where that fails, the reply's end records them.

        Raises:
            NotRequeued: the reply has to come again.
        """
        try:
            self.endings.record(job, entries, is_whole=False)
        except (TryAgain, Misconfigured) as fault:
            raise NotRequeued(fault, job.reply) from fault

    def _make_room(self, job: Job, conversation: Conversation) -> bool:
        """Move old entries off a record that only people write to: no batch does it. Whether there were any."""
        settings, tables, now = self.settings, job.tables, self.clock.now()
        bounds = history.Bounds(settings.messages_keep, settings.messages_bytes_max, settings.dedupe_hours)
        count = history.trim(tables.conversations, tables.history, conversation.record, bounds, now=now)
        if count:
            job.trail.log(Step.MOVED_HISTORY, Level.DEBUG, count=count)
        return count > 0
