"""The lines above a quotation: a mail program's introduction, or the header block of the quoted e-mail; pure.

    On Mon, Jan 5, 2026 at 10:00 AM Acme <help@acme.example> wrote:       an introduction
    From: Acme / Sent: Monday / To: Ann / Subject: Your order             a header block, each on a line of its own

Dates and addresses are recognised by their shape, in digits of any script, and verbs and labels by tables. An
introduction in a language that no table has counts if quote marks follow it. A header block in such a language counts
if a line is drawn above it.

Each function reads a bounded number of bounded lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.channels.email import languages, marks

_BLOCK_LINES_MAX = 16
_LABEL_LENGTH_MAX = 32
_VALUE_SEEN = 120
_LABEL_WORDS_MAX = 4

_BRACKETED = re.compile(
    r"[<(\[](?:mailto:)?[^\s<>()\[\]@]{1,64}@[^\s<>()\[\]@]{1,255}(?:<[^<>]{0,300}>)?[>)\]]", re.IGNORECASE
)
_ADDRESS = re.compile(r"[^\s<>()\[\]@,;:\"]{1,64}@[^\s<>()\[\]@,;:\"]{1,255}")
_ENDS_WITH_ADDRESS = re.compile(r"(?<!\d)\d{1,2}[:.]\d\d(?!\d).{1,300}>[\s\"'*]{0,3}$")
"""Without a verb a time is asked for too: `My new address since 5 January 2026 <ann@new.example>:` is somebody's."""
_MARKS_OF_DIRECTION = re.compile("[\u200b-\u200f\u202a-\u202e\u2066-\u2069]")

_YEAR = r"(?<!\d)(?:19|20|25|13|14)\d\d(?!\d)"
_DATES = re.compile(
    rf"(?<!\d)\d{{1,4}}[./-] ?\d{{1,2}}[./-] ?\d{{2,4}}(?!\d)"  # 5.1.2026, 2026-01-05
    r"|\d{4} ?[年년] ?\d{1,2} ?[月월]"
    rf"|(?<!\d)\d{{1,2}}(?!\d)\D{{1,40}}{_YEAR}"  # 5 January 2026
    rf"|{_YEAR}\D{{1,20}}(?<!\d)\d{{1,2}}(?!\d)"  # 2026. jan. 5.
    r"|(?<!\d)\d{1,2}(?!\d)\D{1,30}(?<!\d)\d{1,2}[:.h]\d\d(?!\d)"  # Apr 3, at 4:19 PM
)
_TIME = re.compile(r"(?<!\d)\d{1,2}[:.h]\d\d(?!\d)")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d{1,2}:\d\d GMT[+-]\d\d:\d\d [^\s\d]\D{0,80}")
"""Gmail's own spelling of when, with a name alone: no person writes a date so."""
_BROKEN_ADDRESS = re.compile(r"<[^<>]{0,320}>")
_GAP = ":  "
"""Between an introduction and a quoted text on the same line, as Yahoo's programs for phones write it."""

_VERBS = tuple(languages.VERBS.split("|"))
_VERBS_AT_END = tuple(f" {verb}" for verb in _VERBS)
_ROLES: Final = {label: role for role, labels in languages.LABELS.items() for label in reversed(labels.split("|"))}
_PREFACE = re.compile(r"\[([^\[\]@:]{2,60})\][ :]|([^\W\d][^\[\]@:]{1,40}):[ \t]+\S")
_NAME_WORD = re.compile(r"\w+")
_COLON = re.compile("[:\uff1a]")
_INNER_LABELS_MAX = 8


