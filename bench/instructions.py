"""Counts a process's instructions by Valgrind: unlike CPU time they are nearly the same in every run, on any load.

A process under `valgrind --tool=callgrind` has its instructions counted between two requests to Valgrind, which a
library of a few lines makes. It needs Valgrind with its headers and a C compiler.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_SOURCE = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(void) { CALLGRIND_DUMP_STATS; CALLGRIND_STOP_INSTRUMENTATION; }
"""
_LIBRARY, _DUMP = "requests.so", "dump"


def are_countable() -> bool:
    """Whether Valgrind, its headers and a compiler are there."""
    return bool(shutil.which("valgrind") and shutil.which("cc")) and Path("/usr/include/valgrind/callgrind.h").exists()


def counted(module: str, folder: Path) -> tuple[str, list[float]]:
    """Run a module under Valgrind with `folder` as its argument; what it prints, and each of its counts."""
    library = folder / _LIBRARY
    command = ["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(library)]
    subprocess.run(command, input=_SOURCE, text=True, check=True)
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder / _DUMP}"]
    done = subprocess.run(
        [*valgrind, sys.executable, "-W", "ignore", "-m", module, str(folder)],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    dumps = sorted(folder.glob(f"{_DUMP}.*"), key=lambda one: int(one.suffix[1:]))
    totals = [re.search(r"^totals: (\d+)", one.read_text(), re.MULTILINE) for one in dumps]
    return done.stdout, [float(one[1]) for one in totals if one]


def meter(folder: Path) -> Callable[[Callable[[], object]], float]:
    """What has the instructions of an act counted, where `counted` runs the process; it returns the count's number."""
    library, places = ctypes.CDLL(str(folder / _LIBRARY)), itertools.count(1)

    def count(act: Callable[[], object]) -> float:
        library.begin()
        act()
        library.end()
        return float(next(places))

    return count
