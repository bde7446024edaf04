"""The doctor's findings, as it finds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console

from ops.doctor.examination import Area
from ops.doctor.findings import Weight
from ops.terminal.documents import show_document

_SIGNS = {Weight.FAULT: ("✗", "red"), Weight.WARNING: ("!", "yellow"), Weight.NOTE: ("·", "dim")}


def show_areas(console: Console, areas: Iterable[Area], *, as_json: bool = False) -> int:
    """Show what the doctor found, as it finds it; 1 where there is a fault, else 0."""
    counts = dict.fromkeys(Weight, 0)
    found: list[Area] = []
    for area in areas:
        found.append(area)
        for finding in area.findings:
            counts[finding.weight] += 1
        if not as_json:
            _show(console, area)
    if as_json:
        findings = [asdict(finding) for area in found for finding in area.findings]
        totals = {f"{weight.value}s": count for weight, count in counts.items()}
        show_document(console, {"areas": [one.name for one in found], "findings": findings, **totals})
    else:
        console.print(f"{counts[Weight.FAULT]} fault(s), {counts[Weight.WARNING]} warning(s)")
    return 1 if counts[Weight.FAULT] else 0


def _show(console: Console, area: Area) -> None:
    if area.is_sound:
        console.print(f"✓ {area.name}", style="green")
    for finding in area.findings:
        sign, style = _SIGNS[finding.weight]
        console.print(f"{sign} {finding.line}", style=style)
