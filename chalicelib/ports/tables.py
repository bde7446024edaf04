"""What the engine asks of a table: conditions and changes as values, and a refusal as a value too.

A condition is data. `aws/dynamodb.py` renders it for DynamoDB, and the in-memory table of the tests evaluates the same
object. So no condition is a string glued together, and no attribute has a second spelling.

A refused conditional write is no error. It returns the row that refused it, so the caller can see whose it is. It may
be the caller's own write, applied on a try whose answer was lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from chalicelib.clock import Deadline

Item = dict[str, Any]
"""One row: strings, numbers (int or Decimal), booleans, None, lists and maps."""

Key = Mapping[str, str]
"""The key attributes of one row by name."""

Comparison = Literal["=", "<>", "<", "<=", ">", ">="]

REMOVE_FIRST_MAX = 400
"""How many elements one update takes from the front of a list: DynamoDB's expressions end at 4 KB."""


class Condition:
    """Something that holds or does not hold of a row; `&` and `|` combine."""

    def __and__(self, other: Condition) -> Condition:
        return Both(self, other)

    def __or__(self, other: Condition) -> Condition:
        return Either(self, other)


@dataclass(frozen=True)
class Compares(Condition):
    """The attribute is there and compares so with the value."""

    attribute: str
    comparison: Comparison
    value: Any


@dataclass(frozen=True)
class Exists(Condition):
    """The attribute is there, whatever it holds."""

    attribute: str


@dataclass(frozen=True)
class Missing(Condition):
    """The attribute, or the whole row, is not there."""

    attribute: str


@dataclass(frozen=True)
class ElementIs(Condition):
    """The attribute is a list whose element at `index` equals the value, or is a map whose member `name` does."""

    attribute: str
    index: int
    value: Any
    name: str | None = None


@dataclass(frozen=True)
class Both(Condition):
    """Both conditions hold."""

    left: Condition
    right: Condition


@dataclass(frozen=True)
class Either(Condition):
    """At least one of the conditions holds."""

    left: Condition
    right: Condition


@dataclass(frozen=True)
class Attr:
    """Names an attribute in order to say something of it: `Attr("version").eq(3)`."""

    name: str

    def eq(self, value: Any) -> Condition:
        return Compares(self.name, "=", value)

    def ne(self, value: Any) -> Condition:
        """Not equal, or missing."""
        return Compares(self.name, "<>", value)

    def lt(self, value: Any) -> Condition:
        return Compares(self.name, "<", value)

    def le(self, value: Any) -> Condition:
        return Compares(self.name, "<=", value)

    def gt(self, value: Any) -> Condition:
        return Compares(self.name, ">", value)

    def exists(self) -> Condition:
        return Exists(self.name)

    def missing(self) -> Condition:
        return Missing(self.name)

    def has_at(self, index: int, value: Any, *, name: str | None = None) -> Condition:
        return ElementIs(self.name, index, value, name)

    def stays(self, value: Any) -> Condition:
        """As it was read: equal to `value`; where that is None, missing or null, which reads alike."""
        return self.missing() | self.eq(None) if value is None else self.eq(value)


