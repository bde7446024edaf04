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

_PRIVATE = re.compile(
    rf"""(?P<certain>(?:"[^"@]*"|(?<!{_IN_ADDRESSES}){_IN_ADDRESSES}+)[@\uff20]{_IN_ADDRESSES}+  # an address
        |       [+\uff0b]\d[{_IN_NUMBERS}]{{4,}}\d)  # as the world writes it: +49 151 12345678
    |   (?<![\w.+-])\(?\d[{_IN_NUMBERS}]{{7,}}\d(?![\w:-])
    """,
    re.VERBOSE,
)


def replaced(text: str, cover: Callable[[str], str], *, certain_only: bool = False) -> str:
    """`text` with `cover` of each number and each address in its place.

    Args:
        text: any.
        cover: what stands in the place of a number or an address.
        certain_only: only numbers with a plus sign and addresses: the text is an id, which may be a number.
    """

    def covered(found: re.Match[str]) -> str:
        digits = sum(one.isdigit() for one in found[0])
        is_private = found["certain"] or (not certain_only and _DIGITS_MIN <= digits <= _DIGITS_MAX)
        return cover(found[0]) if is_private else found[0]

    return _PRIVATE.sub(covered, text)
