"""Adopting: what a company's own conversations table lacks, and what is added to it.

Indexes are added one after the other, by `restoring`. Attributes are added by the kinds of `row_faults`, where a row
says what they must be: a missing look-up key, the one secret of the company, a number in another spelling. What only a
person can decide is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.ports.tables import Item
from infrastructure.template import TableSchema
from ops.repairs.restoring import describe, differences, keys_of
from ops.stage import blueprint
from ops.stage.deployment import Deployment
from ops.stage.target import CommandError
from ops.tenants.row_faults import KINDS, Kind, Known, NoValueError, Wanted, faults_of
from ops.tenants.rows import tenant_of


@dataclass(frozen=True)
class Fault:
    """One kind of fault in the rows of one company."""

    company: str
    kind: Kind
    detail: str
    count: int
    addable: int
    """In how many of them the row itself says what to write."""


@dataclass(frozen=True)
class Report:
    """What a table is like."""

    table: str
    rows: int
    companies: tuple[str, ...]
    indexes: tuple[str, ...]
    """Those to add."""
    wrong_indexes: Mapping[str, str]
    """Those to delete and create anew, and why."""
    faults: tuple[Fault, ...]
    secrets: tuple[tuple[str, str], ...] = field(default=())
    """Each company and channel without a secret."""

    @property
    def is_ready(self) -> bool:
        """Whether the engine can work on the table as it is."""
        return not (self.indexes or self.wrong_indexes or self.faults or self.secrets)


def of_table(deployment: Deployment, table: str) -> tuple[TableSchema, Mapping[str, object]]:
    """The conversations table as the template has it, under another name, and as it is.

    Raises:
        CommandError: there is no such table, or its keys differ.
    """
    schema = replace(blueprint.tables(deployment.settings)["conversations_table"], name=table)
    found = describe(deployment.account, table)
    if found is None:
        raise CommandError(f"there is no table {table} in {deployment.account.region}", "its name, or --region")
    if keys_of(found) != (schema.hash_key, schema.range_key):
        what = f"{table} has the keys {' and '.join(filter(None, keys_of(found)))}"
        raise CommandError(
            what, f"a table with {schema.hash_key} (hash) and {schema.range_key} (range): docs/adopting.md"
        )
    return schema, found


def report(schema: TableSchema, found: Mapping[str, object], rows: Sequence[Item], known: Known) -> Report:
    """What is missing or will be misread, by company and kind; pure."""
    listed = found.get("GlobalSecondaryIndexes", [])
    indexes = {one["IndexName"]: one for one in listed} if isinstance(listed, list) else {}
    wrong = {name: differences(one, indexes[name], found) for name, one in schema.indexes.items() if name in indexes}
    counts: Counter[tuple[str, str, str]] = Counter()
    addable: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        for kind, detail in faults_of(row, known):
            place = (tenant_of(row), kind.name, detail)
            counts[place] += 1
            addable[place] += says_value(row, kind, known, detail)
    faults = tuple(
        Fault(company, KINDS[name], detail, count, addable[company, name, detail])
        for (company, name, detail), count in sorted(counts.items())
    )
    used = {
        (tenant_of(row), channel.name)
        for row in rows
        for channel in known.channels.values()
        if row.get(channel.index.company_key)
    }
    return Report(
        table=schema.name,
        rows=len(rows),
        companies=tuple(sorted({tenant_of(row) for row in rows})),
        indexes=tuple(name for name in schema.indexes if name not in indexes),
        wrong_indexes={name: why for name, why in wrong.items() if why},
        faults=faults,
        secrets=tuple(sorted((company, name) for company, name in used if not known.refs.get((name, company)))),
    )


def says_value(row: Item, kind: Kind, known: Known, detail: str) -> bool:
    """Whether a row says itself what an attribute must be."""
    if kind.repair is None:
        return False
    try:
        kind.repair(row, known, detail, Wanted())
    except NoValueError:
        return False
    return True
