"""Chalice's record of what is deployed, restored from the account where it was lost.

Chalice writes `.chalice/deployed/<stage>.json` at the end of a deployment that went well. Without it - in a fresh
clone, or after a first deployment that died half-way - it would make a second API, and fail on the event source
mappings that are there. Roles, functions, rules and log groups it finds by their names. So those two are looked up
here, and what the file lacks is added to it.

    mapping   by function and queue
    API       by the function behind its routes; of several, which only a death half-way leaves, the one with the stage
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infrastructure.account import Account, error_code
from infrastructure.stages import CHALICE, HTTP_FUNCTION, Stage, queue_readers

Memory = dict[str, Any]
"""Chalice's file, or one entry of it."""

_NOTHING: Memory = {"schema_version": "2.0", "backend": "api"}


def restore(account: Account, stage: Stage) -> list[str]:
    """Add to Chalice's file what it lacks; the names of the entries that were added."""
    remembered = _read(stage)
    known = {one["name"] for one in remembered["resources"]}
    found = [one for one in (*_mappings(account, stage), *_apis(account, stage)) if one["name"] not in known]
    if found:
        file = _file(stage)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**remembered, "resources": [*remembered["resources"], *found]}, indent=2) + "\n")
    return [one["name"] for one in found]


def api(stage: Stage) -> tuple[str, str] | None:
    """The id and the URL of the stage's API as Chalice remembers them; None: it remembers none."""
    for one in _read(stage)["resources"]:
        if one["name"] == "rest_api":
            return str(one["rest_api_id"]), str(one["rest_api_url"]).rstrip("/")
    return None


def _file(stage: Stage) -> Path:
    return CHALICE / "deployed" / f"{stage.name}.json"


def _read(stage: Stage) -> Memory:
    file = _file(stage)
    return dict(json.loads(file.read_text())) if file.exists() else dict(_NOTHING, resources=[])


def _mappings(account: Account, stage: Stage) -> Iterator[Memory]:
    client = account.client("lambda")
    for function in queue_readers(stage):
        try:
            pages = client.get_paginator("list_event_source_mappings").paginate(
                FunctionName=stage.function_name(function)
            )
            found = [one for page in pages for one in page["EventSourceMappings"]]
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            continue
        for one in found[:1]:
            yield {
                "name": f"{function}-sqs-event-source",
                "resource_type": "sqs_event",
                "queue_arn": one["EventSourceArn"],
                "event_uuid": one["UUID"],
                "queue": one["EventSourceArn"].rpartition(":")[2],
                "lambda_arn": one["FunctionArn"],
            }


def _apis(account: Account, stage: Stage) -> Iterator[Memory]:
    client = account.client("apigateway")
    ending = f":function:{stage.function_name(HTTP_FUNCTION)}/invocations"
    pages = client.get_paginator("get_rest_apis").paginate()
    ids = [one["id"] for page in pages for one in page["items"] if one["name"] == stage.app_name]
    ours = [one for one in ids if any(uri.endswith(ending) for uri in _integrations(client, one))]
    for one in sorted(ours, key=lambda one: not _has_stage(client, one, stage.api_stage))[:1]:
        host = f"{one}.execute-api.{account.region}.{_dns_suffix(account)}"
        yield {
            "name": "rest_api",
            "resource_type": "rest_api",
            "rest_api_id": one,
            "rest_api_url": f"https://{host}/{stage.api_stage}/",
        }


def _integrations(client: Any, api: str) -> Iterator[str]:
    for page in client.get_paginator("get_resources").paginate(restApiId=api, embed=["methods"]):
        for resource in page["items"]:
            for method in resource.get("resourceMethods", {}).values():
                yield method.get("methodIntegration", {}).get("uri", "")


def _has_stage(client: Any, api: str, stage: str) -> bool:
    return stage in {one["stageName"] for one in client.get_stages(restApiId=api)["item"]}


def _dns_suffix(account: Account) -> str:
    partition = account.session.get_partition_for_region(account.region)
    return "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
