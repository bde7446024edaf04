"""Companies that are remembered for a few seconds."""

from __future__ import annotations

import pytest

from chalicelib.channels.registry import channels
from chalicelib.conversations import companies
from chalicelib.conversations.companies import REMEMBERED_SECONDS, Companies
from chalicelib.errors import TryAgain
from chalicelib.messages.inbound import Address, AddressKind
from tests.fakes.faults import Fault
from tests.world import COMPANY, World, conversation, settings_of

WHATSAPP, SMS = (one for one in channels(settings_of(())) if one.name in {"whatsapp", "sms"})


def address(number: str = COMPANY) -> Address:
    return Address(AddressKind.PHONE, number)


def test_a_company_is_asked_for_once_in_some_seconds(world: World):
    """A flood of requests to one address costs no more."""
    known = Companies(world.clock)

    found = [known.find(world.tables.conversations, WHATSAPP, address()) for _ in range(3)]
    world.clock.advance(REMEMBERED_SECONDS)
    found.append(known.find(world.tables.conversations, WHATSAPP, address()))

    assert [one and one.tenant for one in found] == ["acme"] * 4
    assert [call.operation for call in world.plan.calls] == ["Query"] * 2


def test_each_channel_is_remembered_by_itself(world: World):
    """Each has a secret and policies of its own."""
    config = {"whatsapp": {"credential_ref": "of WhatsApp"}, "sms": {"credential_ref": "of SMS"}}
    world.tables.conversations.seed(conversation(channel_config=config))
    known, table = Companies(world.clock), world.tables.conversations

    refs = [found and found.credential_ref for found in (known.find(table, one, address()) for one in (WHATSAPP, SMS))]

    assert refs == ["of WhatsApp", "of SMS"]


def test_an_address_of_no_company_is_not_remembered(world: World):
    """A company that is added receives at once."""
    known, added = Companies(world.clock), "+19990000000"
    assert known.find(world.tables.conversations, WHATSAPP, address(added)) is None
    world.tables.conversations.seed(conversation(conversation_id="c-2", gsi_company_whatsapp_number=added))

    assert known.find(world.tables.conversations, WHATSAPP, address(added)) is not None


def test_a_fault_is_not_remembered(world: World):
    """The next request asks again."""
    known = Companies(world.clock)
    world.plan.faults = {1: Fault.THROTTLED}
    with pytest.raises(TryAgain):
        known.find(world.tables.conversations, WHATSAPP, address())

    assert known.find(world.tables.conversations, WHATSAPP, address()) is not None


def test_no_more_than_so_many_are_remembered(world: World, monkeypatch: pytest.MonkeyPatch):
    """Whoever has many addresses does not fill the memory."""
    monkeypatch.setattr(companies, "_REMEMBERED_MAX", 2)
    known, numbers = Companies(world.clock), [f"+1999000000{number}" for number in range(3)]
    rows = (conversation(conversation_id=number, gsi_company_whatsapp_number=number) for number in numbers)
    world.tables.conversations.seed(*rows)

    found = [known.find(world.tables.conversations, WHATSAPP, address(number)) for number in [*numbers, numbers[0]]]

    assert None not in found
    assert len(world.plan.calls) == 4
