"""Plays the same evenings over each design, and prints what was counted.

    python -m bench.promises [--seeds 50] [--first 1] [--only "replies-engine"] [--results FOLDER]
    LOG_LEVEL=DEBUG python -m bench.promises --replay "the obvious build" 17 lost [--log FILE]
    python -m bench.promises --pages

The second form plays one evening and says what the cell counted: each surprising cell can be looked at. The third
writes the tables of docs/comparison.md and README.md from the results that are kept.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TextIO

from bench.promises import results
from bench.promises.contenders.buffer import MessageBuffer
from bench.promises.contenders.debounce import Debounce, PatientDebounce
from bench.promises.contenders.engine import ThisEngine
from bench.promises.contenders.obvious import ObviousBuild
from bench.promises.counting import Counted, counted
from bench.promises.results import BROKEN, Design
from bench.promises.script import script
from bench.promises.world import Contender, World, local_aws
from bench.tables import show
from local.aws.clients import LocalAws
from local.processes import ports

AGENT_CONNECT = "Agent Connect 2.5.0"


def contenders() -> Sequence[type[Contender]]:
    """The designs; Agent Connect only where its package is installed."""
    ours: list[type[Contender]] = [ThisEngine, ObviousBuild, MessageBuffer, Debounce, PatientDebounce]
    if find_spec("tac") is None:
        return ours
    from bench.promises.contenders.agent_connect import AgentConnect  # noqa: PLC0415  # its package may be missing

    return [*ours, AgentConnect]


CONTENDERS = contenders()
NAMES = list(dict.fromkeys([*(one.name for one in CONTENDERS), AGENT_CONNECT]))
"""Of every design that may have results, in the order of the tables."""


def play(aws: LocalAws, kind: type[Contender], seed: int, log: TextIO) -> Counted:
    """One evening over one design, whose log lines and metrics go to `log`."""
    with World.of(aws, script(seed)) as world, redirect_stdout(log):
        world.run(kind(world))
        return counted(world)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.promises", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--only", action="append", choices=[one.name for one in CONTENDERS], help="may be repeated")
    parser.add_argument(
        "--results", type=Path, help="keep the evenings in this folder; what it has is not played again"
    )
    parser.add_argument("--replay", nargs=3, metavar=("DESIGN", "SEED", "COUNT"))
    parser.add_argument("--log", type=Path, help="with --replay: where what the design printed is kept")
    parser.add_argument("--pages", action="store_true", help="write the tables of the pages from the kept results")
    told = parser.parse_args()
    warnings.simplefilter("ignore")
    if told.pages:
        for path, text in results.pages(results.alike(results.read_all(results.KEPT, NAMES))).items():
            path.write_text(text)
        return 0
    with local_aws(ports.free(1)[0]) as aws:
        if told.replay:
            name, seed, what = told.replay
            kind = next(one for one in CONTENDERS if one.name == name)
            with told.log.open("w") if told.log else StringIO() as log:
                surprises = play(aws, kind, int(seed), log).surprises
            print("\n".join(surprises.get(what, [])) or "nothing")
            return 0
        kinds = [one for one in CONTENDERS if one.name in (told.only or NAMES)]
        seeds = range(told.first, told.first + told.seeds)
        designs = [_design(aws, kind, seeds, told.results) for kind in kinds]
    show("Evenings", *results.figures(designs))
    for design in designs:
        for note in design.notes:
            print(f"{design.name}: {note}")
    return 0


def _design(aws: LocalAws, kind: type[Contender], seeds: Sequence[int], folder: Path | None) -> Design:
    """Play a design's evenings, without those that the folder has; another run may add to it meanwhile."""
    today = datetime.now(UTC).date()
    design = Design(kind.name, kind.notes, today.isoformat())
    for seed in seeds:
        if folder:
            design.evenings |= results.kept(folder, kind.name)
        if seed in design.evenings:
            continue
        evening = play(aws, kind, seed, StringIO())
        told = ", ".join(f"{name} {getattr(evening.count, name)}" for name in BROKEN)
        print(f"{kind.name}, seed {seed}: {told}", file=sys.stderr, flush=True)
        if folder:
            design.evenings |= results.kept(folder, kind.name)
        design.evenings[seed] = evening
        if folder:
            results.write(folder, design, today)
    return design


if __name__ == "__main__":
    sys.exit(main())
