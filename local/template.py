"""The tables and queues of a stage, as `infrastructure/template.yaml` tells them.

Guarantee: nothing else spells a key schema. What the local AWS is created from, what the tests' in-memory tables and
queues are shaped by and what production gets is the same file, read here with its tags evaluated for one stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE_FILE = Path(__file__).parent.parent / "infrastructure" / "template.yaml"

_ABSENT = object()
"""What `AWS::NoValue` leaves: the property is not there."""


@dataclass(frozen=True)
class IndexSchema:
    """One global secondary index."""

    hash_key: str
    range_key: str | None
    projected: frozenset[str]
    """Every attribute that a read of the index returns: its keys, the table's keys and what the template includes."""


@dataclass(frozen=True)
class TableSchema:
    """One table."""

    name: str
    hash_key: str
    range_key: str | None
    ttl_attribute: str | None
    indexes: Mapping[str, IndexSchema]
    deletion_protected: bool


@dataclass(frozen=True)
class QueueSchema:
    """One queue."""

    name: str
    visibility_seconds: int
    dead_letter: str | None
    """The name of its dead-letter queue."""
    receives_max: int | None
    """How often a message is received before it goes there."""


@dataclass(frozen=True)
class Resource:
    """One resource of the template, its properties evaluated for a stage."""

    kind: str
    """As CloudFormation spells it, such as `AWS::SQS::Queue`."""
    properties: dict[str, Any]
    is_created: bool
    """Whether the stack creates it; the company's account may hold it already."""


@dataclass(frozen=True)
class Template:
    """The tables and queues of one stage by name."""

    tables: dict[str, TableSchema]
    queues: dict[str, QueueSchema]


def load(stage: str, **parameters: object) -> Template:
    """The template's tables and queues for `stage`; parameters and errors are those of `resources`."""
    created = {name: one for name, one in resources(stage, **parameters).items() if one.is_created}
    return Template(
        tables={table.name: table for table in map(_table, _of_type(created, "AWS::DynamoDB::Table"))},
        queues=_queues(created),
    )


def resources(stage: str, **parameters: object) -> dict[str, Resource]:
    """Every resource of the template for `stage`, by its logical id.

    Args:
        stage: the parameter `Stage`.
        parameters: other parameters of the template by name, in place of their defaults.

    Raises:
        ValueError: the template has no such parameter.
    """
    document = _document(TEMPLATE_FILE)
    values = {name: str(one["Default"]) for name, one in document["Parameters"].items()}
    given = {"Stage": stage, **parameters}
    if unknown := given.keys() - values.keys():
        raise ValueError(f"the template has no parameter {', '.join(sorted(unknown))}")
    values |= {name: _text(value) for name, value in given.items()}
    scope = _Scope(values, document.get("Conditions", {}))
    return {
        name: Resource(
            kind=one["Type"],
            properties=scope.evaluate(one["Properties"]),
            is_created="Condition" not in one or scope.holds(one["Condition"]),
        )
        for name, one in document["Resources"].items()
    }


@lru_cache
def _document(file: Path) -> dict[str, Any]:
    """The template as it stands in the file; nobody changes it."""
    return dict(yaml.load(file.read_text(), Loader=_Loader))  # noqa: S506  # a SafeLoader that knows CloudFormation's tags


class _Tagged:
    """One intrinsic function of CloudFormation with its argument, not yet evaluated."""

    def __init__(self, function: str, argument: Any) -> None:
        self.function = function
        self.argument = argument


class _Loader(yaml.SafeLoader):
    """A safe loader that keeps CloudFormation's short tags as values."""


def _keep_tag(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> _Tagged:
    match node:
        case yaml.ScalarNode():
            return _Tagged(tag, loader.construct_scalar(node))
        case yaml.SequenceNode():
            return _Tagged(tag, loader.construct_sequence(node, deep=True))
        case _:
            raise ValueError(f"!{tag} of a mapping is not known here")


_Loader.add_multi_constructor("!", _keep_tag)


class _Scope:
    """The values of parameters and conditions, in which the template's functions are evaluated."""

    def __init__(self, parameters: Mapping[str, str], conditions: Mapping[str, Any]) -> None:
        self._parameters = parameters
        self._conditions = conditions

    def holds(self, condition: str) -> bool:
        """Whether the named condition holds."""
        return bool(self.evaluate(self._conditions[condition]))

    def evaluate(self, value: Any) -> Any:
        """`value` with every function in it replaced by what it yields; absent properties are left out."""
        match value:
            case _Tagged():
                return self._apply(value.function, value.argument)
            case dict():
                pairs = ((name, self.evaluate(one)) for name, one in value.items())
                return {name: one for name, one in pairs if one is not _ABSENT}
            case list():
                return [one for one in map(self.evaluate, value) if one is not _ABSENT]
            case _:
                return value

    def _apply(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", "AWS::NoValue":
                return _ABSENT
            case "Ref", name:
                return self._parameters.get(name, name)
            case "GetAtt", attribute:
                return attribute
            case "Sub", str(text):
                for name, one in self._parameters.items():
                    text = text.replace(f"${{{name}}}", one)
                return text
            case "If", [condition, then, otherwise]:
                return self.evaluate(then if self.holds(condition) else otherwise)
            case "Equals", [left, right]:
                return str(self.evaluate(left)) == str(self.evaluate(right))
            case _:
                raise ValueError(f"!{function} is not known here")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_type(created: Mapping[str, Resource], kind: str) -> list[dict[str, Any]]:
    return [one.properties for one in created.values() if one.kind == kind]


def _keys(schema: list[dict[str, str]]) -> tuple[str, str | None]:
    by_kind = {one["KeyType"]: one["AttributeName"] for one in schema}
    return by_kind["HASH"], by_kind.get("RANGE")


def _table(properties: dict[str, Any]) -> TableSchema:
    hash_key, range_key = _keys(properties["KeySchema"])
    table_keys = {hash_key, range_key} - {None}
    ttl = properties.get("TimeToLiveSpecification", {})
    return TableSchema(
        name=properties["TableName"],
        hash_key=hash_key,
        range_key=range_key,
        ttl_attribute=ttl.get("AttributeName") if ttl.get("Enabled") else None,
        indexes={one["IndexName"]: _index(one, table_keys) for one in properties.get("GlobalSecondaryIndexes", [])},
        deletion_protected=bool(properties.get("DeletionProtectionEnabled", False)),
    )


def _index(properties: dict[str, Any], table_keys: set[Any]) -> IndexSchema:
    hash_key, range_key = _keys(properties["KeySchema"])
    included = properties["Projection"].get("NonKeyAttributes", [])
    return IndexSchema(
        hash_key=hash_key,
        range_key=range_key,
        projected=frozenset({hash_key, range_key, *table_keys, *included} - {None}),
    )


def _queues(created: Mapping[str, Resource]) -> dict[str, QueueSchema]:
    names = {
        f"{name}.Arn": one.properties["QueueName"] for name, one in created.items() if one.kind == "AWS::SQS::Queue"
    }
    queues = {}
    for properties in _of_type(created, "AWS::SQS::Queue"):
        redrive = properties.get("RedrivePolicy", {})
        receives = redrive.get("maxReceiveCount")
        queues[properties["QueueName"]] = QueueSchema(
            name=properties["QueueName"],
            visibility_seconds=int(properties.get("VisibilityTimeout", 30)),  # SQS's own default
            dead_letter=names.get(redrive.get("deadLetterTargetArn")),
            receives_max=None if receives is None else int(receives),
        )
    return queues
