"""What a batch was about that has ended without an answer."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.protocol.entries import asked_in


def entry(name: str, batch_id: str | None = None, direction: str = "INBOUND", **marks: Any) -> dict[str, Any]:
    text = {"content": "text", "timestamp": "2026-01-31T18:00:00+00:00", "channel_type": "sms"}
    addresses = {"sender": "+1", "recipient": "+2"}
    own = {"batch_id": batch_id} if batch_id else {}
    return {"message_id": name, "direction": direction, **text, "metadata": addresses, **own, **marks}


@pytest.mark.parametrize(
    ("entries", "asked"),
    [
        ([entry("1", "b"), entry("2", "b")], ["1", "2"]),
        ([entry("0", "a"), entry("x", "a", "OUTBOUND"), entry("1", "b")], ["1"]),
        ([entry("0", "a"), entry("1", "b")], ["0", "1"]),
        ([entry("0", "a")], ["0"]),
        ([entry("1", "b"), entry("x", "b", "OUTBOUND"), entry("2", "b")], ["1", "2"]),
        ([entry("1", "b"), entry("note", None, "OUTBOUND")], ["1"]),
        ([entry("1", "b", refused="CODE"), entry("2", "b", opt_out="STOP"), entry("3", "b", handed_off=True)], []),
        ([entry("1", "b"), "what the company put there", {"message_id": "2", "batch_id": "b"}], ["1"]),
        ([], []),
    ],
    ids=[
        "its own",
        "not what was answered before",
        "what it carried",
        "all of it carried",
        "beside an interim message of its own",
        "before a note of the company",
        "not what has ended by itself",
        "not what is damaged",
        "nothing",
    ],
)
def test_a_batch_was_about_its_own_messages_and_those_that_it_carried(entries: list[Any], asked: list[str]):
    """In the order of the record."""
    assert [one["message_id"] for one in asked_in(entries, "b")] == asked
