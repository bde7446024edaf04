"""Storing: a proven message is staged, and then has a trigger.

Guarantee: a fault before the message is staged is raised; a fault after it is reported and acknowledged, for the sweep
takes over. A retry finds what is staged, or what the record has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.clock import Clock
from chalicelib.conversations import staged_contexts
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import Policy
from chalicelib.conversations.routing import Route
from chalicelib.errors import Code, EngineError, Misconfigured, TryAgain
from chalicelib.inbound.outcome import Outcome
from chalicelib.messages.attachments import RequestAttachments
from chalicelib.messages.inbound import InboundMessage
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Tables
from chalicelib.protocol import staging, trigger_lock
from chalicelib.protocol.staging import Duplicate, Staged, StagedMessage
from chalicelib.protocol.trigger_lock import AlreadyTriggered, Trigger, Triggered
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Storing:
    """Stages messages and sees to their triggers."""

    clock: Clock
    new_id: Callable[[], str]
    settings: Settings

    def stage(
        self,
        tables: Tables,
        conversation: Conversation,
        message: InboundMessage,
        policy: Policy,
        attachments: RequestAttachments | None,
        trail: Trail,
        *,
        route: Route | None,
    ) -> StagedMessage | None:
        """The row that stands for the message now: the one written, or the one that a retry finds.

        None: a retry of what is in the record, and staged no more.
        """
        if attachments is not None and is_to_be_kept(message):
            existing = staging.find(tables.stage, conversation.key, message.message_sid)
            if existing is not None:  # a retry: what came with it is kept already
                return _duplicate(existing, trail)
            if message.message_sid in conversation.record.entry_ids:  # read before the stage: it was settled
                trail.log(Step.DUPLICATE)
                trail.count(Metric.DUPLICATE, outcome="answered")
                return None
            message = attachments.store(message, conversation.tenant)
        now = self.clock.now()
        staged = StagedMessage(
            conversation=conversation.key,
            message_sid=message.message_sid,
            channel=message.channel,
            tenant=conversation.tenant,
            received_at=message.received_at,
            context=staged_contexts.staged_context(message, request_id=trail.request_id, now=now),
            opt_out=message.opt_out.value if message.opt_out else None,
            opt_out_keyword=message.opt_out_keyword.value if message.opt_out_keyword else None,
            moved_before_seen=conversation.record.moved_before,
            due_at=message.received_at
            + timedelta(seconds=policy.batch_max_wait_seconds if route is Route.CHANNEL else 0),
        )
        try:
            outcome = staging.stage(tables.stage, staged, now=now, ttl_hours=self.settings.stage_ttl_hours)
        except TryAgain as fault:
            raise TryAgain(Code.STAGE_WRITE_ERROR, fault.detail, maybe_applied=fault.maybe_applied) from fault
        match outcome:
            case Staged():
                told = route.value if route is not None else "opt_out"
                trail.log(Step.STAGED, route=told)
                trail.count(Metric.STAGED, outcome=told)
                return staged
            case Duplicate(existing):
                return _duplicate(existing, trail)

    def ensure_trigger(
        self,
        tables: Tables,
        queues: Queues,
        staged: StagedMessage,
        trail: Trail,
        *,
        delay_seconds: int,
    ) -> Outcome:
        """See to a trigger for a staged message; a fault is reported and acknowledged, for the sweep takes over."""
        try:
            outcome = trigger_lock.ensure(
                tables.trigger_lock,
                queues.trigger(staged.channel),
                Trigger(staged.conversation, self.new_id()),
                delay_seconds=delay_seconds,
                now=self.clock.now(),
                tenant=staged.tenant,
            )
        except (TryAgain, Misconfigured) as fault:
            trail.fault(Step.FAILED, fault)
            return Outcome(_after_staging(fault))
        match outcome:
            case Triggered(trigger, lock_fault=None):
                trail.log(Step.TRIGGERED, trigger_id=trigger.trigger_id, seconds=delay_seconds)
                return Outcome()
            case Triggered(trigger, lock_fault):
                assert lock_fault is not None, "the other case is matched above"
                trail.fault(Step.TRIGGERED, lock_fault, trigger_id=trigger.trigger_id)
                return Outcome(Code.TRIGGER_LOCK_WRITE_ERROR)
            case AlreadyTriggered():
                trail.log(Step.WAITING, Level.DEBUG)
                return Outcome()


def is_to_be_kept(message: InboundMessage) -> bool:
    """Whether something came with a message that its row has no room for."""
    return bool(message.attachments) or message.whole is not None


def _duplicate(existing: StagedMessage, trail: Trail) -> StagedMessage:
    trail.log(Step.DUPLICATE)
    trail.count(Metric.DUPLICATE, outcome="staged")
    return existing


def _after_staging(fault: EngineError) -> Code:
    """The code of a fault that the sweep mends: one that the table answers as received."""
    return Code.QUEUE_ERROR if fault.code is Code.QUEUE_ERROR else Code.TRIGGER_LOCK_WRITE_ERROR
