"""What tests of channels share: a stand-in for Twilio's API on the loopback interface."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.standin_twilio import Account, StandInTwilio
from tests.world import ACCOUNT_SID, AUTH_TOKEN


@pytest.fixture
def twilio() -> Iterator[StandInTwilio]:
    """Knows one account."""
    account = Account(ACCOUNT_SID, AUTH_TOKEN, api_key="SK" + "1" * 32, api_secret="secret-of-the-key")
    with StandInTwilio([account]) as running:
        yield running
