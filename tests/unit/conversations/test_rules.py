"""The rules: each refuses by its code, in their order."""

from __future__ import annotations

import pytest

from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.rules import validate_conversation_rules
from chalicelib.errors import Code
from tests.world import conversation


def verdict(*, channel: str = "whatsapp", lock_matters: bool = True, **changes) -> Code | None:
    row = {name: value for name, value in conversation(**changes).items() if value is not None}
    return validate_conversation_rules(Conversation.from_item(row), channel, lock_matters=lock_matters)


def test_an_active_conversation_lets_a_message_pass():
    """Nothing refuses it."""
    assert verdict() is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"task_complete": 1}, Code.CONVERSATION_NOT_FOUND),
        ({"task_complete": "1"}, Code.CONVERSATION_NOT_FOUND),
        ({"task_complete": "no"}, Code.CONVERSATION_NOT_FOUND),
        ({"project_status": "inactive"}, Code.PROJECT_INACTIVE),
        ({"project_status": None}, Code.PROJECT_INACTIVE),
        ({"project_status": "Active"}, Code.PROJECT_INACTIVE),
        ({"allowed_channels": ["sms"]}, Code.CHANNEL_NOT_ALLOWED),
        ({"allowed_channels": []}, Code.CHANNEL_NOT_ALLOWED),
        ({"allowed_channels": None}, Code.CHANNEL_NOT_ALLOWED),
        ({"allowed_channels": "whatsapp-business"}, Code.CHANNEL_NOT_ALLOWED),
        ({"opted_out": True}, Code.OPTED_OUT),
        ({"opted_out_channels": ["sms", "whatsapp"]}, Code.OPTED_OUT),
        ({"conversation_status": "processing_reply"}, Code.CONVERSATION_LOCKED),
    ],
)
def test_a_rule_refuses_by_its_code(changes: dict, code: Code):
    """What is missing refuses too: nobody is answered by mistake."""
    assert verdict(**changes) is code


@pytest.mark.parametrize(
    "changes",
    [
        {"task_complete": 0},
        {"task_complete": None},
        {"allowed_channels": "whatsapp"},
        {"allowed_channels": {"whatsapp", "email"}},
        {"allowed_channels": ["WhatsApp"]},
        {"allowed_channels": "WHATSAPP"},
        {"task_complete": False},
        {"task_complete": "0"},
        {"task_complete": "False"},
        {"opted_out": False},
        {"opted_out": "no"},
        {"opted_out_channels": ["sms"]},
        {"opted_out_channels": []},
        {"conversation_status": "ai_response_sent"},
        {"conversation_status": None},
    ],
)
def test_what_no_rule_refuses_passes(changes: dict):
    """A list may be a set or a single text; a flag is a flag."""
    assert verdict(**changes) is None


def test_the_first_rule_that_refuses_is_told():
    """Task, project, channel, opt-out, lock."""
    broken = {
        "task_complete": 1,
        "project_status": "closed",
        "allowed_channels": [],
        "opted_out": True,
        "conversation_status": "processing_reply",
    }

    codes = []
    for name in list(broken):
        codes.append(verdict(**broken))
        del broken[name]

    assert codes == [
        Code.CONVERSATION_NOT_FOUND,
        Code.PROJECT_INACTIVE,
        Code.CHANNEL_NOT_ALLOWED,
        Code.OPTED_OUT,
        Code.CONVERSATION_LOCKED,
    ]


def test_a_lock_refuses_only_where_it_matters():
    """Under the policy `queue`, and in stage 2, it does not."""
    assert verdict(conversation_status="processing_reply", lock_matters=False) is None
