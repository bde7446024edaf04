"""How a conversation is found by the two addresses, and loaded."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chalicelib.channels.channel import Channel
from chalicelib.channels.registry import channels
from chalicelib.conversations import lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages.inbound import Address, AddressKind, InboundMessage
from chalicelib.protocol.record import ConversationKey
from chalicelib.settings import Settings
from chalicelib.telemetry import Step
from tests.emails import COMPANY_EMAIL
from tests.fakes.clock import START
from tests.fakes.tables import InMemoryTable
from tests.unit.messages.test_phone_numbers import PAIRS
from tests.world import (
    COMPANY,
    CUSTOMER,
    ENVIRONMENT,
    KEY,
    SECRET_REF,
    TEMPLATE,
    World,
    conversation,
    email_conversation,
)

WHATSAPP, SMS, EMAIL = channels(Settings.from_environment(ENVIRONMENT))
MESSAGE = InboundMessage(
    message_sid="SM1",
    channel="whatsapp",
    account_id="AC1",
    sender=Address(AddressKind.PHONE, CUSTOMER),
    recipient=Address(AddressKind.PHONE, COMPANY),
    body="hello",
    received_at=START,
)


def table(*rows: dict[str, Any], page_bytes: int = 1_048_576) -> InMemoryTable:
    made = InMemoryTable(TEMPLATE.tables["conversations-local"], page_bytes=page_bytes)
    made.seed(*rows)
    return made


def row(number: int, **changes: Any) -> dict[str, Any]:
    return conversation(conversation_id=f"c-{number}", created_at=f"2026-01-{number:02}T00:00:00+00:00", **changes)


MADE = "2026-01-01T00:00:00+00:00"
"""When the conversation was made."""


def find(asked: InMemoryTable, channel: Channel, message: InboundMessage) -> lookup.Found | None:
    """As a webhook asks: for the pair of addresses, then for the company."""
    return lookup.find_pair(asked, channel, message) or lookup.find_company(asked, channel, message.recipient)


class TestFind:
    @pytest.mark.parametrize("channel", [WHATSAPP, SMS], ids=["whatsapp", "sms"])
    def test_a_conversation_is_found_by_company_and_customer(self, channel):
        """With the name of the company's secret for that channel."""
        found = find(table(conversation()), channel, MESSAGE)

        config = conversation()["channel_config"]
        assert found == lookup.Found(KEY, "acme", SECRET_REF, 1, MADE, channel_config=config)

    @pytest.mark.parametrize("page_bytes", [1, 1_048_576], ids=["many pages", "one page"])
    def test_of_several_active_ones_the_newest_wins(self, page_bytes: int):
        """Wherever it stands, on whatever page."""
        rows = [row(2), row(3), row(1), row(4, task_complete=1)]

        found = find(table(*rows, page_bytes=page_bytes), WHATSAPP, MESSAGE)

        assert found is not None
        assert found.key == ConversationKey(CUSTOMER, "c-3")
        assert found.active_count == 3
        assert found.older == tuple(ConversationKey(CUSTOMER, f"c-{number}") for number in (4, 2, 1))

    def test_several_active_ones_are_warned_of(self):
        """The company has to end one; the message is taken all the same."""
        world = World(None, row(1), row(2))

        world.deliver()

        (warning,) = (line for line in world.telemetry.lines if line["step"] == Step.SEVERAL_ACTIVE.value)
        assert (warning["level"], warning["count"], warning["tenant"]) == ("warning", 2, "acme")
        assert [staged["conversation_id"] for staged in world.tables.stage.rows] == ["c-2"]

    @pytest.mark.parametrize("value", [0, False, "0", "false", " False "])
    def test_a_conversation_that_says_in_any_way_that_it_goes_on_is_active(self, value: object):
        """Zero and false mean one thing, as a number, a boolean or a text."""
        found = find(table(conversation(task_complete=value)), WHATSAPP, MESSAGE)

        assert found is not None
        assert found.key is not None

    @pytest.mark.parametrize("value", [1, True, "1", "true", None, "", "no", "open", 2, [0]])
    def test_what_does_not_say_so_is_not_active(self, value: object):
        """An ambiguous value is not guessed: the doctor reports it."""
        found = find(table(conversation(task_complete=value)), WHATSAPP, MESSAGE)

        assert found is not None
        assert found.key is None

    @pytest.mark.parametrize("changes", [{"task_complete": 1}, {"gsi_recipient_tel": "+4915100000000"}])
    def test_a_known_company_without_an_active_conversation_tells_its_secret(self, changes: dict):
        """So that the provider can be proven before it is told that the sender is unknown."""
        found = find(table(conversation(**changes)), WHATSAPP, MESSAGE)

        config = conversation()["channel_config"]
        assert found == lookup.Found(None, "acme", SECRET_REF, 0, MADE, channel_config=config)

    def test_the_configuration_of_the_company_comes_with_it(self):
        """Its policies apply to senders without a conversation too, and cost no further read."""
        config = {"whatsapp": {"credential_ref": SECRET_REF, "policy": {"unknown_sender_text": "Who are you?"}}}

        found = find(table(conversation(channel_config=config, task_complete=1)), WHATSAPP, MESSAGE)

        assert found == lookup.Found(None, "acme", SECRET_REF, 0, MADE, channel_config=config)

    def test_an_unknown_company_is_none(self):
        """Nothing proves anything then."""
        stranger = conversation(gsi_company_whatsapp_number="+19995550000")

        found = find(table(stranger), WHATSAPP, MESSAGE)

        assert found is None

    def test_the_company_alone_costs_one_row_of_one_call(self):
        """However many conversations it has."""
        rows = [conversation(conversation_id=f"c-{number}", gsi_recipient_tel=f"+4{number}") for number in range(50)]
        many = table(*rows)

        find(many, WHATSAPP, MESSAGE)

        assert [call.operation for call in many.plan.calls] == ["Query", "Query"]
        assert many.consumed.read_units <= 1

    @pytest.mark.parametrize(
        "config", [{}, {"sms": {"credential_ref": "x"}}, {"whatsapp": {}}, {"whatsapp": {"credential_ref": ""}}, "text"]
    )
    def test_a_missing_reference_is_our_fault(self, config):
        """Told by the attribute and the tenant."""
        found = find(table(conversation(channel_config=config)), WHATSAPP, MESSAGE)
        assert found is not None

        with pytest.raises(Misconfigured) as fault:
            lookup.require_credential_ref(found, WHATSAPP)

        assert fault.value.code is Code.MISSING_CREDENTIAL_CONFIG
        assert fault.value.detail == "channel_config.whatsapp.credential_ref is missing for tenant acme"


