"""A company's own table: what it lacks, and what is added."""

from __future__ import annotations

import threading
from dataclasses import asdict

from rich.console import Console

from ops.doctor.examination import known_of
from ops.repairs import adopting, restoring
from ops.repairs.adopting import Report
from ops.stage import conversation_rows
from ops.stage.deployment import Deployment
from ops.tenants import row_repairs
from ops.tenants.row_faults import Known, Wanted, faults_of
from ops.tenants.row_repairs import Result
from ops.tenants.secrets import Secrets
from ops.terminal.confirmation import ask
from ops.terminal.documents import show_document


def adopt(
    deployment: Deployment, console: Console, table: str, *, is_dry_run: bool, yes: bool, as_json: bool = False
) -> int:
    """Report what a table lacks and, unless it is a dry run, add what is certain: 1 where something is left to do."""
    schema, found = adopting.of_table(deployment, table)
    known = known_of(deployment, Secrets(deployment.account))
    items = conversation_rows.read(deployment, reads_all=True, table=table).items
    report = adopting.report(schema, found, items, known)
    if as_json:
        show_document(console, {**asdict(report), "faults": [_fault(one) for one in report.faults]})
        return 0 if report.is_ready else 1
    _show(deployment, console, report)
    if is_dry_run or report.is_ready:
        return 0 if report.is_ready else 1
    ask(f"Add to {table} the indexes, and the attributes that follow from the rows?", yes=yes)
    for step in restoring.index_steps(deployment, schema, found, threading.Event().wait):
        console.print(f"{step.what} ...")
        step.run()
    written = _add_attributes(deployment, table, known)
    console.print(f"{written} attribute(s) written")
    items = conversation_rows.read(deployment, reads_all=True, table=table).items
    schema, found = adopting.of_table(deployment, table)
    left = adopting.report(schema, found, items, known)
    _show(deployment, console, left)
    return 0 if left.is_ready else 1


def _add_attributes(deployment: Deployment, table: str, known: Known) -> int:
    """Write what each row says itself, company by company and kind by kind."""
    items = conversation_rows.read(deployment, reads_all=True, table=table).items
    kinds = {one.name: one for row in items for one, _ in faults_of(row, known)}
    target = deployment.account.table(table)
    written = 0
    for kind in kinds.values():
        if kind.repair is not None:
            done = row_repairs.repair(target, items, kind, known, Wanted(), is_dry_run=False)
            written += sum(one.result is Result.REPAIRED for one in done)
    return written


def _fault(fault: adopting.Fault) -> dict[str, object]:
    return {
        "company": fault.company,
        "kind": fault.kind.name,
        "detail": fault.detail,
        "rows": fault.count,
        "addable": fault.addable,
        "weight": fault.kind.weight.value,
    }


def _show(deployment: Deployment, console: Console, report: Report) -> None:
    companies = ", ".join(report.companies) or "none"
    console.print(f"{report.table}: {report.rows} row(s) of {len(report.companies)} company(ies): {companies}")
    for name in report.indexes:
        console.print(f"  to add: the index {name}")
    for name, why in report.wrong_indexes.items():
        console.print(f"  to recreate: the index {name}: its {why}")
    for fault in report.faults:
        what = f"{fault.count} row(s) of {fault.company} {fault.kind.means.format(fault.detail)}"
        console.print(f"  {what}; {_remedy(fault)}")
    for company, channel in report.secrets:
        command = deployment.target.ops(f"tenant add {company} --channel {channel} --write-rows")
        console.print(f"  no secret of {company} for {channel}; {command}")
    if report.is_ready:
        console.print("nothing is missing; next step: docs/adopting.md")


def _remedy(fault: adopting.Fault) -> str:
    left = fault.count - fault.addable
    told = [f"{fault.addable} can be written from the row"] if fault.addable else []
    if left and fault.kind.repair is not None:
        options = f" {fault.kind.options}" if fault.kind.options else ""
        told.append(f"{left} need a decision: tenant repair {fault.company} {fault.kind.name}{options}")
    elif left:
        told.append(f"{left} by hand: {fault.kind.by_hand}")
    return "; ".join(told)
