"""An adaptive window beside every fixed one, on the same traces: how many bursts are split, and how long answers wait.

    python -m bench.adaptive_window [--customers 400] [--seed 1]

A trace is one customer's bursts. Each customer has a pace of their own: the pauses within a burst are lognormal around
it. Real customers differ from this model; what carries over is that people have different paces, and keep them.

A burst is split where its messages do not all come into one batch. The wait is the time from the last message of a
batch to the batch. Both come from the shipped rule (`chalicelib/conversations/window.py`), in steps of a trigger's
delay. For each fixed window the table has both; the last lines compare the adaptive window with the fixed window that
splits as few.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil, log
from statistics import median

from bench.tables import show
from chalicelib.conversations import window
from chalicelib.conversations.policies import Policy, merge
from chalicelib.settings import Settings

START = datetime(2026, 1, 5, tzinfo=UTC)
FIXED = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30)
CAP_SECONDS, SHORTEST_SECONDS = 30, 3
PACES = (1.5, 15.0)
"""Between these lies the pause within a burst that is usual for a customer, in seconds, evenly on a log scale."""
SPREAD = 0.45
"""Of the logarithm of one customer's pauses."""
GOES_ON = 0.55
"""How likely a customer is to add a message to a burst."""
BURSTS = 25
BETWEEN_SECONDS = (120.0, 7_200.0)


@dataclass(frozen=True)
class Outcome:
    """What a policy makes of the traces."""

    split: float
    """The part of the bursts with more than one message that came in more than one batch."""
    wait_seconds: float
    """Median."""


def traces(count: int, seed: int) -> list[list[list[datetime]]]:
    """The bursts of each customer: when each message was received."""
    chance = random.Random(seed)  # noqa: S311  # repeatable, and no secret
    return [list(_bursts(chance)) for _ in range(count)]


def _bursts(chance: random.Random) -> Iterator[list[datetime]]:
    pace = chance.uniform(*map(log, PACES))
    now = START
    for _ in range(BURSTS):
        now += timedelta(seconds=chance.uniform(*BETWEEN_SECONDS))
        burst = [now]
        while chance.random() < GOES_ON and len(burst) < 8:  # noqa: PLR2004  # nobody writes more at once
            now += timedelta(seconds=chance.lognormvariate(pace, SPREAD))
            burst.append(now)
        yield burst


def play(policy: Policy, customers: Sequence[Sequence[Sequence[datetime]]]) -> Outcome:
    """How a policy batches the traces."""
    waits: list[float] = []
    several = split = 0
    for bursts in customers:
        known: list[datetime] = []
        for burst in bursts:
            batches = list(_batches(policy, burst, known))
            waits += [(at - last).total_seconds() for at, last in batches]
            several += len(burst) > 1
            split += len(burst) > 1 and len(batches) > 1
            known += burst
    return Outcome(split / several, median(waits))


def _batches(
    policy: Policy, burst: Sequence[datetime], known: Sequence[datetime]
) -> Iterator[tuple[datetime, datetime]]:
    """When each batch of a burst is made, and when its last message was received."""
    left = list(burst)
    while left:
        look = left[0] + timedelta(seconds=window.first_delay_seconds(policy, SHORTEST_SECONDS))
        while True:
            staged = [one for one in left if one <= look]
            heard = [*known, *(one for one in burst if one <= look)]
            quiet = window.quiet_seconds(policy, SHORTEST_SECONDS, policy.batch_max_wait_seconds, heard)
            over = min(
                staged[-1] + timedelta(seconds=quiet), staged[0] + timedelta(seconds=policy.batch_max_wait_seconds)
            )
            if look >= over:
                break
            look += timedelta(seconds=ceil((over - look).total_seconds()))  # a queue delays by whole seconds
        yield look, staged[-1]
        left = left[len(staged) :]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    customers = traces(told.customers, told.seed)
    settings = {"batch_max_wait_seconds": CAP_SECONDS}
    standard = replace(merge(_settings(), {}, "whatsapp").policy, **settings)
    fixed = {
        seconds: play(replace(standard, window_mode="fixed", batch_window_seconds=seconds), customers)
        for seconds in FIXED
    }
    rows = [_row(f"fixed, {seconds} s", one) for seconds, one in fixed.items()]
    adaptive = {
        longest: play(replace(standard, window_mode="adaptive", batch_window_seconds=longest), customers)
        for longest in (10, 15, 20, 30)
    }
    rows += [_row(f"adaptive, at most {longest} s", one) for longest, one in adaptive.items()]
    show(f"{told.customers} customers with {BURSTS} bursts each", ["window", "bursts split", "median wait"], rows)
    for longest, one in adaptive.items():
        as_good = [(seconds, other) for seconds, other in fixed.items() if other.split <= one.split]
        if as_good:
            seconds, other = as_good[0]
            print(
                f"adaptive, at most {longest} s, waits {one.wait_seconds / other.wait_seconds:.2f} x as long as the "
                f"shortest fixed window that splits no more bursts ({seconds} s)"
            )


def _row(name: str, one: Outcome) -> list[str]:
    return [name, f"{one.split:.1%}", f"{one.wait_seconds:.1f} s"]


def _settings() -> Settings:
    from tests.world import settings_of  # noqa: PLC0415  # a whole set of settings with every default

    return settings_of(())


if __name__ == "__main__":
    main()
