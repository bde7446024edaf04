"""Queues: each message of an SQS event is processed on its own; one that fails is retried later or dead-lettered.

Every exception ends here. The function raises only when a message could neither be processed, nor sent again, nor
dead-lettered: then SQS delivers the event again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from chalicelib.batches.job import Job
from chalicelib.clock import Deadline
from chalicelib.errors import Code, EngineError, Rejected
from chalicelib.handlers.outcomes import MARGIN_SECONDS, as_engine_error, invocation_trail, recorded_trace, report
from chalicelib.messages.replies import Reply, Source
from chalicelib.messages.typing import TypingErrand
from chalicelib.outbound.errands import Undelivered
from chalicelib.outbound.job import ErrandJob
from chalicelib.outbound.job import Job as ReplyJob
from chalicelib.outbound.typing import Job as TypingJob
from chalicelib.ports.queues import Queue, Queues
from chalicelib.protocol.fallbacks import FallbackRequest
from chalicelib.protocol.trigger_lock import Trigger
from chalicelib.repair.dead_letters import send_dead_letter
from chalicelib.telemetry import Fields, Step, Trail
from chalicelib.unknown_senders import fallback_message
from chalicelib.wiring import Engine


def process_replies(event: Mapping[str, Any], context: Any, engine: Engine) -> None:
    """Process an SQS event's replies of the AI, and our own reminders, each on its own; those that fail come again.

    Raises:
        EngineError: a reply could neither be processed nor sent again nor dead-lettered; SQS delivers the event again.
    """
    _process_replies(event, context, engine, engine.queues, Source.AI)


def process_human_replies(event: Mapping[str, Any], context: Any, engine: Engine) -> None:
    """The same for replies of people, whose queue has rights of its own."""
    _process_replies(event, context, engine, engine.queues.of_people(), Source.HUMAN)


def _process_replies(event: Mapping[str, Any], context: Any, engine: Engine, queues: Queues, source: Source) -> None:
    trail = invocation_trail(engine, request_id=context.aws_request_id)
    seconds = context.get_remaining_time_in_millis() / 1_000 - MARGIN_SECONDS
    settings = engine.settings
    one_send = settings.provider_connect_timeout_seconds + settings.provider_read_timeout_seconds
    deadline, last_send = Deadline.after(engine.clock, seconds), Deadline.after(engine.clock, seconds - one_send)
    failures: list[EngineError] = []
    for record in event["Records"]:
        tenant, carried = _tenant(record), trail.with_fields(**_carrier(record))
        try:
            errand = _errand(record["body"], tenant, deadline, last_send, engine, queues, source, carried)
        except Rejected as refusal:
            failures += _dead_lettered(queues.dead_replies, record["body"], tenant, refusal, carried)
            continue
        failures += _one(*errand)
    if failures:
        raise failures[0]


Errand = tuple[Callable[[], None], Callable[[EngineError], None], Trail]
"""What a message of a queue asks for, how it comes again where that fails, and where it is told."""


def _errand(
    body: str,
    tenant: str,
    deadline: Deadline,
    last_send: Deadline,
    engine: Engine,
    unbounded: Queues,
    source: Source,
    carried: Trail,
) -> Errand:
    """What a message of a replies queue asks for: a reply of `source` to be sent, or our own reminder.

    Raises:
        Rejected: it is neither; nobody speaks as a person on the AI's queue, nor as the AI on people's.
    """
    tables, queues, token = engine.tables.within(deadline), unbounded.within(deadline), engine.new_id()
    typing = TypingErrand.from_body(body) if source is Source.AI else None
    if typing is not None:
        trail = carried.with_fields(conversation_id=typing.conversation.conversation_id, tenant=tenant)
        to_show = TypingJob(typing, tenant, tables, last_send, trail)
        return partial(engine.typing_indicators.process, to_show), lambda _: None, trail  # it is never repeated
    undelivered = Undelivered.from_body(body) if source is Source.AI else None
    if undelivered is not None:
        trail = carried.with_fields(tenant=tenant, attempt=undelivered.attempt or None)
        at_work = ErrandJob(undelivered, tenant, tables, queues, last_send, token, trail)
        at_work_again = replace(at_work, tables=engine.tables, queues=unbounded)
        return (
            partial(engine.undelivered_messages.process, at_work),
            lambda fault: engine.undelivered_messages.retry_later(at_work_again.after(fault), fault.code.value),
            trail,
        )
    fallback_request = FallbackRequest.from_body(body) if source is Source.AI else None
    if fallback_request is not None:
        trail = carried.with_fields(message_sid=fallback_request.message_sid, attempt=fallback_request.attempt or None)
        to_tell = fallback_message.Job(fallback_request, tenant, tables, queues, last_send, token, trail)
        to_tell_again = replace(to_tell, tables=engine.tables, queues=unbounded)
        return (
            partial(engine.fallback_sending.process, to_tell),
            lambda fault: engine.fallback_sending.retry_later(to_tell_again, fault.code.value),
            trail,
        )
    reply = Reply.from_body(body)
    if reply.source is not source:
        raise Rejected(Code.PARSING_ERROR, f"a reply of source {reply.source.value} has a queue of its own")
    trail = carried.with_fields(
        conversation_id=reply.conversation.conversation_id,
        tenant=tenant,
        batch_id=reply.batch_id or "none",
        attempt=reply.attempt or None,
    )
    job = ReplyJob(reply, tenant, tables, queues, last_send, token, trail)
    again = replace(job, tables=engine.tables, queues=unbounded)
    return (
        partial(engine.replying.process, job),
        lambda fault: engine.replying.retry_later(again.after(fault), fault.code.value),
        trail,
    )


def answer_batches(event: Mapping[str, Any], context: Any, engine: Engine) -> None:
    """Answer an SQS event's batches by the AI worker of this stage.

    Raises:
        EngineError: a batch was not answered; SQS delivers it again, and the worker hands it off in the end.
    """
    trail = invocation_trail(engine, request_id=context.aws_request_id)
    for record in event["Records"]:
        carried = trail.with_fields(**_carrier(record))
        try:
            engine.answering.answer(record["body"], int(record["attributes"]["ApproximateReceiveCount"]))
        except Exception as surprise:
            error = surprise if isinstance(surprise, EngineError) else as_engine_error(surprise)
            report(error, carried)
            raise error from surprise


def process_triggers(event: Mapping[str, Any], context: Any, channel: str, engine: Engine) -> None:
    """Process an SQS event's triggers, each on its own; those that fail come again.

    Raises:
        EngineError: a trigger was neither processed nor sent again nor dead-lettered; SQS delivers the event again.
    """
    deadline = Deadline.after(engine.clock, context.get_remaining_time_in_millis() / 1_000 - MARGIN_SECONDS)
    trail = invocation_trail(engine, request_id=context.aws_request_id, channel=channel)
    distinct: dict[tuple[str, str, str], tuple[Trigger, str, Trail]] = {}
    failures: list[EngineError] = []
    for record in event["Records"]:
        tenant, carried = _tenant(record), trail.with_fields(**_carrier(record))
        try:
            trigger = Trigger.from_body(record["body"])
        except Rejected as refusal:
            failures += _dead_lettered(engine.queues.dead_triggers[channel], record["body"], tenant, refusal, carried)
            continue
        key = trigger.conversation
        distinct.setdefault((key.conversation_id, key.primary_channel, trigger.trigger_id), (trigger, tenant, carried))
    tables, queues = engine.tables.within(deadline), engine.queues.within(deadline)
    for done, (conversation_id, primary_channel, trigger_id) in enumerate(sorted(distinct)):
        trigger, tenant, carried = distinct[conversation_id, primary_channel, trigger_id]
        own = carried.with_fields(
            conversation_id=conversation_id, tenant=tenant, trigger_id=trigger_id, attempt=trigger.attempt or None
        )
        job = Job(trigger, channel, tenant, tables, queues, deadline, len(distinct) - done, own)
        # To come again past the deadline too: the margin before the function's own timeout is there for this.
        again = replace(job, tables=engine.tables, queues=engine.queues)
        retry_later = partial(engine.batching.requeueing.retry_later, again)
        failures += _one(partial(engine.batching.process, job), retry_later, own)
    if failures:
        raise failures[0]


def _tenant(record: Mapping[str, Any]) -> str:
    """The fairness group that a queue's message came with."""
    tenant: str = record.get("attributes", {}).get("MessageGroupId", "unknown")
    return tenant


