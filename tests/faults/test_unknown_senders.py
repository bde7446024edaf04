"""Every call that an unknown sender's message makes meets every fault; then they write again, and again the next day.

They are told once a day at most, by whichever way their channel has, and a fault at one message never silences the
next day's. Where a crash or a lost answer leaves it open whether they were told, they are not told again.
"""

from __future__ import annotations

import pytest

from tests.fakes.faults import Fault, faults_for
from tests.faults.failure_modes import FAILURE_MODES, FailureMode, tell
from tests.world import World

QUIET_SECONDS = 4 * 3_600
DAY = 24 * 3_600


def _let_pass(world: World, seconds: int) -> None:
    """Time passes, and the queue delivers what is due."""
    for _ in range(seconds // 60):
        world.clock.advance(60)
        world.send_replies()


def _cases():
    for way in FAILURE_MODES:
        world = way.world()
        tell(world, way)
        for number, call in enumerate(world.plan.calls, start=1):
            for fault in faults_for(call):
                name = f"{way.name}: call {number} {call.operation} {call.resource}: {fault}"
                yield pytest.param(way, number, fault, id=name)


@pytest.mark.parametrize(("way", "number", "fault"), list(_cases()))
def test_whichever_call_fails_an_unknown_sender_is_told_once_a_day(way: FailureMode, number: int, fault: Fault):
    """U1 to U4: by their first message or, where that told nobody for certain, by their next."""
    world = way.world()
    before = world.row
    world.plan.faults = {number: fault}

    tell(world, way)
    _let_pass(world, QUIET_SECONDS)
    tell(world, way)
    _let_pass(world, QUIET_SECONDS)

    heard = way.heard(world)
    assert heard == (0 if (number, fault) in way.lost else 1)
    assert world.is_silent, "nothing is on its way any more"
    world.clock.advance(DAY)
    tell(world, way)
    assert way.heard(world) == heard + 1, "the next day they are told anew"
    assert world.row == before, "nobody's conversation is touched"
    assert world.staged_ids == []
    assert not world.dead
    assert not world.queues.dead_replies.messages


@pytest.mark.parametrize(("way", "number", "fault"), list(_cases()))
def test_whichever_call_fails_no_more_texts_are_sent_within_an_hour_than_the_cap(
    way: FailureMode, number: int, fault: Fault
):
    """U6: to whomever; and in the next hour as many again."""
    world = way.world(unknown_sender_messages_per_hour="1")
    world.plan.faults = {number: fault}

    tell(world, way)
    way.write_another(world)
    _let_pass(world, 600)
    first = way.heard(world)
    world.clock.advance(3_600)
    for _ in range(2):
        tell(world, way)
        way.write_another(world)
    _let_pass(world, 600)

    assert first <= 1
    assert way.heard(world) <= 2, "a text counts for the hour of the message that it answers, however late it is sent"


@pytest.mark.parametrize("way", FAILURE_MODES, ids=lambda way: way.name)
def test_what_may_be_lost_are_faults_that_apply(way: FailureMode):
    """The exceptions name calls as they are."""
    world = way.world()
    tell(world, way)

    known = {(number, fault) for number, call in enumerate(world.plan.calls, start=1) for fault in faults_for(call)}
    assert way.lost <= known
    assert way.heard(world) == 1
