"""Creates tables, queues and bucket of a stage on the local AWS, from the template that production is created from."""

from __future__ import annotations

from typing import Any

import click

from infrastructure.template import TEMPLATE_FILE, load
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
    turn_ttl_on(aws, stage)


def turn_ttl_on(aws: LocalAws, stage: str) -> None:
    """Delete old rows: the engine leaves that out of a template."""
    for table in load(stage).tables.values():
        if table.ttl_attribute is not None:
            told = {"Enabled": True, "AttributeName": table.ttl_attribute}
            aws.dynamodb.meta.client.update_time_to_live(TableName=table.name, TimeToLiveSpecification=told)
