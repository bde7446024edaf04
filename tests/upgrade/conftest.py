"""The code of the earlier commit, unpacked and loaded once; where the clone has no history, its tests are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.upgrade import previous
from tests.upgrade.previous import Previous


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Previous]:
    """The earlier code."""
    try:
        yield previous.load(tmp_path_factory.mktemp("earlier"))
    except previous.NoHistoryError:
        pytest.skip(f"the clone does not have commit {previous.COMMIT}")
    finally:
        previous.unload()