@dataclass(frozen=True)
class Change:
    """What an update does to one row, all of it or nothing."""

    set: Mapping[str, Any] = field(default_factory=dict)
    append: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Elements to put at the end of a list attribute; a missing list counts as empty."""
    add: Mapping[str, int] = field(default_factory=dict)
    """Numbers to add; a missing attribute counts as zero."""
    remove: Sequence[str] = ()
    remove_first: Mapping[str, int] = field(default_factory=dict)
    """How many elements to take from the front of a list attribute, at most `REMOVE_FIRST_MAX`."""
    mark: Mapping[str, Mapping[int, Mapping[str, Any]]] = field(default_factory=dict)
    """Members to set on the maps at these positions of a list attribute, which may not change otherwise."""

    def __post_init__(self) -> None:
        assert all(count <= REMOVE_FIRST_MAX for count in self.remove_first.values()), self.remove_first


@dataclass(frozen=True)
class Written:
    """The write happened; `item` is the row after an update that reads it back, and otherwise empty."""

    item: Item


@dataclass(frozen=True)
class Refused:
    """The condition did not hold; `item` is the row that refused it, empty where there is none."""

    item: Item


@dataclass(frozen=True)
class Read:
    """One row to be read: of which table, by which key, and which attributes (none named: all)."""

    table: Table
    key: Key
    attributes: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """One page of a scan: its rows, and where the next page starts (None: this was the last)."""

    items: Sequence[Item]
    next_start: Key | None


class Table(Protocol):
    """One table.

    Every call raises `TryAgain` (throttled, unreachable, answer lost: see `maybe_applied`) or `Misconfigured` (no such
    table or index, no right, a request that the table does not take). Reads of rows are strongly consistent unless
    the caller asks for less; reads of an index cannot be.
    """

    @property
    def name(self) -> str: ...

    @property
    def deadline(self) -> Deadline | None:
        """After which its calls are refused; None: never."""

    def within(self, deadline: Deadline) -> Table:
        """The same table, whose calls are refused once `deadline` has passed."""

    def get(self, key: Key, *, attributes: Sequence[str] = (), is_consistent: bool = True) -> Item | None:
        """The row at `key`, or None; without `is_consistent` perhaps as it was a moment ago, at half the price."""

    def get_together(self, reads: Sequence[Read]) -> list[Item | None]:
        """Up to 100 rows of this and other tables in one call, in the order asked for. Not one snapshot."""

    def put(self, item: Item, *, when: Condition | None = None) -> Written | Refused:
        """Write the whole row."""

    def update(self, key: Key, change: Change, *, when: Condition, read_back: bool = False) -> Written | Refused:
        """Change the row at `key`; without `Attr(...).exists()` in `when` a missing row would be created.

        `read_back`: whether the answer has the whole row as the update left it.
        """

    def delete(self, key: Key, *, when: Condition | None = None) -> Written | Refused:
        """Delete the row at `key`; a row that is not there is no error."""

    def put_many(self, items: Sequence[Item]) -> None:
        """Write rows without conditions, 25 a call."""

    def delete_many(self, keys: Sequence[Key]) -> None:
        """Delete rows without conditions, 25 a call."""

    def query(
        self,
        hash_key: tuple[str, str],
        *,
        index: str | None = None,
        range_key: Condition | None = None,
        keep: Condition | None = None,
        attributes: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[Item]:
        """The rows under one hash key in order of the range key, all pages, read as they are consumed.

        Args:
            hash_key: name and value of the hash key, of the table or of the index.
            index: the index to read instead of the table; eventually consistent.
            range_key: a comparison of the range key.
            keep: what a row must satisfy to be returned; applied after `limit`.
            attributes: which attributes to return; none named: all that are projected.
            limit: read at most so many rows.
        """

    def scan(
        self,
        *,
        start: Key | None = None,
        keep: Condition | None = None,
        index: str | None = None,
        segment: tuple[int, int] | None = None,
    ) -> Page:
        """One page of all rows, of the table or of an index of it.

        Args:
            start: where the page before ended; None: from the beginning.
            keep: what a row must satisfy to be returned.
            index: the index to read instead of the table; eventually consistent.
            segment: the rows of this segment alone: its number from 0, and how many segments there are.
        """


@dataclass(frozen=True)
class Tables:
    """The tables of one deployment."""

    conversations: Table
    stage: Table
    trigger_lock: Table
    history: Table
    sends: Table
    unknown_senders: Table

    def within(self, deadline: Deadline) -> Tables:
        """The same tables, whose calls are refused once `deadline` has passed."""
        return Tables(
            conversations=self.conversations.within(deadline),
            stage=self.stage.within(deadline),
            trigger_lock=self.trigger_lock.within(deadline),
            history=self.history.within(deadline),
            sends=self.sends.within(deadline),
            unknown_senders=self.unknown_senders.within(deadline),
        )
