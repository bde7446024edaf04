"""The headers of an e-mail: read leniently, decoded, and made safe for contexts and for answers.

Guarantee: every value from here is one line of bounded length without control characters, for any input. No value can
begin a header of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header

from chalicelib.channels.email.charsets import decode
from chalicelib.channels.email.notes import Note, Notes

BLOCK_BYTES_MAX = 131_072
"""Of all headers together; some forty relays and signatures come to half of that."""

_VALUE_LENGTH_MAX = 4_096
_HEADERS_MAX = 1_000

_NAME = re.compile(r"[!-9;-~]{1,78}")
_BREAKS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""They would show a name backwards: `exe.pdf` for `fdp.exe`."""


@dataclass(frozen=True, repr=False)
class Headers:
    """The headers in their order, as they were written."""

    items: Sequence[tuple[str, str]]
    """Names in lower case, values unfolded and not decoded."""

    @classmethod
    def parse(cls, block: bytes, notes: Notes) -> Headers:
        """The headers of a block; a line that is none is left out, where the standard library's parser stops there."""
        if len(block) > BLOCK_BYTES_MAX:
            notes.add(Note.HEADERS)
            block = block[:BLOCK_BYTES_MAX].rpartition(b"\n")[0]  # not within a character
        unfolded: list[str] = []
        for line in decode(block, "", Notes()).replace("\r\n", "\n").split("\n"):
            if line[:1] in {" ", "\t"} and unfolded:
                if len(unfolded[-1]) < _VALUE_LENGTH_MAX:  # or a value could be copied as often as it has lines
                    unfolded[-1] += line
            elif line:
                unfolded.append(line)
        items = []
        for line in unfolded[:_HEADERS_MAX]:
            name, colon, value = line.partition(":")
            if colon and _NAME.fullmatch(name.rstrip()):
                items.append((name.rstrip().lower(), value.strip()[:_VALUE_LENGTH_MAX]))
        if len(items) != len(unfolded):
            notes.add(Note.HEADERS)
        return cls(items)

    def get(self, name: str) -> str:
        """The first value of a header; empty: there is none."""
        return next((value for one, value in self.items if one == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for one, value in self.items if one == name]


def spoken(value: str, notes: Notes, *, bytes_max: int) -> str:
    """A header's text for people: its encoded words decoded, one line, cut to a length."""
    try:
        pieces = decode_header(value[:_VALUE_LENGTH_MAX])
    except HeaderParseError:  # an encoded word that is damaged
        notes.add(Note.ENCODING)
        return one_line(value, bytes_max=bytes_max)
    return one_line("".join(_decoded(piece, label, notes) for piece, label in pieces), bytes_max=bytes_max)


def one_line(text: str, *, bytes_max: int) -> str:
    """`text` on one line without control characters and turns of direction, cut to a length."""
    told = text[: bytes_max * 2]
    told = "".join(" " if unicodedata.category(one) in _BREAKS else one for one in _BIDI.sub("", told))
    return cut(" ".join(told.split()), bytes_max)


def cut(text: str, bytes_max: int) -> str:
    """As much of `text` as `bytes_max` bytes of UTF-8 hold, up to a whole character."""
    if len(text) * 4 <= bytes_max:
        return text
    return text[:bytes_max].encode("utf-8", "replace")[:bytes_max].decode(errors="ignore")


def _decoded(piece: str | bytes, label: str | None, notes: Notes) -> str:
    if isinstance(piece, str):
        return piece
    if label is not None:
        return decode(piece, label, notes)
    try:
        return piece.decode("raw-unicode-escape")  # how the library tells what stood between encoded words
    except UnicodeDecodeError:
        return piece.decode("latin-1")
