"""The terminal: a console that shows no control character of anything that it is given.

Ids, names, texts and answers come from companies, customers and providers. A control character in one of them could
rewrite the screen, hide a line or make the terminal do something; a turn of direction shows a name backwards. Each is
shown as a replacement character. The console's own colours are not concerned: they are no part of a text.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich import console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from local.visible import visible


class Console(console.Console):
    """Rich's console, whose every text is `visible`."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)
