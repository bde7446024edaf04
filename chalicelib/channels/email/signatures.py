"""The signature at the end of a text.

`-- ` with its blank begins a signature (RFC 3676, 4.3). Without the blank it begins one only if contact details follow,
because customers draw such lines too. If only a greeting stands above, `-- ` needs the same evidence, because the
message may stand below it. A line of underscores begins the footer of a mailing list if the list's addresses follow.

No rule guesses a signature by "Thanks," or "Best regards": such rules cut off text in the middle of a message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from chalicelib.channels.email import marks

_LINES_MAX = 15
_LENGTH_MAX = 1_000
"""More than that after two dashes is a text with dashes in it."""
_LINE_LENGTH_MAX = 90
_FOOTER_LINES_MAX = 8

_CONTACT = re.compile(
    r"[^\s@]{1,64}@[^\s@]{1,255}\.\w|https?://|www\.|\d[\d ()/.-]{6,20}\d"
    r"|(?:\+|\b(?:t|tel|fon|phone|mobil?e?|m)\b).{0,6}\d",
    re.IGNORECASE,
)
_FOOTER_LINE = re.compile(r"_{20,}")
_LIST = re.compile(r"mailing[ -]?list|unsubscribe|/listinfo/|/mailman\d?/", re.IGNORECASE)
"""What the footer of a mailing list says, whatever its language."""


def without_signature(text: str) -> tuple[str, bool]:
    """`text` without its signature and its mail program's own line; and whether that is certain."""
    lines = text.split("\n")
    place = _start(lines)
    is_certain = place is None or lines[place].startswith("-- ")
    kept = lines if place is None else lines[:place]
    while kept and (not kept[-1].strip() or marks.is_advert(kept[-1].strip())):
        kept = kept[:-1]
    if len(kept) == len(lines):
        return text, True
    return "\n".join(kept).rstrip(), is_certain


def is_list_footer(lines: Sequence[str]) -> bool:
    """Whether lines are what a mailing list adds: a line of underscores, and the list's addresses below it."""
    said = [line.strip() for line in lines if line.strip()]
    if not 1 < len(said) <= _FOOTER_LINES_MAX or not _FOOTER_LINE.fullmatch(said[0]):
        return False
    below = [line for line in said[1:] if not _FOOTER_LINE.fullmatch(line)]
    return any(_LIST.search(line) for line in below) and any(_CONTACT.search(line) for line in below)


def _start(lines: Sequence[str]) -> int | None:
    """The line with the dashes; None: there is no signature."""
    for place in range(max(0, len(lines) - _LINES_MAX - 1), len(lines)):
        said = lines[place].rstrip()
        if said == "--" and len("\n".join(lines[place:])) <= _LENGTH_MAX and _is_signature(lines, place):
            return place
        if said[:1] == "_" and is_list_footer([line[:_LENGTH_MAX] for line in lines[place:]]):
            return place
    return None


def _is_signature(lines: Sequence[str], place: int) -> bool:
    """Whether what stands below the dashes at a line is a signature."""
    below = [line.strip() for line in lines[place + 1 :] if line.strip()]
    if marks.is_greeting(lines[:place]):
        words = [line for line in below if not marks.is_client_line(line)]
        return not words or _tells_contact(words)
    return lines[place].startswith("-- ") or not below or _tells_contact(below)


def _tells_contact(below: Sequence[str]) -> bool:
    """Whether short lines tell how to reach somebody, or with what they write, and ask nothing."""
    is_short = all(len(line) <= _LINE_LENGTH_MAX and not line.endswith("?") for line in below)
    return is_short and any(_CONTACT.search(line) or marks.is_client_line(line) for line in below)
