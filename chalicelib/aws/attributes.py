"""How values are spelled on DynamoDB's wire.

botocore alone knows the types of the wire. boto3's own serialiser would load its resource API and lengthen the
webhook's cold start. Numbers are written from int and Decimal and read as Decimal, with all 38 digits. A float is a
programming error, because it would be read as another value.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Attribute = dict[str, Any]
"""One value as the wire spells it: its type's letters, and its content."""


def to_wire(value: Any) -> Attribute:
    """`value` as DynamoDB takes it.

    Raises:
        TypeError: DynamoDB has no such type; the text names the type and never the value.
    """
    wire: Attribute
    match value:
        case str():
            wire = {"S": value}
        case None:
            wire = {"NULL": True}
        case bool():
            wire = {"BOOL": value}
        case int() | Decimal():
            wire = {"N": str(value)}
        case Mapping():
            wire = {"M": item_to_wire(value)}
        case list() | tuple():
            wire = {"L": [to_wire(one) for one in value]}
        case bytes():
            wire = {"B": value}
        case set() | frozenset():
            wire = _set_to_wire(value)
        case _:
            raise TypeError(f"DynamoDB has no type for a Python {type(value).__name__}")
    return wire


def from_wire(attribute: Mapping[str, Any]) -> Any:
    """The value that an attribute tells: str, Decimal, bool, None, dict, list, bytes or a set of one scalar type."""
    ((kind, content),) = attribute.items()
    value: Any
    match kind:
        case "S" | "BOOL":
            value = content
        case "B":
            value = _bytes(content)
        case "N":
            value = Decimal(content)
        case "M":
            value = item_from_wire(content)
        case "L":
            value = [from_wire(one) for one in content]
        case "NULL":
            value = None
        case "SS":
            value = set(content)
        case "BS":
            value = set(map(_bytes, content))
        case "NS":
            value = {Decimal(one) for one in content}
        case _:
            raise TypeError(f"DynamoDB's type {kind} is unknown")
    return value


def item_to_wire(item: Mapping[str, Any]) -> dict[str, Attribute]:
    """A row or a key as DynamoDB takes it."""
    # Nine of ten values are texts, which need no call.
    return {name: {"S": value} if type(value) is str else to_wire(value) for name, value in item.items()}


def item_from_wire(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The row or the key that DynamoDB tells."""
    return {name: told["S"] if "S" in told else from_wire(told) for name, told in attributes.items()}


def _bytes(content: bytes | str) -> bytes:
    """Bytes as botocore reads them, or as they stand in the JSON of an answer."""
    return content if isinstance(content, bytes) else b64decode(content)


def _set_to_wire(values: set[Any] | frozenset[Any]) -> Attribute:
    kinds = {next(iter(to_wire(value))) for value in values}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise TypeError("DynamoDB takes sets of strings, of numbers or of bytes, and no empty ones")
    return {f"{kinds.pop()}S": [next(iter(to_wire(value).values())) for value in values]}
