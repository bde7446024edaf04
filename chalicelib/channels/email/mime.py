"""Reads a MIME message into headers, texts and attachments.

Guarantee: any bytes give an e-mail, in time and memory proportional to their length. Parts are counted, and so are
lines that look like the start of one. Content nested deeper than e-mails are becomes one attachment. Only texts that
are alternatives of one another are taken for the same, so a footer beside the customer's words hides none.

Text inside containers is read within the same bounds: a forwarded e-mail, an opaque signature, Outlook's `winmail.dat`.

The standard library's parser compares each line with every boundary around it and makes an object for each part: 1.5 MB
of short lines within 200 nested parts take it 18 s, 4 MB of small parts 5 s and 160 MB. This module does not split a
text into lines: a part is a slice between two boundaries. The standard library reads the parameters of a header and
undoes a transfer encoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message
from itertools import islice

from chalicelib.channels.email.attachments import Attachments
from chalicelib.channels.email.charsets import decode
from chalicelib.channels.email.encodings import decoded
from chalicelib.channels.email.file_types import GENERIC_TYPES
from chalicelib.channels.email.flowed import unflowed
from chalicelib.channels.email.headers import BLOCK_BYTES_MAX, Headers, spoken
from chalicelib.channels.email.notes import Note, Notes
from chalicelib.channels.email.smime import Sealed, signed_content
from chalicelib.channels.email.texts import Shown
from chalicelib.channels.email.tnef import RICH_TEXT_BYTES_MAX, SIGNATURE, read_tnef, rtf_text
from chalicelib.ports.buckets import UNKNOWN_TYPE

_PARTS_MAX = 1_000
_MARKS_MAX = 100_000
"""Places that look like the start of a boundary, wanted or not, in all of an e-mail: each level looks for its own."""
_DEPTH_MAX = 8
"""Mail programs nest four: signed, mixed, related, alternative."""
_BOUNDARY_LENGTH_MAX = 200
_PARAMETERS_LENGTH_MAX = 1_024
_PARAMETERS_MAX = 32
_NAME_BYTES_MAX = 1_024
_BLANK_LINE = re.compile(rb"\r?\n\r?\n|\A\r?\n")
_HEADER_LINES = re.compile(rb"(?:From [^\n]*\n)?(?:(?:[!-9;-~]{1,78}[ \t]{0,8}:|[ \t])[^\n]*(?:\n|\Z))*")
_KNOWN_HEADER = re.compile(
    rb"^(?:from|to|cc|subject|date|sender|reply-to|message-id|in-reply-to|references|received|return-path|mime-version"
    rb"|content-[a-z-]{1,30}|dkim-signature|auto-submitted|precedence|list-[a-z-]{1,20}|x-[a-z0-9-]{1,60})[ \t]?:",
    re.IGNORECASE | re.MULTILINE,
)
_BENT_BYTES_MAX = 4_096
"""How far behind a line that is no header another one is looked for."""
_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_BODIES = frozenset({"text/plain", "text/html"})
_TAGGED = frozenset({"text/enriched", "text/richtext", "text/x-amp-html"})
_RICH = frozenset({"text/rtf", "text/x-rtf"})
_FILES = frozenset(
    {"text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/csv", "text/xml", "text/css"}
)
"""Texts that are no words of anybody."""
_MESSAGES = frozenset({"message/rfc822", "message/global"})
_SEALED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_TOLD_OF_FORWARDED = ("from", "date", "subject")


@dataclass(repr=False)
class _Reading:
    """One e-mail while it is read."""

    attachments: Attachments
    notes: Notes
    shown: list[Shown] = field(default_factory=list)
    parts_count: int = 0
    marks_count: int = 0
    is_forwarded: bool = False
    """What is read stands in an e-mail that came as an attachment: its files are within that one's."""

    def read(self, headers: Headers, body: bytes, depth: int) -> None:
        """Take one part, and those within it."""
        kind = _parameters(headers.get("content-type") or "text/plain", "Content-Type")
        content_type = kind.get_content_type()
        if content_type.startswith("multipart/"):
            if content_type == "multipart/encrypted":
                self.notes.add(Note.ENCRYPTED)
            boundary = self._parameter(kind, "boundary")
            if depth >= _DEPTH_MAX:
                self.notes.add(Note.PARTS)
                self._attach(body, content_type, "")
                return
            if 0 < len(boundary) <= _BOUNDARY_LENGTH_MAX:
                before = len(self.shown)
                self._read_parts(boundary, body, depth)
                if content_type == "multipart/alternative":
                    self.shown[before:] = [*_as_one(self.shown[before:])]
                return
            self.notes.add(Note.PARTS)  # nobody can say where its parts are: it is told as the text that it is
        content = decoded(headers.get("content-transfer-encoding"), body, self.notes)
        disposition = _parameters(headers.get("content-disposition") or "inline", "Content-Disposition")
        name = self._parameter(disposition, "filename", of="content-disposition") or self._parameter(kind, "name")
        is_attached = disposition.get_content_disposition() == "attachment"
        is_main = depth == 0 or not (name or is_attached) or not (is_attached or self._has_words)
        if is_main and (content_type in _BODIES or content_type.startswith("multipart/")):
            self._show(content, kind, is_html=content_type == "text/html")
            return
        is_written = content_type.startswith("text/") or content_type == "message/partial"
        if is_main and is_written and content_type not in _FILES:
            self._show_fallback(content, kind)
        self.take_file(content, content_type, spoken(name, self.notes, bytes_max=_NAME_BYTES_MAX), depth)

    def take_file(self, content: bytes, content_type: str, name: str, depth: int) -> None:
        """Take one file, and the text that it holds where it is an e-mail of its own."""
        bare = content_type.partition(";")[0].strip().lower()
        ending = name.lower().rpartition(".")[2]
        if depth < _DEPTH_MAX and (bare in _SEALED or (ending in {"p7m", "p7c"} and bare in GENERIC_TYPES)):
            inner = signed_content(content)
            if isinstance(inner, bytes):
                self.read(*head_and_body(inner, self.notes), depth + 1)
                return
            if inner is Sealed.ENCRYPTED or "enveloped" in content_type.lower():
                self.notes.add(Note.ENCRYPTED)
        elif depth < _DEPTH_MAX and (bare in _MESSAGES or (ending == "eml" and bare in GENERIC_TYPES)):
            self._read_forwarded(content, depth)
        elif (bare in _TNEF or content.startswith(SIGNATURE)) and self._read_tnef(content):
            return
        self._attach(content, content_type, name)

    def _attach(self, content: bytes, content_type: str, name: str) -> None:
        if not self.is_forwarded:
            self.attachments.add(content, content_type, name)

    def _show(self, content: bytes, kind: Message, *, is_html: bool) -> None:
        text = decode(content, self._parameter(kind, "charset"), self.notes)
        if is_html:
            self.shown.append(Shown(html=text, is_forwarded=self.is_forwarded))
            return
        if self._parameter(kind, "format").lower() == "flowed":
            text = unflowed(text, deletes_space=self._parameter(kind, "delsp").lower() == "yes")
        self.shown.append(Shown(plain=text, is_forwarded=self.is_forwarded))

    def _show_fallback(self, content: bytes, kind: Message) -> None:
        """Take a text of a type that mail programs hardly write: it is read where the e-mail says nothing else."""
        content_type = kind.get_content_type()
        if content_type in _RICH:
            text = rtf_text(content[:RICH_TEXT_BYTES_MAX])
        else:
            text = decode(content, self._parameter(kind, "charset"), self.notes)
        plain, html = ("", text) if content_type in _TAGGED else (text, "")
        self.shown.append(Shown(plain, html, is_forwarded=self.is_forwarded, is_fallback=True))

    @property
    def _has_words(self) -> bool:
        """Whether a text was found; then a text with a file's name is a file."""
        return any(one.plain or one.html for one in self.shown)

    def _read_forwarded(self, content: bytes, depth: int) -> None:
        """The text of an e-mail that is an attachment, below what it says of itself."""
        headers, body = head_and_body(content, self.notes)
        told = {name: spoken(headers.get(name), self.notes, bytes_max=_NAME_BYTES_MAX) for name in _TOLD_OF_FORWARDED}
        head = "\n".join(f"{name.capitalize()}: {value}" for name, value in told.items() if value)
        if not head:
            return
        was_forwarded, self.is_forwarded = self.is_forwarded, True
        self.shown.append(Shown(plain=head, is_forwarded=True))
        self.read(headers, body, depth + 1)
        self.is_forwarded = was_forwarded

    def _read_tnef(self, content: bytes) -> bool:
        """The text and the files of a `winmail.dat`; whether there were any."""
        told = read_tnef(content)
        plain = decode(told.plain, told.code_page, self.notes)
        html = decode(told.html, told.code_page if told.code_page != "utf-16-le" else "", self.notes)
        text = plain if plain.strip() or html.strip() else told.rich_text
        if text.strip() or html.strip():
            self.shown.append(Shown(text, html, is_forwarded=self.is_forwarded, is_fallback=True))
        for name, one in told.attachments:
            self._attach(one, UNKNOWN_TYPE, decode(name, told.code_page, self.notes))
        return bool(text.strip() or html.strip() or told.attachments)

    def _read_parts(self, boundary: str, body: bytes, depth: int) -> None:
        for part in self._split(boundary.encode("utf-8", "replace"), body):
            self.parts_count += 1
            if self.parts_count > _PARTS_MAX:
                self.notes.add(Note.PARTS)
                return
            self.read(*head_and_body(part, self.notes), depth + 1)

    def _split(self, boundary: bytes, body: bytes) -> Iterator[bytes]:
        """What stands between the boundaries; the last part goes to the end where nothing ends it."""
        start = None
        for line_start, line_end, is_last in islice(self._boundary_lines(b"--" + boundary, body), _PARTS_MAX + 1):
            if start is not None:
                yield body[start:line_start]
            if is_last:
                return
            start = line_end
        self.notes.add(Note.PARTS)
        if start is None:
            yield b"\n" + body  # no part at all: a text without headers
        else:
            yield body[start:]

    def _boundary_lines(self, marker: bytes, body: bytes) -> Iterator[tuple[int, int, bool]]:
        """Each line that is a boundary: where the line break before it starts, where it ends, whether it is the last.

        By plain search: a pattern with the line break in it takes ten times as long.
        """
        place = body.find(marker)
        while place >= 0 and self.marks_count < _MARKS_MAX:
            self.marks_count += 1
            end = place + len(marker)
            rest = _AFTER_BOUNDARY.match(body, end)
            if rest is not None and (place == 0 or body[place - 1 : place] == b"\n"):
                break_length = 0 if place == 0 else 2 if body[max(0, place - 2) : place] == b"\r\n" else 1
                yield place - break_length, rest.end(), rest[1] is not None
                end = rest.end()
            place = body.find(marker, end)

    def _parameter(self, message: Message, name: str, *, of: str = "content-type") -> str:
        """A parameter of a header, whichever way it was spelt; empty: it is not there, or cannot be read."""
        try:
            told = message.get_param(name, "", of)
        except (TypeError, ValueError):  # the pieces of a long value, of which one has no number
            self.notes.add(Note.HEADERS)
            return ""
        if isinstance(told, tuple):  # RFC 2231: its character set, its language and itself
            charset, _, value = told
            return decode(value.encode("latin-1", "replace"), charset or "", Notes())
        return str(told)


