"""What single lines of an e-mail's text are: quoted, an introduction, a header block, a divider, a signature; pure.

Each function looks at a bounded number of bounded lines, so whatever asks it once for each line takes linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.channels.email import languages

LINE_LENGTH_MAX: Final = 500
"""Of a line that can be a mail program's own; longer ones are somebody's words."""

_BLOCK_LINES_MAX = 16
_LABEL_LENGTH_MAX = 32

_QUOTE_MARKS = re.compile(r"(?:[ \t]{0,3}>){1,50}")
_INITIALS = re.compile(r"[A-Za-z]{1,12}>(?=\s|$)")
"""How some old programs quote: `Richard> Hello`."""

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


def _words(alternatives: str) -> str:
    """A pattern for any of a table's words, each as a whole; those of scripts without blanks anywhere."""
    return "|".join(
        rf"(?<!\w){one}(?!\w)" if one[0].isascii() or one[0].islower() else one for one in alternatives.split("|")
    )


_VERBS = re.compile(_words(languages.VERBS), re.IGNORECASE)
_POINTERS = re.compile(_words(languages.POINTERS), re.IGNORECASE)
_ORIGINALS, _FORWARDS = (
    re.compile(rf"(?:{phrases})(?=$|[\s:：.,(])", re.IGNORECASE)
    for phrases in (languages.ORIGINALS, languages.FORWARDS)
)
_REPLY_ABOVE = re.compile(languages.REPLY_ABOVE, re.IGNORECASE)
_CLOSINGS = re.compile(rf"(?:{languages.CLOSINGS})(?!\w)[\s,.!;:-]{{0,5}}", re.IGNORECASE)
_SENT_WITH = re.compile(_words(languages.SENT_WITH), re.IGNORECASE)
_CLIENTS = re.compile(rf"(?:{languages.CLIENTS})", re.IGNORECASE)
_ADVERTS = re.compile(
    r"outlook\W{1,3}\w{1,6} (?:ios|android)|aka\.ms/|go\.microsoft\.com/fwlink|yahoo mail|proton ?mail|mail for windows"
    r"|k-9 mail|gmx mail|web\.de mail|mail\.ru|tutanota",
    re.IGNORECASE,
)
_ROLES: Final = {label: role for role, labels in languages.LABELS.items() for label in reversed(labels.split("|"))}
_INNER_LABEL = re.compile(
    r"(?:^|\s)\*{0,2}("
    + "|".join(sorted((re.escape(one) for one in _ROLES if len(one) > 1), key=len, reverse=True))
    + r")\*{0,2} ?[:：]",
    re.IGNORECASE,
)
_DASHES = "-_=*~#—–─⸻+<>|"
_PLAIN_DASHES = frozenset("-_=*~—–─⸻ \t")


def quote_depth(line: str) -> tuple[int, str]:
    """How often a line is quoted, and what it says without its marks."""
    if (marks := _QUOTE_MARKS.match(line)) is None:
        marks = _INITIALS.match(line)
        return (0, line.strip()) if marks is None else (1, line[marks.end() :].strip())
    return marks[0].count(">"), line[marks.end() :].strip()


def is_divider(said: str) -> bool:
    """Whether a line is drawn: nothing but dashes and the like."""
    return len(said) > 2 and _PLAIN_DASHES.issuperset(said[:LINE_LENGTH_MAX])  # noqa: PLR2004 - `--` is a signature's


def is_framed(said: str) -> bool:
    """Whether a line says something between dashes: a divider in whatever language."""
    return len(said) <= LINE_LENGTH_MAX and said.startswith("---") and said.endswith("---")


def _between_dashes(said: str) -> str:
    return said.strip(f"{_DASHES} \t")


def is_original_marker(said: str) -> bool:
    """Whether a line says between dashes that the message that is answered follows."""
    if said[:1] not in _DASHES or len(said) > LINE_LENGTH_MAX:
        return False
    bare = _between_dashes(said)
    return len(said) - len(bare) > 2 and bool(_ORIGINALS.match(bare))  # noqa: PLR2004


