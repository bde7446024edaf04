"""The outermost door of each Lambda function: an event comes in, a use case runs, the outcome is told and answered.

The only file that catches what nobody expected. There it is logged by type and place, counted, and answered: a webhook
by the table, a trigger by coming again, a repair by going on with the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import urlencode

from chalice.app import Request, Response

from chalicelib.batches.batching import Job
from chalicelib.channels.channel import Vendor, WebhookRequest
from chalicelib.clock import Deadline
from chalicelib.errors import Code, EngineError, Misconfigured, Rejected
from chalicelib.inbound import responses
from chalicelib.inbound.receiving import Outcome
from chalicelib.inbound.responses import Answer
from chalicelib.messages.replies import Reply
from chalicelib.outbound import replying
from chalicelib.ports.queues import Queue
from chalicelib.protocol.trigger_lock import Trigger
from chalicelib.protocol.unknown_senders import Reminder
from chalicelib.repair.dead_letters import bury
from chalicelib.telemetry.writer import MEASURES, PROVEN_FOR_ANOTHER, Fields, Level, Metric, Step, Trail, describe
from chalicelib.unknown_senders import fallback_message
from chalicelib.wiring import Engine, new_id

Found = TypeVar("Found")

_MARGIN_SECONDS = 5.0
"""How long before its own timeout a worker starts no further work, so that it can still send its triggers again."""

_LOUDNESS = {
    Code.INVALID_SIGNATURE: Level.CRITICAL,
    Code.PARSING_ERROR: Level.WARNING,
    Code.MISSING_REQUIRED_FIELD: Level.WARNING,
}
_REFUSAL_METRICS = {
    Code.INVALID_SIGNATURE: Metric.INVALID_SIGNATURE,
    Code.AUTOMATIC_MESSAGE: Metric.AUTOMATIC_MESSAGE,
    Code.SENDER_NOT_AUTHENTICATED: Metric.UNAUTHORISED_EMAIL,
}


def webhook(request: Request | None, vendor: Vendor, engine: Engine, *, url_token: str = "") -> Response:
    """Answer one webhook request, whatever happens.

    Args:
        request: as Chalice hands it over.
        vendor: whose route it is; it is answered as that provider wants, even where nothing could be parsed.
        engine: builds the use case; faults of the settings are answered too.
        url_token: what the path says after the route's own words.
    """
    assert request is not None, "Chalice sets the request before it calls a view"
    trail = _request_trail(request, engine)
    outcome = _outcome(lambda: _received(request, vendor, url_token, engine, trail), trail)
    if outcome.is_probe:
        return _answered(responses.no_content(), None, trail, success="probe")
    return _answered(responses.answer(vendor.answer_style, outcome.code, notice=outcome.notice), outcome.code, trail)


def delivery_report(request: Request | None, vendor: Vendor, send_id: str, engine: Engine) -> Response:
    """Answer one report of a provider on a message that was sent; a report that was taken needs no content."""
    assert request is not None, "Chalice sets the request before it calls a view"
    trail = _request_trail(request, engine)

    def track() -> Outcome:
        engine.tracking.track(_web_request(request, engine, trail), send_id, trail)
        return Outcome()

    outcome = _outcome(track, trail)
    if outcome.code is None:
        return _answered(responses.no_content(), None, trail)
    return _answered(responses.answer(vendor.answer_style, outcome.code), outcome.code, trail)


def replies(event: Mapping[str, Any], context: Any, engine: Engine) -> None:
    """Process an SQS event's replies, each on its own; those that fail come again.

    Raises:
        EngineError: a reply could neither be processed nor sent again nor buried; SQS delivers the event again.
    """
    trail = Trail(engine.telemetry, engine.clock, request_id=context.aws_request_id)
    seconds = context.get_remaining_time_in_millis() / 1_000 - _MARGIN_SECONDS
    settings = engine.settings
    one_send = settings.provider_connect_timeout_seconds + settings.provider_read_timeout_seconds
    deadline, last_send = Deadline.after(engine.clock, seconds), Deadline.after(engine.clock, seconds - one_send)
    failures: list[EngineError] = []
    for record in event["Records"]:
        tenant, carried = _tenant(record), trail.with_fields(**_carrier(record))
        try:
            errand = _errand(record["body"], tenant, deadline, last_send, engine, carried)
        except Rejected as refusal:
            failures += _buried(engine.queues.dead_replies, record["body"], tenant, refusal, carried)
            continue
        failures += _one(*errand)
    if failures:
        raise failures[0]


Errand = tuple[Callable[[], None], Callable[[EngineError], None], Trail]
"""What a message of a queue asks for, how it comes again where that fails, and where it is told."""


def _errand(body: str, tenant: str, deadline: Deadline, last_send: Deadline, engine: Engine, carried: Trail) -> Errand:
    """What a message of the replies queue asks for: a reply to be sent, or our own reminder of an unknown sender.

    Raises:
        Rejected: it is neither.
    """
    tables, queues, token = engine.tables.within(deadline), engine.queues.within(deadline), new_id()
    reminder = Reminder.from_body(body)
    if reminder is not None:
        trail = carried.with_fields(message_sid=reminder.message_sid, attempt=reminder.attempt)
        to_tell = fallback_message.Job(reminder, tenant, tables, queues, last_send, token, trail)
        to_tell_again = replace(to_tell, tables=engine.tables, queues=engine.queues)
        return (
            partial(engine.telling.process, to_tell),
            lambda fault: engine.telling.come_again(to_tell_again, fault.code.value),
            trail,
        )
    reply = Reply.from_body(body)
    trail = carried.with_fields(
        conversation_id=reply.conversation.conversation_id,
        tenant=tenant,
        batch_id=reply.batch_id or "none",
        attempt=reply.attempt,
    )
    job = replying.Job(reply, tenant, tables, queues, last_send, token, trail)
    again = replace(job, tables=engine.tables, queues=engine.queues)
    return (
        partial(engine.replying.process, job),
        lambda fault: engine.replying.come_again(again, fault.code.value),
        trail,
    )


def unknown_path() -> Response:
    """Answer a request to a path that is none of ours."""
    return _as_response(responses.unknown_path())


def triggers(event: Mapping[str, Any], context: Any, channel: str, engine: Engine) -> None:
    """Process an SQS event's triggers, each on its own; those that fail come again.

    Raises:
        EngineError: a trigger could neither be processed nor sent again nor buried; SQS delivers the event again.
    """
    deadline = Deadline.after(engine.clock, context.get_remaining_time_in_millis() / 1_000 - _MARGIN_SECONDS)
    trail = Trail(engine.telemetry, engine.clock, request_id=context.aws_request_id, channel=channel)
    distinct: dict[tuple[str, str, str], tuple[Trigger, str, Trail]] = {}
    failures: list[EngineError] = []
    for record in event["Records"]:
        tenant, carried = _tenant(record), trail.with_fields(**_carrier(record))
        try:
            trigger = Trigger.from_body(record["body"])
        except Rejected as refusal:
            failures += _buried(engine.queues.dead_triggers[channel], record["body"], tenant, refusal, carried)
            continue
        key = trigger.conversation
        distinct.setdefault((key.conversation_id, key.primary_channel, trigger.trigger_id), (trigger, tenant, carried))
    tables, queues = engine.tables.within(deadline), engine.queues.within(deadline)
    for done, (conversation_id, primary_channel, trigger_id) in enumerate(sorted(distinct)):
        trigger, tenant, carried = distinct[conversation_id, primary_channel, trigger_id]
        own = carried.with_fields(
            conversation_id=conversation_id, tenant=tenant, trigger_id=trigger_id, attempt=trigger.attempt
        )
        job = Job(trigger, channel, tenant, tables, queues, deadline, len(distinct) - done, own)
        # To come again past the deadline too: the margin before the function's own timeout is there for this.
        again = replace(job, tables=engine.tables, queues=engine.queues)
        failures += _one(partial(engine.batching.process, job), partial(engine.batching.come_again, again), own)
    if failures:
        raise failures[0]


def reset_stalled(context: Any, engine: Engine) -> None:
    """Let go of every stalled lock and trigger what was staged meanwhile."""
    deadline, trail = _sweep(context, engine)
    locks = engine.sweeping.stalled_locks(engine.tables, deadline)
    _each(locks, lambda lock, own: engine.sweeping.reset(engine.tables, engine.queues, lock, own), trail)


def recover_orphaned(context: Any, engine: Engine) -> None:
    """Trigger or hand off every orphaned message."""
    deadline, trail = _sweep(context, engine)
    orphans = engine.sweeping.orphans(engine.tables, deadline)
    _each(orphans, lambda orphan, own: engine.sweeping.recover(engine.tables, engine.queues, orphan, own), trail)


def public_url(request: Request, base: str) -> str:
    """The URL that the provider called and signed.

    A configured base is safest. Without one the URL is told by the request: on AWS the domain's name and the path with
    its stage, locally and behind a tunnel the host and the scheme that were forwarded. A query string is rebuilt from
    its decoded parameters, so one whose encoding or order was unusual does not verify.
    """
    told: Mapping[str, Any] = request.context
    path: str = told.get("path") or request.path
    if base:
        url = base + path[max(path.find("/webhooks/"), 0) :]
    elif told.get("domainName"):
        url = f"https://{told['domainName']}{path}"
    else:
        headers = request.headers
        scheme = headers.get("x-forwarded-proto", "http").partition(",")[0].strip()  # each proxy adds its own
        url = f"{scheme}://{headers.get('host', 'localhost')}{path}"
    parameters = request.query_params
    if not parameters:
        return url
    return f"{url}?{urlencode([(name, value) for name in parameters for value in parameters.getlist(name)])}"


def _received(request: Request, vendor: Vendor, url_token: str, engine: Engine, trail: Trail) -> Outcome:
    """Take a message in for each of its recipients, each on its own; the outcome that is answered."""
    receiving = engine.receiving(vendor)
    web_request = _web_request(request, engine, trail, url_token)
    messages = receiving.parse(web_request)
    # Parsing calls nobody and is bounded by what it reads: a large e-mail's takes nothing from the calls after it.
    deadline = Deadline.after(engine.clock, engine.settings.webhook_deadline_seconds)
    keeping = receiving.keeping(deadline)
    if len(messages) == 1:
        return receiving.receive(web_request, messages[0], keeping, deadline, trail)
    outcomes, unproven, is_proven = [], [], False
    for one in _turned(messages, trail.request_id):
        own = trail.with_fields()
        became = _attempt(partial(receiving.receive, web_request, one, keeping, deadline, own))
        if isinstance(became, EngineError) and became.code is Code.INVALID_SIGNATURE:
            unproven.append((became, own))  # how loudly that is told, the others tell
            continue
        is_proven |= isinstance(became, Outcome | Rejected)  # what else failed may have failed before the proof
        outcomes.append(_settled(became, own))
    outcomes += [_told(refusal, own, is_quiet=is_proven) for refusal, own in unproven]
    return min(outcomes, key=lambda outcome: responses.demand(outcome.code))


def _turned(messages: Sequence[Found], request_id: str) -> Sequence[Found]:
    """The messages, beginning at another one for another request.

    They share one deadline: were the first always the first, those that it takes from the last would never be taken.
    """
    first = int(sha256(request_id.encode()).hexdigest(), 16) % len(messages)
    return (*messages[first:], *messages[:first])


def _outcome(action: Callable[[], Outcome], trail: Trail) -> Outcome:
    """What became of an action that a provider waits for, whatever happens in it; a fault is told."""
    return _settled(_attempt(action), trail)


def _attempt(action: Callable[[], Outcome]) -> Outcome | EngineError:
    """What became of an action, or why nothing did."""
    try:
        return action()
    except EngineError as error:
        return error
    except Exception as surprise:
        return _named(surprise)


def _settled(became: Outcome | EngineError, trail: Trail) -> Outcome:
    return _told(became, trail) if isinstance(became, EngineError) else became


def _request_trail(request: Request, engine: Engine) -> Trail:
    """A trail under the ids that Lambda and API Gateway gave the request.

    The latter's is the one that no caller can choose; the provider is told it as `x-amz-apigw-id`.
    """
    return Trail(
        engine.telemetry,
        engine.clock,
        request_id=getattr(request.lambda_context, "aws_request_id", "none"),
        api_request_id=request.context.get("extendedRequestId", "none"),
    )


def _answered(answer: Answer, code: Code | None, trail: Trail, *, success: str = "success") -> Response:
    """Tell of an answer and give it; one that drops what was told, by a fault of ours, is counted as that too."""
    outcome = code.value if code is not None else success
    trail.log(Step.ANSWERED, outcome=outcome, status=answer.status)
    trail.count(Metric.ANSWERED, outcome=outcome)
    if code is not None and responses.is_our_fault(code):
        trail.count(Metric.OWN_FAULT, outcome=code.value)
    return _as_response(answer)


def _tenant(record: Mapping[str, Any]) -> str:
    """The fairness group that a queue's message came with."""
    tenant: str = record.get("attributes", {}).get("MessageGroupId", "unknown")
    return tenant


