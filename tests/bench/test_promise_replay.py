"""A kept evening replays: the same seed over the same design counts the same again."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest

from bench.promises import results
from bench.promises.__main__ import play
from bench.promises.contenders.buffer import MessageBuffer
from bench.promises.world import local_aws
from local.aws.clients import LocalAws
from local.aws.ministack import NotInstalledError
from local.processes import ports


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    try:
        with local_aws(ports.free(1)[0]) as made:
            yield made
    except NotInstalledError as error:
        pytest.skip(str(error))


def test_a_kept_evening_counts_the_same_again(aws: LocalAws):
    """Over the design that needs tables, streams and functions; what it is made of does not change with the engine."""
    design = results.read(results.file_of(results.KEPT, MessageBuffer.name))

    again = play(aws, MessageBuffer, 1, StringIO())

    kept = design.evenings[1]
    assert again.count.lost == kept.count.lost
    assert {name: some for name, some in again.surprises.items() if some} == kept.surprises
    assert [round(wait, 1) for wait in again.waits] == kept.waits
