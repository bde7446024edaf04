"""The webhook of status callbacks, whatever comes: a report counts only where it is proven and its send is known."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as some

from chalicelib.channels.channel import AnswerStyle, Vendor
from chalicelib.clock import iso
from chalicelib.errors import Code
from chalicelib.handlers import webhooks
from chalicelib.inbound import responses
from tests.fuzz import rules
from tests.fuzz.forms import ACCOUNT, HEADERS, QUERIES, REPORTS, SIGNINGS, TEXTS, Change, Form, Post
from tests.fuzz.records import STATES, world_of
from tests.world import AUTH_TOKEN, KEY, SECRET_REF, World

FUZZ = settings.get_profile("fuzz")
CONTEXT = SimpleNamespace(aws_request_id="request-1")
SEND_ID = "5e" * 20

STATUSES = some.sampled_from(
    ["accepted", "queued", "sending", "sent", "delivered", "read", "failed", "undelivered", "canceled", "Delivered"]
)
ERROR_CODES = some.sampled_from(["", "21610", "63016", "30008", "0"])
PARTS = some.fixed_dictionaries(
    {"send_state": some.sampled_from(["claimed", "sent", "refused", "unknown"])},
    optional={
        "delivery_rank": some.integers(0, 7),
        "provider_sid": some.just("SM" + "9" * 32),
        "error_code": some.sampled_from(["21610", "UNKNOWN_OUTCOME"]),
        "batch_id": some.just("batch-1"),
        "credential_ref": some.sampled_from(["no-such-secret", ""]),
    },
)


def world_with_send(state: Any, part: dict[str, Any]) -> World:
    """A deployment that sent one part, whose row and conversation are in these states."""
    world = world_of(state)
    row = {
        "send_id": SEND_ID,
        **KEY.item,
        "tenant": "acme",
        "channel": "whatsapp",
        "credential_ref": SECRET_REF,
        "reply_id": "reply-1",
        "part": 1,
        "parts": 1,
        "entry": {"direction": "OUTBOUND", "content": "an answer"},
        "claim_token": "token-1",
        "claimed_at": iso(world.clock.now()),
        **part,
    }
    world.tables.sends.seed(row)
    return world


def reported(world: World, post: Post, send_id: str = SEND_ID) -> None:
    """Hand the report to the handler and hold the answer against every rule."""
    response = webhooks.receive_delivery_report(post.request(CONTEXT), Vendor.TWILIO, send_id, world.engine)

    codes = [line["code"] for line in world.telemetry.lines if line["step"] in ("refused", "failed")]
    of_the_table = responses.answer(AnswerStyle.TWIML, Code(codes[-1])) if codes else responses.no_content()
    assert (response.status_code, response.headers, response.body) == (
        of_the_table.status,
        {"Content-Type": of_the_table.content_type},
        of_the_table.body,
    )
    event(codes[-1] if codes else "taken")
    written = [call for call in world.plan.calls if call.kind != "read"]
    assert not written or (post.is_of(ACCOUNT, AUTH_TOKEN) and send_id == SEND_ID)
    rules.nothing_surprised_us(world)
    rules.no_retry_is_asked_for(world)
    rules.nothing_personal_is_told(world, post.personal)


class TestReports:
    @FUZZ
    @given(form=REPORTS, signing=SIGNINGS, headers=HEADERS, query=QUERIES, send_id=some.just(SEND_ID) | TEXTS)
    def test_any_report_has_an_answer_and_no_effect_without_proof(self, form, signing, headers, query, send_id):
        """Bent in any way, signed by anybody, about any send: the table's answer, and only the tenant's counts."""
        world = world_with_send([], {"send_state": "sent"})
        path = f"/webhooks/twilio/status/{send_id or 'x'}"

        reported(world, Post(form.body, signing, path=path, headers=headers, query=query), send_id or "x")

    @FUZZ
    @given(status=STATUSES, code=ERROR_CODES, part=PARTS, state=STATES)
    def test_any_state_of_send_and_conversation_takes_any_report(self, status, code, part, state):
        """Reports come late and in any order, to records in any state: a delivery status only ever rises."""
        changes = [Change("replace", 2, text=status), Change("replace", 3, text=code)]
        world = world_with_send(state, part)

        reported(world, Post(Form("status_callback", changes).body, path=f"/webhooks/twilio/status/{SEND_ID}"))

        (row,) = world.tables.sends.rows
        assert row.get("delivery_rank", 0) >= part.get("delivery_rank", 0)
        assert json.dumps(world.phone.texts) == "[]"
