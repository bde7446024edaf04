"""The simulation convicts each mutant by the run that the page names; the shipped code passes that run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.proofs import sampled
from tests.simulation import convict
from tests.simulation.deployment import Violation
from tests.simulation.mutants import MUTANTS, by_number
from tests.simulation.runs import replay

ROWS = convict.rows_of_the_page()
HUNT = "hunt again with `make mutants`"


def test_the_page_has_a_row_for_each_mutant_and_no_other():
    """By number, with what is changed and the guard that is gone."""
    listed = [(number, mutant.what, mutant.guard) for number, mutant in by_number().items()]

    assert [(row.number, row.what, row.guard) for row in ROWS] == listed, HUNT
    assert len(listed) >= 20


@pytest.mark.parametrize(
    "some",
    sampled(
        [pytest.param(slice(None), id="all"), pytest.param(slice(None, None, 20), id="one in twenty")],
        lambda some: some.step == 20,
    ),
)
def test_each_mutant_is_convicted_by_its_run(some: slice):
    """In a copy of the package, by the violation of the invariant that the page names."""
    rows = ROWS[some]
    with convict.copies({row.number: by_number()[row.number] for row in rows}) as folders:
        told = convict.verdicts({row.number: (folders[row.number], row.run) for row in rows})

    free = {row.number: told[row.number] for row in rows if told[row.number] != [row.run, row.invariant, row.words]}
    assert not free, HUNT


def test_what_each_mutant_changes_stands_in_the_source(tmp_path: Path):
    """Once, which raises otherwise."""
    for mutant in MUTANTS:
        (tmp_path / mutant.file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / mutant.file).write_text((convict.ROOT / "chalicelib" / mutant.file).read_text())

        mutant.apply(tmp_path)


@pytest.mark.parametrize("run", sorted({row.run for row in ROWS}))
def test_the_shipped_code_passes_the_run_that_convicts_a_mutant(run: str):
    """So it is the change that is convicted, and not the run."""
    replay(run)


def test_a_pattern_that_no_longer_stands_in_the_source_says_so(tmp_path: Path):
    """A guard was reworded or moved: the mutant is mended and hunted anew, not dropped in silence."""
    mutant = replace(MUTANTS[0], changes=(("what nobody wrote", ""),))
    (tmp_path / mutant.file).parent.mkdir(parents=True)
    (tmp_path / mutant.file).write_text("what somebody wrote")

    with pytest.raises(LookupError, match=HUNT):
        mutant.apply(tmp_path)


def test_a_mutant_that_merely_crashes_is_not_convicted():
    """Only a numbered invariant convicts."""
    crash = Violation("swarm/1\nunexpected: ('TypeError at batching.py:1',)\n")
    violation = Violation("swarm/1\nI1: an acknowledged message is lost\nand so on")

    assert convict.told(crash) is None
    assert convict.told(violation) == ["swarm/1", "I1", "an acknowledged message is lost"]
