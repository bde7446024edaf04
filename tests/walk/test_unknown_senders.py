"""Every call that an unknown sender's message makes meets every fault; then they write again, and again the next day.

They are told once a day at most, by whichever way their channel has, and what befell one message never silences the
next day's. Where a crash or a lost answer leaves it open whether they were told, they are not told again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.fakes.faults import Fault, faults_for
from tests.mail_world import MailWorld
from tests.world import World

TEXT = "Nobody reads this."
STRANGER = "whatsapp:+4999"
QUIET_SECONDS = 4 * 3_600
DAY = 24 * 3_600


def _told_by_answers(world: World) -> int:
    return sum(TEXT in answer.body for answer in world.answers)


@dataclass(frozen=True)
class Way:
    """One way in which an unknown sender is told."""

    name: str
    world: Callable[[], World]
    write: Callable[[World], object]
    heard: Callable[[World], int]
    """How many texts have reached the sender."""
    lost: frozenset[tuple[int, Fault]]
    """By the number of the call, the faults that leave it open whether the text was told: it is not told again."""


BY_THE_ANSWER = Way(
    "by the answer",
    lambda: World(unknown_sender_text=TEXT),
    lambda world: world.deliver(From=STRANGER),
    _told_by_answers,
    frozenset({(4, Fault.LOST_ANSWER)}),  # the row may be there
)
BY_A_LETTER = Way(
    "by a letter",
    lambda: MailWorld(unknown_sender_text=TEXT),
    lambda world: world.deliver_mail(),
    lambda world: len(world.mails),
    frozenset(
        {
            (7, Fault.CRASH_AFTER),  # claimed, and not sent
            (8, Fault.CRASH_BEFORE),
            (8, Fault.MISCONFIGURED),  # refused for good
        }
    ),
)
WAYS = (BY_THE_ANSWER, BY_A_LETTER)


def _act(world: World, way: Way) -> None:
    way.write(world)
    world.send_replies()


def _let_pass(world: World, seconds: int) -> None:
    """Time passes, and the queue delivers what is due."""
    for _ in range(seconds // 60):
        world.clock.advance(60)
        world.send_replies()


def _cases():
    for way in WAYS:
        world = way.world()
        _act(world, way)
        for number, call in enumerate(world.plan.calls, start=1):
            for fault in faults_for(call):
                name = f"{way.name}: call {number} {call.operation} {call.resource}: {fault}"
                yield pytest.param(way, number, fault, id=name)


@pytest.mark.parametrize(("way", "number", "fault"), list(_cases()))
def test_whatever_befalls_a_call_an_unknown_sender_is_told_once_a_day(way: Way, number: int, fault: Fault):
    """U1 to U4: by their first message or, where that told nobody for certain, by their next."""
    world = way.world()
    before = world.row
    world.plan.faults = {number: fault}

    _act(world, way)
    _let_pass(world, QUIET_SECONDS)
    _act(world, way)
    _let_pass(world, QUIET_SECONDS)

    heard = way.heard(world)
    assert heard == (0 if (number, fault) in way.lost else 1)
    assert world.is_silent, "nothing is on its way any more"
    world.clock.advance(DAY)
    _act(world, way)
    assert way.heard(world) == heard + 1, "the next day they are told anew"
    assert world.row == before, "nobody's conversation is touched"
    assert world.staged_ids == []
    assert not world.dead
    assert not world.queues.dead_replies.messages


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_what_may_be_lost_are_faults_that_can_befall(way: Way):
    """The exceptions name calls as they are."""
    world = way.world()
    _act(world, way)

    befallen = {(number, fault) for number, call in enumerate(world.plan.calls, start=1) for fault in faults_for(call)}
    assert way.lost <= befallen
    assert way.heard(world) == 1
