"""The states in which a message may find its conversation: what the company's systems write there, sane or not.

A state is a list of what differs from a sane and open record, so that most of a record stays sane and the message comes
far enough to meet what does not.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as some

from chalicelib.clock import iso
from tests.fakes.clock import START
from tests.fuzz.forms import ACCOUNT, OTHER_ACCOUNT, OTHER_COMPANY, OTHER_TOKEN, RECORDED
from tests.world import AUTH_TOKEN, COMPANY, CUSTOMER, SECRET_REF, World, conversation

MISSING = "(missing)"
"""In place of a value: the record has no such attribute."""

OTHER_REF = "ai-multi-comms/whatsapp-credentials/other/main/twilio-local"

State = list[tuple[str, Any]]
"""Attributes that differ from a sane record, with their values; the last one of a name counts."""

SCALARS = some.one_of(
    some.none(), some.booleans(), some.integers(-2, 2), some.decimals(-9, 9, places=1), some.text(max_size=4)
)
VALUES = some.one_of(
    some.just(MISSING),
    SCALARS,
    some.lists(SCALARS | some.lists(SCALARS, max_size=2), max_size=3),
    some.dictionaries(
        some.sampled_from(["a", "whatsapp", "sms"]), SCALARS | some.lists(SCALARS, max_size=2), max_size=2
    ),
    some.sets(some.text(min_size=1, max_size=4), min_size=1, max_size=3),
    some.sets(some.integers(-9, 9), min_size=1, max_size=2),
    some.binary(max_size=3),
)
"""Everything that DynamoDB can keep under a name."""

SIDS = some.sampled_from([dict(pairs)["MessageSid"] for pairs in RECORDED.values()] + ["SM1"])


def _entry(sid: str, channel: str, direction: str, **more: Any) -> dict[str, Any]:
    return {
        "message_id": sid,
        "direction": direction,
        "content": "earlier words",
        "timestamp": iso(START),
        "channel_type": channel,
        "metadata": {"sender": CUSTOMER, "recipient": COMPANY},
        **more,
    }


ENTRIES = some.one_of(
    some.builds(_entry, SIDS, some.sampled_from(["whatsapp", "sms"]), some.sampled_from(["INBOUND", "OUTBOUND"])),
    some.dictionaries(
        some.sampled_from(["message_id", "direction", "timestamp", "channel_type", "metadata", "content"]), SCALARS
    ),
    VALUES.filter(lambda one: one != MISSING),
)
"""What stands in `messages`: ours, the company's own, and what is no entry at all."""

CHANNEL_CONFIGS = some.one_of(
    some.sampled_from(
        [
            {"whatsapp": {"credential_ref": "no-such-secret"}, "sms": {"credential_ref": SECRET_REF}},
            {"whatsapp": {"credential_ref": ""}},
            {"whatsapp": {"credential_ref": [SECRET_REF]}},
            {"whatsapp": SECRET_REF},
            {"whatsapp": {}, "sms": None},
        ]
    ),
    VALUES,
)
SENDER_LISTS = some.one_of(
    some.lists(some.sampled_from([CUSTOMER, f"whatsapp:{CUSTOMER}", "+49 151 12345678", " ", ":", ""]), max_size=3),
    some.sampled_from(
        [CUSTOMER, {CUSTOMER}, [[CUSTOMER]], [None, CUSTOMER], {"a": CUSTOMER}, [Decimal(4915112345678)]]
    ),
    VALUES,
)
STATUSES = some.one_of(
    some.sampled_from(
        ["processing_reply", "user_reply_received", "ai_response_sent", "processing_error", "processing_timeout"]
    ),
    VALUES,
)

COMPANYS_OWN = {
    "project_status": some.sampled_from(["active", "paused", "Active"]) | VALUES,
    "allowed_channels": some.sampled_from([[], ["sms"], ["whatsapp"], {"whatsapp"}, "whatsapp", "whatsapp,sms"])
    | VALUES,
    "conversation_status": STATUSES,
    "task_complete": some.sampled_from([1, "0", False, Decimal("0.0"), -1]) | VALUES,
    "created_at": VALUES,
    "company_id": VALUES,
    "company_name": VALUES,
    "project_id": VALUES,
    "thread_id": VALUES,
    "channel_config": CHANNEL_CONFIGS,
    "hand_off_to_human": some.booleans() | VALUES,
    "auto_queue_reply_message": some.booleans() | VALUES,
    "auto_queue_reply_message_from_number": SENDER_LISTS,
    "auto_queue_reply_message_from_email": SENDER_LISTS,
    "opted_out": some.booleans() | VALUES,
    "opted_out_channels": some.lists(some.sampled_from(["whatsapp", "sms", "email", ""])) | VALUES,
    "messages": some.lists(ENTRIES, max_size=4) | VALUES,
    "crm_notes": VALUES,
}
"""What the company's systems may write, and may write wrong."""

LOCKS: list[State] = [
    [("conversation_status", "processing_reply")],
    [
        ("conversation_status", "processing_reply"),
        ("last_batch_id", "batch-0"),
        ("processing_trigger_id", "trigger-0"),
        ("processing_started_at", iso(START)),
        ("lock_shard", "0"),
        ("conversation_version", 3),
        ("unanswered_ids", ["SM1"]),
        ("messages", [_entry("SM1", "whatsapp", "INBOUND", batch_id="batch-0")]),
    ],
    [
        ("conversation_status", "processing_reply"),
        ("processing_started_at", "2020-01-01T00:00:00+00:00"),
        ("lock_shard", "1"),
    ],
    [
        ("unanswered_ids", ["SM1", "SM2"]),
        ("conversation_version", 7),
        ("last_batch_id", "batch-0"),
        ("messages", [_entry("SM1", "whatsapp", "INBOUND", batch_id="batch-0")]),
    ],
]
"""Locked by another system, locked by a batch, locked and stalled, and open with what an earlier batch left."""

DIFFERENCES = some.sampled_from(sorted(COMPANYS_OWN)).flatmap(
    lambda name: some.tuples(some.just(name), COMPANYS_OWN[name])
)
STATES = some.builds(
    lambda lock, differences: [*lock, *differences],
    some.sampled_from([[], [], *LOCKS]),
    some.lists(DIFFERENCES, max_size=3),
)


def row_of(state: State, **changes: Any) -> dict[str, Any]:
    """The record in a state."""
    row = conversation(**{**dict(state), **changes})
    return {name: value for name, value in row.items() if value is not MISSING}


def world_of(state: State, **settings: str) -> World:
    """A deployment of two tenants, the first one's conversation in a state."""
    other = conversation(
        primary_channel="+4917000000000",
        conversation_id="conversation-of-another-tenant",
        gsi_company_whatsapp_number=OTHER_COMPANY,
        gsi_company_sms_number=OTHER_COMPANY,
        company_id="other",
        channel_config={"whatsapp": {"credential_ref": OTHER_REF}, "sms": {"credential_ref": OTHER_REF}},
    )
    world = World(None, row_of(state), other, **{"context_attributes": "crm_notes", **settings})
    world.secrets.texts[SECRET_REF] = json.dumps({"account_sid": ACCOUNT, "auth_token": AUTH_TOKEN})
    world.secrets.texts[OTHER_REF] = json.dumps({"account_sid": OTHER_ACCOUNT, "auth_token": OTHER_TOKEN})
    return world


SETTINGS = some.fixed_dictionaries(
    {},
    optional={
        "on_new_message": some.just("reject"),
        "handoff_flag_routes": some.just("true"),
        "locked_notice": some.just(""),
    },
)
