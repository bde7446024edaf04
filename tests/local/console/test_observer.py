"""A phone shows that an answer is being written, from the stub's word until a message arrives."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.console.feed import Feed
from local.console.observer import Observer
from local.console.phones import Bubble, phones_of
from local.tenants import SUNRISE

SID = "SM" + "1" * 32


@pytest.fixture
def observer() -> Observer:
    """It has heard that a message of Anna's was received."""
    nothing: Any = None
    made = Observer(stack=nothing, feed=Feed(), phones=phones_of([SUNRISE]), inbox=nothing, faults=nothing)
    hear(made, "app", step="staged", message_sid=SID, conversation_id="sunrise-anna")
    return made


def hear(observer: Observer, child: str, **line: str) -> None:
    observer.on_line(child, json.dumps({"level": "INFO", **line}))


def bubble(at: datetime) -> Bubble:
    return Bubble("SM2", at.isoformat(timespec="microseconds"), "Good evening", is_customers=False)


def test_the_phone_shows_it_until_a_message_arrives(observer: Observer):
    hear(observer, "twilio", step="typing", message_sid=SID)
    now = datetime.now(UTC)

    assert observer._is_typing("sunrise-anna", [bubble(now - timedelta(minutes=1))])
    assert not observer._is_typing("sunrise-anna", [bubble(now + timedelta(seconds=1))])


def test_no_other_phone_shows_it(observer: Observer):
    hear(observer, "twilio", step="typing", message_sid=SID)

    assert not observer._is_typing("sunrise-clara", [])


def test_it_ends_by_itself(observer: Observer):
    hear(observer, "twilio", step="typing", message_sid=SID)
    observer._typing["sunrise-anna"] -= timedelta(seconds=26)

    assert not observer._is_typing("sunrise-anna", [])


def test_the_engines_own_lines_do_not_show_it(observer: Observer):
    """Only the stub of the provider knows what a phone shows."""
    hear(observer, "work", step="typing", message_sid=SID)

    assert not observer._is_typing("sunrise-anna", [])