@dataclass(frozen=True)
class Introduction:
    """What speaks for it that a line is a mail program's own, above a quotation."""

    has_date: bool
    has_address: bool
    has_verb: bool
    ends: bool
    """Whether it ends as an introduction does: with a colon."""
    is_framed: bool
    """Whether it stands between dashes."""
    is_divider: bool
    """Whether only a mail program writes such a line: `---- Ann wrote ----`, or a date as Gmail spells it."""
    is_balanced: bool
    ends_with_address: bool
    is_exact: bool
    """Whether it tells a time, or its address in brackets: `On 5 May I sent this to help@acme.example:` does not."""

    @property
    def is_complete(self) -> bool:
        return self.is_balanced and self.has_date and (self.has_address or self.has_verb)

    @property
    def is_hard(self) -> bool:
        """Whether it is one, whatever follows: it names a date and an address, and who does what."""
        if self.is_divider:
            return True
        if not (self.has_date and self.is_balanced and (self.ends or self.has_verb)):
            return False
        if self.is_framed and self.has_verb:
            return True
        return self.has_address and ((self.is_exact and self.has_verb) or self.ends_with_address)

    @property
    def is_soft(self) -> bool:
        """Whether it is one if a quotation follows."""
        is_dated = self.has_date and (self.ends or self.has_address)
        return is_dated or ((self.ends or self.has_verb) and (self.has_address or self.has_verb))

    @property
    def is_human(self) -> bool:
        """Whether a customer may have written it: it names neither a date nor an address."""
        return not self.has_date and not self.has_address

    @property
    def weight(self) -> int:
        return self.has_date + self.has_address + self.has_verb


def introduction(text: str) -> Introduction:
    """What speaks for it that `text`, of one line or a few joined ones, introduces a quotation."""
    said = _BROKEN_ADDRESS.sub(_whole, _western(text[: marks.LINE_LENGTH_MAX].strip()))
    bare = said.strip("-_*~ \t")
    ends = bare.endswith(marks.COLONS)
    core = bare.rstrip(":\uff1a \t")
    is_framed = said.startswith("---") and said.endswith("--")
    return Introduction(
        has_date=bool(_DATES.search(said)),
        has_address=bool(_BRACKETED.search(said) or _ADDRESS.search(said)),
        has_verb=marks.has_word(said.lower(), _VERBS),
        ends=ends,
        is_framed=is_framed,
        is_divider=bool(_STAMP.fullmatch(bare)) or (is_framed and core.lower().endswith(_VERBS_AT_END)),
        is_balanced=said.count("<") == said.count(">"),
        ends_with_address=ends and bool(_ENDS_WITH_ADDRESS.search(core)),
        is_exact=bool(_BRACKETED.search(said) or _TIME.search(said)),
    )


def may_end_introduction(said: str) -> bool:
    """Whether a line can be the last of an introduction: asked of every line, so it looks at its end alone."""
    if not said or len(said) > marks.LINE_LENGTH_MAX:
        return False
    end = said[-40:].rstrip("-_*~ \t\u200e\u200f\u202a\u202b\u202c\u2069")
    return end.endswith(marks.COLONS) or end.lower().endswith(_VERBS) or (" GMT" in said[:22] and said[0].isdigit())


def part_before_gap(said: str) -> str:
    """What may be an introduction with the beginning of its quotation behind it; empty: nothing is."""
    introduced, gap, _ = said[: marks.LINE_LENGTH_MAX].partition(_GAP)
    return f"{introduced}:" if gap and "@" in introduced else ""


def _whole(found: re.Match[str]) -> str:
    """An address in brackets as it was before a mail program broke it."""
    return "".join(found[0].split()) if "@" in found[0] else found[0]


def _western(text: str) -> str:
    """Digits of other scripts as those that dates are looked for in, and no marks of direction."""
    if text.isascii():
        return text
    text = _MARKS_OF_DIRECTION.sub("", text)
    return "".join(str(unicodedata.digit(one)) if one.isdecimal() else one for one in text)


def role_of(said: str) -> tuple[str, str] | None:
    """The role of a header line, and its value; None: it is no such line."""
    label, value = _label_and_value(said)
    role = _ROLES.get(unicodedata.normalize("NFC", label.lower()))
    return None if role is None else (role, value)


def _any_label(said: str) -> str | None:
    """The value of a line that looks like one of a header block in any language; None: it does not."""
    label, value = _label_and_value(said)
    is_label = label and not any(one.isdigit() for one in label) and label.count(" ") < _LABEL_WORDS_MAX
    return value if is_label else None


