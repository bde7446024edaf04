"""One evening from one seed: what customers write when, how the AI behaves, and what fails. Pure.

A script names moments and places, never a contender: each contender meets the same messages at the same seconds, the
same share of killed invocations, the same bad minutes of AWS and the same bad answers of the provider.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from local.stubs.server import Kind

MINUTES = 30
PROBE_SECONDS = 1_200
"""So long after the evening, and after the last of its faults, each customer writes once more."""
CUSTOMERS = 8
BURST_PAUSES = (1.0, 6.0)
"""Seconds between two messages of a burst."""
THINKING = (4.0, 12.0)
SLOW_SECONDS = 90.0
KINDS = (Kind.SERVER_ERROR_AFTER_TAKING, Kind.LOST, Kind.TOO_MANY, Kind.SERVER_ERROR)


@dataclass(frozen=True)
class Line:
    """One request of a customer, or of a forger."""

    at: float
    customer: int
    token: str
    """Stands in the text, and in no other."""
    burst: int
    """Counts the bursts of the customer."""
    kind: str = "text"
    """`text`, `photo`, `forged`, `STOP`, or `probe`: the last message, when nothing fails any more, that shows what is
    stuck."""
    is_retried: bool = False
    """Whether the provider sends the request again although it was answered."""


@dataclass(frozen=True)
class Faults:
    """What fails in one evening; afterwards nothing does."""

    until: float = MINUTES * 60.0
    kills: float = 0.01
    """The share of AWS calls of our functions at which the process dies, before or after the call."""
    throttled: tuple[tuple[float, float], ...] = ()
    """Spans in which every third call to DynamoDB is refused."""
    sends: tuple[tuple[int, Kind], ...] = ()
    """By the number of the send: what the provider answers."""
    duplicates: float = 0.03
    """The share of the messages of a queue that are delivered twice."""
    redeploy_at: float = 0.0
    silent: tuple[tuple[float, float], ...] = ()
    """Spans in which the AI answers nobody."""


@dataclass(frozen=True)
class Script:
    """One evening."""

    seed: int
    lines: tuple[Line, ...]
    faults: Faults

    def thinking_seconds(self, token: str) -> float:
        """How long the AI thinks about a batch that ends with this message."""
        chance = random.Random(f"{self.seed} {token}")  # noqa: S311  # repeatable, and no secret
        return SLOW_SECONDS if chance.random() < 0.05 else chance.uniform(*THINKING)  # noqa: PLR2004  # one in twenty

    def is_silent(self, now: float) -> bool:
        """Whether the AI answers nobody now."""
        return any(begin <= now < end for begin, end in self.faults.silent)


def script(seed: int, *, has_faults: bool = True) -> Script:
    """The evening of a seed; without its faults for the bench's own check."""
    chance = random.Random(seed)  # noqa: S311  # repeatable, and no secret
    lines = sorted((line for one in range(CUSTOMERS) for line in _customer(chance, one)), key=lambda line: line.at)
    return Script(seed, tuple(lines), _faults(chance) if has_faults else Faults(until=0.0))


def _customer(chance: random.Random, customer: int) -> Iterator[Line]:
    now, number = chance.uniform(0, 120), 0
    stops = customer == CUSTOMERS - 1
    for burst in range(chance.randint(2, 4)):
        for _ in range(chance.choice((1, 1, 2, 3, 4))):
            kind = "photo" if chance.random() < 0.1 else "text"  # noqa: PLR2004  # one in ten
            token = f"c{customer}m{number}"
            yield Line(now, customer, token, burst, kind, is_retried=chance.random() < 0.1)  # noqa: PLR2004  # as above
            if chance.random() < 0.04:  # noqa: PLR2004  # one in twenty-five
                yield Line(now + 0.5, customer, f"forged-{token}", burst, "forged")
            number += 1
            now += chance.uniform(*BURST_PAUSES)
        if chance.random() < 0.4:  # noqa: PLR2004  # a second thought while the AI thinks
            now += chance.uniform(8, 25)
            yield Line(now, customer, f"c{customer}m{number}", burst, "text")
            number += 1
        now += chance.uniform(90, 400)
    if stops:
        yield Line(now, customer, "STOP", burst + 1, "STOP")
    else:
        yield Line(MINUTES * 60 + PROBE_SECONDS, customer, f"c{customer}probe", burst + 1, "probe")


def _faults(chance: random.Random) -> Faults:
    begin = chance.uniform(300, 1_200)
    silent = chance.uniform(300, 1_200)
    return Faults(
        throttled=((begin, begin + 45),),
        sends=tuple((number, chance.choice(KINDS)) for number in range(60) if chance.random() < 0.08),  # noqa: PLR2004
        redeploy_at=chance.uniform(200, 1_500),
        silent=((silent, silent + 60),),
    )
