"""Child processes: started in sessions of their own, read line by line, stopped in order.

A session of its own keeps the terminal's Ctrl-C from a child: it reaches the parent alone, which then stops its
children one after the other. Each child watches the pipe on its standard input (`parent_watch.py`), so that none
outlives a parent that was killed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from local.processes.environment import PROJECT

OnLine = Callable[[str, str], None]
"""Takes a child's name and one line of its output."""

_STOP_SECONDS = 5.0
_LAST_WORDS = 12


@dataclass
class Child:
    """One running child process and the last lines that it said."""

    name: str
    process: subprocess.Popen[str]
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_WORDS))
    may_end: bool = False
    """Whether it may end by itself."""
    _reader: threading.Thread | None = None

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], *, environment: Mapping[str, str], on_line: OnLine | None = None
    ) -> Child:
        """Start `command` in the project's folder; `on_line` is called, on a thread of the child's, for each line."""
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        child = cls(name, process)
        child._reader = threading.Thread(target=child._read, args=(on_line,), name=f"{name}-lines", daemon=True)
        child._reader.start()
        return child

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def wait(self, seconds: float) -> int | None:
        """The exit code, once the child ended and all its lines were heard; None if it still runs after `seconds`."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._finish()
        return code

    def stop(self) -> None:
        """Ask the child to end, wait, and end it if it does not; does nothing if it has ended."""
        if self.is_running:
            self.process.send_signal(signal.SIGTERM)
            if self.wait(_STOP_SECONDS) is None:
                self.process.kill()
                self.process.wait()
        self._finish()

    def _finish(self) -> None:
        if self._reader is not None:
            self._reader.join(_STOP_SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self, on_line: OnLine | None) -> None:
        for line in self.process.stdout or ():
            self.last_lines.append(line.rstrip())
            if on_line is not None:
                on_line(self.name, line.rstrip())


def start_own(name: str, *arguments: str, environment: Mapping[str, str], on_line: OnLine | None = None) -> Child:
    """Start one of this package's own child commands: `python -m local ARGUMENTS`."""
    return Child.start(name, [sys.executable, "-m", "local", *arguments], environment=environment, on_line=on_line)


class StopAsked(SystemExit):
    """The parent was asked to end by a signal other than Ctrl-C; cleaned up after like any other end."""


def end_on_signals() -> None:
    """Make SIGTERM and SIGHUP end the parent the way Ctrl-C does, so that its children are stopped.

    A SIGHUP that whoever started us had us ignore, as nohup does, stays ignored.
    """

    def ask(number: int, _frame: object) -> None:
        raise StopAsked(128 + number)

    signal.signal(signal.SIGTERM, ask)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, ask)
