"""The tables, queues and buckets of a stage, as `infrastructure/template.yaml` tells them; and any template's contents.

Guarantee: nothing else spells a key schema. What the local AWS is created from, what the tests' in-memory tables and
queues are shaped by and what production gets is the same file, read here with its tags evaluated for one stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

TEMPLATE_FILE = Path(__file__).with_name("template.yaml")

ACCOUNT = "{account}"
"""Stands for the account's number in a name, as the configuration spells it: the template is read for no account."""

MONITORING_FILE = TEMPLATE_FILE.with_name("monitoring.yaml")

_FOR_EACH = "Fn::ForEach::"

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
class BucketSchema:
    """One bucket."""

    name: str
    """With `ACCOUNT` in place of the account's number."""
    expires_days: int | None
    """After how many days an object goes."""
    kept_with_stack_gone: bool


@dataclass(frozen=True)
class Template:
    """The tables, queues and buckets of one stage by name."""

    tables: dict[str, TableSchema]
    queues: dict[str, QueueSchema]
    buckets: dict[str, BucketSchema]


class Resource(NamedTuple):
    """One resource of a template, evaluated for a stage."""

    kind: str
    """As CloudFormation spells it, such as `AWS::SQS::Queue`."""
    properties: dict[str, Any]
    deletion_policy: str | None
    is_created: bool
    """Whether the stack creates it; the company's account may hold it already."""


def load(stage: str, **parameters: object) -> Template:
    """The template's tables, queues and buckets for `stage`; parameters and errors are those of `resources`."""
    found = resources(TEMPLATE_FILE, stage, **parameters)
    created = {name: one for name, one in found.items() if one.is_created}
    return Template(
        tables={table.name: table for table in map(table_of, _of_type(created, "AWS::DynamoDB::Table"))},
        queues=_queues(created),
        buckets={bucket.name: bucket for bucket in _buckets(created)},
    )


def resources(file: Path, stage: str, **parameters: object) -> dict[str, Resource]:
    """Every resource of a template for `stage` by its logical id, loops unrolled and functions evaluated.

    Args:
        file: the template.
        stage: the parameter `Stage`.
        parameters: other parameters of the template by name, in place of their defaults.

    Raises:
        ValueError: the template has no such parameter.
    """
    document = _document(file)
    values = {name: str(one["Default"]) for name, one in document["Parameters"].items()}
    given = {"Stage": stage, **parameters}
    if unknown := given.keys() - values.keys():
        raise ValueError(f"the template has no parameter {', '.join(sorted(unknown))}")
    values |= {name: _text(value) for name, value in given.items()}
    scope = _Scope(values | {"AWS::AccountId": ACCOUNT}, document.get("Conditions", {}), document.get("Mappings", {}))
    return {
        name: Resource(
            kind=one["Type"],
            properties=its_scope.evaluate(one["Properties"]),
            deletion_policy=its_scope.evaluate(one.get("DeletionPolicy")),
            is_created="Condition" not in one or scope.holds(one["Condition"]),
        )
        for name, one, its_scope in _unrolled(document["Resources"], scope)
    }


@lru_cache
def _document(file: Path) -> dict[str, Any]:
    """A template as it stands in its file; nobody changes it."""
    return dict(yaml.load(file.read_text(), Loader=_Loader))  # noqa: S506  # a SafeLoader that knows CloudFormation's tags


class _Tagged:
    """One intrinsic function of CloudFormation with its argument, not yet evaluated."""

    def __init__(self, function: str, argument: Any) -> None:
        self.function = function
        self.argument = argument


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the one in C is ten times as fast
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

    def __init__(
        self, parameters: Mapping[str, str], conditions: Mapping[str, Any], mappings: Mapping[str, Any]
    ) -> None:
        self._parameters = parameters
        self._conditions = conditions
        self._mappings = mappings

    def with_parameters(self, **more: str) -> _Scope:
        """A scope inside this one."""
        return _Scope({**self._parameters, **more}, self._conditions, self._mappings)

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
            case "Ref", name:
                return _ABSENT if name == "AWS::NoValue" else self._parameters.get(name, name)
            case "GetAtt", attribute:
                return attribute
            case "Sub", str(text):
                return self.substituted(text)
            case "Sub", [text, names]:
                return self.with_parameters(**self.evaluate(names)).substituted(text)
            case "FindInMap", [mapping, *keys]:
                first, second = map(self.evaluate, keys)
                return self._mappings[mapping][first][second]
            case "Not", [one]:
                return not self.evaluate(one)
            case "If", [condition, then, otherwise]:
                return self.evaluate(then if self.holds(condition) else otherwise)
            case "Equals", [left, right]:
                return str(self.evaluate(left)) == str(self.evaluate(right))
            case _:
                raise ValueError(f"!{function} is not known here")

    def substituted(self, text: str) -> str:
        """`text` with the names of this scope's parameters replaced by their values."""
        for name, one in self._parameters.items():
            text = text.replace(f"${{{name}}}", one)
        return text


def _unrolled(fragment: Mapping[str, Any], scope: _Scope) -> Iterator[tuple[str, Any, _Scope]]:
    """What a section holds, each with the scope that it stands in: a loop's fragment once for each of its items."""
    for name, one in fragment.items():
        if not name.startswith(_FOR_EACH):
            yield name, one, scope
            continue
        identifier, items, inner = one
        for item in items:
            inside = scope.with_parameters(**{identifier: item})
            for key, value, its_scope in _unrolled(inner, inside):
                letters = "".join(filter(str.isalnum, item))
                yield key.replace(f"${{{identifier}}}", item).replace(f"&{{{identifier}}}", letters), value, its_scope


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_type(found: Mapping[str, Resource], kind: str) -> list[dict[str, Any]]:
    return [one.properties for one in found.values() if one.kind == kind]


def _keys(schema: list[dict[str, str]]) -> tuple[str, str | None]:
    by_kind = {one["KeyType"]: one["AttributeName"] for one in schema}
    return by_kind["HASH"], by_kind.get("RANGE")


def table_of(properties: Mapping[str, Any]) -> TableSchema:
    """The table that a resource's properties describe."""
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


def _buckets(found: Mapping[str, Resource]) -> list[BucketSchema]:
    buckets = []
    for one in found.values():
        if one.kind == "AWS::S3::Bucket":
            rules = one.properties["LifecycleConfiguration"]["Rules"]
            days = [int(rule["ExpirationInDays"]) for rule in rules if "ExpirationInDays" in rule]
            buckets.append(
                BucketSchema(
                    name=one.properties["BucketName"],
                    expires_days=min(days, default=None),
                    kept_with_stack_gone=one.deletion_policy == "Retain",
                )
            )
    return buckets


def _queues(found: Mapping[str, Resource]) -> dict[str, QueueSchema]:
    names = {f"{name}.Arn": one.properties["QueueName"] for name, one in found.items() if one.kind == "AWS::SQS::Queue"}
    queues = {}
    for properties in _of_type(found, "AWS::SQS::Queue"):
        redrive = properties.get("RedrivePolicy", {})
        receives = redrive.get("maxReceiveCount")
        queues[properties["QueueName"]] = QueueSchema(
            name=properties["QueueName"],
            visibility_seconds=int(properties.get("VisibilityTimeout", 30)),  # SQS's own default
            dead_letter=names.get(redrive.get("deadLetterTargetArn")),
            receives_max=None if receives is None else int(receives),
        )
    return queues
