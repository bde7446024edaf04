"""Splits a reply into the messages that are sent for it; pure.

    of each of its contents, in order:
    the first text with the first media - the other texts - the other media, in their order - links to what is left

A channel defines how long one message may be and how many media it takes. WhatsApp delivers one medium of a message and
ignores the others. SMS are numbered, because carriers do not keep the order of messages sent back to back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.messages.contents import Content
from chalicelib.messages.lengths import Counting
from chalicelib.messages.splitting import split

MEDIA_MAX = 10
"""Media of one reply that are sent as such; what is beyond goes as links. It bounds the parts of a reply."""

_NUMBER = "({number}/{count}) "
_NUMBER_UNITS = len("(99/99) ")


@dataclass(frozen=True)
class PartLimits:
    """What one message of a channel can hold."""

    length_max: int
    """In units of `counting`."""
    counting: Counting = Counting.UTF_16
    media_max: int | None = None
    """Media of one message; None: all of a reply's."""
    is_numbered: bool = False
    """Whether several texts are numbered."""


def parts_of(contents: Sequence[Content], limits: PartLimits) -> list[Content]:
    """The messages of a reply, in order; each is a content that fits into one message of the channel.

    Args:
        contents: what the reply sends; the text of one that is a template is ignored, for a template has its own.
        limits: of the channel.
    """
    parts: list[Content] = []
    media_left = MEDIA_MAX
    for content in contents:
        parts += _parts_of_one(content, limits, media_left)
        media_left = max(0, media_left - len(content.media_urls))
    return parts


def _parts_of_one(content: Content, limits: PartLimits, media_max: int) -> list[Content]:
    media_urls = content.media_urls
    size = len(media_urls) if limits.media_max is None else limits.media_max
    kept = media_urls if limits.media_max is None else media_urls[:media_max]
    groups = [kept[at : at + size] for at in range(0, len(kept), size)] if kept else []
    links = _texts("\n".join(media_urls[len(kept) :]), limits) if len(media_urls) > len(kept) else []
    first_media = groups[0] if groups else ()
    if content.content_sid is not None:
        first, others = replace(content, body="", media_urls=first_media), []
    else:
        text, *others = _texts(content.body.strip(), limits)
        if links and not (text or first_media):  # nothing but media, and none of them as such
            text, *links = links
        first = Content(text, media_urls=first_media)
    return [
        first,
        *map(Content, others),
        *(Content(media_urls=group) for group in groups[1:]),
        *map(Content, links),
    ]


def _texts(text: str, limits: PartLimits) -> list[str]:
    texts = split(text, limits.length_max, limits.counting)
    if len(texts) == 1 or not limits.is_numbered:
        return texts
    texts = split(text, limits.length_max - _NUMBER_UNITS, limits.counting)
    return [_NUMBER.format(number=number, count=len(texts)) + one for number, one in enumerate(texts, start=1)]
