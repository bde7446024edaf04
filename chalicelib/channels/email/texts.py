"""The customer's own text in an e-mail.

    plain text, or HTML turned into text -> tidied -> the new part, without what it quotes and its signature -> cut

Guarantee: a text is read in time and memory proportional to its length, and no words of the customer are lost. If
`body` is shorter, `whole` has the full text, with the HTML itself if that was not read to its end.

If an e-mail offers the same as plain text and as HTML, the plain text is read. The HTML is read if only the HTML marks
its quotations, or if the plain text merely says that it cannot show the HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.channels.email.earlier import Earlier
from chalicelib.channels.email.headers import cut
from chalicelib.channels.email.html import HTML_LENGTH_MAX, Page, from_html
from chalicelib.channels.email.notes import Note, Notes
from chalicelib.channels.email.quotations import new_text
from chalicelib.channels.email.relations import Relation

_STAND_IN_LENGTH_MAX: Final = 600
"""Of a plain text that only stands in for the HTML beside it."""
_STAND_IN_WORDS = re.compile(
    r"html|mime|multi-?part|browser|webmail|mail[- ]?(?:client|programm?|reader)", re.IGNORECASE
)
_WORD = re.compile(r"\w+")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_BREAKS = ("\r\n", "\r", "\u0085", "\u2028", "\u2029")
_ENCRYPTED_MARK = "-----BEGIN PGP MESSAGE-----"


@dataclass(frozen=True, repr=False)
class Shown:
    """One text of an e-mail, in either of the ways to write it or in both."""

    plain: str = ""
    html: str = ""
    is_forwarded: bool = False
    """It is another e-mail's, which came as an attachment: all of it is new."""
    is_fallback: bool = False
    """It is read only where the e-mail says nothing else."""


@dataclass(frozen=True, repr=False)
class Text:
    """What a customer wrote."""

    body: str
    """What is new in it."""
    whole: str | None
    """All of it, where that is more."""


def text_of(
    shown: Sequence[Shown],
    notes: Notes,
    *,
    bytes_max: int,
    relation: Relation = Relation.UNKNOWN,
    earlier: Earlier | None = None,
) -> Text:
    """What the texts of an e-mail say one after the other.

    Args:
        shown: in their order; none need say anything.
        notes: what could not be read is told there.
        bytes_max: of the new text.
        relation: of the e-mail to the one before it.
        earlier: what was said before in the conversation; None: unknown.
    """
    written: list[str] = []
    forwarded: list[str] = []
    kept: list[str] = []
    room = HTML_LENGTH_MAX
    for one in _spoken(shown):
        plain, page = tidied(one.plain), from_html(one.html, notes, length_max=room)
        room = max(0, room - len(one.html))
        said = _chosen(plain, page)
        (forwarded if one.is_forwarded else written).append(said)
        if not page.is_whole:
            kept += [plain, tidied(one.html)]
        elif said != plain or not _says_all_of(plain, page.text):
            kept += [plain, tidied(page.text)]
        else:
            kept.append(said)
    all_of_it = _joined(kept)
    if _ENCRYPTED_MARK in all_of_it:
        notes.add(Note.ENCRYPTED)
    new = new_text(_joined(written), relation=relation, earlier=earlier)
    if not new.is_certain:
        notes.add(Note.UNCERTAIN_CUT)
    told = _joined([new.text, *forwarded])
    body = cut(told, bytes_max)
    if body != told:
        notes.add(Note.TRUNCATED)
    return Text(body, None if body == all_of_it else all_of_it)


def _spoken(shown: Sequence[Shown]) -> Sequence[Shown]:
    """The texts without those that are only read where nothing else is said."""
    said = [one for one in shown if not one.is_fallback]
    return said if any(one.plain.strip() or one.html.strip() for one in said if not one.is_forwarded) else shown


def _chosen(plain: str, page: Page) -> str:
    """What is read of a plain text and the HTML beside it."""
    if not plain or not page.text:
        return plain or tidied(page.text)
    if page.has_quotes and page.is_whole and not _marks_quotes(plain) and _says_all_of(page.text, plain):
        return tidied(page.text)
    is_stand_in = len(plain) <= _STAND_IN_LENGTH_MAX and _STAND_IN_WORDS.search(plain)
    if is_stand_in and not _says_half_of(page.text, plain):
        return tidied(page.text)
    return plain


def _marks_quotes(plain: str) -> bool:
    return plain.startswith(">") or "\n>" in plain or "\n >" in plain


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, texts))


def _says_all_of(plain: str, text: str) -> bool:
    """Whether a plain text has all words of another in their order; one that is huge is not searched for them."""
    if len(plain) > HTML_LENGTH_MAX:
        return not text
    words = (one[0] for one in _WORD.finditer(plain))
    return all(one[0] in words for one in _WORD.finditer(text))  # each search goes on where the one before it ended


def _says_half_of(text: str, plain: str) -> bool:
    """Whether half of a short text's words are in another."""
    words, others = set(_WORD.findall(plain.lower())), set(_WORD.findall(text.lower()))
    return 2 * len(words & others) >= len(words)


def tidied(text: str) -> str:
    """`text` with plain line ends and without control characters and blanks around it."""
    for line_break in _BREAKS:  # a fifth of what one pattern for all of them takes
        text = text.replace(line_break, "\n")
    return _CONTROLS.sub("", text).strip()
