"""The CloudFormation stack of a stage: made, or brought up to date, and waited for; safe to run again at any time.

What a stack is in decides what is done:

    not there, or never got further than a change set     made
    its making failed and was rolled back                 removed, for it holds nothing, and made
    somebody is at work on it                             waited for, then as it is
    an update's roll-back failed                          the roll-back is finished, then updated
    anything else                                         updated; nothing to update is well
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from infrastructure.account import Account, DeploymentError

POLL_SECONDS = 3
LOOKS_MAX = 400

_NEVER_MADE = frozenset({"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"})
_ENDS_OF = {"CREATE": "stack_create_complete", "UPDATE": "stack_update_complete", "DELETE": "stack_delete_complete"}
_ROLLBACK = "stack_rollback_complete"


@dataclass(frozen=True)
class Stack:
    """One stack by name, and the template that it is made from."""

    account: Account
    name: str
    template: Path
    poll_seconds: float = POLL_SECONDS

    @property
    def status(self) -> str | None:
        """What it is in, as CloudFormation says; None: it is not there."""
        found = self._found()
        return None if found is None else str(found["StackStatus"])

    def bring_up(self, parameters: dict[str, str], again: str) -> str:
        """Make it or update it; what was done.

        Args:
            parameters: of the template; those not given keep the values that they have, or get their defaults.
            again: the command that the user ran.

        Raises:
            DeploymentError: it ended otherwise; with the first reason that CloudFormation gives.
        """
        self._wait_until_stable(again)
        found = self._found()
        if found is not None and found["StackStatus"] in _NEVER_MADE:
            self._do("DELETE", again, lambda: self._client.delete_stack(StackName=self.name))
            found = None
        body = self.template.read_text()
        known = {one["ParameterKey"] for one in self._client.get_template_summary(TemplateBody=body)["Parameters"]}
        if unknown := parameters.keys() - known:
            raise DeploymentError(
                f"{self.template.name} has no parameter {', '.join(sorted(unknown))}: leave it out of `{again}`"
            )
        told: list[dict[str, Any]] = [
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ]
        if found is None:
            self._do("CREATE", again, lambda: self._client.create_stack(**self._request(body, told)))
            return "made"
        kept = {one["ParameterKey"] for one in found.get("Parameters", [])} & known - parameters.keys()
        told += [{"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept)]
        try:
            self._do("UPDATE", again, lambda: self._client.update_stack(**self._request(body, told)))
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
            return "as it was"
        return "updated"

    @property
    def _client(self) -> Any:
        return self.account.client("cloudformation")

    def _request(self, body: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
        may_transform = ["CAPABILITY_AUTO_EXPAND"]
        return {"StackName": self.name, "TemplateBody": body, "Parameters": parameters, "Capabilities": may_transform}

    def _found(self) -> dict[str, Any] | None:
        try:
            (found,) = self._client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if found["StackStatus"] == "DELETE_COMPLETE" else dict(found)

    def _wait_until_stable(self, again: str) -> None:
        """Wait for whoever is at work on it, however that ends, and finish a roll-back that failed."""
        while (status := self.status or "").endswith("_IN_PROGRESS") and status not in _NEVER_MADE:
            waiter = _ROLLBACK if "ROLLBACK" in status else _ENDS_OF[status.split("_", 1)[0]]
            with suppress(WaiterError):
                self._look_until(waiter)
        if status == "UPDATE_ROLLBACK_FAILED":
            self._client.continue_update_rollback(StackName=self.name)
            self._wait(_ROLLBACK, again)

    def _do(self, verb: str, again: str, call: Any) -> None:
        call()
        self._wait(_ENDS_OF[verb], again)

    def _wait(self, waiter: str, again: str) -> None:
        try:
            self._look_until(waiter)
        except WaiterError:
            raise DeploymentError(
                f"the stack {self.name} is {self.status}, because {self._reason()}: fix that, then `{again}`"
            ) from None

    def _look_until(self, waiter: str) -> None:
        looks = {"Delay": self.poll_seconds, "MaxAttempts": LOOKS_MAX}
        self._client.get_waiter(waiter).wait(StackName=self.name, WaiterConfig=looks)

    def _reason(self) -> str:
        """The first thing that failed since the last beginning, in CloudFormation's words."""
        reason = "CloudFormation gives no reason"
        for event in self._client.describe_stack_events(StackName=self.name)["StackEvents"]:  # the newest first
            words = " ".join(event.get("ResourceStatusReason", "").split())
            if words == "User Initiated":
                break
            if event["ResourceStatus"].endswith("_FAILED") and words and "cancelled" not in words:
                reason = f"{event['LogicalResourceId']}: {words}"
        return reason
