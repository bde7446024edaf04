"""A local AWS that enforces rights and takes `chalice deploy`, and the account that it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.session import Session

from infrastructure.account import Account
from infrastructure.stages import Stage, stages
from local.aws.clients import LocalAws
from local.aws.ministack import NotInstalledError, local_aws
from local.processes import environment, ports

AGAIN = "make deploy STAGE=dev"


@pytest.fixture(scope="session")
def local() -> Iterator[LocalAws]:
    """A local AWS of its own."""
    try:
        with local_aws(ports.free(1)[0], shell=os.environ, is_deployable=True) as aws:
            yield aws
    except NotInstalledError as missing:
        pytest.skip(missing.message)


@pytest.fixture
def account(local: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Its account, as a shell with all rights leads to it."""
    for name, value in environment.local_aws(local.endpoint, local.access_key).items():
        monkeypatch.setenv(name, value)
    return Account.of_shell(AGAIN)


@pytest.fixture
def dev() -> Stage:
    return stages()["dev"]


@dataclass(frozen=True)
class Elsewhere:
    """An account with one client for everything."""

    everything: Any
    region: str = "eu-west-1"
    session: Session | None = None

    def client(self, _service: str) -> Any:
        return self.everything
