"""Conditions and changes as DynamoDB's expressions.

Every name and every value stands behind a placeholder, so reserved words and special characters are allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from chalicelib.aws.attributes import Attribute, to_wire
from chalicelib.ports.tables import Both, Change, Compares, Condition, Either, ElementIs, Exists, Missing

Request = dict[str, Any]
"""Parameters of one call, as botocore takes them."""


@dataclass
class Expressions:
    """The expressions of one request; the same name has the same placeholder in all of them."""

    names: dict[str, str] = field(default_factory=dict)
    """Placeholders by name."""
    values: dict[str, Attribute] = field(default_factory=dict)
    """Values by placeholder."""

    def name(self, attribute: str) -> str:
        return self.names.setdefault(attribute, f"#{len(self.names)}")

    def value(self, value: Any) -> str:
        placeholder = f":{len(self.values)}"
        self.values[placeholder] = to_wire(value)
        return placeholder

    def element(self, attribute: str, index: int, member: str | None) -> str:
        """The path of an element of a list, or of a member of that element."""
        path = f"{self.name(attribute)}[{index}]"
        return path if member is None else f"{path}.{self.name(member)}"

    def condition(self, condition: Condition) -> str:
        match condition:
            case Compares(attribute, comparison, value):
                return f"{self.name(attribute)} {comparison} {self.value(value)}"
            case Exists(attribute):
                return f"attribute_exists({self.name(attribute)})"
            case Missing(attribute):
                return f"attribute_not_exists({self.name(attribute)})"
            case ElementIs(attribute, index, value, name):
                return f"{self.element(attribute, index, name)} = {self.value(value)}"
            case Both(left, right):
                return f"({self.condition(left)} AND {self.condition(right)})"
            case Either(left, right):
                return f"({self.condition(left)} OR {self.condition(right)})"
            case _:
                raise AssertionError(f"no expression for a {type(condition).__name__}")

    def change(self, change: Change) -> str:
        """The update expression; empty where nothing changes."""
        sets = [f"{self.name(name)} = {self.value(value)}" for name, value in change.set.items()]
        for name, elements in change.append.items():
            old = f"if_not_exists({self.name(name)}, {self.value([])})"
            sets.append(f"{self.name(name)} = list_append({old}, {self.value(list(elements))})")
        for name, marks in change.mark.items():
            members = ((index, member, value) for index, set_ in marks.items() for member, value in set_.items())
            sets += [f"{self.element(name, index, member)} = {self.value(value)}" for index, member, value in members]
        adds = [f"{self.name(name)} {self.value(number)}" for name, number in change.add.items()]
        removes = [self.name(name) for name in change.remove]
        for name, count in change.remove_first.items():
            # DynamoDB takes positions as they were before; backwards, an engine that removes one by one agrees.
            removes += [f"{self.name(name)}[{position}]" for position in reversed(range(count))]
        clauses = {"SET": sets, "ADD": adds, "REMOVE": removes}
        return " ".join(f"{verb} {', '.join(paths)}" for verb, paths in clauses.items() if paths)

    def projection(self, attributes: Sequence[str]) -> Request:
        return {"ProjectionExpression": ", ".join(map(self.name, attributes))} if attributes else {}

    def placeholders(self) -> Request:
        """The request's maps of the placeholders; DynamoDB accepts neither an empty map nor an unused placeholder."""
        request: Request = {}
        if self.names:
            request["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self.names.items()}
        if self.values:
            request["ExpressionAttributeValues"] = self.values
        return request


@lru_cache(64)  # what is asked for are a few lists
def projected(attributes: tuple[str, ...]) -> Request:
    """The parameters of a request that has a projection and no other expression; they are not to be changed."""
    expressions = Expressions()
    return expressions.projection(attributes) | expressions.placeholders()
