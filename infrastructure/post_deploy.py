"""The settings that Chalice cannot make: read first, and changed only where they differ. Safe at any time.

- Recursion. Lambda cuts a chain of messages between functions and queues after about 16 hops. A trigger that comes
  again, and a conversation in which batch follows reply, are such chains, bounded by our own counts: the functions that
  read queues are let recurse.
- The API's stage: throttling of every method by the stage's settings, the access log, and no tracing. A trace has the
  URL, and a URL can hold a company's token; the functions are traced.
- The API's own endpoint, by the stage's `close_execute_api_endpoint` in `.chalice/config.json`: `true` closes it,
  `false` opens it, and without the key it is left as it is.
- The public URL, which only the API's making tells: the function that sends replies names it to the provider for its
  status callbacks. A `PUBLIC_BASE_URL` in `.chalice/config.json`, such as a domain of one's own, goes before. The
  webhook needs none: each request tells it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infrastructure import access_logs
from infrastructure.account import Account, DeploymentError, error_code
from infrastructure.stages import Stage, queue_readers

SENDER = "send_replies"
"""The function that must know the public URL."""

PUBLIC_BASE_URL = "PUBLIC_BASE_URL"


@dataclass(frozen=True)
class Throttling:
    """Requests that the API takes, and answers 429 beyond."""

    per_second: int
    burst: int


def throttling(stage: Stage) -> Throttling:
    """What the API of a stage takes, by its settings."""
    return Throttling(int(stage.setting("API_REQUESTS_PER_SECOND")), int(stage.setting("API_BURST")))


def apply(account: Account, stage: Stage, api: tuple[str, str] | None) -> list[str]:
    """Bring a deployed stage to what Chalice cannot set; what was changed.

    Args:
        account: where.
        stage: which.
        api: the id of its API, and the API's URL with its stage; None: it has none.

    Raises:
        DeploymentError: a part of the stage is not deployed.
    """
    if api is None:
        raise _not_deployed("the API", account, stage)
    api_id, url = api
    try:
        return [
            *_recursion(account.client("lambda"), stage),
            *_endpoint(account.client("apigateway"), stage, api_id),
            *_api_stage(account, stage, api_id),
            *_public_url(account.client("lambda"), stage, url),
        ]
    except ClientError as error:
        if error_code(error) not in {"ResourceNotFoundException", "NotFoundException"}:
            raise
        raise _not_deployed("a function or the API", account, stage) from error


def _recursion(client: Any, stage: Stage) -> Iterator[str]:
    for function in queue_readers(stage):
        name = stage.function_name(function)
        if client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] != "Allow":
            client.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")
            yield f"{name} may recurse"


def _endpoint(client: Any, stage: Stage, api: str) -> Iterator[str]:
    wanted = stage.closes_execute_api
    if wanted is None or bool(client.get_rest_api(restApiId=api).get("disableExecuteApiEndpoint")) is wanted:
        return
    value = {"op": "replace", "path": "/disableExecuteApiEndpoint", "value": str(wanted).lower()}
    client.update_rest_api(restApiId=api, patchOperations=[value])
    _redeploy(client, stage, api)
    yield f"the execute-api endpoint is {'closed' if wanted else 'open'}"


def _api_stage(account: Account, stage: Stage, api: str) -> Iterator[str]:
    client, limits = account.client("apigateway"), throttling(stage)
    now = client.get_stage(restApiId=api, stageName=stage.api_stage)
    methods, logs = now.get("methodSettings", {}).get("*/*", {}), now.get("accessLogSettings", {})
    log = {"destinationArn": access_logs.destination(account, stage), "format": access_logs.FORMAT}
    changes: dict[str, str] = {}
    if (methods.get("throttlingRateLimit"), methods.get("throttlingBurstLimit")) != (limits.per_second, limits.burst):
        changes["/*/*/throttling/rateLimit"] = str(limits.per_second)
        changes["/*/*/throttling/burstLimit"] = str(limits.burst)
        yield f"the API takes {limits.per_second} requests a second, {limits.burst} at once"
    if {name: logs.get(name) for name in log} != log:
        if access_logs.let_api_gateway_write(account):
            yield f"API Gateway writes its logs as {access_logs.ROLE}, in the whole account and region"
        changes |= {f"/accessLogSettings/{name}": value for name, value in log.items()}
        yield f"the API's access log is {access_logs.group(stage)}"
    if now.get("tracingEnabled"):
        changes["/tracingEnabled"] = "false"
        yield "tracing of the API is off, because traces hold URLs"
    if changes:
        client.update_stage(
            restApiId=api,
            stageName=stage.api_stage,
            patchOperations=[{"op": "replace", "path": path, "value": value} for path, value in changes.items()],
        )
        _redeploy(client, stage, api)


def _redeploy(client: Any, stage: Stage, api: str) -> None:
    """API Gateway's guide has settings take effect with the next deployment."""
    client.create_deployment(restApiId=api, stageName=stage.api_stage, tracingEnabled=False)


def _public_url(client: Any, stage: Stage, url: str) -> Iterator[str]:
    if stage.variables.get(PUBLIC_BASE_URL):
        return
    name = stage.function_name(SENDER)
    variables = client.get_function_configuration(FunctionName=name).get("Environment", {}).get("Variables", {})
    if variables.get(PUBLIC_BASE_URL) == url:
        return
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**variables, PUBLIC_BASE_URL: url}}
    )
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    yield f"{name} has the public URL"


def _not_deployed(what: str, account: Account, stage: Stage) -> DeploymentError:
    return DeploymentError(
        f"{what} of the stage {stage.name} is not deployed in {account.region}: "
        f"`make deploy STAGE={stage.name}` deploys it"
    )
