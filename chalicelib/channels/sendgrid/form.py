"""The form in which SendGrid posts an e-mail: multipart, each field as bytes, for each has a character set of its own.

Guarantee: a body is read in time proportional to its length, with limits on the number of parts and on the headers of
each, and what is not whole is refused: a form that ends too soon would be an e-mail with its end missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from chalicelib.errors import Code, Rejected

BODY_BYTES_MAX = 10_485_760
"""What API Gateway lets through; Lambda takes less."""

_PARTS_MAX = 1_000
_HEADER_BYTES_MAX = 8_192
_HEADERS_MAX = 16
_BOUNDARY_LENGTH_MAX = 200
"""RFC 2046 allows 70."""


@dataclass(frozen=True, repr=False)
class File:
    """A part that has a file's name."""

    field: str
    filename: bytes
    content_type: str
    content: bytes


@dataclass(frozen=True, repr=False)
class Form:
    """What was posted."""

    fields: Mapping[str, bytes]
    """By name; of several with one name the first."""
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
    if not 0 < len(boundary) <= _BOUNDARY_LENGTH_MAX or not boundary.isascii():
        raise Rejected(Code.PARSING_ERROR, "the request tells no boundary")
    fields: dict[str, bytes] = {}
    files: list[File] = []
    try:
        for segment, content in _parts(boundary, body):
            if segment.filename is None:
                fields.setdefault(segment.name, content)
            else:
                told_as = segment.filename.encode("latin-1")
                files.append(File(segment.name, told_as, segment.content_type or "", content))
    except MultipartError as fault:
        raise Rejected(Code.PARSING_ERROR, f"the form cannot be read: {type(fault).__name__}") from None
    return Form(fields, files)


def _parts(boundary: str, body: bytes) -> Iterator[tuple[MultipartSegment, bytes]]:
    """Each part of a form, whole."""
    parser = PushMultipartParser(
        boundary,
        max_segment_count=_PARTS_MAX,
        max_header_count=_HEADERS_MAX,
        max_header_size=_HEADER_BYTES_MAX,
        header_charset="latin-1",  # loses no byte of a name that is told in any other
    )
    with parser:
        segment: MultipartSegment | None = None
        pieces: list[bytes] = []
        for event in parser.parse(body):
            match event:
                case MultipartSegment():
                    segment, pieces = event, []
                case None:
                    assert segment is not None, "the parser ends only what it began"
                    yield segment, b"".join(pieces)
                    pieces = []
                case _:
                    pieces.append(event)
