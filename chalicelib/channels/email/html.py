"""The HTML of an e-mail as text, with its quotations marked as plain text marks them.

Guarantee: a page is read in time and memory proportional to its length. A line that a mail program marks as quoted, by
a `blockquote` or by Yahoo's, GMX's or Zimbra's own element, gets `>` before it. Outlook only draws a line above a
quotation; it becomes a line of dashes. Links, pictures and styles are left out.

lxml reports each tag as it is parsed, and no tree is built, so depth costs nothing. Only five attributes are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from lxml import etree

from chalicelib.channels.email.introductions import introduction
from chalicelib.channels.email.marks import COLONS
from chalicelib.channels.email.notes import Note, Notes

HTML_LENGTH_MAX: Final = 524_288
"""Of all pages of an e-mail together; the slowest that we know of takes half a second."""
RULE: Final = "-----"
"""What a line across the page becomes."""

_QUOTE_DEPTH_MAX = 8
_ATTRIBUTE_LENGTH_MAX = 400
_LOOKS_MAX = 100
"""At lines that may introduce a quotation."""

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_BLANKS = re.compile("[ \t\n\r\f\xa0\u2007\u202f]+")
_UNREAD = frozenset({"head", "script", "style", "template", "noscript", "title"})
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre"})
_BLOCKS = _PARAGRAPHS | frozenset(
    {"html", "body", "div", "tr", "li", "dt", "dd", "center", "section", "article", "header", "footer", "main", "aside"}
    | {"nav", "address", "form", "fieldset", "figure", "figcaption", "caption", "thead", "tbody", "tfoot"}
)
_CELLS = frozenset({"td", "th"})
_SEEN = _UNREAD | _BLOCKS | _CELLS | {"br", "hr", "span"}
"""All others stand within a line, and mean nothing here."""

_QUOTING = frozenset({"blockquote", "div"})
_DRAWING = frozenset({"div", "span"})
_QUOTED_CLASSES = frozenset(
    [
        "yahoo_quoted",
        "yahoo-quoted",
        "protonmail_quote",
        "tutanota_quote",
        "zmail_extra",
        "hs_reply",
        "moz-email-quote",
        "mailquote",
        "mail_quote",
        "quoted-text",
        "gmail_default_quote",
    ]
)
_GMAILS = frozenset({"gmail_quote", "gmail_quote_container"})
_QUOTED_NAMES = frozenset({"quote", "messagereplysection"})
"""Of GMX and WEB.DE, and of Spark."""
_INDENT = re.compile(
    r"border(?:-left)?\s{0,3}:\s{0,3}(?:none|0)|margin\s{0,3}:\s{0,3}0(?:px)?\s+0(?:px)?\s+0(?:px)?\s+40px"
)
"""How Gmail and Outlook write a paragraph that is merely indented."""
_BAR = re.compile(r"border-left\s{0,3}:[^;]{0,60}solid")
"""What Outlook makes of the bar at the left of a quotation, beside `border:none`."""
_OUTLOOKS_LINE = re.compile(r"border-top\s{0,3}:\s{0,3}solid\s+#(?:e1e1e1|b5c4df|c8c8c8)", re.IGNORECASE)
_LINE_IDS = ("divrplyfwdmsg", "appendonsend", "olk_src_body_section", "stopspelling", "zwchr", "isforwardcontent")


@dataclass(frozen=True, repr=False)
class Page:
    """What HTML says."""

    text: str
    is_whole: bool
    """Whether it was read to its end."""
    has_quotes: bool = False
    """Whether a part of it is marked as quoted."""


def from_html(html: str, notes: Notes, *, length_max: int = HTML_LENGTH_MAX) -> Page:
    """The text that a page shows, each block on a line of its own, quotations with `>` before each line."""
    seen = _CONTROLS.sub("", html[:length_max])
    is_whole = not html[length_max:].strip()
    if not is_whole:
        notes.add(Note.HTML)
    if not seen.strip():
        return Page("", is_whole)
    told = _Text()
    parser = etree.HTMLParser(target=told, recover=True, encoding="utf-8", huge_tree=True, no_network=True)
    text = etree.fromstring(seen.encode(), parser=parser)
    return Page(str(text).strip(), is_whole, told.has_quotes)


class _Open(NamedTuple):
    """What an open tag means."""

    is_unread: bool
    is_block: bool
    """It stands on lines of its own."""
    has_gap: bool
    """Empty lines part it from what is around it."""
    is_quoted: bool
    draws_line: bool
    is_preformatted: bool
    is_state: bool
    """It changes how all that stands within it is read."""
    holds_quotation: bool = False
    """Gmail's element around an introduction and its quotation."""
    may_be_chosen: bool = False
    """It is what Gmail's button for a quotation makes too: one that the customer chose, and wrote perhaps."""


