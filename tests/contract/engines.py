"""The engines that the contract suite runs on: the fakes, moto, and whatever listens at an endpoint.

Each gives the same tables, queues and bucket, shaped by `infrastructure/template.yaml` for a stage of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Protocol
from urllib.parse import unquote

import moto.sqs.models
import pytest
from moto import mock_aws

from chalicelib.aws.calls import Service
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.s3 import ACCOUNT, S3Bucket
from chalicelib.aws.sqs import SqsQueue
from chalicelib.clock import SystemClock
from chalicelib.errors import Code
from chalicelib.ports.buckets import Bucket
from chalicelib.ports.queues import Attributes, Queue
from chalicelib.ports.tables import Table
from chalicelib.settings import Settings
from infrastructure.template import TEMPLATE_FILE, Template, load
from local.aws import resources
from local.aws.clients import LocalAws
from tests.fakes.bucket import InMemoryBucket
from tests.fakes.clock import FakeClock
from tests.fakes.faults import FaultPlan
from tests.fakes.queues import InMemoryQueue
from tests.fakes.tables import InMemoryTable

STAGE = "contract"


@dataclass(frozen=True)
class Delivery:
    """One message as an engine delivered it."""

    body: str
    group: str | None
    attributes: Attributes
    receive_count: int
    receipt: str


@dataclass(frozen=True)
class Kept:
    """One object as a reader finds it."""

    content: bytes
    content_type: str
    filename: str | None


class Engine(Protocol):
    """Tables, queues and the bucket by the template's names, less the stage."""

    def table(self, name: str) -> Table: ...

    def queue(self, name: str) -> Queue: ...

    def bucket(self, name: str) -> Bucket:
        """A bucket; one that the template does not tell is not there."""

    def kept(self, url: str) -> Kept:
        """What a bucket keeps under a URL that it told."""

    def receive(self, name: str) -> list[Delivery]:
        """What the queue delivers now."""

    def empty(self) -> None:
        """Throw away what is in the queues."""

    def advance(self, seconds: float) -> None:
        """Let time pass for queues."""

    def calls(self) -> int:
        """How many calls were made so far."""


class FakeEngine:
    """The fakes in memory."""

    def __init__(self, template: Template) -> None:
        self.clock = FakeClock()
        self.plan = FaultPlan()
        self._tables = {name: InMemoryTable(schema, self.plan) for name, schema in template.tables.items()}
        self._buckets = {name: InMemoryBucket(self.plan, name) for name in template.buckets}
        self._queues: dict[str, InMemoryQueue] = {}
        for name, schema in sorted(template.queues.items(), key=lambda one: one[1].dead_letter is not None):
            self._queues[name] = InMemoryQueue(
                name,
                self.clock,
                self.plan,
                visibility_seconds=schema.visibility_seconds,
                dead_letter=self._queues[schema.dead_letter] if schema.dead_letter else None,
                receives_max=schema.receives_max,
            )

    def table(self, name: str) -> Table:
        return self._tables[f"{name}-{STAGE}"]

    def queue(self, name: str) -> Queue:
        return self._queues[f"replies-engine-{STAGE}-{name}"]

    def bucket(self, name: str) -> Bucket:
        whole = _bucket_name(name)
        return self._buckets.get(whole) or InMemoryBucket(self.plan, whole, is_there=False)

    def kept(self, url: str) -> Kept:
        bucket, key = _split_url(url)
        return Kept(*self._buckets[bucket].objects[key])

    def receive(self, name: str) -> list[Delivery]:
        received = self._queues[f"replies-engine-{STAGE}-{name}"].receive()
        return [
            Delivery(one.body, one.group, dict(sorted(one.attributes.items())), one.receive_count, one.receipt)
            for one in received
        ]

    def empty(self) -> None:
        for queue in self._queues.values():
            queue.messages.clear()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def calls(self) -> int:
        return len(self.plan.calls)


