"""The policy files that Chalice gives to the functions' roles, one for each function and stage.

Guarantee: a file allows what `rights.py` says of its function, on the stage's own resources as the template names them,
and what Lambda itself needs on the function's behalf; nothing else. The files are committed, so that a change of rights
is read in review, and a test holds them equal to what is generated here.

Partition, region and account are `*` in every ARN: no account's id stands in the repository, and one file serves every
account. A role reaches nothing further by it, for its own account's region holds one stage of a name, and what belongs
to another account takes that account's own consent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infrastructure.rights import AI_WORKER, COPYING, RIGHTS, SECRETS, Actions, secret_patterns
from infrastructure.stages import AI_FUNCTION, CHALICE, Stage, functions, queue_readers, stages
from infrastructure.template import ACCOUNT, TEMPLATE_FILE, Resource, resources

Statement = dict[str, Any]

_ARNS = {
    "AWS::DynamoDB::Table": ("dynamodb", "arn:*:dynamodb:*:*:table/{TableName}"),
    "AWS::SQS::Queue": ("sqs", "arn:*:sqs:*:*:{QueueName}"),
    "AWS::S3::Bucket": ("s3", "arn:*:s3:::{BucketName}/*"),
}
"""By the template's kind of resource: the service whose actions it takes, and its ARN. A bucket's is its objects'."""

_ANY_ACCOUNT = "?" * 12
"""In a bucket's name, which has to be unique among all accounts."""

_CONSUME: Actions = ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
"""What an event source mapping does with its queue, in the name of the function's role."""

_GEOGRAPHIES = frozenset({"us", "us-gov", "eu", "apac", "au", "jp", "ca", "global"})
"""How the id of an inference profile begins that spans regions."""

_RANDOM_ENDING = "-??????"
"""Secrets Manager ends the ARN of a secret with six characters of its own."""


def path(stage: str, function: str) -> Path:
    """Where a function's policy for a stage lies, and `.chalice/config.json` looks for it."""
    return CHALICE / f"policy-{stage}-{function}.json"


def document(stage: Stage, function: str) -> dict[str, Any]:
    """The policy of a function's role."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            *_own(stage, function),
            *_of_model(stage, function),
            *_of_queue(stage, function),
            _of_logs(stage, function),
            _TRACES,
        ],
    }


def allowed(stage: Stage, function: str) -> dict[tuple[str, str], str]:
    """What of the table of rights a function may do in a stage: the place in the table by action and ARN."""
    known = resources(TEMPLATE_FILE, stage.name, **stage.resource_names)
    rows: dict[tuple[str, str], str] = {}
    media_copying = COPYING.get(function, {}) if stage.setting("MEDIA_COPYING") == "true" else {}
    rights = AI_WORKER if function == AI_FUNCTION else RIGHTS[function]
    for place, actions in {**rights, **media_copying}.items():
        service, arns = _service_and_arns(stage, place, known)
        rows |= {(f"{service}:{action}", arn): place for action in actions for arn in arns}
    return rows


def files() -> dict[Path, str]:
    """Every policy file with its text."""
    return {
        path(stage.name, function): json.dumps(document(stage, function), indent=2) + "\n"
        for stage in stages().values()
        if stage.is_deployable
        for function in functions(stage)
    }


def stale() -> list[Path]:
    """The files that are not as they are generated, or have no function any more."""
    wanted = files()
    there = {one: one.read_text() for one in CHALICE.glob("policy-*.json")}
    return sorted(one for one in wanted.keys() | there.keys() if wanted.get(one) != there.get(one))


def write() -> list[Path]:
    """Bring every file up to date; those that were not."""
    wanted, changed = files(), stale()
    for one in changed:
        if one in wanted:
            one.write_text(wanted[one])
        else:
            one.unlink()
    return changed


def _own(stage: Stage, function: str) -> list[Statement]:
    by_place: dict[str, dict[str, list[str]]] = {}
    for (action, arn), place in allowed(stage, function).items():
        by_place.setdefault(place, {}).setdefault(arn, []).append(action)
    return [
        _allow(place + (str(number) if number > 1 else ""), sorted(actions), arn)
        for place, arns in sorted(by_place.items())
        for number, (arn, actions) in enumerate(sorted(arns.items()), start=1)
    ]


def _of_queue(stage: Stage, function: str) -> list[Statement]:
    """What Lambda does with the queue that the function reads."""
    local = queue_readers(stage).get(function)
    if local is None:
        return []
    (name,) = (
        name for name, one in resources(TEMPLATE_FILE, "local").items() if one.properties.get("QueueName") == local
    )
    service, arns = _service_and_arns(stage, name, resources(TEMPLATE_FILE, stage.name, **stage.resource_names))
    return [_allow(f"Read{name}", [f"{service}:{action}" for action in _CONSUME], arn) for arn in arns]


def _of_model(stage: Stage, function: str) -> list[Statement]:
    """To ask the stage's model of Bedrock: an inference profile leads to the model of its name in other regions."""
    if function != AI_FUNCTION or stage.setting("AI_WORKER") != "bedrock":
        return []
    model = stage.setting("AI_WORKER_MODEL")
    geography, _, of_profile = model.partition(".")
    arns = [f"arn:*:bedrock:*::foundation-model/{model}"]
    if geography in _GEOGRAPHIES:
        arns = [f"arn:*:bedrock:*:*:inference-profile/{model}", f"arn:*:bedrock:*::foundation-model/{of_profile}"]
    return [_allow(f"AskModel{number or ''}", ["bedrock:InvokeModel"], arn) for number, arn in enumerate(arns)]


def _of_logs(stage: Stage, function: str) -> Statement:
    """What Lambda does to keep the function's log: in its own group, which is made with its retention beforehand."""
    group = f"arn:*:logs:*:*:log-group:/aws/lambda/{stage.function_name(function)}:*"
    return _allow("Logs", ["logs:CreateLogStream", "logs:PutLogEvents"], group)


def _service_and_arns(stage: Stage, place: str, known: Mapping[str, Resource]) -> tuple[str, list[str]]:
    """The service and the ARNs of a place in the table: a logical resource, an index of one, or the secrets."""
    if place == SECRETS:
        names = secret_patterns(stage.name)
        return "secretsmanager", [f"arn:*:secretsmanager:*:*:secret:{name}{_RANDOM_ENDING}" for name in names]
    name, _, index = place.partition("/")
    service, arn = _ARNS[known[name].kind]
    arn = arn.format(**known[name].properties).replace(ACCOUNT, _ANY_ACCOUNT)
    return service, [f"{arn}/index/{stage.setting(index)}" if index else arn]


def _allow(place: str, actions: list[str], resource: str) -> Statement:
    """One statement; its id is the place without what an id cannot hold."""
    name, _, index = place.partition("/")
    sid = name + index.replace("_", " ").title().replace(" ", "")
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


_TRACES = _allow("TracesHaveNoFinerResource", ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*")
"""X-Ray knows no resource for these two actions."""
