"""What tests of channels share: a stub for Twilio's API on the loopback interface, and an ear for all logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from local.stubs.twilio import Account, TwilioStub
from tests.world import ACCOUNT_SID, AUTH_TOKEN


@pytest.fixture
def twilio() -> Iterator[TwilioStub]:
    """Knows one account."""
    account = Account(ACCOUNT_SID, AUTH_TOKEN, api_key="SK" + "1" * 32, api_secret="secret-of-the-key")
    with TwilioStub([account]) as running:
        yield running


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Every line that any logger tells on any level, its arguments and its traceback included."""
    told: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(f"{logging.Formatter().format(record)} {record.__dict__}")

    ear, root = Ear(), logging.getLogger()
    before = root.level
    root.addHandler(ear)
    root.setLevel(1)
    yield told
    root.setLevel(before)
    root.removeHandler(ear)
