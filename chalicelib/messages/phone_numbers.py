"""Spellings of phone numbers: which texts name the same phone; pure.

Spellings differ in two ways. People write blanks, hyphens, and `00` in place of `+`; `bare` removes these. The numbers
of some countries have two spellings in use: WhatsApp keeps the one under which an account was registered, SMS and
address books use today's. `other_spellings` gives the others by the table below.

A spelling is left out if it could be another person's number. So a Brazilian number is spelled without its ninth digit
only if the result is no landline.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True)
class Spellings:
    """Forms of the same numbers; each form names the same parts."""

    country: str
    forms: tuple[str, ...]
    """Each as text with parts in braces; the first is today's."""
    parts: Mapping[str, str]
    """What each part looks like, as a regular expression."""
    source: str


_WHATSAPP_KEEPS: Final = "chatwoot #12655, #14048, #14174, #14264; Gupshup and Zoho help pages on WhatsApp ids"
_ARGENTINA: Final = f"{_WHATSAPP_KEEPS}; green-api, on 15"
_ARGENTINE_FORMS: Final = ("+549{area}{local}", "+54{area}{local}", "+54{area}15{local}")
_IVORY_COAST: Final = (
    "ARTCI's plan of 2021 (newsgeek.ci); waha #1894: WhatsApp keeps both; aurellemeless/cipnn: operators"
)

TABLE: Final = (
    Spellings(
        "Brazil",
        ("+55{area}9{local}", "+55{area}{local}"),
        {"area": "[1-9][1-9]", "local": r"[6-9]\d{7}"},
        f"{_WHATSAPP_KEEPS}; waha #1976, on landlines",
    ),
    Spellings("Mexico", ("+52{number}", "+521{number}"), {"number": r"[2-9]\d{9}"}, _WHATSAPP_KEEPS),
    Spellings("Argentina", _ARGENTINE_FORMS, {"area": "11", "local": r"\d{8}"}, _ARGENTINA),
    Spellings("Argentina", _ARGENTINE_FORMS, {"area": r"[23]\d{2}", "local": r"\d{7}"}, _ARGENTINA),
    Spellings("Argentina", _ARGENTINE_FORMS, {"area": r"[23]\d{3}", "local": r"\d{6}"}, _ARGENTINA),
    Spellings(
        "Benin",
        ("+22901{number}", "+229{number}"),
        {"number": r"[2-9]\d{7}"},
        "plan of 30 November 2024: libphonenumber-csharp #272, telephone_number #138",
    ),
    Spellings("Ivory Coast", ("+22501{number}", "+225{number}"), {"number": r"[04-9][0-3]\d{6}"}, _IVORY_COAST),
    Spellings("Ivory Coast", ("+22505{number}", "+225{number}"), {"number": r"[04-9][4-6]\d{6}"}, _IVORY_COAST),
    Spellings("Ivory Coast", ("+22507{number}", "+225{number}"), {"number": r"[04-9][7-9]\d{6}"}, _IVORY_COAST),
    Spellings("Ivory Coast", ("+22521{number}", "+225{number}"), {"number": r"[23]\d8\d{5}"}, _IVORY_COAST),
    Spellings("Ivory Coast", ("+22525{number}", "+225{number}"), {"number": r"[23]\d0\d{5}"}, _IVORY_COAST),
    Spellings("Ivory Coast", ("+22527{number}", "+225{number}"), {"number": r"[23]\d[1-79]\d{5}"}, _IVORY_COAST),
    Spellings(
        "Gabon",
        ("+2416{number}", "+2410{number}", "+241{number}"),
        {"number": r"[256]\d{6}"},
        "plan of 15 November 2019: rfi.fr; libphonenumber takes all three",
    ),
    Spellings(
        "Gabon",
        ("+2417{number}", "+2410{number}", "+241{number}"),
        {"number": r"[47]\d{6}"},
        "plan of 15 November 2019: rfi.fr; libphonenumber takes all three",
    ),
)

_COUNTRY_CODES: Final = tuple({one.forms[0].partition("{")[0][:3] for one in TABLE})
"""The first two digits of the countries of the table: all others are told apart without a regular expression."""

_WRITTEN = re.compile(r"\(?(\+|00)?[0-9 \-.\/()]+")
_READABLE = re.compile(r"\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9._-]{2,128}", re.ASCII)
_SEPARATORS = re.compile(r"[ \-.\/()]")
_TRUNK_ZERO = re.compile(r"(?<=[\d)])\(0\)")
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—−", "-"))  # noqa: RUF001  # what word processors make of a hyphen


def bare(text: str) -> str:
    """A number as our tables spell it: without a channel's prefix, blanks and signs, with `+` in place of `00`.

    What is no number - the id of a user without one - loses its prefix and its blanks only.
    """
    whole = unicodedata.normalize("NFKC", text).translate(_DASHES).rpartition(":")[2].strip()
    if not _WRITTEN.fullmatch(whole):
        return whole.replace(" ", "")
    digits = _SEPARATORS.sub("", _TRUNK_ZERO.sub("", whole.replace(" ", "")))
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def is_readable(text: str) -> bool:
    """Whether a stored address is spelled as the look-up asks: E.164, a short code, or the id of a user."""
    return text == bare(text) and _READABLE.fullmatch(text) is not None


def other_spellings(number: str) -> tuple[str, ...]:
    """The other spellings of a number that `bare` gives; none where the number has one only."""
    if not number.startswith(_COUNTRY_CODES):
        return ()
    found: dict[str, None] = {}
    for spellings, patterns in _compiled():
        for pattern in patterns:
            match = pattern.fullmatch(number)
            if match is not None:
                found |= dict.fromkeys(form.format(**match.groupdict()) for form in spellings.forms)
    found.pop(number, None)
    return tuple(found)


def all_spellings(text: str) -> tuple[str, ...]:
    """A number as our tables spell it, then its other spellings."""
    number = bare(text)
    return (number, *other_spellings(number))


@cache
def _compiled() -> tuple[tuple[Spellings, tuple[re.Pattern[str], ...]], ...]:
    """The table with each form as a pattern; compiled by the first number that needs it."""
    return tuple((one, tuple(_pattern(form, one.parts) for form in one.forms)) for one in TABLE)


def _pattern(form: str, parts: Mapping[str, str]) -> re.Pattern[str]:
    named = {name: f"(?P<{name}>{look})" for name, look in parts.items()}
    return re.compile(form.replace("+", r"\+").format(**named), re.ASCII)
