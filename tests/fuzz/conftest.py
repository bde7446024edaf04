"""How many examples the fuzz tests try: a fixed set in a full run, and as many new ones as are asked for.

    python -m pytest                                        the same few of each test, every time
    python -m pytest tests/fuzz --fuzz-examples 5000        so many of each test, new ones every time

A counterexample stays as an `@example` beside the name of the rule that it broke.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

EXAMPLES = 80
"""Of each test in a full run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-examples",
        type=int,
        metavar="N",
        help="try N new examples in each fuzz test instead of the fixed few (needs tests/fuzz as an argument)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the profile, which each fuzz test asks for by name: tests elsewhere keep their own."""
    asked = config.getoption("fuzz_examples", None)
    settings.register_profile(
        "fuzz",
        derandomize=asked is None,
        max_examples=asked or EXAMPLES,
        database=None,  # a counterexample is kept as an @example, not in a folder
        deadline=None,  # the machine is shared: how long one example takes says nothing
        print_blob=False,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
