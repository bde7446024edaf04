"""Plays the same evenings over each design, and prints what was counted.

    python -m bench.promises [--seeds 50] [--first 1] [--only "replies-engine"]
    python -m bench.promises --replay "the obvious build" 17 lost

The second form plays one evening and says what the cell counted: each surprising cell can be looked at.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO

from bench.promises.contenders.buffer import MessageBuffer
from bench.promises.contenders.debounce import Debounce
from bench.promises.contenders.engine import ThisEngine
from bench.promises.contenders.obvious import ObviousBuild
from bench.promises.counting import Count, Counted, counted, quartiles
from bench.promises.script import script
from bench.promises.world import Contender, World, local_aws
from bench.tables import show
from local.aws.clients import LocalAws
from local.processes import ports


def contenders() -> Sequence[type[Contender]]:
    """The designs; Agent Connect only where its package is installed."""
    ours: list[type[Contender]] = [ThisEngine, ObviousBuild, MessageBuffer, Debounce]
    if find_spec("tac") is None:
        return ours
    from bench.promises.contenders.agent_connect import AgentConnect  # noqa: PLC0415  # its package may be missing

    return [*ours, AgentConnect]


CONTENDERS = contenders()


def play(aws: LocalAws, kind: type[Contender], seed: int) -> Counted:
    """One evening over one design."""
    with World.of(aws, script(seed)) as world, redirect_stdout(StringIO()):  # log lines and metrics are nobody's here
        world.run(kind(world))
        return counted(world)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.promises", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--only", choices=[one.name for one in CONTENDERS])
    parser.add_argument("--replay", nargs=3, metavar=("DESIGN", "SEED", "COUNT"))
    told = parser.parse_args()
    warnings.simplefilter("ignore")
    with local_aws(ports.free(1)[0]) as aws:
        if told.replay:
            name, seed, what = told.replay
            kind = next(one for one in CONTENDERS if one.name == name)
            print("\n".join(play(aws, kind, int(seed)).surprises.get(what, [])) or "nothing")
            return 0
        kinds = [one for one in CONTENDERS if told.only in {None, one.name}]
        columns = {}
        for kind in kinds:
            evenings = []
            for seed in range(told.first, told.first + told.seeds):
                evenings.append(play(aws, kind, seed))
                print(f"{kind.name}, seed {seed}: {_short(evenings[-1].count)}", file=sys.stderr, flush=True)
            columns[kind.name] = evenings
    show(f"{told.seeds} evenings", ["counted", *columns], _rows(list(columns.values())))
    for kind in kinds:
        for note in kind.notes:
            print(f"{kind.name}: {note}")
    return 0


def _short(count: Count) -> str:
    names = ("lost", "answered_twice", "out_of_order", "replies_doubled", "replies_lost", "stuck", "forged")
    return ", ".join(f"{name} {getattr(count, name)}" for name in names)


def _rows(columns: Sequence[Sequence[Counted]]) -> list[list[str]]:
    sums = [sum((one.count for one in evenings), Count()) for evenings in columns]
    waits = [quartiles(wait for one in evenings for wait in one.waits) for evenings in columns]
    rows = [
        ["acknowledged messages", *(f"{one.messages:,}" for one in sums)],
        ["bursts", *(f"{one.bursts:,}" for one in sums)],
    ]
    names = ("lost", "answered_twice", "out_of_order", "in_pieces", "replies_doubled", "replies_lost", "stuck")
    rows += [[name.replace("_", " "), *(f"{getattr(one, name):,}" for one in sums)] for name in names]
    rows += [
        ["forged accepted", *(f"{one.forged:,}" for one in sums)],
        ["answers after STOP", *(f"{one.after_stop:,}" for one in sums)],
        ["wait, median", *(f"{half:.1f} s" for half, _ in waits)],
        ["wait, 95th percentile", *(f"{late:.1f} s" for _, late in waits)],
        ["AI turns per burst", *(f"{one.ai_turns / max(1, one.bursts):.2f}" for one in sums)],
        ["AWS calls per message", *(f"{one.calls / max(1, one.messages):.1f}" for one in sums)],
        ["AWS calls, $ per million messages", *(f"{one.cost / max(1, one.messages) * 1e6:.0f}" for one in sums)],
    ]
    return rows


if __name__ == "__main__":
    sys.exit(main())
