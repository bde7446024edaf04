"""Catching up: what a fault of ours dropped comes back, once, in order, through the same rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from chalicelib.channels.channel import Vendor
from chalicelib.channels.connections import Connections
from chalicelib.channels.twilio.sending import TwilioSender
from chalicelib.clock import SystemClock
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages.inbound import Address, AddressKind, InboundMessage, OptOut
from local.stubs.twilio import Account, Fault, Kind, TwilioStub
from ops.repairs.catching_up import Caught, Result, catch_up
from ops.repairs.dry_run import dry_run_of
from ops.tenants import twilio_messages
from tests.fakes.clock import START
from tests.fakes.faults import Fault as CallFault
from tests.fakes.faults import FaultPlan
from tests.world import ACCOUNT_SID, AUTH_TOKEN, COMPANY, CUSTOMER, KEY, SECRET_REF, World, conversation

SIDS = [f"SM{number:032x}" for number in range(100, 110)]


def message(sid: str = SIDS[0], *, minutes_ago: float = 60, body: str = "hello", **changes) -> InboundMessage:
    told = {
        "message_sid": sid,
        "channel": "whatsapp",
        "account_id": ACCOUNT_SID,
        "sender": Address(AddressKind.PHONE, CUSTOMER),
        "recipient": Address(AddressKind.PHONE, COMPANY),
        "body": body,
        "received_at": START - timedelta(minutes=minutes_ago),
    }
    return InboundMessage(**{**told, **changes})


def caught(world: World, *messages: InboundMessage) -> list[tuple[Result, Code | None]]:
    return [(one.result, one.code) for one in catch_up(world.engine, messages)]


def test_what_is_missing_comes_back_in_order_and_becomes_one_batch(world: World):
    """With the times at which it was written."""
    messages = [message(SIDS[number], minutes_ago=60 - number, body=f"{number}") for number in range(3)]

    assert caught(world, *messages) == [(Result.TAKEN, None)] * 3

    world.clock.advance(11)
    world.work()
    (document,) = world.take(world.queues.ai)
    assert [one["body"] for one in document["messages"]] == ["0", "1", "2"]
    assert [one["timestamp"] for one in document["messages"]] == [
        one.received_at.isoformat(timespec="microseconds") for one in messages
    ]


def test_to_repeat_takes_nothing_in_again(world: World):
    """Neither while it is staged, nor with the AI, nor answered."""
    taken = message()
    caught(world, taken)
    again = [caught(world, taken)]
    document = world.burst_with_ai()
    again.append(caught(world, taken))
    world.reply(document, "answer")
    world.send_replies()
    again.append(caught(world, taken))

    assert again == [[(Result.KNOWN, None)]] * 3
    assert world.entry_ids.count(SIDS[0]) == 1


def test_what_was_moved_to_the_history_is_known(world: World):
    """Months later too."""
    world.tables.history.put({**KEY.item, "message_id": SIDS[0], "entry": {}})

    assert caught(world, message()) == [(Result.KNOWN, None)]


def test_what_an_ended_conversation_holds_is_known():
    """A new task between the same two addresses must not get the old one's messages."""
    old = conversation(conversation_id="ended", task_complete=1, messages=[{"message_id": SIDS[0]}])
    world = World(None, conversation(), old)

    assert caught(world, message()) == [(Result.KNOWN, None)]


def test_what_is_older_than_its_conversation_is_left_alone():
    """It was written to nobody that is known now."""
    world = World(None, conversation(created_at=(START - timedelta(minutes=5)).isoformat()))

    assert caught(world, message()) == [(Result.TOO_OLD, None)]
    assert world.staged_ids == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"project_status": "inactive"}, Code.PROJECT_INACTIVE),
        ({"allowed_channels": ["sms"]}, Code.CHANNEL_NOT_ALLOWED),
        ({"task_complete": 1}, Code.CONVERSATION_NOT_FOUND),
    ],
)
def test_what_a_rule_refuses_is_refused_here_too(changes: dict, code: Code):
    """There is one stage 1."""
    world = World(None, conversation(**changes))

    assert caught(world, message()) == [(Result.REFUSED, code)]
    assert world.staged_ids == []


def test_what_goes_to_people_is_handed_off_at_once():
    """By the same routing."""
    world = World(None, conversation(auto_queue_reply_message=True))

    assert caught(world, message()) == [(Result.TAKEN, None)]

    world.take_handoffs()
    assert world.with_people == [SIDS[0]]


