"""The kind of one line of an e-mail's text: quoted, a divider, a closing, a mail program's own; pure.

Each function reads a bounded part of a line, so a caller that asks it once for each line takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from chalicelib.channels.email import languages

LINE_LENGTH_MAX: Final = 500
"""Of a line that can be a mail program's own; longer ones are somebody's words."""

_ENDING_LINES_MAX = 6
"""A greeting, a name, and how to reach it."""
_CLOSING_LENGTH_MAX = 60
_ENDING_LENGTH_MAX = 80
_GREETING_WORDS_MAX = 3
"""Behind the greeting: the name of its reader."""
_CLIENT_LENGTH_MAX = 120
"""A program's name and a link."""
_SEEN_LINES = 30
"""At either end of a text, where words point to something else."""

_QUOTE_MARKS = re.compile(r"(?:[ \t]{0,3}>){1,50}")
_ANSWER_MARK = re.compile(r"(?:#{2,3}|[-=]{1,3}>)[ \t]{0,3}\w")
_INITIALS = re.compile(r"[A-Za-z]{1,12}>(?=\s|$)")
"""How some old programs quote: `Richard> Hello`."""


_POINTERS, _SENT_WITH, _CLIENTS, _REPLY_ABOVE, _ORIGINALS, _FORWARDS, _CLOSINGS, _GREETINGS = (
    tuple(table.split("|"))
    for table in (
        languages.POINTERS,
        languages.SENT_WITH,
        languages.CLIENTS,
        languages.REPLY_ABOVE,
        languages.ORIGINALS,
        languages.FORWARDS,
        languages.CLOSINGS,
        languages.GREETINGS,
    )
)
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


def has_word(said: str, words: Sequence[str]) -> bool:
    """Whether one of some words stands in a text, in lower case, as a word of its own.

    In scripts without capitals, which may have no blanks either, it may stand anywhere. One pattern of all words would
    take 50 times as long.
    """
    for word in words:
        start = said.find(word)
        if start >= 0:
            before, after = said[max(0, start - 1) : start], said[start + len(word) : start + len(word) + 1]
            if not word[0].islower() or not (before.isalpha() or after.isalpha()):
                return True
    return False


def _begins_with(said: str, phrases: tuple[str, ...]) -> str | None:
    """What follows the phrase that a text begins with; None: it begins with none of them."""
    lower = said.lower()
    if not lower.startswith(phrases):
        return None
    longest = max((phrase for phrase in phrases if lower.startswith(phrase)), key=len)
    rest = said[len(longest) :]
    return None if rest[:1].isalpha() and longest[-1].islower() else rest


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
    return len(said) - len(bare) > 2 and _begins_with(bare, _ORIGINALS) is not None  # noqa: PLR2004


def is_forward_marker(said: str) -> bool:
    """Whether a line says that the message that is forwarded follows."""
    is_framed = said[:1] in _DASHES
    if len(said) > LINE_LENGTH_MAX or not (is_framed or said.endswith(COLONS)):
        return False
    bare = _between_dashes(said)
    rest = _begins_with(bare, _FORWARDS)
    return rest is not None and ((is_framed and len(said) - len(bare) > 2) or rest.strip() in COLONS)  # noqa: PLR2004


def is_reply_above(said: str) -> bool:
    """Whether a help desk asks in a line of its own to be answered above it."""
    return (
        len(said) <= LINE_LENGTH_MAX
        and said[:1] in _DASHES
        and said[-1:] in _DASHES
        and any(phrase in said.lower() for phrase in _REPLY_ABOVE)
    )


def points_below(lines: Sequence[str]) -> bool:
    """Whether words of the customer point to what stands below them."""
    seen = (*lines[:_SEEN_LINES], *lines[-_SEEN_LINES:])
    return any(has_word(line[:LINE_LENGTH_MAX].lower(), _POINTERS) for line in seen)


def is_closing(lines: Sequence[str]) -> bool:
    """Whether lines only end a message: a greeting with a name, a signature, a mail program's own line."""
    said = [line for line in lines if line.strip()]
    if not said or len(said) > _ENDING_LINES_MAX:
        return False
    first = said[0].strip()
    if first == "--":
        return True
    if is_client_line(first):
        return all(is_client_line(line.strip()) for line in said)
    is_short = len(first) <= _CLOSING_LENGTH_MAX and all(
        len(one) <= _ENDING_LENGTH_MAX and "?" not in one for one in said
    )
    return is_short and _begins_with(first, _CLOSINGS) is not None


def is_greeting(lines: Sequence[str]) -> bool:
    """Whether lines only greet: `Hello Ann,`."""
    said = [line.strip() for line in lines if line.strip()]
    if len(said) != 1 or len(said[0]) > _CLOSING_LENGTH_MAX or "?" in said[0]:
        return False
    name = _begins_with(said[0], _GREETINGS)
    return name is not None and len(name.split()) <= _GREETING_WORDS_MAX


def is_answer_mark(said: str) -> bool:
    """Whether a line begins as people begin an answer within a text: `--> Blue.`, `## Blue.`."""
    return bool(_ANSWER_MARK.match(said))


def is_signature_alone(lines: Sequence[str]) -> bool:
    """Whether nothing is said but what a mail program adds, or what stands below the line of a signature."""
    said = [line.strip() for line in lines if line.strip()]
    return bool(said) and (said[0] == "--" or all(is_client_line(one) for one in said))


def is_client_line(said: str) -> bool:
    """Whether a mail program or a device adds such a line: `Sent from my iPhone`."""
    if len(said) > _CLIENT_LENGTH_MAX:
        return False
    lower = said.lower()
    return any(name in lower for name in _CLIENTS) and has_word(lower, _SENT_WITH)


def is_advert(said: str) -> bool:
    """Whether such a line advertises a mail program, which no customer means to say."""
    return is_client_line(said) and bool(_ADVERTS.search(said))
