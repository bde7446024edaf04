"""The engines of the contract suite, and names that no other test uses."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest

from local.aws.clients import LocalAws
from local.aws.dynamodb_local import dynamodb_local
from local.aws.ministack import NotInstalledError, local_aws
from local.processes import ports
from tests.contract.engines import Engine, dynamodb_engine, endpoint_engine, fake_engine, moto_engine

_numbers = itertools.count(1)

_TYPES_IGNORED = "it compares values of different types as Python does"
_CHANGE_TAKEN = "it takes a change that DynamoDB refuses"
_NUMBER_TAKEN = "it takes a number that DynamoDB has no room for"


KNOWN_LIES = {
    "dynamodb": {
        "test_a_query_reads_all_pages_whatever_it_keeps": "its pages count what is kept",
    },
    "moto": {
        "is_refused_for_good[111111111111111111111111111111111111111]": _NUMBER_TAKEN,
        "is_refused_for_good[0.100000000000000000000000000000000000001]": _NUMBER_TAKEN,
        "is_refused_for_good[1E+126]": _NUMBER_TAKEN,
        "is_refused_for_good[-1E+126]": _NUMBER_TAKEN,
        "test_a_query_of_an_index_reads_all_pages": "it makes three pages of two",
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
        "test_numbers_are_added_exactly": "it adds in 28 digits",
        "makes_no_sense_is_refused_for_good[append to a text]": _CHANGE_TAKEN,
        "makes_no_sense_is_refused_for_good[remove first of a text]": _CHANGE_TAKEN,
        "makes_no_sense_is_refused_for_good[remove first of nothing]": _CHANGE_TAKEN,
        "makes_no_sense_is_refused_for_good[set and append]": _CHANGE_TAKEN,
        "makes_no_sense_is_refused_for_good[append and remove first]": _CHANGE_TAKEN,
    },
}
"""What an engine is known to get wrong, by the end of the test's name without the engine, and how. The fake's lies are
about values that this project never stores; an engine that stops telling one fails its test here, and its line goes."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asked = metafunc.config.getoption
    servers = ["aws", *(["dynamodb"] if asked("--dynamodb-local") or asked("--dynamodb-endpoint") else [])]
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", ["fake", "moto", *servers], indirect=True, scope="module")
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("server", servers, indirect=True, scope="module")


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
    """Each engine in turn."""
    with _made(request) as one:
        yield one


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine that several callers may use at once.

    The fake is not one: it runs in the one thread of a test or of a simulation, which decides itself who comes when.
    Nor is moto: under threads its conditional writes know two winners.
    """
    with _made(request) as one:
        yield one


@pytest.fixture(scope="session")
def aws_endpoint(request: pytest.FixtureRequest) -> Iterator[LocalAws]:
    """A local AWS for all of the suite: the one that was asked for, or one of its own."""
    told = request.config.getoption("--aws-endpoint")
    if told:
        yield LocalAws(told, "testing")
        return
    with ExitStack() as running:
        try:
            aws = running.enter_context(local_aws(ports.free(1)[0], shell=os.environ))
        except NotInstalledError as missing:
            pytest.skip(missing.message)
        yield aws


@pytest.fixture(scope="session")
def dynamodb_endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """A DynamoDB for all of the suite: the one that was asked for, or DynamoDB Local."""
    told = request.config.getoption("--dynamodb-endpoint")
    if told:
        yield told
        return
    with dynamodb_local(ports.free(1)[0], shell=os.environ) as url:
        yield url


def _made(request: pytest.FixtureRequest) -> AbstractContextManager[Engine]:
    match request.param:
        case "fake":
            return fake_engine()
        case "moto":
            return moto_engine()
        case "aws":
            return endpoint_engine(request.getfixturevalue("aws_endpoint"))
        case _:
            return dynamodb_engine(request.getfixturevalue("dynamodb_endpoint"))


@pytest.fixture
def fresh() -> str:
    """A name that no other test uses: engines live as long as their module."""
    return f"fresh-{next(_numbers)}"
