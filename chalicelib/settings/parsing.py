"""How the text of an environment variable becomes the value of a setting.

A reader raises `ValueError` with what the text must be; it never repeats the text, which may be a secret in the wrong
place. `str` of a reader says what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field
from typing import Any

Parse = Callable[[str], Any]
"""Reads a setting's text; a `ValueError` says what is wrong with it."""


@dataclass(frozen=True)
class Within:
    """Reads a number from `low` to `high`."""

    kind: type[int | float]
    low: float
    high: float

    def __call__(self, text: str) -> float:
        try:
            number = self.kind(text)
        except ValueError:
            raise ValueError(f"must be {self}") from None
        if not self.low <= number <= self.high:
            raise ValueError(f"must be {self}")
        return number

    def __str__(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class OneOf:
    """Reads one of some words; each stands for a value."""

    meanings: Mapping[str, Any]

    def __call__(self, text: str) -> Any:
        if text not in self.meanings:
            raise ValueError(f"must be {self}")
        return self.meanings[text]

    def __str__(self) -> str:
        return f"one of {', '.join(self.meanings)}"


@dataclass(frozen=True)
class Assignments:
    """Reads `name=word` pairs, separated by commas; a name that is left out has the word of `defaults`."""

    defaults: Mapping[str, str]
    words: OneOf

    def __call__(self, text: str) -> Mapping[str, str]:
        told = dict(self.defaults)
        for pair in names(text):
            name, _, word = (part.strip() for part in pair.partition("="))
            if name not in told:
                raise ValueError(f"must assign to {', '.join(self.defaults)}")
            try:
                told[name] = self.words(word)
            except ValueError as fault:
                raise ValueError(f"{name} {fault}") from None
        return told


FLAG = OneOf({"true": True, "false": False})


def words(*allowed: str) -> OneOf:
    """Reads one of these words; each stands for itself."""
    return OneOf({word: word for word in allowed})


def not_blank(text: str) -> str:
    """Reads a name that has a default and cannot be blank."""
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def names(text: str) -> tuple[str, ...]:
    """Reads names, separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def addresses(text: str) -> tuple[str, ...]:
    """Reads e-mail addresses, separated by commas, in lower case."""
    return names(text.lower())


def keywords(text: str) -> tuple[str, ...]:
    """Reads whole messages, separated by commas, in capitals."""
    return names(text.upper())


def company_pattern(text: str) -> str:
    """Reads a pattern with one place for the company, or nothing."""
    if text and text.count("{company}") != 1:
        raise ValueError("must name {company} once, or be empty")
    return text


def url(text: str) -> str:
    """Reads a base URL, or nothing."""
    if text and not text.startswith(("https://", "http://")):
        raise ValueError("must be empty or start with https://")
    return text.rstrip("/")


def setting(note: str, parse: Parse = str, default: str | None = None) -> Any:
    """One setting: what it means, how its text is read, and its default as text (None: required)."""
    is_hashable = not isinstance(parse, Assignments)
    return field(metadata={"note": note, "parse": parse, "default": default}, hash=None if is_hashable else False)


def value_of(one: Field[Any], environment: Mapping[str, str]) -> Any:
    """The value that an environment gives to a setting.

    Raises:
        ValueError: it is missing or malformed.
    """
    default = one.metadata["default"]
    text = environment.get(one.name.upper(), default)
    if text is None or (text == "" and default is None):
        raise ValueError("is missing")
    return one.metadata["parse"](text)
