"""Finds the delimiters of a form among megabytes of bytes, at a cost that whoever wrote the bytes cannot drive up.

Guarantee: without a limit every delimiter is found. Under the limit each block of the body is searched or named as
unsearched, and the time is in proportion to the body's length, whatever the bytes are: nobody has verified them yet.

A block is searched in one of two ways:

    by a rare letter  `find` for a byte that stands in each delimiter and hardly anywhere else: there is no hyphen in
                      base64, and no `Y` in most texts. It is some ten times as fast as the other way.
    by all letters    `rfind` for the delimiter. It skips the delimiter's length at a byte that is none of its letters,
                      and one byte at any other. A photo has few of them. Bytes that are nothing else take ten times as
                      long.

The second way counts its looks in advance, from a sample of the block. A forger does not know which bytes are sampled.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from operator import itemgetter
from typing import Final

BLOCK_BYTES: Final = 131_072
"""Of the body that is searched in one way."""

_LOOKS_SHARE = 1 / 2
"""Looks for each byte of the body, under the limit. Under the usual boundary a photo takes 0.43."""
_LOOKS_MIN = 1_000_000
"""Under the limit; they take 0.3 ms. A body of up to 330 KB is searched whole, and so is the start of any other."""
_LOOKS_OF_A_LETTER = 3
"""What a letter costs, as a branch that the processor cannot predict, where a skip costs one."""
_HITS_MAX = 32
"""At one letter of a block; it is then no rare one, and in the next block another letter is tried."""
_SAMPLE_EVERY = 241
_BLOOM_BITS = 64
"""CPython's search tells bytes apart by so many of their last bits."""


@dataclass(frozen=True)
class Delimiters:
    """Where delimiters begin, and which blocks may hold others."""

    places: Sequence[int]
    """In order, without the one at the very beginning."""
    unsearched: Sequence[tuple[int, int]] = ()
    """Blocks, in order, by where they start and end; a delimiter may begin in one."""

    def searched_until(self, start: int, end: int) -> int:
        """Up to where there is certainly no delimiter behind `start`; at most `end`, where the next known one is."""
        number = bisect_right(self.unsearched, start, key=itemgetter(1))
        first = self.unsearched[number][0] if number < len(self.unsearched) else end
        return min(max(start, first), end)


def find_delimiters(
    delimiter: bytes,
    body: bytes,
    *,
    count_max: int,
    sample_start: Callable[[int], int] | None = None,
    searched: Callable[[int], None] | None = None,
) -> Delimiters:
    """The delimiters of a body; of more than `count_max` not all are found.

    Args:
        delimiter: with its carriage return, which stands in it once: so none overlaps another.
        body: a form.
        count_max: beyond which the search ends.
        sample_start: a number below the one given, which nobody can foresee; blocks that would take too long are left
            out then. None: none is.
        searched: is called with the end of each block that was searched, until one is left out.
    """
    search = _Search(delimiter, body, count_max, sample_start)
    places: list[int] = []
    unsearched: list[tuple[int, int]] = []
    start = 0
    while start < len(body) and len(places) <= count_max:
        end = start + ((len(body) - start) % BLOCK_BYTES or BLOCK_BYTES)  # the first block is the shortest
        found = search.block(start, end)
        if found is None:
            unsearched.append((start, end))
        else:
            places += found
        start = end
        if searched is not None and not unsearched:
            searched(end)
    for block in unsearched.copy():  # by now it is known which letter is rare
        found = search.by_rare_letter(*block)
        if found is not None:
            unsearched.remove(block)
            places += found
    return Delimiters(tuple(sorted(places)), tuple(unsearched))


def find_others(delimiter: bytes, body: bytes, found: Delimiters, *, count_max: int) -> Delimiters:
    """All delimiters of a body, where some are found: only the unsearched blocks are searched, without a limit."""
    search = _Search(delimiter, body, count_max, None)
    places = list(found.places)
    for start, end in found.unsearched:
        if len(places) > count_max:
            break
        places += search.block(start, end) or ()
    return Delimiters(tuple(sorted(places)))


class _Search:
    """One search through one body; it remembers which letter was rare, and how many looks are left."""

    def __init__(
        self, delimiter: bytes, body: bytes, count_max: int, sample_start: Callable[[int], int] | None
    ) -> None:
        self._delimiter = delimiter
        self._body = body
        self._count_max = count_max
        self._sample_start = sample_start
        self._looks_left = max(len(body) * _LOOKS_SHARE, _LOOKS_MIN)
        self._offsets = cycle(at for at, letter in enumerate(delimiter) if delimiter.index(letter) == at)
        """Of each letter in the delimiter."""
        self._rare = next(self._offsets)
        bits = {letter % _BLOOM_BITS for letter in delimiter}
        self._letters = bytes(one for one in range(256) if one % _BLOOM_BITS in bits)

    def block(self, start: int, end: int) -> Sequence[int] | None:
        """The delimiters that begin in a block; None: to find them would take too long. The last block is searched."""
        found = self.by_rare_letter(start, end)
        if found is not None:
            return found
        self._rare = next(self._offsets)
        if self._sample_start is not None:
            share = self._letters_share(start + self._sample_start(_SAMPLE_EVERY), end)
            looks = (end - start) * (_LOOKS_OF_A_LETTER * share + (1 - share) / len(self._delimiter))
            if looks > self._looks_left and end < len(self._body):
                return None
            self._looks_left -= looks
        return self._by_all(start, end)

    def by_rare_letter(self, start: int, end: int) -> list[int] | None:
        """The delimiters of a block, by the letter that was rare in the block before; None: in this one it is not."""
        body, delimiter, offset = self._body, self._delimiter, self._rare
        letter = delimiter[offset : offset + 1]
        found: list[int] = []
        place = start + offset
        for _ in range(_HITS_MAX):
            place = body.find(letter, place, end + offset)
            if place < 0:
                return found
            if body.startswith(delimiter, place - offset):
                found.append(place - offset)
            place += 1
        return None

    def _by_all(self, start: int, end: int) -> list[int]:
        """By the whole delimiter, backwards: `rfind` looks at half as many bytes as `find` does in CPython."""
        body, delimiter = self._body, self._delimiter
        found: list[int] = []
        place = end + len(delimiter) - 1
        while len(found) <= self._count_max and (place := body.rfind(delimiter, start, place)) >= 0:
            found.append(place)
        return found[::-1]

    def _letters_share(self, first: int, end: int) -> float:
        """How many bytes of a block the search takes for letters of the delimiter: 1 is all."""
        seen = self._body[first:end:_SAMPLE_EVERY]
        return 1 - len(seen.translate(None, self._letters)) / max(len(seen), 1)
