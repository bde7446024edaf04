"""What is new in an e-mail's text, apart from what it quotes.

    the lines above the first quotation                                       new
    an introduction, a divider or a header block, and what is quoted below    history
    lines between and below lines that are marked as quoted                   new, with the lines that they answer

Guarantee: a text is read in time proportional to its length. A line is cut off only on evidence: a date together with
an address, quote marks, a header block, a mail program's own divider, or our own text below it. All of the text is new
without such evidence, above a reached limit, in a forward, and where the customer points to the text below. Evidence
that a person could have typed too sets `is_certain = False`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import Final

from chalicelib.channels.email import introductions, marks, quoted_lines
from chalicelib.channels.email.earlier import Earlier
from chalicelib.channels.email.relations import Relation
from chalicelib.channels.email.signatures import is_list_footer, without_signature

TEXT_LENGTH_MAX: Final = 262_144
LINES_MAX: Final = 5_000
_LOOKS_MAX = 200
"""Closer looks at lines that may introduce something: people's e-mails take a few."""

_INTRODUCTION_LINES_MAX = 4
_QUOTED_LINES_MAX = 12
"""Of a quotation that is kept with its answer; of a longer one its end is."""
_QUOTED_LINES_KEPT = 8
_OWN_WORDS_MIN = 8
_OWN_LINES_SEEN = 40
_BLANK_LINES_MAX = 8
_LABEL_SEEN = 40


@dataclass(frozen=True, repr=False)
class NewText:
    """What is new in a text."""

    text: str
    is_certain: bool = True
    """Whether all that was cut off was cut on evidence that a mail program alone writes."""


@dataclass(repr=False)
class _Piece:
    """Lines that stand together, by their numbers."""

    places: list[int]
    is_quoted: bool = False
    said_above: list[int] = field(default_factory=list)
    """What introduces a quotation, where a person may have written it."""
    is_introduced: bool = False
    """Whether an introduction, a divider or a header block stands above it."""
    is_chosen: bool = False
    """Whether the customer chose to quote it: nothing introduces it, and the history is introduced further below."""


def new_text(text: str, *, relation: Relation = Relation.UNKNOWN, earlier: Earlier | None = None) -> NewText:
    """What is new in a tidied text; all of it where in doubt.

    Args:
        text: with plain line ends.
        relation: of the e-mail to the one before it.
        earlier: what was said before in the conversation; None: unknown.
    """
    if relation is Relation.FORWARD or len(text) > TEXT_LENGTH_MAX or text.count("\n") >= LINES_MAX:
        return NewText(text)
    reading = _Reading(text.split("\n"), relation, earlier)
    if not reading.read():
        return NewText(text)
    composed = reading.composed()
    new, is_sure = without_signature(composed)
    new = new or composed
    if not new or (composed != text and not reading.has_repeated and marks.is_signature_alone(new.split("\n"))):
        return NewText(text)  # somebody forwards it without a word of their own
    return NewText(new, reading.is_certain and is_sure)


