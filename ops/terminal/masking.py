"""Masking: nothing that a person wrote, and no address of one, is ever shown; pure.

Ids, codes and instants stay readable. An address keeps as much of itself as tells two of them apart on a screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib.telemetry import private
from local.visible import visible_line

_HEAD, _TAIL = 3, 3
_LONG = 7
"""Characters of an address that is no part of anything else."""
_WORD = r"(?<![\w+@-]){}(?![\w@-])"


def address(value: str) -> str:
    """An address with its middle left out: `+49…678`, `a…@example.com`."""
    value = visible_line(value)
    local, at, domain = value.rpartition("@")
    if at:
        return f"{local[:1]}…@{domain}"
    return f"{value[:_HEAD]}…{value[-_TAIL:]}" if len(value) > _HEAD + _TAIL else "…"


def text(value: str, known: Iterable[str] = ()) -> str:
    """A line with every address in it masked: those that look like one, and those that are known to be.

    A known address is masked wherever it stands. One of a few characters is masked as a word of its own only: a short
    code such as `12345` is part of many ids and instants.
    """
    words = sorted({one for one in known if one}, key=len, reverse=True)
    if words:
        patterns = (re.escape(one) if len(one) >= _LONG else _WORD.format(re.escape(one)) for one in words)
        value = re.sub("|".join(patterns), lambda match: address(match[0]), value)
    return visible_line(private.replaced(value, address))


def content(value: object) -> str:
    """A customer's or person's text as output shows it: its length only."""
    count = len(value) if isinstance(value, str) else 0
    return f"{count} character{'' if count == 1 else 's'}"


def addresses_of(entries: Iterable[object]) -> frozenset[str]:
    """The addresses that entries of a record name."""
    found: set[str] = set()
    for entry in entries:
        metadata: Any = entry.get("metadata") if isinstance(entry, Mapping) else None
        if isinstance(metadata, Mapping):
            found |= {one for one in (metadata.get("sender"), metadata.get("recipient")) if isinstance(one, str)}
    return frozenset(found)
