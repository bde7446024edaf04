"""Which lines of a text are quoted, where mail programs broke lines and addresses among the quote marks; pure.

Each function reads a bounded part of a line, or each line once.
"""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.channels.email import marks

_WRAPPED_LENGTH_MIN = 60
"""A line that a mail program broke is nearly as long as a line may be."""


def marked(lines: Sequence[str]) -> tuple[list[int], list[str]]:
    """How often each line is quoted, and what it says without its marks."""
    depths, said = [], []
    lines_open = 0
    """In how many of the next lines a mark may be the end of an address that is broken."""
    for line in lines:
        depth, text = marks.quote_depth(line)
        if depth and lines_open:  # a mail program broke it: `<ann@customer.example` and `> wrote:`
            depth, text = 0, line.strip()
        lines_open = max(lines_open - 1, 0 if depth else _lines_open(text))
        depths.append(depth)
        said.append(text)
    return depths, said


def goes_on(above: str, said: str) -> bool:
    """Whether a line without a mark is the end of the quoted one above it, which a mail program broke.

    The one above it is as long as lines are, ends in no full stop, and the words go on in small letters; or a link.
    """
    if " " not in said and ("://" in above.rpartition(" ")[2] or _is_open_link(above, said)):
        return True
    return len(above) >= _WRAPPED_LENGTH_MIN and above[-1:] not in ".?!:;" and said[:1].islower()


def _lines_open(said: str) -> int:
    """In how many lines below one the bracket may close that it leaves open."""
    if len(said) > marks.LINE_LENGTH_MAX or said.rfind("<") <= said.rfind(">"):
        return 0
    return 2 if said == "<" else int("@" in said)


def _is_open_link(above: str, said: str) -> bool:
    """Whether a line is a link in brackets that close further below."""
    return "://" in said and ">" not in said and (above.endswith("<") or said.startswith("<"))
