"""What all tests of the simulation share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.runs import collecting_rarely


@pytest.fixture(scope="module", autouse=True)
def _collecting_rarely() -> Iterator[None]:
    """Runs leave much garbage, and what was imported is never part of it."""
    with collecting_rarely():
        yield
