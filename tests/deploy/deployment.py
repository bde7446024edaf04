"""A copy of the project, deployed to a local AWS as anybody deploys it, and everything around it that a message needs.

provider -> domain (ours) -> API of the local AWS -> functions from the deployed zip, each under its own role
customer's phone <- stub for Twilio <- functions
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import boto3

from local.aws.clients import LocalAws
from local.processes.environment import HOST, PROJECT, REGION, local_aws

Found = TypeVar("Found")

LOOK_SECONDS = 0.5

OWN_ARCHITECTURE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
"""What the local AWS can run of what is packaged with parts for one processor."""

CHALICE = Path(sys.executable).with_name("chalice")


@dataclass
class Deployment:
    """One copy of the project and the local AWS that it is deployed to."""

    project: Path
    aws: LocalAws
    shell: Mapping[str, str]

    @classmethod
    def of_fresh_clone(cls, folder: Path, aws: LocalAws, shell: Mapping[str, str]) -> Deployment:
        """What git knows of this project, and what it does not ignore."""
        told = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, told.stdout.split("\0")):
            if (PROJECT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, folder / name)
        return cls(folder, aws, shell)

    def configure(self, stage: str, architecture: str, **variables: str) -> None:
        """Add to the environment of a stage's functions, and have them packaged for a processor."""
        file = self.project / ".chalice" / "config.json"
        config = json.loads(file.read_text())
        config["stages"][stage]["environment_variables"] |= variables
        config["stages"][stage]["lambda_architecture"] = architecture
        file.write_text(json.dumps(config))

    def infrastructure(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`python -m infrastructure` in the project's folder; with all rights, unless `variables` say otherwise."""
        return self._run(sys.executable, "-m", "infrastructure", *command, **variables)

    def chalice(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Chalice's own command in the project's folder."""
        return self._run(str(CHALICE), *command)

    def _run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.project,
            env={**self.shell, **local_aws(self.aws.endpoint, self.aws.access_key), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def client(self, service: str, **credentials: str) -> Any:
        """A client of the local AWS: with all rights, or with the credentials that are told."""
        keys = credentials or {
            "aws_access_key_id": self.aws.access_key,
            "aws_secret_access_key": self.aws.access_key,
        }
        return boto3.client(service, endpoint_url=self.aws.endpoint, region_name=REGION, **keys)

    def api(self, stage: str) -> str:
        """The id of a stage's API, as Chalice remembers it."""
        remembered = json.loads((self.project / ".chalice" / "deployed" / f"{stage}.json").read_text())
        return next(str(one["rest_api_id"]) for one in remembered["resources"] if one["name"] == "rest_api")

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


@contextmanager
def domain(routes: Mapping[str, str]) -> Iterator[str]:
    """A domain of one's own: hands on what comes to a stage of an API, its path kept. Yields its URL.

    Args:
        routes: where to; one URL under the empty name, set once it is known.
    """
    server = ThreadingHTTPServer((HOST, 0), partial(_Domain, routes))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Domain(BaseHTTPRequestHandler):
    def __init__(self, routes: Mapping[str, str], *connection: Any) -> None:
        self._routes = routes
        super().__init__(*connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        opener: Any = build_opener(ProxyHandler({}))
        request = Request(self._routes[""] + self.path, data=body, headers=headers, method="POST")
        try:
            with opener.open(request, timeout=30) as answer:
                self._hand_back(answer.status, answer.read(), answer.headers)
        except HTTPError as answer:
            self._hand_back(answer.code, answer.read(), answer.headers)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _hand_back(self, status: int, body: bytes, headers: Any) -> None:
        self.send_response(status)
        self.send_header("Content-Type", headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def eventually(find: Callable[[], Found], *, seconds: float = 60) -> Found:
    """What `find` finds, as soon as it finds something; its last word where it finds nothing in time."""
    until = time.monotonic() + seconds
    while not (found := find()) and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    return found


def shell_without_aws() -> dict[str, str]:
    """The user's shell, which pip may need, less what leads to an account and what Python is told by it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
