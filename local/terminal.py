"""The terminal: a console that shows no control character of anything that it is given.

Ids, names, texts and answers come from companies, customers and providers. A control character in one of them could
rewrite the screen, hide a line or make the terminal do something; a turn of direction shows a name backwards. Each is
shown as a replacement character. The console's own colours are not concerned: they are no part of a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich import console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f"  # C0 but tab and line feed; ESC begins every command to a terminal
    "\x7f-\x9f"  # DEL and C1, whose CSI is one byte in some terminals
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # turns of direction, unseen
    "\u2028\u2029"  # breaks that only some readers see
    "\ud800-\udfff\U000e0000-\U000e0fff]"  # halves of characters, and tags that nobody sees
)
_BREAKS = re.compile("[\t\n]")


def visible(text: str) -> str:
    """`text` without what a terminal would not show as a character; tabs and line feeds stay."""
    return _UNSAFE.sub(_REPLACEMENT, text)


def visible_line(text: str) -> str:
    """The same on one line: what stands in a line of ours cannot begin a line of its own."""
    return _BREAKS.sub(" ", visible(text))


class Console(console.Console):
    """Rich's console, whose every text is `visible`."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)
