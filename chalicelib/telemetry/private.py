"""Finds private data in a text: people's numbers and addresses, in any spelling; pure.

    +49 151 12345678          with a plus sign, six digits or more
    0049 151 12345678         without one, nine to fifteen digits, with blanks, dots, slashes, dashes, brackets
    4915112345678
    anna@customer.example     an address

Ids, instants, account numbers in names of resources and sizes are left as they are: no letter, digit or hyphen adjoins
a number, and an instant has no nine digits in a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_DIGITS_MIN, _DIGITS_MAX = 9, 15

_IN_NUMBERS = r"\d\t ()./\-\u00a0\u2000-\u200a\u202f\u2010-\u2015\u2212"
"""Digits, and what people and their programs write between them: every blank and every dash."""

_IN_ADDRESSES = r"""[^\s<>"'@\uff20]"""
"""A letter of an address. An address begins where none stands before it, so a long word is read once."""

_ADDRESS = re.compile(rf"""(?:"[^"@]*"|(?<!{_IN_ADDRESSES}){_IN_ADDRESSES}+)(?:[@\uff20]{_IN_ADDRESSES}+)+""")
"""One address, or several with nothing but letters of an address between them."""

_NUMBER = re.compile(
    rf"""(?P<certain>[+\uff0b]\d[{_IN_NUMBERS}]{{4,}}\d)  # as the world writes it: +49 151 12345678
    |   (?P<likely>(?<![\w.+-])\(?\d[{_IN_NUMBERS}]{{7,}}\d(?![\w:-]))
    |   (?<![\w.+-])\d[{_IN_NUMBERS}]*  # no number begins in the rest of these either, so they are read once
    """,
    re.VERBOSE,
)


def replaced(text: str, cover: Callable[[str], str], *, certain_only: bool = False) -> str:
    """`text` with `cover` of each number and each address in its place.

    Both are looked for in the text as it is: a number that adjoins an address hides no part of it.

    Args:
        text: any.
        cover: what stands in the place of a number or an address; where they overlap, of the one that begins first,
            and of the rest of the other.
        certain_only: only numbers with a plus sign and addresses: the text is an id, which may be a number.
    """
    spans = [one.span() for one in _ADDRESS.finditer(text)]
    spans += [one.span() for one in _NUMBER.finditer(text) if _is_private(one, certain_only=certain_only)]
    pieces: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if end > done:
            begin = max(start, done)
            pieces += text[done:begin], cover(text[begin:end])
            done = end
    return "".join(pieces) + text[done:]


def _is_private(number: re.Match[str], *, certain_only: bool) -> bool:
    if number["certain"]:
        return True
    digits = sum(one.isdigit() for one in number["likely"] or "")
    return not certain_only and _DIGITS_MIN <= digits <= _DIGITS_MAX
