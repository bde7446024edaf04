"""The deployment that a command works on, and the commands that repair exactly that deployment.

A stage whose settings name an endpoint of their own (`local` does) lives on this machine: its ports come from the file
of the running `make run`, else from the settings, and the access key from the file of the local AWS. The same holds for
a stage that `make rehearse` deployed, once its endpoint is named. So no variable of the user's shell leads such a
command to a real account.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from local import run_file
from local.aws import credentials_file
from local.processes.environment import HOST, REGION, SENDGRID_STUB_URL, STUB_URL
from local.run_file import RunFile
from local.visible import visible_line

PROJECT = Path(__file__).parents[2]
CONFIG_FILE = PROJECT / ".chalice" / "config.json"
PROGRAM = "replies-engine"
"""The console script."""

_DEFAULT_PORT = 4566
_ENDPOINT, _REGION = "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"


class CommandError(click.ClickException):
    """The command cannot be carried out: one line that says what is wrong, and what to do."""

    exit_code = 2

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}; fix: {fix}")
        self.what = what
        self.fix = fix

    def format_message(self) -> str:
        """One line without control characters: what a company's row says may be part of it."""
        return visible_line(self.message)


@dataclass(frozen=True)
class Config:
    """`.chalice/config.json`, as far as it says what a stage is."""

    document: Mapping[str, Any]

    @classmethod
    def read(cls) -> Config:
        """The project's own."""
        return cls(json.loads(CONFIG_FILE.read_text()))

    @property
    def app_name(self) -> str:
        return str(self.document["app_name"])

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(self.document["stages"])

    def environment(self, stage: str) -> dict[str, str]:
        """What Chalice gives the functions of a stage; empty where there is no such stage."""
        of_all = self.document.get("environment_variables", {})
        of_stage = self.document["stages"].get(stage, {}).get("environment_variables", {})
        return {**of_all, **of_stage}

    def of_function(self, stage: str, function: str, name: str) -> Any:
        """One key of a function, looked for where Chalice does, in its order; None: nowhere."""
        of_stage = self.document["stages"].get(stage, {})
        its_own, of_all = (one.get("lambda_functions", {}).get(function, {}) for one in (of_stage, self.document))
        return next((one[name] for one in (its_own, of_stage, of_all, self.document) if name in one), None)


@dataclass(frozen=True)
class Target:
    """One stage at one endpoint; `None` leaves a value to botocore and the user's own configuration."""

    stage: str
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    key: str | None = field(default=None, repr=False)
    """The access key of the local AWS, and its own secret; None: the user's own credentials."""
    is_on_this_machine: bool = False
    twilio_url: str | None = None
    """Where Twilio's API is, in place of what the settings say; on this machine a stub is."""
    given: tuple[tuple[str, str], ...] = ()
    """The options that led here, as they were given."""
    run: RunFile | None = None
    """The `make run`, `make aws` or `make rehearse` that this is; None: none is known."""

    @classmethod
    def of(cls, stage: str, config: Config, **given: str | None) -> Target:
        """What the options say, and for a stage on this machine what its settings say beyond that.

        Args:
            stage: its name.
            config: tells the settings of stages.
            given: `endpoint_url`, `region`, `profile` and `twilio_url`, where they are given.
        """
        options: dict[str, Any] = {name: value for name, value in given.items() if value}
        kept = tuple((name.replace("_", "-"), str(value)) for name, value in options.items())
        told, asked = config.environment(stage), options.get("endpoint_url")
        rehearsal = run_file.at_port(_port(asked)) if asked and urlsplit(asked).hostname == HOST else None
        if rehearsal is not None and rehearsal.stage == stage and _ENDPOINT not in told:
            key = None if "profile" in options else _key_at(rehearsal.endpoint)
            options = {"region": REGION, "key": key, "run": rehearsal} | options
        if _ENDPOINT in told:
            run = run_file.at_port(_port(asked)) if asked else run_file.newest()
            endpoint = asked or (run.endpoint if run else told[_ENDPOINT])
            its_own: dict[str, Any] = {
                "endpoint_url": endpoint,
                "region": told.get(_REGION),
                "key": None if "profile" in options else _key_at(endpoint),
                "twilio_url": run.twilio_url if run else STUB_URL,
                "is_on_this_machine": True,
                "run": run,
            }
            options = its_own | options
        return cls(stage, given=kept, **options)

    @property
    def provider_urls(self) -> dict[str, str]:
        """Where the providers' APIs are in place of what the settings say: on this machine always at stubs."""
        sendgrid = (self.run.sendgrid_url if self.run else SENDGRID_STUB_URL) if self.is_on_this_machine else ""
        told = {"TWILIO_API_BASE_URL": self.twilio_url, "SENDGRID_API_BASE_URL": sendgrid}
        return {name: url for name, url in told.items() if url}

    def aws(self, command: str, request: Mapping[str, Any]) -> str:
        """A call of AWS's own command line, for this deployment: `dynamodb update-table` with its whole request."""
        command = f"{command} --cli-input-json {shlex.quote(json.dumps(request))}"
        key = f"AWS_SHARED_CREDENTIALS_FILE={_credentials_at(self.endpoint_url)} " if self.key else ""
        told = {"endpoint-url": self.endpoint_url, "region": self.region, "profile": self.profile}
        return f"{key}aws {command}{_options(told)}"

    def ops(self, command: str) -> str:
        """A command of this command line, for this deployment."""
        return f"{PROGRAM} {command}{_options({'stage': self.stage, **dict(self.given)})}"

    @property
    def deploy(self) -> str:
        """The command that makes whatever the deployment lacks."""
        if self.run is not None and not self.is_on_this_machine:
            return f"make rehearse STAGE={self.stage}"
        return "make run" if self.is_on_this_machine else f"make deploy STAGE={self.stage}"


def _port(endpoint_url: str | None) -> int:
    return urlsplit(endpoint_url or "").port or _DEFAULT_PORT


def _key_at(endpoint_url: str) -> str:
    return credentials_file.read(_port(endpoint_url)).access_key


def _credentials_at(endpoint_url: str | None) -> str:
    return str(credentials_file.path(_port(endpoint_url)))


def _options(told: Mapping[str, str | None]) -> str:
    return "".join(f" --{name} {shlex.quote(value)}" for name, value in told.items() if value)
