"""Schedules: the two sweeps. Each item is repaired on its own; one that fails waits for the next sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from chalicelib.clock import Deadline
from chalicelib.errors import EngineError
from chalicelib.handlers.outcomes import MARGIN_SECONDS, as_engine_error, invocation_trail, report
from chalicelib.telemetry import Level, Step, Trail
from chalicelib.wiring import Engine

Found = TypeVar("Found")


def reset_stalled_locks(context: Any, engine: Engine) -> None:
    """Open every stalled lock and trigger what was staged meanwhile; look after records that wait for the sweep."""
    deadline, trail = _sweep(context, engine)
    sweeping, tables, queues = engine.sweeping, engine.tables, engine.queues
    stalled, watched = sweeping.stalled_locks(tables, deadline), sweeping.watched(tables, deadline)
    _each(engine, stalled, lambda lock, own: sweeping.reset(tables, queues, lock, own), trail)
    _each(engine, watched, lambda key, own: sweeping.look_after(tables, queues, key, own), trail)


def recover_orphaned_messages(context: Any, engine: Engine) -> None:
    """Trigger every orphaned message."""
    deadline, trail = _sweep(context, engine)
    orphans, tables, queues = engine.orphans, engine.tables, engine.queues
    _each(engine, orphans.find(tables, deadline), lambda one, own: orphans.recover(tables, queues, one, own), trail)


def _sweep(context: Any, engine: Engine) -> tuple[Deadline, Trail]:
    seconds = context.get_remaining_time_in_millis() / 1_000 - MARGIN_SECONDS
    trail = invocation_trail(engine, request_id=context.aws_request_id)
    return Deadline.after(engine.clock, seconds), trail


def _each(engine: Engine, found: Iterable[Found], repair: Callable[[Found, Trail], None], trail: Trail) -> None:
    """Repair each thing, several at once; one that fails is told, and left to the next sweep.

    Raises:
        EngineError: what to repair could not be found out.
    """

    def repaired(one: Found) -> None:
        own = trail.with_fields()
        try:
            repair(one, own)
        except EngineError as error:
            report(error, own)
        except Exception as surprise:
            report(as_engine_error(surprise), own)

    count = engine.executor.each(found, repaired)
    trail.log(Step.SWEPT, Level.DEBUG, count=count)
