"""What one message costs in the obvious build, as the record grows: its calls over moto, counted as ours are.

    python -m bench.costs

The build is that of `bench.promises`: look up, secret, signature, whole record, stage, trigger lock, trigger; lock,
append, send to the AI, delete; send, set the status. Moto keeps its rows. Before and after each call the rows that it
names are looked at, and the billing of the in-memory tables is applied to them. What is not billed by a row's size is
what `bench.costs` assumes for ours. The build logs nothing, has no
status callbacks and gives the AI no history.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from botocore.session import Session
from chalice.app import Request
from moto import mock_aws
from moto.dynamodb.models import dynamo_type
from twilio.request_validator import RequestValidator

from bench.growth import KEPT_EACH, TEXT, entries_of
from bench.promises.contenders import obvious
from bench.promises.contenders.obvious import Build
from bench.promises.customers import BASE_URL, PATH, STAGE
from chalicelib.aws.attributes import item_from_wire, item_to_wire
from chalicelib.ports.tables import Item
from infrastructure.template import TEMPLATE_FILE, load, resources
from tests.fakes.rows import item_bytes
from tests.fakes.tables import READ_UNIT_BYTES, InMemoryTable
from tests.world import ACCOUNT_SID, AUTH_TOKEN, KEY, SECRET_REF, World, conversation

REGION = "eu-central-1"
SIZES: Mapping[str, int] = {"young": 0, "36 KB": 36 * 1_024, "100 KB": 100 * 1_024, "400 KB": 390 * 1_024}
"""Bytes of the record; DynamoDB takes rows of 400 KB, and the build stages the whole record with the message."""
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})


class Bill:
    """Counts the calls of every client, and the units of those to DynamoDB."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.read_units = 0.0
        self.rows: Any = None
        """A client that is not counted."""
        self._tables = {name: InMemoryTable(schema) for name, schema in load(STAGE).tables.items()}
        self._before: list[tuple[InMemoryTable, dict[str, Any], Item | None]] = []

    @property
    def write_units(self) -> float:
        """Of the tables and of their indexes."""
        spent = [one.consumed for one in self._tables.values()]
        return float(sum(one.write_units + one.index_write_units for one in spent))

    def listen(self, session: Session) -> None:
        """Count what the clients of a session do."""
        session.register("before-call", self._begin)
        session.register("after-call", self._end)

    def _begin(self, model: Any, params: Mapping[str, Any], **_: Any) -> None:
        self.calls[model.name] += 1
        if model.service_model.service_name != "dynamodb":
            return
        told = json.loads(params["body"])
        self._before = [(table, key, self._row(table, key)) for table, key in self._written(model.name, told)]
        self.read_units += self._units_read(model.name, told)

    def _end(self, **_: Any) -> None:
        for table, key, before in self._before:
            table.bill_write(before, self._row(table, key))
        self._before = []

    def _written(self, operation: str, told: Mapping[str, Any]) -> Iterator[tuple[InMemoryTable, dict[str, Any]]]:
        if operation == "BatchWriteItem":
            for name, requests in told["RequestItems"].items():
                yield from ((self._tables[name], one["DeleteRequest"]["Key"]) for one in requests)
        elif operation in _WRITES:
            table = self._tables[told["TableName"]]
            keys = (table.schema.hash_key, table.schema.range_key)
            named = told.get("Key") or told["Item"]
            yield table, {name: named[name] for name in keys if name is not None}

    def _row(self, table: InMemoryTable, key: Mapping[str, Any]) -> Item | None:
        row = self.rows.get_item(TableName=table.name, Key=key).get("Item")
        return None if row is None else item_from_wire(row)

    def _units_read(self, operation: str, told: Mapping[str, Any]) -> float:
        """Eventually consistent reads, for half a unit per 4 KB: the build asks for no others."""
        if operation == "GetItem":
            table = self._tables[told["TableName"]]
            return _units(item_bytes(self._row(table, told["Key"]) or {}))
        if operation == "Query" and "IndexName" not in told:
            (value,) = told["ExpressionAttributeValues"].values()
            found = self.rows.query(
                TableName=told["TableName"],
                KeyConditionExpression="conversation_id = :id",
                ExpressionAttributeValues={":id": value},
            )["Items"]
            return _units(sum(item_bytes(item_from_wire(one)) for one in found))
        return 0.5 if operation == "Query" else 0.0  # the entry of an index is below 4 KB


