"""The messages that one reply becomes; pure.

    the first text with the first media - the other texts - the other media, in their order - links to what is left

A channel tells how long one message may be and how many media it takes: WhatsApp delivers one medium of a message and
ignores the others. SMS are numbered, because carriers do not keep the order of messages sent back to back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, repr=False)
class PartContent:
    """What one message says and encloses."""

    body: str
    media_urls: tuple[str, ...] = ()


def parts_of(body: str, media_urls: Sequence[str], limits: PartLimits, *, is_template: bool) -> list[PartContent]:
    """The messages of a reply, in order.

    Args:
        body: the text; ignored where a template is sent.
        media_urls: in order.
        limits: of the channel.
        is_template: whether the first message is a template, which has a text of its own.
    """
    size = len(media_urls) if limits.media_max is None else limits.media_max
    kept = media_urls if limits.media_max is None else media_urls[:MEDIA_MAX]
    groups = [tuple(kept[at : at + size]) for at in range(0, len(kept), size)] if kept else []
    texts = [""] if is_template else _texts(body.strip(), limits)
    links = _texts("\n".join(media_urls[len(kept) :]), limits) if len(media_urls) > len(kept) else []
    first, *others = texts
    return [
        PartContent(first, groups[0] if groups else ()),
        *map(PartContent, others),
        *(PartContent("", group) for group in groups[1:]),
        *map(PartContent, links),
    ]


def _texts(text: str, limits: PartLimits) -> list[str]:
    texts = split(text, limits.length_max, limits.counting)
    if len(texts) == 1 or not limits.is_numbered:
        return texts
    texts = split(text, limits.length_max - _NUMBER_UNITS, limits.counting)
    return [_NUMBER.format(number=number, count=len(texts)) + one for number, one in enumerate(texts, start=1)]
