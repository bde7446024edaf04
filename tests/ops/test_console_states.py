"""A conversation has the state that an operator would give it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.errors import Misconfigured
from ops.console.states import State, state_of
from tests.fakes.clock import START
from tests.world import conversation, settings_of

SETTINGS = settings_of(())


def ago(seconds: float) -> str:
    return iso(START - timedelta(seconds=seconds))


LOCKED = {"conversation_status": "processing_reply", "last_batch_id": "b", "unanswered_ids": ["m"]}


@pytest.mark.parametrize(
    ("row", "state"),
    [
        pytest.param({}, None, id="open, and nothing waits"),
        pytest.param(LOCKED | {"processing_started_at": ago(10)}, State.LOCKED, id="a young lock"),
        pytest.param(LOCKED | {"processing_started_at": ago(3_000)}, State.STALLED, id="an old lock"),
        pytest.param(
            LOCKED | {"processing_started_at": ago(10), "reply_claim": "#people"}, State.WITH_PEOPLE, id="for people"
        ),
        pytest.param({"unanswered_ids": ["m"]}, State.UNANSWERED, id="open, with messages that wait"),
        pytest.param({"conversation_status": "processing_error"}, State.FAILED, id="an error"),
        pytest.param({"processing_error_code": "UNKNOWN_OUTCOME"}, State.FAILED, id="a reply of unknown outcome"),
        pytest.param({"handed_off_by": "ai"}, State.WITH_PEOPLE, id="handed off"),
        pytest.param({"auto_queue_reply_message": True}, State.WITH_PEOPLE, id="by the company's attribute"),
    ],
)
def test_state(row: dict[str, Any], state: State | None):
    assert state_of(conversation(**row), SETTINGS, START) is state


def test_a_row_that_cannot_be_read_says_so():
    with pytest.raises(Misconfigured):
        state_of(conversation(unanswered_ids="m"), SETTINGS, START)
