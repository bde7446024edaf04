"""Convicts mutants: finds the run that violates an invariant in a changed copy of the code, or replays it.

    python -m tests.simulation.convict             replay the runs that docs/protocol.md tells
    python -m tests.simulation.convict --search          hunt for them anew, and write them down (`make mutants`)
    python -m tests.simulation.convict --search M3 M4    the same for these alone (`make mutants ARGS="M3 M4"`)

Each mutant is a copy of the package in a folder of its own. A child process imports one after another, purging what it
knew of ours, and tells for each what was violated. Only a numbered invariant convicts: a mutant that merely crashes
does not count.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.simulation.mutants import Mutant, by_number
from tests.simulation.runs import replay

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "protocol.md"

CHILDREN = 2
SEEDS = 240
STEPS, STEPS_MAX = 1_500, 60_000
"""How far a hunt goes: random runs; choices of each small world, and of the one in which it was found last."""

_ANEW = "?"
"""Before a run's name: if that does not convict, search for another. By itself: search."""

_OURS = ("chalicelib", "tests", "local", "infrastructure")
_BESIDE = ("tests", "local", "infrastructure")
"""What the simulation needs beside the package."""
_NUMBERED = re.compile(r"^(I\d): (.*)$", re.MULTILINE)
_HEAD = "| | what is changed | guard | convicted by | what is violated |\n| --- | --- | --- | --- | --- |"
_ROW = re.compile(r"^\| (M\d+) \| (.+?) \| (.+?) \| `(.+?)` \| (I\d): (.+?) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One row of the page's table."""

    number: str
    what: str
    guard: str
    run: str
    invariant: str
    words: str

    def __str__(self) -> str:
        return f"| {self.number} | {self.what} | {self.guard} | `{self.run}` | {self.invariant}: {self.words} |"


def rows_of_the_page() -> list[Row]:
    """The table of docs/protocol.md."""
    return [Row(*found) for found in _ROW.findall(PAGE.read_text())]


@contextmanager
def copies(mutants: Mapping[str, Mutant]) -> Iterator[dict[str, Path]]:
    """A folder for each mutant, that has the changed package and all that the simulation needs beside it.

    Raises:
        LookupError: a pattern no longer stands in the source.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folders, beside = {}, Path(scratch) / "beside"
        for name in _BESIDE:
            shutil.copytree(ROOT / name, beside / name)
        for number, mutant in mutants.items():
            folder = folders[number] = Path(scratch) / number
            shutil.copytree(ROOT / "chalicelib", folder / "chalicelib")
            for name in _BESIDE:
                (folder / name).symlink_to(beside / name)
            mutant.apply(folder / "chalicelib")
        yield folders


def verdicts(runs: Mapping[str, tuple[Path, str]]) -> dict[str, Any]:
    """What each run violates in its folder, by the mutant's number: [run, invariant, words], or None.

    Args:
        runs: by number the folder and the run's name.
    """
    shares = [dict(list(runs.items())[first::CHILDREN]) for first in range(CHILDREN)]
    with ThreadPoolExecutor(CHILDREN) as pool:
        return {number: verdict for some in pool.map(_ask_child, shares) for number, verdict in some.items()}


def _ask_child(runs: Mapping[str, tuple[Path, str]]) -> dict[str, Any]:
    tasks = json.dumps({number: (str(folder), run) for number, (folder, run) in runs.items()})
    command = [sys.executable, "-m", "tests.simulation.convict", "--child"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, input=tasks, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return dict(json.loads(line) for line in done.stdout.splitlines())


def _be_child() -> None:
    for number, (folder, run) in json.loads(sys.stdin.read()).items():
        runs = _import_from(folder)
        with runs.collecting_rarely():
            found = _tried(runs, run.removeprefix(_ANEW)) or (_searched(runs, run) if run.startswith(_ANEW) else None)
        print(json.dumps((number, found)), flush=True)  # noqa: T201 - read by the parent


def _import_from(folder: str) -> Any:
    """The module of runs, over the package of that folder."""
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    sys.path[0] = folder
    importlib.invalidate_caches()
    runs = importlib.import_module("tests.simulation.runs")
    assert Path(sys.modules["chalicelib"].__file__ or "").parent.parent == Path(folder), "another package was imported"
    return runs


def _tried(runs: Any, name: str) -> list[str] | None:
    """What the run of that name violates; no name: nothing."""
    if not name:
        return None
    try:
        runs.replay(name)
    except runs.Violation as violation:
        return told(violation)
    except Exception:  # noqa: BLE001 - a mutant may break anything, and is not convicted by that
        return None
    return None


def told(violation: Exception) -> list[str] | None:
    """The run, the invariant and its words; None: no numbered invariant was violated."""
    name, _, rest = str(violation).partition("\n")
    numbered = _NUMBERED.match(rest)
    return [name, *numbered.groups()] if numbered else None


def _searched(runs: Any, last: str) -> list[str] | None:
    """The first that is found: where it was found last, else a few random runs, small worlds, and many random runs."""
    last = last.removeprefix(_ANEW)
    world = runs.small.number_of(last) if last else None
    if world is not None and (found := _explored(runs, [(world, int(last.split("/")[2]))], STEPS_MAX)):
        return found
    few, many = range(SEEDS // 4), range(SEEDS // 4, SEEDS)
    return _by_chance(runs, few) or _explored(runs, runs.variants().values(), STEPS) or _by_chance(runs, many)


def _explored(runs: Any, variants: Iterable[tuple[int, int]], steps_max: int) -> list[str] | None:
    for world, variant in variants:
        try:
            runs.explore(world, variant, steps_max=steps_max)
        except runs.Violation as violation:
            found = told(violation)
            if found and _tried(runs, found[0]) == found:
                return found
        except Exception:  # noqa: BLE001, S112 - a mutant may break anything
            continue
    return None


def _by_chance(runs: Any, seeds: Iterable[int]) -> list[str] | None:
    return next((found for seed in seeds if (found := _tried(runs, f"swarm/{seed}"))), None)


def hunt(numbers: Sequence[str]) -> Iterator[tuple[str, Mutant, list[str] | None]]:
    """Search for the run that convicts each of these mutants."""
    mutants = {number: mutant for number, mutant in by_number().items() if not numbers or number in numbers}
    last = {row.what: row.run for row in rows_of_the_page()}
    with copies(mutants) as folders, ThreadPoolExecutor(CHILDREN) as pool:
        few = [list(folders.items())[first : first + 2] for first in range(0, len(folders), 2)]
        tasks = [
            {number: (folder, _ANEW + last.get(mutants[number].what, "")) for number, folder in some} for some in few
        ]
        for answers in pool.map(_ask_child, tasks):
            for number, found in answers.items():
                if found:
                    replay(found[0])  # raises where the shipped code itself violates an invariant
                print(number, mutants[number].what, found, flush=True)  # noqa: T201 - a program
                yield number, mutants[number], found


def write_down(found: Iterable[Row]) -> None:
    """Put rows into the page's table, each in the place of the row for the same change."""
    by_change = {row.what: row for row in (*rows_of_the_page(), *found)}
    rows = [
        replace(by_change[mutant.what], number=number)
        for number, mutant in by_number().items()
        if mutant.what in by_change
    ]
    before, _, rest = PAGE.read_text().partition(_HEAD)
    PAGE.write_text("\n".join([before + _HEAD, *map(str, rows)]) + "\n\n" + rest.split("\n\n", 1)[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--search", nargs="*", metavar="NUMBER")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _be_child()
        return 0
    if arguments.search is not None:
        found = [(number, mutant, run) for number, mutant, run in hunt(arguments.search)]
        write_down(Row(number, mutant.what, mutant.guard, *run) for number, mutant, run in found if run)
        free = [f"{number} is not convicted: {mutant.what}" for number, mutant, run in found if not run]
        print("\n".join(free))  # noqa: T201 - a program
        return 1 if free else 0
    rows = rows_of_the_page()
    with copies(by_number()) as folders:
        found = verdicts({row.number: (folders[row.number], row.run) for row in rows})
    for row in rows:
        print(row.number, found[row.number])  # noqa: T201 - a program
    return 0 if all(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
