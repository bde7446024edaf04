"""How the values of a company's policies are written, and how each is read.

Guarantee: whatever a company wrote, a kind gives a value within its bounds. A value that cannot be read is ignored, and
a number out of bounds becomes the nearest bound; each is a fault that never repeats the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

from chalicelib.messages import splitting
from chalicelib.settings import Settings
from chalicelib.settings.parsing import Assignments, OneOf, Parse, Within

TEXT_LENGTH_MAX = 1_600
"""Characters of a text: what the shortest of the channels takes as one message."""
_NAME = re.compile("[A-Za-z_-]{1,40}")


@dataclass(frozen=True)
class Reading:
    """What a kind makes of a written value."""

    value: Any
    faults: tuple[tuple[str, str], ...] = ()
    """Each with its place below the policy (empty: the policy itself), and what is wrong. No fault tells the value."""


class Kind(Protocol):
    """How the values of a policy are written; `str` says which are allowed."""

    def read(self, written: Any, default: Any) -> Reading:
        """The value of what a company wrote; `default` where that cannot be read."""


@dataclass(frozen=True)
class Number:
    """A whole number; one out of bounds becomes the nearest bound."""

    low: int
    high: int

    def read(self, written: Any, default: Any) -> Reading:
        if isinstance(written, bool) or not isinstance(written, int | Decimal) or not _is_whole(written):
            return _ignored(default, self)
        number = int(min(max(written, self.low), self.high))
        return Reading(number) if number == written else Reading(number, (("", f"must be {self}; {number} applies"),))

    def __str__(self) -> str:
        return f"a number from {self.low} to {self.high}"


@dataclass(frozen=True)
class Word:
    """One of some words; of the words `true` and `false` also the boolean."""

    meanings: Mapping[str, Any]

    def read(self, written: Any, default: Any) -> Reading:
        word = str(written).lower() if isinstance(written, bool) else written
        if isinstance(word, str) and word in self.meanings:
            return Reading(self.meanings[word])
        return _ignored(default, self)

    def __str__(self) -> str:
        return f"one of {', '.join(self.meanings)}"


@dataclass(frozen=True)
class Text:
    """A text, perhaps an empty one; one that is too long is cut where a reader would pause."""

    def read(self, written: Any, default: Any) -> Reading:
        if not isinstance(written, str):
            return _ignored(default, self)
        if len(written) <= TEXT_LENGTH_MAX:
            return Reading(written)
        return Reading(splitting.split(written, TEXT_LENGTH_MAX)[0], (("", f"must be {self}; it is cut"),))

    def __str__(self) -> str:
        return f"a text of at most {TEXT_LENGTH_MAX} characters"


@dataclass(frozen=True)
class Names:
    """A list or a set of texts, or one text with commas as the setting has it."""

    parse: Parse
    """The setting's."""

    def read(self, written: Any, default: Any) -> Reading:
        names = [written] if isinstance(written, str) else written
        if not isinstance(names, list | tuple | set) or not all(isinstance(name, str) for name in names):
            return _ignored(default, self)
        return Reading(self.parse(",".join(names if isinstance(written, str | list | tuple) else sorted(names))))

    def __str__(self) -> str:
        return "a list of texts"


@dataclass(frozen=True)
class MapOf:
    """A map of further policies by name; the default applies to each that is missing or cannot be read."""

    kinds: Mapping[str, Kind]

    def read(self, written: Any, default: Any) -> Reading:
        if not isinstance(written, Mapping):
            return _ignored(default, self)
        readings = {
            name: kind.read(written[name], default[name]) for name, kind in self.kinds.items() if name in written
        }
        faults = [(f".{name}{below}", fault) for name, one in readings.items() for below, fault in one.faults]
        unknown = sorted(str(name) for name in written if name not in self.kinds)
        faults += [(f".{spelled(name)}", "is unknown; it is ignored") for name in unknown]
        return Reading({**default, **{name: one.value for name, one in readings.items()}}, tuple(faults))

    def __str__(self) -> str:
        return "a map of " + "; ".join(f"{name}: {kind}" for name, kind in self.kinds.items())


@lru_cache
def kind_of_setting(name: str) -> Kind:
    """How a policy is written that has the range of a setting."""
    parse: Parse = Settings.__dataclass_fields__[name].metadata["parse"]
    match parse:
        case Within(kind=kind, low=low, high=high) if kind is int:
            return Number(int(low), int(high))
        case OneOf(meanings):
            return Word(meanings)
        case Assignments(defaults=defaults, words=words):
            return MapOf({each: Word(words.meanings) for each in defaults})
        case _ if parse is str:
            return Text()
        case _:
            return Names(parse)


def spelled(name: str) -> str:
    """A name that nobody here gave, as a log line may carry it."""
    return name if _NAME.fullmatch(name) else "(another name)"


def _ignored(default: Any, kind: Kind) -> Reading:
    return Reading(default, (("", f"must be {kind}; it is ignored"),))


def _is_whole(number: int | Decimal) -> bool:
    return isinstance(number, int) or (number.is_finite() and number == number.to_integral_value())
