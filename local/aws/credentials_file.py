"""The access key of the local AWS that `make run` started, for the commands that another terminal runs.

It stands in a file of AWS's own format that only the user can read, one for each port; it goes when the run ends. What
`.chalice/config.json` names for the stage `local` is the file of the default port.
"""

from __future__ import annotations

from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

from local.aws.clients import LocalAws
from local.processes.environment import HOST, NO_KEY, PROJECT

_FOLDER = PROJECT / ".aws-local"


def path(port: int, folder: Path = _FOLDER) -> Path:
    """Where the key of the local AWS on a port is."""
    return folder / f"credentials-{port}"


@contextmanager
def written(aws: LocalAws, folder: Path = _FOLDER) -> Iterator[Path]:
    """The file, for as long as the block lasts."""
    file = path(int(aws.endpoint.rpartition(":")[2]), folder)
    folder.mkdir(mode=0o700, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)  # before there is a secret in it
    file.write_text(f"[default]\naws_access_key_id = {aws.access_key}\naws_secret_access_key = {aws.access_key}\n")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def read(port: int, folder: Path = _FOLDER) -> LocalAws:
    """The local AWS on a port; where none runs, with a key that none takes."""
    told = ConfigParser()
    told.read(path(port, folder))
    return LocalAws(f"http://{HOST}:{port}", told.get("default", "aws_access_key_id", fallback=NO_KEY))
