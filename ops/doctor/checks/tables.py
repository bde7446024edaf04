"""The tables: present, active, and with the template's keys, indexes and time to live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infrastructure.template import TableSchema
from ops.doctor.findings import Finding, Weight
from ops.repairs import restoring
from ops.repairs.restoring import differences, has_backups, has_time_to_live, keys_of
from ops.stage import blueprint
from ops.stage.deployment import Deployment

AREA = "tables"

_USABLE = frozenset({"ACTIVE", "UPDATING"})


def check(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with the tables."""
    expected = blueprint.tables(deployment.settings)
    described = {name: restoring.describe(deployment.account, table.name) for name, table in expected.items()}
    target = deployment.target
    if not any(described.values()):
        what = f"region {deployment.account.region} has no table of stage {target.stage}"
        yield Finding(AREA, what, f"{target.deploy}, or the stage's region: --region")
        return
    for name, found in described.items():
        if name.upper() in deployment.of_other_stages:
            continue  # a finding of the settings
        table = expected[name]
        if found is None:
            what = f"{table.name} is missing ({name.upper()})"
            yield Finding(AREA, what, target.ops(f"restore {table.name}"))
            continue
        yield from _Table(deployment, table, found).findings()


@dataclass(frozen=True)
class _Table:
    """One table as it should be, and as it is."""

    deployment: Deployment
    expected: TableSchema
    found: Mapping[str, Any]

    def findings(self) -> Iterator[Finding]:
        name = self.expected.name
        if self.found.get("TableStatus", "ACTIVE") not in _USABLE:
            what = f"{name} is {self.found['TableStatus']}"
            yield Finding(AREA, what, f"wait until it is ACTIVE, then {self.deployment.target.ops('doctor')}")
            return
        if keys_of(self.found) != (self.expected.hash_key, self.expected.range_key):
            hash_key, range_key = (text or "none" for text in keys_of(self.found))
            what = f"{name} has the keys {hash_key}, {range_key}, and the template has others"
            deploy = self.deployment.target.deploy
            yield Finding(AREA, what, f"a new table under another name: docs/data.md, then {deploy}")
            return
        indexes = {one["IndexName"]: one for one in self.found.get("GlobalSecondaryIndexes", [])}
        for index in self.expected.indexes:
            yield from self._index(index, indexes.get(index))
        yield from self._rest()

    def _index(self, name: str, found: Mapping[str, Any] | None) -> Iterator[Finding]:
        table = self.expected.name
        if found is None:
            yield Finding(AREA, f"{table} has no index {name}", self._restore)
            return
        if found.get("IndexStatus", "ACTIVE") not in _USABLE:
            again = self.deployment.target.ops("doctor")
            yield Finding(AREA, f"index {name} of {table} is {found['IndexStatus']}", f"wait, then {again}")
        if difference := differences(self.expected.indexes[name], found, self.found):
            yield Finding(
                AREA, f"index {name} of {table} is not as the template has it: its {difference}", self._restore
            )

    def _rest(self) -> Iterator[Finding]:
        name, account = self.expected.name, self.deployment.account
        if self.expected.ttl_attribute is not None and not has_time_to_live(account, self.expected):
            what = f"the time to live of {name} is off, or not by {self.expected.ttl_attribute}"
            yield Finding(AREA, what, self._restore)
        is_of_stage = self.deployment.settings.stage == self.deployment.target.stage  # else a finding of the settings
        if is_of_stage and self.expected.deletion_protected and not self.found.get("DeletionProtectionEnabled"):
            yield Finding(AREA, f"{name} may be deleted", self._restore, Weight.WARNING)
        if not self.deployment.target.is_on_this_machine and not has_backups(account, name):
            yield Finding(AREA, f"{name} has no point-in-time recovery", self._restore, Weight.WARNING)

    @property
    def _restore(self) -> str:
        return self.deployment.target.ops(f"restore {self.expected.name}")
