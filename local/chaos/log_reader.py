"""Reads the child processes' log lines: counts them, and keeps what the ledger needs."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from chalicelib.errors import Code, ReplyCode
from chalicelib.telemetry import Step
from local import logs
from local.chaos.ledger import Batch
from local.logs import DOCUMENT, LogLine

_TRACED_MAX = 60
_ID = re.compile(r"(?:SM|MM)?[0-9a-f]{32}")

HearStep = Callable[[str, str], None]
"""Takes a child's name and one step that it told."""


@dataclass
class LogReader:
    """Hears the children's lines."""

    on_step: HearStep = lambda _child, _step: None
    log: TextIO | None = None
    """Where every line goes too, with the time in UTC."""
    steps: Counter[str] = field(default_factory=Counter)
    """How often each step was told."""
    batches: list[Batch] = field(default_factory=list)
    """As the AI got them, in order."""
    refused: set[tuple[str, str]] = field(default_factory=set)
    """Message id and code."""
    unknown: set[str] = field(default_factory=set)
    """The batches whose answer was told to be of unknown outcome."""
    surprises: set[str] = field(default_factory=set)
    """The types and places of errors that nobody expected."""
    _told: dict[str, list[str]] = field(default_factory=dict)
    """The lines of each conversation."""
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def on_line(self, child: str, line: str) -> None:
        """Take one line, which may be several where the child's threads spoke at once."""
        for one in logs.documents(line):
            parsed = logs.parse(one)
            if isinstance(parsed, LogLine):
                self.on_step(child, parsed.step)
            with self._changing:
                if self.log is not None and parsed is not None:
                    self.log.write(f"{datetime.now(UTC):%H:%M:%S.%f} {child} {one}\n")
                if isinstance(parsed, LogLine):
                    self._keep(child, parsed)

    def trace(self, conversation: str, about: str = "") -> list[str]:
        """A conversation's log, one line per step: the steps of the ids in `about`, or else the last ones."""
        ids = set(_ID.findall(about))
        with self._changing:
            told = self._told.get(conversation, [])
            return [line for line in told if ids & set(_ID.findall(line))] or told[-_TRACED_MAX:]

    def _keep(self, child: str, line: LogLine) -> None:
        fields, code = line.fields, str(line.fields.get("code", ""))
        self.steps[line.step] += 1
        match line.step:
            case "thinking":
                self.batches.append(_batch(fields[DOCUMENT]))
            case Step.REFUSED if "message_sid" in fields:
                self.refused.add((fields["message_sid"], code))
            case Step.RELEASED | Step.REPLY_ABANDONED if code == ReplyCode.UNKNOWN_OUTCOME:
                self.unknown.add(fields["batch_id"])
            case Step.FAILED if code == Code.INTERNAL_ERROR:
                self.surprises.add(str(fields.get("reason", "an error without a reason")))
        if "conversation_id" in fields:
            told = " ".join(f"{name}={value}" for name, value in fields.items() if name not in {DOCUMENT, "tenant"})
            self._told.setdefault(fields["conversation_id"], []).append(f"{child} {line.step} {told}")


def _batch(context: Any) -> Batch:
    messages = context["messages"]
    return Batch(
        batch_id=context["meta"]["batch_id"],
        conversation=context["conversation"]["conversation_id"],
        company=context["company"]["company_id"],
        new=tuple(one["message_id"] for one in messages if not one.get("carried")),
        carried=tuple(one["message_id"] for one in messages if one.get("carried")),
    )
