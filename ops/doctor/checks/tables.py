"""The tables: there, active, with the template's keys, indexes and time to live, under the names that settings give."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL
from chalicelib.settings import Settings
from infrastructure.template import IndexSchema, TableSchema, load
from local.processes.environment import of_stage
from ops.doctor.findings import Finding, Weight
from ops.stage.account import NOT_FOUND
from ops.stage.deployment import Deployment
from ops.stage.target import Target

AREA = "tables"

_PATTERN_STAGE = "local"
"""The stage whose names tell which setting means which table of the template."""


def check(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with the tables."""
    described = {
        name: deployment.account.call(
            "dynamodb", "DescribeTable", table.name, {"TableName": table.name}, absent=NOT_FOUND
        )
        for name, table in expected(deployment.settings).items()
    }
    target = deployment.target
    if not any(described.values()):
        what = f"region {deployment.account.region} has no table of stage {target.stage}"
        yield Finding(AREA, what, f"{target.deploy}, or the stage's region: --region")
        return
    for name, found in described.items():
        table = expected(deployment.settings)[name]
        if found is None:
            yield Finding(AREA, f"{table.name} is missing ({name.upper()})", target.deploy)
            continue
        yield from _Table(deployment, table, found["Table"]).findings()


@dataclass(frozen=True)
class _Table:
    """One table as it should be, and as it is."""

    deployment: Deployment
    expected: TableSchema
    found: Mapping[str, Any]

    def findings(self) -> Iterator[Finding]:
        target, name = self.deployment.target, self.expected.name
        if self.found.get("TableStatus", "ACTIVE") not in {"ACTIVE", "UPDATING"}:
            yield Finding(AREA, f"{name} is {self.found['TableStatus']}: the stage is half deployed", target.deploy)
            return
        if _keys(self.found) != (self.expected.hash_key, self.expected.range_key):
            hash_key, range_key = (text or "none" for text in _keys(self.found))
            what = f"{name} has the keys {hash_key}, {range_key}, and the template has others"
            yield Finding(AREA, what, f"a new table under another name: docs/data.md, then {target.deploy}")
        indexes = {one["IndexName"]: one for one in self.found.get("GlobalSecondaryIndexes", [])}
        for index, schema in self.expected.indexes.items():
            yield from self._index(index, schema, indexes.get(index))
        yield from self._time_to_live()
        yield from self._protection()
        yield from self._backups()

    def _index(self, name: str, schema: IndexSchema, found: Mapping[str, Any] | None) -> Iterator[Finding]:
        table = self.expected.name
        if found is None:
            yield Finding(
                AREA, f"{table} has no index {name}", _create_index(self.deployment.target, table, name, schema)
            )
            return
        if found.get("IndexStatus", "ACTIVE") not in {"ACTIVE", "UPDATING"}:
            mend = self.deployment.target.ops("doctor")
            yield Finding(AREA, f"index {name} of {table} is {found['IndexStatus']}", f"wait, then {mend}")
        mend = _delete_index(self.deployment.target, table, name) + ", then create it anew: docs/data.md"
        if _keys(found) != (schema.hash_key, schema.range_key):
            yield Finding(AREA, f"index {name} of {table} has other keys than the settings say", mend)
        lacking = schema.projected - self._projected(found)
        if lacking:
            yield Finding(AREA, f"index {name} of {table} does not project {', '.join(sorted(lacking))}", mend)

    def _projected(self, found: Mapping[str, Any]) -> frozenset[str]:
        projection, keys = found["Projection"], {*_keys(found), *_keys(self.found)}
        if projection["ProjectionType"] == "ALL":
            return frozenset().union(*(index.projected for index in self.expected.indexes.values()))
        return frozenset({*projection.get("NonKeyAttributes", []), *(key for key in keys if key)})

    def _time_to_live(self) -> Iterator[Finding]:
        attribute, name = self.expected.ttl_attribute, self.expected.name
        if attribute is None:
            return
        answer = self.deployment.account.call("dynamodb", "DescribeTimeToLive", name, {"TableName": name}) or {}
        found = answer.get("TimeToLiveDescription", {})
        if (found.get("TimeToLiveStatus"), found.get("AttributeName")) not in (
            ("ENABLED", attribute),
            ("ENABLING", attribute),
        ):
            told = shlex.quote(f"Enabled=true,AttributeName={attribute}")
            command = f"dynamodb update-time-to-live --table-name {name} --time-to-live-specification {told}"
            what = f"the time to live of {name} is off, or not by {attribute}"
            yield Finding(AREA, what, self.deployment.target.aws(command))

    def _protection(self) -> Iterator[Finding]:
        name = self.expected.name
        if self.expected.deletion_protected and not self.found.get("DeletionProtectionEnabled"):
            command = f"dynamodb update-table --table-name {name} --deletion-protection-enabled"
            mend = self.deployment.target.aws(command)
            yield Finding(AREA, f"{name} may be deleted", mend, Weight.WARNING)

    def _backups(self) -> Iterator[Finding]:
        """Whether the table can be restored; one on this machine ends with its process."""
        target, name = self.deployment.target, self.expected.name
        if target.is_on_this_machine:
            return
        answer = self.deployment.account.call("dynamodb", "DescribeContinuousBackups", name, {"TableName": name}) or {}
        found = answer.get("ContinuousBackupsDescription", {}).get("PointInTimeRecoveryDescription", {})
        if found.get("PointInTimeRecoveryStatus") != "ENABLED":
            told = "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
            mend = target.aws(f"dynamodb update-continuous-backups --table-name {name} {told}")
            yield Finding(AREA, f"{name} has no point-in-time recovery", mend, Weight.WARNING)


