"""Whether an e-mail answers another one, forwards it, or does neither; by its headers, pure.

    FORWARD   its subject begins with a forward's prefix
    REPLY     it names an e-mail that it answers (`In-Reply-To`, `References`), or its subject begins with an answer's
    NEW       neither: what it quotes is forwarded

The subject's first prefix decides, because programs name the answered e-mail in forwards too.
"""

from __future__ import annotations

import re
from enum import Enum

from chalicelib.channels.email import languages

_PREFIX_LENGTH_MAX = 24
_COUNT = re.compile(r"[\[(^]?\d{1,3}[\])]?$")
_ANSWERED = frozenset(languages.REPLY_PREFIXES.split("|"))
_FORWARDED = frozenset(languages.FORWARD_PREFIXES.split("|"))


class Relation(Enum):
    """What an e-mail's headers say of it."""

    REPLY = "reply"
    FORWARD = "forward"
    NEW = "new"
    UNKNOWN = "unknown"
    """Its headers are unknown."""


def relation_of(subject: str, *, has_answered: bool) -> Relation:
    """What an e-mail is to the one before it.

    Args:
        subject: decoded.
        has_answered: it names an e-mail that it answers.
    """
    start, colon, _ = subject[: 2 * _PREFIX_LENGTH_MAX].lower().replace("\uff1a", ":").partition(":")
    prefix = _COUNT.sub("", start.strip()).strip() if colon and len(start) <= _PREFIX_LENGTH_MAX else ""
    if prefix in _FORWARDED:
        return Relation.FORWARD
    return Relation.REPLY if has_answered or prefix in _ANSWERED else Relation.NEW