def _label_and_value(said: str) -> tuple[str, str]:
    """What stands before and after a line's first colon; the former empty: there is none, or it is no label."""
    label, _, value = said[: marks.LINE_LENGTH_MAX].replace(marks.COLONS[1], ":").partition(":")
    name = label.strip("*_| \t\xa0") if len(label) <= _LABEL_LENGTH_MAX + 8 else ""
    return (name, value) if len(name) <= _LABEL_LENGTH_MAX and len(label) < len(said) else ("", "")


def may_begin_block(said: str, *, below_divider: bool) -> bool:
    """Whether a header block can begin at a line: asked of many, so it looks at its label alone."""
    return role_of(said) is not None or (below_divider and _any_label(said) is not None)


def _inner_roles(value: str) -> Iterator[str]:
    """The roles of further labels on one line, as where HTML told a whole block without breaks."""
    for colon, _ in zip(_COLON.finditer(value), range(_INNER_LABELS_MAX), strict=False):
        words = value[max(0, colon.start() - _LABEL_LENGTH_MAX) : colon.start()].lower().strip("* ").split()
        for count in (1, 2):
            label = " ".join(words[-count:]).lstrip("*")
            if len(label) > 1 and label in _ROLES:
                yield _ROLES[label]


def header_block(said: Sequence[str], start: int, *, below_divider: bool) -> int | None:
    """Where the header block ends that begins at a line; None: none does.

    Args:
        said: the lines without their quote marks.
        start: the first line of it.
        below_divider: a line is drawn above; then labels of languages that we do not know count too.
    """
    roles: set[str] = set()
    values: list[str] = []
    unknown = 0
    end = place = start
    while place < min(len(said), start + _BLOCK_LINES_MAX):
        line = said[place][: marks.LINE_LENGTH_MAX]
        told = role_of(line)
        if told is not None:
            roles.add(told[0])
            roles.update(_inner_roles(told[1]))
            values.append(told[1])
        elif below_divider and (value := _any_label(line)) is not None:
            unknown += 1
            values.append(value)
        elif not _goes_on(said, place):
            break
        else:
            values.append(line)
            place += 1
            continue
        place += 1
        end = place
    text = _western(" ".join(value[:_VALUE_SEEN] for value in values))
    has_address, has_date = bool(_ADDRESS.search(text)), bool(_DATES.search(text))
    if unknown and unknown + len(roles) >= 3 and has_date and has_address:  # noqa: PLR2004 - two roles and a date
        return end
    is_named = languages.FROM in roles and languages.SUBJECT in roles and len(roles) > 2  # noqa: PLR2004
    is_sent = languages.FROM in roles and languages.DATE in roles
    is_dated = languages.DATE in roles and languages.TO in roles
    if is_named and (has_address or has_date or below_divider):
        return end
    return end if (is_sent or is_dated) and has_date and has_address else None


def has_prefaced_answer(said: Sequence[str], start: int, end: int) -> bool:
    """Whether the recipient of a quoted e-mail answers within it, each answer behind their name: `[Ann] Blue.`.

    Outlook can write the name so, and people write `Ann: Blue.`

    Args:
        said: the lines without their quote marks.
        start: the first line of the header block.
        end: the first line after it.
    """
    told = [role_of(line) for line in said[start:end]]
    names = {word for one in told if one is not None and one[0] == languages.TO for word in _words_of(one[1])}
    prefaces = (_PREFACE.match(line) for line in said[end:]) if names else ()
    return any(one is not None and names.issuperset(_words_of(one[1] or one[2])) for one in prefaces)


def _words_of(text: str) -> Sequence[str]:
    return _NAME_WORD.findall(text[:_VALUE_SEEN].lower())


def _goes_on(said: Sequence[str], place: int) -> bool:
    """Whether a line without a label continues a header block: a folded value, or the gap between paragraphs."""
    following = said[place + 1 : place + 3]
    if not said[place]:
        return bool(following) and role_of(following[0]) is not None
    return len(said[place]) < 200 and any(role_of(one) is not None for one in following)  # noqa: PLR2004
