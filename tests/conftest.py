"""What all tests share: no AWS but the one that a test makes itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache

import botocore.loaders
import botocore.session
import pytest

from chalicelib.aws.clients import AMAZON_ROOTS
from chalicelib.channels import connections
from tests.rights import Recorder, is_allowed, recording


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--aws-endpoint",
        metavar="URL",
        help="run the contract suite against this local AWS, in place of the one that it starts itself",
    )
    parser.addoption(
        "--dynamodb-endpoint", metavar="URL", help="run the contract suite of the tables against this DynamoDB too"
    )
    parser.addoption(
        "--dynamodb-local",
        action="store_true",
        help="run the contract suite of the tables against AWS's own DynamoDB Local too, started for it",
    )


def pytest_configure() -> None:
    """Forget every AWS variable of the user's shell, AWS_CA_BUNDLE and profiles included."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"  # nobody asks the network for credentials
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


@pytest.fixture(scope="session", autouse=True)
def _read_once() -> Iterator[None]:
    """What libraries read anew for each session, and what takes longer than most tests here.

    All botocore sessions share one loader of service models, which nothing changes: all clients of one session share it
    too. The providers' clients trust a few authorities: no test connects to a server that one of certifi's signed.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.loaders.create_loader))
        patch.setattr(connections, "DEFAULT_CA_BUNDLE_PATH", str(AMAZON_ROOTS))
        yield


@pytest.fixture(scope="session")
def recorder() -> Iterator[Recorder]:
    """What each function called, over the whole run."""
    with pytest.MonkeyPatch.context() as patch, recording(patch) as made:
        yield made


@pytest.fixture(autouse=True)
def no_call_without_a_right(recorder: Recorder) -> Iterator[None]:
    """Every test holds every call that a function makes against the policy of its role."""
    known = set(recorder.uses)
    yield
    new = recorder.uses - known
    assert not [use for use in new if not is_allowed(use)]
