"""Attachments: content that is too large for a message's row is stored in our bucket before the message is staged.

Guarantee: every object that a staged row names exists. A crash before the row is written leaves objects that no row
names; the bucket's expiry removes them. Keys are `<tenant>/<an id that nobody can guess>/<number>`. So a company's
readers can be given access to its own prefix, which cannot be another company's, and a key does not reveal the sender.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

from chalicelib.clock import Deadline
from chalicelib.messages.inbound import Attachment, InboundMessage, Media
from chalicelib.ports.buckets import Bucket

WHOLE_TEXT = "whole_text_url"
"""The extra that tells where all of a text is."""


@dataclass(frozen=True, eq=False, repr=False)
class AttachmentStore:
    """Keeps the enclosures of messages."""

    bucket: Bucket
    new_id: Callable[[], str]

    def for_request(self, deadline: Deadline) -> RequestAttachments:
        """What keeps the enclosures of one request."""
        return RequestAttachments(self.bucket, self.new_id, deadline)


class RequestAttachments:
    """Keeps what one request's message encloses: once for each company, to however many of its addresses it went."""

    def __init__(self, bucket: Bucket, new_id: Callable[[], str], deadline: Deadline) -> None:
        self._unbounded = bucket
        self._bucket = bucket.within(deadline)
        self._new_id = new_id
        self._folders: dict[str, str] = {}
        """By company."""
        self._kept: dict[str, Media] = {}
        """By key."""

    def extend(self, deadline: Deadline) -> None:
        """Take a later deadline for the calls that follow."""
        self._bucket = self._unbounded.within(deadline)

    def store(self, message: InboundMessage, tenant: str) -> InboundMessage:
        """The message with its enclosures kept, and told as media.

        Raises:
            TryAgain, Misconfigured: some may be kept and no row names them; the provider comes again.
        """
        if tenant not in self._folders:
            self._folders[tenant] = folder_of(tenant, self._new_id())
        folder = self._folders[tenant]
        media = [self._keep(f"{folder}/{number}", one) for number, one in enumerate(message.attachments, start=1)]
        extras = dict(message.extras)
        if message.whole is not None:
            extras[WHOLE_TEXT] = self._keep(f"{folder}/text", message.whole).url
        return replace(message, media=(*message.media, *media), extras=extras, attachments=(), whole=None)

    def _keep(self, key: str, one: Attachment) -> Media:
        if key not in self._kept:
            self._kept[key] = _kept(self._bucket, key, one)
        return self._kept[key]


def folder_of(tenant: str, unguessable: str) -> str:
    """Where the objects of one message are kept; without a character that means something in a policy or a path."""
    segment = quote(tenant, safe="") or "none"
    if not segment.strip("."):  # `.` and `..` lead elsewhere wherever a key becomes a path
        segment = segment.replace(".", "%2E")
    return f"{segment}/{unguessable}"


def _kept(bucket: Bucket, key: str, one: Attachment) -> Media:
    told = Media(
        url="",
        content_type=one.content_type,
        filename=one.filename,
        size_bytes=one.size_bytes,
        problem=one.problem,
    )
    if one.problem is not None:
        return told
    return replace(told, url=bucket.put(key, one.content, content_type=one.content_type, filename=one.filename))
