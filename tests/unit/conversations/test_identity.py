"""When the pair's older conversations are asked for a message."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.clock import iso
from chalicelib.conversations.identity import OLDER_MAX, look_elsewhere, needs_a_look
from chalicelib.protocol.record import ConversationKey
from tests.fakes.clock import START
from tests.world import KEY, World


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        (iso(START), True),
        (iso(START + timedelta(minutes=5)), True),
        (iso(START - timedelta(hours=72) + timedelta(seconds=1)), True),
        (iso(START - timedelta(hours=72)), False),
        ("2020-01-01T00:00:00+00:00", False),
        ("2020-01-01", False),
        ("yesterday", True),
        ("", True),
    ],
)
def test_only_a_young_conversation_may_have_an_older_one_s_message(created_at: str, expected: bool):
    """A retry comes within the horizon; a creation that cannot be read counts as young."""
    assert needs_a_look(created_at, now=START, horizon_hours=72) is expected


def test_as_many_older_ones_are_asked_as_one_read_takes(world: World):
    """The newest first; one call."""
    older = [ConversationKey(KEY.primary_channel, f"c-{number}") for number in range(OLDER_MAX + 5)]

    known = look_elsewhere(world.tables, older, "SM1")

    assert known is None
    assert [call.operation for call in world.plan.calls] == ["BatchGetItem"]


def test_without_older_ones_nothing_is_asked(world: World):
    """Most conversations are the only one."""
    assert look_elsewhere(world.tables, [], "SM1") is None
    assert world.plan.calls == []
