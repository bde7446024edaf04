"""Short codes for what could not be read properly in an e-mail. The context carries them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum


class Note(StrEnum):
    """What a reader of the context should know; docs/email.md tells the same."""

    ATTACHMENTS = "attachments"
    """There were more attachments than are told."""
    CHARSET = "charset"
    """A text did not fit the character set that it was said to be in; it is told as well as it could be read."""
    ENCODING = "encoding"
    """A part was damaged on its way; what is left of it is told."""
    ENCRYPTED = "encrypted"
    """The e-mail, or a part of it, is encrypted: what it says is in an attachment that nobody here can read."""
    HEADERS = "headers"
    """Some headers, or what they say, could not be read, or there were too many."""
    HTML = "html"
    """The HTML was too large to be read to its end; all of it is kept as it is."""
    MESSAGE_ID = "message_id"
    """No id by which an answer could be threaded."""
    PARTS = "parts"
    """The e-mail had too many parts or boundaries, nested them too deeply or did not end its last one."""
    SENDER = "sender"
    """The header From names nobody, or several; the sender is the first, or the envelope's."""
    UNCERTAIN_CUT = "uncertain_cut"
    """What was left out as history or as a signature may have been meant; all of it is kept."""
    TRUNCATED = "truncated"
    """The new text was longer than a context carries; its beginning is there."""


class Notes:
    """Collects the notes of one e-mail while it is read."""

    def __init__(self, before: Notes | None = None) -> None:
        self._told: set[Note] = set(before or ())

    def __iter__(self) -> Iterator[Note]:
        return iter(self._told)

    def add(self, note: Note) -> None:
        """Note something once, however often it happens."""
        self._told.add(note)

    def __str__(self) -> str:
        return ",".join(sorted(self._told))
