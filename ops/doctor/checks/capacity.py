"""The capacity: workers and API as the settings say, and an account that lets them run at their most.

Both limits of the account are shared with everything else in its region, so a stage that fits may still be throttled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from chalicelib.settings.process import workers_setting
from infrastructure.post_deploy import Throttling
from ops.doctor.checks.functions import mappings_of, variable_of
from ops.doctor.findings import Finding, Weight
from ops.stage.account import NOT_FOUND
from ops.stage.deployment import Deployment

CONCURRENCY = "concurrency"
THROTTLE = "throttle"

WEBHOOK_SECONDS = 0.1
"""How long one request to the API keeps an instance of its function busy, waiting for AWS included."""

_SWEEPS = 2
_ACCOUNT = "of the account"
_NO_API = NOT_FOUND | {"NotFoundException"}
_CONCURRENT_EXECUTIONS = {"ServiceCode": "lambda", "QuotaCode": "L-B99A9384"}
_REQUESTS_PER_SECOND = {"ServiceCode": "apigateway", "QuotaCode": "L-8A5B8E43"}


def check_concurrency(deployment: Deployment) -> Iterator[Finding]:
    """Workers that are let run in other numbers than the settings say, or beyond what the account allows together."""
    workers = _workers(deployment)
    if not workers:
        return
    for name, told in workers.items():
        function = deployment.functions[name]
        assert function is not None, "one that is deployed"
        for one in mappings_of(deployment, function):
            lets = one.get("ScalingConfig", {}).get("MaximumConcurrency")
            if lets != told:
                what = f"{function.name} may run {lets or 'any number of'} times at once, and the settings say {told}"
                yield Finding(CONCURRENCY, what, deployment.target.deploy)
    webhooks = math.ceil(deployment.settings.api_requests_per_second * WEBHOOK_SECONDS)
    needed = sum(workers.values()) + webhooks + _SWEEPS
    answer = deployment.account.call("lambda", "GetAccountSettings", _ACCOUNT, {}) or {}
    allowed = int(answer["AccountLimit"]["UnreservedConcurrentExecutions"])
    if needed > allowed:
        parts = f"{sum(workers.values())} workers, {webhooks} webhooks and {_SWEEPS} sweeps"
        what = (
            f"the account lets functions without a reservation run {allowed} times at once in "
            f"{deployment.account.region}, and this stage may need {needed}: {parts}"
        )
        yield Finding(CONCURRENCY, what, _raised(deployment, _CONCURRENT_EXECUTIONS, needed), Weight.WARNING)


def check_throttle(deployment: Deployment) -> Iterator[Finding]:
    """An API that is throttled otherwise than the settings say, or that may take more than the account allows."""
    if not deployment.is_deployed:
        return
    wanted = Throttling(deployment.settings.api_requests_per_second, deployment.settings.api_burst)
    for methods in _methods(deployment):
        now = (methods.get("throttlingRateLimit"), methods.get("throttlingBurstLimit"))
        if now != (wanted.per_second, wanted.burst):
            told = f"{now[0]:g} requests a second and {now[1]} at once" if all(now) else "any number of requests"
            what = f"the API takes {told}, and the settings say {wanted.per_second} and {wanted.burst}"
            yield Finding(THROTTLE, what, deployment.target.deploy)
    answer = deployment.account.call("apigateway", "GetAccount", _ACCOUNT, {}) or {}
    allowed = answer.get("throttleSettings", {}).get("rateLimit", math.inf)
    if wanted.per_second > allowed:
        what = (
            f"the account's APIs take {allowed:g} requests a second in {deployment.account.region}, and "
            f"API_REQUESTS_PER_SECOND is {wanted.per_second}"
        )
        yield Finding(THROTTLE, what, _raised(deployment, _REQUESTS_PER_SECOND, wanted.per_second), Weight.WARNING)


def _workers(deployment: Deployment) -> dict[str, int]:
    """The most instances of each function that reads a queue and is deployed, by the settings."""
    return {
        function: int(getattr(deployment.settings, workers_setting(variable_of(queue)).lower()))
        for function, queue in deployment.queue_readers.items()
        if deployment.functions.get(function) is not None
    }


def _methods(deployment: Deployment) -> Iterator[dict[str, object]]:
    """What applies to every method of the stage's API, in each API of the app that has the stage."""
    account, config = deployment.account, deployment.config
    stage = config.document["stages"].get(deployment.target.stage, {}).get("api_gateway_stage")
    for page in account.pages("apigateway", "GetRestApis", config.app_name, {}, token=("position", "position")):
        for api in page.get("items", []):
            if stage is None or api["name"] != config.app_name:
                continue
            request = {"restApiId": api["id"], "stageName": stage}
            found = account.call("apigateway", "GetStage", stage, request, absent=_NO_API)
            if found is not None:
                yield found.get("methodSettings", {}).get("*/*", {})


def _raised(deployment: Deployment, quota: dict[str, str], wanted: int) -> str:
    return deployment.target.aws(
        "service-quotas request-service-quota-increase", {**quota, "DesiredValue": float(wanted)}
    )
