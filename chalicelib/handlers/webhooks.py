"""Webhooks: a provider's request runs a use case, and the table in `responses.py` answers the provider.

Every exception ends here: it is logged by type and place, counted, and answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import urlencode

from chalice.app import Request, Response

from chalicelib.channels.channel import Vendor
from chalicelib.channels.provider import WebhookRequest
from chalicelib.clock import Deadline
from chalicelib.errors import Code, EngineError, Rejected
from chalicelib.handlers.outcomes import as_engine_error, invocation_trail, report
from chalicelib.inbound import responses
from chalicelib.inbound.outcome import Outcome
from chalicelib.inbound.receiving import Receiving
from chalicelib.inbound.responses import Answer
from chalicelib.outbound.delivery_reports import DeliveryReports
from chalicelib.telemetry import Level, Metric, Step, Trail
from chalicelib.wiring import Engine

_UNPROVEN_MAX = 2
"""Recipients of one message whose companies do not verify it, before the others are not even looked up.

A forger chooses how many there are. Whether the others would have verified it is not certain, so the provider is asked
to come again, and the retry begins at another recipient.
"""

SUCCESS = "success"

Found = TypeVar("Found")


def receive_message(request: Request | None, vendor: Vendor, engine: Engine, *, url_token: str = "") -> Response:
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


def receive_delivery_report(request: Request | None, vendor: Vendor, send_id: str, engine: Engine) -> Response:
    """Answer one report of a provider on a message that was sent; a report that was taken needs no content."""
    assert request is not None, "Chalice sets the request before it calls a view"
    trail = _request_trail(request, engine)

    def track() -> Outcome:
        reports = engine.delivery_reports
        reports.record(_web_request(request, reports, engine, trail), send_id, trail)
        return Outcome()

    outcome = _outcome(track, trail)
    if outcome.code is None:
        # The line before says what was reported, and there are several reports of each reply.
        return _answered(responses.no_content(), None, trail, Level.DEBUG)
    return _answered(responses.answer(vendor.answer_style, outcome.code, is_report=True), outcome.code, trail)


def unknown_path() -> Response:
    """Answer a request to a path that is none of ours."""
    return _as_response(responses.unknown_path())


def public_urls(request: Request, base: str) -> tuple[str, ...]:
    """The URLs that the provider may have called and signed, the configured one first.

    One is the configured base with the route's own path, whatever stage or base path mapping stands before it. The
    other is the request's own, by the domain that API Gateway tells: a company's console may still name the execute-api
    URL while a custom domain serves the API. Without a base, and without API Gateway, the host and the scheme that were
    forwarded tell it; with a base the Host header, which is the caller's to set, has no say.

    A query string is rebuilt from its decoded parameters, so one whose encoding or order was unusual does not verify.
    """
    told: Mapping[str, Any] = request.context
    path: str = told.get("path") or request.path
    urls = [base + _path_of_route(path, request.path)] if base else []
    if told.get("domainName"):
        urls.append(f"https://{told['domainName']}{path}")
    elif not base:
        headers = request.headers
        scheme = headers.get("x-forwarded-proto", "http").partition(",")[0].strip()  # each proxy adds its own
        urls.append(f"{scheme}://{headers.get('host', 'localhost')}{path}")
    return tuple(dict.fromkeys(f"{url}{_query_of(request)}" for url in urls))


def _path_of_route(path: str, route: str) -> str:
    """The end of a path that is the route's: as many segments as the route's template has."""
    trimmed = path.rstrip("/")
    segments = trimmed.split("/")[-len(route.strip("/").split("/")) :]
    return "/" + "/".join(segments) + path[len(trimmed) :]


def _query_of(request: Request) -> str:
    parameters = request.query_params
    if not parameters:
        return ""
    return "?" + urlencode([(name, value) for name in parameters for value in parameters.getlist(name)])


def _received(request: Request, vendor: Vendor, url_token: str, engine: Engine, trail: Trail) -> Outcome:
    """Take a message in for each of its recipients, each on its own; the outcome that is answered."""
    receiving = engine.receiving(vendor)
    web_request = _web_request(request, receiving, engine, trail, url_token)
    messages = receiving.parse(web_request)
    # Parsing calls nobody and is bounded by what it reads: a large e-mail's takes nothing from the calls after it.
    deadline = Deadline.after(engine.clock, engine.settings.webhook_deadline_seconds)
    attachments = receiving.attachments(deadline)
    if len(messages) == 1:
        return receiving.receive(web_request, messages[0], attachments, deadline, trail)
    outcomes, unproven, unproven_count, is_proven = [], [], 0, False
    for one in _turned(messages, trail.request_id):
        if unproven_count == _UNPROVEN_MAX and not is_proven:
            outcomes.append(Outcome(Code.RECIPIENTS_LEFT))
            break
        own = trail.with_fields()
        became = _attempt(partial(receiving.receive, web_request, one, attachments, deadline, own))
        if isinstance(became, EngineError) and became.code is Code.INVALID_SIGNATURE:
            unproven.append((became, own))  # the level of that log line depends on the others
            unproven_count += 1
            continue
        is_this_proven = isinstance(became, Outcome | Rejected)  # what else failed may have failed before the proof
        is_proven |= is_this_proven
        unproven_count += not is_this_proven
        outcomes.append(_settled(became, own))
    outcomes += [report(refusal, own, is_quiet=is_proven) for refusal, own in unproven]
    return min(outcomes, key=lambda outcome: responses.precedence(outcome.code))


def _turned(messages: Sequence[Found], request_id: str) -> Sequence[Found]:
    """The messages, beginning at another one for another request.

    They share one deadline: were the first always the first, those that it takes from the last would never be taken.
    """
    first = int(sha256(request_id.encode()).hexdigest(), 16) % len(messages)
    return (*messages[first:], *messages[:first])


def _outcome(action: Callable[[], Outcome], trail: Trail) -> Outcome:
    """The outcome of an action that a provider waits for; a fault is reported and becomes an outcome too."""
    return _settled(_attempt(action), trail)


def _attempt(action: Callable[[], Outcome]) -> Outcome | EngineError:
    """The outcome of an action, or the error that ended it."""
    try:
        return action()
    except EngineError as error:
        return error
    except Exception as surprise:
        return as_engine_error(surprise)


def _settled(became: Outcome | EngineError, trail: Trail) -> Outcome:
    return report(became, trail) if isinstance(became, EngineError) else became


def _request_trail(request: Request, engine: Engine) -> Trail:
    """A trail under the ids that Lambda and API Gateway gave the request.

    No caller can choose the id of API Gateway; the provider receives it as `x-amz-apigw-id`.
    """
    return invocation_trail(
        engine,
        request_id=getattr(request.lambda_context, "aws_request_id", "none"),
        api_request_id=request.context.get("extendedRequestId", "none"),
    )


def _answered(
    answer: Answer, code: Code | None, trail: Trail, level: Level = Level.INFO, *, success: str = SUCCESS
) -> Response:
    """Log and count an answer, and return it; one that drops a request by a fault of ours also counts as our fault."""
    outcome = code.value if code is not None else success
    trail.log(Step.ANSWERED, level, outcome=outcome, status=answer.status)
    if outcome != SUCCESS:  # a success is counted as what it did: staged, a duplicate, a delivery
        trail.count(Metric.ANSWERED, outcome=outcome)
    if code is not None and responses.is_our_fault(code):
        trail.count(Metric.OWN_FAULT, outcome=code.value)
    return _as_response(answer)


def _web_request(
    request: Request, taker: Receiving | DeliveryReports, engine: Engine, trail: Trail, url_token: str = ""
) -> WebhookRequest:
    """The request as providers' code reads it.

    Raises:
        Rejected: `INVALID_SIGNATURE`; it bears no proof, and its body was not even decoded.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    taker.require_proof(headers, url_token)
    body = request.raw_body
    return WebhookRequest(
        urls=public_urls(request, engine.settings.public_base_url),
        headers=headers,
        body=body if isinstance(body, bytes) else body.encode(),
        request_id=trail.request_id,
        url_token=url_token,
    )


def _as_response(answer: Answer) -> Response:
    return Response(answer.body, status_code=answer.status, headers={"Content-Type": answer.content_type})
