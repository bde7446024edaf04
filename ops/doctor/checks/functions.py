"""The functions: all there, running, with the same settings, and woken by their queues and schedules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chalicelib.settings import Settings, SettingsError
from chalicelib.settings.process import queue_name
from infrastructure.stages import HTTP_FUNCTION
from ops.doctor.findings import Finding, Weight
from ops.stage.account import NOT_FOUND
from ops.stage.deployment import Deployment, Function, full_name

AREA = "functions"

_PRIVATE = frozenset(
    {
        "AWS_ENDPOINT_URL",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_EC2_METADATA_DISABLED",
    }
)
"""What a stage on this machine tells beside its settings; no function of an account bears it."""


def check(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with the functions of a deployed stage; a stage on this machine needs none."""
    target = deployment.target
    if not deployment.is_deployed:
        if not target.is_on_this_machine:
            yield Finding(AREA, f"stage {target.stage} has no function in {deployment.account.region}", target.deploy)
        return
    for name, function in deployment.functions.items():
        full = full_name(deployment.config, target.stage, name)
        if function is None:
            yield Finding(AREA, f"{full} is missing: the stage is half deployed", target.deploy)
            continue
        if function.state not in {"Active", "Inactive"}:  # an idle function counts as inactive, and wakes up
            yield Finding(AREA, f"{full} is {function.state}", target.deploy)
        yield from _timeout(deployment, name, function)
        yield from _environment(deployment, function)
    yield from _sources(deployment)


def _timeout(deployment: Deployment, handler: str, function: Function) -> Iterator[Finding]:
    told = deployment.config.of_function(deployment.target.stage, handler, "lambda_timeout")
    if told is not None and int(told) != function.timeout_seconds:
        what = f"{function.name} ends after {function.timeout_seconds} s, and .chalice/config.json says {told} s"
        yield Finding(AREA, what, deployment.target.deploy)


def _environment(deployment: Deployment, function: Function) -> Iterator[Finding]:
    """A function whose settings differ from the first one's, or are not as `.chalice/config.json` tells them."""
    told = {k: v for k, v in deployment.config.environment(deployment.target.stage).items() if k not in _PRIVATE}
    other = sorted(name for name in told if function.environment.get(name) != told[name])
    if not other:
        return  # what is wrong with all functions alike is reported for the settings
    try:
        Settings.from_environment(function.environment)
    except SettingsError as error:
        what = f"{function.name} cannot start: {'; '.join(error.faults)}"
    else:
        what = f"{function.name} was deployed with another {', '.join(other)} than .chalice/config.json has"
    yield Finding(AREA, what, deployment.target.deploy)


def _sources(deployment: Deployment) -> Iterator[Finding]:
    """Functions that no queue or schedule wakes."""
    readers = deployment.queue_readers
    for name, function in deployment.functions.items():
        if function is None or name == HTTP_FUNCTION:
            continue
        if name in readers:
            yield from _mapping(deployment, function, readers[name])
        else:
            yield from _schedule(deployment, function)


def mappings_of(deployment: Deployment, function: Function) -> list[dict[str, Any]]:
    """The event source mappings that invoke a function."""
    request = {"FunctionName": function.name}
    pages = deployment.account.pages(
        "lambda", "ListEventSourceMappings", function.name, request, token=("NextMarker", "Marker")
    )
    return [one for page in pages for one in page["EventSourceMappings"]]


def _mapping(deployment: Deployment, function: Function, registered: str) -> Iterator[Finding]:
    mappings = mappings_of(deployment, function)
    variable = variable_of(registered)
    if variable in deployment.of_other_stages:
        return  # reported for the settings
    queue = deployment.environment.get(variable, registered)
    mine = [one for one in mappings if str(one["EventSourceArn"]).rpartition(":")[2] == queue]
    if not mine:
        yield Finding(AREA, f"{function.name} does not read {queue}", deployment.target.deploy)
    for one in mine:
        if one.get("State", "Enabled") not in {"Enabled", "Enabling", "Creating", "Updating"}:
            change = {"UUID": one["UUID"], "Enabled": True}
            fix = deployment.target.aws("lambda update-event-source-mapping", change)
            yield Finding(AREA, f"{function.name} has stopped reading {queue} ({one['State']})", fix)


def _schedule(deployment: Deployment, function: Function) -> Iterator[Finding]:
    rule = f"{function.name}-event"
    found = deployment.account.call("events", "DescribeRule", rule, {"Name": rule}, absent=NOT_FOUND)
    if found is None:
        yield Finding(AREA, f"no schedule runs {function.name}", deployment.target.deploy)
    elif found.get("State") != "ENABLED":
        fix = deployment.target.aws("events enable-rule", {"Name": rule})
        yield Finding(AREA, f"the schedule of {function.name} is off", fix, Weight.FAULT)


def variable_of(registered: str) -> str:
    """The setting that names a queue which app.py registers a function for."""
    names = (name.upper() for name in Settings.__dataclass_fields__ if name.endswith("_queue"))
    return next((name for name in names if queue_name(name) == registered), "")