def is_forward_marker(said: str) -> bool:
    """Whether a line says that the message that is forwarded follows."""
    is_framed = said[:1] in _DASHES
    if len(said) > LINE_LENGTH_MAX or not (is_framed or said.endswith((":", "："))):
        return False
    bare = _between_dashes(said)
    found = _FORWARDS.match(bare)
    if found is None:
        return False
    return (is_framed and len(said) - len(bare) > 2) or bare[found.end() :].strip() in {":", "："}  # noqa: PLR2004


def is_reply_above(said: str) -> bool:
    """Whether a help desk asks in a line of its own to be answered above it."""
    return (
        len(said) <= LINE_LENGTH_MAX
        and said[:1] in _DASHES
        and said[-1:] in _DASHES
        and bool(_REPLY_ABOVE.search(said))
    )


def points_below(lines: Iterable[str]) -> bool:
    """Whether words of the customer point to what stands below them."""
    return any(_POINTERS.search(line[:LINE_LENGTH_MAX]) for line in lines)


def is_closing(lines: Sequence[str]) -> bool:
    """Whether lines only end a message: a greeting with a name, a signature, a mail program's own line."""
    said = [line for line in lines if line.strip()]
    if not said or len(said) > 6:  # noqa: PLR2004 - a greeting, a name and how to reach it
        return False
    first = said[0].strip()
    if first == "--":
        return True
    if is_client_line(first):
        return all(is_client_line(line.strip()) for line in said)
    found = _CLOSINGS.match(first)
    return found is not None and len(first) <= 60 and all(len(one) <= 80 and "?" not in one for one in said)  # noqa: PLR2004


def is_signature_alone(lines: Sequence[str]) -> bool:
    """Whether nothing is said but what a mail program adds, or what stands below the line of a signature."""
    said = [line.strip() for line in lines if line.strip()]
    return bool(said) and (said[0] == "--" or all(is_client_line(one) for one in said))


def is_client_line(said: str) -> bool:
    """Whether a mail program or a device adds such a line: `Sent from my iPhone`."""
    return len(said) <= 120 and bool(_CLIENTS.search(said)) and bool(_SENT_WITH.search(said))  # noqa: PLR2004


def is_advert(said: str) -> bool:
    """Whether such a line advertises a mail program, which no customer means to say."""
    return is_client_line(said) and bool(_ADVERTS.search(said))


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
    is_balanced: bool
    ends_with_address: bool

    @property
    def is_complete(self) -> bool:
        return self.is_balanced and self.has_date and (self.has_address or self.has_verb)

    @property
    def is_hard(self) -> bool:
        """Whether it is one, whatever follows: it names a date and an address, and who does what."""
        if not (self.has_date and self.is_balanced and (self.ends or self.has_verb)):
            return False
        if self.is_framed and self.has_verb:
            return True
        return self.has_address and (self.has_verb or self.ends_with_address)

    @property
    def is_soft(self) -> bool:
        """Whether it is one if a quotation follows."""
        is_dated = self.has_date and (self.ends or self.has_address)
        return is_dated or (self.ends or self.has_verb) and (self.has_address or self.has_verb)

    @property
    def is_human(self) -> bool:
        """Whether a customer may have written it: it names neither a date nor an address."""
        return not self.has_date and not self.has_address

    @property
    def weight(self) -> int:
        return self.has_date + self.has_address + self.has_verb


def introduction(text: str) -> Introduction:
    """What speaks for it that `text`, of one line or a few joined ones, introduces a quotation."""
    said = _western(text.strip())
    bare = said.strip("-_*~ \t")
    ends = bare.endswith((":", "："))
    core = bare.rstrip(":： \t")
    return Introduction(
        has_date=bool(_DATES.search(said)),
        has_address=bool(_BRACKETED.search(said) or _ADDRESS.search(said)),
        has_verb=bool(_VERBS.search(said)),
        ends=ends,
        is_framed=said.startswith("---") and said.endswith("--"),
        is_balanced=said.count("<") == said.count(">"),
        ends_with_address=ends and bool(_ENDS_WITH_ADDRESS.search(core)),
    )


