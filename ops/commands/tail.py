"""The log lines of all functions, as they come."""

from __future__ import annotations

import json
import threading
from datetime import datetime

from rich.console import Console
from rich.text import Text

from chalicelib.clock import SystemClock
from chalicelib.telemetry import Level
from ops.stage import tailing
from ops.stage.deployment import Deployment
from ops.stage.logs import LogEvent, logs_of
from ops.stage.target import CommandError
from ops.terminal import masking
from ops.terminal.step_texts import in_words

_STYLES = {"DEBUG": "dim", "INFO": "", "WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold white on red"}
_LEVELS = tuple(one.value.upper() for one in Level)
_WHOSE = ("tenant", "conversation_id", "message_sid")


def tail(
    deployment: Deployment,
    console: Console,
    since: datetime,
    *,
    level: str,
    words: str | None,
    is_following: bool,
    as_json: bool = False,
) -> None:
    """Show lines until Ctrl-C, or those that there are."""
    logs = logs_of(deployment)
    if not logs.are_there:
        here = deployment.target.is_on_this_machine
        what = "nothing runs on this machine" if here else f"stage {deployment.target.stage} has no log group"
        raise CommandError(what, deployment.target.deploy)
    stopped = threading.Event()
    wait = stopped.wait if is_following else lambda _: True
    try:
        for event in tailing.follow(logs, since, SystemClock(), wait, words):
            _show(console, event, level, as_json=as_json)
    except KeyboardInterrupt:
        console.print("Stopped.")


def _show(console: Console, event: LogEvent, level: str, *, as_json: bool) -> None:
    if not tailing.is_worth_showing(event):
        return
    line = event.line
    if as_json:
        _show_document(console, event, level)
        return
    if line is None:
        console.print(f"{event.at:%H:%M:%S} {event.function:<14} {masking.text(event.text.strip())}", style="bold red")
        return
    if line.level in _LEVELS and _LEVELS.index(line.level) < _LEVELS.index(level):
        return
    whose = " ".join(str(line.fields[name]) for name in _WHOSE if name in line.fields)
    told = Text.assemble(
        (f"{event.at:%H:%M:%S} ", "dim"),
        f"{event.function:<14} ",
        (masking.text(in_words(line)), _STYLES.get(line.level, "")),
        (f"  {masking.text(whose)}", "dim"),
    )
    console.print(told)


def _show_document(console: Console, event: LogEvent, level: str) -> None:
    """One JSON document a line."""
    line = event.line
    told: dict[str, object] = {"at": event.at.isoformat(), "function": event.function}
    if line is None:
        told |= {"level": "CRITICAL", "text": masking.text(event.text.strip())}
    elif line.level in _LEVELS and _LEVELS.index(line.level) < _LEVELS.index(level):
        return
    else:
        told |= {"level": line.level, "step": line.step, "text": masking.text(in_words(line))}
        told |= {name: masking.text(str(line.fields[name])) for name in _WHOSE if name in line.fields}
    console.print(json.dumps(told, ensure_ascii=False))
