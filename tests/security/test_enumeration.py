"""Nobody who cannot sign learns who is a customer: the unverified path is the same for a customer and a stranger."""

from __future__ import annotations

from typing import Any

import pytest

from local.requests.email_signatures import key_pair
from tests.emails import Email
from tests.world import COMPANY, CUSTOMER, World, email_conversation

STRANGER = "+4915100000000"


def shown(world: World, act: Any) -> tuple[Any, ...]:
    """All that a forger could measure of a request, and all that is counted and logged beside the ids."""
    calls, lines, counts = len(world.plan.calls), len(world.telemetry.lines), len(world.telemetry.counts)
    answer = act()
    kept = ("step", "level", "code", "outcome", "status", "tenant")
    return (
        answer.status_code,
        answer.body,
        sorted((one.operation, one.resource) for one in world.plan.calls[calls:]),
        [{name: line[name] for name in kept if name in line} for line in world.telemetry.lines[lines:]],
        world.telemetry.counts[counts:],
    )


@pytest.mark.parametrize("round_number", [1, 2, 3])
def test_a_forged_message_of_a_customer_costs_what_one_of_a_stranger_costs(round_number: int):
    """With a cold cache, with a warm one, and when the refresh is spent."""
    of_customer, of_stranger = (World(None, email_conversation()) for _ in range(2))

    def forge(world: World, sender: str) -> tuple[Any, ...]:
        form = world.form(From=f"whatsapp:{sender}", sid="SM" + "1" * 32)
        return shown(world, lambda: world.post(form, token="forged"))

    for _ in range(round_number - 1):
        forge(of_customer, CUSTOMER), forge(of_stranger, STRANGER)
        of_customer.clock.advance(2), of_stranger.clock.advance(2)

    assert forge(of_customer, CUSTOMER) == forge(of_stranger, STRANGER)


@pytest.mark.parametrize("round_number", [1, 2, 3])
def test_a_forged_e_mail_of_a_customer_costs_what_one_of_a_stranger_costs(round_number: int):
    """As by Twilio."""
    of_customer, of_stranger = (World(None, email_conversation()) for _ in range(2))
    private_key = key_pair()[0]

    def forge(world: World, sender: str) -> tuple[Any, ...]:
        email = Email(sender=sender, return_path=sender)
        return shown(world, lambda: world.post_email(email, private_key=private_key))

    for _ in range(round_number - 1):
        forge(of_customer, "ann@customer.example"), forge(of_stranger, "eve@customer.example")
        of_customer.clock.advance(2), of_stranger.clock.advance(2)

    assert forge(of_customer, "ann@customer.example") == forge(of_stranger, "eve@customer.example")


def test_another_conversation_s_secret_verifies_nothing():
    """The secret is the conversation's own, although the company alone is looked up on the way to a refusal."""
    other = email_conversation(
        conversation_id="conversation-2",
        gsi_recipient_tel="+4915111111111",
        channel_config={"whatsapp": {"credential_ref": "another"}},
    )
    world = World(None, other, email_conversation())
    world.secrets.texts["another"] = '{"account_sid": "AC' + "0" * 32 + '", "auth_token": "of-the-other"}'

    world.post(world.form(), token="of-the-other")

    assert world.staged_ids == []


def test_a_genuine_message_makes_no_further_call():
    """The second look-up is for refusals alone."""
    world = World(None, email_conversation())
    world.deliver()
    before = len(world.plan.calls)

    world.deliver(From=f"whatsapp:{CUSTOMER}", To=f"whatsapp:{COMPANY}")

    assert [one.operation for one in world.plan.calls[before:]].count("Query") == 1
