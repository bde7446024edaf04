"""The documents that the AI and people receive, and the entries that the record keeps."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import iso
from chalicelib.conversations import contexts, staged_contexts
from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages.inbound import Address, AddressKind, InboundMessage, Media
from chalicelib.ports.queues import MESSAGE_BYTES_MAX
from tests.fakes.clock import START
from tests.world import COMPANY, CUSTOMER, KEY, conversation


def message(sid: str = "SM1", **changes: Any) -> InboundMessage:
    told = {
        "message_sid": sid,
        "channel": "whatsapp",
        "account_id": "AC1",
        "sender": Address(AddressKind.PHONE, CUSTOMER),
        "recipient": Address(AddressKind.PHONE, COMPANY),
        "body": "hello",
        "received_at": START,
    }
    return InboundMessage(**{**told, **changes})


def staged(one: InboundMessage) -> dict[str, Any]:
    return staged_contexts.staged_context(one, request_id="request-1", now=START + timedelta(seconds=1))


def entry(sid: str, batch_id: str | None = "b-1", **marks: Any) -> dict[str, Any]:
    return staged_contexts.entry(staged(message(sid)), batch_id=batch_id, **marks)


def batch(*entries: dict[str, Any], unanswered: list[str], attributes: tuple[str, ...] = (), **row: Any) -> dict:
    body = contexts.batch_context(
        Conversation.from_item(conversation(messages=list(entries), unanswered_ids=unanswered, **row)),
        batch_id="b-1",
        deadline=START + timedelta(seconds=311),
        request_id="request-2",
        context_attributes=attributes,
        now=START + timedelta(seconds=11),
    )
    return json.loads(body)


class TestStagedContext:
    def test_it_holds_one_message_and_nothing_of_the_record(self):
        """What a staged row keeps: the rest is read from the record when the message is taken."""
        document = staged(message(media=(Media("https://a.example/1", "image/png"),), extras={"wa_id": "4915"}))

        assert document["messages"] == [
            {
                "from": CUSTOMER,
                "to": COMPANY,
                "body": "hello",
                "message_id": "SM1",
                "timestamp": iso(START),
                "channel_type": "whatsapp",
                "account_sid": "AC1",
                "media": [{"url": "https://a.example/1", "content_type": "image/png"}],
                "extras": {"wa_id": "4915"},
            }
        ]
        assert document.keys() == {"meta", "messages"}
        assert document["meta"]["batch_id"] is None


class TestConversation:
    def test_the_company_s_own_attributes_are_carried_where_it_has_them(self):
        """They never stand in for one of ours."""
        attributes = ("language", "not_there", "conversation_id", "thread_id")

        document = batch(entry("SM1"), unanswered=["SM1"], attributes=attributes, language="de", thread_id="thread-9")

        assert document["conversation"] == {
            **KEY.item,
            "conversation_status": "initial_message_sent",
            "hand_off_to_human": False,
            "thread_id": "thread-9",
            "language": "de",
        }


class TestEntry:
    def test_it_says_what_the_company_s_own_entries_say(self):
        """Beside the batch; media and extras stand only where there are some."""
        made = entry("SM1")

        assert made == {
            "message_id": "SM1",
            "direction": "INBOUND",
            "content": "hello",
            "timestamp": iso(START),
            "channel_type": "whatsapp",
            "metadata": {"sender": CUSTOMER, "recipient": COMPANY, "account_sid": "AC1"},
            "batch_id": "b-1",
        }

    def test_it_says_why_no_batch_takes_it(self):
        """Handed off, or refused by a rule."""
        handed_off, refused = entry("SM1", None, handed_off=True), entry("SM2", None, refused="OPTED_OUT")

        assert handed_off["handed_off"] is True
        assert refused["refused"] == "OPTED_OUT"
        assert not {"batch_id"} & (handed_off.keys() | refused.keys())

    def test_media_and_extras_reach_the_ai_by_way_of_the_record(self):
        """A batch is built from the record alone."""
        one = message(media=(Media("https://a.example/1", "image/png"),), extras={"latitude": "52.5"})
        kept = staged_contexts.entry(staged(one), batch_id="b-1")

        document = batch(kept, unanswered=["SM1"])

        told = [{name: value for name, value in one.items() if name != "provenance"} for one in document["messages"]]
        assert told == staged(one)["messages"]


class TestBatchContext:
    def test_the_batch_is_what_is_unanswered_and_the_rest_is_history(self):
        """In the order of the record; what an earlier batch held is marked."""
        entries = [entry("SM0", "b-0"), {"free": "text"}, entry("SM1", "b-0"), entry("SM2")]

        document = batch(*entries, unanswered=["SM1", "SM2"])

        assert [(one["message_id"], one.get("carried")) for one in document["messages"]] == [
            ("SM1", True),
            ("SM2", None),
        ]
        assert document["history"] == entries[:2]
        assert document["meta"] == {
            "request_id": "request-2",
            "channel_type": "whatsapp",
            "timestamp": iso(START + timedelta(seconds=11)),
            "version": "1.1",
            "batch_id": "b-1",
            "trimmed": 0,
            "deadline": iso(START + timedelta(seconds=311)),
            "actions": ["send", "none", "handoff", "extend"],
            "restarts": 0,
            "supersedes": [],
        }

    def test_the_account_that_received_a_message_is_told(self):
        """Twilio's; an entry that an earlier version wrote, and an e-mail, have none."""
        before = entry("SM1")
        del before["metadata"]["account_sid"]

        document = batch(before, entry("SM2"), unanswered=["SM1", "SM2"])

        assert [one["account_sid"] for one in document["messages"]] == [None, "AC1"]

    def test_the_same_record_makes_the_same_batch(self):
        """So a trigger that resumes after a crash sends what was sent."""
        entries = [entry("SM1"), entry("SM2")]

        first, second = (batch(*entries, unanswered=["SM1", "SM2"]) for _ in range(2))

        assert first == second

    def test_numbers_and_sets_of_the_company_s_are_told_as_json_can(self):
        """As DynamoDB returns them."""
        document = batch(
            entry("SM1"),
            unanswered=["SM1"],
            attributes=("score", "tags"),
            score=3,
            tags={"b", "a"},
            hand_off_to_human=True,
        )

        assert (document["conversation"]["score"], document["conversation"]["tags"]) == (3, ["a", "b"])
        assert document["conversation"]["hand_off_to_human"] is True

    def test_a_batch_whose_entries_are_gone_is_our_fault(self):
        """The company has taken them off the record."""
        with pytest.raises(Misconfigured) as fault:
            batch(entry("SM1"), unanswered=["SM9"])

        assert fault.value.code is Code.INTERNAL_ERROR


