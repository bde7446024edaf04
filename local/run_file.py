"""The run file: where a running `make run`, `make aws` or `make rehearse` listens, for commands of other terminals.

One file per port of the local AWS, readable by the user alone, removed when the run ends. Beside it is the log of the
app and its workers, which `tail` and `explain` read. A file of a run that was killed is recognised by its process id.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from local.processes.environment import HOST, PROJECT

_FOLDER = PROJECT / ".aws-local"
_LOGGED = frozenset({"app", "work", "chalice"})
"""The children whose lines are the engine's own."""

_LOG_BYTES_MAX = 16_000_000
"""A log that is longer is moved aside; the one before it is lost."""


@dataclass(frozen=True)
class RunFile:
    """Where one run listens."""

    pid: int
    aws_port: int
    http_port: int
    twilio_port: int | None
    """Of the stub for Twilio's API; None: replies go to Twilio."""
    sendgrid_port: int
    stage: str = "local"
    """Another than `local` is deployed there, by a rehearsal."""

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.aws_port}"

    @property
    def url(self) -> str:
        """Of the app."""
        return f"http://{HOST}:{self.http_port}"

    @property
    def twilio_url(self) -> str:
        """Of the stub for Twilio's API; empty: there is none."""
        return f"http://{HOST}:{self.twilio_port}" if self.twilio_port else ""

    @property
    def sendgrid_url(self) -> str:
        """Of the stub for SendGrid's API."""
        return f"http://{HOST}:{self.sendgrid_port}"

    @property
    def is_alive(self) -> bool:
        """Whether the process that wrote the file still runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True


def path(aws_port: int, folder: Path = _FOLDER) -> Path:
    """The file of the run whose local AWS is on a port."""
    return folder / f"run-{aws_port}.json"


def log_path(aws_port: int, folder: Path = _FOLDER) -> Path:
    """The log of the run whose local AWS is on a port."""
    return folder / f"log-{aws_port}.jsonl"


def running(folder: Path = _FOLDER) -> list[RunFile]:
    """Every run on this machine, the one that started last first."""
    files = sorted(folder.glob("run-*.json"), key=lambda one: one.stat().st_mtime, reverse=True)
    found = [one for one in map(_read, files) if one is not None]
    return [one for one in found if one.is_alive]


def at_port(aws_port: int, folder: Path = _FOLDER) -> RunFile | None:
    """The run whose local AWS is on a port; None: there is none."""
    return next((one for one in running(folder) if one.aws_port == aws_port), None)


def newest(folder: Path = _FOLDER) -> RunFile | None:
    """The run of the stage `local` that started last; None: none runs."""
    return next((one for one in running(folder) if one.stage == "local"), None)


@contextmanager
def written(run: RunFile, folder: Path = _FOLDER) -> Iterator[RunLog]:
    """The file and an empty log, for as long as the block lasts; yields what writes the log."""
    folder.mkdir(mode=0o700, exist_ok=True)
    file, log = path(run.aws_port, folder), log_path(run.aws_port, folder)
    _create(log, "")
    _create(file, json.dumps(asdict(run)) + "\n")
    writer = RunLog(log)
    try:
        yield writer
    finally:
        writer.close()
        for one in (file, log, _before(log)):
            one.unlink(missing_ok=True)


@dataclass
class RunLog:
    """Writes what the app and its workers print."""

    file: Path
    _open: IO[str] | None = field(default=None, repr=False)

    def add(self, child: str, line: str) -> None:
        """Keep one line of a child; those of the stubs, which hold what customers wrote, are left out."""
        if child not in _LOGGED or not line.strip():
            return
        if self._open is None:
            self._open = self.file.open("a", encoding="utf-8")
        told = {"at": datetime.now(UTC).isoformat(), "child": child, "line": line}
        self._open.write(json.dumps(told) + "\n")
        self._open.flush()
        if self._open.tell() > _LOG_BYTES_MAX:
            self.close()
            self.file.replace(_before(self.file))
            _create(self.file, "")

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            self._open.close()
            self._open = None


@dataclass(frozen=True)
class KeptLine:
    """One line of a child's output."""

    at: datetime
    child: str
    text: str
    number: int
    """Its place in the log."""


def lines(aws_port: int, folder: Path = _FOLDER) -> Iterator[KeptLine]:
    """What the app and its workers printed, in order."""
    log = log_path(aws_port, folder)
    texts = [one.read_text(encoding="utf-8", errors="replace") for one in (_before(log), log) if one.exists()]
    for number, line in enumerate("".join(texts).splitlines()):
        document = _parsed(line)
        if document is not None:
            yield KeptLine(datetime.fromisoformat(document["at"]), document["child"], document["line"], number)


def _before(log: Path) -> Path:
    return log.with_suffix(".before.jsonl")


def _create(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)  # before there is anything in it
    file.write_text(text)


def _read(file: Path) -> RunFile | None:
    """What a file says; None: it is being written, or is not one of ours."""
    try:
        return RunFile(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None  # the last line is being written
    return document if isinstance(document, dict) and {"at", "child", "line"} <= document.keys() else None