def read_mime(headers: Headers, body: bytes, attachments: Attachments, notes: Notes) -> Sequence[Shown]:
    """The texts of an e-mail; its attachments go to `attachments`, and what could not be read to `notes`."""
    reading = _Reading(attachments, notes)
    reading.read(headers, body, 0)
    return reading.shown


def read_files(
    shown: Sequence[Shown], files: Iterable[tuple[bytes, str, str]], attachments: Attachments, notes: Notes
) -> Sequence[Shown]:
    """The texts of an e-mail that came taken apart: those that are told, and those within its files.

    Args:
        shown: told.
        files: content, content type and name of each.
        attachments: the files go there.
        notes: what could not be read goes there.
    """
    reading = _Reading(attachments, notes, list(shown))
    for content, content_type, name in files:
        reading.take_file(content, content_type, name, 0)
    return reading.shown


def _as_one(offered: Sequence[Shown]) -> Iterator[Shown]:
    """The parts of one multipart/alternative: the same text, written in either way."""
    same = [one for one in offered if not one.is_fallback]
    if same:
        plain = "\n\n".join(one.plain for one in same if one.plain.strip())
        yield Shown(plain, "\n".join(one.html for one in same), is_forwarded=same[0].is_forwarded)
    yield from (one for one in offered if one.is_fallback)


def head_and_body(part: bytes, notes: Notes) -> tuple[Headers, bytes]:
    """The headers of an e-mail or of a part, and what follows them, be it without the blank line between."""
    blank = _BLANK_LINE.search(part)
    head_end, body_start = (len(part), len(part)) if blank is None else (blank.start(), blank.end())
    start = _body_start(part[: min(head_end, BLOCK_BYTES_MAX)])
    if start is not None:
        notes.add(Note.HEADERS)
        head_end = body_start = start
    return Headers.parse(part[:head_end], notes), part[body_start:]


def _body_start(head: bytes) -> int | None:
    """Where the text begins within what should be headers alone; None: these are headers, some of them bent perhaps."""
    lines = _HEADER_LINES.match(head)
    end = lines.end() if lines is not None else 0
    if end >= len(head):
        return None
    following = head[end : end + _BENT_BYTES_MAX].partition(b"\n")[2]
    return None if _KNOWN_HEADER.search(following) else end


def _parameters(value: str, name: str) -> Message:
    """A header whose parameters the standard library reads: few, for it counts the quotes before each anew."""
    message = Message()
    message[name] = ";".join(value[:_PARAMETERS_LENGTH_MAX].split(";")[: _PARAMETERS_MAX + 1])
    return message
