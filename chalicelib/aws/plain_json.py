"""Calls in plain JSON: the engine itself spells their requests and reads their answers.

botocore copies each request and each answer value by value, along its model of the service, to translate instants and
bytes. The calls below have no instants, and their bytes stand in rows alone, which `attributes` reads either way. The
copies were a tenth of a webhook's processor time and half of that of a batch on a full record. botocore also works out
the endpoint anew for each call; all of these calls of one client go to one endpoint.

Everything else stays botocore's: headers, signature, tries, checksums, and the answers that are errors. A later
botocore may lack the two attributes that are replaced here. Then the calls are slower, and still right.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel

CALLS: Final[Mapping[str, frozenset[str]]] = {
    "dynamodb": frozenset(
        {
            "BatchGetItem",
            "BatchWriteItem",
            "DeleteItem",
            "GetItem",
            "PutItem",
            "Query",
            "Scan",
            "UpdateItem",
        }
    ),
    "sqs": frozenset({"GetQueueUrl", "SendMessage"}),
}
"""The calls, by service as botocore names it. The engine sends no message with binary attributes."""

_REFUSED = 300
"""The HTTP status from which an answer is an error."""

Request = dict[str, Any]
"""A request as botocore passes it on: its method, headers and body, and where it goes."""


class _Serializes(Protocol):
    def serialize_to_request(self, parameters: Mapping[str, Any], operation_model: OperationModel) -> Request: ...


def speak(client: BaseClient, service: str) -> None:
    """Have a client make the service's calls that are named in `CALLS` in plain JSON."""
    if service not in CALLS:
        return
    parts = vars(client)
    for name, ours in (("_serializer", _Serializer), ("_ruleset_resolver", _Endpoints)):
        if parts.get(name) is not None:
            parts[name] = ours(parts[name], CALLS[service])
    event = f"before-parse.{client.meta.service_model.service_id.hyphenize()}"
    for operation in CALLS[service]:
        client.meta.events.register(f"{event}.{operation}", _read, unique_id=f"replies-engine-reads-{operation}")


class _Serializer:
    """botocore's serializer of a client, but for the body of calls in plain JSON."""

    def __init__(self, botocores: _Serializes, calls: frozenset[str]) -> None:
        self._botocores = botocores
        self._calls = calls
        self._empty: dict[str, Request] = {}
        """The request of each such call, without its body."""

    def serialize_to_request(self, parameters: Mapping[str, Any], operation_model: OperationModel) -> Request:
        name = operation_model.name
        if name not in self._calls:
            return self._botocores.serialize_to_request(parameters, operation_model)
        empty = self._empty.get(name)
        if empty is None:
            empty = self._empty[name] = self._botocores.serialize_to_request({}, operation_model)
        body = json.dumps(parameters, default=_spelled).encode()
        return {**empty, "headers": dict(empty["headers"]), "body": body}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._botocores, name)


class _Endpoints:
    """botocore's resolver of a client's endpoints, asked once for each call in plain JSON."""

    def __init__(self, botocores: Any, calls: frozenset[str]) -> None:
        self._botocores = botocores
        self._calls = calls
        self._known: dict[str, Any] = {}

    def construct_endpoint(self, operation_model: OperationModel, call_args: Mapping[str, Any], **asked: Any) -> Any:
        name = operation_model.name
        if name in self._known and not _names_arn(call_args):
            return self._known[name]
        found = self._botocores.construct_endpoint(operation_model=operation_model, call_args=call_args, **asked)
        if name in self._calls and not _names_arn(call_args):
            self._known[name] = found
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._botocores, name)


def _names_arn(call_args: Mapping[str, Any]) -> bool:
    """Whether a table is named by its ARN, which tells an account and with it perhaps an endpoint."""
    named = (call_args.get("TableName", ""), *call_args.get("RequestItems", ()))
    return any(one.startswith("arn:") for one in named)


def _spelled(value: Any) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError(f"no call has a Python {type(value).__name__}")


def _read(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Read an answer, and leave none of it to botocore; what is no JSON is left to it, and fails its checksum."""
    if response_dict["status_code"] >= _REFUSED or not response_dict["body"]:
        return
    try:
        answer = json.loads(response_dict["body"])
    except ValueError:
        return
    if isinstance(answer, dict):
        customized_response_dict.update({name: one for name, one in answer.items() if one is not None})
        response_dict["body"] = b""
