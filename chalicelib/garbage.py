"""Switches garbage collection off while a process starts: a start makes little garbage, and collections are slow.

Lambda gives a starting function no more processor than a running one. The objects made during the start are also left
out of all later collections.
"""

from __future__ import annotations

import gc


def pause() -> None:
    """Collect nothing until `resume`."""
    gc.disable()


def resume() -> None:
    """Collect what is made from now on."""
    gc.freeze()
    gc.enable()