class _Reading:
    """One text while it is read, from its first line to its last."""

    def __init__(self, lines: list[str], relation: Relation, earlier: Earlier | None) -> None:
        self._lines = lines
        self._relation = relation
        self._depths, self._said = quoted_lines.marked(lines)
        repeated = (earlier or Earlier(())).repeated(self._said)
        self._ours, self._edges = repeated.lines, repeated.edges
        self._pieces = [_Piece([])]
        self.is_certain = True
        self.has_repeated = any(self._ours)
        self._looks = 0

    def read(self) -> bool:
        """Read all lines; whether some may be history. False: all of the text is new."""
        place = 0
        while place < len(self._lines) and self._looks < _LOOKS_MAX:
            if self._depths[place]:
                if marks.is_reply_above(self._said[place]):
                    return True
                place = self._take_quotation(place, [])
                continue
            boundary = self._boundary(place)
            if boundary is None:
                self._pieces[-1].places.append(place)
                place += 1
                continue
            if marks.is_forward_marker(self._said[place]):
                return False
            start, place = boundary
            introduction = self._take_back(start)
            self._note_chosen()
            if marks.is_reply_above(self._said[start]):
                return True
            if not self._is_human(start, introduction):
                introduction = []
            following = self._following(place)
            if following is not None and self._depths[following]:
                place = self._take_quotation(following, introduction, is_introduced=True)
                continue
            if any(self._ours[place:]):
                self._take_repeated(place, introduction)
                return True
            above = [self._said[one] for piece in self._pieces if not piece.is_quoted for one in piece.places]
            return self._relation is not Relation.NEW and not self._is_answered_below(above, start, place)
        is_forwarded = self._relation is Relation.NEW and len(self._pieces) > 1
        return self._looks < _LOOKS_MAX and (self.has_repeated or not is_forwarded)

    def _is_answered_below(self, above: Sequence[str], start: int, end: int) -> bool:
        """Whether the customer answers below what introduces the history, by what they say above it or write there."""
        return (
            marks.points_below(above)
            or (marks.is_greeting(above) and any(marks.is_answer_mark(one) for one in self._said[end:]))
            or introductions.has_prefaced_answer(self._said, start, end)
        )

    def composed(self) -> str:
        """The new lines, and of what is quoted above one of them as much as says what it answers."""
        told: list[str] = []
        for number, piece in enumerate(self._pieces):
            if not piece.is_quoted:
                lines = [self._lines[place] for place in piece.places]
                told += lines if told and told[-1].strip() else dropwhile(lambda line: not line.strip(), lines)
                continue
            answer = self._pieces[number + 1].places
            said = [self._said[place] for place in answer]
            if piece.is_chosen:
                _part(told)
                told += map(self._quoted, piece.places)
                continue
            if not any(said) or (number and (marks.is_closing(said) or is_list_footer(said))):
                _part(told)
                continue
            quoted = [place for place in piece.places if self._said[place]]
            if len(quoted) > _QUOTED_LINES_MAX:
                quoted = quoted[-_QUOTED_LINES_KEPT:]
            _part(told)
            told += [self._said[place] for place in piece.said_above]
            told += [self._quoted(place) for place in range(quoted[0], quoted[-1] + 1)] if quoted else []
            if quoted and quoted[-1] < piece.places[-1]:
                _part(told)
        return "\n".join(told).strip("\n").rstrip() if any(one.strip() for one in told) else ""

    def _quoted(self, place: int) -> str:
        return self._lines[place] if self._depths[place] else f"> {self._said[place]}".rstrip()

    def _note_chosen(self) -> None:
        """Above an introduction: the quotation there, if nothing introduces it and it is not our text."""
        if len(self._pieces) > 1 and not any(self._said[place] for place in self._pieces[-1].places):
            before = self._pieces[-2]
            is_introduced = before.is_introduced or self._begins_with_introduction(before.places)
            before.is_chosen = not is_introduced and not any(self._ours[place] for place in before.places)

    def _begins_with_introduction(self, places: Sequence[int]) -> bool:
        """Whether one of the first quoted lines ends an introduction that is quoted itself."""
        first = [self._said[place] for place in places[:_INTRODUCTION_LINES_MAX]]
        return any(introductions.may_end_introduction(one) and introductions.introduction(one).is_soft for one in first)

    def _take_quotation(self, place: int, said_above: list[int], *, is_introduced: bool = False) -> int:
        """Take the lines that are marked as quoted from one on; the first line after them."""
        end = place
        while end < len(self._lines):
            if self._depths[end]:
                end += 1
            elif not self._said[end] or self._is_broken_off(end):
                following = self._following(end)
                if not self._said[end] and (following is None or not self._depths[following]):
                    break
                self.is_certain &= not self._said[end]
                end += 1
            else:
                break
        quoted = _Piece(list(range(place, end)), is_quoted=True, said_above=said_above, is_introduced=is_introduced)
        self._pieces += [quoted, _Piece([])]
        return end

    def _is_broken_off(self, place: int) -> bool:
        """Whether a line without a mark is the end of the quoted one above it: it stands between two quoted lines."""
        if not self._depths[place - 1] or not any(self._depths[place + 1 : place + 2]):
            return False
        return quoted_lines.goes_on(self._said[place - 1], self._said[place])

    def _take_repeated(self, place: int, said_above: list[int]) -> None:
        """Below an introduction, and with our own text there: our lines are quoted, and what else is said is new.

        Until older history begins. What stands above the first of our lines is the introduction's.
        """
        place = next(one for one in range(place, len(self._lines)) if self._ours[one])
        while place < len(self._lines):
            end = place
            while end < len(self._lines) and (self._is_repeated(end) or (end > place and not self._said[end])):
                end += 1
            if end > place:
                self._pieces += [_Piece(list(range(place, end)), is_quoted=True, said_above=said_above), _Piece([])]
                place, said_above = end, []
                continue
            boundary = self._boundary(place)
            if boundary is not None:
                self._take_back(boundary[0])
                return
            self._pieces[-1].places.append(place)
            place += 1

    def _is_human(self, start: int, introduction: list[int]) -> bool:
        """Whether a customer may have written what stands above a quotation, and not a mail program."""
        said = self._said[start]
        is_programs = self._is_drawn(start) or marks.is_original_marker(said) or introductions.role_of(said) is not None
        return not is_programs and introductions.introduction(self._joined(introduction)).is_human

    def _joined(self, places: Iterable[int]) -> str:
        return " ".join(self._said[place] for place in places)

    def _is_repeated(self, place: int) -> bool:
        return bool(self._ours[place] or self._edges[place] or self._depths[place])

    def _boundary(self, place: int) -> tuple[int, int] | None:
        """What stands above a quotation and begins or ends at a line: its first line and the one after its last."""
        said = self._said[place]
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
        said = self._said[place]
        before_gap = introductions.part_before_gap(said)
        if before_gap:
            self._looks += 1
            if introductions.introduction(before_gap).is_hard:
                return place, place + 1
        may_end = introductions.may_end_introduction(said)
        if not may_end and "@" not in said:
            return None
        following = self._following(place + 1)
        is_quoted_below = following is not None and (bool(self._depths[following]) or self._ours[following])
        if not may_end and not is_quoted_below:
            return None
        start, best = self._span(place)
        return (start, place + 1) if best.is_hard or (is_quoted_below and best.is_soft) else None

    def _span(self, place: int) -> tuple[int, introductions.Introduction]:
        """The lines up to one that speak most for being an introduction: where they begin, and what speaks for them."""
        self._looks += 1
        chosen, best = place, introductions.introduction(self._said[place])
        start, lines_left = place, _INTRODUCTION_LINES_MAX - 1
        while not best.is_complete and start > 0 and lines_left:
            start -= 1
            if not self._said[start] and self._said[start + 1][:1] == "<":  # no introduction begins with its address
                continue
            if not self._said[start] or self._depths[start] or len(self._said[start]) > marks.LINE_LENGTH_MAX:
                break
            lines_left -= 1
            longer = introductions.introduction(self._joined(range(start, place + 1)))
            if longer.weight > best.weight or (longer.is_balanced and not best.is_balanced):
                chosen, best = start, longer
        return chosen, best

    def _above_repeated(self, place: int) -> tuple[int, int] | None:
        """Our own text that begins at a line, with what introduces it, in whatever language; None: it does not."""
        if not self._ours[place] or (place and self._ours[place - 1]):
            return None
        run = []
        for one in range(place, min(len(self._lines), place + _OWN_LINES_SEEN)):
            if self._said[one] and not self._ours[one]:
                break
            run += self._said[one].split()
        above = next((one for one in range(place - 1, max(-1, place - 4), -1) if self._said[one]), None)
        if above is None or len(run) < _OWN_WORDS_MIN or self._depths[above]:
            return None
        start, told = self._span(above)
        is_told = told.has_date or told.has_address or told.ends or self._is_drawn(above)
        return (start, place) if is_told else None

    def _block_end(self, place: int) -> int:
        """Where a header block ends that may follow the line of a divider."""
        following = self._following(place)
        if following is None or self._depths[following]:
            return place
        return self._header_block(following, below_divider=True) or place

    def _header_block(self, place: int, *, below_divider: bool) -> int | None:
        if not introductions.may_begin_block(self._said[place], below_divider=below_divider):
            return None
        self._looks += 1
        return introductions.header_block(self._said, place, below_divider=below_divider)

    def _is_below_divider(self, place: int) -> bool:
        above = next((one for one in range(place - 1, max(-1, place - 3), -1) if self._said[one]), None)
        return above is not None and self._is_drawn(above)

    def _is_drawn(self, place: int) -> bool:
        """Whether a line is a divider, with or without words in it."""
        return marks.is_divider(self._said[place]) or marks.is_framed(self._said[place])

    def _following(self, place: int) -> int | None:
        """The next line that says something, or is quoted."""
        nearby = range(place, min(len(self._lines), place + _BLANK_LINES_MAX))
        return next((one for one in nearby if self._said[one] or self._depths[one]), None)

    def _take_back(self, start: int) -> list[int]:
        """Take the lines from `start` on out of the new text, and the line drawn above them; the lines that were taken.

        An introduction is recognised by its last line, when its first is read already.
        """
        places = self._pieces[-1].places
        taken: list[int] = [start]
        while places and places[-1] >= start:
            taken.append(places.pop())
        while places and (not self._said[places[-1]] or self._is_drawn(places[-1])):
            places.pop()
        return sorted(set(taken))


def _part(told: list[str]) -> None:
    """Leave an empty line below what is told, and not two."""
    if told and told[-1].strip():
        told.append("")
