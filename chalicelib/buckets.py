"""What the engine asks of the bucket that keeps attachments and long texts."""

from __future__ import annotations

from typing import Protocol

from chalicelib.clock import Deadline


class Bucket(Protocol):
    """One private bucket."""

    def within(self, deadline: Deadline) -> Bucket:
        """The same bucket, whose calls are refused once `deadline` has passed."""

    def put(self, key: str, content: bytes, *, content_type: str, filename: str | None = None) -> str:
        """Keep an object; the same key again replaces it.

        Args:
            key: where, of our own making and nobody's to guess; never a part of what a sender wrote.
            content: the object, whole.
            content_type: what a reader is told that it is.
            filename: under which name a reader may save it; kept as metadata.

        Returns:
            Its URL, `s3://bucket/key`.

        Raises:
            TryAgain: `STAGE_WRITE_ERROR`; `maybe_applied` tells whether it may have been kept.
            Misconfigured: `CONFIGURATION_ERROR`; no such bucket, no right.
        """
