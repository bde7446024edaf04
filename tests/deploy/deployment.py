"""A copy of the project, deployed to a local AWS as anybody deploys it, and what a test looks at there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3

from local.processes.environment import REGION
from local.rehearsal.clone import Clone

Found = TypeVar("Found")

LOOK_SECONDS = 0.5

CHALICE = Path(sys.executable).with_name("chalice")


@dataclass
class Deployment(Clone):
    """One copy of the project and the local AWS that it is deployed to."""

    def infrastructure(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`python -m infrastructure` in the project's folder; with all rights, unless `variables` say otherwise."""
        return self.run(sys.executable, "-m", "infrastructure", *command, variables=variables)

    def chalice(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Chalice's own command in the project's folder."""
        return self.run(str(CHALICE), *command)

    def client(self, service: str, **credentials: str) -> Any:
        """A client of the local AWS: with all rights, or with the credentials that are told."""
        keys = credentials or {
            "aws_access_key_id": self.aws.access_key,
            "aws_secret_access_key": self.aws.access_key,
        }
        return boto3.client(service, endpoint_url=self.aws.endpoint, region_name=REGION, **keys)

    def zip_file(self, architecture: str) -> Path:
        """The package that was deployed for a processor."""
        made = (self.project / ".chalice" / "deployments").glob("*.zip")
        (file,) = (one for one in made if one.stem.endswith("-arm64") == (architecture == "arm64"))
        return file

    def snapshot(self, stage: str) -> dict[str, Any]:
        """Everything of a stage in the account that a deployment makes."""
        names = [one["FunctionName"] for one in self.client("lambda").list_functions()["Functions"]]
        own = sorted(name for name in names if name == f"replies-engine-{stage}" or f"-{stage}-" in name)
        return {
            "functions": {name: self._function(name) for name in own},
            "mappings": {name: self._mappings(name) for name in own},
            "roles": {name: self._role(name) for name in self._roles(stage)},
            "rules": self._rules(stage),
            "apis": self._apis(f"replies-engine-{stage}"),
            "logs": self._log_groups(own),
            "alarms": self._alarms(f"replies-engine-{stage}-"),
        }

    def _function(self, name: str) -> dict[str, Any]:
        client = self.client("lambda")
        told = client.get_function_configuration(FunctionName=name)
        volatile = ("LastModified", "RevisionId", "ResponseMetadata")
        kept = {key: value for key, value in told.items() if key not in volatile}
        return kept | {"recursion": client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"]}

    def _mappings(self, name: str) -> list[tuple[Any, ...]]:
        found = self.client("lambda").list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        return [
            (one["UUID"], one["EventSourceArn"], one["BatchSize"], one.get("ScalingConfig"), one["State"])
            for one in found
        ]

    def _roles(self, stage: str) -> list[str]:
        names = [one["RoleName"] for one in self.client("iam").list_roles()["Roles"]]
        return sorted(name for name in names if name.startswith(f"replies-engine-{stage}-"))

    def _role(self, name: str) -> dict[str, Any]:
        client = self.client("iam")
        names = client.list_role_policies(RoleName=name)["PolicyNames"]
        attached = client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        inline = {one: client.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in names}
        return {"inline": inline, "attached": attached}

    def _rules(self, stage: str) -> dict[str, Any]:
        client = self.client("events")
        rules = client.list_rules(NamePrefix=f"replies-engine-{stage}-")["Rules"]
        return {
            one["Name"]: (
                one["ScheduleExpression"],
                [target["Arn"] for target in client.list_targets_by_rule(Rule=one["Name"])["Targets"]],
            )
            for one in rules
        }

    def _apis(self, function: str) -> dict[str, Any]:
        client, found = self.client("apigateway"), {}
        for api in client.get_rest_apis()["items"]:
            resources = client.get_resources(restApiId=api["id"], embed=["methods"])["items"]
            methods = {
                (one["path"], verb): method.get("methodIntegration", {}).get("uri", "")
                for one in resources
                for verb, method in one.get("resourceMethods", {}).items()
            }
            if any(uri.endswith(f":{function}/invocations") for uri in methods.values()):
                stages = client.get_stages(restApiId=api["id"])["item"]
                found[api["id"]] = {
                    "endpoint": api["endpointConfiguration"]["types"],
                    "methods": methods,
                    "stages": {
                        one["stageName"]: (one.get("tracingEnabled"), one.get("methodSettings")) for one in stages
                    },
                }
        return found

    def _alarms(self, prefix: str) -> dict[str, list[str]]:
        """The topic that each notifies."""
        pages = self.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
        return {one["AlarmName"]: one["AlarmActions"] for page in pages for one in page["MetricAlarms"]}

    def _log_groups(self, functions: list[str]) -> dict[str, int | None]:
        groups = self.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
        names = {f"/aws/lambda/{name}" for name in functions}
        return {one["logGroupName"]: one.get("retentionInDays") for one in groups if one["logGroupName"] in names}


def eventually(find: Callable[[], Found], *, seconds: float = 60) -> Found:
    """What `find` finds, as soon as it finds something; its last word where it finds nothing in time."""
    until = time.monotonic() + seconds
    while not (found := find()) and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    return found
