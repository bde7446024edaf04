"""Runs Chalice's commands in a process of their own, with our package in place of the one that Chalice makes.

A process of its own, because app.py names its queues after the environment when it is imported, and Chalice gives it
the stage's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from chalice import package as chalice_package
from chalice.cli.factory import CLIFactory
from chalice.deploy import deployer
from chalice.deploy.appgraph import ApplicationGraphBuilder
from chalice.deploy.models import Application, RestAPI
from chalice.utils import UI

from infrastructure.account import DeploymentError, in_one_line
from infrastructure.packaging import Package
from infrastructure.post_deploy import PUBLIC_BASE_URL, SENDER
from infrastructure.stages import PROJECT, Stage, handlers, stages

NO_CACHES = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Has a process of Python's write none."""


class Packager:
    """Takes the place of Chalice's `LambdaDeploymentPackager`."""

    def __init__(self, *, stage: Stage, architecture: str, **_: Any) -> None:
        self._stage, self._architecture = stage, architecture

    def create_deployment_package(self, project_dir: str, python_version: str) -> str:
        """The path of the package. Chalice asks for the Python that runs it, and no other can be packaged for."""
        package = Package(Path(project_dir), self._architecture, handlers(), self._stage.variables)
        assert python_version == package.python, python_version
        return str(package.file())


class Graph(ApplicationGraphBuilder):
    """Traces the function behind the routes, and not the API: an API's trace has the URL, which can hold a token.

    Chalice has one setting for both, `xray` of `api_handler`. It is off, so a plain `chalice deploy` traces neither.
    """

    def build(self, config: Any, stage_name: str) -> Application:
        """Chalice's model of everything that it deploys."""
        application = super().build(config, stage_name)
        for one in application.resources:
            if isinstance(one, RestAPI):
                one.lambda_function.xray, one.xray = True, False
        return application


def deploy(stage: Stage, url: str | None, again: str) -> None:
    """Deploy a stage with Chalice.

    Args:
        stage: which.
        url: the API's, where it was made before; Chalice would else take it from the function that was told it.
        again: the command that the user ran.

    Raises:
        SystemExit: Chalice gave up, and has said why.
    """
    _run("deploy", stage.name, again, *([url] if url else []))


def package(stage: Stage, folder: Path) -> None:
    """Write a stage's package and its SAM template into a folder.

    Raises:
        SystemExit: Chalice gave up, and has said why.
    """
    _run("package", stage.name, str(folder.absolute()))


def _run(*arguments: str) -> None:
    command = [sys.executable, "-m", "infrastructure.chalice_deploy", *arguments]
    ended = subprocess.run(command, cwd=PROJECT, env=os.environ | NO_CACHES, check=False)  # noqa: S603  # ourselves
    if ended.returncode:
        raise SystemExit(ended.returncode)


def _deploy(stage: str, again: str, url: str | None = None) -> None:
    factory = CLIFactory(str(PROJECT), environ=os.environ)
    config = factory.create_config_obj(chalice_stage_name=stage)
    told = config.config_from_disk["stages"][stage]
    if url and not told["environment_variables"].get(PUBLIC_BASE_URL):
        told["lambda_functions"][SENDER]["environment_variables"] = {PUBLIC_BASE_URL: url}
    with in_one_line(again):
        session = factory.create_botocore_session()
        factory.create_default_deployer(session=session, config=config, ui=UI()).deploy(config, stage)


def _package(stage: str, folder: str) -> None:
    factory = CLIFactory(str(PROJECT), environ=os.environ)
    config = factory.create_config_obj(chalice_stage_name=stage)
    options = factory.create_package_options()
    factory.create_app_packager(config, options, "cloudformation", "json", None).package_app(config, folder, stage)


def _main(verb: str, stage: str, *arguments: str) -> int:
    # Chalice looks these up in its modules when it builds, and takes no others.
    vars(deployer)["LambdaDeploymentPackager"] = partial(Packager, stage=stages()[stage])
    for module in (deployer, chalice_package):
        vars(module)["ApplicationGraphBuilder"] = Graph
    again = arguments[0] if verb == "deploy" else f"python -m infrastructure package --stage {stage} FOLDER"
    try:
        (_deploy if verb == "deploy" else _package)(stage, *arguments)
    except DeploymentError as obstacle:
        obstacle.show()
    except Exception as error:  # noqa: BLE001  # whatever Chalice ends with is told in one line
        DeploymentError(f"Chalice gave up ({' '.join(str(error).split())}): fix that, then `{again}`").show()
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
