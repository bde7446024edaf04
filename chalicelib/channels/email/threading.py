"""The subject and the headers of an e-mail that answers another one; pure.

    Message-ID       of our own, the same for the same part however often it is built
    In-Reply-To      the e-mail that is answered
    References       what that one refers to, and itself (RFC 5322, 3.6.4)
    Auto-Submitted   auto-replied, unless a person wrote the answer: no vacation notice answers it (RFC 3834)

Guarantee: for any content of the answered e-mail, each value is one bounded line, and the headers are printable ASCII.
A malformed id is left out. Nothing of an e-mail can begin a header of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.channels.email.headers import one_line
from chalicelib.channels.sender import OutboundPart

SUBJECT_BYTES_MAX = 250
REFERENCES_LENGTH_MAX = 900
"""A line of a header ends at 998 characters, and nobody says who would fold it."""

_ID = re.compile(r"<[!-;=?-~]{1,248}>")
_OWN_ID = re.compile(r"<[0-9a-f]{40}@([^\s<>@]{1,206})>")
"""The id of a part that we sent, at the domain of the address that it was sent from."""
_ALREADY_ANSWERED = re.compile(r"(?:(?:re|aw|sv|antw)(?:\[\d{1,3}\])?\s{0,3}:\s{0,3})+", re.IGNORECASE)
"""How clients of some languages begin the subject of an answer; taken away, so that one `Re:` is left of any number."""


@dataclass(frozen=True, repr=False)
class Heading:
    """The answer's place in its thread."""

    subject: str
    message_id: str | None
    """None where the sender's domain cannot stand in one; the provider makes its own then."""
    in_reply_to: str | None
    references: str | None
    is_automatic: bool

    @classmethod
    def of(cls, part: OutboundPart) -> Heading:
        """The subject and headers of `part` as the answer to the e-mail in its `answers`."""
        told = part.answers
        answered = _first_id(told.get("email_message_id", ""))
        before = message_ids(told.get("references", "")) or message_ids(told.get("in_reply_to", ""))
        return cls(
            subject=_subject(told.get("subject", "")),
            message_id=_first_id(f"<{part.send_id}@{part.sender.rpartition('@')[2]}>"),
            in_reply_to=answered,
            references=thread([*(one for one in before if one != answered), *([answered] if answered else [])]),
            is_automatic=part.is_automatic,
        )

    @property
    def headers(self) -> dict[str, str]:
        """The headers, by name."""
        told = {
            "Message-ID": self.message_id,
            "In-Reply-To": self.in_reply_to,
            "References": self.references,
            "Auto-Submitted": "auto-replied" if self.is_automatic else None,
        }
        return {name: value for name, value in told.items() if value is not None}

    @property
    def extras(self) -> dict[str, str]:
        """The same by the names that an inbound e-mail's extras have."""
        told = {
            "subject": self.subject,
            "email_message_id": self.message_id,
            "in_reply_to": self.in_reply_to,
            "references": self.references,
        }
        return {name: value for name, value in told.items() if value is not None}


def message_ids(text: str) -> list[str]:
    """The message ids of a header, in order."""
    return _ID.findall(text)


def own_domain(message_id: str) -> str | None:
    """The domain of an id that we generated; None: we did not."""
    found = _OWN_ID.fullmatch(message_id.strip())
    return None if found is None else found[1].lower()


def thread(ids: Sequence[str]) -> str | None:
    """All of the ids where they fit; else the first, which names the thread, and as many of the newest as fit."""
    if not ids:
        return None
    first, *others = dict.fromkeys(ids)
    room = REFERENCES_LENGTH_MAX - len(first)
    kept: list[str] = []
    for one in reversed(others):
        room -= len(one) + 1
        if room < 0:
            break
        kept.insert(0, one)
    return " ".join([first, *kept])


def _subject(answered: str) -> str:
    """`Re:` and the subject that is answered; an e-mail without one is answered by `Re:` alone."""
    line = one_line(answered, bytes_max=SUBJECT_BYTES_MAX - len("Re: "))
    before = _ALREADY_ANSWERED.match(line)
    return f"Re: {line[before.end() :] if before else line}".rstrip()


def _first_id(text: str) -> str | None:
    """`text` where it is one message id and nothing else."""
    return text.strip() if _ID.fullmatch(text.strip()) else None
