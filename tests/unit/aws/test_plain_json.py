"""Calls in plain JSON say what botocore itself would say, and are read as botocore itself would read them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from chalicelib.aws.attributes import item_from_wire, item_to_wire
from chalicelib.aws.clients import Clients
from chalicelib.aws.plain_json import CALLS
from tests.fakes.wire import Answer, Wire
from tests.world import settings_of

if TYPE_CHECKING:
    from botocore.client import BaseClient

WITHOUT_HASTE = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SCALARS = some.none() | some.booleans() | some.text() | some.binary() | some.integers() | some.decimals(allow_nan=False)
VALUES = SCALARS | some.lists(SCALARS, max_size=3) | some.dictionaries(some.text(max_size=5), SCALARS, max_size=3)
ROWS = some.dictionaries(some.text(min_size=1, max_size=5), VALUES, max_size=3)
KEY = {"id": {"S": "1"}}


def requests_with(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A request of each call, with a row wherever one can stand."""
    wire = item_to_wire(row)
    named = {"TableName": "t", "ExpressionAttributeValues": {":v": {"M": wire}}}
    asked = {**named, "ReturnValues": "ALL_OLD"}
    return {
        "BatchGetItem": {"RequestItems": {"t": {"Keys": [KEY], "ConsistentRead": True}}},
        "BatchWriteItem": {"RequestItems": {"t": [{"PutRequest": {"Item": wire}}, {"DeleteRequest": {"Key": KEY}}]}},
        "DeleteItem": {**asked, "Key": KEY},
        "GetItem": {"TableName": "t", "Key": KEY, "ConsistentRead": True},
        "PutItem": {**asked, "Item": wire},
        "Query": {**named, "Limit": 3, "ExclusiveStartKey": wire},
        "Scan": {**named, "Segment": 0, "TotalSegments": 2},
        "UpdateItem": {**asked, "Key": KEY, "UpdateExpression": "SET a = :v"},
        "GetQueueUrl": {"QueueName": "q"},
        "SendMessage": {
            "QueueUrl": "https://sqs.example/q",
            "MessageBody": json.dumps(wire, default=repr),
            "MessageAttributes": {"a": {"DataType": "String", "StringValue": "v"}},
        },
    }


