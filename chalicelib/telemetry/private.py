"""Finds private data in a text: people's numbers and addresses, in any spelling; pure.

    +49 151 12345678          with a plus sign, seven digits or more
    0049 151 12345678         without one, nine to fifteen digits, with blanks, dots, slashes, hyphens, brackets
    4915112345678
    anna@customer.example     an address

Ids, instants, account numbers in names of resources and sizes are left as they are: no letter, digit or hyphen adjoins
a number, and an instant has no nine digits in a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_DIGITS_MIN, _DIGITS_MAX = 9, 15

_PRIVATE = re.compile(
    r"""(?P<certain>\+\d[\d ().-]{4,}\d          # as the world writes it: +49 151 12345678
        |       [^\s<>"'@]+@[^\s<>"'@]+)      # an address
    |   (?<![\w.+-])\(?\d[\d ()./-]{7,}\d(?![\w:-])
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