@dataclass
class AwsEngine:
    """Something that speaks AWS's protocols, reached through the code's own clients."""

    clients: Clients
    has_queues: bool = True
    skew: list[float] | None = None
    """Seconds by which the engine's clock is ahead; None: it cannot be moved."""
    _calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for client in map(self.clients.of, ("dynamodb", "sqs", "s3", "sts")):
            client.meta.events.register("before-call", lambda model, **_: self._calls.append(model.name))

    def table(self, name: str) -> Table:
        service = Service(self.clients.of("dynamodb"), Code.DB_TRANSIENT_ERROR, Code.DB_QUERY_ERROR)
        return DynamoTable(service, f"{name}-{STAGE}")

    def queue(self, name: str) -> Queue:
        if not self.has_queues:
            pytest.skip("this engine has no queues")
        service = Service(self.clients.of("sqs"), Code.QUEUE_ERROR, Code.QUEUE_ERROR)
        return SqsQueue(service, f"replies-engine-{STAGE}-{name}")

    def bucket(self, name: str) -> Bucket:
        if not self.has_queues:
            pytest.skip("this engine has no buckets")

        def service(called: str) -> Service:
            return Service(self.clients.of(called), Code.STAGE_WRITE_ERROR, Code.CONFIGURATION_ERROR)

        return S3Bucket(partial(service, "s3"), partial(service, "sts"), _bucket_name(name), SystemClock(), 30)

    def kept(self, url: str) -> Kept:
        bucket, key = _split_url(url)
        answer = self.clients.of("s3").get_object(Bucket=bucket, Key=key)
        _, is_named, name = answer["ContentDisposition"].partition("; filename*=UTF-8''")
        return Kept(answer["Body"].read(), answer["ContentType"], unquote(name) if is_named else None)

    def receive(self, name: str) -> list[Delivery]:
        url = self.clients.of("sqs").get_queue_url(QueueName=f"replies-engine-{STAGE}-{name}")["QueueUrl"]
        answer = self.clients.of("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
        )
        return [
            Delivery(
                body=message["Body"],
                group=message["Attributes"].get("MessageGroupId"),
                attributes={
                    name: one["StringValue"] for name, one in sorted(message.get("MessageAttributes", {}).items())
                },
                receive_count=int(message["Attributes"]["ApproximateReceiveCount"]),
                receipt=message["ReceiptHandle"],
            )
            for message in answer.get("Messages", [])
        ]

    def empty(self) -> None:
        # Purged queues refuse to be purged again for a minute; messages in flight are received once they are visible.
        if not self.has_queues:
            return
        if self.skew is not None:
            self.skew[0] += 1_000
        for url in self.clients.of("sqs").list_queues().get("QueueUrls", []):
            while messages := self.clients.of("sqs").receive_message(QueueUrl=url).get("Messages"):
                self.clients.of("sqs").delete_message(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])

    def advance(self, seconds: float) -> None:
        if self.skew is None:
            pytest.skip("this engine's clock cannot be moved")
        self.skew[0] += seconds

    def calls(self) -> int:
        return len(self._calls)


@contextmanager
def fake_engine() -> Iterator[Engine]:
    yield FakeEngine(load(STAGE))


@contextmanager
def moto_engine() -> Iterator[Engine]:
    """moto, with a clock of its queues that can be moved."""
    skew = [0.0]
    milliseconds = moto.sqs.models.unix_time_millis
    with mock_aws(), pytest.MonkeyPatch.context() as patch:  # in this order: moto has credentials of its own
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        patch.setattr(moto.sqs.models, "unix_time_millis", lambda *at: milliseconds(*at) + skew[0] * 1_000)
        _create_stack()
        yield AwsEngine(Clients(_settings()), skew=skew)


@contextmanager
def endpoint_engine(aws: LocalAws) -> Iterator[Engine]:
    """A local AWS that knows CloudFormation."""
    with pytest.MonkeyPatch.context() as patch:
        _point_to(patch, aws.endpoint, aws.access_key)
        _create_stack()
        yield AwsEngine(Clients(_settings()))
        _client("cloudformation").delete_stack(StackName=STAGE)


@contextmanager
def dynamodb_engine(url: str) -> Iterator[Engine]:
    """A DynamoDB alone, its tables made from the template's schemas."""
    with pytest.MonkeyPatch.context() as patch:
        _point_to(patch, url, "testing")
        dynamodb = _client("dynamodb")
        schemas = load(STAGE).tables.values()
        resources.create_tables(dynamodb, schemas)
        yield AwsEngine(Clients(_settings()), has_queues=False)
        for schema in schemas:
            dynamodb.delete_table(TableName=schema.name)


def _point_to(patch: pytest.MonkeyPatch, url: str, access_key: str) -> None:
    patch.setenv("AWS_ENDPOINT_URL", url)
    patch.setenv("AWS_ACCESS_KEY_ID", access_key)
    patch.setenv("AWS_SECRET_ACCESS_KEY", access_key)
    patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def _client(service: str) -> Any:
    from botocore.session import Session  # noqa: PLC0415

    return Session().create_client(service)


def _create_stack() -> None:
    cloudformation = _client("cloudformation")
    cloudformation.create_stack(
        StackName=STAGE,
        TemplateBody=TEMPLATE_FILE.read_text(),
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": STAGE}],
        Capabilities=["CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STAGE, WaiterConfig={"Delay": 1})


def _settings() -> Settings:
    required = [one.name.upper() for one in fields(Settings) if one.metadata["default"] is None]
    patience = {"AWS_READ_TIMEOUT_SECONDS": "20"}
    return Settings.from_environment(dict.fromkeys(required, "contract") | patience)


def _bucket_name(name: str) -> str:
    return f"replies-engine-{STAGE}-{name}-{ACCOUNT}"


def _split_url(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key
