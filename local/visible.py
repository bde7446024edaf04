"""What of a text a terminal may show: no control character, no turn of direction, nothing unseen; pure."""

from __future__ import annotations

import re

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
