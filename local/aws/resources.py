"""Creates tables, queues and bucket of a stage on the local AWS, from the template that production is created from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from infrastructure.template import TEMPLATE_FILE, TableSchema, load
from local.aws.clients import LocalAws

_LOOKS_MAX = 60


def create(aws: LocalAws, stage: str, **parameters: object) -> None:
    """Create the stack of `stage` and wait until it is complete.

    Args:
        aws: where.
        stage: the template's parameter `Stage`.
        parameters: its other parameters by name, in place of their defaults.
    """
    name = f"replies-engine-{stage}"
    told = {"Stage": stage, **parameters}
    aws.cloudformation.create_stack(
        StackName=name,
        TemplateBody=TEMPLATE_FILE.read_text(),
        Parameters=[{"ParameterKey": key, "ParameterValue": str(value)} for key, value in told.items()],
        Capabilities=["CAPABILITY_AUTO_EXPAND"],  # the template has a transform
    )
    waiter: Any = aws.cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": _LOOKS_MAX})
    status = aws.cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    if status != "CREATE_COMPLETE":
        raise click.ClickException(f"the stack {name} ended as {status}")
    if aws.dynamodb_endpoint:
        create_tables(aws.dynamodb.meta.client, load(stage).tables.values())
    turn_ttl_on(aws, stage)


def create_tables(dynamodb: Any, schemas: Iterable[TableSchema]) -> None:
    """Create the template's tables on a DynamoDB that knows no CloudFormation; `dynamodb` is a client of it."""
    for schema in schemas:
        dynamodb.create_table(**_as_request(schema))


def turn_ttl_on(aws: LocalAws, stage: str) -> None:
    """Delete old rows: the engine leaves that out of a template."""
    for table in load(stage).tables.values():
        if table.ttl_attribute is not None:
            told = {"Enabled": True, "AttributeName": table.ttl_attribute}
            aws.dynamodb.meta.client.update_time_to_live(TableName=table.name, TimeToLiveSpecification=told)


def _as_request(schema: TableSchema) -> dict[str, Any]:
    names: set[str | None] = {schema.hash_key, schema.range_key}
    indexes = []
    for name, index in schema.indexes.items():
        names |= {index.hash_key, index.range_key}
        included = index.projected - {schema.hash_key, schema.range_key, index.hash_key, index.range_key}
        indexes.append(
            {
                "IndexName": name,
                "KeySchema": _key_schema(index.hash_key, index.range_key),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": sorted(included)},
            }
        )
    request: dict[str, Any] = {
        "TableName": schema.name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key_schema(schema.hash_key, schema.range_key),
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in sorted(filter(None, names))],
    }
    return request | ({"GlobalSecondaryIndexes": indexes} if indexes else {})


def _key_schema(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return schema + ([{"AttributeName": range_key, "KeyType": "RANGE"}] if range_key else [])
