"""What a customer wrote, out of all that an e-mail's text says.

    plain text, or HTML turned into text -> tidied -> the new part, without what it quotes and its signature -> cut

Guarantee: a text is read in time and memory proportional to its length, and nothing that a customer wrote is lost:
`whole` is all of it wherever `body` is less, with the HTML itself where that was not read to its end. Where it is in
doubt what is new, all of it is.

HTML is read by lxml, without its attributes, and told line by line by html-text: lxml takes quadratic time for a tag
with thousands of them, and a picture within one can be longer than all of the words. Quoted history is found by
quotequail, from the lines with which mail programs introduce it in eight languages, from `>` and from copied headers.
It compares line by line, and sees few and short lines only: one line of 16,000 characters can hold it for a minute. A
signature is what follows the line `-- ` (RFC 3676, 4.3). Rules that guess it by "Thanks," or "Best regards" cut off
what comes after such words in the middle of a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

import html_text
from lxml import etree
from quotequail import unwrap

from chalicelib.channels.email.headers import cut
from chalicelib.channels.email.notes import Note, Notes

HTML_LENGTH_MAX = 524_288
"""Of all pages of an e-mail together; the slowest that we know of takes half a second."""
_DEPTH_MAX = 200
"""html-text takes three seconds for 512 KB of tags that are each within the one before."""

_LINES_SEEN_MAX = 400
_SEEN_LENGTH_MAX = 16_384
_LINE_SEEN_LENGTH_MAX = 200
"""The line that introduces a quotation is one of the sender's and a date; two of them are looked at together."""
_UNSEEN = "-"
"""What stands for a longer line."""

_SIGNATURE_LINES_MAX = 15
_SIGNATURE_LENGTH_MAX = 1_000
"""More than that after two dashes is a text with dashes in it."""

_WORD = re.compile(r"\w+")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_BREAKS = ("\r\n", "\r", "\u0085", "\u2028", "\u2029")
_UNREAD = ("head", "script", "style", "template", "noscript")


@dataclass(frozen=True, repr=False)
class Shown:
    """One text of an e-mail, in either of the ways to write it or in both."""

    plain: str = ""
    html: str = ""


@dataclass(frozen=True, repr=False)
class Text:
    """What a customer wrote."""

    body: str
    """What is new in it."""
    whole: str | None
    """All of it, where that is more."""


@dataclass(frozen=True, repr=False)
class Page:
    """What HTML says."""

    text: str
    is_whole: bool
    """Whether it was read to its end."""


def text_of(shown: Sequence[Shown], notes: Notes, *, bytes_max: int) -> Text:
    """What the texts of an e-mail say one after the other: each in its plain text, or where it has none in its HTML.

    Args:
        shown: in their order; none need say anything.
        notes: what could not be read is told there.
        bytes_max: of the new text.
    """
    told, kept = [], []
    room = HTML_LENGTH_MAX
    for one in shown:
        plain, page = tidied(one.plain), from_html(one.html, notes, length_max=room)
        room = max(0, room - len(one.html))
        told.append(plain or tidied(page.text))
        if not page.is_whole:
            kept += [plain, tidied(one.html)]
        elif plain and not _says_all_of(plain, page.text):
            kept += [plain, tidied(page.text)]
        else:
            kept.append(told[-1])
    all_of_it = _joined(kept)
    new = new_part(_joined(told))
    body = cut(new, bytes_max)
    if body != new:
        notes.add(Note.TRUNCATED)
    return Text(body, None if body == all_of_it else all_of_it)


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, texts))


def _says_all_of(plain: str, text: str) -> bool:
    """Whether a plain text has all words of another in their order; one that is huge is not searched for them."""
    if len(plain) > HTML_LENGTH_MAX:
        return not text
    words = (one[0] for one in _WORD.finditer(plain))
    return all(one[0] in words for one in _WORD.finditer(text))  # each search goes on where the one before it ended


