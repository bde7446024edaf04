"""The requests of AWS's clients, read, and answered where a service of the evening is kept here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

from botocore.awsrequest import AWSPreparedRequest, AWSResponse


def named(request: AWSPreparedRequest) -> tuple[str, str]:
    """The service and the action of a request; of an asynchronous invocation the function."""
    target = request.headers.get("X-Amz-Target")
    if target is not None:
        told = target.decode() if isinstance(target, bytes) else str(target)
        service, _, action = told.partition(".")
        names = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "secretsmanager": "secretsmanager"}
        return names.get(service, service), action
    if "/functions/" in str(request.url):
        return "lambda", str(request.url).split("/functions/")[1].split("/")[0]
    body = request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")
    return str(request.url).split("//")[1].split(".")[0], parse_qs(body).get("Action", ["?"])[0]


def throttled(request: AWSPreparedRequest) -> AWSResponse:
    """What DynamoDB answers when it has too much to do."""
    kind = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    return response(request, 400, {"__type": kind, "message": "Rate exceeded"})


def response(request: AWSPreparedRequest, status: int, document: Mapping[str, Any]) -> AWSResponse:
    """What a service answers."""
    headers: Mapping[str, str] = {"content-type": "application/x-amz-json-1.0"}
    return AWSResponse(request.url, status, headers, _Raw(json.dumps(document).encode()))  # type: ignore[arg-type]


class _Raw(BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()
