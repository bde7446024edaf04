"""The tables, queues and bucket of a stage as the template describes them, under the names that the settings give.

A setting names a resource and the template describes it: `stage_table` is the resource `StageTable`. So a stage may
call its tables and queues what it likes, and nothing here depends on the template's own names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from chalicelib.settings import Settings
from infrastructure.template import TEMPLATE_FILE, IndexSchema, Resource, TableSchema, resources, table_of

QUEUE_SUFFIX, TABLE_SUFFIX = "_queue", "_table"


@dataclass(frozen=True)
class QueuePlan:
    """One queue with its dead-letter queue."""

    name: str
    dead_name: str
    attributes: Mapping[str, str]
    """As SQS takes them, without the redrive policy."""
    dead_attributes: Mapping[str, str]
    receives_max: int


@cache
def tables(settings: Settings) -> dict[str, TableSchema]:
    """Every table by the setting that names it, its indexes and keys renamed as the settings say."""
    return {
        setting: _renamed(settings, table_of(_resource(settings, setting).properties), str(getattr(settings, setting)))
        for setting in _settings(TABLE_SUFFIX)
    }


@cache
def queues(settings: Settings) -> dict[str, QueuePlan]:
    """Every queue by the setting that names it."""
    return {setting: _queue(settings, setting) for setting in _settings(QUEUE_SUFFIX)}


def bucket(settings: Settings) -> Mapping[str, Any]:
    """The bucket's properties in the template, beside its name."""
    return _resource(settings, "attachments_bucket").properties


def definition(settings: Settings, setting: str) -> Mapping[str, Any]:
    """The properties of a table in the template, as `CreateTable` takes them but for names."""
    return _resource(settings, setting).properties


def _settings(suffix: str) -> list[str]:
    return [one.name for one in fields(Settings) if one.name.endswith(suffix)]


def _resource(settings: Settings, setting: str) -> Resource:
    return _resources(settings)[_logical_id(setting)]


@cache
def _resources(settings: Settings) -> dict[str, Resource]:
    return resources(TEMPLATE_FILE, settings.stage, TriggerVisibilitySeconds=settings.visibility_timeout_seconds)


def _logical_id(setting: str) -> str:
    return "".join(part.capitalize() for part in setting.split("_"))


def _queue(settings: Settings, setting: str) -> QueuePlan:
    name = str(getattr(settings, setting))
    properties = _resource(settings, setting).properties
    logical_id = _logical_id(setting.removesuffix(QUEUE_SUFFIX) + "_dead_letter_queue")
    return QueuePlan(
        name=name,
        dead_name=name + settings.dead_letter_suffix,
        attributes=_attributes(properties),
        dead_attributes=_attributes(_resources(settings)[logical_id].properties),
        receives_max=int(properties["RedrivePolicy"]["maxReceiveCount"]),
    )


def _attributes(properties: Mapping[str, Any]) -> dict[str, str]:
    kept = {name: value for name, value in properties.items() if name not in {"QueueName", "RedrivePolicy"}}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in kept.items()}


def _renamed(settings: Settings, schema: TableSchema, name: str) -> TableSchema:
    indexes = dict(_renamed_index(settings, index, one) for index, one in schema.indexes.items())
    return replace(schema, name=name, indexes=indexes)


def _renamed_index(settings: Settings, name: str, schema: IndexSchema) -> tuple[str, IndexSchema]:
    """An index of the template under the name, and by the keys, that the settings give it."""
    setting = next(
        (one.name for one in fields(Settings) if one.name.endswith("_index") and one.metadata["default"] == name), None
    )
    if setting is None:
        return name, schema
    hash_key = str(getattr(settings, f"{setting}_company_key", schema.hash_key))
    range_key = getattr(settings, f"{setting}_customer_key", schema.range_key)
    renamed = {schema.hash_key: hash_key, schema.range_key: range_key}
    projected = frozenset(renamed.get(one) or one for one in schema.projected)
    return str(getattr(settings, setting)), IndexSchema(hash_key, range_key, projected)
