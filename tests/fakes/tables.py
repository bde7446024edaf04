"""A DynamoDB table in memory, shaped by the template's schema.

Guarantee: it lies only where the contract suite shows DynamoDB's engines to tell the same lie.

It takes copies in and gives copies out, evaluates the very conditions and changes that `aws/expressions.py` renders,
and counts what DynamoDB would bill. Time to live deletes nothing by itself: DynamoDB is days late too.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, partial
from typing import Any, Literal, NamedTuple, Protocol

from chalicelib.aws.attributes import item_from_wire, item_to_wire
from chalicelib.clock import Deadline
from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.ports.tables import (
    Change,
    Compares,
    Condition,
    Item,
    Key,
    Page,
    Read,
    Refused,
    Written,
)
from infrastructure.template import IndexSchema, TableSchema
from tests.fakes.faults import Call, Fault, FaultPlan
from tests.fakes.rows import NUMBERS, copied, has_room_for_numbers, holds, item_bytes

ITEM_BYTES_MAX = 409_600
HASH_KEY_BYTES_MAX, RANGE_KEY_BYTES_MAX = 2_048, 1_024
PAGE_BYTES = 1_048_576
READ_UNIT_BYTES = 4_096
WRITE_UNIT_BYTES = 1_024
WRITES_PER_CALL = 25
READS_PER_CALL = 100


@dataclass
class Consumed:
    """What DynamoDB would bill for a table's calls so far."""

    read_units: float = 0.0
    """4 KB each, strongly consistent; half of one where eventually consistent."""
    write_units: int = 0
    """1 KB each, of the table."""
    index_write_units: int = 0
    """1 KB each, of all indexes."""


class RowId(NamedTuple):
    """The values of a row's key; the range key is empty where the table has none."""

    hash_value: str
    range_value: str


@dataclass
class _Store:
    """What all copies of one table share."""

    schema: TableSchema
    page_bytes: int
    rows: dict[RowId, Item] = field(default_factory=dict)
    consumed: Consumed = field(default_factory=Consumed)
    late: dict[RowId, Item | None] = field(default_factory=dict)


@cache
def _call(
    operation: str,
    resource: str,
    kind: Literal["read", "write"],
    is_conditional: bool,
    index: str | None,
    is_consistent: bool,
) -> Call:
    codes = Code.DB_TRANSIENT_ERROR, Code.DB_QUERY_ERROR
    return Call(operation, resource, kind, *codes, is_conditional, index, is_consistent)


class _HasSchema(Protocol):
    hash_key: str
    range_key: str | None