def test_a_fault_is_told_and_the_next_run_mends_it():
    """The others are taken in all the same."""
    clean = World()
    caught(clean, message())
    stage = next(number for number, call in enumerate(clean.plan.calls, start=1) if call.operation == "PutItem")
    world = World(FaultPlan({stage: CallFault.THROTTLED}))
    messages = [message(SIDS[0], minutes_ago=9), message(SIDS[1], minutes_ago=8)]

    first, second = caught(world, *messages), caught(world, *messages)

    assert first == [(Result.FAILED, Code.STAGE_WRITE_ERROR), (Result.TAKEN, None)]
    assert second == [(Result.TAKEN, None), (Result.KNOWN, None)]


class TestWishes:
    def wish(self, kind: OptOut, sid: str, *, minutes_ago: float) -> InboundMessage:
        return message(sid, minutes_ago=minutes_ago, body=kind.value, opt_out=kind)

    def test_a_stop_that_was_dropped_is_heard(self, world: World):
        """Nothing is sent from then on."""
        assert caught(world, self.wish(OptOut.STOP, SIDS[0], minutes_ago=5)) == [(Result.TAKEN, Code.OPTED_OUT)]
        assert world.row["opted_out_channels"] == ["whatsapp"]

    def test_a_stop_that_a_later_start_has_overtaken_is_left_alone(self, world: World):
        """The customer wants messages now, and we did not know that they had not."""
        world.deliver("START", OptOutType="START")
        world.run(60)

        assert caught(world, self.wish(OptOut.STOP, SIDS[0], minutes_ago=5)) == [(Result.OVERTAKEN, None)]
        assert "opted_out_channels" not in world.row

    def test_a_stop_and_a_start_that_were_both_dropped_are_heard_in_order(self, world: World):
        """The last one stands."""
        wishes = [
            self.wish(OptOut.STOP, SIDS[0], minutes_ago=5),
            self.wish(OptOut.START, SIDS[1], minutes_ago=4),
        ]

        assert [result for result, _ in caught(world, *wishes)] == [Result.TAKEN, Result.TAKEN]
        world.run(60)
        assert [entry["opt_out"] for entry in world.row["messages"]] == ["STOP", "START"]
        assert world.row["opted_out_channels"] == []


class TestRehearsal:
    def test_a_dry_run_tells_the_same_and_changes_nothing(self, world: World):
        """No row, no message, even of an engine at work; the run after it does what it told."""
        messages = [message(SIDS[0]), message(SIDS[1], minutes_ago=50)]
        world.engine.receiving(Vendor.TWILIO)
        world.engine = dry_run_of(world.engine)

        told = caught(world, *messages)

        assert told == [(Result.TAKEN, None)] * 2
        assert (world.staged_ids, world.is_silent) == ([], True)
        assert all(call.kind == "read" for call in world.plan.calls)
        world.engine = world._engine()
        assert caught(world, *messages) == told

    @pytest.mark.parametrize("changes", [{"auto_queue_reply_message": True}, {"project_status": "inactive"}, {}])
    def test_no_way_through_stage_1_writes_in_a_dry_run(self, changes: dict):
        """Neither a handoff, nor a refusal, nor a wish."""
        world = World(None, conversation(**changes))
        world.engine = dry_run_of(world.engine)

        caught(world, message(), message(SIDS[1], minutes_ago=2, opt_out=OptOut.STOP))

        assert all(call.kind == "read" for call in world.plan.calls)
        assert world.is_silent


