"""Undelivered: applies the company's policy to a message that the provider accepted and could not deliver.

    callback: mark the record - request an errand         errand: find - judge - act

The errand only names a part by its send id. The action follows from the part's row, which a proven provider changed,
and from the policy `undelivered_action`. The company's AI worker shares the queue and cannot choose any of this.

Guarantee: a part is sent at most once more, because the second send has one send id (P1). It is sent only if its code
says that it reached nobody (`may_be_resent`), and only while its reply is the last word of the conversation. A resend
needs no lock: like a reply of people it is claimed by its own row. People get the batch of a reply under the same
condition, by one update of the record (D1). While the reply is still being sent, the errand waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from chalicelib.channels.channel import Channel, Vendor
from chalicelib.channels.outcomes import Table
from chalicelib.clock import Clock
from chalicelib.conversations import lookup, views
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import Policies
from chalicelib.errors import Misconfigured, ReplyCode, TryAgain
from chalicelib.messages.contents import Content
from chalicelib.messages.replies import Reply, Source
from chalicelib.outbound.errands import Undelivered
from chalicelib.outbound.job import Done, ErrandJob, Job, Later, NotRequeued
from chalicelib.outbound.last_word import LastWord, Standing, Unsettled, standing
from chalicelib.outbound.parts import PartSending
from chalicelib.outbound.planning import Planning
from chalicelib.outbound.undelivered_handoff import UndeliveredHandoff
from chalicelib.ports.queues import fair_group
from chalicelib.protocol import send_rows, sends, undelivered
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.send_rows import Part, State
from chalicelib.repair.dead_letters import send_dead_letter
from chalicelib.repair.retrying import Again, Exhausted, next_try, send_reply_again
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step

WAIT_SECONDS: Final = 30
"""After which an errand comes again whose reply is still being sent."""


@dataclass(frozen=True, kw_only=True)
class UndeliveredMessages:
    """Acts on messages that were not delivered, one at a time."""

    planning: Planning
    parts: PartSending
    handoff: UndeliveredHandoff
    channels: Mapping[str, Channel]
    codes: Mapping[Vendor, Table]
    policies: Policies
    clock: Clock
    settings: Settings

    def process(self, job: ErrandJob) -> None:
        """Do what the company's policy says about the part that an errand names.

        Raises:
            TryAgain, Misconfigured: the errand must come again; see `retry_later`.
        """
        part = sends.find(job.tables.sends, job.errand.send_id)
        if part is None or not part.is_undelivered:
            job.trail.log(Step.NOT_RESENT, Level.DEBUG, outcome="nothing_undelivered")
            return
        job.trail.bind(
            conversation_id=part.conversation.conversation_id,
            tenant=part.tenant,
            channel=part.channel,
            batch_id=part.batch_id or "none",
        )
        if fair_group(part.tenant) != job.tenant:
            self._dead_letter(job, ReplyCode.OTHER_COMPANY)
            return
        views.look_again(partial(self._step, job, part))

    def retry_later(self, job: ErrandJob, code: str, *, seconds: int = 0) -> None:
        """Send the errand to its queue once more, later each time, and in the end to the dead-letter queue.

        Raises:
            TryAgain, Misconfigured: even that failed.
        """
        again = job.errand.again()
        match next_try(again.attempt, self.settings.reply_attempts_max, self.settings, at_least=seconds):
            case Exhausted():
                self._dead_letter(job, code)
            case retry:
                send_reply_again(
                    job.queues, again.body, retry, attempt=again.attempt, code=code, tenant=job.tenant, trail=job.trail
                )

    def _step(self, job: ErrandJob, part: Part) -> Changed | None:
        """One look, and what the policy asks for."""
        conversation = lookup.load(job.tables.conversations, part.conversation, self.settings.context_attributes)
        if conversation is None:
            job.trail.log(Step.NOT_RESENT, Level.DEBUG, outcome="no_conversation")
            return None
        act = ACTIONS[self.policies.of(conversation, part.channel, job.trail).undelivered_action]
        found = standing(conversation.record, part)
        if isinstance(found, Unsettled) and act is not UndeliveredMessages.leave:
            self._wait(job)
            return None
        return act(self, job, part, conversation, found)

    def leave(self, job: ErrandJob, part: Part, conversation: Conversation, found: Standing) -> None:
        """Do nothing: the failure is on the record and in the metrics."""

    def hand_off(self, job: ErrandJob, part: Part, conversation: Conversation, found: Standing) -> Changed | None:
        """Give the batch of the reply to people, if the reply is still the last word."""
        return self.handoff.hand_off(job, part, conversation, found)

    def resend(self, job: ErrandJob, part: Part, conversation: Conversation, found: Standing) -> None:
        """Send the part once more, if that is safe and its reply is still the last word."""
        if not self._may_be_resent(part):
            self._not_resent(job, "not_safe", part)
        elif not isinstance(found, LastWord):
            self._not_resent(job, "not_the_last_word", part)
        else:
            self._send_again(job, part, conversation)

    def _send_again(self, job: ErrandJob, part: Part, conversation: Conversation) -> None:
        reply = _reply_of(part, job.errand)
        sending = Job(reply, job.tenant, job.tables, job.queues, job.deadline, job.token, job.trail)
        plan = self.planning.resend(sending, conversation, part)
        match plan if isinstance(plan, Done) else self.parts.send(sending, conversation, plan):
            case Later(code, seconds, unsent_claims=unsent):
                reply = reply.without_sending(unsent)
                again = replace(job, errand=replace(job.errand, unsent_claims=reply.unsent_claims))
                try:
                    self.retry_later(again, code, seconds=seconds)
                except (TryAgain, Misconfigured) as fault:
                    raise NotRequeued(fault, reply) from fault
            case Done(_, None):
                self._clear(job, part)
                job.trail.log(Step.RESENT, count=part.number, code=_code_of(part))
                job.trail.count(Metric.RESENT, outcome="sent")
            case Done(_, code):
                job.trail.log(Step.NOT_RESENT, Level.WARNING, outcome="refused", count=part.number, code=code)
                job.trail.count(Metric.RESENT, outcome="refused")

    def _clear(self, job: ErrandJob, part: Part) -> None:
        """Mark the reply as answered again, unless another part of it is still undelivered."""
        others = (sends.find(job.tables.sends, one) for one in send_rows.ids_of(part) if one != part.send_id)
        if all(self._is_delivered(job, one) for one in others if one is not None and one.is_undelivered):
            table = job.tables.conversations
            undelivered.clear_undelivered(table, part, error_code=_code_of(part), now=self.clock.now())

    @staticmethod
    def _is_delivered(job: ErrandJob, undelivered: Part) -> bool:
        """Whether an undelivered part was sent once more, and did not fail again."""
        again = sends.find(job.tables.sends, send_rows.resend_id(undelivered.send_id))
        return again is not None and again.state is State.SENT and not again.is_undelivered

    def _may_be_resent(self, part: Part) -> bool:
        channel = self.channels.get(part.channel)
        row = self.codes[channel.vendor].row(part.error_code) if channel is not None else None
        return part.resends is None and row is not None and row.may_be_resent

    @staticmethod
    def _wait(job: ErrandJob) -> None:
        """Have the errand come again: the end of its reply is awaited, so this spends no attempt.

        Raises:
            TryAgain, Misconfigured: even that failed.
        """
        errand, again = job.errand, Again(WAIT_SECONDS)
        send_reply_again(
            job.queues, errand.body, again, attempt=errand.attempt, code="AT_WORK", tenant=job.tenant, trail=job.trail
        )

    @staticmethod
    def _not_resent(job: ErrandJob, why: str, part: Part) -> None:
        job.trail.log(Step.NOT_RESENT, outcome=why, count=part.number, code=_code_of(part))
        job.trail.count(Metric.RESENT, outcome=why)

    @staticmethod
    def _dead_letter(job: ErrandJob, code: str) -> None:
        first = replace(job.errand, attempt=0)  # one that is redriven starts anew
        send_dead_letter(job.queues.dead_replies, first.body, tenant=job.tenant, reason=code, trail=job.trail)


Action = Callable[[UndeliveredMessages, ErrandJob, Part, Conversation, Standing], Changed | None]

ACTIONS: Final[Mapping[str, Action]] = {
    "none": UndeliveredMessages.leave,
    "resend": UndeliveredMessages.resend,
    "handoff": UndeliveredMessages.hand_off,
}
"""What is done, by the policy `undelivered_action`."""


def _reply_of(part: Part, errand: Undelivered) -> Reply:
    """The reply that a part belongs to, as far as the part's row has it."""
    entry: Mapping[str, Any] = part.entry
    return Reply(
        conversation=part.conversation,
        source=Source(entry["source"]),
        reply_id=part.reply_id,
        batch_id=part.batch_id,
        contents=(Content(entry["content"], entry.get("content_sid"), part.content_variables),),
        attempt=errand.attempt,
        unsent_claims=errand.unsent_claims,
    )


def _code_of(part: Part) -> str:
    return part.error_code or ReplyCode.UNDELIVERED
