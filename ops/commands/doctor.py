"""The doctor's findings, as it finds them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from ops.doctor.examination import Area
from ops.doctor.findings import Weight

_SIGNS = {Weight.FAULT: ("✗", "red"), Weight.WARNING: ("!", "yellow")}


def show_areas(console: Console, areas: Iterable[Area]) -> int:
    """Show what the doctor found, as it finds it; 1 where there is a fault, else 0."""
    counts = dict.fromkeys(Weight, 0)
    for area in areas:
        if area.is_sound:
            console.print(f"✓ {area.name}", style="green")
        for finding in area.findings:
            counts[finding.weight] += 1
            sign, style = _SIGNS[finding.weight]
            console.print(f"{sign} {finding.line}", style=style)
    console.print(f"{counts[Weight.FAULT]} fault(s), {counts[Weight.WARNING]} warning(s)")
    return 1 if counts[Weight.FAULT] else 0
