"""Which attachments and media are kept: by their number, their size and their type. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from chalicelib.settings import Settings

TOO_MANY = "too_many"
TOO_LARGE = "too_large"
TYPE_NOT_ALLOWED = "type_not_allowed"

_ENDINGS_OF_ACTIVE = ("+xml", "/xml")
_WORDS_OF_ACTIVE = ("svg", "html", "script", "macroenabled", "shockwave", "java-archive", "x-ms", "msdownload")
"""What the names of types have that a browser or an office program runs programs of: an SVG, compressed or not, a page,
a document with macros. No pattern admits them, only their whole name."""


def problem_of(number: int, size_bytes: int, content_type: str, settings: Settings) -> str | None:
    """Why an attachment is not kept, by a word of ours; None: it is.

    Args:
        number: its place in its message, from 1.
        size_bytes: of its content; 0 where that is not known yet.
        content_type: as the sender told it, parameters and all.
        settings: the limits.
    """
    if number > settings.attachments_max:
        return TOO_MANY
    if size_bytes > settings.attachment_bytes_max:
        return TOO_LARGE
    bare = content_type.partition(";")[0].strip().lower()
    return None if _is_allowed(bare, [one.lower() for one in settings.attachment_types]) else TYPE_NOT_ALLOWED


def _is_allowed(bare: str, patterns: Sequence[str]) -> bool:
    if bare.endswith(_ENDINGS_OF_ACTIVE) or any(word in bare for word in _WORDS_OF_ACTIVE):
        return bare in patterns
    return any(fnmatchcase(bare, pattern) for pattern in patterns)
