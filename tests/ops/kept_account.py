"""Keeps what an account in moto holds and puts it back: a copy takes a fraction of the calls that made it."""

from __future__ import annotations

import copyreg
from copy import deepcopy
from dataclasses import dataclass
from threading import Condition, RLock
from typing import Any
from weakref import WeakValueDictionary

import pytest
from moto.core.base_backend import BackendDict
from moto.s3.models import s3_backends

copyreg.pickle(type(RLock()), lambda _: (RLock, ()))  # a copy is a lock that nobody holds
copyreg.pickle(Condition, lambda _: (Condition, ()))  # and a condition that nobody waits for


@dataclass(frozen=True)
class KeptAccount:
    """Everything in moto at one instant."""

    backends: list[tuple[BackendDict[Any], dict[str, dict[str, Any]]]]
    """By service: by account and region."""
    owners: dict[str, tuple[str, str]]
    """Of the buckets, which moto keeps apart."""

    @classmethod
    def now(cls) -> KeptAccount:
        """What moto holds now."""
        services = list(BackendDict._instances)
        held = [{account: dict(regions) for account, regions in service.items()} for service in services]
        return cls(list(zip(services, _copied(held), strict=True)), dict(s3_backends.bucket_accounts))

    def put_back(self) -> None:
        """Have moto, which holds nothing, hold a copy of it."""
        copied = _copied([accounts for _, accounts in self.backends])
        for (service, _), accounts in zip(self.backends, copied, strict=True):
            for account, regions in accounts.items():
                service[account].update(regions)
        s3_backends.bucket_accounts.update(self.owners)


def _copied(held: list[dict[str, dict[str, Any]]]) -> list[dict[str, dict[str, Any]]]:
    """A deep copy; Python's own would leave the functions in Lambda's index by ARN as they are."""

    def with_values(index: WeakValueDictionary[Any, Any], memo: dict[int, Any]) -> WeakValueDictionary[Any, Any]:
        return WeakValueDictionary({deepcopy(key, memo): deepcopy(value, memo) for key, value in index.items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WeakValueDictionary, "__deepcopy__", with_values)
        return deepcopy(held)
