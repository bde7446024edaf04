"""Splits a text that is longer than one message of a provider may be; pure.

A part ends after a paragraph if possible, else after a sentence, else after a word. It ends inside a word only if the
word alone is longer than a message. Joined with a space or a line break, the parts are the whole text.
"""

from __future__ import annotations

import re

from chalicelib.messages.lengths import Counting

_PAUSES = (re.compile(r"\n\s*"), re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*"), re.compile(r"\s+"))  # noqa: RUF001

_SHORTEST = 0.5
"""A pause is taken only if the part before it fills this share of a message; else the next kind of pause is tried."""


def split(text: str, length_max: int, counting: Counting = Counting.UTF_16) -> list[str]:
    """`text` as parts of at most `length_max` units, in order; a text that fits is one part, as it is."""
    parts: list[str] = []
    rest = text
    while counting.units(rest) > length_max:
        end, start = _pause(rest, length_max, counting)
        parts.append(rest[:end])
        rest = rest[start:]
    return [*parts, rest] if rest or not parts else parts


def _pause(text: str, length_max: int, counting: Counting) -> tuple[int, int]:
    """Where a part of at most `length_max` units ends, and where the next one starts."""
    end = counting.longest_start(text, length_max)
    for kind in _PAUSES:
        starts = [one.start() for one in kind.finditer(text, 0, end + 1) if one.start() <= end]
        whole = kind.match(text, starts[-1]) if starts else None  # a pause may reach beyond what was searched
        if whole and whole.start() >= end * _SHORTEST and counting.units(text[: whole.start()]) <= length_max:
            return whole.start(), whole.end()
    return end, end
