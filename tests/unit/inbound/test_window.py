"""Stage 2 looks at a burst for the first time when its window may be over."""

from __future__ import annotations

import pytest

from tests.world import World, conversation


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [({}, 10), ({"window_mode": "adaptive"}, 3), ({"window_mode": "adaptive", "batch_window_seconds": 2}, 2)],
    ids=["fixed", "adaptive", "adaptive, with a window below the shortest"],
)
def test_the_first_trigger_of_a_burst_comes_after(policy: dict[str, object], seconds: int):
    """A company's own policy, on the row."""
    row = conversation()
    row["channel_config"]["whatsapp"]["policy"] = policy
    world = World(None, row)

    world.post(world.form())

    (trigger,) = world.queues.triggers["whatsapp"].messages
    assert trigger.visible_at - world.clock.monotonic() == pytest.approx(seconds)
