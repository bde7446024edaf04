"""Log lines and metrics: what use cases report. `writer.py` writes them out."""

from __future__ import annotations

from chalicelib.telemetry.metrics import Metric
from chalicelib.telemetry.steps import Fields, Level, Step
from chalicelib.telemetry.trail import Telemetry, Trail

__all__ = ["Fields", "Level", "Metric", "Step", "Telemetry", "Trail"]
