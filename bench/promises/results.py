"""What the evenings came to, kept as files: one for each design, written after each evening and read for the tables.

A file is `{"design", "notes", "played", "evenings": {SEED: {"count", "waits", "surprises"}}}`. An evening that a file
has is not played again, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path

from bench.promises.counting import Count, Counted, quartiles

KEPT = Path(__file__).with_name("results")
"""The evenings that docs/comparison.md shows."""
BROKEN = {
    "lost": "lost",
    "answered_twice": "answered twice",
    "out_of_order": "out of order",
    "in_pieces": "bursts in pieces",
    "replies_doubled": "replies doubled",
    "replies_lost": "replies lost",
    "stuck": "stuck at the end",
    "forged": "forged accepted",
    "after_stop": "answers after STOP",
    "late": "answered after 2 minutes",
}
"""The counts that should be 0, and what the tables call them."""


@dataclass
class Design:
    """The evenings of one design."""

    name: str
    notes: Sequence[str]
    played: str
    """The day of the last evening that was played."""
    evenings: dict[int, Counted] = field(default_factory=dict)

    @property
    def total(self) -> Count:
        """All evenings added up."""
        return sum((one.count for one in self.evenings.values()), Count())

    @property
    def waits(self) -> tuple[float, float]:
        """The median and the 95th percentile over all evenings."""
        return quartiles(wait for one in self.evenings.values() for wait in one.waits)

    def first(self, count: str) -> int | None:
        """The first evening in which a count is not 0."""
        return next((seed for seed, one in sorted(self.evenings.items()) if getattr(one.count, count)), None)


def file_of(folder: Path, name: str) -> Path:
    """Where a design's evenings are kept."""
    return folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"


def read(path: Path) -> Design:
    """The evenings of a file.

    Raises:
        FileNotFoundError: there is none.
    """
    told = json.loads(path.read_text())
    evenings = {
        int(seed): Counted(Count(**one["count"]), one["waits"], one["surprises"])
        for seed, one in told["evenings"].items()
    }
    return Design(told["design"], told["notes"], told["played"], evenings)


def kept(folder: Path, name: str) -> dict[int, Counted]:
    """The evenings of a design that a folder has."""
    path = file_of(folder, name)
    return read(path).evenings if path.exists() else {}


def read_all(folder: Path, names: Iterable[str]) -> list[Design]:
    """The designs that have a file, in the order of the names."""
    return [read(path) for path in (file_of(folder, name) for name in names) if path.exists()]


def alike(designs: Sequence[Design]) -> list[Design]:
    """The designs with the evenings that each of them has."""
    seeds = set.intersection(*(set(one.evenings) for one in designs)) if designs else set()
    return [replace(one, evenings={seed: one.evenings[seed] for seed in sorted(seeds)}) for one in designs]


def write(folder: Path, design: Design, today: date) -> None:
    """Keep a design's evenings."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "design": design.name,
        "notes": list(design.notes),
        "played": today.isoformat(),
        "evenings": {
            str(seed): {
                "count": {**asdict(one.count), "cost": round(one.count.cost, 9)},
                "waits": [round(wait, 1) for wait in one.waits],
                "surprises": {name: some for name, some in one.surprises.items() if some},
            }
            for seed, one in sorted(design.evenings.items())
        },
    }
    path = file_of(folder, design.name)
    path.with_suffix(".part").write_text(json.dumps(document, separators=(",", ":")) + "\n")
    path.with_suffix(".part").replace(path)


def figures(designs: Sequence[Design]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table."""
    sums = [one.total for one in designs]
    rows = [
        ["evenings", *(f"{len(one.evenings)}" for one in designs)],
        ["acknowledged messages", *(f"{one.messages:,}" for one in sums)],
        ["bursts", *(f"{one.bursts:,}" for one in sums)],
        *([words, *(f"{getattr(one, name):,}" for one in sums)] for name, words in BROKEN.items()),
        ["wait, median", *(f"{one.waits[0]:.1f} s" for one in designs)],
        ["wait, 95th percentile", *(f"{one.waits[1]:.1f} s" for one in designs)],
        ["AI turns per burst", *(f"{one.ai_turns / max(1, one.bursts):.2f}" for one in sums)],
        ["AWS calls per message", *(f"{one.calls / max(1, one.messages):.1f}" for one in sums)],
        ["AWS calls, $ per million messages", *(f"{one.cost / max(1, one.messages) * 1e6:.0f}" for one in sums)],
    ]
    return ["counted", *(one.name for one in designs)], rows


def schedules(designs: Sequence[Design]) -> tuple[list[str], list[list[str]]]:
    """The first evening that each count comes from, with the words that replay it."""
    rows = []
    for name, words in BROKEN.items():
        firsts = [one.first(name) for one in designs]
        if any(seed is not None for seed in firsts):
            rows.append([f"{words} (`{name}`)", *("-" if seed is None else str(seed) for seed in firsts)])
    return ["the first seed with", *(one.name for one in designs)], rows


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as the pages have it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def short(designs: Sequence[Design]) -> str:
    """The table of README.md: the counts that a customer notices."""
    head, rows = figures(designs)
    broken = [BROKEN[name] for name in ("lost", "answered_twice", "replies_doubled", "stuck")]
    names = {"evenings", "acknowledged messages", *broken, "wait, median", "wait, 95th percentile"}
    return markdown(head, [row for row in rows if row[0] in names])


def pages(designs: Sequence[Design]) -> dict[Path, str]:
    """The pages with their tables: what stands between `<!-- figures -->` and `<!-- end -->`, and so on."""
    project = Path(__file__).parents[2]
    tables = {
        project / "docs" / "comparison.md": {
            "figures": markdown(*figures(designs)),
            "schedules": markdown(*schedules(designs)),
            "deviations": markdown(
                ["design", "deviation"], ([one.name, note] for one in designs for note in one.notes)
            ),
        },
        project / "README.md": {"figures": short(designs)},
    }
    return {path: _filled(path.read_text(), told) for path, told in tables.items()}


def _filled(text: str, tables: Mapping[str, str]) -> str:
    for name, table in tables.items():
        place = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        assert place.search(text), name
        text = place.sub(lambda _, table=table: f"{table}\n", text, count=1)
    return text