def _carrier(record: Mapping[str, Any]) -> Fields:
    """What finds a queue's message again: its id, how often it came, and the trace of whoever sent it."""
    attributes = record.get("attributes", {})
    traced = attributes.get("AWSTraceHeader", "").partition(";")[0].removeprefix("Root=")
    return {
        "sqs_message_id": record.get("messageId", "none"),
        "receive_count": int(attributes.get("ApproximateReceiveCount", 1)),
        **({"sender_trace_id": traced} if traced else {}),
    }


def _web_request(request: Request, engine: Engine, trail: Trail, url_token: str = "") -> WebhookRequest:
    body = request.raw_body
    return WebhookRequest(
        url=public_url(request, engine.settings.public_base_url),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body if isinstance(body, bytes) else body.encode(),
        request_id=trail.request_id,
        url_token=url_token,
    )


def _one(process: Callable[[], None], come_again: Callable[[EngineError], None], trail: Trail) -> list[EngineError]:
    """Process one message of a queue, or have it come again; what failed in doing even that."""
    try:
        process()
    except EngineError as error:
        fault = error
    except Exception as surprise:
        fault = _named(surprise)
    else:
        return []
    _told(fault, trail)
    return _tried(trail, partial(come_again, fault))


def _buried(queue: Queue, body: str, tenant: str, refusal: Rejected, trail: Trail) -> list[EngineError]:
    """Bury what is no message of ours; what failed in doing it."""
    return _tried(trail, partial(bury, queue, body, tenant=tenant, reason=refusal.detail, trail=trail))


