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

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import Final

from chalicelib.channels.email import introductions, marks, quoted_lines
from chalicelib.channels.email.boundaries import Text
from chalicelib.channels.email.earlier import Earlier
from chalicelib.channels.email.relations import Relation
from chalicelib.channels.email.signatures import is_list_footer, without_signature

TEXT_LENGTH_MAX: Final = 262_144
LINES_MAX: Final = 5_000
_LOOKS_MAX = 200
"""Closer looks at lines that may introduce something: people's e-mails take a few."""
_QUOTED_LINES_MAX = 12
"""Of a quotation that is kept with its answer; of a longer one its end is."""
_QUOTED_LINES_KEPT = 8


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
    reading = _Reading(Text.of(text.split("\n"), earlier), relation)
    if not reading.read():
        return NewText(text)
    composed = reading.composed()
    new, is_sure = without_signature(composed)
    new = new or composed
    if not new or (composed != text and not reading.text.has_repeated and marks.is_signature_alone(new.split("\n"))):
        return NewText(text)  # somebody forwards it without a word of their own
    return NewText(new, reading.is_certain and is_sure)


@dataclass(repr=False)
class _Reading:
    """One text while it is read, from its first line to its last."""

    text: Text
    relation: Relation
    pieces: list[_Piece] = field(default_factory=lambda: [_Piece([])])
    is_certain: bool = True

    def read(self) -> bool:
        """Read all lines; whether some may be history. False: all of the text is new."""
        place = 0
        while place < len(self.text.lines) and self.text.looks < _LOOKS_MAX:
            if self.text.depths[place]:
                if marks.is_reply_above(self.text.said[place]):
                    return True
                place = self._take_quotation(place, [])
                continue
            boundary = self.text.boundary(place)
            if boundary is None:
                self.pieces[-1].places.append(place)
                place += 1
                continue
            if marks.is_forward_marker(self.text.said[place]):
                return False
            start, place = boundary
            introduction = self._take_back(start)
            self._note_chosen()
            if marks.is_reply_above(self.text.said[start]):
                return True
            if not self.text.is_human(start, introduction):
                introduction = []
            following = self.text.following(place)
            if following is not None and self.text.depths[following]:
                place = self._take_quotation(following, introduction, is_introduced=True)
                continue
            if any(self.text.ours[place:]):
                self._take_repeated(place, introduction)
                return True
            above = [self.text.said[one] for piece in self.pieces if not piece.is_quoted for one in piece.places]
            return self.relation is not Relation.NEW and not self._is_answered_below(above, start, place)
        is_forwarded = self.relation is Relation.NEW and len(self.pieces) > 1
        return self.text.looks < _LOOKS_MAX and (self.text.has_repeated or not is_forwarded)

    def _is_answered_below(self, above: Sequence[str], start: int, end: int) -> bool:
        """Whether the customer answers below what introduces the history, by what they say above it or write there."""
        return (
            marks.points_below(above)
            or (marks.is_greeting(above) and any(marks.is_answer_mark(one) for one in self.text.said[end:]))
            or introductions.has_prefaced_answer(self.text.said, start, end)
        )

    def composed(self) -> str:
        """The new lines, and of what is quoted above one of them as much as says what it answers."""
        told: list[str] = []
        for number, piece in enumerate(self.pieces):
            if not piece.is_quoted:
                lines = [self.text.lines[place] for place in piece.places]
                told += lines if told and told[-1].strip() else dropwhile(lambda line: not line.strip(), lines)
                continue
            answer = self.pieces[number + 1].places
            said = [self.text.said[place] for place in answer]
            if piece.is_chosen:
                _part(told)
                told += map(self._quoted, piece.places)
                continue
            if not any(said) or (number and (marks.is_closing(said) or is_list_footer(said))):
                _part(told)
                continue
            quoted = [place for place in piece.places if self.text.said[place]]
            if len(quoted) > _QUOTED_LINES_MAX:
                quoted = quoted[-_QUOTED_LINES_KEPT:]
            _part(told)
            told += [self.text.said[place] for place in piece.said_above]
            told += [self._quoted(place) for place in range(quoted[0], quoted[-1] + 1)] if quoted else []
            if quoted and quoted[-1] < piece.places[-1]:
                _part(told)
        return "\n".join(told).strip("\n").rstrip() if any(one.strip() for one in told) else ""

    def _quoted(self, place: int) -> str:
        return self.text.lines[place] if self.text.depths[place] else f"> {self.text.said[place]}".rstrip()

    def _note_chosen(self) -> None:
        """Above an introduction: the quotation there, if nothing introduces it and it is not our text."""
        if len(self.pieces) > 1 and not any(self.text.said[place] for place in self.pieces[-1].places):
            before = self.pieces[-2]
            is_introduced = before.is_introduced or self.text.begins_with_introduction(before.places)
            before.is_chosen = not is_introduced and not any(self.text.ours[place] for place in before.places)

    def _take_quotation(self, place: int, said_above: list[int], *, is_introduced: bool = False) -> int:
        """Take the lines that are marked as quoted from one on; the first line after them."""
        end = place
        while end < len(self.text.lines):
            if self.text.depths[end]:
                end += 1
            elif not self.text.said[end] or self._is_broken_off(end):
                following = self.text.following(end)
                if not self.text.said[end] and (following is None or not self.text.depths[following]):
                    break
                self.is_certain &= not self.text.said[end]
                end += 1
            else:
                break
        quoted = _Piece(list(range(place, end)), is_quoted=True, said_above=said_above, is_introduced=is_introduced)
        self.pieces += [quoted, _Piece([])]
        return end

    def _is_broken_off(self, place: int) -> bool:
        """Whether a line without a mark is the end of the quoted one above it: it stands between two quoted lines."""
        if not self.text.depths[place - 1] or not any(self.text.depths[place + 1 : place + 2]):
            return False
        return quoted_lines.goes_on(self.text.said[place - 1], self.text.said[place])

    def _take_repeated(self, place: int, said_above: list[int]) -> None:
        """Below an introduction, and with our own text there: our lines are quoted, and what else is said is new.

        Until older history begins. What stands above the first of our lines is the introduction's.
        """
        place = next(one for one in range(place, len(self.text.lines)) if self.text.ours[one])
        while place < len(self.text.lines):
            end = place
            while end < len(self.text.lines) and (
                self.text.is_repeated(end) or (end > place and not self.text.said[end])
            ):
                end += 1
            if end > place:
                self.pieces += [_Piece(list(range(place, end)), is_quoted=True, said_above=said_above), _Piece([])]
                place, said_above = end, []
                continue
            boundary = self.text.boundary(place)
            if boundary is not None:
                self._take_back(boundary[0])
                return
            self.pieces[-1].places.append(place)
            place += 1

    def _take_back(self, start: int) -> list[int]:
        """Take the lines from `start` on out of the new text, and the line drawn above them; the lines that were taken.

        An introduction is recognised by its last line, when its first is read already.
        """
        places = self.pieces[-1].places
        taken: list[int] = [start]
        while places and places[-1] >= start:
            taken.append(places.pop())
        while places and (not self.text.said[places[-1]] or self.text.is_drawn(places[-1])):
            places.pop()
        return sorted(set(taken))


def _part(told: list[str]) -> None:
    """Leave an empty line below what is told, and not two."""
    if told and told[-1].strip():
        told.append("")
