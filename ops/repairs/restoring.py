"""Restoring: a table, a queue or the bucket of a stage becomes what the template describes.

What is missing is created, what differs is changed, nothing that holds a message is deleted. Indexes are created one
after the other, as DynamoDB requires, and each is waited for. Safe to repeat: a run that was cut off is completed by
the next. CloudFormation does not do this: it does not notice that a resource was deleted or changed behind its back.

Only an index is ever deleted, where its keys or its projection are wrong: DynamoDB cannot change one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infrastructure.template import IndexSchema, TableSchema
from ops.stage import blueprint
from ops.stage.account import NO_QUEUE, NOT_FOUND, Account
from ops.stage.blueprint import QueuePlan
from ops.stage.bucket import NO_BUCKET, PRIVATE, S3Objects
from ops.stage.deployment import Deployment
from ops.stage.target import CommandError

_POLL_SECONDS = 2.0
_LOOKS_MAX = 1_800
"""An index of a large table takes up to an hour; the next run goes on where this one stopped."""

Wait = Callable[[float], object]
"""Waits so many seconds."""


@dataclass(frozen=True)
class Step:
    """One thing that is not as the template describes it."""

    what: str
    """What is done about it."""
    run: Callable[[], object]


def plan(deployment: Deployment, name: str, wait: Wait) -> list[Step]:
    """What is to be done to a table, a queue, its dead-letter queue or the bucket, in order; nothing: it is whole.

    Raises:
        CommandError: the stage has no such resource, or its keys differ, which nothing can change.
    """
    settings, account = deployment.settings, deployment.account
    for table in blueprint.tables(settings).values():
        if name == table.name:
            return list(_Table(deployment, table, wait).steps())
    for queue in blueprint.queues(settings).values():
        if name in (queue.name, queue.dead_name):
            return list(_queue_steps(account, queue))
    bucket = S3Objects.of(account, settings.attachments_bucket).name
    if name == bucket:
        return list(_bucket_steps(deployment, bucket))
    known = [one.name for one in blueprint.tables(settings).values()]
    known += [one.name for one in blueprint.queues(settings).values()]
    raise CommandError(f"stage {settings.stage} has no table, queue or bucket {name}", f"one of {', '.join(known)}")


def index_steps(deployment: Deployment, schema: TableSchema, found: Mapping[str, Any], wait: Wait) -> Iterator[Step]:
    """What is to be done to the indexes alone of a table, which may be another than the settings name."""
    return _Table(deployment, schema, wait).indexes(found)


@dataclass(frozen=True)
class _Table:
    """One table as it should be."""

    deployment: Deployment
    schema: TableSchema
    wait: Wait

    def steps(self) -> Iterator[Step]:
        found = self._describe()
        name = self.schema.name
        if found is None:
            yield Step(f"create the table {name}", self._create)
        elif keys_of(found) != (self.schema.hash_key, self.schema.range_key):
            what = f"{name} has other keys than the template, and DynamoDB cannot change them"
            raise CommandError(what, "a new table under another name, and the setting that names it: docs/data.md")
        else:
            yield from self.indexes(found)
        yield from self._time_to_live(exists=found is not None)
        yield from self._protection(found)
        yield from self._backups(exists=found is not None)

    def indexes(self, found: Mapping[str, Any]) -> Iterator[Step]:
        indexes = {one["IndexName"]: one for one in found.get("GlobalSecondaryIndexes", [])}
        for name, schema in self.schema.indexes.items():
            if name in indexes and differences(schema, indexes[name], found):
                yield Step(
                    f"delete the index {name}, whose {differences(schema, indexes[name], found)}", self._drop(name)
                )
            if name not in indexes or differences(schema, indexes[name], found):
                yield Step(f"create the index {name}", self._add(name, schema))

    def _time_to_live(self, *, exists: bool) -> Iterator[Step]:
        attribute, name = self.schema.ttl_attribute, self.schema.name
        if attribute is None or (exists and has_time_to_live(self.deployment.account, self.schema)):
            return
        told = {"TableName": name, "TimeToLiveSpecification": {"Enabled": True, "AttributeName": attribute}}
        yield Step(f"turn the time to live of {name} on, by {attribute}", self._call("UpdateTimeToLive", told))

    def _protection(self, found: Mapping[str, Any] | None) -> Iterator[Step]:
        if self.schema.deletion_protected and not (found or {}).get("DeletionProtectionEnabled"):
            told = {"TableName": self.schema.name, "DeletionProtectionEnabled": True}
            yield Step(f"protect {self.schema.name} from deletion", self._call("UpdateTable", told))

    def _backups(self, *, exists: bool) -> Iterator[Step]:
        name = self.schema.name
        if self.deployment.target.is_on_this_machine or (exists and has_backups(self.deployment.account, name)):
            return
        told = {"TableName": name, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
        yield Step(f"turn point-in-time recovery of {name} on", self._call("UpdateContinuousBackups", told))

    def _create(self) -> None:
        indexes = [index_request(name, schema, self.schema) for name, schema in self.schema.indexes.items()]
        keys = {self.schema.hash_key, self.schema.range_key}
        keys |= {key for one in self.schema.indexes.values() for key in (one.hash_key, one.range_key)}
        request: dict[str, Any] = {
            "TableName": self.schema.name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": _key_schema(self.schema.hash_key, self.schema.range_key),
            "AttributeDefinitions": [
                {"AttributeName": one, "AttributeType": "S"} for one in sorted(filter(None, keys))
            ],
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        }
        self.deployment.account.call("dynamodb", "CreateTable", self.schema.name, request)
        self._until_active()

    def _add(self, name: str, schema: IndexSchema) -> Callable[[], None]:
        def run() -> None:
            keys = [one for one in (schema.hash_key, schema.range_key) if one]
            request = {
                "TableName": self.schema.name,
                "AttributeDefinitions": [{"AttributeName": one, "AttributeType": "S"} for one in keys],
                "GlobalSecondaryIndexUpdates": [{"Create": index_request(name, schema, self.schema)}],
            }
            self.deployment.account.call("dynamodb", "UpdateTable", self.schema.name, request)
            self._until_active()

        return run

    def _drop(self, name: str) -> Callable[[], None]:
        def run() -> None:
            request = {"TableName": self.schema.name, "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}]}
            self.deployment.account.call("dynamodb", "UpdateTable", self.schema.name, request)
            self._until_active()

        return run

    def _call(self, operation: str, request: Mapping[str, Any]) -> Callable[[], object]:
        return lambda: self.deployment.account.call("dynamodb", operation, self.schema.name, request)

    def _until_active(self) -> None:
        """Wait until the table and each of its indexes can be used: only then DynamoDB takes the next change.

        Raises:
            CommandError: it takes too long.
        """
        for _ in range(_LOOKS_MAX):
            found = self._describe()
            parts = [found or {}, *(found or {}).get("GlobalSecondaryIndexes", [])]
            states = {one.get("TableStatus", one.get("IndexStatus", "ACTIVE")) for one in parts}
            if found is not None and states == {"ACTIVE"}:
                return
            self.wait(_POLL_SECONDS)
        again = self.deployment.target.ops(f"restore {self.schema.name}")
        raise CommandError(f"{self.schema.name} is still changing", f"later: {again}")

    def _describe(self) -> Mapping[str, Any] | None:
        return describe(self.deployment.account, self.schema.name)


def describe(account: Account, table: str) -> Mapping[str, Any] | None:
    """A table as DynamoDB describes it; None: there is none."""
    found = account.call("dynamodb", "DescribeTable", table, {"TableName": table}, absent=NOT_FOUND)
    return None if found is None else dict(found["Table"])


def keys_of(described: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The hash key and the range key of a table or an index as DynamoDB describes it."""
    by_kind = {one["KeyType"]: one["AttributeName"] for one in described["KeySchema"]}
    return by_kind.get("HASH"), by_kind.get("RANGE")


