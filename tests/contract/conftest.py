"""The engines of the contract suite, and names that no other test uses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.contract.engines import Engine, dynamodb_engine, endpoint_engine, fake_engine, moto_engine

_numbers = itertools.count(1)

_TYPES_IGNORED = "it compares values of different types as Python does"
_CHANGE_TAKEN = "it takes a change that DynamoDB refuses"

KNOWN_LIES = {
    "moto": {
        "test_a_key_of_an_index_is_missing_or_a_text_that_is_not_empty[number]": "it takes a number for a text",
        "test_a_row_over_400_kb_is_refused_for_good": "its limit lies a few bytes below DynamoDB's",
        "test_a_change_of_nothing_leaves_the_row_as_it_is": "it fails on an update without an expression",
        "test_elements_are_removed_from_the_front[0-left0]": "it fails on an update without an expression",
        "test_to_put_one_key_twice_in_a_call_is_refused_for_good": "it takes the last of the two",
        "test_a_change_that_makes_no_sense_is_refused_for_good[append and remove first]": _CHANGE_TAKEN,
        "holds_of_the_row[Compares(attribute='number', comparison='<', value='6')-False]": _TYPES_IGNORED,
        "holds_of_the_row[Compares(attribute='number', comparison='>', value='4')-False]": _TYPES_IGNORED,
        "holds_of_the_row[Compares(attribute='flag', comparison='=', value=1)-False]": _TYPES_IGNORED,
        "holds_of_the_row[Compares(attribute='map', comparison='=', value={'a': True})-False]": _TYPES_IGNORED,
    },
    "aws": {
        "makes_no_sense_is_refused_for_good[append to a text]": _CHANGE_TAKEN,
        "makes_no_sense_is_refused_for_good[remove first of a text]": _CHANGE_TAKEN,
        "makes_no_sense_is_refused_for_good[remove first of nothing]": _CHANGE_TAKEN,
        "makes_no_sense_is_refused_for_good[set and append]": _CHANGE_TAKEN,
        "makes_no_sense_is_refused_for_good[append and remove first]": _CHANGE_TAKEN,
    },
}
"""What an engine is known to get wrong, by the end of the test's name without the engine, and how. AWS's own DynamoDB
Local and the fake tell none of these; an engine that stops telling one fails its test here, and its line goes."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" not in metafunc.fixturenames:
        return
    names = ["fake", "moto"]
    names += ["aws"] if metafunc.config.getoption("--aws-endpoint") else []
    names += ["dynamodb"] if metafunc.config.getoption("--dynamodb-endpoint") else []
    metafunc.parametrize("engine", names, indirect=True, scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for engine, lies in KNOWN_LIES.items():
            name = item.name.replace(f"[{engine}]", "").replace(f"[{engine}-", "[")
            if name == item.name:
                continue
            for lie, reason in lies.items():
                if name.endswith(lie):
                    item.add_marker(pytest.mark.xfail(reason=f"{engine}: {reason}", strict=True))


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = {
        "fake": fake_engine,
        "moto": moto_engine,
        "aws": lambda: endpoint_engine(request.config.getoption("--aws-endpoint")),
        "dynamodb": lambda: dynamodb_engine(request.config.getoption("--dynamodb-endpoint")),
    }[request.param]
    with made() as one:
        yield one


@pytest.fixture
def fresh() -> str:
    """A name that no other test uses: engines live as long as their module."""
    return f"fresh-{next(_numbers)}"
