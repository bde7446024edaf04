"""An e-mail as it went over the wire, read into its headers, texts and attachments.

Guarantee: an e-mail comes of any bytes, in time and memory proportional to their length: parts are counted, and what
looks like the start of one, and what is nested deeper than e-mails are is one attachment. Of several texts only those
that are alternatives of one another are taken for the same: a footer beside the customer's words hides none.

The standard library's parser compares each line with every boundary around it and makes an object for each part: 1.5 MB
of short lines within 200 nested parts take it 18 s, 4 MB of small parts 5 s and 160 MB. Here lines are never taken
apart: a part is a slice between two boundaries. The standard library reads the parameters of a header and undoes a
transfer encoding.
"""

from __future__ import annotations

import binascii
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message
from itertools import islice

from chalicelib.channels.email.attachments import Attachments
from chalicelib.channels.email.charsets import decode
from chalicelib.channels.email.headers import Headers, spoken
from chalicelib.channels.email.notes import Note, Notes
from chalicelib.channels.email.texts import Shown

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
_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_NO_BASE64 = bytes(set(range(256)) - set((string.ascii_letters + string.digits + "+/=").encode()))
_BODIES = frozenset({"text/plain", "text/html"})


@dataclass(frozen=True, repr=False)
class Mime:
    """What a raw e-mail says."""

    headers: Headers
    shown: Sequence[Shown]
    """Its texts, in their order; what offers the same in several ways is one."""


@dataclass(repr=False)
class _Reading:
    """One e-mail while it is read."""

    attachments: Attachments
    notes: Notes
    shown: list[Shown] = field(default_factory=list)
    parts_count: int = 0
    marks_count: int = 0

    def read(self, headers: Headers, body: bytes, depth: int) -> None:
        """Take one part, and those within it."""
        kind = _parameters(headers.get("content-type") or "text/plain", "Content-Type")
        content_type = kind.get_content_type()
        if content_type.startswith("multipart/"):
            boundary = self._parameter(kind, "boundary")
            if depth >= _DEPTH_MAX:
                self.notes.add(Note.PARTS)
                self.attachments.add(body, content_type, "")
                return
            if 0 < len(boundary) <= _BOUNDARY_LENGTH_MAX:
                before = len(self.shown)
                self._read_parts(boundary, body, depth)
                if content_type == "multipart/alternative":
                    self.shown[before:] = [_as_one(self.shown[before:])]
                return
            self.notes.add(Note.PARTS)  # nobody can say where its parts are: it is told as the text that it is
        content = self._decoded(headers.get("content-transfer-encoding"), body)
        disposition = _parameters(headers.get("content-disposition") or "inline", "Content-Disposition")
        name = self._parameter(disposition, "filename", of="content-disposition") or self._parameter(kind, "name")
        is_shown = not name and disposition.get_content_disposition() != "attachment"
        if is_shown and (content_type in _BODIES or content_type.startswith("multipart/")):
            text = decode(content, self._parameter(kind, "charset"), self.notes)
            self.shown.append(Shown(html=text) if content_type == "text/html" else Shown(plain=text))
            return
        self.attachments.add(content, content_type, spoken(name, self.notes, bytes_max=_NAME_BYTES_MAX))

    def _read_parts(self, boundary: str, body: bytes, depth: int) -> None:
        for part in self._split(boundary.encode("utf-8", "replace"), body):
            self.parts_count += 1
            if self.parts_count > _PARTS_MAX:
                self.notes.add(Note.PARTS)
                return
            self.read(*_head_and_body(part, self.notes), depth + 1)

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

    def _decoded(self, encoding: str, body: bytes) -> bytes:
        """A part's content; as much as can be had where it is damaged."""
        match encoding.partition(";")[0].strip().lower():
            case "base64":
                return self._from_base64(body)
            case "quoted-printable":
                return binascii.a2b_qp(body)
            case _:
                return body

    def _from_base64(self, body: bytes) -> bytes:
        """Each block up to its padding: some programs encode piece by piece, and the library stops at the first."""
        letters = body.translate(None, _NO_BASE64)
        if len(letters) % 4:
            self.notes.add(Note.ENCODING)
        blocks = []
        for block in filter(None, letters.split(b"=")):
            if len(block) % 4 == 1:  # one letter holds no byte
                self.notes.add(Note.ENCODING)
            whole = block[:-1] if len(block) % 4 == 1 else block
            blocks.append(binascii.a2b_base64(whole + b"=" * (-len(whole) % 4)))
        return b"".join(blocks)


def read_mime(raw: bytes, attachments: Attachments, notes: Notes) -> Mime:
    """The e-mail that `raw` is; its attachments go to `attachments`, and what could not be read to `notes`."""
    reading = _Reading(attachments, notes)
    headers, body = _head_and_body(raw, notes)
    reading.read(headers, body, 0)
    return Mime(headers, reading.shown)


def _as_one(offered: Sequence[Shown]) -> Shown:
    """The parts of one multipart/alternative: the same text, written in either way."""
    plain = "\n\n".join(one.plain for one in offered if one.plain.strip())
    return Shown(plain, "\n".join(one.html for one in offered))


def _head_and_body(part: bytes, notes: Notes) -> tuple[Headers, bytes]:
    blank = _BLANK_LINE.search(part)
    if blank is None:
        return Headers.parse(part, notes), b""
    return Headers.parse(part[: blank.start()], notes), part[blank.end() :]


def _parameters(value: str, name: str) -> Message:
    """A header whose parameters the standard library reads: few, for it counts the quotes before each anew."""
    message = Message()
    message[name] = ";".join(value[:_PARAMETERS_LENGTH_MAX].split(";")[: _PARAMETERS_MAX + 1])
    return message
