"""How values are spelled on DynamoDB's wire."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chalicelib.aws.attributes import from_wire, to_wire

SCALARS = some.none() | some.booleans() | some.text() | some.binary() | some.integers() | some.decimals(allow_nan=False)
VALUES = some.recursive(SCALARS, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=20)


@given(value=VALUES)
def test_a_value_comes_back_as_it_went(value: object):
    """Whatever the depth; whole numbers come back as Decimal."""
    wire = to_wire(value)

    assert from_wire(wire) == value


@pytest.mark.parametrize(
    ("values", "wire"),
    [
        ({"a"}, {"SS": ["a"]}),
        (frozenset({1}), {"NS": ["1"]}),
        ({Decimal("1.5")}, {"NS": ["1.5"]}),
        ({b"a"}, {"BS": [b"a"]}),
    ],
)
def test_a_set_of_one_type_is_a_set(values: set[object], wire: dict[str, list[object]]):
    """Of strings, of numbers or of bytes, as the company's own attributes may hold."""
    spelled = to_wire(values)

    assert spelled == wire
    assert from_wire(spelled) == values


@pytest.mark.parametrize(
    "value",
    [0.5, [{"deep": 0.5}], set(), {1, "a"}, {True}, {None}, datetime(2026, 1, 31, tzinfo=UTC), object()],
    ids=lambda value: type(value).__name__,
)
def test_what_dynamodb_has_no_type_for_is_a_programming_error(value: object):
    """The error names the type and never the value."""
    with pytest.raises(TypeError) as told:
        to_wire(value)

    assert "0.5" not in str(told.value)
    assert "2026" not in str(told.value)


def test_a_type_that_we_do_not_know_is_an_error():
    """And no guess."""
    wire = {"X": "?"}

    with pytest.raises(TypeError, match="X"):
        from_wire(wire)