class TestTwilioSList:
    @pytest.fixture
    def twilio(self) -> Iterator[TwilioStub]:
        with TwilioStub([Account(ACCOUNT_SID, AUTH_TOKEN)]) as running:
            yield running

    def inbound(
        self,
        twilio: TwilioStub,
        world: World,
        since: datetime = START - timedelta(hours=6),
        address: str = COMPANY,
    ):
        sender = TwilioSender(
            connect_seconds=2, read_seconds=5, base_url=twilio.url, connections=Connections(SystemClock())
        )
        vars(world.engine)["senders"] = dict.fromkeys(("whatsapp", "sms"), sender)
        channel = world.engine.channels["whatsapp"]
        return twilio_messages.inbound(world.engine, channel, address, world.secrets.texts[SECRET_REF], since)

    def take_in(self, twilio: TwilioStub, sid: str, *, minutes_ago: float = 60, **told):
        parts = {"to": f"whatsapp:{COMPANY}", "sender": f"whatsapp:{CUSTOMER}", "body": "hello", **told}
        twilio.take_in(ACCOUNT_SID, sid=sid, created_at=START - timedelta(minutes=minutes_ago), **parts)

    def test_messages_are_read_as_the_webhook_would_have_read_them(self, twilio: TwilioStub, world: World):
        """By the official library, and with the time at which Twilio got them."""
        self.take_in(twilio, SIDS[0], body="Grüße 👋")

        (found,) = self.inbound(twilio, world)

        assert (found.message_sid, found.channel, found.body) == (SIDS[0], "whatsapp", "Grüße 👋")
        assert (found.sender.value, found.recipient.value, found.account_id) == (CUSTOMER, COMPANY, ACCOUNT_SID)
        assert found.received_at == START - timedelta(minutes=60)

    def test_the_oldest_comes_first_and_no_two_at_the_same_instant(self, twilio: TwilioStub, world: World):
        """Twilio tells whole seconds; the order of its list decides among those of one."""
        for sid in SIDS[:3]:
            self.take_in(twilio, sid)
        self.take_in(twilio, SIDS[3], minutes_ago=90)

        found = self.inbound(twilio, world)

        assert [one.message_sid for one in found] == [SIDS[3], *SIDS[:3]]
        assert len({one.received_at for one in found}) == 4

    def test_only_what_customers_wrote_to_the_address_since_then_is_listed(self, twilio: TwilioStub, world: World):
        """Neither our own messages, nor another channel's, nor older ones."""
        self.take_in(twilio, SIDS[0])
        self.take_in(twilio, SIDS[1], to=COMPANY, sender=CUSTOMER)
        self.take_in(twilio, SIDS[2], minutes_ago=60 * 7)
        twilio.create(ACCOUNT_SID, {"To": [f"whatsapp:{COMPANY}"], "From": [f"whatsapp:{CUSTOMER}"], "Body": ["ours"]})

        assert [one.message_sid for one in self.inbound(twilio, world)] == [SIDS[0]]

    def test_media_are_listed_with_the_urls_that_a_webhook_tells(self, twilio: TwilioStub, world: World):
        """Below the message, at Twilio's own API."""
        self.take_in(twilio, SIDS[0], media_urls=("https://example.com/a.jpg", "https://example.com/b.jpg"))

        (found,) = self.inbound(twilio, world)

        base = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{SIDS[0]}/Media/ME"
        assert [one.url for one in found.media] == [f"{base}{0:032x}", f"{base}{1:032x}"]
        assert {one.content_type for one in found.media} == {"image/jpeg"}

    @pytest.mark.parametrize("stored", ["+525512345678", "+5215512345678"])
    def test_a_company_s_number_is_listed_in_each_spelling(self, twilio: TwilioStub, world: World, stored: str):
        """The row may have the one that Twilio does not use."""
        self.take_in(twilio, SIDS[0], to="whatsapp:+525512345678")
        self.take_in(twilio, SIDS[1], to="whatsapp:+5215512345678", minutes_ago=30)

        found = self.inbound(twilio, world, address=stored)

        assert [one.message_sid for one in found] == SIDS[:2]

    def test_a_long_list_is_read_to_its_end(self, twilio: TwilioStub, world: World):
        """Page by page."""
        for number in range(1_005):
            self.take_in(twilio, f"SM{number:032x}", minutes_ago=60)

        assert len(self.inbound(twilio, world)) == 1_005

    def test_credentials_that_twilio_does_not_take_are_told(self, twilio: TwilioStub, world: World):
        """The secret is fixed, not the list."""
        world.secrets.texts[SECRET_REF] = world.secrets.texts[SECRET_REF].replace(AUTH_TOKEN, "another")

        with pytest.raises(Misconfigured, match="Twilio answered 20003"):
            self.inbound(twilio, world)

    def test_a_list_that_fails_is_told_and_nothing_is_taken_in(self, twilio: TwilioStub, world: World):
        """Half a list would be fed in no order."""
        twilio.fail_next(Fault(kind=Kind.SERVER_ERROR, is_of_list=True))

        with pytest.raises(Exception, match="Twilio cannot be asked"):
            self.inbound(twilio, world)


def test_a_caught_message_shows_nothing_of_itself():
    """It may be logged by accident."""
    shown = repr(Caught(message(body="my diagnosis"), Result.TAKEN))

    assert "diagnosis" not in shown
    assert CUSTOMER not in shown
