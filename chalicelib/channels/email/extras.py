"""What a context says about an e-mail besides its text and its attachments. `threading.py` threads the answer by it.

Guarantee: each value is one line, and all of them together fit the room that a staged row has for them.
"""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.channels.email.automatic import hints
from chalicelib.channels.email.headers import Headers, one_line, spoken
from chalicelib.channels.email.notes import Notes
from chalicelib.channels.email.threading import message_ids, thread


def extras_of(headers: Headers, beside: Mapping[str, str], notes: Notes, *, sender_name: str) -> dict[str, str]:
    """The extras of an e-mail; what it does not say is left out.

    Args:
        headers: its own.
        beside: what SendGrid tells beside them, by the names of its fields.
        notes: what could not be read is told there.
        sender_name: how its sender is called, as the header tells it.
    """

    def said(name: str, bytes_max: int) -> str:
        return spoken(beside.get(name) or headers.get(name), notes, bytes_max=bytes_max)

    told = {
        "subject": said("subject", 300),
        "email_message_id": _first_id(headers.get("message-id")),
        "in_reply_to": _first_id(headers.get("in-reply-to")),
        "references": thread(message_ids(headers.get("references"))) or "",
        "from_name": spoken(sender_name, notes, bytes_max=120),
        "cc": said("cc", 400),
        "reply_to": said("reply-to", 320),
        "date": said("date", 48),
        "automatic_hints": hints(headers),
        "spf": one_line(beside.get("SPF", ""), bytes_max=16).lower(),
        "dkim": one_line(beside.get("dkim", ""), bytes_max=200).lower(),
        "spam_score": one_line(beside.get("spam_score", ""), bytes_max=8),
    }
    return {name: value for name, value in told.items() if value}


def _first_id(value: str) -> str:
    """The message id of a header; empty: it has none that can stand in an answer's headers."""
    return next(iter(message_ids(value)), "")
