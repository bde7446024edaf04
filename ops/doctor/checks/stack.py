"""The stack: made from the template for this stage, and complete."""

from __future__ import annotations

from collections.abc import Iterator

from ops.doctor.findings import Finding, Weight
from ops.stage.deployment import Deployment

AREA = "stack"

_COMPLETE = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"}
)
"""After an update that was rolled back the stack is whole, and as it was before."""


def check(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with the stack; tables and queues that were made another way do without one."""
    target = deployment.target
    name = f"{deployment.config.app_name}-{target.stage}"
    found = deployment.account.call(
        "cloudformation", "DescribeStacks", name, {"StackName": name}, absent={"ValidationError"}
    )
    if found is None:
        yield Finding(AREA, f"region {deployment.account.region} has no stack {name}", target.deploy, Weight.WARNING)
        return
    status = str(found["Stacks"][0]["StackStatus"])
    if status not in _COMPLETE:
        yield Finding(AREA, f"{name} is {status}: the stage is half deployed", target.deploy)
    elif status == "UPDATE_ROLLBACK_COMPLETE":
        yield Finding(AREA, f"the last change of {name} was rolled back", target.deploy, Weight.WARNING)
