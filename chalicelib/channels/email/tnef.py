"""`winmail.dat`: the e-mail as Outlook writes it for Outlook (MS-OXTNEF), with its text and its attachments inside.

Guarantee: linear in the content, with bounds on what is unpacked. Unreadable parts are left out. The text is Outlook's
plain text, its HTML, or its rich text, whichever there is.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SIGNATURE: Final = b"\x78\x9f\x3e\x22"

_BODY, _MAPI_PROPERTIES, _ATTACHMENT_STARTS, _ATTACHMENT_DATA, _ATTACHMENT_TITLE, _CODE_PAGE = (
    0x0002800C,
    0x00069003,
    0x00069002,
    0x0006800F,
    0x00018010,
    0x00069007,
)
_PLAIN, _HTML, _RICH_TEXT = 0x1000, 0x1013, 0x1009
_FIXED_SIZES: Final = {
    0x02: 4,
    0x0B: 4,
    0x03: 4,
    0x04: 4,
    0x0A: 4,
    0x05: 8,
    0x06: 8,
    0x07: 8,
    0x14: 8,
    0x40: 8,
    0x48: 16,
}
_TEXT_8_BIT, _TEXT_UNICODE, _OBJECT, _BINARY = 0x1E, 0x1F, 0x0D, 0x102
_SIZED = frozenset({_TEXT_8_BIT, _TEXT_UNICODE, _OBJECT, _BINARY})
_MANY = 0x1000
_NAMED_FROM = 0x8000
_ATTRIBUTES_MAX = 5_000
_PROPERTIES_MAX = 5_000
_VALUES_MAX = 1_000
RICH_TEXT_BYTES_MAX: Final = 524_288
"""Of rich text once it is unpacked; the rest of it is not read."""

_DICTIONARY = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
"""What every compressed rich text may refer to (MS-OXRTFCP, 2.1.2.1)."""
_WINDOW = 4_096
_TOKEN = re.compile(
    rb"\\([a-z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-z'])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.IGNORECASE
)
_UNSEEN = frozenset(
    {b"fonttbl", b"colortbl", b"stylesheet", b"info", b"pict", b"listtable", b"generator", b"themedata"}
)
_BREAKS: Final = {b"par": "\n", b"line": "\n", b"sect": "\n", b"page": "\n", b"tab": "\t", b"cell": " ", b"row": "\n"}
_QUOTES: Final = {b"lquote": "\u2018", b"rquote": "\u2019", b"ldblquote": "\u201c", b"rdblquote": "\u201d"}
_GROUPS_MAX = 200


@dataclass(repr=False)
class Tnef:
    """What there is in a `winmail.dat`."""

    plain: bytes = b""
    code_page: str = "cp1252"
    """Of the plain text and the HTML."""
    html: bytes = b""
    rich_text: str = ""
    attachments: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Names and contents."""


def read_tnef(data: bytes) -> Tnef:
    """The text and the attachments of a `winmail.dat`; nothing of what is none."""
    told = Tnef()
    if not data.startswith(SIGNATURE):
        return told
    name = b""
    for attribute, value in _attributes(data):
        if attribute == _CODE_PAGE and len(value) >= 4:  # noqa: PLR2004 - a number of four bytes
            told.code_page = f"cp{struct.unpack_from('<I', value)[0]}"
        elif attribute == _BODY:
            told.plain = value.rstrip(b"\x00")
        elif attribute == _MAPI_PROPERTIES:
            _read_properties(value, told)
        elif attribute == _ATTACHMENT_STARTS:
            name = b""
        elif attribute == _ATTACHMENT_TITLE:
            name = value.rstrip(b"\x00")
            if told.attachments and not told.attachments[-1][0]:
                told.attachments[-1] = (name, told.attachments[-1][1])
        elif attribute == _ATTACHMENT_DATA:
            told.attachments.append((name, value))
    return told


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each attribute and its value, up to one that is not whole."""
    place = len(SIGNATURE) + 2
    for _ in range(_ATTRIBUTES_MAX):
        if place + 9 > len(data):
            return
        _, attribute, length = struct.unpack_from("<BII", data, place)
        place += 9
        if place + length > len(data):
            return
        yield attribute, data[place : place + length]
        place += length + 2  # a checksum follows


def _read_properties(data: bytes, told: Tnef) -> None:
    for identity, kind, value in _properties(data):
        if identity == _PLAIN and kind == _TEXT_UNICODE:
            told.plain, told.code_page = value.rstrip(b"\x00") + b"\x00" * (len(value.rstrip(b"\x00")) % 2), "utf-16-le"
        elif identity == _PLAIN and kind == _TEXT_8_BIT:
            told.plain = value.rstrip(b"\x00")
        elif identity == _HTML:
            told.html = value.rstrip(b"\x00")
        elif identity == _RICH_TEXT and kind == _BINARY:
            told.rich_text = rtf_text(decompressed(value))


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The id, the type and the first value of each property, up to one that is not whole."""
    try:
        (count,) = struct.unpack_from("<I", data)
        place = 4
        for _ in range(min(count, _PROPERTIES_MAX)):
            kind, identity = struct.unpack_from("<HH", data, place)
            place = _after_name(data, place + 4) if identity >= _NAMED_FROM else place + 4
            values_count = 1
            bare = kind & ~_MANY if kind != _BINARY else kind
            if kind & _MANY or bare in _SIZED:
                (values_count,) = struct.unpack_from("<I", data, place)
                place += 4
            for number in range(min(values_count, _VALUES_MAX)):
                if bare in _SIZED:
                    (length,) = struct.unpack_from("<I", data, place)
                    place += 4
                else:
                    length = _FIXED_SIZES[bare]
                if place + length > len(data):
                    return
                if number == 0:
                    yield identity, bare, data[place : place + length]
                place += length + -length % 4
    except (struct.error, KeyError):  # it ends too soon, or has an unknown type
        return