class TestTrimming:
    def test_the_oldest_history_is_left_out_first_and_counted(self):
        """The body with its attributes stays within what the queue takes."""
        history = [{"message_id": f"old-{number}", "content": "x" * 100_000} for number in range(12)]

        document = batch(*history, entry("SM1"), unanswered=["SM1"])

        kept = [one["message_id"] for one in document["history"]]
        assert kept == [f"old-{number}" for number in range(2, 12)]
        assert document["meta"]["trimmed"] == 2

    @pytest.mark.parametrize("letter", ["x", "é", "🌅", "\x01", '"', "\ufffe"])
    def test_whatever_the_letters_the_body_fits(self, letter: str):
        """Sizes are counted as SQS counts them: in bytes of UTF-8 of the JSON."""
        history = [{"message_id": f"old-{number}", "content": letter * 9_000} for number in range(200)]
        row = conversation(messages=[*history, entry("SM1")], unanswered_ids=["SM1"])

        body = contexts.batch_context(
            Conversation.from_item(row),
            batch_id="b-1",
            deadline=START,
            request_id="r",
            context_attributes=(),
            now=START,
        )

        trimmed = json.loads(body)["meta"]["trimmed"]
        one_more = len(json.dumps(history[0], ensure_ascii=False).encode()) * (2 if letter == "\ufffe" else 1)
        assert len(body.encode()) <= MESSAGE_BYTES_MAX
        assert trimmed == 0 or len(body.encode()) + one_more > MESSAGE_BYTES_MAX - 2_048

    def test_a_message_is_never_left_out(self):
        """A batch that is too large by itself is our fault, and told."""
        with pytest.raises(Misconfigured) as fault:
            batch(entry("SM1") | {"content": "x" * MESSAGE_BYTES_MAX}, unanswered=["SM1"])

        assert fault.value.code is Code.INTERNAL_ERROR


def test_a_handoff_holds_the_messages_and_no_batch():
    """People's side knows a message by its id."""
    row = Conversation.from_item(conversation(messages=[entry("SM0", "b-0")]))
    handed_off = entry("SM1", None, handed_off=True)

    body = contexts.handoff_context(row, [handed_off], reasons={}, request_id="r", context_attributes=(), now=START)

    document = json.loads(body)
    assert document["meta"]["batch_id"] is None
    assert [(one["message_id"], one.get("carried")) for one in document["messages"]] == [("SM1", None)]
    assert [one["message_id"] for one in document["history"]] == ["SM0"]


@pytest.mark.parametrize(
    ("messages", "channel"),
    [
        ([entry("SM0"), {**entry("SM1"), "direction": "OUTBOUND", "channel_type": "sms"}], "whatsapp"),
        ([{**entry("SM1"), "direction": "OUTBOUND", "channel_type": "sms"}], "sms"),
        ([], "unknown"),
    ],
    ids=["the customer's last", "the last to the customer", "none is left"],
)
def test_a_draft_alone_is_of_the_channel_of_the_conversation_s_last_message(messages: list[Any], channel: str):
    """The customer's messages may have moved to the history meanwhile."""
    row = Conversation.from_item(conversation(messages=messages))
    draft = contexts.Draft("what the AI says", "reply-1")

    body = contexts.handoff_context(row, (), reasons={}, request_id="r", context_attributes=(), now=START, draft=draft)

    assert json.loads(body)["meta"]["channel_type"] == channel
