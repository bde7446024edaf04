"""Half an hour without workers: the work that waits for them stays bounded, and each message is answered in the end."""

from __future__ import annotations

import pytest

from tests.load.hours import Hours
from tests.unit.repair.test_sweeping import numbered
from tests.world import World

CONVERSATIONS = 10
OUTAGE_SECONDS = 1_800
TRIGGERS_MAX = 6
"""Of one conversation after half an hour: its own, and those of repairs after 1, 2, 4, 8 and 16 minutes."""
CALLS_MAX = 50
"""For one message, all in all: 20 of the repairs, 21 of six triggers, 7 of the reply."""


@pytest.fixture(scope="module")
def after_outage() -> tuple[Hours, int, int]:
    """Ten conversations whose one message waited for half an hour: the world, its triggers, and the calls before."""
    world = World(None, *numbered(CONVERSATIONS), log_level="INFO")
    for number in range(CONVERSATIONS):
        world.deliver(From=f"whatsapp:+49{number:03}")
    calls = len(world.plan.calls)
    outage = Hours(world, every_seconds=0, ai_seconds=20, has_workers=False)
    outage.run(OUTAGE_SECONDS)
    waiting = len(world.queues.triggers["whatsapp"].messages)
    outage.has_workers = True
    outage.run(120)
    return outage, waiting, calls


def test_the_triggers_of_a_conversation_grow_with_the_logarithm_of_the_outage(after_outage: tuple[Hours, int, int]):
    """Before, there was one for each minute."""
    _, waiting, _ = after_outage

    assert CONVERSATIONS < waiting <= TRIGGERS_MAX * CONVERSATIONS


def test_the_calls_for_one_message_stay_bounded(after_outage: tuple[Hours, int, int]):
    """Repairs, spare triggers, the batch and the reply; the scans that find nothing are counted apart."""
    outage, _, before = after_outage

    calls = [call for call in outage.world.plan.calls[before:] if call.operation != "Scan"]
    watches = sum(call.operation == "Query" and call.index is not None for call in calls)
    assert (len(calls) - watches) / CONVERSATIONS <= CALLS_MAX


def test_an_outage_is_reported_by_few_error_lines(after_outage: tuple[Hours, int, int]):
    """Two for a conversation in half an hour, however often the sweep ran."""
    outage, _, _ = after_outage

    errors = [line for line in outage.world.telemetry.lines if line["level"] == "error"]
    assert 0 < len(errors) <= 2 * CONVERSATIONS


def test_every_message_is_answered_once_the_workers_are_back(after_outage: tuple[Hours, int, int]):
    """Once each, and nothing is left in a queue."""
    outage, _, _ = after_outage

    assert len(outage.world.phone.texts) == CONVERSATIONS
    assert outage.world.staged_ids == []
    assert outage.world.is_silent


def test_a_customer_who_writes_on_during_an_outage_adds_one_trigger_for_each_message():
    """And all that waited becomes one batch."""
    outage = Hours(World(log_level="INFO"), every_seconds=150, ai_seconds=20, has_workers=False)
    outage.run(OUTAGE_SECONDS)
    waiting = len(outage.world.queues.triggers["whatsapp"].messages)
    outage.every_seconds, outage.has_workers = 0, True

    outage.run(120)

    assert waiting <= outage.received + TRIGGERS_MAX
    assert len(outage.world.batches) == len(outage.world.phone.texts) == 1