def _tried(trail: Trail, action: Callable[[], None]) -> list[EngineError]:
    """Do the last thing that can be done for a trigger; what failed in doing it."""
    try:
        action()
    except EngineError as failure:
        trail.fault(Step.FAILED, failure)
        return [failure]
    return []


def _sweep(context: Any, engine: Engine) -> tuple[Deadline, Trail]:
    seconds = context.get_remaining_time_in_millis() / 1_000 - _MARGIN_SECONDS
    trail = Trail(engine.telemetry, engine.clock, request_id=context.aws_request_id)
    return Deadline.after(engine.clock, seconds), trail


def _each(found: Iterable[Found], repair: Callable[[Found, Trail], None], trail: Trail) -> None:
    """Repair one thing after another; one that fails is told, and left to the next sweep.

    Raises:
        EngineError: what to repair could not be found out.
    """
    count = 0
    for one in found:
        count += 1
        own = trail.with_fields()
        try:
            repair(one, own)
        except EngineError as error:
            _told(error, own)
        except Exception as surprise:
            _told(_named(surprise), own)
    trail.log(Step.SWEPT, Level.DEBUG, count=count)


def _told(error: EngineError, trail: Trail, *, is_quiet: bool = False) -> Outcome:
    """Log and count an error by who must act; quietly where nobody must: the request is proven, for another company."""
    if is_quiet:
        trail.fault(Step.REFUSED, error, Level.INFO, outcome=PROVEN_FOR_ANOTHER)
        trail.count(Metric.REFUSED, outcome=PROVEN_FOR_ANOTHER)
        return Outcome(error.code)
    if isinstance(error, Rejected):
        trail.fault(Step.REFUSED, error, _LOUDNESS.get(error.code, Level.INFO))
        metric = _REFUSAL_METRICS.get(error.code, Metric.REFUSED)
    else:
        trail.fault(Step.FAILED, error, Level.ERROR if isinstance(error, Misconfigured) else Level.WARNING)
        is_of_secret = error.code in MEASURES[Metric.SECRET_FAILURE].outcomes
        metric = Metric.SECRET_FAILURE if is_of_secret else Metric.FAULT
    trail.count(metric, outcome=error.code.value)
    return Outcome(error.code)


def _named(surprise: Exception) -> EngineError:
    """An error that nobody expected, as one of ours: by its type and places, for its words may hold anything."""
    return Misconfigured(Code.INTERNAL_ERROR, describe(surprise)["reason"])


def _as_response(answer: Answer) -> Response:
    return Response(answer.body, status_code=answer.status, headers={"Content-Type": answer.content_type})