class TestFindRespelled:
    def test_a_conversation_is_found_by_the_other_spelling_of_the_number(self):
        """Of several the newest, by whatever spelling."""
        rows = [row(1, gsi_recipient_tel="+541123456789"), row(2, gsi_recipient_tel="+54111523456789")]
        message = replace(MESSAGE, sender=Address(AddressKind.PHONE, "+5491123456789"))

        found = lookup.find_respelled(table(*rows), WHATSAPP, message)

        assert found is not None
        assert (found.key, found.credential_ref) == (ConversationKey(CUSTOMER, "c-2"), SECRET_REF)
        assert found.active_count == 2

    def test_a_finished_conversation_is_not_found(self):
        """As by the number's own spelling."""
        finished = row(1, gsi_recipient_tel="+525512345678", task_complete=1)
        message = replace(MESSAGE, sender=Address(AddressKind.PHONE, "+5215512345678"))

        assert lookup.find_respelled(table(finished), WHATSAPP, message) is None

    @pytest.mark.parametrize(
        ("own", "of_row"),
        [
            ("ann@xn--mnchen-3ya.example", "ann@münchen.example"),
            ("ann@münchen.example", "ann@xn--mnchen-3ya.example"),
        ],
    )
    def test_a_conversation_is_found_by_the_other_spelling_of_the_e_mail_s_domain(self, own: str, of_row: str):
        """Mail programs write either, and so do companies."""
        sender, recipient = Address(AddressKind.EMAIL, own), Address(AddressKind.EMAIL, COMPANY_EMAIL)
        message = replace(MESSAGE, channel="email", sender=sender, recipient=recipient)

        found = lookup.find_respelled(table(email_conversation(gsi_recipient_email=of_row)), EMAIL, message)

        assert found is not None
        assert found.key == KEY

    @pytest.mark.parametrize("own", ["ann@customer.example", "ann@xn--.example", f"ann@{'ä' * 80}.example", "ann", "@"])
    def test_an_e_mail_with_one_spelling_is_not_asked_for_again(self, own: str):
        """No call, and nothing raised for a domain that is none."""
        rows = table(email_conversation())

        found = lookup.find_respelled(rows, EMAIL, replace(MESSAGE, sender=Address(AddressKind.EMAIL, own)))

        assert (found, rows.plan.calls) == (None, [])

    @pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
    @pytest.mark.parametrize("is_customers_respelled", [False, True], ids=["company", "both"])
    @pytest.mark.parametrize("written", [0, 1], ids=["today's", "the other"])
    def test_a_company_may_store_its_own_number_in_the_other_spelling(
        self, pair: tuple[str, str], written: int, is_customers_respelled: bool
    ):
        """In both directions, for each country; the company alone is found before its provider is proven."""
        told, stored = pair[written], pair[1 - written]
        customer = ("+525512345678", "+5215512345678") if is_customers_respelled else (CUSTOMER, CUSTOMER)
        rows = table(conversation(gsi_company_whatsapp_number=stored, gsi_recipient_tel=customer[0]))
        phone = partial(Address, AddressKind.PHONE)
        message = replace(MESSAGE, sender=phone(customer[1]), recipient=phone(told))

        company = find(rows, WHATSAPP, message)
        found = lookup.find_respelled(rows, WHATSAPP, message)

        assert company is not None
        assert (company.key, company.credential_ref) == (None, SECRET_REF)
        assert found is not None
        assert found.key == KEY

    def test_a_company_whose_number_is_found_at_once_costs_nothing_more(self):
        """Also where the number has other spellings."""
        rows = table(conversation(gsi_company_whatsapp_number="+525512345678"))
        message = replace(MESSAGE, recipient=Address(AddressKind.PHONE, "+525512345678"))

        find(rows, WHATSAPP, message)

        assert len(rows.plan.calls) == 1

    def test_a_number_with_one_spelling_is_not_asked_for_again(self):
        """No call."""
        many = table(conversation())

        found = lookup.find_respelled(many, WHATSAPP, MESSAGE)

        assert found is None
        assert many.plan.calls == []


