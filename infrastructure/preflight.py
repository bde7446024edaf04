"""Preflight: before a deployment the configuration is sound, and the tables and queues that it names exist.

Each fault is one line that says what is missing and what mends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.settings import Settings, SettingsError
from infrastructure import policies
from infrastructure.account import Account, error_code
from infrastructure.stages import Stage
from infrastructure.template import TEMPLATE_FILE, resources

_NAMES = {"_TABLE": "TableName", "_QUEUE": "QueueName"}
"""By the ending of a variable: the property of the template's resource that it must name."""

_INDEXES = ("WHATSAPP_INDEX", "SMS_INDEX", "EMAIL_INDEX", "LOCK_INDEX")

_TOPIC = re.compile(r"arn:[a-z-]+:sns:(?P<region>[a-z0-9-]+):\d{12}:[A-Za-z0-9_.-]+")

_NOT_THERE = frozenset({"ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})


def faults_of_configuration(stage: Stage) -> Iterator[str]:
    """Settings in `.chalice/config.json` that are malformed or do not fit the template, and stale policy files."""
    try:
        Settings.from_environment(stage.variables)
    except SettingsError as error:
        for fault in error.faults:
            yield f"{fault}: mend environment_variables of the stage {stage.name} in .chalice/config.json"
    made = resources(TEMPLATE_FILE, stage.name, **stage.resource_names).values()
    for variable, name in stage.variables.items():
        ending = variable[variable.rfind("_") :]
        if ending in _NAMES and not any(one.properties.get(_NAMES[ending]) == name for one in made):
            yield (
                f"{variable} of the stage {stage.name} names {name}, which is nothing of that stage: "
                "name one of infrastructure/template.yaml in .chalice/config.json, then `make policies`"
            )
    if stage.closes_execute_api and not stage.variables.get("PUBLIC_BASE_URL"):
        yield (
            f"close_execute_api_endpoint of the stage {stage.name} would leave it without a URL: set PUBLIC_BASE_URL "
            "to its own domain in .chalice/config.json"
        )
    if stale := policies.stale():
        names = ", ".join(one.name for one in stale)
        yield f"{names} are not what the table of rights says: `make policies` writes them, and wants to be committed"


def faults_of_topic(account: Account, topic: str | None) -> Iterator[str]:
    """What keeps an alarm from telling an SNS topic, as far as its ARN says; none is needed."""
    if not topic:
        return
    arn = _TOPIC.fullmatch(topic)
    if arn is None:
        yield f"{topic} is no SNS topic: ALARM_TOPIC is the ARN of one, arn:aws:sns:<region>:<account>:<name>"
    elif arn["region"] != account.region:
        yield (
            f"the SNS topic is in {arn['region']}, but an alarm notifies only its own region, {account.region}: "
            "name one there with ALARM_TOPIC"
        )


def faults_of_account(account: Account, stage: Stage) -> Iterator[str]:
    """Which tables, indexes and queues of the stage are not in the account's region."""
    dynamodb, sqs = account.client("dynamodb"), account.client("sqs")
    for logical, one in resources(TEMPLATE_FILE, stage.name, **stage.resource_names).items():
        if one.kind == "AWS::DynamoDB::Table":
            table = _table(dynamodb, one.properties["TableName"])
            if table is None:
                yield _missing(f"table {one.properties['TableName']}", account, stage)
            elif logical == "ConversationsTable":
                yield from _faults_of_indexes(table, stage)
        elif one.kind == "AWS::SQS::Queue" and not _is_queue(sqs, one.properties["QueueName"]):
            yield _missing(f"queue {one.properties['QueueName']}", account, stage)


def _faults_of_indexes(table: dict[str, Any], stage: Stage) -> Iterator[str]:
    there = {one["IndexName"] for one in table.get("GlobalSecondaryIndexes", [])}
    for variable in _INDEXES:
        if (name := stage.setting(variable)) not in there:
            yield f"the table {table['TableName']} lacks the index {name}: docs/data.md has its keys; add it"


def _missing(what: str, account: Account, stage: Stage) -> str:
    return (
        f"the {what} is missing in {account.region}: `make deploy STAGE={stage.name}` makes it with the stack "
        f"{stage.stack_name}; where the stack is there, docs/deploying.md describes how to restore it"
    )


def _table(dynamodb: Any, name: str) -> dict[str, Any] | None:
    try:
        return dict(dynamodb.describe_table(TableName=name)["Table"])
    except ClientError as error:
        if error_code(error) in _NOT_THERE:
            return None
        raise


def _is_queue(sqs: Any, name: str) -> bool:
    try:
        sqs.get_queue_url(QueueName=name)
    except ClientError as error:
        if error_code(error) in _NOT_THERE:
            return False
        raise
    return True
