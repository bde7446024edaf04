"""A stack is brought up to date from whatever it is in, or it is told in one line why not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from infrastructure.account import Account, DeploymentError
from infrastructure.stack import Stack
from infrastructure.template import TEMPLATE_FILE
from tests.deploy.conftest import AGAIN, Elsewhere


@dataclass
class FakeCloudFormation:
    """One stack, and what its next change ends as."""

    status: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    next_end: str | None = None
    """None: the next change goes well."""
    calls: list[str] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    """Logical id, status and reason; the newest first."""

    def describe_stacks(self, **told: str) -> dict[str, Any]:
        if self.status is None:
            error = {"Code": "ValidationError", "Message": f"Stack with id {told['StackName']} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")
        told = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()]
        return {"Stacks": [{"StackStatus": self.status, "Parameters": told}]}

    def get_template_summary(self, **told: str) -> dict[str, Any]:
        return {"Parameters": [{"ParameterKey": "Stage"}, {"ParameterKey": "MaxReceiveCount"}]}

    def create_stack(self, **told: Any) -> None:
        assert self.status is None, "CloudFormation makes no stack twice"
        self._change("create", "CREATE", told["Parameters"])

    def update_stack(self, **told: Any) -> None:
        assert self.status is not None
        assert not self.status.startswith(("ROLLBACK", "REVIEW")), "CloudFormation updates none that was never made"
        self._change("update", "UPDATE", told["Parameters"])

    def delete_stack(self, **told: str) -> None:
        self.calls.append("delete")
        self.status = None

    def continue_update_rollback(self, **told: str) -> None:
        self.calls.append("continue")
        self.status = "UPDATE_ROLLBACK_COMPLETE"

    def describe_stack_events(self, **told: str) -> dict[str, Any]:
        return {
            "StackEvents": [
                {"LogicalResourceId": name, "ResourceStatus": status, "ResourceStatusReason": reason}
                for name, status, reason in self.events
            ]
        }

    def get_waiter(self, name: str) -> FakeCloudFormation:
        self.calls.append(f"wait for {name}")
        return self

    def wait(self, **_: Any) -> None:
        if self.status is not None and self.status.endswith("IN_PROGRESS"):
            ended = self.status.replace("IN_PROGRESS", "COMPLETE")
            self.status = None if ended == "DELETE_COMPLETE" else ended
        if self.status is not None and ("FAILED" in self.status or self.status == "ROLLBACK_COMPLETE"):
            raise WaiterError("x", "terminal failure", {})

    def _change(self, call: str, verb: str, parameters: list[dict[str, Any]]) -> None:
        self.calls.append(call)
        self.parameters |= {one["ParameterKey"]: one["ParameterValue"] for one in parameters if "ParameterValue" in one}
        self.status = self.next_end or f"{verb}_COMPLETE"


def stack(fake: FakeCloudFormation) -> Stack:
    return Stack(Elsewhere(fake), "replies-engine-dev", TEMPLATE_FILE)  # type: ignore[arg-type]


def own_calls(fake: FakeCloudFormation) -> list[str]:
    return [call for call in fake.calls if not call.startswith("wait")]


class TestOnALocalAws:
    def test_it_is_made_then_left_as_it_is_then_updated(self, account: Account):
        """The parameters that are not told keep their values."""
        one = Stack(account, "replies-engine-stacktest", TEMPLATE_FILE, poll_seconds=0.1)
        told = {"Stage": "stacktest", "MaxReceiveCount": "7"}

        done = [one.bring_up(told, AGAIN), one.bring_up({}, AGAIN), one.bring_up({"MaxReceiveCount": "8"}, AGAIN)]

        sqs = account.client("sqs")
        url = sqs.get_queue_url(QueueName="replies-engine-stacktest-sms")["QueueUrl"]
        policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
        assert done == ["made", "as it was", "updated"]
        assert int(json.loads(policy)["maxReceiveCount"]) == 8
        assert one.status == "UPDATE_COMPLETE"


@pytest.mark.parametrize(
    ("status", "calls"),
    [
        (None, ["create"]),
        ("CREATE_COMPLETE", ["update"]),
        ("UPDATE_COMPLETE", ["update"]),
        ("UPDATE_ROLLBACK_COMPLETE", ["update"]),
        ("ROLLBACK_COMPLETE", ["delete", "create"]),
        ("REVIEW_IN_PROGRESS", ["delete", "create"]),
        ("UPDATE_IN_PROGRESS", ["update"]),
        ("CREATE_IN_PROGRESS", ["update"]),
        ("UPDATE_ROLLBACK_FAILED", ["continue", "update"]),
        ("DELETE_IN_PROGRESS", ["create"]),
    ],
)
def test_whatever_it_is_in_it_ends_up_to_date(status: str | None, calls: list[str]):
    """A half-made stack, one that somebody is at work on, and one whose roll-back failed."""
    fake = FakeCloudFormation(status)

    stack(fake).bring_up({"Stage": "dev"}, AGAIN)

    assert own_calls(fake) == calls
    assert fake.parameters["Stage"] == "dev"


def test_a_failure_names_the_first_reason_and_the_command():
    """What was cancelled because of it, and the failures of an earlier try, are not the reason."""
    fake = FakeCloudFormation(
        next_end="ROLLBACK_COMPLETE",
        events=[
            ("SmsQueue", "CREATE_FAILED", "Resource creation cancelled"),
            ("StageTable", "CREATE_FAILED", "conversations-stage-dev\nalready exists"),
            ("replies-engine-dev", "CREATE_IN_PROGRESS", "User Initiated"),
            ("HistoryTable", "CREATE_FAILED", "an earlier story"),
        ],
    )

    with pytest.raises(DeploymentError) as obstacle:
        stack(fake).bring_up({"Stage": "dev"}, AGAIN)

    assert obstacle.value.message == (
        "the stack replies-engine-dev is ROLLBACK_COMPLETE, because StageTable: conversations-stage-dev already exists"
        f": fix that, then `{AGAIN}`"
    )


def test_a_parameter_that_the_template_lacks_is_named_and_nothing_is_done():
    """A misspelt parameter is no default."""
    fake = FakeCloudFormation()

    with pytest.raises(DeploymentError, match=r"template.yaml has no parameter MaxRecieveCount: leave it out"):
        stack(fake).bring_up({"MaxRecieveCount": "3"}, AGAIN)

    assert own_calls(fake) == []


def test_parameters_that_the_template_no_longer_has_are_not_kept():
    """An update of an older stack does not fail on them."""
    fake = FakeCloudFormation("CREATE_COMPLETE", {"Stage": "dev", "LongGone": "1"})

    done = stack(fake).bring_up({}, AGAIN)

    assert done == "updated"


def test_the_template_is_the_one_that_is_told(tmp_path: Path):
    """Another stack of the stage comes from another file."""
    missing = tmp_path / "other.yaml"

    with pytest.raises(FileNotFoundError, match="other"):
        Stack(Elsewhere(FakeCloudFormation()), "x", missing).bring_up({}, AGAIN)  # type: ignore[arg-type]