def differences(schema: IndexSchema, found: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    """How an index differs from the template: its keys, or what it does not project; empty: it does not."""
    if keys_of(found) != (schema.hash_key, schema.range_key):
        return "keys differ"
    projection = found["Projection"]
    if projection["ProjectionType"] == "ALL":
        return ""
    keys = {*keys_of(found), *keys_of(table)}
    lacking = schema.projected - {*projection.get("NonKeyAttributes", []), *(key for key in keys if key)}
    return f"projection lacks {', '.join(sorted(lacking))}" if lacking else ""


def has_time_to_live(account: Account, schema: TableSchema) -> bool:
    """Whether DynamoDB expires the rows of a table by the template's attribute."""
    answer = account.call("dynamodb", "DescribeTimeToLive", schema.name, {"TableName": schema.name}) or {}
    found = answer.get("TimeToLiveDescription", {})
    is_on = found.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    return is_on and found.get("AttributeName") == schema.ttl_attribute


def has_backups(account: Account, table: str) -> bool:
    """Whether a table can be restored to any second of the last 35 days."""
    answer = account.call("dynamodb", "DescribeContinuousBackups", table, {"TableName": table}) or {}
    found = answer.get("ContinuousBackupsDescription", {}).get("PointInTimeRecoveryDescription", {})
    return bool(found.get("PointInTimeRecoveryStatus") == "ENABLED")


def index_request(name: str, schema: IndexSchema, table: TableSchema) -> dict[str, Any]:
    """An index as `CreateTable` and `UpdateTable` take it."""
    keys = {schema.hash_key, schema.range_key, table.hash_key, table.range_key}
    return {
        "IndexName": name,
        "KeySchema": _key_schema(schema.hash_key, schema.range_key),
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": sorted(schema.projected - keys)},
    }


def _key_schema(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    keys = {"HASH": hash_key, "RANGE": range_key}
    return [{"AttributeName": key, "KeyType": kind} for kind, key in keys.items() if key]


def queue_attributes(account: Account, name: str) -> Mapping[str, str] | None:
    """What a queue is like, its URL included; None: there is none of that name."""
    found = account.call("sqs", "GetQueueUrl", name, {"QueueName": name}, absent=NO_QUEUE)
    if found is None:
        return None
    request = {"QueueUrl": found["QueueUrl"], "AttributeNames": ["All"]}
    answer = account.call("sqs", "GetQueueAttributes", name, request) or {}
    return {**answer.get("Attributes", {}), "QueueUrl": found["QueueUrl"]}


def _queue_steps(account: Account, queue: QueuePlan) -> Iterator[Step]:
    dead, found = queue_attributes(account, queue.dead_name), queue_attributes(account, queue.name)

    def create(name: str, attributes: Mapping[str, str]) -> Callable[[], object]:
        def run() -> None:
            account.call("sqs", "CreateQueue", name, {"QueueName": name, "Attributes": dict(attributes)})
            made = queue_attributes(account, name) or {}
            policy = json.dumps(_tls_only(made["QueueArn"]))
            request = {"QueueUrl": made["QueueUrl"], "Attributes": {"Policy": policy}}
            account.call("sqs", "SetQueueAttributes", name, request)

        return run

    def correct() -> None:
        """Set visibility and redrive, once both queues are there."""
        now, arn = queue_attributes(account, queue.name) or {}, (queue_attributes(account, queue.dead_name) or {})
        policy = json.dumps({"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": queue.receives_max})
        attributes = {"VisibilityTimeout": queue.attributes["VisibilityTimeout"], "RedrivePolicy": policy}
        request = {"QueueUrl": now["QueueUrl"], "Attributes": attributes}
        account.call("sqs", "SetQueueAttributes", queue.name, request)

    if dead is None:
        yield Step(f"create the queue {queue.dead_name}", create(queue.dead_name, queue.dead_attributes))
    if found is None:
        yield Step(f"create the queue {queue.name}", create(queue.name, queue.attributes))
    is_right = found is not None and dead is not None and redrives_to(found) == queue.dead_name
    if not is_right or (found or {}).get("VisibilityTimeout") != queue.attributes["VisibilityTimeout"]:
        seconds = queue.attributes["VisibilityTimeout"]
        yield Step(f"set the visibility of {queue.name} to {seconds} s and its redrive to {queue.dead_name}", correct)


def _tls_only(queue_arn: str) -> dict[str, Any]:
    """The template's policy of every queue: nobody reaches it without TLS."""
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": queue_arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def redrives_to(attributes: Mapping[str, str]) -> str:
    """The name of the queue that a queue sends to what failed too often; empty: none."""
    policy = json.loads(attributes.get("RedrivePolicy") or "{}")
    return str(policy.get("deadLetterTargetArn", "")).rpartition(":")[2]


def _bucket_steps(deployment: Deployment, name: str) -> Iterator[Step]:
    account, request = deployment.account, {"Bucket": name}

    def call(operation: str, **more: Any) -> Callable[[], object]:
        return lambda: account.call("s3", operation, name, {**request, **more})

    exists = account.call("s3", "HeadBucket", name, request, absent=NO_BUCKET) is not None
    if not exists:
        place = {} if account.region == "us-east-1" else {"LocationConstraint": account.region}
        yield Step(
            f"create the bucket {name}", call("CreateBucket", **({"CreateBucketConfiguration": place} if place else {}))
        )
    if not exists or not is_private(account, name):
        yield Step(f"close {name} to the public", call("PutPublicAccessBlock", PublicAccessBlockConfiguration=PRIVATE))
    if not deployment.target.is_on_this_machine and (not exists or not expires(account, name)):
        rules = [
            _lifecycle_rule(one) for one in blueprint.bucket(deployment.settings)["LifecycleConfiguration"]["Rules"]
        ]
        change = call("PutBucketLifecycleConfiguration", LifecycleConfiguration={"Rules": rules})
        yield Step(f"have objects of {name} expire", change)


def is_private(account: Account, bucket: str) -> bool:
    """Whether nothing can make a bucket or an object of it public."""
    absent = {"NoSuchPublicAccessBlockConfiguration"}
    found = account.call("s3", "GetPublicAccessBlock", bucket, {"Bucket": bucket}, absent=absent) or {}
    closed = found.get("PublicAccessBlockConfiguration", {})
    return all(closed.get(one) for one in PRIVATE)


def expires(account: Account, bucket: str) -> bool:
    """Whether objects go with time."""
    absent = {"NoSuchLifecycleConfiguration"}
    found = account.call("s3", "GetBucketLifecycleConfiguration", bucket, {"Bucket": bucket}, absent=absent) or {}
    return any("Expiration" in one and one.get("Status") == "Enabled" for one in found.get("Rules", []))


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule as S3 takes it: the template spells the identifier and the days otherwise."""
    told: dict[str, Any] = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": ""}}
    if "ExpirationInDays" in rule:
        told["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if "AbortIncompleteMultipartUpload" in rule:
        told["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    return told
