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
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from chalicelib.errors import Code, Rejected

BODY_BYTES_MAX = 10_485_760
"""What API Gateway lets through; Lambda takes less."""

_PARTS_MAX = 1_000
_HEADER_BYTES_MAX = 8_192
_HEADERS_MAX = 16
_PLAIN_HEAD = re.compile(rb'\r\nContent-Disposition: form-data; name="([A-Za-z0-9_-]{1,64})"\r\n\r\n')
_BOUNDARY_LENGTH_MAX = 200
"""RFC 2046 allows 70."""
_BLOCK_BYTES = 131_072
"""Of the body that is searched in one way."""
_LOOKS_MAX = 16
"""At single carriage returns of a block; of a text or a file it has more."""
_SEEN_EVERY = 61
"""So many bytes tell which search is faster."""
_RETURNS_SHARE = 10


@dataclass(frozen=True, repr=False)
class File:
    """A part that has a file's name."""

    field: str
    filename: bytes
    content_type: str
    view: memoryview
    """Its content, which is copied only when it is asked for as bytes."""

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
    """What was posted."""

    fields: Fields
    files: Sequence[File]


def read_form(content_type: str, body: bytes) -> Form:
    """The form that a request's body holds.

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
    fields: dict[str, memoryview] = {}
    files: list[File] = []
    names: set[str] = set()
    try:
        for part, view in _parts(boundary, body):
            if part.name in names:
                raise Rejected(Code.PARSING_ERROR, "the form names a field twice")
            names.add(part.name)
            if part.filename is None:
                fields[part.name] = view
            else:
                files.append(File(part.name, part.filename.encode("latin-1"), part.content_type, view))
    except MultipartError as fault:
        raise Rejected(Code.PARSING_ERROR, f"the form cannot be read: {type(fault).__name__}") from None
    return Form(Fields(fields), files)


@dataclass(frozen=True)
class _Part:
    """What the headers of a part say."""

    name: str
    filename: str | None = None
    content_type: str = ""


def _parts(boundary: str, body: bytes) -> Iterator[tuple[_Part, memoryview]]:
    """Each part of a form, whole. A part is a slice between two delimiters; the parser reads the headers alone.

    The headers of an ordinary field are one line in one form, which needs no parser.
    """
    delimiter = b"\r\n--%b" % boundary.encode()
    if not body.startswith(delimiter[2:]):
        raise Rejected(Code.PARSING_ERROR, "the form does not begin with its delimiter")
    *ends, last = _delimiters(delimiter, body)
    if body[last + len(delimiter) : last + len(delimiter) + 5] not in {b"--", b"--\r\n"}:
        raise Rejected(Code.PARSING_ERROR, "the form does not end with its terminator, or goes on behind it")
    parser = PushMultipartParser(
        boundary,
        max_segment_count=_PARTS_MAX,
        max_header_count=_HEADERS_MAX,
        max_header_size=_HEADER_BYTES_MAX,
        header_charset="latin-1",  # loses no byte of a name that is told in any other
    )
    view = memoryview(body)
    before, start = delimiter[2:], len(delimiter) - 2
    for end in (*ends, last):
        head_end = body.find(b"\r\n\r\n", start, start + _HEADERS_MAX * _HEADER_BYTES_MAX) + 4
        if body[start : start + 2] != b"\r\n" or not start + 4 <= head_end <= end:
            raise Rejected(Code.PARSING_ERROR, "a part of the form is not whole")
        plain = _PLAIN_HEAD.fullmatch(body, start, head_end)
        if plain is not None:
            yield _Part(plain[1].decode()), view[head_end:end]
        else:
            yield _parsed(parser, before + body[start:head_end]), view[head_end:end]
            before = delimiter
        start = end + len(delimiter)


def _parsed(parser: PushMultipartParser, head: bytes) -> _Part:
    segments = [one for one in parser.parse(head) if isinstance(one, MultipartSegment)]
    if len(segments) != 1:
        raise Rejected(Code.PARSING_ERROR, "a part of the form has no headers")
    return _Part(segments[0].name, segments[0].filename, segments[0].content_type or "")


def _delimiters(delimiter: bytes, body: bytes) -> Sequence[int]:
    """Where the delimiters begin behind the first, in order; the last one must be the terminator's.

    Each begins with its only carriage return, so none overlaps another, and where few of those stand they are looked at
    one by one: `find` for a single byte is forty times as fast as the search for a delimiter among its own letters.
    """
    found: list[int] = []
    for start in range(0, len(body), _BLOCK_BYTES):
        place = start
        for _ in range(_LOOKS_MAX):
            place = body.find(b"\r", place, start + _BLOCK_BYTES)
            if place < 0:
                break
            if body.startswith(delimiter, place):
                found.append(place)
            place += 1
        else:
            found += _delimiters_among_many(delimiter, body, place, start + _BLOCK_BYTES)
        if len(found) > _PARTS_MAX:
            raise Rejected(Code.PARSING_ERROR, f"the form has more than {_PARTS_MAX} parts")
    if not found:
        raise Rejected(Code.PARSING_ERROR, "the form does not end with its terminator, or goes on behind it")
    return found


def _delimiters_among_many(delimiter: bytes, body: bytes, start: int, end: int) -> Sequence[int]:
    """The delimiters that begin between two places with many carriage returns; more than are read: not all of them.

    By `rfind`, which looks at half as many bytes as `find` does in CPython, and at most once at each. Where most bytes
    are the delimiter's own letters, a pattern takes half as long, but far longer where many are carriage returns.
    """
    seen = body[start:end:_SEEN_EVERY]
    if 2 * len(seen.translate(None, delimiter)) < len(seen) > _RETURNS_SHARE * seen.count(b"\r"):
        pattern = re.compile(re.escape(delimiter))
        matches = pattern.finditer(body, start, end + len(delimiter) - 1)
        return [one.start() for one in islice(matches, _PARTS_MAX + 1)]
    found: list[int] = []
    place = end + len(delimiter) - 1
    while len(found) <= _PARTS_MAX and (place := body.rfind(delimiter, start, place)) >= 0:
        found.append(place)
    return found[::-1]
