"""Rows of a company, repaired by kind."""

from __future__ import annotations

from collections import Counter

from rich.console import Console

from ops.doctor.examination import known_of
from ops.stage import conversation_rows
from ops.stage.deployment import Deployment
from ops.stage.target import CommandError
from ops.tenants import row_repairs
from ops.tenants.row_faults import KINDS, Kind, Wanted
from ops.tenants.row_repairs import Repaired, Result
from ops.tenants.rows import companies, tenant_of
from ops.tenants.secrets import Secrets
from ops.terminal import masking
from ops.terminal.confirmation import ask

_SHOWN = 20


def repair(
    deployment: Deployment, console: Console, company: str, name: str, wanted: Wanted, *, is_dry_run: bool, yes: bool
) -> int:
    """Repair the rows of a company that have a fault of one kind: 1 where one is left."""
    kind = KINDS.get(name)
    if kind is None or kind.repair is None:
        known_kinds = ", ".join(one.name for one in KINDS.values() if one.repair is not None)
        raise CommandError(f"there is no repair {name}", f"one of {known_kinds}")
    known = known_of(deployment, Secrets(deployment.account))
    if wanted.channel and wanted.channel not in known.channels:
        raise CommandError(f"there is no channel {wanted.channel}", f"one of {', '.join(known.channels)}")
    items = conversation_rows.read(deployment, reads_all=True).items
    rows = [row for row in items if tenant_of(row) == company]
    if not rows:
        raise CommandError(f"{company} has no conversation", f"one of {companies(items)}")
    table = deployment.engine().tables.conversations
    planned = list(row_repairs.repair(table, rows, kind, known, wanted, is_dry_run=True))
    done = planned
    if not is_dry_run and any(one.result is Result.WOULD_BE for one in planned):
        count = sum(one.result is Result.WOULD_BE for one in planned)
        ask(f"Repair {name} in {count} row(s) of {company}?", yes=yes)
        done = list(row_repairs.repair(table, rows, kind, known, wanted, is_dry_run=False))
    _show(console, kind, done)
    return 1 if any(one.result in (Result.CHANGED, Result.UNCLEAR) for one in done) else 0


def _show(console: Console, kind: Kind, done: list[Repaired]) -> None:
    for one in done[:_SHOWN]:
        why = f": {one.why}" if one.why else ""
        console.print(f"{masking.text(one.key.conversation_id)}  {one.detail}  {one.result}{why}")
    counts = Counter(one.result for one in done)
    console.print(
        ", ".join(f"{count} {result}" for result, count in counts.items()) or f"no row has a fault {kind.name}"
    )
