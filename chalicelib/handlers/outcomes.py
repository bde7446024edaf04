"""Logs and counts a failure by who must act on it; the same for every handler."""

from __future__ import annotations

from typing import Unpack

from chalicelib.errors import Code, EngineError, Misconfigured, Rejected
from chalicelib.inbound.outcome import Outcome
from chalicelib.settings.process import trace_header
from chalicelib.telemetry import Fields, Level, Metric, Step, Trail
from chalicelib.telemetry.metrics import MEASURES, PROVEN_FOR_ANOTHER
from chalicelib.telemetry.writer import describe
from chalicelib.wiring import Engine

MARGIN_SECONDS = 5.0
"""How long before its own timeout a worker starts no further work, so that it can still send its triggers again."""


_LOUDNESS = {
    Code.INVALID_SIGNATURE: Level.CRITICAL,
    Code.PARSING_ERROR: Level.WARNING,
    Code.MISSING_REQUIRED_FIELD: Level.WARNING,
}


_REFUSAL_METRICS = {
    Code.INVALID_SIGNATURE: Metric.INVALID_SIGNATURE,
    Code.AUTOMATIC_MESSAGE: Metric.AUTOMATIC_MESSAGE,
    Code.SENDER_NOT_AUTHENTICATED: Metric.UNAUTHENTICATED_EMAIL,
}


def invocation_trail(engine: Engine, **fields: Unpack[Fields]) -> Trail:
    """A trail of an invocation, with its trace."""
    trail = Trail(engine.telemetry, engine.clock, **fields)
    traced = recorded_trace(trace_header())
    if traced is not None:
        trail.bind(xray_trace_id=traced)
    return trail


def recorded_trace(header: str) -> str | None:
    """The id of a trace that X-Ray records; None: it records none, and would find nothing under an id.

    Args:
        header: `Root=1-...;Parent=...;Sampled=1`, in any order; empty where there is no trace.
    """
    if "Sampled=1" not in header:
        return None
    return dict(part.strip().partition("=")[::2] for part in header.split(";")).get("Root")


def report(error: EngineError, trail: Trail, *, is_quiet: bool = False) -> Outcome:
    """Log and count an error by who must act; quietly where nobody must: the request is proven, for another company."""
    if is_quiet:
        trail.fault(Step.REFUSED, error, Level.INFO, outcome=PROVEN_FOR_ANOTHER)
        trail.count(Metric.REFUSED, outcome=PROVEN_FOR_ANOTHER)
        return Outcome(error.code)
    if isinstance(error, Rejected):
        trail.fault(Step.REFUSED, error, _LOUDNESS.get(error.code, Level.INFO))
        metric = _REFUSAL_METRICS.get(error.code, Metric.REFUSED)
    else:
        trail.fault(Step.FAILED, error, Level.ERROR if isinstance(error, Misconfigured) else Level.WARNING)
        is_of_secret = error.code in MEASURES[Metric.SECRET_FAILURE].outcomes
        metric = Metric.SECRET_FAILURE if is_of_secret else Metric.FAULT
    trail.count(metric, outcome=error.code.value)
    return Outcome(error.code)


def as_engine_error(surprise: Exception) -> EngineError:
    """An error that nobody expected, as one of ours: by its type and places, for its words may hold anything."""
    return Misconfigured(Code.INTERNAL_ERROR, describe(surprise)["reason"])
