"""The recent answers of the AI. They reveal two machines that answer each other.

A channel refuses a machine that declares itself one. A machine that does not is answered like a person, and answers in
turn. An answer counts for an hour, even after its entry was moved off the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from chalicelib.clock import from_iso
from chalicelib.protocol.record import Record

PERIOD: Final = timedelta(hours=1)

_AI: Final = "ai"
"""The `source` of an entry that the AI wrote."""


def recent_answers(record: Record, *, now: datetime) -> dict[str, str]:
    """When the AI answered within the last hour, by the answer's id; the parts of one reply are one answer.

    The company's own entries, and those without a readable time, are none.
    """
    answers = {**record.moved_answers, **dict(_answers(record.entries or ()))}
    return {one: instant for one, instant in answers.items() if _is_recent(instant, now)}


def _answers(entries: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for entry in entries:
        if isinstance(entry, Mapping) and (entry.get("direction"), entry.get("source")) == ("OUTBOUND", _AI):
            yield str(entry.get("batch_id") or entry.get("send_id")), str(entry.get("timestamp"))


def _is_recent(instant: str, now: datetime) -> bool:
    try:
        return from_iso(str(instant)) > now - PERIOD
    except ValueError:  # the company's own spelling
        return False
