"""The form in which SendGrid posts an e-mail: multipart, each field as bytes, because each has its own character set.

Guarantee: a body is read in time proportional to its length, with limits on the number of parts and on the headers of
each. An incomplete form is refused: the end of its e-mail would be missing.

A form has one reading or none. SendGrid copies the sender's words into it between boundaries that a sender can know,
and the header that names the boundary is not signed. Three rules follow:

- The body begins with the delimiter, so only one boundary fits.
- The body ends with the terminator, which stands nowhere else.
- No two parts have the same name.

Words that close their own part and open another one always break one of these rules, because SendGrid's own parts
follow.

Before the request is verified, the search for delimiters may take about half of the time of the signature's hash. It
skips blocks that would take longer. `Form.searched` searches them, for a form whose envelope or sender may stand there.
`Form.whole` reads all that is left, and refuses what breaks a rule there. Few genuine forms have such a rest: their
bytes or their parts' headers are unusual.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from chalicelib.channels.sendgrid.delimiters import Delimiters, find_delimiters, find_others
from chalicelib.errors import Code, Rejected

BODY_BYTES_MAX = 10_485_760
"""What API Gateway lets through; Lambda takes less."""

_PARTS_MAX = 1_000
_HEADER_BYTES_MAX = 8_192
_HEADERS_MAX = 16
_UNUSUAL_HEADS_MAX = 16
"""Parts whose headers are read by the parser before the request is verified; each takes 20 microseconds."""
_USUAL_HEAD = re.compile(
    rb'\r\nContent-Disposition: form-data; name="([A-Za-z0-9_-]{1,64})"'
    rb'(?:; filename="([^"\\%\x00-\x1f\x7f]{0,255})"(?:\r\nContent-Type: ([!-:<-~]{1,255}))?)?\r\n\r\n'
)
"""Headers that say the same to the parser."""
_BOUNDARY_LENGTH_MAX = 200
"""RFC 2046 allows 70."""
_LETTERS_MIN, _LONG = 7, 20
"""A delimiter has so many distinct letters, as with SendGrid's boundary, or so many letters at all, as with those that
programs make up. To search for another among its letters takes up to twice as long."""


class File(NamedTuple):
    """A part that has a file's name."""

    field: str
    filename: bytes
    content_type: str
    view: memoryview
    """Its content, which is copied only when it is asked for as bytes."""

    def __repr__(self) -> str:
        """No name and no content: neither belongs in a log."""
        return f"File({self.field})"

    @property
    def content(self) -> bytes:
        return bytes(self.view)


class Fields(Mapping[str, bytes]):
    """The fields by name; each is copied out of the body only when it is asked for as bytes."""

    def __init__(self, views: Mapping[str, memoryview]) -> None:
        self._views = views

    def view(self, name: str) -> memoryview:
        """A field without a copy; an empty view where there is none."""
        return self._views.get(name, memoryview(b""))

    def __getitem__(self, name: str) -> bytes:
        return bytes(self._views[name])

    def __contains__(self, name: object) -> bool:
        return name in self._views

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)


@dataclass(frozen=True, repr=False)
class Form:
    """What was posted, as far as it was read."""

    fields: Fields
    files: Sequence[File]
    rest: Callable[[], Form] | None = None
    """Reads it anew and in full; None: it is whole."""
    others: Callable[[], Form] | None = None
    """Reads it anew with the delimiters that were not searched for; None: all were found, or they are not usual."""
    cut: frozenset[str] = frozenset()
    """Fields of which only the beginning is certain."""

    def searched(self) -> Form:
        """The form between all of its delimiters. Headers that need the parser may still be unread.

        It takes up to 1.7 times as long as the signature's hash. SendGrid's own fields do not need the parser.

        Raises:
            Rejected: `PARSING_ERROR`; what was not read before breaks a rule.
        """
        return self if self.others is None else self.others()

    def whole(self) -> Form:
        """The whole form. The caller holds that its request is verified.

        Raises:
            Rejected: `PARSING_ERROR`; what was not read before breaks a rule.
        """
        return self if self.rest is None else self.rest()


