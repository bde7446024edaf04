"""No garbage collection while a process starts: it makes next to no garbage, and each collection looks at everything.

Lambda gives a starting function no more processor than a running one. What was made by the end of the start is left out
of all later collections too.
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
