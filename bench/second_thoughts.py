"""Second thoughts under each `on_new_message`: `queue`, `restart` and `reject`, on the same traces.

    python -m bench.second_thoughts [--customers 40] [--seed 1]

A trace is one burst: a message, and one more after 3, 8, 20 or 60 seconds. The AI takes 5 to 60 seconds for each turn,
evenly, and stops a turn that is superseded. The shipped functions run over in-memory tables and queues, in steps of one
second, with the default window and cap. Real customers and models differ; what carries over is the order of the three.

Each table has, by policy:
    answers         answers that the customer receives, per burst
    ignoring        answers that leave out what the customer had written before they were sent, per burst
    unanswered      messages that nobody ever answers, per burst
    turns           turns that the AI begins, per burst
    AI seconds      how long it thinks, per burst, stopped turns included
    last answer     from the customer's last message to the last answer, median and longest
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

from bench.tables import show
from tests.world import World

POLICIES = ("queue", "restart", "reject")
ADDED_AFTER_SECONDS = (3, 8, 20, 60)
AI_SECONDS = (5, 60)
LONGEST_SECONDS = 600
"""After which a burst is no longer watched: by then every turn has ended."""


@dataclass(frozen=True)
class Trace:
    """One burst, and how long each turn of the AI about it takes."""

    added_after_seconds: int
    turns_seconds: Sequence[int]


@dataclass(frozen=True)
class Outcome:
    """How one burst ended."""

    answers: int
    ignoring: int
    unanswered: int
    turns: int
    ai_seconds: int
    last_answer_seconds: float


@dataclass
class Turn:
    """One batch that the AI works on."""

    document: dict[str, Any]
    begun_at: float
    ends_at: float


@dataclass
class Ai:
    """An AI that thinks about one batch after another, and stops what is superseded."""

    world: World
    turns_seconds: Sequence[int]
    begun: int = 0
    spent: float = 0
    superseded: set[str] = field(default_factory=set)
    running: dict[str, Turn] = field(default_factory=dict)

    def work(self) -> None:
        """Take what is there, stop what is superseded, and answer what is thought through."""
        now = self.world.clock.monotonic()
        for document in self.world.take(self.world.queues.ai):
            self.superseded |= set(document["meta"]["supersedes"])
            self.running[document["meta"]["batch_id"]] = Turn(document, now, now + self.turns_seconds[self.begun])
            self.begun += 1
        for batch_id, turn in list(self.running.items()):
            if batch_id in self.superseded or now >= turn.ends_at:
                self.spent += now - turn.begun_at
                del self.running[batch_id]
                if batch_id not in self.superseded:
                    self.world.reply(turn.document, f"answer to {batch_id}")


def traces(count: int, seed: int) -> list[Trace]:
    """So many traces for each pause."""
    chance = random.Random(seed)  # noqa: S311  # repeatable, and no secret
    return [
        Trace(after, [chance.randint(*AI_SECONDS) for _ in range(6)])
        for after in ADDED_AFTER_SECONDS
        for _ in range(count)
    ]


def play(trace: Trace, policy: str) -> Outcome:
    """What a policy makes of one burst."""
    world = World(on_new_message=policy)
    ai = Ai(world, trace.turns_seconds)
    written = {world.deliver("one"): world.clock.monotonic()}
    for second in range(LONGEST_SECONDS):
        if second == trace.added_after_seconds:
            written[world.deliver("two")] = world.clock.monotonic()
        world.work()
        ai.work()
        world.send_replies()
        if second > trace.added_after_seconds and world.is_at_rest and world.is_silent and not ai.running:
            break
        world.clock.advance(1)
    return _outcome(world, ai, written)


def _outcome(world: World, ai: Ai, written: dict[str, float]) -> Outcome:
    start = world.clock.instant.timestamp() - world.clock.monotonic()
    sent = [(at.timestamp() - start, part.body.removeprefix("answer to ")) for _, part, at in world.phone.received]
    answered: set[str] = set()
    ignoring = 0
    for at, batch_id in sent:
        answered |= set(world.batches[batch_id])
        ignoring += any(when < at for sid, when in written.items() if sid not in answered)
    return Outcome(
        answers=len(sent),
        ignoring=ignoring,
        unanswered=len(written.keys() - answered),
        turns=ai.begun,
        ai_seconds=round(ai.spent),
        last_answer_seconds=sent[-1][0] - max(written.values()),
    )


def main() -> None:
    """Print a table for each pause, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=40, help="for each pause")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    played = traces(told.customers, told.seed)
    outcomes = {policy: [play(trace, policy) for trace in played] for policy in POLICIES}
    heads = ["policy", "answers", "ignoring", "unanswered", "turns", "AI seconds", "last answer"]
    for after in (*ADDED_AFTER_SECONDS, None):
        rows = [
            _row(
                policy,
                [one for trace, one in zip(played, many, strict=True) if after in (None, trace.added_after_seconds)],
            )
            for policy, many in outcomes.items()
        ]
        show("all" if after is None else f"one more message after {after} s", heads, rows)


def _row(policy: str, outcomes: Sequence[Outcome]) -> list[str]:
    def per_burst(name: str) -> float:
        return mean(getattr(one, name) for one in outcomes)

    waits = [one.last_answer_seconds for one in outcomes]
    return [
        policy,
        *(f"{per_burst(name):.2f}" for name in ("answers", "ignoring", "unanswered", "turns")),
        f"{per_burst('ai_seconds'):.0f}",
        f"{median(waits):.0f} s, {max(waits):.0f} s",
    ]


if __name__ == "__main__":
    main()
