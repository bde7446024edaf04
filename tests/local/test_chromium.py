"""CI runs the browser's tests on the machines where those tests find a Chromium, and says so on the others."""

from __future__ import annotations

from local.processes.environment import PROJECT
from tests.browser.conftest import NAMES


def test_ci_looks_for_a_chromium_by_the_names_that_the_tests_know():
    script = (PROJECT / ".ci" / "run").read_text()

    assert f"type -P {' '.join(NAMES)} |" in script
    assert "${CHROMIUM:-}" in script
    assert "make browser was not run" in script
