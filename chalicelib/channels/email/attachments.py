"""The attachments of an e-mail, within limits: which are kept, and the description of the rest.

Guarantee: at most `attachments_max` contents are held. The content of every other attachment is dropped at once.
Nothing is ever unpacked: an archive is just bytes. The descriptions of all attachments together stay below
`TOLD_BYTES_MAX`, so that a staged row stays small.
"""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

from chalicelib.channels.email.file_types import type_of
from chalicelib.channels.email.headers import cut, one_line
from chalicelib.channels.email.notes import Note, Notes
from chalicelib.messages.attachment_rules import problem_of
from chalicelib.messages.inbound import Attachment
from chalicelib.ports.buckets import UNKNOWN_TYPE, claimed_content_type
from chalicelib.settings import Settings

TOLD_MAX = 30
TOLD_BYTES_MAX = 5_400
"""Of names and types of all attachments, and what each takes beside them."""

_EACH_BYTES = 80
"""What one takes beside its name, its type and its URL: the names of its attributes, its size and its problem."""
_FILENAME_BYTES_MAX = 80
_NAME_READ_BYTES_MAX = 4_096
_TYPE_LENGTH_MAX = 72
_ENDING_BYTES_MAX = 16


class Attachments:
    """Collects the attachments of one e-mail."""

    def __init__(self, settings: Settings, notes: Notes) -> None:
        self._settings = settings
        self._notes = notes
        self._told: list[Attachment] = []
        self._kept_count = 0
        self.count = 0
        """All that there were."""
        self._room = TOLD_BYTES_MAX - settings.attachments_max * (_EACH_BYTES + _FILENAME_BYTES_MAX + _TYPE_LENGTH_MAX)
        """Left for those that are not kept: the others' is always there."""

    def add(self, content: bytes, content_type: str, filename: str) -> None:
        """Take one more, as its sender told it; without content it is none."""
        if not content:
            return
        self.count += 1
        name = _filename(filename) or None
        content_type = _content_type(type_of(content, _bare(content_type), name or ""))
        problem = problem_of(self._kept_count + 1, len(content), content_type, self._settings, filename=name)
        if problem is None:
            self._kept_count += 1
            self._told.append(Attachment(content, content_type, name))
            return
        self._room -= _EACH_BYTES + len(content_type) + len((name or "").encode())
        if self._room < 0 or len(self._told) >= TOLD_MAX:
            self._notes.add(Note.ATTACHMENTS)
            return
        self._told.append(Attachment(b"", content_type, name, problem, dropped_bytes=len(content)))

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """All that are told, in their order."""
        return tuple(self._told)


def _bare(text: str) -> str:
    """A type without its parameters, which are the sender's own words."""
    return text.partition(";")[0].strip().lower()


def _content_type(text: str) -> str:
    """A bare type that can stand in a header."""
    told = claimed_content_type(text).lower()
    return told if len(told) <= _TYPE_LENGTH_MAX else UNKNOWN_TYPE


def _filename(text: str) -> str:
    """The name alone, without folders, on one line, shortened before its ending."""
    bare = PureWindowsPath(PurePosixPath(one_line(text, bytes_max=_NAME_READ_BYTES_MAX)).name).name
    if len(bare.encode()) <= _FILENAME_BYTES_MAX:
        return bare
    stem, dot, ending = bare.rpartition(".")
    kept = f"{dot}{ending}"
    if not stem or len(kept.encode()) > _ENDING_BYTES_MAX:
        stem, kept = bare, ""
    return cut(stem, _FILENAME_BYTES_MAX - len(kept.encode())) + kept