def answers_with(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """An answer to each call, with a row wherever one can stand."""
    wire = json.loads(json.dumps(item_to_wire(row), default=lambda content: b64encode(content).decode()))
    return {
        "BatchGetItem": {"Responses": {"t": [wire]}, "UnprocessedKeys": {"t": {"Keys": [KEY]}}},
        "BatchWriteItem": {"UnprocessedItems": {"t": [{"PutRequest": {"Item": wire}}]}},
        "DeleteItem": {"Attributes": wire},
        "GetItem": {"Item": wire},
        "PutItem": {},
        "Query": {"Items": [wire, wire], "Count": 2, "ScannedCount": 3, "LastEvaluatedKey": KEY},
        "Scan": {"Items": [wire], "Count": 1, "ScannedCount": 1},
        "UpdateItem": {"Attributes": wire},
        "GetQueueUrl": {"QueueUrl": "https://sqs.example/q"},
        "SendMessage": {"MessageId": "m", "MD5OfMessageBody": "0"},
    }


@cache
def clients_of(service: str) -> tuple[BaseClient, BaseClient]:
    """Ours, and one that is botocore's altogether."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        ours = Clients(settings_of(())).of(service)
        return ours, Session().create_client(service, config=ours.meta.config)


def called(client: BaseClient, operation: str, request: Mapping[str, Any], answer: Answer) -> tuple[Wire, Any]:
    wire = Wire(client, answer)
    return wire, getattr(client, xform_name(operation))(**request)


def rows_in(answer: Any) -> Any:
    """An answer with its rows as they are read."""
    if isinstance(answer, list):
        return [rows_in(one) for one in answer]
    if not isinstance(answer, dict):
        return answer
    if answer and all(isinstance(one, dict) and len(one) == 1 and next(iter(one)) in _KINDS for one in answer.values()):
        return item_from_wire(answer)
    return {name: rows_in(one) for name, one in answer.items()}


_KINDS = {"S", "N", "B", "M", "L", "BOOL", "NULL", "SS", "NS", "BS"}
OPERATIONS = [(service, operation) for service, operations in CALLS.items() for operation in sorted(operations)]


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@WITHOUT_HASTE
@given(row=ROWS)
def test_a_request_is_the_one_that_botocore_sends(service: str, operation: str, row: dict[str, Any]):
    """Where it goes, its body and its headers; only the signature's instant may differ."""
    asked, answer = requests_with(row)[operation], Answer(200, answers_with({})[operation])

    ours, botocores = (called(client, operation, asked, answer)[0] for client in clients_of(service))

    assert ours.urls == botocores.urls
    assert ours.requests == botocores.requests
    assert ours.headers[0].keys() == botocores.headers[0].keys()
    for name in ("x-amz-target", "content-type", "user-agent", "content-length"):
        assert ours.headers[0][name] == botocores.headers[0][name]


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@WITHOUT_HASTE
@given(row=ROWS)
def test_an_answer_is_read_as_botocore_reads_it(service: str, operation: str, row: dict[str, Any]):
    """Bytes in rows too, once the rows are read."""
    asked, answer = requests_with({})[operation], Answer(200, answers_with(row)[operation], {"x-amzn-requestid": "r"})

    ours, botocores = (called(client, operation, asked, answer)[1] for client in clients_of(service))

    assert rows_in(ours) == rows_in(botocores)


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_botocore_walks_through_neither(service: str, operation: str):
    """Or these calls would be as slow as botocore's: it has no place for a name that its model lacks."""
    ours, _ = clients_of(service)
    asked = {**requests_with({})[operation], "NotInTheModel": 1}

    wire, answer = called(ours, operation, asked, Answer(200, {"NotInTheModel": 2}))

    assert wire.requests[0]["NotInTheModel"] == 1
    assert answer["NotInTheModel"] == 2


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_where_a_call_goes_is_worked_out_once(service: str, operation: str):
    """Left to itself, botocore does it for each call."""
    ours, _ = clients_of(service)
    asked, answer = requests_with({})[operation], Answer(200, answers_with({})[operation])
    called(ours, operation, asked, answer)
    worked_out: list[str] = []
    event = f"before-endpoint-resolution.{ours.meta.service_model.service_id.hyphenize()}"
    ours.meta.events.register(event, lambda model, **_: worked_out.append(model.name), unique_id="test")

    called(ours, operation, asked, answer)

    ours.meta.events.unregister(event, unique_id="test")
    assert worked_out == []


def test_an_error_is_botocore_s():
    """With the row that refused the write, bytes and all."""
    row = {"id": "1", "bytes": b"\x00\xff", "number": Decimal(3)}
    ours, _ = clients_of("dynamodb")
    item = answers_with(row)["GetItem"]["Item"]
    Wire(ours, Answer.error(400, "ConditionalCheckFailedException", Item=item))

    with pytest.raises(ClientError) as told:
        ours.put_item(TableName="t", Item=KEY)

    assert item_from_wire(told.value.response["Item"]) == row


def test_an_answer_that_was_broken_on_its_way_is_asked_for_again():
    """It is no JSON, and its checksum is not DynamoDB's."""
    ours, _ = clients_of("dynamodb")
    whole = Answer(200, {"Item": KEY})
    broken = Answer(200, xml='{"Item": {"id', headers={"x-amz-crc32": str(crc32(whole.content))})
    wire = Wire(ours, broken, whole)

    answer = ours.get_item(TableName="t", Key=KEY)

    assert answer["Item"] == KEY
    assert len(wire.requests) == 2


@pytest.mark.parametrize("value", [b"bytes", b""])
def test_bytes_go_out_in_base64(value: bytes):
    """As DynamoDB's JSON has them."""
    ours, _ = clients_of("dynamodb")

    wire, _ = called(ours, "PutItem", {"TableName": "t", "Item": item_to_wire({"b": value})}, Answer(200))

    assert wire.requests[0]["Item"]["b"] == {"B": b64encode(value).decode()}


def test_a_value_that_json_lacks_is_a_programming_error():
    """The error names its type and not the value."""
    ours, _ = clients_of("dynamodb")

    with pytest.raises(TypeError, match="no call has a Python Decimal"):
        ours.put_item(TableName="t", Item={"n": {"N": Decimal(5)}})


def test_every_other_call_stays_botocore_s():
    """Its endpoint is worked out for itself, and its instants are read as such."""
    ours, _ = clients_of("dynamodb")

    _, answer = called(ours, "DescribeTable", {"TableName": "t"}, Answer(200, {"Table": {"CreationDateTime": 1.0}}))

    assert isinstance(answer["Table"]["CreationDateTime"], datetime)
