"""What the tests of the AI worker kit share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.world import World


@pytest.fixture
def context(world: World) -> dict[str, Any]:
    """A batch of two messages, as the engine dispatches it."""
    world.deliver("hello")
    world.deliver("are you there?")
    world.clock.advance(11)
    world.work()
    (message,) = world.queues.ai.receive()
    told: dict[str, Any] = json.loads(message.body)
    told["meta"]["actions"] = ["send", "none", "handoff", "extend"]
    return told
