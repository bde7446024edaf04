"""How often the AI answered in a conversation lately: the bound that stops two machines from answering each other.

A machine that says of itself that it is one is refused by its channel. One that says nothing is answered like a
person, and answers in turn; beyond the bound its messages go to people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from chalicelib.clock import from_iso
from chalicelib.messages.replies import Source

PERIOD: Final = timedelta(hours=1)


def is_reached(entries: Iterable[Mapping[str, Any]], *, answers_max: int, now: datetime) -> bool:
    """Whether the AI has given as many answers within the last hour as a conversation may have.

    Args:
        entries: of the record, the company's own among them; what has no time of ours is not counted.
        answers_max: answers of one hour; the parts of one reply are one answer.
        now: the current instant.
    """
    return len({_answer(entry) for entry in entries if _is_recent_answer(entry, now)}) >= answers_max


def _is_recent_answer(entry: Mapping[str, Any], now: datetime) -> bool:
    if entry.get("direction") != "OUTBOUND" or entry.get("source") != Source.AI.value:
        return False
    try:
        return from_iso(str(entry.get("timestamp", ""))) > now - PERIOD
    except ValueError:  # the company's own spelling
        return False


def _answer(entry: Mapping[str, Any]) -> str:
    """What the parts of one reply have in common; a reply to no batch is one by itself."""
    return str(entry.get("batch_id") or entry.get("send_id"))
