"""Where a message goes: to its channel's batches, or to people."""

from __future__ import annotations

import pytest

from chalicelib.clock import iso
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import merge
from chalicelib.conversations.routing import Refusal, Route, Routing, destination, determine_target_queue
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages.inbound import Address
from tests.emails import CUSTOMER_EMAIL
from tests.fakes.clock import START
from tests.world import CUSTOMER, conversation, settings_of


def routing(*, flag_routes: bool = False, **settings: str) -> Routing:
    made = settings_of(tuple(settings.items()))
    return Routing(flag_routes, lambda channel: merge(made, None, channel).policy, START)


def route(*, sender: str = CUSTOMER, flag_routes: bool = False, **changes) -> Route:
    made = Conversation.from_item(conversation(**changes))
    return determine_target_queue(made, "whatsapp", Address.from_text(sender), {}, routing(flag_routes=flag_routes))


def test_a_message_goes_to_its_channel():
    """Where nothing says otherwise."""
    assert route() is Route.CHANNEL


def test_a_conversation_that_queues_every_reply_goes_to_people():
    """The company's own switch."""
    assert route(auto_queue_reply_message=True) is Route.HANDOFF


@pytest.mark.parametrize(
    "listed",
    [
        [CUSTOMER],
        {CUSTOMER, "+1"},
        CUSTOMER,
        [f"whatsapp:{CUSTOMER}"],
        ["+49 151 1234 5678"],
        ["+1", f" WhatsApp: {CUSTOMER} "],
        ["+49-151-12345678"],
        ["0049 151 12345678"],
        ["+49 (0)151 12345678"],
    ],
)
def test_a_sender_on_the_list_goes_to_people(listed):
    """However the company wrote the number: as a list, a set or a text, with a prefix, blanks, hyphens, two noughts."""
    assert route(auto_queue_reply_message_from_number=listed) is Route.HANDOFF


@pytest.mark.parametrize(
    ("sender", "listed"),
    [
        ("+5215512345678", "+525512345678"),
        ("+525512345678", "+52 1 55 1234 5678"),
        ("+554188887777", "+55 41 98888-7777"),
        ("+5491123456789", "+54 11 15 2345-6789"),
        ("US.13491208655302741918", "whatsapp:us.13491208655302741918"),
    ],
)
def test_a_sender_is_on_the_list_by_any_spelling_of_the_number(sender: str, listed: str):
    """WhatsApp spells some countries' numbers otherwise than the company's own lists."""
    assert route(sender=sender, auto_queue_reply_message_from_number=[listed]) is Route.HANDOFF


@pytest.mark.parametrize("listed", [[], "", None, ["+4915112345679"], [CUSTOMER[1:]], ["4915112345678"]])
def test_a_sender_not_on_the_list_goes_to_the_channel(listed):
    """A number is the whole number."""
    changes = {} if listed is None else {"auto_queue_reply_message_from_number": listed}

    assert route(**changes) is Route.CHANNEL


def test_the_list_for_an_address_s_own_kind_counts():
    """E-mail addresses are compared in lower case, and never with the list of numbers."""
    lists = {"auto_queue_reply_message_from_email": ["Ann@Example.com"], "auto_queue_reply_message_from_number": []}

    routes = route(sender="ann@example.com", **lists), route(sender=CUSTOMER, **lists)

    assert routes == (Route.HANDOFF, Route.CHANNEL)


@pytest.mark.parametrize(("flag_routes", "expected"), [(True, Route.HANDOFF), (False, Route.CHANNEL)])
def test_the_flag_routes_only_where_a_setting_says_so(flag_routes: bool, expected: Route):
    """The owner's papers keep it off."""
    assert route(hand_off_to_human=True, flag_routes=flag_routes) is expected


@pytest.mark.parametrize("listed", [7, [CUSTOMER, 7], {"number": CUSTOMER}, True])
def test_a_list_that_is_none_is_our_fault(listed):
    """It is told by its kind of address, without what stands in it."""
    with pytest.raises(Misconfigured) as fault:
        route(auto_queue_reply_message_from_number=listed)

    assert fault.value.code is Code.ROUTING_ERROR
    assert fault.value.detail == "the auto-queue list for phone addresses is no list of texts"


class TestAnswersPerHour:
    ANSWERS = tuple(
        {"direction": "OUTBOUND", "source": "ai", "batch_id": str(one), "timestamp": iso(START)} for one in range(3)
    )

    def of(self, sender: str, answers_max: str, **changes) -> Route | Refusal:
        made = Conversation.from_item(conversation(messages=list(self.ANSWERS), **changes))
        return destination(made, "sms", sender, {}, routing(automatic_answers_per_hour=answers_max))

    @pytest.mark.parametrize(("answers_max", "expected"), [("4", Route.CHANNEL), ("3", Route.HANDOFF)])
    def test_an_e_mail_goes_to_people_once_the_ai_has_answered_enough(self, answers_max: str, expected: Route):
        """A machine that does not say that it is one would be answered without end."""
        assert self.of(CUSTOMER_EMAIL, answers_max) is expected

    def test_a_phone_s_message_has_no_such_bound(self):
        """People chat, and no machine answers there unasked."""
        assert self.of(CUSTOMER, "0") is Route.CHANNEL

    def test_a_rule_refuses_all_the_same(self):
        """People do not get what the company wants from nobody."""
        assert isinstance(self.of(CUSTOMER_EMAIL, "0", project_status="paused"), Refusal)
