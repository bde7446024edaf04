"""Which attachments and media are kept: by their number, their size and their type. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase

from chalicelib.settings import Settings

TOO_MANY = "too_many"
TOO_LARGE = "too_large"
TYPE_NOT_ALLOWED = "type_not_allowed"


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
    if not any(fnmatchcase(bare, pattern.lower()) for pattern in settings.attachment_types):
        return TYPE_NOT_ALLOWED
    return None