@cache
def expected(settings: Settings) -> dict[str, TableSchema]:
    """The tables that the template makes for the stage, by setting, under the names that the settings give them."""
    names = of_stage(_PATTERN_STAGE)
    patterns = load(_PATTERN_STAGE).tables
    of_the_stage = load(settings.stage).tables
    tables = {}
    for one in fields(Settings):
        if not one.name.endswith("_table"):
            continue
        pattern = names[one.name.upper()]
        protected = of_the_stage[pattern.removesuffix(_PATTERN_STAGE) + settings.stage].deletion_protected
        tables[one.name] = replace(
            patterns[pattern],
            name=getattr(settings, one.name),
            deletion_protected=protected,
            indexes=dict(_renamed(settings, name, index) for name, index in patterns[pattern].indexes.items()),
        )
    return tables


def _renamed(settings: Settings, name: str, schema: IndexSchema) -> tuple[str, IndexSchema]:
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


def _keys(described: Mapping[str, Any]) -> tuple[str | None, str | None]:
    by_kind = {one["KeyType"]: one["AttributeName"] for one in described["KeySchema"]}
    return by_kind.get("HASH"), by_kind.get("RANGE")


def _create_index(target: Target, table: str, name: str, schema: IndexSchema) -> str:
    keys = {"HASH": schema.hash_key, "RANGE": schema.range_key}
    present = {kind: key for kind, key in keys.items() if key}
    create = {
        "IndexName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": kind} for kind, key in present.items()],
        "Projection": {
            "ProjectionType": "INCLUDE",
            "NonKeyAttributes": sorted(schema.projected - set(present.values()) - _TABLE_KEYS),
        },
    }
    definitions = " ".join(f"AttributeName={key},AttributeType=S" for key in present.values())
    updates = shlex.quote(json.dumps([{"Create": create}]))
    command = f"dynamodb update-table --table-name {table} --attribute-definitions {definitions}"
    return target.aws(f"{command} --global-secondary-index-updates {updates}")


def _delete_index(target: Target, table: str, name: str) -> str:
    updates = shlex.quote(json.dumps([{"Delete": {"IndexName": name}}]))
    return target.aws(f"dynamodb update-table --table-name {table} --global-secondary-index-updates {updates}")


_TABLE_KEYS = frozenset({PRIMARY_CHANNEL, CONVERSATION_ID})
"""DynamoDB projects them of itself."""
