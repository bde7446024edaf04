"""Opt-out marks: on which channels of a conversation the customer wants no messages.

A mark belongs to a channel, as it does at the provider: STOP by SMS stops SMS. `conversation_lock.append` writes it.

Guarantees
    O1  Marks are computed from the record as read, and written only if the record has not changed since: a STOP on one
        channel and a START on another do not undo each other.
    O2  `opted_out: true` stops every channel until a START. Rows have it from before marks belonged to channels.
    O3  A trigger that finds a staged STOP marks its channel before it does anything else with the stage, and a START
        does not take the mark off where a later STOP of its channel is staged. For a START the stage is read once more
        after the record. A STOP that is staged after that writes the mark again while the START is staged, which
        refuses the START's update. So the mark of an acknowledged STOP is never taken off before its turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib.errors import Code, Misconfigured
from chalicelib.ports.tables import Item
from chalicelib.protocol.record import OPTED_OUT, OPTED_OUT_CHANNELS


@dataclass(frozen=True)
class OptOutMarks:
    """The marks as one read of the record found them."""

    is_of_record: bool
    """Whether every channel is stopped."""
    channels: frozenset[str]
    """The channels that are stopped each by a mark of its own."""

    @classmethod
    def from_item(cls, item: Item) -> OptOutMarks:
        """The marks of a row.

        Raises:
            Misconfigured: they have a shape that we never write.
        """
        channels = item.get(OPTED_OUT_CHANNELS) or ()
        if not isinstance(channels, list | set | tuple) or not all(isinstance(one, str) for one in channels):
            raise Misconfigured(Code.DB_QUERY_ERROR, f"{OPTED_OUT_CHANNELS} of a record is no list of channels")
        return cls(item.get(OPTED_OUT) is True, frozenset(channels))

    def stops(self, channel: str) -> bool:
        """Whether nothing is to be sent on a channel, and nothing of it goes to the AI or to people."""
        return self.is_of_record or channel in self.channels  # O2: the mark of an older row stops all.

    def after_stop(self, *channels: str) -> dict[str, Any]:
        """What a STOP on each of these channels writes; O1: with the marks of the other channels as they were read."""
        return {OPTED_OUT_CHANNELS: sorted(self.channels.union(channels))}

    def of_the_whole(self) -> dict[str, Any]:
        """What makes these marks one of the whole record (O2), as the versions before marks of channels read it."""
        return {OPTED_OUT: True, OPTED_OUT_CHANNELS: []}

    def after_start(self, channel: str) -> dict[str, Any]:
        """What a START on a channel writes: it takes off the channel's mark, and a mark of the whole record."""
        left = {OPTED_OUT_CHANNELS: sorted(self.channels - {channel})}
        return {**left, **({OPTED_OUT: False} if self.is_of_record else {})}
