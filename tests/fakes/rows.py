"""What DynamoDB says of one row: whether a condition holds of it, and how many bytes it has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any

from chalicelib.ports.tables import Both, Compares, Condition, Either, ElementIs, Exists, Missing


def holds(condition: Condition, row: Mapping[str, Any]) -> bool:
    """Whether `condition` holds of `row` (empty: there is none), as DynamoDB would say."""
    match condition:
        case Exists(attribute):
            return attribute in row
        case Missing(attribute):
            return attribute not in row
        case ElementIs(attribute, index, value, name):
            element = _element(row.get(attribute), index)
            if name is not None:
                return isinstance(element, Mapping) and name in element and _typed(element[name]) == _typed(value)
            return element is not _ABSENT and _typed(element) == _typed(value)
        case Compares(attribute, comparison, value):
            return _compares(row, attribute, comparison, value)
        case Both(left, right):
            return holds(left, row) and holds(right, row)
        case Either(left, right):
            return holds(left, row) or holds(right, row)
        case _:
            raise AssertionError(f"no meaning for a {type(condition).__name__}")


_ABSENT = object()


def _element(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) and index < len(value) else _ABSENT


def _compares(row: Mapping[str, Any], attribute: str, comparison: str, value: Any) -> bool:
    if comparison == "<>":
        return attribute not in row or _typed(row[attribute]) != _typed(value)
    if attribute not in row:
        return False
    kept, given = _typed(row[attribute]), _typed(value)
    if comparison == "=":
        return kept == given
    if kept[0] != given[0] or kept[0] not in ("S", "N", "B"):
        return False
    left, right = kept[1], given[1]
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[comparison]


def _typed(value: Any) -> tuple[str, Any]:
    """`value` with its DynamoDB type, so that 1 is not true and strings are ordered by their bytes."""
    match value:
        case str():
            return "S", value.encode()
        case None:
            return "NULL", None
        case bool():
            return "BOOL", value
        case int() | Decimal():
            return "N", Decimal(value)
        case bytes():
            return "B", value
        case Mapping():
            return "M", {name: _typed(one) for name, one in value.items()}
        case list() | tuple():
            return "L", [_typed(one) for one in value]
        case _:
            return "set", {_typed(one) for one in value}


def copied(value: Any) -> Any:
    """A deep copy of a value as rows hold them."""
    match value:
        case dict():
            return {name: copied(one) for name, one in value.items()}
        case list():
            return [copied(one) for one in value]
        case set():
            return set(value)
        case _:
            return value  # the others cannot be changed


NUMBERS = Context(prec=38)
"""DynamoDB's arithmetic: 38 digits, from 1E-130 to just under 1E+126."""

_EXPONENTS = range(-130, 126)


def has_room_for_numbers(value: Any) -> bool:
    """Whether DynamoDB takes every number in a value as it is."""
    match value:
        case Decimal():
            plain = value.normalize(Context(prec=1_000))
            return not plain or (len(plain.as_tuple().digits) <= NUMBERS.prec and plain.adjusted() in _EXPONENTS)
        case Mapping():
            return all(map(has_room_for_numbers, value.values()))
        case list() | set():
            return all(map(has_room_for_numbers, value))
        case _:
            return True


def value_bytes(value: Any) -> int:
    """The size of a value as DynamoDB counts it.

    Source: "DynamoDB item sizes and formats" in the developer guide; numbers are told there as approximate.
    """
    match value:
        case str():
            return len(value.encode())
        case None | bool():
            return 1
        case Decimal():
            digits = value.normalize().as_tuple().digits
            return math.ceil(len(digits) / 2) + 1 + (1 if value < 0 else 0)
        case bytes():
            return len(value)
        case Mapping():
            return 3 + sum(1 + len(name.encode()) + value_bytes(one) for name, one in value.items())
        case list():
            return 3 + sum(1 + value_bytes(one) for one in value)
        case _:
            return sum(map(value_bytes, value))


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of a row as DynamoDB counts it: its attributes' names and values."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())
