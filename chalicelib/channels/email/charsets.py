"""Decodes the bytes of an e-mail as text, under any declared character set.

Guarantee: any bytes under any label give a text without a lone surrogate, in time proportional to their length, and no
label is cached. Labels name character sets only. Python has other codecs that unpack, compute or escape; a sender
cannot choose those.
"""

from __future__ import annotations

import codecs
import re
from encodings import normalize_encoding
from encodings.aliases import aliases

from chalicelib.channels.email.notes import Note, Notes

_SURROGATES = re.compile("[\ud800-\udfff]")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:-]{0,39}")
_CHARACTER_SETS = re.compile(
    r"ascii|utf-7|utf-8|utf-16(-[bl]e)?|utf-32(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[rtu]|mac-[a-z]+|tis-620|hz"
    r"|shift_jis(_2004|x0213)?|euc_(jp|jis_2004|jisx0213|kr)|iso2022_(jp(_[123]|_2004|_ext)?|kr)"
    r"|gb2312|gbk|gb18030|big5|big5hkscs|johab|kz1048|ptcp154|hp-roman8"
)
"""As Python calls them; not punycode, IDNA, escapes, and what is no character set."""

_UNALIASED = ("cp1006", "cp65001", "cp720", "cp737", "cp856", "cp874", "cp875", "koi8_t", "koi8_u")
_UNALIASED_OF_APPLE = ("mac_arabic", "mac_croatian", "mac_farsi", "mac_romanian")
_MODULES = {**{name: name for name in (*aliases.values(), *_UNALIASED, *_UNALIASED_OF_APPLE)}, **aliases}
"""Every spelling that is looked up: Python remembers each that it was asked for, and looks on the disk for new ones."""

_READ_AS = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "ascii": "utf-8",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "tis-620": "cp874",
}
"""What mail programs mean by a name: the larger set that they write under it, as browsers read it too."""


_SPELLINGS = {
    "windows-31j": "cp932",
    "gb_2312-80": "gb2312",
    "x-x-big5": "big5",
    "koi8-ru": "koi8-u",
    "iso-8859-8-e": "iso-8859-8",
    "iso-2022-jp-ms": "iso-2022-jp-ext",
    "utf8mb4": "utf-8",
    "utf-8mb4": "utf-8",
    "utf-8-sig": "utf-8",
    "ucs-2": "utf-16",
    "ansi": "cp1252",
}
"""Names that mail programs write and Python does not know."""
_FAMILIES = ("windows-", "win-", "dos-", "ibm-", "cp-")
"""Of the code pages that Python calls `cp`."""

_ONE_BYTE = re.compile(r"iso8859-\d+|cp(?!932|949|950|65001)\d+|koi8-[rtu]|mac-[a-z]+|hp-roman8|tis-620")
"""Sets of one byte for each character: what is UTF-8 throughout, beyond ASCII, is never meant as one of these."""

_BEYOND_ASCII = bytes(range(128, 256))
_CHARACTER = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{1,3}")


def decode(content: bytes, label: str, notes: Notes) -> str:
    """`content` as text; with a note where it is not what the label says, or nobody says what it is."""
    told = _codec(label)
    is_doubtful = told is not None and _ONE_BYTE.fullmatch(told) and not content.isascii()
    for codec in ("utf-8", told) if is_doubtful else (told, "utf-8"):
        text = None if codec is None else _read(content, codec, errors="strict")
        if text is None:
            continue
        if codec != told and (told is not None or not content.isascii()):
            notes.add(Note.CHARSET)
        return text.removeprefix("\ufeff")
    notes.add(Note.CHARSET)
    if told in {None, "utf-8"} and not _is_mostly_utf8(content):
        return content.decode("cp1252", errors="replace")
    text = _read(content, told or "utf-8", errors="replace")
    return content.decode("cp1252", errors="replace") if text is None else text


def _is_mostly_utf8(content: bytes) -> bool:
    """Whether most of the bytes beyond ASCII are characters of UTF-8: then a few of them are damaged."""
    beyond = len(content) - len(content.translate(None, _BEYOND_ASCII))
    return 2 * sum(len(one) for one in _CHARACTER.findall(content)) > beyond


def _read(content: bytes, codec: str, *, errors: str) -> str | None:
    """`content` as a codec has it; None: it cannot be read by that."""
    try:
        text = content.decode(codec, errors)
        return _SURROGATES.sub("\ufffd", text) if codec == "utf-7" else text  # the only one that makes halves
    except (UnicodeError, RuntimeError):  # iso2022_jp_2 raises the latter at an escape into a set that nobody chose
        return None


def _codec(label: str) -> str | None:
    """What Python calls the character set that a label means; None: it is none."""
    name = label.strip().lower().removeprefix("charset=").strip("\"'; ")
    name = _SPELLINGS.get(name, name)
    pages = (f"cp{name.removeprefix(family)}" for family in _FAMILIES if name.startswith(family))
    for spelling in (name, name.removeprefix("x-"), *pages, name.removesuffix("-i")):
        if not _LABEL.fullmatch(spelling):
            continue
        module = _MODULES.get(normalize_encoding(spelling))
        if module is None:
            continue
        try:
            found = codecs.lookup(module).name
        except LookupError:  # of Windows alone
            return None
        return _READ_AS.get(found, found) if _CHARACTER_SETS.fullmatch(found) else None
    return None
