"""Text of the format `flowed` (RFC 3676): joins lines that a mail program broke.

Guarantee: words and paragraphs are as written. Quote marks stay at the start of each line.
"""

from __future__ import annotations

from typing import Final

_DEPTH_MAX: Final = 100
_SIGNATURE: Final = "-- "


def unflowed(text: str, *, deletes_space: bool) -> str:
    """`text` with its soft line breaks undone.

    Args:
        text: as it was decoded, with any line ends.
        deletes_space: `delsp=yes`: the blank before a soft break is the break's and not the text's.
    """
    told: list[str] = []
    pieces: list[str] = []
    depth_before = 0
    is_open = False
    for line in text.replace("\r\n", "\n").split("\n"):
        depth = len(line[:_DEPTH_MAX]) - len(line[:_DEPTH_MAX].lstrip(">"))
        said = line[depth:].removeprefix(" ")
        if is_open and (depth != depth_before or said == _SIGNATURE):
            told.append("".join(pieces))
            pieces, is_open = [], False
        if not is_open:
            pieces = [">" * depth + (" " if depth else "")]
        is_open = said.endswith(" ") and said != _SIGNATURE
        pieces.append(said[:-1] if is_open and deletes_space else said)
        depth_before = depth
        if not is_open:
            told.append("".join(pieces))
            pieces = []
    if is_open:
        told.append("".join(pieces))
    return "\n".join(told)
