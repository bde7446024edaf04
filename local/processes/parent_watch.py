"""Terminates a child process when its parent dies, even by SIGKILL.

A child holds the reading end of a pipe as its standard input. The parent never writes to it; when the parent is gone,
killed without a chance to clean up too, the pipe closes and the child ends itself. Standard library only, for it also
runs in the engine's own virtual environment:

    python -I parent_watch.py FOLDER PROGRAM [ARGUMENT...]

runs PROGRAM, a file of Python, with its arguments. When the pipe closes, FOLDER is removed and the process ends.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import threading
from collections.abc import Callable


def end_with_parent(tidy: Callable[[], None] = lambda: None) -> None:
    """End this process, after `tidy`, once its standard input closes."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        tidy()
        os._exit(0)

    threading.Thread(target=wait, name="guard", daemon=True).start()


if __name__ == "__main__":
    _, folder, program, *arguments = sys.argv
    end_with_parent(lambda: shutil.rmtree(folder, ignore_errors=True))
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")
