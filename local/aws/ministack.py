"""ministack, the local AWS: started in a virtual environment of its own, and stopped without a trace.

It pins its own botocore and shows its packages to what it runs, so it lives in `.venv-aws`, apart from the project's.
It would answer any origin, so it runs behind the guard of `local/guard/`, which takes this start's access key only.
It gets a temporary folder of its own, for it leaves files behind when it is killed; the folder goes with it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from local.aws.clients import LocalAws
from local.processes.children import Child
from local.processes.environment import HOST, PROJECT, REGION, clean, new_access_key
from local.processes.ports import wait_until_answers

_START_SECONDS = 30.0
_PYTHON = PROJECT / ".venv-aws" / "bin" / "python"
_GUARD = Path(__file__).parents[1] / "guard" / "ministack.py"
_DEPLOYABLE = Path(__file__).with_name("deployable.py")
_PARENT_WATCH = Path(__file__).parents[1] / "processes" / "parent_watch.py"


class NotInstalledError(click.ClickException):
    """The local AWS is not installed; says how to install it."""


@contextmanager
def local_aws(port: int, *, shell: Mapping[str, str], is_deployable: bool = False) -> Iterator[LocalAws]:
    """A local AWS on `port` of the loopback interface, empty at first, as long as the block lasts.

    Args:
        port: where.
        shell: the user's environment.
        is_deployable: whether it takes `make deploy` (`deployable.py`). Then it enforces rights: a call is refused that
            no policy of its caller's allows; the parent's own calls are not.

    Raises:
        NotInstalledError: there is none.
        click.ClickException: it did not start; with its last words.
    """
    python = Path(shell.get("LOCAL_AWS_PYTHON", _PYTHON))
    if not python.exists():
        raise NotInstalledError("the local AWS is not installed: `make .venv-aws/made` installs it")
    folder = tempfile.mkdtemp(prefix="replies-engine-aws-")
    access_key = new_access_key()
    environment = clean(shell) | {
        "TMPDIR": folder,
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "LOG_LEVEL": "WARNING",
        "DOCKER_HOST": f"unix://{folder}/none",  # it would look for containers of its own to remove
        "STATE_DIR": f"{folder}/state",
        "S3_DATA_DIR": f"{folder}/s3",
        "AUTH": str(is_deployable).lower(),
        "AWS_ACCESS_KEY_ID": access_key,  # whose calls are the account's own, and may do anything
        # Where rights are enforced it knows each role's key itself, and takes no other.
        "LOCAL_AWS_KEY": "" if is_deployable else access_key,
    }
    program = str(_DEPLOYABLE) if is_deployable else "ministack"
    command = [str(python), "-I", str(_PARENT_WATCH), folder, str(_GUARD), program]
    child = Child.start("aws", command, environment=environment)
    try:
        if not wait_until_answers(port, seconds=_START_SECONDS, gave_up=lambda: not child.is_running):
            raise click.ClickException("the local AWS did not start:\n" + "\n".join(child.last_lines))
        yield LocalAws(f"http://{HOST}:{port}", access_key)
    finally:
        child.stop()
        shutil.rmtree(folder, ignore_errors=True)