def _after_name(data: bytes, place: int) -> int:
    """Where a property goes on after its name."""
    (kind,) = struct.unpack_from("<I", data, place + 16)
    (length,) = struct.unpack_from("<I", data, place + 20)
    return place + 24 if kind == 0 else place + 24 + length + -length % 4


def decompressed(data: bytes) -> bytes:
    """Rich text as it was before Outlook compressed it; its beginning where it is damaged or too long."""
    if len(data) < 16:  # noqa: PLR2004 - sizes, kind and checksum
        return b""
    _, length, kind = struct.unpack_from("<III", data)
    length = min(length, RICH_TEXT_BYTES_MAX)
    if kind == 0x414C454D:  # noqa: PLR2004 - `MELA`: it is not compressed
        return data[16 : 16 + length]
    if kind != 0x75465A4C:  # noqa: PLR2004 - `LZFu`
        return b""
    told = bytearray(_DICTIONARY)
    place, end = 16, len(data)
    while place < end and len(told) - len(_DICTIONARY) < length:
        flags = data[place]
        place += 1
        for bit in range(8):
            if not flags >> bit & 1:
                told += data[place : place + 1]
                place += 1
                continue
            if place + 1 >= end:
                return bytes(told[len(_DICTIONARY) :])
            reference = data[place] << 8 | data[place + 1]
            place += 2
            offset, count = reference >> 4, (reference & 0xF) + 2
            written = len(told)
            back = (written - offset) % _WINDOW
            if back == 0 or back > written:
                return bytes(told[len(_DICTIONARY) :][:length])  # the end, or before the beginning
            for _ in range(count):
                told.append(told[-back])
    return bytes(told[len(_DICTIONARY) :][:length])


def rtf_text(rich_text: bytes) -> str:
    """The words of rich text; of HTML within it the words too, for its tags stand in groups of their own."""
    reading = _RichText()
    for token in _TOKEN.finditer(rich_text):
        reading.take(*token.groups())
        if len(reading.groups) > _GROUPS_MAX:
            break
    return reading.text()


class _RichText:
    """One rich text while it is read."""

    def __init__(self) -> None:
        self.groups: list[tuple[bool, bool]] = []
        self._told: list[str] = []
        self._pending = bytearray()
        """In the code page; a character can be of several bytes."""
        self._code_page = "cp1252"
        self._is_unseen = self._is_markup = self._begins = False
        self._skip = 0
        """Characters that stand in for one that was given by its number."""

    def take(
        self,
        word: bytes | None,
        number: bytes | None,
        code: bytes | None,
        symbol: bytes | None,
        brace: bytes | None,
        text: bytes | None,
    ) -> None:
        begins, self._begins = self._begins, brace == b"{"
        if brace == b"{":
            self.groups.append((self._is_unseen, self._is_markup))
        elif brace == b"}":
            self._is_unseen, self._is_markup = self.groups.pop() if self.groups else (False, False)
        elif begins and (symbol == b"*" or word in _UNSEEN):
            self._is_unseen = True
        elif word == b"htmlrtf":
            self._is_markup = number != b"0"
        elif word == b"ansicpg" and number:
            self._code_page = f"cp{int(number)}"
        elif not self._is_unseen and not self._is_markup:
            if word is not None:
                self._take_word(word, number)
            elif code is not None or text is not None:
                self._take_bytes(bytes.fromhex(code.decode()) if code is not None else text or b"")
            elif symbol in {b"\\", b"{", b"}", b"~"}:
                self._take_bytes(b"\xa0" if symbol == b"~" else symbol or b"")

    def text(self) -> str:
        self._flush()
        return "".join(self._told).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _take_word(self, word: bytes, number: bytes | None) -> None:
        self._flush()
        if word == b"u" and number:
            self._told.append(chr(int(number) % 0x10000))
            self._skip = 1
        else:
            self._told.append(_BREAKS.get(word) or _QUOTES.get(word, ""))

    def _take_bytes(self, content: bytes) -> None:
        skipped = min(self._skip, len(content))
        self._skip -= skipped
        self._pending += content[skipped:]

    def _flush(self) -> None:
        try:
            self._told.append(self._pending.decode(self._code_page, "replace"))
        except LookupError:  # a number that is no code page's
            self._told.append(self._pending.decode("cp1252", "replace"))
        self._pending.clear()
