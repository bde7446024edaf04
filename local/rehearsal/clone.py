"""A copy of the project that is deployed to a local AWS, so that neither its files nor what Chalice records change.

The package is built in the project's own `.chalice/deployments`, which is named by content: nothing is built twice.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from local.aws.clients import LocalAws
from local.processes.environment import PROJECT, local_aws

OWN_ARCHITECTURE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
"""What the local AWS can run of what is packaged with parts for one processor."""

PATIENCE = {
    "AWS_READ_TIMEOUT_SECONDS": "10",
    "WEBHOOK_DEADLINE_SECONDS": "6",
    "BUCKET_READ_TIMEOUT_SECONDS": "2",
}
"""Settings for a machine that runs everything: it may take long over a first start."""


@dataclass
class Clone:
    """One copy of the project and the local AWS that it is deployed to."""

    project: Path
    aws: LocalAws
    shell: Mapping[str, str]
    """The user's, which pip may need; what leads to an account, or tells Python something, is left out."""

    @classmethod
    def of_project(cls, folder: Path, aws: LocalAws, shell: Mapping[str, str]) -> Clone:
        """What git knows of this project, and what it does not ignore.

        Raises:
            click.ClickException: the project is not in git.
        """
        told = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        if told.returncode:
            raise click.ClickException(f"the project's files cannot be listed: {told.stderr.strip()}")
        for name in filter(None, told.stdout.split("\0")):
            if (PROJECT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, folder / name)
        return cls(folder, aws, without_aws(shell))

    def share_packages(self) -> None:
        """Build packages where the project itself does."""
        built = PROJECT / ".chalice" / "deployments"
        built.mkdir(exist_ok=True)
        (self.project / ".chalice" / "deployments").symlink_to(built)

    def configure(self, stage: str, architecture: str, **variables: str) -> None:
        """Add to the environment of a stage's functions, and have them packaged for a processor."""
        file = self.project / ".chalice" / "config.json"
        config = json.loads(file.read_text())
        config["stages"][stage]["environment_variables"] |= variables
        config["stages"][stage]["lambda_architecture"] = architecture
        file.write_text(json.dumps(config))
        self.run(sys.executable, "-m", "infrastructure", "policies").check_returncode()  # a further function has one

    def run(
        self, *command: str, is_shown: bool = False, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command in the project's folder, with all rights in the local AWS, unless `variables` say otherwise."""
        return subprocess.run(
            command,
            cwd=self.project,
            env={**self.shell, **local_aws(self.aws.endpoint, self.aws.access_key), **(variables or {})},
            capture_output=not is_shown,
            text=True,
            check=False,
        )

    def deploy(self, stage: str, *options: str, is_shown: bool = False) -> subprocess.CompletedProcess[str]:
        """What `make deploy` runs."""
        command = (sys.executable, "-m", "infrastructure", "deploy", "--stage", stage, *options)
        return self.run(*command, is_shown=is_shown)

    def api(self, stage: str) -> str:
        """The id of a stage's API, as Chalice remembers it."""
        remembered = json.loads((self.project / ".chalice" / "deployed" / f"{stage}.json").read_text())
        return next(str(one["rest_api_id"]) for one in remembered["resources"] if one["name"] == "rest_api")

    def api_url(self, stage: str) -> str:
        """Where the local AWS serves a stage's API."""
        return f"{self.aws.endpoint}/restapis/{self.api(stage)}/{stage}/_user_request_"


def without_aws(shell: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The user's shell, which pip may need, less what leads to an account and what Python is told by it."""
    return {name: value for name, value in shell.items() if not name.startswith(("AWS_", "PYTHON"))}
