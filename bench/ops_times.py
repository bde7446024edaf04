"""What the operator's commands take on the local stack: elapsed seconds and processor seconds, the best of some runs.

Starts `make run` on free ports, sends one message, and runs each command that only reads as a process of its own, as a
terminal does. On a busy machine the elapsed seconds say little. The processor's seconds say what the command itself
costs, and their ratio to those of an empty Python is nearly the same on each machine.

    python -m bench.ops_times [--runs 3]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from local import run_file
from local.processes import ports
from local.run_file import RunFile

START_SECONDS = 120
BOUNDS = {"doctor": 3.0}
"""In seconds; every other command has half of it."""

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("doctor",),
    ("doctor", "--json"),
    ("explain", "anna"),
    ("explain", "+447700900111"),
    ("tail", "--no-follow"),
    ("tenant", "check", "sunrise"),
    ("tenant", "policy", "nordic"),
    ("dead-letters", "list"),
    ("catch-up", "sunrise", "--since", "1h", "--dry-run"),
    ("adopt", "--table", "conversations-local", "--dry-run"),
    ("redrive", "whatsapp", "--dry-run"),
    ("handoff", "anna", "--dry-run"),
    ("watch-unanswered", "--dry-run"),
    ("erase", "+447700900199", "--dry-run"),
)
PLACELESS: tuple[tuple[str, ...], ...] = (("--version",), ("--help",), ("ports",), ("profile", "list"))


@contextmanager
def stack() -> Iterator[RunFile]:
    """A `make run` on free ports."""
    aws, http, twilio, sendgrid, console = ports.free(5)
    told = {"--aws-port": aws, "--http-port": http, "--twilio-port": twilio, "--sendgrid-port": sendgrid}
    options = [part for name, port in {**told, "--console-port": console}.items() for part in (name, str(port))]
    running = subprocess.Popen([sys.executable, "-m", "local", "run", *options], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_SECONDS
        while (found := run_file.at_port(aws)) is None and time.monotonic() < until:
            time.sleep(0.2)
        if found is None or not ports.wait_until_answers(http, seconds=START_SECONDS):
            raise SystemExit("make run did not start")
        yield found
    finally:
        running.terminate()
        running.wait()


def measured(*arguments: str) -> tuple[float, float, int]:
    """The elapsed seconds and the processor seconds of one run of Python, and its exit code."""
    begun = time.monotonic()
    child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    elapsed = time.monotonic() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    return elapsed, used.ru_utime + used.ru_stime, child.returncode


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    with stack() as here:
        place = ("--stage", "local", "--endpoint-url", here.endpoint)
        subprocess.run(
            [sys.executable, "-m", "local", "send", "--url", here.url], check=True, stdout=subprocess.DEVNULL
        )
        empty = min(measured("-c", "pass")[1] for _ in range(5))
        print("| command | elapsed s | of its bound | processor s | of an empty Python | exit code |")
        print("| --- | --- | --- | --- | --- | --- |")
        for command in (*PLACELESS, *COMMANDS):
            words = ("-m", "ops", *command, *(() if command in PLACELESS else place))
            took = [measured(*words) for _ in range(runs)]
            elapsed, used = min(one[0] for one in took), min(one[1] for one in took)
            ratio = elapsed / BOUNDS.get(command[0], 1.5)
            codes = ", ".join(sorted({str(one[2]) for one in took}))
            times = f"{elapsed:.2f} | {ratio:.2f} x | {used:.2f} | {used / empty:.0f} x"
            print(f"| `{' '.join(command)}` | {times} | {codes} |", flush=True)


if __name__ == "__main__":
    main()
