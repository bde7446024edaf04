"""What the log of a stage says of a load: cold starts, durations and memory of each function, and the time to reply.

Lambda writes a REPORT line after each invocation. The engine writes the time to reply as the metric ReceiptToReply, for
the whole stage: a line names no company.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil

from chalicelib.telemetry import Metric
from ops.stage.logs import LogEvent

_REPORT = re.compile(
    r"REPORT RequestId: (?P<request>\S+)\s+Duration: (?P<duration>[\d.]+) ms\s+Billed Duration: [\d.]+ ms\s+"
    r"Memory Size: (?P<size>\d+) MB\s+Max Memory Used: (?P<memory>\d+) MB(?:\s+Init Duration: (?P<init>[\d.]+) ms)?"
    r"(?P<rest>.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Report:
    """One invocation, as Lambda reported it."""

    request: str
    milliseconds: float
    memory_megabytes: int
    size_megabytes: int
    init_milliseconds: float | None
    """How long the cold start took; None: it was none."""
    timed_out: bool

    @classmethod
    def of(cls, text: str) -> Report | None:
        """What a line says; None: it is no report."""
        found = _REPORT.match(text.strip())
        if found is None:
            return None
        init = found["init"]
        return cls(
            found["request"],
            float(found["duration"]),
            int(found["memory"]),
            int(found["size"]),
            None if init is None else float(init),
            "Status: timeout" in found["rest"],
        )


@dataclass
class FunctionFigures:
    """What one function did."""

    reports: list[Report] = field(default_factory=list)

    @property
    def cold(self) -> list[float]:
        return [one.init_milliseconds for one in self.reports if one.init_milliseconds is not None]

    def document(self, throttles: int) -> dict[str, float | int | None]:
        """The figures, as JSON."""
        took = [one.milliseconds for one in self.reports]
        return {
            "invocations": len(self.reports),
            "cold_starts": len(self.cold),
            "init_ms_max": max(self.cold, default=None),
            "duration_ms_p50": percentile(took, 50),
            "duration_ms_p95": percentile(took, 95),
            "duration_ms_max": max(took, default=None),
            "memory_mb_max": max((one.memory_megabytes for one in self.reports), default=None),
            "memory_mb_size": max((one.size_megabytes for one in self.reports), default=None),
            "timeouts": sum(one.timed_out for one in self.reports),
            "throttles": throttles,
        }


@dataclass
class Figures:
    """What the log says of a span of time."""

    functions: dict[str, FunctionFigures] = field(default_factory=lambda: defaultdict(FunctionFigures))
    seconds_to_reply: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[LogEvent]) -> Figures:
        """Read the lines."""
        figures = cls()
        for event in events:
            report = Report.of(event.text)
            if report is not None:
                figures.functions[event.function].reports.append(report)
            else:
                figures.seconds_to_reply += _seconds_to_reply(event.text)
        return figures


def _seconds_to_reply(text: str) -> list[float]:
    if Metric.RECEIPT_TO_REPLY not in text:
        return []
    try:
        document = json.loads(text)
    except ValueError:
        return []
    told = document.get(Metric.RECEIPT_TO_REPLY) if isinstance(document, dict) and "_aws" in document else None
    return [float(one) for one in told] if isinstance(told, list) else []


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that so many percent of the values do not exceed; None: there are no values."""
    if not values:
        return None
    return sorted(values)[max(ceil(len(values) * percent / 100) - 1, 0)]
