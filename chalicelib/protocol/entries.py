"""The elements of the record's `messages`: ours, and whatever the company's systems put beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from chalicelib.clock import age
from chalicelib.ports.queues import encode

MESSAGE_ID = "message_id"
"""The key of an entry within `messages`."""


def entry_bytes(one: object) -> int:
    """The size of an entry, in bytes: as JSON, which is never much less than what DynamoDB counts and mostly more."""
    return len(encode({"": one}).encode())


def entry_id(entry: object) -> str | None:
    """The message id of an element of `messages`; None where the company put something else there."""
    # A dict is what nearly every entry is, and a question about its class costs more than one about its type.
    found = entry.get(MESSAGE_ID) if type(entry) is dict or isinstance(entry, Mapping) else None
    return found if isinstance(found, str) else None


def is_whole(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of ours still holds what it was written with."""
    metadata = entry.get("metadata")
    return isinstance(metadata, Mapping) and all(
        isinstance(text, str)
        for text in (
            metadata.get("sender"),
            metadata.get("recipient"),
            *(entry.get(name) for name in ("content", "timestamp", "channel_type")),
        )
    )


def asked_in(entries: Iterable[Any], batch_id: str | None) -> list[Mapping[str, Any]]:
    """What a batch was about that has ended and was not answered: its own messages, and those that it carried.

    It carried what came since the last message to the customer that was of no part of it.
    """
    whole = [one for one in entries if entry_id(one) is not None and is_whole(one)]
    others = [n for n, one in enumerate(whole) if one.get("direction") != "INBOUND" and one.get("batch_id") != batch_id]
    since = others[-1] if others else -1
    return [
        one
        for n, one in enumerate(whole)
        if one.get("direction") == "INBOUND"
        and (n > since or one.get("batch_id") == batch_id)
        and not one.keys() & {"handed_off", "refused", "opt_out"}
    ]


def waited(entries: Sequence[Mapping[str, Any]], now: datetime) -> timedelta:
    """How long the first received of these whole entries has waited."""
    return max(age(entry["timestamp"], now) for entry in entries)