def tidied(text: str) -> str:
    """`text` with plain line ends and without control characters and blanks around it."""
    for line_break in _BREAKS:  # a fifth of what one pattern for all of them takes
        text = text.replace(line_break, "\n")
    return _CONTROLS.sub("", text).strip()


def from_html(html: str, notes: Notes, *, length_max: int = HTML_LENGTH_MAX) -> Page:
    """The text that a page shows, each block on a line of its own; links, pictures and styles left out."""
    seen = _CONTROLS.sub("", html[:length_max])
    is_whole = not html[length_max:].strip()
    if not is_whole:
        notes.add(Note.HTML)
    if not seen.strip():
        return Page("", is_whole)
    parser = etree.HTMLParser(target=_Bare(), recover=True, encoding="utf-8", huge_tree=True, no_network=True)
    root = etree.fromstring(seen.encode(), parser=parser)
    etree.strip_elements(root, *_UNREAD, with_tail=False)
    return Page(html_text.etree_to_text(root), is_whole)


class _Bare:
    """Makes a tree of elements and text alone, under one root of its own, for a broken page may have several.

    What is nested too deeply stands beside what is around it; but for what is not read, which stays within its tag.
    """

    def __init__(self) -> None:
        self._tree = etree.TreeBuilder()
        self._tree.start("div", {})
        self._is_made: list[bool] = []
        """Of each open tag, whether the tree has it."""

    def start(self, tag: str, _: object) -> None:
        self._is_made.append(len(self._is_made) < _DEPTH_MAX or tag in _UNREAD)
        if self._is_made[-1]:
            self._tree.start(_name(tag), {})
        else:
            self._tree.data("\n")  # between two words there may be nothing else

    def end(self, tag: str) -> None:
        if self._is_made.pop():
            self._tree.end(_name(tag))
        else:
            self._tree.data("\n")

    def data(self, text: str) -> None:
        self._tree.data(text)

    def close(self) -> etree._Element:
        self._tree.end("div")
        return self._tree.close()


def _name(tag: str) -> str:
    """A tag of HTML as it is; others, such as Outlook's `o:p`, mean nothing here, and XML cannot have all of them."""
    return tag if tag.isalnum() else "span"


def new_part(text: str) -> str:
    """What is new in a tidied text: without the history that it quotes and its signature; all of it where in doubt."""
    new = _without_signature(_without_history(text))
    return new or text


def _without_history(text: str) -> str:
    lines = text.split("\n")
    seen = _seen(lines)
    told = unwrap("\n".join(seen))
    if told is None or not _is_history(told):
        return text
    above, below = _line_count(told.get("text_top")), _line_count(told.get("text_bottom"))
    end = max((number for number, line in enumerate(seen, start=1) if line.strip()), default=0)
    answer = lines[end - below :] if below else []
    if any(line.startswith(">") for line in answer):
        return text  # an answer below each of several quotations: they say what it answers
    return "\n".join([*lines[:above], *answer]).strip()


def _is_history(told: dict[str, str]) -> bool:
    """Whether what quotequail found is another e-mail, and no itinerary: "From: Berlin, To: Munich"."""
    return told["type"] in {"reply", "quote"} or {"from", "subject"} <= told.keys()


def _seen(lines: list[str]) -> list[str]:
    """The first lines as they are looked at: few, and long ones by a word of ours."""
    short = [line if len(line) <= _LINE_SEEN_LENGTH_MAX else _UNSEEN for line in lines[:_LINES_SEEN_MAX]]
    lengths = takewhile(lambda length: length <= _SEEN_LENGTH_MAX, accumulate(len(line) + 1 for line in short))
    return short[: len(list(lengths))]


def _line_count(text: str | None) -> int:
    return text.count("\n") + 1 if text else 0


def _without_signature(text: str) -> str:
    lines = text.split("\n")
    for place in range(max(0, len(lines) - _SIGNATURE_LINES_MAX - 1), len(lines)):
        if lines[place].rstrip() == "--" and len("\n".join(lines[place:])) <= _SIGNATURE_LENGTH_MAX:
            return "\n".join(lines[:place]).strip()
    return text