def _carrier(record: Mapping[str, Any]) -> Fields:
    """What finds a queue's message again: its id, how often it came if more than once, and its sender's trace."""
    attributes = record.get("attributes", {})
    times = int(attributes.get("ApproximateReceiveCount", 1))
    return {
        "sqs_message_id": record.get("messageId", "none"),
        "receive_count": times if times > 1 else None,
        "sender_trace_id": recorded_trace(attributes.get("AWSTraceHeader", "")),
    }


def _one(process: Callable[[], None], retry_later: Callable[[EngineError], None], trail: Trail) -> list[EngineError]:
    """Process one message of a queue, or have it come again; what failed in doing even that."""
    try:
        process()
    except EngineError as error:
        fault = error
    except Exception as surprise:
        fault = as_engine_error(surprise)
    else:
        return []
    report(fault, trail)
    return _tried(trail, partial(retry_later, fault))


def _dead_lettered(queue: Queue, body: str, tenant: str, refusal: Rejected, trail: Trail) -> list[EngineError]:
    """Bury what is no message of ours; what failed in doing it."""
    return _tried(trail, partial(send_dead_letter, queue, body, tenant=tenant, reason=refusal.detail, trail=trail))


def _tried(trail: Trail, action: Callable[[], None]) -> list[EngineError]:
    """Do the last thing that can be done for a trigger; what failed in doing it."""
    try:
        action()
    except EngineError as failure:
        trail.fault(Step.FAILED, failure)
        return [failure]
    return []
