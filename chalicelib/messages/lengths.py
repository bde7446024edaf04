"""The length of a text on a channel: an SMS counts in its own alphabet, every other channel in UTF-16; pure.

In an SMS whose every character is in the GSM 7-bit alphabet, a character counts one unit, and a character of its
extension table two. One other character makes the whole SMS UCS-2, which counts in UTF-16. Source: 3GPP TS 23.038, and
Twilio's pages on the character limit of messages.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from itertools import accumulate, takewhile

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
_ALL_GSM = _GSM | _GSM_EXTENSION


class Counting(Enum):
    """A channel's way to count."""

    UTF_16 = "UTF-16"
    SMS = "SMS"

    def units(self, text: str) -> int:
        """The length of a text."""
        return _gsm_units(text) if self is Counting.SMS and is_gsm(text) else _utf_16_units(text)

    def longest_start(self, text: str, units_max: int) -> int:
        """How many characters of a text, from its start, have a length of at most `units_max`; at least one."""
        start = text[:units_max]  # no character is shorter than a unit
        in_utf_16 = _fitting(start, _utf_16_units, units_max)
        if self is Counting.UTF_16:
            return max(in_utf_16, 1)
        in_gsm = len(start) if is_gsm(start) else len(list(takewhile(is_gsm, start)))
        if in_utf_16 > in_gsm:
            return in_utf_16  # it reaches beyond the alphabet, and is counted in UCS-2 as a whole
        return max(_fitting(start[:in_gsm], _gsm_units, units_max), 1)


def is_gsm(text: str) -> bool:
    """Whether every character is in the GSM 7-bit alphabet or its extension table."""
    return _ALL_GSM.issuperset(text)


def _gsm_units(text: str) -> int:
    return len(text) + sum(map(text.count, _GSM_EXTENSION))


def _utf_16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _fitting(text: str, units: Callable[[str], int], units_max: int) -> int:
    if units(text) <= units_max:
        return len(text)
    return len(list(takewhile(lambda total: total <= units_max, accumulate(map(units, text)))))
