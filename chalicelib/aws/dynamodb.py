"""Tables of DynamoDB: conditions and changes as expressions, reads to the last page, consistent unless less is asked.

Every name and every value stands behind a placeholder, so reserved words are allowed. botocore tries a call more than
once. After a lost answer, our own write can refuse the conditional write's next try. `Refused` carries the row, so that
the caller sees whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.aws.attributes import item_from_wire, item_to_wire
from chalicelib.aws.calls import Service
from chalicelib.aws.expressions import Expressions, Request, projected
from chalicelib.clock import Deadline
from chalicelib.errors import TryAgain
from chalicelib.ports.tables import Change, Compares, Condition, Item, Key, Page, Read, Refused, Written

WRITES_PER_CALL = 25
"""What BatchWriteItem takes in one call."""

READS_PER_CALL = 100
"""What BatchGetItem takes in one call."""

BATCH_CALLS_MAX = 5
"""Calls after which a batch that DynamoDB processes only in part is given back to the caller."""

_REFUSAL = "ConditionalCheckFailedException"


@dataclass(frozen=True)
class DynamoTable:
    """One table of DynamoDB; see `chalicelib.ports.tables.Table`."""

    service: Service
    name: str
    deadline: Deadline | None = None

    def within(self, deadline: Deadline) -> DynamoTable:
        return DynamoTable(self.service, self.name, deadline)

    def get(self, key: Key, *, attributes: Sequence[str] = (), is_consistent: bool = True) -> Item | None:
        request = {"Key": item_to_wire(key), "ConsistentRead": is_consistent, **projected(tuple(attributes))}
        answer = self._call("GetItem", {"TableName": self.name, **request})
        return item_from_wire(answer["Item"]) if "Item" in answer else None

    def get_together(self, reads: Sequence[Read]) -> list[Item | None]:
        assert len(reads) <= READS_PER_CALL, f"{len(reads)} reads, and one call takes {READS_PER_CALL}"
        tables = {read.table.name: tuple(read.key) for read in reads}
        found: dict[tuple[str, _KeyId], Item] = {}
        pending = _asked_of_tables(reads)
        for _ in range(BATCH_CALLS_MAX):
            if not pending:
                break
            answer = self._call("BatchGetItem", {"RequestItems": pending}, resource=", ".join(tables))
            for table, rows in answer["Responses"].items():
                for row in map(item_from_wire, rows):
                    found[table, _key_id({name: row[name] for name in tables[table]})] = row
            pending = answer.get("UnprocessedKeys", {})
        if pending:
            raise self._given_up("BatchGetItem")
        return [_picked(found.get((read.table.name, _key_id(read.key))), read.attributes) for read in reads]

    def put(self, item: Item, *, when: Condition | None = None) -> Written | Refused:
        return self._write("PutItem", {"Item": item_to_wire(item)}, Expressions(), when)

    def update(self, key: Key, change: Change, *, when: Condition, read_back: bool = False) -> Written | Refused:
        expressions = Expressions()
        request: Request = {"Key": item_to_wire(key)}
        if read_back:
            request["ReturnValues"] = "ALL_NEW"
        if expression := expressions.change(change):
            request["UpdateExpression"] = expression
        return self._write("UpdateItem", request, expressions, when)

    def delete(self, key: Key, *, when: Condition | None = None) -> Written | Refused:
        return self._write("DeleteItem", {"Key": item_to_wire(key)}, Expressions(), when)

    def put_many(self, items: Sequence[Item]) -> None:
        self._write_many([{"PutRequest": {"Item": item_to_wire(item)}} for item in items])

    def delete_many(self, keys: Sequence[Key]) -> None:
        distinct = {_key_id(key): key for key in keys}.values()  # BatchWriteItem refuses one key twice
        self._write_many([{"DeleteRequest": {"Key": item_to_wire(key)}} for key in distinct])

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
        expressions = Expressions()
        under: Condition = Compares(hash_key[0], "=", hash_key[1])
        # DynamoDB takes a key condition without the brackets that conditions elsewhere may have.
        conditions = [under] if range_key is None else [under, range_key]
        request: Request = {"KeyConditionExpression": " AND ".join(map(expressions.condition, conditions))}
        request |= {"ConsistentRead": True} if index is None else {"IndexName": index}
        if keep is not None:
            request["FilterExpression"] = expressions.condition(keep)
        request |= expressions.projection(attributes)
        return self._pages(self._named(request, expressions), limit)

    def scan(
        self,
        *,
        start: Key | None = None,
        keep: Condition | None = None,
        index: str | None = None,
        segment: tuple[int, int] | None = None,
    ) -> Page:
        expressions = Expressions()
        request: Request = {"ConsistentRead": True} if index is None else {"IndexName": index}
        if start is not None:
            request["ExclusiveStartKey"] = item_to_wire(start)
        if keep is not None:
            request["FilterExpression"] = expressions.condition(keep)
        if segment is not None:
            request["Segment"], request["TotalSegments"] = segment
        answer = self._call("Scan", self._named(request, expressions))
        last = answer.get("LastEvaluatedKey")
        return Page([item_from_wire(row) for row in answer["Items"]], item_from_wire(last) if last else None)

    def _pages(self, request: Request, limit: int | None) -> Iterator[Item]:
        left = limit
        while left is None or left > 0:
            answer = self._call("Query", request if left is None else {**request, "Limit": left})
            yield from map(item_from_wire, answer["Items"])
            if not answer.get("LastEvaluatedKey"):
                return
            request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}
            if left is not None:
                left -= answer["ScannedCount"]

    def _write(
        self, operation: str, request: Request, expressions: Expressions, when: Condition | None
    ) -> Written | Refused:
        if when is not None:
            request["ConditionExpression"] = expressions.condition(when)
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        answer = self._call(operation, self._named(request, expressions), refusal=_REFUSAL)
        if "Error" in answer:
            return Refused(item_from_wire(answer.get("Item", {})))
        return Written(item_from_wire(answer.get("Attributes", {})))

    def _write_many(self, writes: Sequence[Request]) -> None:
        for first in range(0, len(writes), WRITES_PER_CALL):
            pending = {self.name: writes[first : first + WRITES_PER_CALL]}
            for attempt in range(BATCH_CALLS_MAX):
                try:
                    answer = self._call("BatchWriteItem", {"RequestItems": pending})
                except TryAgain as error:
                    was_begun = first > 0 or attempt > 0
                    raise TryAgain(error.code, error.detail, maybe_applied=error.maybe_applied or was_begun) from error
                pending = answer.get("UnprocessedItems", {})
                if not pending:
                    break
            else:
                raise self._given_up("BatchWriteItem")

    def _named(self, request: Request, expressions: Expressions) -> Request:
        return {"TableName": self.name, **request, **expressions.placeholders()}

    def _call(
        self, operation: str, request: Request, *, resource: str | None = None, refusal: str | None = None
    ) -> dict[str, Any]:
        return self.service.call(operation, resource or self.name, request, deadline=self.deadline, refusal=refusal)

    def _given_up(self, operation: str) -> TryAgain:
        detail = f"{operation} {self.name}: still processed in part after {BATCH_CALLS_MAX} calls"
        return TryAgain(self.service.transient, detail, maybe_applied=True)


_KeyId = frozenset[tuple[str, str]]


def _key_id(key: Key) -> _KeyId:
    return frozenset(key.items())


def _asked_of_tables(reads: Sequence[Read]) -> dict[str, Request]:
    """BatchGetItem's request: each key once, and of each table one projection that has what any read asks for."""
    by_table: dict[str, list[Read]] = {}
    for read in reads:
        by_table.setdefault(read.table.name, []).append(read)
    asked = {}
    for table, its_reads in by_table.items():
        attributes: set[str] = set()
        if all(read.attributes for read in its_reads):
            attributes.update(*(read.attributes for read in its_reads), its_reads[0].key)
        request = projected(tuple(sorted(attributes)))
        keys = {_key_id(read.key): read.key for read in its_reads}.values()
        asked[table] = {"Keys": [item_to_wire(key) for key in keys], "ConsistentRead": True, **request}
    return asked


def _picked(row: Item | None, attributes: Sequence[str]) -> Item | None:
    if row is None or not attributes:
        return row
    return {name: row[name] for name in attributes if name in row}
