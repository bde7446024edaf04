"""What a customer wrote, out of all that an e-mail's text says.

    plain text, or HTML turned into text -> tidied -> the new part, without what it quotes and its signature -> cut

Guarantee: any text is read in bounded time and memory, and nothing that a customer wrote is lost: `whole` is all of it
wherever `body` is less. Where it is in doubt what is new, all of it is.

HTML is read by lxml, and told line by line by html-text. Quoted history is found by quotequail, from the lines with
which mail programs introduce it in eight languages, from `>` and from copied headers. It compares line by line, and
sees few and short lines only: one line of 16,000 characters can hold it for a minute. A signature is what follows
the line `-- ` (RFC 3676, 4.3). Rules that guess it by "Thanks," or "Best regards" cut off what comes after such words
in the middle of a message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate, takewhile

import html_text
import lxml.html
from lxml import etree
from quotequail import unwrap

from chalicelib.channels.email_headers import cut
from chalicelib.channels.email_notes import Note, Notes

WHOLE_BYTES_MAX = 4_194_304
"""Of all of a text: what a request can bring."""

HTML_LENGTH_MAX = 131_072
"""lxml takes quadratic time for a tag with thousands of attributes: 0.6 s for one of this length."""

_LINES_SEEN_MAX = 400
_SEEN_LENGTH_MAX = 16_384
_LINE_SEEN_LENGTH_MAX = 200
"""The line that introduces a quotation is one of the sender's and a date; two of them are looked at together."""
_UNSEEN = "-"
"""What stands for a longer line."""

_SIGNATURE_LINES_MAX = 15
_SIGNATURE_LENGTH_MAX = 1_000
"""More than that after two dashes is a text with dashes in it."""

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_BREAKS = ("\r\n", "\r", "\u0085", "\u2028", "\u2029")
_UNREAD = ("head", "script", "style", "template", "noscript")
_TOO_DEEP = "excessive depth"


@dataclass(frozen=True, repr=False)
class Text:
    """What a customer wrote."""

    body: str
    """What is new in it."""
    whole: str | None
    """All of it, where that is more."""


def text_of(plain: str, html: str, notes: Notes, *, bytes_max: int) -> Text:
    """What an e-mail says in its plain text, or where it has none in its HTML.

    Args:
        plain: may be empty.
        html: may be empty.
        notes: what could not be read is told there.
        bytes_max: of the new text.
    """
    whole = tidied(plain) or tidied(from_html(html, notes))
    new = new_part(whole)
    body = cut(new, bytes_max)
    if body != new:
        notes.add(Note.TRUNCATED)
    return Text(body, None if body == whole else cut(whole, WHOLE_BYTES_MAX))


def tidied(text: str) -> str:
    """`text` with plain line ends and without control characters and blanks around it."""
    for line_break in _BREAKS:  # a fifth of what one pattern for all of them takes
        text = text.replace(line_break, "\n")
    return _CONTROLS.sub("", text).strip()


def from_html(html: str, notes: Notes) -> str:
    """The text that a page shows, each block on a line of its own; links, pictures and styles left out."""
    if not html.strip():
        return ""
    parser = lxml.html.HTMLParser(
        recover=True, encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True, no_network=True
    )
    seen = _CONTROLS.sub("", html[:HTML_LENGTH_MAX])
    root = etree.fromstring(seen.encode(), parser=parser) if seen.strip() else None
    if len(html) > HTML_LENGTH_MAX or any(_TOO_DEEP in one.message.lower() for one in parser.error_log):
        notes.add(Note.HTML)
    if root is None:
        return ""
    etree.strip_elements(root, *_UNREAD, with_tail=False)
    return html_text.etree_to_text(root)


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
