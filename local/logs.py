"""The app's log lines for a reader: one short line for each JSON line that a child prints.

Metric lines (CloudWatch's embedded format) are not shown; what is no JSON is shown as it came.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

_STYLES = {"DEBUG": "dim", "INFO": "", "WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold white on red"}
_CHILDREN = {
    "app": "cyan",
    "chalice": "cyan",
    "work": "magenta",
    "ai": "green",
    "twilio": "yellow",
    "sendgrid": "yellow",
}

_SHOWN_FIRST = (
    "code",
    "outcome",
    "status",
    "route",
    "count",
    "attempt",
    "conversation_id",
    "tenant",
    "message_sid",
    "batch_id",
)
_NEVER_SHOWN = frozenset(
    {
        "level",
        "location",
        "message",
        "timestamp",
        "service",
        "step",
        "stage",
        "request_id",
        "api_request_id",
        "sqs_message_id",
        "receive_count",
        "sender_trace_id",
        "xray_trace_id",
        "milliseconds",
        "sampling_rate",
    }
)
"""Those of lines of earlier versions too: the logs of a stage are kept for weeks."""

DOCUMENT = "document"
"""The field in which the stub AI tells a whole context; never shown."""

_ID_SHOWN = 12
"""So much of an id is shown: enough to tell two apart on a screen."""


@dataclass(frozen=True)
class LogLine:
    """One line of the app's log."""

    level: str
    step: str
    fields: Mapping[str, Any]


def parse(line: str) -> LogLine | str | None:
    """The log line that `line` is; its text where it is none; None where there is nothing to show."""
    if not line.strip():
        return None
    try:
        document = json.loads(line)
    except ValueError:
        return line
    if not isinstance(document, dict):
        return line
    if "_aws" in document:
        return None
    fields = {name: value for name, value in document.items() if name not in _NEVER_SHOWN}
    return LogLine(document.get("level", "INFO"), str(document.get("step") or document.get("message", "")), fields)


def documents(line: str) -> Iterator[str]:
    """The JSON documents of a line, one by one; what is none, as it is. Threads that write at once share a line."""
    while line:
        try:
            _, end = _decoder.raw_decode(line)
        except ValueError:
            end = len(line)
        yield line[:end]
        line = line[end:]


_decoder = json.JSONDecoder()


def show(console: Console, child: str, line: str) -> None:
    """Print what `child` said in one line, if it is worth one."""
    parsed = parse(line)
    if parsed is None:
        return
    text = Text.assemble((f"{datetime.now():%H:%M:%S} ", "dim"), (f"{child:<9}", _CHILDREN.get(child, "")))  # noqa: DTZ005  # the reader's own clock
    match parsed:
        case str():
            text.append(parsed, "dim")
        case LogLine(level, step, fields):
            text.append(f"{step:<22}", _STYLES.get(level, ""))
            text.append_text(_told(fields))
    console.print(text, soft_wrap=True)


def _told(fields: Mapping[str, Any]) -> Text:
    names = [name for name in _SHOWN_FIRST if name in fields]
    names += [name for name in fields if name not in {*_SHOWN_FIRST, DOCUMENT}]
    parts = Text()
    for name in names:
        parts.append(f" {name}=", "dim")
        parts.append(_short(name, fields[name]))
    return parts


def _short(name: str, value: Any) -> str:
    text = str(value)
    is_long_id = name.endswith(("_id", "_sid")) and name != "conversation_id" and len(text) > _ID_SHOWN
    return f"{text[:_ID_SHOWN]}…" if is_long_id else text