def may_end_introduction(said: str) -> bool:
    """Whether a line can be the last of an introduction: asked of every line, so it looks at its end alone."""
    if not said or len(said) > LINE_LENGTH_MAX:
        return False
    end = said.rstrip("-_*~ \t\u200e\u200f\u202a\u202b\u202c\u2069")
    return end.endswith((":", "：")) or bool(_VERBS.search(end, max(0, len(end) - 24)))


def _western(text: str) -> str:
    """Digits of other scripts as those that dates are looked for in, and no marks of direction."""
    if text.isascii():
        return text
    text = _MARKS_OF_DIRECTION.sub("", text)
    return "".join(str(unicodedata.digit(one)) if one.isdecimal() else one for one in text)


def role_of(said: str) -> tuple[str, str] | None:
    """What a line of a header block tells of, and its value; None: it is no such line."""
    label, colon, value = said[: _LABEL_LENGTH_MAX + 8].lstrip("*_| \t").replace("：", ":").partition(":")
    name = label.strip("*_ \t\xa0").lower()
    if not colon or not name or len(name) > _LABEL_LENGTH_MAX:
        return None
    role = _ROLES.get(name) or _ROLES.get(unicodedata.normalize("NFC", name))
    if role is None:
        return None
    return role, said.replace("：", ":").partition(":")[2]


def _any_label(said: str) -> str | None:
    """The value of a line that looks like one of a header block in any language; None: it does not."""
    label, colon, value = said[: _LABEL_LENGTH_MAX + 8].replace("：", ":").partition(":")
    name = label.strip("*_ \t\xa0")
    is_name = 0 < len(name) <= _LABEL_LENGTH_MAX and not any(one.isdigit() for one in name) and len(name.split()) <= 4  # noqa: PLR2004
    return said.replace("：", ":").partition(":")[2] if colon and is_name else None


def header_block(said: Sequence[str], start: int, *, below_divider: bool) -> int | None:
    """Where the header block ends that begins at a line; None: none does.

    Args:
        said: the lines without their quote marks.
        start: the first line of it.
        below_divider: a line is drawn above; then labels of languages that we do not know count too.
    """
    first = role_of(said[start])
    if first is None and not (below_divider and _any_label(said[start]) is not None):
        return None
    roles: set[str] = set()
    values: list[str] = []
    unknown = 0
    end = place = start
    while place < min(len(said), start + _BLOCK_LINES_MAX):
        line = said[place][:LINE_LENGTH_MAX]
        told = role_of(line)
        if told is not None:
            roles.add(told[0])
            roles.update(_ROLES.get(one.lower(), languages.OTHER) for one in _INNER_LABEL.findall(told[1]))
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
    text = _western(" ".join(values))
    has_address, has_date = bool(_ADDRESS.search(text)), bool(_DATES.search(text))
    if unknown and unknown + len(roles) >= 3 and has_date and has_address:  # noqa: PLR2004 - who, when and to whom
        return end
    is_named = languages.FROM in roles and languages.SUBJECT in roles and len(roles) > 2  # noqa: PLR2004
    is_sent = languages.FROM in roles and languages.DATE in roles
    is_dated = languages.DATE in roles and languages.TO in roles
    if is_named and (has_address or has_date or below_divider):
        return end
    if (is_sent or is_dated) and has_date and has_address:
        return end
    return end if below_divider and len(roles) > 2 else None  # noqa: PLR2004


def _goes_on(said: Sequence[str], place: int) -> bool:
    """Whether a line without a label continues a header block: a folded value, or the gap between paragraphs."""
    following = said[place + 1 : place + 3]
    if not said[place]:
        return bool(following) and role_of(following[0]) is not None
    return len(said[place]) < 200 and any(role_of(one) is not None for one in following)  # noqa: PLR2004
