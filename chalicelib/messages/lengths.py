"""How long a text is for a channel: an SMS counts in its own alphabet, everything else in UTF-16; pure.

An SMS whose every character is in the GSM 7-bit alphabet counts one unit a character and two for each of its extension
table; one character outside makes the whole SMS UCS-2, which counts in UTF-16. Source: 3GPP TS 23.038, and Twilio's
pages on the character limit of messages.
"""

from __future__ import annotations

from enum import Enum
from itertools import accumulate, takewhile

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
_BEYOND_16_BITS = 0x10000


class Counting(Enum):
    """A channel's way to count."""

    UTF_16 = "UTF-16"
    SMS = "SMS"

    def units(self, text: str) -> int:
        """The length of a text."""
        return sum(map(_gsm_units if self is Counting.SMS and is_gsm(text) else _utf_16_units, text))

    def longest_start(self, text: str, units_max: int) -> int:
        """How many characters of a text, from its start, have a length of at most `units_max`; at least one."""
        in_utf_16 = _fitting(map(_utf_16_units, text), units_max)
        if self is Counting.UTF_16:
            return max(in_utf_16, 1)
        in_gsm = len(list(takewhile(is_gsm, text)))
        if in_utf_16 > in_gsm:
            return in_utf_16  # it reaches beyond the alphabet, and is counted in UCS-2 as a whole
        return max(_fitting(map(_gsm_units, text[:in_gsm]), units_max), 1)


def is_gsm(text: str) -> bool:
    """Whether every character is in the GSM 7-bit alphabet or its extension table."""
    return all(one in _GSM or one in _GSM_EXTENSION for one in text)


def _gsm_units(one: str) -> int:
    return 2 if one in _GSM_EXTENSION else 1


def _utf_16_units(one: str) -> int:
    return 2 if ord(one) >= _BEYOND_16_BITS else 1


def _fitting(sizes: map[int], units_max: int) -> int:
    return len(list(takewhile(lambda total: total <= units_max, accumulate(sizes))))
