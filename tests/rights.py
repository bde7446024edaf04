"""Which function makes which call to AWS: recorded at both boundaries, and held against the function's rights.

    chalicelib.aws.calls.Service.call      the adapters' one way to AWS, whatever engine is behind it
    tests.fakes.faults.FaultPlan.perform   the fakes' one way to happen: units, fault tests, simulations, fuzzing

A call counts as a function's while one of the handlers that app.py calls for it runs. A name that the template
does not have is an invention of the test that uses it, and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import lru_cache, wraps
from types import ModuleType
from typing import Any

import pytest

from chalicelib.aws.calls import Service
from chalicelib.handlers import queues, schedules, webhooks
from infrastructure import policies
from infrastructure.rights import RIGHTS, secret_patterns
from infrastructure.stages import HTTP_FUNCTION, stages
from infrastructure.template import ACCOUNT, TEMPLATE_FILE, resources
from tests.fakes.faults import Call, FaultPlan

_LOCAL = stages()["local"]
STAGE = replace(_LOCAL, variables={**_LOCAL.variables, "MEDIA_COPYING": "true"})
"""The stage whose names the tests use, with the rights of what is off by default."""

FUNCTIONS: Mapping[tuple[ModuleType, str], Callable[[tuple[Any, ...]], str]] = {
    (webhooks, "receive_message"): lambda _: HTTP_FUNCTION,
    (webhooks, "receive_delivery_report"): lambda _: HTTP_FUNCTION,
    (queues, "process_triggers"): lambda arguments: f"batch_{arguments[2]}",
    (queues, "process_replies"): lambda _: "send_replies",
    (queues, "process_human_replies"): lambda _: "send_human_replies",
    (schedules, "reset_stalled_locks"): lambda _: "check_and_reset_stalled_conversations",
    (schedules, "recover_orphaned_messages"): lambda _: "recover_orphaned_messages",
}
"""The Lambda function of each handler, by the handler's arguments."""

_SERVICES = {"SendMessage": "sqs", "GetQueueUrl": "sqs", "GetSecretValue": "secretsmanager", "PutObject": "s3"}
"""The services of the fakes' operations; all others are DynamoDB's."""

_COMES_WITH = {"SendMessage": ("GetQueueUrl",)}
"""What the adapters call beside an operation of the fakes: the first message to a queue asks for its URL."""

_NOT_AWS = frozenset({"CreateMessage", "FetchMedia", "ListMessages", "DeleteMessage"})
"""The provider's, and what a simulated Lambda does with a queue itself."""

_NEEDS_NO_RIGHT = frozenset({"GetCallerIdentity"})
"""Whoever has credentials may ask whose they are."""

_passing: ContextVar[str | None] = ContextVar("function", default=None)


@dataclass(frozen=True, order=True)
class Use:
    """One action of a function on one resource."""

    function: str
    action: str
    arn: str


@dataclass
class Recorder:
    """What was used so far."""

    uses: set[Use] = field(default_factory=set)

    def note(self, service: str, operation: str, names: tuple[str, ...]) -> None:
        function = _passing.get()
        if function is not None:
            self.uses |= _uses(function, service, operation, names)

    def unused(self) -> list[tuple[str, str, str]]:
        """Each function's rights that nothing used: function, action, place in the table of rights."""
        return [
            (function, action, place)
            for function in RIGHTS
            for (action, arn), place in policies.allowed(STAGE, function).items()
            if not any((use.function, use.action) == (function, action) and _matches(arn, use.arn) for use in self.uses)
        ]


@lru_cache
def is_allowed(use: Use) -> bool:
    """Whether the policy of the function's role allows it, as IAM decides."""
    return any(
        use.action in statement["Action"] and _matches(statement["Resource"], use.arn)
        for statement in policies.document(STAGE, use.function)["Statement"]
    )


@contextmanager
def recording(patch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Record what happens in the block."""
    recorder = Recorder()
    call, perform = Service.call, FaultPlan.perform

    @wraps(call)
    def noted_call(self: Service, operation: str, resource: str, request: Mapping[str, Any], **options: Any) -> Any:
        if _passing.get() is not None and operation not in _NEEDS_NO_RIGHT:
            recorder.note(self.client.meta.service_model.signing_name, operation, _named(request))
        return call(self, operation, resource, request, **options)

    @wraps(perform)
    def noted_perform(self: FaultPlan, one: Call, apply: Callable[..., Any]) -> Any:
        if one.operation not in _NOT_AWS and not self._is_another_acting:
            names = (f"{one.resource}/index/{one.index}",) if one.index else tuple(one.resource.split(", "))
            for operation in (one.operation, *_COMES_WITH.get(one.operation, ())):
                recorder.note(_SERVICES.get(operation, "dynamodb"), operation, names)
        return perform(self, one, apply)

    with patch.context() as patches:
        patches.setattr(Service, "call", noted_call)
        patches.setattr(FaultPlan, "perform", noted_perform)
        for (module, handler), function in FUNCTIONS.items():
            patches.setattr(module, handler, _passed(getattr(module, handler), function))
        yield recorder


def _passed(handler: Callable[..., Any], function: Callable[[tuple[Any, ...]], str]) -> Callable[..., Any]:
    @wraps(handler)
    def passed(*arguments: Any, **options: Any) -> Any:
        token = _passing.set(function(arguments))
        try:
            return handler(*arguments, **options)
        finally:
            _passing.reset(token)

    return passed


def _named(request: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of what a request is about."""
    if "RequestItems" in request:
        return tuple(request["RequestItems"])
    if "IndexName" in request:
        return (f"{request['TableName']}/index/{request['IndexName']}",)
    (name,) = (request[key] for key in ("TableName", "QueueUrl", "QueueName", "SecretId", "Bucket") if key in request)
    return (name.rpartition("/")[2] if "QueueUrl" in request else name,)


@lru_cache  # a simulation makes a few calls a million times
def _uses(function: str, service: str, operation: str, names: tuple[str, ...]) -> frozenset[Use]:
    return frozenset(Use(function, f"{service}:{operation}", arn) for arn in _arns(service, names))


def _arns(service: str, names: tuple[str, ...]) -> list[str]:
    scope = f"arn:aws:{service}:eu-west-1:000000000000:"
    if service == "secretsmanager":  # which secret it is, the company's row says and not the code
        return [f"{scope}secret:{name.replace('*', 'x')}-AbCdEf" for name in secret_patterns(STAGE.name)]
    if service == "s3":  # whatever the fake is called: a stage has one bucket
        bucket = resources(TEMPLATE_FILE, STAGE.name)["AttachmentsBucket"].properties["BucketName"]
        return [f"arn:aws:s3:::{bucket.replace(ACCOUNT, '0' * 12)}/key"]
    where = "table/" if service == "dynamodb" else ""
    return [f"{scope}{where}{name}" for name in names if name.partition("/")[0] in _known()]


@lru_cache
def _known() -> frozenset[str]:
    return frozenset(
        one.properties.get("TableName") or one.properties.get("QueueName", "")
        for one in resources(TEMPLATE_FILE, STAGE.name).values()
    )


def _matches(pattern: str, arn: str) -> bool:
    return _compiled(pattern).fullmatch(arn) is not None


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(sign) or re.escape(sign) for sign in pattern))
