"""Clients of the local AWS for the parent process. They read no environment variable and no file of the user's."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from local.processes.environment import REGION


@dataclass(frozen=True)
class LocalAws:
    """The local AWS at one endpoint."""

    endpoint: str
    access_key: str = field(repr=False)
    """Of this start, and its own secret."""
    dynamodb_endpoint: str = ""
    """Of a DynamoDB that takes the place of its own; empty: none does."""

    @classmethod
    def of_environment(cls) -> Self:
        """The one that a child of `run` was given."""
        dynamodb = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB", "")
        return cls(os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_ACCESS_KEY_ID"], dynamodb)

    @cached_property
    def dynamodb(self) -> Any:
        import boto3  # noqa: PLC0415  # costs 0.2 s, which a command that only reads the endpoint does without

        return boto3.resource("dynamodb", **{**self._told, "endpoint_url": self.dynamodb_endpoint or self.endpoint})

    @cached_property
    def sqs(self) -> Any:
        return self._client("sqs")

    @cached_property
    def secrets(self) -> Any:
        return self._client("secretsmanager")

    @cached_property
    def s3(self) -> Any:
        return self._client("s3")

    @cached_property
    def cloudformation(self) -> Any:
        return self._client("cloudformation")

    def _client(self, service: str) -> Any:
        import boto3  # noqa: PLC0415  # as above

        client: Any = boto3.client  # its overloads name each service
        return client(service, **self._told)

    @property
    def _told(self) -> dict[str, Any]:
        from botocore.config import Config  # noqa: PLC0415  # as above

        config = Config(connect_timeout=2, read_timeout=30, retries={"total_max_attempts": 3}, proxies={})
        return {
            "endpoint_url": self.endpoint,
            "region_name": REGION,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.access_key,
            "config": config,
        }

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of a table, in no order."""
        pages = self.dynamodb.meta.client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [dict(row) for page in pages for row in page["Items"]]

    def object(self, url: str) -> bytes:
        """An object of a bucket, by its `s3://` URL."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def queue_url(self, name: str) -> str:
        """The URL of a queue by its name."""
        return str(self.sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def waiting(self, queue: str) -> int:
        """How many messages a queue holds, visible, delayed or being worked on."""
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue_url(queue), AttributeNames=["All"])["Attributes"]
        names = ("", "NotVisible", "Delayed")
        return sum(int(attributes.get(f"ApproximateNumberOfMessages{name}", 0)) for name in names)

    def bodies(self, queue: str) -> list[str]:
        """The bodies of the messages that a queue shows now; they come again later."""
        answer = self.sqs.receive_message(QueueUrl=self.queue_url(queue), MaxNumberOfMessages=10)
        return [message["Body"] for message in answer.get("Messages", [])]