class InMemoryTable:
    """One table; see `chalicelib.ports.tables.Table`.

    Args:
        schema: from `infrastructure.template.load`.
        plan: shared by all fakes of a test.
        page_bytes: how much of the table one page of a query or a scan reads, at least one row.
    """

    def __init__(self, schema: TableSchema, plan: FaultPlan | None = None, *, page_bytes: int = PAGE_BYTES) -> None:
        self.plan = plan or FaultPlan()
        self._store = _Store(schema, page_bytes)
        self.deadline: Deadline | None = None

    @property
    def name(self) -> str:
        return self._store.schema.name

    @property
    def schema(self) -> TableSchema:
        return self._store.schema

    @property
    def consumed(self) -> Consumed:
        """What was consumed so far; a copy, to be compared with a later one."""
        return copy.copy(self._store.consumed)

    @property
    def rows(self) -> list[Item]:
        """All rows, in order of their keys; copies, uncounted."""
        return [copied(row) for _, row in sorted(self._store.rows.items())]

    def seed(self, *items: Mapping[str, Any]) -> None:
        """Put rows there, uncounted and without faults: what the company's own systems or the past have written."""
        for item in items:
            row = self._checked("PutItem", item)
            self._store.rows[self._id_of(row)] = row

    def row(self, key: Key) -> Item | None:
        """The row at `key`; a copy, uncounted."""
        return copied(self._store.rows.get(self._id_of(key)))

    def lag(self, key: Key, row: Item | None) -> None:
        """Let reads of `key` that need not be consistent see this, as a replica that is behind; None: no row."""
        self._store.late[self._id_of(key)] = row if row is None else self._checked_type(row)

    def expire(self, epoch_seconds: int) -> None:
        """Delete what DynamoDB's time to live would by then."""
        ttl = self.schema.ttl_attribute
        assert ttl is not None, f"{self.name} has no time to live"
        for row_id, row in list(self._store.rows.items()):
            if isinstance(row.get(ttl), Decimal) and row[ttl] < epoch_seconds:
                del self._store.rows[row_id]

    def within(self, deadline: Deadline) -> InMemoryTable:
        bounded = object.__new__(type(self))
        vars(bounded).update(vars(self), deadline=deadline)
        return bounded

    def get(self, key: Key, *, attributes: Sequence[str] = (), is_consistent: bool = True) -> Item | None:
        read = partial(self._read, "GetItem", key, attributes, is_consistent=is_consistent)
        return self._perform("GetItem", "read", read, is_consistent=is_consistent)

    def get_together(self, reads: Sequence[Read]) -> list[Item | None]:
        assert len(reads) <= READS_PER_CALL, f"{len(reads)} reads, and one call takes {READS_PER_CALL}"
        if not reads:
            return []
        return self._perform(
            "BatchGetItem",
            "read",
            lambda: [_table_of(read)._read("BatchGetItem", read.key, read.attributes) for read in reads],
            resource=", ".join(dict.fromkeys(read.table.name for read in reads)),
        )

    def put(self, item: Item, *, when: Condition | None = None) -> Written | Refused:
        new = self._checked_type(item)
        return self._write("PutItem", item, when, lambda _: (self._checked("PutItem", new), {}))

    def update(self, key: Key, change: Change, *, when: Condition, read_back: bool = False) -> Written | Refused:
        def changed(old: Item | None) -> tuple[Item, Item]:
            new = self._checked("UpdateItem", self._changed(old or dict(key), change))
            return new, self._copied(new) if read_back else {}

        self._checked_type({**change.set, **change.append, **change.add})
        return self._write("UpdateItem", key, when, changed)

    def delete(self, key: Key, *, when: Condition | None = None) -> Written | Refused:
        return self._write("DeleteItem", key, when, lambda _: (None, {}))

    def put_many(self, items: Sequence[Item]) -> None:
        self._write_many([(item, self._checked_type(item)) for item in items])

    def delete_many(self, keys: Sequence[Key]) -> None:
        self._write_many([(dict(key), None) for key in {frozenset(key.items()): key for key in keys}.values()])

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
        under: Condition = Compares(hash_key[0], "=", hash_key[1])
        wanted = under if range_key is None else under & range_key
        read = _Reading(wanted, keep, attributes, index)
        left, after = limit, None
        while left is None or left > 0:
            page, after, count = self._perform(
                "Query", "read", lambda after=after, left=left: self._page("Query", read, after, left), index=index
            )
            yield from page
            if after is None:
                return
            if left is not None:
                left -= count

    def scan(
        self,
        *,
        start: Key | None = None,
        keep: Condition | None = None,
        index: str | None = None,
        segment: tuple[int, int] | None = None,
    ) -> Page:
        read = _Reading(None, keep, (), index, segment)
        after = None if start is None else _order_in_table(self._id_of(start))
        page, last, _ = self._perform("Scan", "read", lambda: self._page("Scan", read, after, None))
        return Page(page, None if last is None else self._key_at(last, index))

    # What a call is to the plan, and what it consumes.

    def _perform(
        self,
        operation: str,
        kind: Literal["read", "write"],
        apply: Callable[[], Any],
        *,
        is_conditional: bool = False,
        own_write: Callable[[Any], Any] | None = None,
        resource: str | None = None,
        index: str | None = None,
        is_consistent: bool = True,
    ) -> Any:
        if self.deadline is not None:
            self.deadline.check(f"{operation} {resource or self.name}", Code.DB_TRANSIENT_ERROR)
        call = _call(operation, resource or self.name, kind, is_conditional, index, is_consistent)

        def applied(fault: Fault | None) -> Any:
            answer = apply()
            return own_write(answer) if fault is Fault.REFUSED_BY_OWN_WRITE and own_write is not None else answer

        return self.plan.perform(call, applied)

    def _refusal(self, operation: str) -> Misconfigured:
        return Misconfigured(Code.DB_QUERY_ERROR, f"{operation} {self.name}: ValidationException")

    # One row.

    def _read(self, operation: str, key: Key, attributes: Sequence[str], *, is_consistent: bool = True) -> Item | None:
        row_id = self._checked_id(operation, key)
        now = self._store.rows.get(row_id)
        row = now if is_consistent else self._store.late.get(row_id, now)
        units = max(1, math.ceil(self._bytes(row or {}) / READ_UNIT_BYTES))
        self._store.consumed.read_units += units if is_consistent else units / 2
        return None if row is None else self._projected(row, attributes)

    def _write(
        self,
        operation: str,
        key: Mapping[str, Any],
        when: Condition | None,
        change: Callable[[Item | None], tuple[Item | None, Item]],
    ) -> Written | Refused:
        """One write; `change` makes the new row (None: none) and the answer's item of the old row."""

        def apply() -> Written | Refused:
            row_id = self._checked_id(operation, key)
            old = self._store.rows.get(row_id)
            if when is not None and not holds(when, old or {}):
                self._store.consumed.write_units += self._write_units(old)
                return Refused(self._copied(old or {}))
            new, answer = change(self._copied(old))
            self._replace(row_id, new)
            return Written(answer)

        def refused_by_own_write(answer: Written | Refused) -> Written | Refused:
            return Refused(self.row(key) or {}) if isinstance(answer, Written) else answer

        return self._perform(operation, "write", apply, is_conditional=when is not None, own_write=refused_by_own_write)

    def _write_many(self, writes: Sequence[tuple[Mapping[str, Any], Item | None]]) -> None:
        for first in range(0, len(writes), WRITES_PER_CALL):
            chunk = writes[first : first + WRITES_PER_CALL]
            try:
                self._perform("BatchWriteItem", "write", lambda chunk=chunk: self._write_chunk(chunk))
            except TryAgain as error:
                raise TryAgain(error.code, error.detail, maybe_applied=error.maybe_applied or first > 0) from error

    def _write_chunk(self, chunk: Sequence[tuple[Mapping[str, Any], Item | None]]) -> None:
        rows = [
            (self._checked_id("BatchWriteItem", key), None if new is None else self._checked("BatchWriteItem", new))
            for key, new in chunk
        ]
        if len({row_id for row_id, _ in rows}) < len(rows):
            raise self._refusal("BatchWriteItem")
        for row_id, new in rows:
            self._replace(row_id, new)

    def _replace(self, row_id: RowId, new: Item | None) -> None:
        self.bill_write(self._store.rows.get(row_id), new)
        if new is None:
            self._store.rows.pop(row_id, None)
        else:
            self._store.rows[row_id] = new

    def _changed(self, old: Item, change: Change) -> Item:
        """`old` after `change`; every part of the change sees the row as it was."""
        names = [*change.set, *change.append, *change.add, *change.remove, *change.remove_first, *change.mark]
        if len(set(names)) < len(names) or set(names) & {self.schema.hash_key, self.schema.range_key}:
            raise self._refusal("UpdateItem")
        new = {**old, **change.set}
        for name, elements in change.append.items():
            new[name] = [*self._of_type(list, old.get(name, [])), *elements]
        for name, number in change.add.items():
            new[name] = NUMBERS.add(self._of_type(Decimal, old.get(name, Decimal(0))), number)
        for name in change.remove:
            new.pop(name, None)
        for name, marks in change.mark.items():
            elements = list(self._of_type(list, old.get(name)))
            for index, members in marks.items():
                if index >= len(elements):
                    raise self._refusal("UpdateItem")
                elements[index] = {**self._of_type(dict, elements[index]), **members}
            new[name] = elements
        for name, count in change.remove_first.items():
            if count:
                new[name] = self._of_type(list, old.get(name))[count:]
        return new

    def _of_type(self, kind: type, value: Any) -> Any:
        if not isinstance(value, kind):
            raise self._refusal("UpdateItem")
        return value

    # Many rows.

    def _page(
        self, operation: str, read: _Reading, after: tuple[Any, ...] | None, limit: int | None
    ) -> tuple[list[Item], tuple[Any, ...] | None, int]:
        """The rows of one page, where it ended (None: at the end), and how many rows it looked at."""
        candidates = self._candidates(operation, read, after)
        bytes_read = count = 0
        while count < len(candidates) and count != limit and bytes_read < self._store.page_bytes:
            bytes_read += self._bytes(candidates[count][1])
            count += 1
        units = max(1, math.ceil(bytes_read / READ_UNIT_BYTES))
        self._store.consumed.read_units += units if read.index is None else units / 2
        rows = [row for _, row in candidates[:count] if read.keep is None or holds(read.keep, row)]
        last = candidates[count - 1][0] if count < len(candidates) else None
        return [self._projected(row, read.attributes) for row in rows], last, count

    def _candidates(
        self, operation: str, read: _Reading, after: tuple[Any, ...] | None
    ) -> list[tuple[tuple[Any, ...], Item]]:
        """The rows that a page may read, with their order, behind `after`."""
        if read.index is None:
            schema: _HasSchema = self.schema
            rows = self._store.rows
        else:
            if read.index not in self.schema.indexes:
                raise self._refusal(operation)
            index = self.schema.indexes[read.index]
            schema = index
            entries = ((row_id, _index_entry(index, row)) for row_id, row in self._store.rows.items())
            rows = {row_id: entry for row_id, entry in entries if entry is not None}
        if read.wanted is None:
            ordered = [
                (_order_in_table(row_id), row) for row_id, row in rows.items() if _is_in_segment(row_id, read.segment)
            ]
        else:
            found = ((row_id, row) for row_id, row in rows.items() if holds(read.wanted, row))
            ordered = [((row.get(schema.range_key or "", ""), *row_id), row) for row_id, row in found]
        behind = (one for one in ordered if after is None or one[0] > after)
        return sorted(behind, key=lambda one: one[0])

    def _key_at(self, order: tuple[Any, ...], index: str | None) -> dict[str, str]:
        """Where a page ended: the keys of its last row, and those under which the index has it."""
        names = [self.schema.hash_key] + ([self.schema.range_key] if self.schema.range_key else [])
        key = dict(zip(names, order[1:], strict=False))
        schema = self.schema.indexes.get(index or "")
        if schema is not None:
            row = self._store.rows[self._id_of(key)]
            key |= {name: row[name] for name in (schema.hash_key, schema.range_key) if name is not None}
        return key

    # What DynamoDB takes.

    def _id_of(self, key: Mapping[str, Any]) -> RowId:
        return RowId(key[self.schema.hash_key], key[self.schema.range_key] if self.schema.range_key else "")

    def _checked_id(self, operation: str, key: Mapping[str, Any]) -> RowId:
        for name, bytes_max in (
            (self.schema.hash_key, HASH_KEY_BYTES_MAX),
            (self.schema.range_key, RANGE_KEY_BYTES_MAX),
        ):
            value = key.get(name) if name is not None else "none"
            if not isinstance(value, str) or not 0 < len(value.encode()) <= bytes_max:
                raise self._refusal(operation)
        return self._id_of(key)

    @staticmethod
    def _checked_type(item: Mapping[str, Any]) -> Item:
        """A copy of `item` as DynamoDB would return it.

        Raises:
            TypeError: a float, or another value that DynamoDB has no type for.
        """
        return item_from_wire(item_to_wire(item))

    def _checked(self, operation: str, item: Mapping[str, Any]) -> Item:
        """A copy of `item` as DynamoDB would keep it: keys of the table and of the indexes, and its size, are right."""
        self._checked_id(operation, item)
        index_keys = {name for index in self.schema.indexes.values() for name in (index.hash_key, index.range_key)}
        for name in (index_keys - {None}) & item.keys():
            if not isinstance(item[name], str) or not item[name]:
                raise self._refusal(operation)
        row = self._checked_type(item)
        if item_bytes(row) > ITEM_BYTES_MAX or not has_room_for_numbers(row):
            raise self._refusal(operation)
        return row

    # What every call costs, in the world and here; a simulation's tables leave it out.

    @staticmethod
    def _copied(value: Any) -> Any:
        return copied(value)

    @staticmethod
    def _bytes(row: Item) -> int:
        return item_bytes(row)

    def _projected(self, row: Item, attributes: Sequence[str]) -> Item:
        names = attributes or row.keys()
        return {name: self._copied(row[name]) for name in names if name in row}

    def _write_units(self, row: Item | None) -> int:
        return max(1, math.ceil(self._bytes(row or {}) / WRITE_UNIT_BYTES))

    def bill_write(self, old: Item | None, new: Item | None) -> None:
        consumed = self._store.consumed
        consumed.write_units += max(self._write_units(old), self._write_units(new))
        for index in self.schema.indexes.values():
            consumed.index_write_units += self._index_write_units(index, old, new)

    def _index_write_units(self, index: IndexSchema, old: Item | None, new: Item | None) -> int:
        before, after = _index_entry(index, old), _index_entry(index, new)
        if before == after:
            return 0
        if before is None or after is None:
            return self._write_units(before or after)
        keys = [index.hash_key, *([index.range_key] if index.range_key else [])]
        if any(before[name] != after[name] for name in keys):
            return self._write_units(before) + self._write_units(after)  # one entry goes, another comes
        return max(self._write_units(before), self._write_units(after))


@dataclass(frozen=True)
class _Reading:
    """What a query or a scan asks for."""

    wanted: Condition | None
    keep: Condition | None
    attributes: Sequence[str]
    index: str | None
    segment: tuple[int, int] | None = None


def _index_entry(index: IndexSchema, row: Item | None) -> Item | None:
    """What stands in an index for `row`; None: nothing, because a key of the index is missing."""
    if row is None or index.hash_key not in row or (index.range_key is not None and index.range_key not in row):
        return None
    return {name: row[name] for name in index.projected if name in row}


def _order_in_table(row_id: RowId) -> tuple[Any, ...]:
    """Where a scan meets a row: hash keys in no order that means anything, range keys in theirs."""
    return hashlib.sha256(row_id.hash_value.encode()).hexdigest(), *row_id


def _is_in_segment(row_id: RowId, segment: tuple[int, int] | None) -> bool:
    """Segments split a table by its hash keys."""
    return segment is None or int(hashlib.sha256(row_id.hash_value.encode()).hexdigest(), 16) % segment[1] == segment[0]


def _table_of(read: Read) -> InMemoryTable:
    assert isinstance(read.table, InMemoryTable)
    return read.table
