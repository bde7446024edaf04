"""What these tests share: a whole deployment in memory, on a clock that stands until it is moved."""

from __future__ import annotations

import pytest

from tests.world import World


@pytest.fixture
def world() -> World:
    """One deployment with one active conversation."""
    return World()
