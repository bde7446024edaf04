"""Runs Chalice's deployment in a process of its own, as `chalice deploy` does, with the public URL where it is known.

A process of its own, because app.py names its queues after the environment when it is imported, and Chalice gives it
the stage's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from chalice.cli.factory import CLIFactory
from chalice.constants import MISSING_DEPENDENCIES_TEMPLATE
from chalice.utils import UI

from infrastructure.account import DeploymentError, in_one_line
from infrastructure.post_deploy import PUBLIC_BASE_URL, SENDER
from infrastructure.stages import PROJECT, Stage

NO_CACHES = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Has a process of Python's write none."""


def deploy(stage: Stage, url: str | None, again: str) -> None:
    """Deploy a stage with Chalice.

    Args:
        stage: which.
        url: the API's, where it was made before; Chalice would else take it from the function that was told it.
        again: the command that the user ran.

    Raises:
        SystemExit: Chalice gave up, and has said why.
    """
    command = [sys.executable, "-m", "infrastructure.chalice_deploy", stage.name, again, *([url] if url else [])]
    clear_caches()
    ended = subprocess.run(command, cwd=PROJECT, env=os.environ | NO_CACHES, check=False)  # noqa: S603  # ourselves
    if ended.returncode:
        raise SystemExit(ended.returncode)


def clear_caches() -> None:
    """Remove what Python compiled of the package: Chalice would ship it, and each run's is another package."""
    for cache in (PROJECT / "chalicelib").rglob("__pycache__"):
        shutil.rmtree(cache)


class StrictUI(UI):
    """Stops at a package that Chalice could not find: Chalice only prints it, and would deploy without it."""

    def write(self, msg: str) -> None:
        start = MISSING_DEPENDENCIES_TEMPLATE.partition("%s")[0]
        if msg.startswith(start):
            names = " ".join(msg.removeprefix(start).partition("\nYou will")[0].split())
            raise DeploymentError(f"packages of requirements.txt were not found for Lambda: {names}")
        super().write(msg)


def _deploy(stage: str, again: str, url: str | None = None) -> None:
    factory, ui = CLIFactory(str(PROJECT), environ=os.environ), StrictUI()
    config = factory.create_config_obj(chalice_stage_name=stage)
    told = config.config_from_disk["stages"][stage]
    if url and not told["environment_variables"].get(PUBLIC_BASE_URL):
        told["lambda_functions"][SENDER]["environment_variables"] = {PUBLIC_BASE_URL: url}
    with in_one_line(again):
        deployer = factory.create_default_deployer(session=factory.create_botocore_session(), config=config, ui=ui)
        deployer.deploy(config, chalice_stage_name=stage)


def _main(stage: str, again: str, url: str | None = None) -> int:
    try:
        _deploy(stage, again, url)
    except DeploymentError as obstacle:
        obstacle.show()
    except Exception as error:  # noqa: BLE001  # whatever Chalice ends with is told in one line
        DeploymentError(f"Chalice gave up ({' '.join(str(error).split())}): mend that, then `{again}`").show()
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
