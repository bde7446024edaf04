"""The segments of a long scan: several sweeps at once share it, and one that stops is continued.

    free --take--> held --keep place--> held --finish--> resting, for as long as a sweep is away
                    |--leave--> free, at its place
                    `--the lease runs out (its sweep died)--> free, at its place

Each segment has a row in the trigger lock table, under an id that no conversation has. Nothing depends on it: two
sweeps that scan one segment repair a row twice at worst, and repairs are conditional or spare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.clock import Clock, epoch
from chalicelib.ports.tables import Attr, Change, Item, Key, Refused, Table, Written
from chalicelib.protocol.record import CONVERSATION_ID
from chalicelib.protocol.trigger_lock import EXPIRES_AT

LEASE_SECONDS = 120
"""How long a segment is held without a word of its sweep; longer than a page takes."""

REST_SECONDS = 45
"""How long a segment rests that was scanned to its end: less than the time between two sweeps."""

_TTL_SECONDS = 3_600

_PLACE = "place"
_HELD_UNTIL = "held_until"
_TOKEN = "token"  # noqa: S105 - the name of an attribute


@dataclass(frozen=True)
class Segment:
    """One segment, held by this sweep."""

    number: int
    count: int
    """How many segments there are."""
    table: Table
    """The trigger lock table."""
    token: str
    """Of this sweep."""
    clock: Clock
    place: Key | None = None
    """Where its scan goes on; None: at its beginning."""

    @property
    def of_all(self) -> tuple[int, int]:
        """Its number, and how many there are."""
        return self.number, self.count

    def take(self) -> Segment | None:
        """The segment, held from now on, and where its scan goes on; None: another sweep holds it, or it rests."""
        now = self.clock.now()
        is_free = Attr(_HELD_UNTIL).missing() | Attr(_HELD_UNTIL).le(epoch(now))
        match self.table.update(self._key, self._held(now, LEASE_SECONDS), when=is_free, read_back=True):
            case Written(row):
                return self._at(row)
            case Refused(row) if row.get(_TOKEN) == self.token:
                return self._at(row)  # our own write, applied on a try whose answer was lost
            case Refused():
                return None

    def keep_place(self, place: Key) -> bool:
        """Remember where to go on, and hold the segment for longer; False: another sweep holds it by now."""
        return self._write(self._held(self.clock.now(), LEASE_SECONDS, place))

    def leave(self) -> None:
        """Let another sweep go on from the place."""
        self._write(Change(set={_HELD_UNTIL: epoch(self.clock.now())}, remove=(_TOKEN,)))

    def finish(self) -> None:
        """The segment was scanned to its end; the next sweep begins it anew."""
        self._write(Change(set={_HELD_UNTIL: epoch(self.clock.now()) + REST_SECONDS}, remove=(_TOKEN, _PLACE)))

    @property
    def _key(self) -> dict[str, str]:
        return {CONVERSATION_ID: f"#sweep/orphans/{self.number}/{self.count}"}

    def _at(self, row: Item) -> Segment:
        return replace(self, place=row.get(_PLACE))

    def _held(self, now: datetime, seconds: int, place: Key | None = None) -> Change:
        until = epoch(now) + seconds
        told = {_HELD_UNTIL: until, _TOKEN: self.token, EXPIRES_AT: until + _TTL_SECONDS}
        return Change(set=told if place is None else {**told, _PLACE: dict(place)})

    def _write(self, change: Change) -> bool:
        return isinstance(self.table.update(self._key, change, when=Attr(_TOKEN).eq(self.token)), Written)


def free_segments(table: Table, *, count: int, token: str, clock: Clock, first: int) -> Iterator[Segment]:
    """The segments that no other sweep holds, each held once it is handed out.

    Args:
        table: the trigger lock table.
        count: how many segments there are.
        token: of this sweep.
        clock: tells when a lease runs out.
        first: which one is tried first, so that sweeps at once begin at different ones.
    """
    for offset in range(count):
        taken = Segment((first + offset) % count, count, table, token, clock).take()
        if taken is not None:
            yield taken
