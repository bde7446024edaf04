"""What was said before in a conversation, and where a text repeats it; pure.

A text below an introduction that repeats our own last messages is history, in any language and from any mail program.
Lines are compared by runs of words, so line breaks, quote marks, blanks and punctuation do not matter.

Guarantee: time and memory are proportional to the compared texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

TEXTS_MAX: Final = 20
TEXTS_LENGTH_MAX: Final = 65_536
"""Of all texts together, the newest first."""

_RUN = 5
"""Words that two texts have in common by no accident."""
_TEXT_WORDS_MIN = 3
"""A text of fewer words is anybody's."""
_REPEATED_PERCENT = 70
"""Of a line's words; a program that rewrites links changes some."""
_ENDING_LINES = 3
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, repr=False)
class Repeated:
    """Which lines of a text repeat what was said before."""

    lines: Sequence[bool]
    """By runs of words, or as the whole of a short text."""
    edges: Sequence[bool]
    """As a greeting or an ending: a line that is too short to tell by itself whose it is."""


class Earlier:
    """The last messages of a conversation."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._runs: dict[int, set[tuple[str, ...]]] = {}
        """Runs of words by how many words they have; fewer than usual where a whole text has fewer."""
        self._edges: set[tuple[str, ...]] = set()
        room = TEXTS_LENGTH_MAX
        for text in islice(texts, TEXTS_MAX):
            self._add(text[:room])
            room -= min(room, len(text))

    def _add(self, text: str) -> None:
        words = _words(text)
        if len(words) < _TEXT_WORDS_MIN:
            return
        size = min(_RUN, len(words))
        self._runs.setdefault(size, set()).update(tuple(run) for run in _runs(words, size))
        lines = [line for line in text.split("\n") if line.strip()]
        self._edges.update(tuple(_words(line)) for line in (lines[0], *lines[-_ENDING_LINES:]) if "?" not in line)

    def repeated(self, lines: Sequence[str]) -> Repeated:
        """Which lines repeat what was said before; those without words do not."""
        if not self._runs:
            nothing = [False] * len(lines)
            return Repeated(nothing, nothing)
        by_line = [_words(line) for line in lines]
        words = [word for line in by_line for word in line]
        is_repeated = bytearray(len(words))
        for size, runs in self._runs.items():
            for start, run in enumerate(_runs(words, size)):
                if tuple(run) in runs:
                    is_repeated[start : start + size] = b"\x01" * size
        told, end = [], 0
        for line in by_line:
            start, end = end, end + len(line)
            told.append(bool(line) and 100 * sum(is_repeated[start:end]) >= _REPEATED_PERCENT * len(line))
        return Repeated(told, [bool(line) and tuple(line) in self._edges for line in by_line])


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _runs(words: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (words[start : start + size] for start in range(len(words) - size + 1))
