"""Where a quotation begins in an e-mail's text: the introduction, the divider or the header block above it.

Guarantee: each line costs a look at a bounded number of lines, and `looks` counts the closer looks. A boundary needs
evidence: a date together with an address, a header block, a mail program's own divider, or our own text below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chalicelib.channels.email import introductions, marks, quoted_lines
from chalicelib.channels.email.earlier import Earlier

_INTRODUCTION_LINES_MAX = 4
_OWN_WORDS_MIN = 8
_OWN_LINES_SEEN = 40
_BLANK_LINES_MAX = 8
_LABEL_SEEN = 40


@dataclass(repr=False)
class Text:
    """A text line by line."""

    lines: Sequence[str]
    depths: Sequence[int]
    """How often each line is quoted."""
    said: Sequence[str]
    """What each line says without its quote marks."""
    ours: Sequence[bool]
    """Whether each line repeats what the conversation has already."""
    edges: Sequence[bool]
    """Whether each line repeats a part of that."""
    looks: int = 0
    """Closer looks at lines that may introduce something."""

    @classmethod
    def of(cls, lines: Sequence[str], earlier: Earlier | None) -> Text:
        """The text of these lines, where `earlier` was said before."""
        depths, said = quoted_lines.marked(lines)
        repeated = (earlier or Earlier(())).repeated(said)
        return cls(lines, depths, said, repeated.lines, repeated.edges)

    @property
    def has_repeated(self) -> bool:
        """Whether a line repeats what the conversation has already."""
        return any(self.ours)

    def boundary(self, place: int) -> tuple[int, int] | None:
        """What stands above a quotation and begins or ends at a line: its first line and the one after its last."""
        said = self.said[place]
        if not said:
            return None
        if len(said) > marks.LINE_LENGTH_MAX:
            return self._above_repeated(place)
        if marks.is_reply_above(said) or marks.is_forward_marker(said):
            return place, place + 1
        if marks.is_original_marker(said):
            return place, self._block_end(place + 1)
        if ":" in said[:_LABEL_SEEN] or marks.COLONS[1] in said[:_LABEL_SEEN]:
            end = self._header_block(place, below_divider=self._is_below_divider(place))
            if end is not None:
                return place, end
        return self._introduction(place) or self._above_repeated(place)

    def _introduction(self, place: int) -> tuple[int, int] | None:
        """The introduction that ends at a line; None: none does."""
        said = self.said[place]
        before_gap = introductions.part_before_gap(said)
        if before_gap:
            self.looks += 1
            if introductions.introduction(before_gap).is_hard:
                return place, place + 1
        may_end = introductions.may_end_introduction(said)
        if not may_end and "@" not in said:
            return None
        following = self.following(place + 1)
        is_quoted_below = following is not None and (bool(self.depths[following]) or self.ours[following])
        if not may_end and not is_quoted_below:
            return None
        start, best = self._span(place)
        return (start, place + 1) if best.is_hard or (is_quoted_below and best.is_soft) else None

    def _span(self, place: int) -> tuple[int, introductions.Introduction]:
        """The lines up to one that speak most for being an introduction: where they begin, and what speaks for them."""
        self.looks += 1
        chosen, best = place, introductions.introduction(self.said[place])
        start, lines_left = place, _INTRODUCTION_LINES_MAX - 1
        while not best.is_complete and start > 0 and lines_left:
            start -= 1
            if not self.said[start] and self.said[start + 1][:1] == "<":  # no introduction begins with its address
                continue
            if not self.said[start] or self.depths[start] or len(self.said[start]) > marks.LINE_LENGTH_MAX:
                break
            lines_left -= 1
            longer = introductions.introduction(self._joined(range(start, place + 1)))
            if longer.weight > best.weight or (longer.is_balanced and not best.is_balanced):
                chosen, best = start, longer
        return chosen, best

    def _above_repeated(self, place: int) -> tuple[int, int] | None:
        """Our own text that begins at a line, with what introduces it, in whatever language; None: it does not."""
        if not self.ours[place] or (place and self.ours[place - 1]):
            return None
        run = []
        for one in range(place, min(len(self.lines), place + _OWN_LINES_SEEN)):
            if self.said[one] and not self.ours[one]:
                break
            run += self.said[one].split()
        above = next((one for one in range(place - 1, max(-1, place - 4), -1) if self.said[one]), None)
        if above is None or len(run) < _OWN_WORDS_MIN or self.depths[above]:
            return None
        start, told = self._span(above)
        is_told = told.has_date or told.has_address or told.ends or self.is_drawn(above)
        return (start, place) if is_told else None

    def _block_end(self, place: int) -> int:
        """Where a header block ends that may follow the line of a divider."""
        following = self.following(place)
        if following is None or self.depths[following]:
            return place
        return self._header_block(following, below_divider=True) or place

    def _header_block(self, place: int, *, below_divider: bool) -> int | None:
        if not introductions.may_begin_block(self.said[place], below_divider=below_divider):
            return None
        self.looks += 1
        return introductions.header_block(self.said, place, below_divider=below_divider)

    def _is_below_divider(self, place: int) -> bool:
        above = next((one for one in range(place - 1, max(-1, place - 3), -1) if self.said[one]), None)
        return above is not None and self.is_drawn(above)

    def is_drawn(self, place: int) -> bool:
        """Whether a line is a divider, with or without words in it."""
        return marks.is_divider(self.said[place]) or marks.is_framed(self.said[place])

    def following(self, place: int) -> int | None:
        """The next line that says something, or is quoted."""
        nearby = range(place, min(len(self.lines), place + _BLANK_LINES_MAX))
        return next((one for one in nearby if self.said[one] or self.depths[one]), None)

    def _joined(self, places: Iterable[int]) -> str:
        return " ".join(self.said[place] for place in places)

    def is_human(self, start: int, introduction: list[int]) -> bool:
        """Whether a customer may have written what stands above a quotation, and not a mail program."""
        said = self.said[start]
        is_programs = self.is_drawn(start) or marks.is_original_marker(said) or introductions.role_of(said) is not None
        return not is_programs and introductions.introduction(self._joined(introduction)).is_human

    def is_repeated(self, place: int) -> bool:
        """Whether a line is our own text, or quoted."""
        return bool(self.ours[place] or self.edges[place] or self.depths[place])

    def begins_with_introduction(self, places: Sequence[int]) -> bool:
        """Whether one of the first quoted lines ends an introduction that is quoted itself."""
        first = [self.said[place] for place in places[:_INTRODUCTION_LINES_MAX]]
        return any(introductions.may_end_introduction(one) and introductions.introduction(one).is_soft for one in first)
