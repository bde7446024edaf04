"""What each design made of an evening, counted from outside: what was acknowledged, what the AI got, what arrived."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from statistics import median, quantiles

from bench.promises.world import Delivered, World

_TOKEN = re.compile(r"c\d+(?:m\d+|probe)|forged-c\d+m\d+")
LATE_SECONDS = 120.0
_WANTS_ANSWER = frozenset({"text", "photo"})

PRICES = {
    "dynamodb write": 0.625e-6,
    "dynamodb read": 0.125e-6,
    "sqs": 0.40e-6,
    "secretsmanager": 5e-6,
    "lambda": 0.20e-6,
}
"""Dollars a call, on demand, one unit each: rows are small here. bench/costs.py counts units of larger records."""

_WRITES = re.compile(r"dynamodb (Put|Update|Delete|BatchWrite|TransactWrite)")


@dataclass
class Count:
    """One evening, or several added up."""

    messages: int = 0
    """Acknowledged messages that want an answer."""
    bursts: int = 0
    lost: int = 0
    """Acknowledged, and in no answer that arrived."""
    answered_twice: int = 0
    """In two answers that differ."""
    out_of_order: int = 0
    """Given to the AI after a later message of the same customer."""
    in_pieces: int = 0
    """Bursts whose messages are spread over several answers."""
    replies: int = 0
    replies_doubled: int = 0
    """Answers that arrived more than once."""
    replies_lost: int = 0
    """Answers of the AI that never arrived, and no other answer to the same messages did."""
    stuck: int = 0
    """Customers whose last message, twenty minutes after the last fault, got no answer."""
    forged: int = 0
    """Forged messages that reached the AI."""
    after_stop: int = 0
    """Answers that arrived after STOP."""
    late: int = 0
    """Bursts that waited for their answer for more than two minutes."""
    ai_turns: int = 0
    calls: int = 0
    cost: float = 0.0
    """Dollars for AWS's calls."""

    def __add__(self, other: Count) -> Count:
        return Count(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


@dataclass
class Counted:
    """The counts of an evening, and how long customers waited."""

    count: Count
    waits: list[float]
    """From the last message of each burst to the first answer that holds it, in seconds."""
    surprises: dict[str, list[str]]
    """By the name of a count, what it counted: for replaying one cell."""


def counted(world: World) -> Counted:
    """Count one evening."""
    arrived: dict[int, list[Delivered]] = defaultdict(list)
    for one in world.delivered:
        arrived[one.customer].append(one)
    answers = {
        customer: [(one.at, set(_TOKEN.findall(one.body)), one.body) for one in some]
        for customer, some in arrived.items()
    }
    wanted = [one.line for one in world.taken.values() if one.is_acknowledged and one.line.kind in _WANTS_ANSWER]
    told: dict[str, list[str]] = defaultdict(list)
    bursts: dict[tuple[int, int], list[str]] = defaultdict(list)
    for line in wanted:
        bursts[line.customer, line.burst].append(line.token)
        holding = {body for _, tokens, body in answers.get(line.customer, []) if line.token in tokens}
        if not holding:
            told["lost"].append(line.token)
        if len(holding) > 1:
            told["answered_twice"].append(line.token)
    waits = []
    for (customer, burst), tokens in bursts.items():
        last = max(line.at for line in wanted if (line.customer, line.burst) == (customer, burst))
        holding = [(at, found & set(tokens)) for at, found, _ in answers.get(customer, []) if found & set(tokens)]
        if len({frozenset(found) for _, found in holding}) > 1:
            told["in_pieces"].append(f"c{customer} burst {burst}")
        after = [at for at, found in holding if at >= last and tokens[-1] in found]
        if after:
            waits.append(min(after) - last)
            if waits[-1] > LATE_SECONDS:
                told["late"].append(f"c{customer} burst {burst}: {waits[-1]:.0f} s")
    bodies = Counter(one.body for one in world.delivered if _TOKEN.search(one.body))
    told["replies_doubled"] = [body for body, times in bodies.items() if times > 1]
    arrived_tokens = {token for body in bodies for token in _TOKEN.findall(body)}
    told["replies_lost"] = [
        body for body in world.replies if body not in bodies and set(_TOKEN.findall(body)) - arrived_tokens
    ]
    told["out_of_order"] = list(_out_of_order(world))
    told["forged"] = [text for _, _, new in world.ai_inputs for text in new if text.startswith("forged")]
    told["stuck"] = [
        token
        for token, one in world.taken.items()
        if one.line.kind == "probe" and not any(token in found for _, found, _ in answers.get(one.line.customer, []))
    ]
    told["after_stop"] = list(_after_stop(world))
    count = Count(
        messages=len(wanted),
        bursts=len(bursts),
        replies=len(world.replies),
        ai_turns=len(world.ai_inputs),
        calls=sum(times for name, times in world.calls.items() if name != "errors"),
        cost=sum(_price(name) * times for name, times in world.calls.items()),
        **{name: len(some) for name, some in told.items()},
    )
    return Counted(count, waits, dict(told))


def quartiles(waits: Iterable[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    some = list(waits)
    return (median(some), quantiles(some, n=20)[-1]) if len(some) > 1 else (0.0, 0.0)


def _out_of_order(world: World) -> Iterable[str]:
    order = {line.token: number for number, line in enumerate(world.script.lines)}
    latest: dict[str, int] = {}
    seen: set[str] = set()
    for _, conversation, new in world.ai_inputs:
        for text in new:
            place = order.get(text, -1)
            if text not in seen and place < latest.get(conversation, -1):
                yield text
            seen.add(text)
            latest[conversation] = max(latest.get(conversation, -1), place)


def _after_stop(world: World) -> Iterable[str]:
    for one in world.taken.values():
        if one.line.kind == "STOP" and one.is_acknowledged:
            for arrived in world.delivered:
                if arrived.customer == one.line.customer and arrived.at > one.line.at + 1:
                    yield arrived.body


def _price(call: str) -> float:
    if call.startswith("dynamodb"):
        return PRICES["dynamodb write" if _WRITES.match(call) else "dynamodb read"]
    return PRICES.get(call.partition(" ")[0], 0.0)
