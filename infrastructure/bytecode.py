"""Compiled modules for Lambda's package: what a function imports need not be compiled at each of its cold starts.

The folder of a function is read-only, so Python could never keep what it compiled there. The compiled files are of the
kind that is never checked against its source, which saves a look at each source: the package is never changed in place.
Another minor version of Python ignores them; the sources stay in the package beside them.

What the functions import is found out in a process of its own, in the environment that deploys: its packages have the
locked versions, and those of the package may be for another processor. Only that is compiled: everything would add
10 MB to the package.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from infrastructure.account import DeploymentError

PROBE = """
import ast, importlib, os, pkgutil, sys
sys.path.insert(0, os.getcwd())
os.environ["_HANDLER"], *others = sys.argv[1:]
import app, chalicelib
from botocore.exceptions import EndpointConnectionError
from chalicelib import wiring
for handler in others:
    os.environ["_HANDLER"] = handler
    wiring.build_on_lambda()
for found in list(pkgutil.walk_packages(chalicelib.__path__, "chalicelib.")):
    with open(importlib.import_module(found.name).__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for one in ast.walk(tree):
        if isinstance(one, (ast.Import, ast.ImportFrom)):
            for name in [one.module] if isinstance(one, ast.ImportFrom) else [alias.name for alias in one.names]:
                importlib.import_module(name)
try:
    wiring.engine().clients.of("dynamodb").list_tables()
except EndpointConnectionError:
    pass
print(*sorted(sys.modules))
"""
"""Builds what each function builds at its start, imports what our modules import later, and makes one call, which loads
what botocore loads for the first one. The call goes to a port at which nobody listens."""

_NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nobody",
    "AWS_LAMBDA_FUNCTION_NAME": "probe",
    "AWS_TRIES": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}

ON_LAMBDA = "/var/task"
"""Where Lambda unpacks a package; tracebacks show it."""


def compile_imported(folder: Path, project: Path, handlers: Iterable[str], variables: Mapping[str, str]) -> None:
    """Compile what the functions import, in the folder of a package.

    Args:
        folder: the package, complete.
        project: whose functions they are.
        handlers: of the functions, as Lambda names them.
        variables: the environment of a stage's functions.

    Raises:
        DeploymentError: a function could not be built, or a module could not be compiled.
    """
    environment = {"PATH": os.environ.get("PATH", ""), **variables, **_NOWHERE}
    modules = _run([sys.executable, "-c", PROBE, *handlers], project, environment).split()
    sources = sorted({str(source) for name in modules for source in _sources(folder, name)})
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("".join(f"{source}\n" for source in sources))
        listed.flush()
        options = ["-q", "-i", listed.name, "-s", str(folder), "-p", ON_LAMBDA, "--invalidation-mode=unchecked-hash"]
        # A set's order is in the compiled file.
        _run([sys.executable, "-m", "compileall", *options], folder, environment | {"PYTHONHASHSEED": "0"})


def _sources(folder: Path, module: str) -> Iterator[Path]:
    path = folder.joinpath(*module.split("."))
    for source in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if source.is_file():
            yield source


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(  # noqa: S603  # ourselves
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["nothing was said"]
        raise DeploymentError(f"the functions' modules could not be compiled: {last[0]}")
    return done.stdout
