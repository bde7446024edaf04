"""The bench of events plays each kind of event with the calls that the cost tests tell."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

from bench.costs import BESIDE
from bench.growth import TEXT, many_conversations
from bench.hot_events import UNKNOWN, deployed, figures
from bench.hot_obvious import figures_of_the_obvious
from bench.obvious_cost import row_of
from bench.tape import cpu_milliseconds
from tests.world import World


def test_every_kind_of_event_is_measured_with_its_calls():
    """Ours; the replies leave out the call to the provider."""
    with deployed(many_conversations(1)) as bench:
        bench.rounds = 1
        calls = {name: one.calls for name, one in figures(bench)}

    assert calls == {
        "forged": 1,
        "unknown sender": 3,
        "next message": 5,
        "duplicate": 4,
        "first message": 5,
        **{f"{what} {count}": 6 for what in ("batch of", "reply to") for count in (1, 3, 25)},
        "locked conversation": 6,
        "callback": 2,
    }


def test_the_obvious_build_is_measured_with_the_same_events():
    """All but the reports of delivery, which it does not have."""
    world = World()
    forms = [world.form(TEXT, **BESIDE) for _ in range(32)]

    with redirect_stdout(io.StringIO()):
        took = dict(figures_of_the_obvious(row_of(0), forms, UNKNOWN, cpu_milliseconds, 1))

    assert len(took) == 12
    assert all(milliseconds > 0 for milliseconds in took.values())
