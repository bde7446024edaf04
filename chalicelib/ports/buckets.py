"""What the engine asks of the bucket for attachments and long texts, and how names become safe headers."""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import quote

from chalicelib.clock import Deadline

UNKNOWN_TYPE = "application/octet-stream"

FILENAME_BYTES_MAX = 512
"""Bytes of UTF-8 of a file's name; each may take three in the header, and S3 takes 2 KB of such headers together."""

_TYPE_LENGTH_MAX = 255
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # of HTTP's grammar
_BARE_TYPE = re.compile(rf"{_WORD}/{_WORD}")
_CONTENT_TYPE = re.compile(rf"{_WORD}/{_WORD}(; *{_WORD}=({_WORD}|\"[ -!#-\[\]-~]*\"))*")


class Bucket(Protocol):
    """One private bucket."""

    def within(self, deadline: Deadline) -> Bucket:
        """The same bucket, whose calls are refused once `deadline` has passed."""

    def put(self, key: str, content: bytes, *, content_type: str, filename: str | None = None) -> str:
        """Keep an object; the same key again replaces it.

        Args:
            key: where, of our own making and nobody's to guess; never a part of what a sender wrote.
            content: the object, whole.
            content_type: what a reader is told that it is, as `claimed_content_type` spells it.
            filename: under which name a reader may save it, as `claimed_filename` spells it; kept as metadata.

        Returns:
            Its URL, `s3://bucket/key`, with the key as it is.

        Raises:
            TryAgain: `STAGE_WRITE_ERROR`; `maybe_applied` tells whether it may have been kept.
            Misconfigured: `CONFIGURATION_ERROR`; no such bucket, no right.
        """


def claimed_content_type(text: str) -> str:
    """The content type that a sender told; without its parameters where they are odd, unknown where it is."""
    whole = text.strip()
    bare = whole.partition(";")[0].strip()
    for told, shape in ((whole, _CONTENT_TYPE), (bare, _BARE_TYPE)):
        if len(told) <= _TYPE_LENGTH_MAX and shape.fullmatch(told):
            return told
    return UNKNOWN_TYPE


def claimed_filename(text: str) -> str:
    """A file's name as it is kept: without halves of characters, and shortened before its ending where it is long."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if len(whole.encode()) <= FILENAME_BYTES_MAX:
        return whole
    stem, dot, ending = whole.rpartition(".")
    kept = f"{dot}{ending}".encode()
    if not stem or len(kept) > FILENAME_BYTES_MAX // 8:
        stem, kept = whole, b""
    return (stem.encode()[: FILENAME_BYTES_MAX - len(kept)] + kept).decode(errors="ignore")


def disposition(filename: str | None) -> str:
    """The header that tells a reader to save an object, under which name if it has one: plain ASCII, whatever that is.

    To save, and never to show: a sender chose what is in it, and a browser would run what runs.
    """
    if filename is None:
        return "attachment"
    return f"attachment; filename*=UTF-8''{quote(claimed_filename(filename), safe='')}"
