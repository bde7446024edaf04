"""What the engine's steps are called at a terminal, and where use cases that run from here tell theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Unpack

from chalicelib.telemetry import Fields, Level, Metric, Step
from chalicelib.telemetry.writer import describe
from local.demo.timeline import TOLD, sentence
from local.logs import LogLine

_ALSO_TOLD = {
    Step.RECEIVED: "received",
    Step.LOOKED_UP: "looked up: {count} active conversation(s)",
    Step.SECRET_FETCHED: "the company's secret is loaded",
    Step.SIGNATURE_ACCEPTED: "the signature is accepted",
    Step.CONTEXT_LOADED: "the conversation's record is read",
    Step.RULES_PASSED: "the rules let it pass, route {route}",
    Step.ANSWERED: "the provider was answered: {outcome}, HTTP {status}",
    Step.RESPELLED: "found by another spelling of the customer's number",
    Step.SEVERAL_ACTIVE: "{count} conversations are active between these two addresses; the newest was taken",
    Step.POLICY_NOT_APPLIED: "a policy is not applied as it is written: {reason}",
    Step.OPT_OUT_UNKNOWN: "Twilio said OptOutType={outcome}, which the engine does not know; it changed nothing",
    Step.NOTHING_STAGED: "a trigger came, and nothing was staged",
    Step.CHANGED: "the record changed meanwhile; looked again",
    Step.SETTLED: "{count} staged row(s) settled",
    Step.EMERGENCY_UNLOCK: "emergency unlock: batch {batch_id} could not be made",
    Step.STAMPED: "another system's lock got a start time",
    Step.MOVED_HISTORY: "{count} old entries moved to the history",
    Step.RESET: "stalled lock of batch {batch_id} reset ({outcome})",
    Step.RECOVERED: "orphaned message found by the sweep, time {count}",
    Step.RESTARTED: "batch {batch_id} takes the running one's place, with {count} message(s) more",
    Step.CLAIMED: "a reply claims the batch {outcome}",
    Step.REPLY_ENDED: "the reply came again; it had ended",
    Step.REPLY_ABANDONED: "the reply of batch {batch_id} was given up: {code}",
}
"""Steps beyond those of the demo's timeline."""

_SENTENCES = {**TOLD, **{step.value: words for step, words in _ALSO_TOLD.items()}}


@dataclass
class Notes:
    """A `Telemetry` that keeps the steps of a use case for the command that runs it; metrics are of functions only."""

    lines: list[LogLine] = field(default_factory=list)

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        self.lines.append(LogLine(level.value.upper(), step.value, dict(fields)))

    def fault(self, step: Step, error: BaseException, level: Level = Level.ERROR, **fields: Unpack[Fields]) -> None:
        told: Fields = {**describe(error), **fields}
        self.log(step, level, **told)

    def writes(self, level: Level) -> bool:  # noqa: ARG002  # every step is kept
        return True

    def count(self, values: Mapping[Metric, float], *, channel: str = "none", outcome: str = "none") -> None:
        """Count nothing: what an operator fixes is no traffic."""

    def take(self) -> list[LogLine]:
        """What was noted since the last time."""
        taken, self.lines = self.lines, []
        return taken


def in_words(line: LogLine) -> str:
    """What a log line says, as a sentence; the step and its fields where there is none."""
    if line.step in _SENTENCES:
        return sentence(line, _SENTENCES).strip()
    return f"{line.step} {in_fields(line.fields)}".strip()


def in_fields(fields: Mapping[str, Any]) -> str:
    """The fields of a line, name by name."""
    return " ".join(f"{name}={value}" for name, value in fields.items())