class TestLoad:
    def test_the_webhook_reads_no_history(self):
        """A long one costs milliseconds to parse in each webhook."""
        kept = table(conversation(messages=[{"message_id": "SM0"}]))

        without = lookup.load(kept, KEY, (), with_messages=False)
        whole = lookup.load(kept, KEY, (), with_messages=True)

        assert without is not None
        assert whole is not None
        assert without.record.entries is None
        assert whole.record.entries == ({"message_id": "SM0"},)

    def test_the_company_s_own_attributes_are_read_where_a_setting_names_them(self):
        """And no others."""
        kept = table(conversation(language="de", mood="good"))

        loaded = lookup.load(kept, KEY, ("language",), with_messages=False)

        assert loaded is not None
        assert loaded.item["language"] == "de"
        assert "mood" not in loaded.item

    def test_a_conversation_that_is_gone_is_none(self):
        """The index may still name it."""
        loaded = lookup.load(table(), KEY, (), with_messages=False)

        assert loaded is None

    @pytest.mark.parametrize(
        "changes", [{"messages": "text"}, {"unanswered_ids": "SM1"}, {"conversation_version": "one"}]
    )
    def test_a_record_of_a_shape_that_we_never_write_is_our_fault(self, changes: dict):
        """Told by the attribute's name."""
        with pytest.raises(Misconfigured) as fault:
            Conversation.from_item(conversation(**changes))

        assert fault.value.code is Code.DB_QUERY_ERROR

    def test_a_conversation_shows_no_address_by_accident(self):
        """Neither does its key."""
        made = Conversation.from_item(conversation())

        assert CUSTOMER not in f"{made!r} {made.key!r} {MESSAGE!r} {MESSAGE.sender!r}"
