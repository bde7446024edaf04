"""Addresses of an e-mail's headers, read by rules of our own that are the same on every version of Python.

    Ann <ann@customer.example>                   the address in the angle brackets, whatever the name before it holds
    Ann <ann@home.example> <ann@work.example>    the last of them
    ann@customer.example (Ann)                   a bare address, where there are no brackets
    Ann <a@x.example>, Bob <b@y.example>         several, parted by commas or semicolons outside quotes and brackets

Guarantee: linear time and no exception for any header. Addresses are read from the raw headers, and names are decoded
afterwards. An encoded name can contain an address and a comma; decoded first, it would pass for another sender.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Final

VALUE_LENGTH_MAX: Final = 4_096
_ADDRESS_BYTES_MAX = 320
"""64 of the mailbox, 255 of the domain, and the `@`; an index key of DynamoDB could be 1,024."""

_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\"]{1,64}@[^\s@<>()\[\],;:\\\"/?#%&=]{1,255}")
_QUOTED_MAILBOX = re.compile(r"\"([^\"\\]{1,64})\"(@.+)", re.DOTALL)
_QUOTED = re.compile(r"\"(?:[^\"\\]++|\\.)*+(?:\"|\\?(?P<open>\Z))", re.DOTALL)
"""A quote that is not closed is matched to the end, as those within it are not closed either."""
_COMMENT = re.compile(r"\([^()\\]*\)")
_COMMENTS_DEPTH_MAX = 3
_PIECES_MAX = 8
"""Of a name that separators part; each is looked at again with the next one."""
_BRACKETED = re.compile(r"<([^<>]*)>")
_SEPARATOR = re.compile("[,;]")
_LIKELY = re.compile(r"[^\s,;]@[^\s,;]")
_WORD = re.compile(r"[^\s:]+")


def address(text: str) -> str | None:
    """`text` as an e-mail address in lower case; None: it is none that a mail program would write."""
    told = unicodedata.normalize("NFC", text.strip().strip("<>")).lower()
    is_whole = _ADDRESS.fullmatch(told) and len(told.encode("utf-8", "replace")) <= _ADDRESS_BYTES_MAX
    return told if is_whole and _is_visible(told) else None


def _is_visible(text: str) -> bool:
    """Whether a text without white space has no control character, and none that is not seen."""
    return text.isprintable() if text.isascii() else all(unicodedata.category(one)[0] not in "CZ" for one in text)


def mailboxes(value: str) -> list[tuple[str, str]]:
    """Name and address of each mailbox of a header, the name not decoded; what is no address is left out."""
    return list(_mailboxes(value))


def first_mailbox(value: str) -> tuple[str, str] | None:
    """The first of a header's `mailboxes`, without reading the others; None: it has none."""
    return next(_mailboxes(value), None)


def _mailboxes(value: str) -> Iterator[tuple[str, str]]:
    value = value[:VALUE_LENGTH_MAX]
    if "@" not in value:
        return
    masked = _masked(value)
    whole = (one for one in _BRACKETED.finditer(masked) if _mailbox(value[one.start(1) : one.end(1)]))
    brackets = list(islice(whole, 2))
    if len(brackets) == 1:
        yield _named(value, 0, len(value), brackets[0])
    else:
        yield from _several(value, masked)


def _several(value: str, masked: str) -> Iterator[tuple[str, str]]:
    """The mailboxes of a header that names none in brackets, or several."""
    start, pieces, piece_start = 0, 0, 0
    for end in (*_separators(masked), len(value)):
        # What a piece without an address adds to those before it is none either.
        is_likely, piece_start = _LIKELY.search(value, piece_start, end) is not None, end
        found = _BRACKETED.finditer(masked, start, end) if is_likely else ()
        brackets = [one for one in found if _mailbox(value[one.start(1) : one.end(1)])]
        if brackets:
            yield _named(value, start, end, brackets[-1])
        elif is_likely and (bare := _bare(value, masked, start, end)) is not None:
            yield bare
        elif pieces < _PIECES_MAX:
            pieces += 1
            continue  # `Doe` of `Doe, Ann <ann@customer.example>` belongs to the name that follows
        start, pieces = end + 1, 0


def _named(value: str, start: int, end: int, bracket: re.Match[str]) -> tuple[str, str]:
    told = _mailbox(value[bracket.start(1) : bracket.end(1)])
    assert told is not None, "only brackets around an address are asked for"
    name = value[start : bracket.start()].strip(" \t,;<") or value[bracket.end() : end].strip(" \t,;>")
    is_quoted = len(name) > 1 and name[0] == name[-1] == '"' and name.count('"') - name.count('\\"') == 2  # noqa: PLR2004
    if is_quoted:
        return re.sub(r"\\(.)", r"\1", name[1:-1]), told
    return (name[1:-1] if name[:1] == "(" and name[-1:] == ")" else name), told


def _bare(value: str, masked: str, start: int, end: int) -> tuple[str, str] | None:
    """The one word of a stretch that is an address, with the rest as its name; None: there is none, or several."""
    words = [(one.start(), one.end()) for one in _WORD.finditer(masked, start, end)]
    found = [
        (first, last, told)
        for first, last in words
        if value.find("@", first + 1, last) > 0 and (told := _mailbox(value[first:last])) is not None
    ]
    if len(found) != 1:
        quoted = _mailbox(value[start:end]) if '"@' in value[start:end] else None
        return None if quoted is None else ("", quoted)
    first, last, told = found[0]
    return f"{value[start:first]} {value[last:end]}".strip(" \t\r\n\"'():"), told


def _mailbox(text: str) -> str | None:
    """An address, whose mailbox may stand in quotes that it need not have: `"ann..smith."@mail.example`."""
    quoted = _QUOTED_MAILBOX.fullmatch(text.strip())
    return address(f"{quoted[1]}{quoted[2]}" if quoted is not None else text)


def _separators(masked: str) -> list[int]:
    """Where a header's mailboxes are parted."""
    flat = _BRACKETED.sub(lambda one: " " * len(one[0]), masked)
    return [one.start() for one in _SEPARATOR.finditer(flat)]


def _masked(value: str) -> str:
    """`value` with its quoted texts and its comments blanked out, character by character."""
    masked = _QUOTED.sub(lambda found: found[0] if found["open"] is not None else _blank(found), value)
    for _ in range(_COMMENTS_DEPTH_MAX):
        masked = _COMMENT.sub(_blank, masked)
    return masked


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])
