"""The stack of alarms and the dashboard is what CloudFormation makes of its template, loops and all."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import WaiterError

from infrastructure.template import MONITORING_FILE, resources
from local.aws.clients import LocalAws
from local.processes.environment import REGION

STAGE = "night"
"""No other test's stage."""


def client(service: str, aws: LocalAws) -> Any:
    return boto3.client(
        service,
        endpoint_url=aws.endpoint,
        region_name=REGION,
        aws_access_key_id=aws.access_key,
        aws_secret_access_key=aws.access_key,
    )


def create(aws: LocalAws, stage: str, template: str) -> None:
    """Create the stack and wait until it is complete."""
    cloudformation = client("cloudformation", aws)
    cloudformation.create_stack(
        StackName=f"replies-engine-{stage}-monitoring",
        TemplateBody=template,
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": stage}],
        Capabilities=["CAPABILITY_AUTO_EXPAND"],
    )
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName=f"replies-engine-{stage}-monitoring", WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def without_metric_math() -> str:
    """The template less the one loop whose alarms calculate, which ministack does not know."""
    loop, next_loop = "  Fn::ForEach::ErrorsOfFunctions:\n", "  Fn::ForEach::ThrottlesOfFunctions:\n"
    before, _, rest = MONITORING_FILE.read_text().partition(loop)
    return before + next_loop + rest.partition(next_loop)[2]


@pytest.fixture(scope="module")
def cloudwatch(aws_endpoint: LocalAws) -> Any:
    """What is told of the stack."""
    create(aws_endpoint, STAGE, without_metric_math())
    return client("cloudwatch", aws_endpoint)


def test_every_alarm_is_made_as_we_read_it(cloudwatch: Any):
    """Another's reading of loops and mappings, and ours, by which the unit tests go."""
    expected = {
        one.properties["AlarmName"]: one.properties
        for one in resources(MONITORING_FILE, STAGE).values()
        if one.kind == "AWS::CloudWatch::Alarm" and "MetricName" in one.properties
    }

    found = cloudwatch.describe_alarms(AlarmNamePrefix=f"replies-engine-{STAGE}-", MaxRecords=100)["MetricAlarms"]

    assert {one["AlarmName"] for one in found} == set(expected)
    for one in found:
        told = expected[one["AlarmName"]]
        assert {name: one[name] for name in told} == told


def test_the_dashboard_is_made_as_we_read_it(cloudwatch: Any):
    """One document, its references replaced."""
    expected = resources(MONITORING_FILE, STAGE)["Dashboard"].properties["DashboardBody"]["Fn::ToJsonString"]

    body = cloudwatch.get_dashboard(DashboardName=f"replies-engine-{STAGE}")["DashboardBody"]

    assert json.loads(body) == json.loads(json.dumps(expected).replace("AWS::Region", REGION))


def test_ministack_knows_no_alarm_that_calculates(aws_endpoint: LocalAws):
    """Once it does, the template is made whole above, and this test goes."""
    with pytest.raises(WaiterError):
        create(aws_endpoint, f"{STAGE}-whole", MONITORING_FILE.read_text())

    events = client("cloudformation", aws_endpoint).describe_stack_events(
        StackName=f"replies-engine-{STAGE}-whole-monitoring"
    )["StackEvents"]
    assert any("metric math" in one.get("ResourceStatusReason", "") for one in events)
