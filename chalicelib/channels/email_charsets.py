"""Bytes of an e-mail as text, whatever they are said to be written in.

Guarantee: any bytes and any label give a text, in time proportional to its length and without a lone surrogate. Labels
are names of character sets only: Python knows codecs beside them that unpack, compute or escape, and a sender could
name those.
"""

from __future__ import annotations

import codecs
import re

from chalicelib.channels.email_notes import Note, Notes

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:-]{0,39}")
_CHARACTER_SETS = re.compile(
    r"ascii|utf-8|utf-16(-[bl]e)?|utf-32(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[rtu]|mac-[a-z]+|tis-620|hz"
    r"|shift_jis(_2004|x0213)?|euc_(jp|jis_2004|jisx0213|kr)|iso2022_(jp(_[123]|_2004|_ext)?|kr)"
    r"|gb2312|gbk|gb18030|big5|big5hkscs|johab|kz1048|ptcp154|hp-roman8"
)
"""As Python calls them; not UTF-7, punycode, IDNA, escapes, and what is no character set."""

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


def decode(content: bytes, label: str, notes: Notes) -> str:
    """`content` as text; with a note where it is not what the label says, or nobody says what it is."""
    told = _codec(label)
    sound = [told] if told else []
    for codec in (*sound, "utf-8"):
        try:
            text = content.decode(codec)
        except UnicodeError:
            continue
        if codec != told and not content.isascii():
            notes.add(Note.CHARSET)
        return text.removeprefix("\ufeff")
    notes.add(Note.CHARSET)
    return content.decode(told or "cp1252", errors="replace")


def _codec(label: str) -> str | None:
    """What Python calls the character set that a label means; None: it is none."""
    name = label.strip().strip("\"'").lower()
    for spelling in (name, name.removeprefix("x-"), name.replace("windows-", "cp"), name.removesuffix("-i")):
        if not _LABEL.fullmatch(spelling):
            continue
        try:
            found = codecs.lookup(spelling).name
        except LookupError:
            continue
        return _READ_AS.get(found, found) if _CHARACTER_SETS.fullmatch(found) else None
    return None
