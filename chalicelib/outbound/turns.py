"""The end or extension of the AI's turn without a reply: a heartbeat, nothing to say, or a request for people."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.clock import Clock
from chalicelib.conversations.contexts import Draft
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import Handoff
from chalicelib.conversations.policies import Policies
from chalicelib.conversations.typing import request_typing
from chalicelib.errors import ReplyCode
from chalicelib.messages.replies import Action, Reply
from chalicelib.outbound import decision
from chalicelib.outbound.decision import INTERIM_SECONDS
from chalicelib.outbound.endings import Endings
from chalicelib.outbound.job import Job
from chalicelib.protocol import turns
from chalicelib.protocol.handoffs import RequestedBy
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.turns import Extended
from chalicelib.repair.patience import resets_kept
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step

INTERIM = "INTERIM_MESSAGE"
"""Why a message comes again that meets the claim of an interim message."""


@dataclass(frozen=True)
class Turns:
    """Ends and extends turns of the AI."""

    handoff: Handoff
    endings: Endings
    policies: Policies
    clock: Clock
    settings: Settings

    def extend(self, job: Job, conversation: Conversation) -> bool | Changed:
        """Take a heartbeat."""
        record, now = conversation.record, self.clock.now()
        match decision.decide_extend(job.reply, record, now=now, settings=self.settings):
            case decision.Refusal(code):
                return self.endings.refused(
                    job, code, level=Level.INFO if code is ReplyCode.TOO_SOON else Level.WARNING
                )
            case decision.InTheWay():
                return self.endings.wait(job, INTERIM, seconds=INTERIM_SECONDS)
            case decision.Extend():
                outcome = turns.extend(job.tables.conversations, record, effects=job.reply.effects, now=now)
                if isinstance(outcome, Extended):
                    job.trail.log(Step.EXTENDED)
                    request_typing(job.queues, conversation, self.policies, job.trail)
                    return True
                return outcome

    def end_without_reply(self, job: Job, conversation: Conversation) -> bool | Changed:
        """Open the conversation: the AI has nothing to say."""
        outcome = turns.end_without_reply(
            job.tables.conversations,
            conversation.record,
            reply_id=job.reply.reply_id,
            routing_stands=conversation.routing_stands,
            stall_resets=resets_kept(conversation.record, self.clock.now(), self.settings),
            now=self.clock.now(),
        )
        if isinstance(outcome, Changed):
            return outcome
        job.trail.log(Step.NO_REPLY)
        job.trail.count(Metric.NO_REPLY)
        return self.endings.look_at_stage(job)

    def hand_off(self, job: Job, conversation: Conversation) -> bool | Changed:
        """Pass the batch to people without words to the customer: the AI asks for it, or people own the conversation.

        What the reply says goes to people as a draft.
        """
        reply = job.reply
        is_asked = reply.action is Action.HANDOFF
        outcome = self.handoff.claim(
            job.tables,
            job.queues,
            conversation,
            job.trail,
            handoff=self.handoff.begun(RequestedBy.AI, reply.reason) if is_asked else None,
            passed_reply_id=reply.reply_id,
            draft=draft_of(reply),
        )
        if isinstance(outcome, Changed):
            return outcome
        if reply.contents:
            return self.endings.refuse(job, ReplyCode.TAKEN_OVER)
        return self.endings.look_at_stage(job)


def draft_of(reply: Reply, text: str | None = None) -> Draft | None:
    """What people see of a reply; None: it says nothing.

    Args:
        reply: the reply.
        text: what of it the customer was not sent; None: nothing was.
    """
    told = "\n\n".join(filter(None, (reply.draft, reply.text if text is None else text)))
    return Draft(told, reply.reply_id) if told.strip() else None