def read_form(
    content_type: str,
    body: bytes,
    *,
    sample_start: Callable[[int], int],
    searched: Callable[[int], None] | None = None,
) -> Form:
    """The form that a request's body holds, as far as it is read before the request is verified.

    Args:
        content_type: the request's header, which names the boundary.
        body: the request's.
        sample_start: a number below the one given, which nobody can foresee.
        searched: is called with each place up to which the body has just been searched.

    Raises:
        Rejected: `PARSING_ERROR`; it is none, or not whole, or breaks a limit.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Rejected(Code.PARSING_ERROR, f"the request is larger than {BODY_BYTES_MAX} bytes")
    kind, options = parse_options_header(content_type[:_HEADER_BYTES_MAX])
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data":
        raise Rejected(Code.PARSING_ERROR, "the request is no multipart/form-data")
    if not 0 < len(boundary) <= _BOUNDARY_LENGTH_MAX or not (boundary.isascii() and boundary.isprintable()):
        raise Rejected(Code.PARSING_ERROR, "the request tells no boundary")
    delimiter = b"\r\n--%b" % boundary.encode()
    if not body.startswith(delimiter[2:]):
        raise Rejected(Code.PARSING_ERROR, "the form does not begin with its delimiter")
    found = find_delimiters(delimiter, body, count_max=_PARTS_MAX, sample_start=sample_start, searched=searched)
    return _read(boundary, delimiter, body, found, unusual_max=_UNUSUAL_HEADS_MAX)


def _is_usual(delimiter: bytes) -> bool:
    return len(set(delimiter)) >= _LETTERS_MIN or len(delimiter) >= _LONG


def _read_on(boundary: str, delimiter: bytes, body: bytes, found: Delimiters, *, unusual_max: int) -> Form:
    found = find_others(delimiter, body, found, count_max=_PARTS_MAX)
    return _read(boundary, delimiter, body, found, unusual_max=unusual_max)


def _read(boundary: str, delimiter: bytes, body: bytes, found: Delimiters, *, unusual_max: int) -> Form:
    """A form, as far as its delimiters were found.

    A part is a slice between two delimiters. Where a block between them was not searched, only the beginning of the
    part is certain.
    """
    if len(found.places) > _PARTS_MAX:
        raise Rejected(Code.PARSING_ERROR, f"the form has more than {_PARTS_MAX} parts")
    terminator = found.places[-1] + len(delimiter) if found.places else len(body)
    if body[terminator : terminator + 5] not in {b"--", b"--\r\n"}:
        raise Rejected(Code.PARSING_ERROR, "the form does not end with its terminator, or goes on behind it")
    heads = _Heads(boundary, delimiter, body, unusual_max)
    is_whole = not found.unsearched
    fields: dict[str, memoryview] = {}
    files: list[File] = []
    names: set[str] = set()
    cut: set[str] = set()
    view, start = memoryview(body), len(delimiter) - 2
    for end in found.places:
        certain_end = end if is_whole else found.searched_until(start, end)
        part = heads.read(start, certain_end, is_cut=certain_end < end)
        start = end + len(delimiter)
        if part is None:
            continue
        name, filename, content_type, content_start = part
        if name in names:
            raise Rejected(Code.PARSING_ERROR, "the form names a field twice")
        names.add(name)
        if certain_end < end:
            cut.add(name)
        if filename is None:
            fields[name] = view[content_start:certain_end]
        else:
            files.append(File(name, filename, content_type, view[content_start:certain_end]))
    if is_whole and not heads.unread_count:
        return Form(Fields(fields), files)
    read_on = partial(_read_on, boundary, delimiter, body, found)
    return Form(
        Fields(fields),
        files,
        rest=partial(read_on, unusual_max=_PARTS_MAX),
        others=None if is_whole or not _is_usual(delimiter) else partial(read_on, unusual_max=unusual_max),
        cut=frozenset(cut),
    )


_Part = tuple[str, bytes | None, str, int]
"""A part's name, its file's name, its content type, and where its content begins."""


class _Heads:
    """Reads the headers of a body's parts, in order; the usual ones without the parser.

    Args:
        unusual_max: for so many parts the parser is asked; those beyond are left unread.
    """

    def __init__(self, boundary: str, delimiter: bytes, body: bytes, unusual_max: int) -> None:
        self._delimiter = delimiter
        self._body = body
        self._unusual_left = unusual_max
        self._before = delimiter[2:]
        """What the parser expects before the next headers."""
        self._parser = PushMultipartParser(
            boundary,
            max_segment_count=_PARTS_MAX,
            max_header_count=_HEADERS_MAX,
            max_header_size=_HEADER_BYTES_MAX,
            header_charset="latin-1",  # loses no byte of a name that is told in any other
        )
        self.unread_count = 0

    def read(self, start: int, end: int, *, is_cut: bool) -> _Part | None:
        """What the headers of the part between two places say; None: they are left unread.

        Raises:
            Rejected: `PARSING_ERROR`; they have no end, or say nothing.
        """
        usual = _USUAL_HEAD.match(self._body, start, end)
        if usual is not None:
            name, filename, content_type = usual.groups()
            return name.decode(), filename, (content_type or b"").decode().lower(), usual.end()
        if self._unusual_left == 0:
            self.unread_count += 1
            return None
        self._unusual_left -= 1
        content_start = self._body.find(b"\r\n\r\n", start, min(end, start + _HEADERS_MAX * _HEADER_BYTES_MAX)) + 4
        if is_cut and content_start < start + 4:
            return None
        if self._body[start : start + 2] != b"\r\n" or content_start < start + 4:
            raise Rejected(Code.PARSING_ERROR, "a part of the form is not whole")
        head = self._before + self._body[start:content_start]
        self._before = self._delimiter
        try:
            segments = [one for one in self._parser.parse(head) if isinstance(one, MultipartSegment)]
        except MultipartError as fault:
            raise Rejected(Code.PARSING_ERROR, f"the form cannot be read: {type(fault).__name__}") from None
        if len(segments) != 1:
            raise Rejected(Code.PARSING_ERROR, "a part of the form has no headers")
        one = segments[0]
        filename = None if one.filename is None else one.filename.encode("latin-1")
        return one.name, filename, one.content_type or "", content_start
