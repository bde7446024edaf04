"""What is deployed is what was asked for, and nothing with a known hole."""

from __future__ import annotations

from pathlib import Path

import pytest
from chalice.constants import MISSING_DEPENDENCIES_TEMPLATE
from packaging.requirements import Requirement

from infrastructure.account import DeploymentError
from infrastructure.chalice_deploy import StrictUI

REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"


def test_a_package_that_chalice_could_not_find_stops_the_deployment():
    """Chalice itself prints it and deploys a function that cannot start."""
    with pytest.raises(DeploymentError) as stopped:
        StrictUI().write(MISSING_DEPENDENCIES_TEMPLATE % "lxml==6.0.0(sdist)\nother==1(sdist)")

    assert "lxml==6.0.0(sdist) other==1(sdist)" in str(stopped.value)


def test_what_chalice_says_otherwise_is_shown(capsys):
    """And stops nothing."""
    StrictUI().write("Creating deployment package.\n")

    assert "Creating" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "holed"), [("multipart", "1.3.0"), ("urllib3", "2.6.2")])
def test_no_version_with_a_known_advisory_is_allowed(name: str, holed: str):
    """The floor is above it."""
    lines = (line.partition("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines())
    (wanted,) = (one for one in map(Requirement, filter(None, lines)) if one.name == name)

    assert not wanted.specifier.contains(holed)