_OF_A_TABLE = ("TableName", "KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes")


def _of_kind(kind: str) -> list[dict[str, Any]]:
    return [one.properties for one in resources(TEMPLATE_FILE, STAGE).values() if one.kind == kind]


def _units(size: int) -> float:
    return max(1, ceil(size / READ_UNIT_BYTES)) / 2


def row_of(record_bytes: int) -> Item:
    """A conversation whose whole row has nearly so many bytes; 0: one that is young."""
    return _with_entries(World(), entries_in(record_bytes))


def entries_in(record_bytes: int) -> int:
    """How many entries such a row has."""
    world = World()
    young, older = (_size(_with_entries(world, count)) for count in (KEPT_EACH, 100 + KEPT_EACH))
    return KEPT_EACH + max(0, int((record_bytes - young) * 100 / (older - young)))


def _with_entries(world: World, count: int) -> Item:
    return conversation(messages=entries_of(world, KEY, count))


def _size(row: Item) -> int:
    """The bytes of a row as DynamoDB keeps it."""
    return item_bytes(item_from_wire(item_to_wire(row)))


@dataclass(frozen=True)
class Calls:
    """What one message makes the build do."""

    by_operation: Counter[str]
    read_units: float
    write_units: float


def turn_of_the_obvious(record_bytes: int, form: Mapping[str, str]) -> Calls:
    """One message, in a batch of its own that gets one reply.

    Args:
        record_bytes: of the record before the message.
        form: what Twilio posts.
    """
    bill = Bill()
    with deployed(row_of(record_bytes), bill.listen) as (build, rows):
        bill.rows = rows
        sent: list[str] = []
        send = build.sqs.send_message
        build.sqs.send_message = lambda **told: (sent.append(told["MessageBody"]), send(**told))
        _turn(build, dict(form), sent)
    return Calls(bill.calls, bill.read_units, bill.write_units)


def _turn(build: Build, form: dict[str, str], sent: list[str]) -> None:
    """One message, its batch, and the reply to it."""
    build.webhook(request(form))
    (trigger,) = sent
    build.process_batch({"Records": [{"body": trigger, "messageAttributes": {}}]})
    context = json.loads(sent[-1])
    assert context["messages"] == [form["Body"]], "the AI gets the message"
    build.send_reply({"Records": [{"body": json.dumps({**context, "body": TEXT})}]})


def request(form: dict[str, str], token: str = AUTH_TOKEN) -> Request:
    """A webhook's request, signed."""
    event = {
        "headers": {"x-twilio-signature": RequestValidator(token).compute_signature(BASE_URL + PATH, form)},
        "requestContext": {"httpMethod": "POST", "resourcePath": PATH, "path": PATH},
        "pathParameters": None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": urlencode(form),
        "isBase64Encoded": False,
    }
    return Request(event, SimpleNamespace(aws_request_id="request-1"))


@contextmanager
def deployed(row: Item, listen: Callable[[Session], None] = lambda _: None) -> Iterator[tuple[Build, Any]]:
    """The build with the template's tables and queues in moto, and a client of its tables to which nobody listens."""
    with mock_aws(), pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        environment.setenv("AWS_ACCESS_KEY_ID", "nobody")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        environment.setattr(boto3, "DEFAULT_SESSION", None)
        environment.setattr(obvious, "send", lambda *_: None)
        # Moto counts an attribute that is set again twice, and refuses rows of half the size that DynamoDB takes.
        environment.setattr(dynamo_type.LimitedSizeDict, "__setitem__", dict.__setitem__)
        rows = boto3.Session().client("dynamodb")
        for schema in _of_kind("AWS::DynamoDB::Table"):
            rows.create_table(**{name: schema[name] for name in _OF_A_TABLE if name in schema})
        rows.put_item(TableName=f"conversations-{STAGE}", Item=item_to_wire(row))
        for queue in _of_kind("AWS::SQS::Queue"):
            boto3.client("sqs").create_queue(QueueName=queue["QueueName"])
        secret = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN})
        boto3.client("secretsmanager").create_secret(Name=SECRET_REF, SecretString=secret)
        session = Session()
        listen(session)
        boto3.setup_default_session(botocore_session=session)
        build = Build(SimpleNamespace())  # it asks the world only to send
        yield build, rows