class _Text:
    """Writes the text line by line while lxml reads the tags."""

    def __init__(self) -> None:
        self.has_quotes = False
        self._lines: list[str] = []
        self._line: list[str] = []
        self._has_line = False
        """Whether the line that is being written stands on the page, if only as an empty one."""
        self._open: list[_Open | None] = []
        """The open tags; None: one that means nothing here."""
        self._unread = self._quoted = self._preformatted = self._held = 0
        self._looks_left = _LOOKS_MAX

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag not in _SEEN:
            self._open.append(None)
            return
        told = _ALONE.get(tag) if not attributes else None
        if told is None:
            told = _opened(tag, attributes)
        if told.may_be_chosen and not self._held and self._looks_left:
            self._looks_left -= 1
            told = told if self._is_introduced() else _ALONE["div"]
        if not self._unread:
            self._begin(tag, told)
        self._open.append(told)
        if told.is_state:
            self._unread += told.is_unread
            self._quoted += told.is_quoted
            self._preformatted += told.is_preformatted
            self._held += told.holds_quotation
            self.has_quotes |= told.is_quoted

    def end(self, tag: str) -> None:  # noqa: ARG002 - it ends what was opened last
        told = self._open.pop()
        if told is None:
            return
        if not self._unread and told.is_block:
            if self._line or self._has_line:
                self._end_line()
            if told.has_gap:
                self._gap()
        if told.is_state:
            self._unread -= told.is_unread
            self._quoted -= told.is_quoted
            self._preformatted -= told.is_preformatted
            self._held -= told.holds_quotation

    def data(self, text: str) -> None:
        if self._unread:
            return
        if self._preformatted:
            first, *others = text.split("\n")
            self._line.append(first)
            for other in others:
                self._has_line = True
                self._end_line()
                self._line.append(other)
            return
        if text.isspace():
            self._has_line |= "\xa0" in text
            text = " "
        self._line.append(text)

    def close(self) -> str:
        if self._line or self._has_line:
            self._end_line()
        return "\n".join(self._lines)

    def _begin(self, tag: str, told: _Open) -> None:
        if tag == "br":
            self._has_line = True
        elif tag in _CELLS:
            self._line.append(" ")
            return
        if (self._line or self._has_line) and (told.is_block or told.draws_line or tag == "br"):
            self._end_line()
        if told.draws_line:
            self._put(RULE)
        if told.has_gap:
            self._gap()

    def _is_introduced(self) -> bool:
        """Whether the last line that says something can introduce a quotation."""
        line = _BLANKS.sub(" ", "".join(self._line)).strip()
        said = line or next((one for one in self._lines[-2:][::-1] if one), "")
        return said.endswith(COLONS) or introduction(said).is_soft

    def _end_line(self) -> None:
        text = "".join(self._line)
        self._line.clear()
        text = text.rstrip() if self._preformatted else _BLANKS.sub(" ", text).strip()
        if text == "--":
            text = "-- "  # the line above a signature; HTML keeps no blank at a line's end
        if text or self._has_line:
            self._put(text)
        self._has_line = False

    def _put(self, text: str) -> None:
        if not text:
            self._gap()
            return
        if self._quoted:
            text = f"{'>' * min(self._quoted, _QUOTE_DEPTH_MAX)} {text}"
        self._lines.append(text)

    def _gap(self) -> None:
        """One empty line, never two."""
        if self._lines and self._lines[-1]:
            self._lines.append("")


def _opened(tag: str, attributes: Mapping[str, str]) -> _Open:
    """What a tag means, with its attributes."""
    is_quoted = tag in _QUOTING and _is_quoted(tag, attributes)
    is_unread, is_preformatted = tag in _UNREAD, tag == "pre"
    is_gmails = not _GMAILS.isdisjoint(attributes.get("class", "")[:_ATTRIBUTE_LENGTH_MAX].split())
    holds_quotation = is_gmails and tag == "div"
    return _Open(
        is_unread=is_unread,
        is_block=tag in _BLOCKS,
        has_gap=is_quoted or (tag in _PARAGRAPHS and "MsoNormal" not in attributes.get("class", "")),
        is_quoted=is_quoted,
        draws_line=tag == "hr" or (tag in _DRAWING and _draws_line(attributes)),
        is_preformatted=is_preformatted,
        is_state=is_unread or is_quoted or is_preformatted or holds_quotation,
        holds_quotation=holds_quotation,
        may_be_chosen=is_gmails and tag == "blockquote",
    )


def _is_quoted(tag: str, attributes: Mapping[str, str]) -> bool:
    """Whether an element is what some mail program puts around a quotation."""
    if tag == "blockquote":
        is_cited = attributes.get("type", "").lower() == "cite" or "quote" in attributes.get("class", "").lower()
        style = attributes.get("style", "")[:_ATTRIBUTE_LENGTH_MAX].lower()
        return is_cited or not _INDENT.search(style) or bool(_BAR.search(style))
    if tag != "div":
        return False
    classes = attributes.get("class", "")[:_ATTRIBUTE_LENGTH_MAX].lower().split()
    return (
        not _QUOTED_CLASSES.isdisjoint(classes)
        or any(one.endswith("yahoo_quoted") for one in classes)
        or attributes.get("name", "").lower() in _QUOTED_NAMES
        or attributes.get("data-marker", "").upper() == "__QUOTED_TEXT__"  # Zimbra
    )


def _draws_line(attributes: Mapping[str, str]) -> bool:
    """Whether an element begins what Outlook and others quote, without marking where it ends."""
    name = attributes.get("id", "")[:_ATTRIBUTE_LENGTH_MAX].lower()
    if name and name.rpartition("x_")[2] in _LINE_IDS:
        return True
    return bool(_OUTLOOKS_LINE.search(attributes.get("style", "")[:_ATTRIBUTE_LENGTH_MAX]))


_ALONE: Final = {tag: _opened(tag, {}) for tag in _SEEN}
"""What each tag means without attributes."""
