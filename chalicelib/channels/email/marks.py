"""What single lines of an e-mail's text are: quoted, a divider, a closing, a mail program's own; pure.

Each function looks at a bounded part of a line, so whatever asks it once for each line takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from chalicelib.channels.email import languages

LINE_LENGTH_MAX: Final = 500
"""Of a line that can be a mail program's own; longer ones are somebody's words."""

_SEEN_LINES = 30
"""At either end of a text, where words point to something else."""

_QUOTE_MARKS = re.compile(r"(?:[ \t]{0,3}>){1,50}")
_INITIALS = re.compile(r"[A-Za-z]{1,12}>(?=\s|$)")
"""How some old programs quote: `Richard> Hello`."""


def _words(alternatives: str) -> str:
    """A pattern for any of a table's words, each as a whole; those of scripts without blanks anywhere."""
    return "|".join(
        rf"(?<!\w){one}(?!\w)" if one[0].isascii() or one[0].islower() else one for one in alternatives.split("|")
    )


_POINTERS = re.compile(_words(languages.POINTERS), re.IGNORECASE)
_ORIGINALS, _FORWARDS = (
    re.compile(rf"(?:{phrases})(?=$|[\s:\uff1a.,(])", re.IGNORECASE)
    for phrases in (languages.ORIGINALS, languages.FORWARDS)
)
_REPLY_ABOVE = re.compile(languages.REPLY_ABOVE, re.IGNORECASE)
_CLOSINGS = re.compile(rf"(?:{languages.CLOSINGS})(?!\w)[\s,.!;:-]{{0,5}}", re.IGNORECASE)
_SENT_WITH = re.compile(_words(languages.SENT_WITH), re.IGNORECASE)
_CLIENTS = re.compile(rf"(?:{languages.CLIENTS})", re.IGNORECASE)
_ADVERTS = re.compile(
    r"outlook\W{1,3}\w{1,6} (?:ios|android)|aka\.ms/|go\.microsoft\.com/fwlink|yahoo mail|proton ?mail|mail for windows"
    r"|k-9 mail|gmx mail|web\.de mail|mail\.ru|tutanota",
    re.IGNORECASE,
)
COLONS: Final = (":", "\uff1a")
"""The usual one, and the wide one of Chinese and Japanese."""
_DASHES = "-_=*~#\u2014\u2013\u2500\u2e3b+<>|"
_PLAIN_DASHES = frozenset("-_=*~\u2014\u2013\u2500\u2e3b \t")


def quote_depth(line: str) -> tuple[int, str]:
    """How often a line is quoted, and what it says without its marks."""
    if (marks := _QUOTE_MARKS.match(line)) is None:
        marks = _INITIALS.match(line)
        return (0, line.strip()) if marks is None else (1, line[marks.end() :].strip())
    return marks[0].count(">"), line[marks.end() :].strip()


def is_divider(said: str) -> bool:
    """Whether a line is drawn: nothing but dashes and the like."""
    return len(said) > 2 and _PLAIN_DASHES.issuperset(said[:LINE_LENGTH_MAX])  # noqa: PLR2004 - `--` is a signature's


def is_framed(said: str) -> bool:
    """Whether a line says something between dashes: a divider in whatever language."""
    return len(said) <= LINE_LENGTH_MAX and said.startswith("---") and said.endswith("---")


def _between_dashes(said: str) -> str:
    return said.strip(f"{_DASHES} \t")


def is_original_marker(said: str) -> bool:
    """Whether a line says between dashes that the message that is answered follows."""
    if said[:1] not in _DASHES or len(said) > LINE_LENGTH_MAX:
        return False
    bare = _between_dashes(said)
    return len(said) - len(bare) > 2 and bool(_ORIGINALS.match(bare))  # noqa: PLR2004


def is_forward_marker(said: str) -> bool:
    """Whether a line says that the message that is forwarded follows."""
    is_framed = said[:1] in _DASHES
    if len(said) > LINE_LENGTH_MAX or not (is_framed or said.endswith(COLONS)):
        return False
    bare = _between_dashes(said)
    found = _FORWARDS.match(bare)
    if found is None:
        return False
    return (is_framed and len(said) - len(bare) > 2) or bare[found.end() :].strip() in COLONS  # noqa: PLR2004


def is_reply_above(said: str) -> bool:
    """Whether a help desk asks in a line of its own to be answered above it."""
    return (
        len(said) <= LINE_LENGTH_MAX
        and said[:1] in _DASHES
        and said[-1:] in _DASHES
        and bool(_REPLY_ABOVE.search(said))
    )


def points_below(lines: Sequence[str]) -> bool:
    """Whether words of the customer point to what stands below them."""
    return any(_POINTERS.search(line[:LINE_LENGTH_MAX]) for line in (*lines[:_SEEN_LINES], *lines[-_SEEN_LINES:]))


def is_closing(lines: Sequence[str]) -> bool:
    """Whether lines only end a message: a greeting with a name, a signature, a mail program's own line."""
    said = [line for line in lines if line.strip()]
    if not said or len(said) > 6:  # noqa: PLR2004 - a greeting, a name and how to reach it
        return False
    first = said[0].strip()
    if first == "--":
        return True
    if is_client_line(first):
        return all(is_client_line(line.strip()) for line in said)
    found = _CLOSINGS.match(first)
    return found is not None and len(first) <= 60 and all(len(one) <= 80 and "?" not in one for one in said)  # noqa: PLR2004


def is_signature_alone(lines: Sequence[str]) -> bool:
    """Whether nothing is said but what a mail program adds, or what stands below the line of a signature."""
    said = [line.strip() for line in lines if line.strip()]
    return bool(said) and (said[0] == "--" or all(is_client_line(one) for one in said))


def is_client_line(said: str) -> bool:
    """Whether a mail program or a device adds such a line: `Sent from my iPhone`."""
    return len(said) <= 120 and bool(_CLIENTS.search(said)) and bool(_SENT_WITH.search(said))  # noqa: PLR2004


def is_advert(said: str) -> bool:
    """Whether such a line advertises a mail program, which no customer means to say."""
    return is_client_line(said) and bool(_ADVERTS.search(said))
