"""The public documents: what the code reads and sends is what `schemas/` says."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from chalicelib.channels.email.notes import Note
from chalicelib.conversations import sections
from chalicelib.errors import Rejected
from chalicelib.messages import replies
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.trigger_lock import Trigger
from tests.emails import Email
from tests.world import KEY, World, conversation, email_conversation

SCHEMAS = Path(__file__).parents[2] / "schemas"
NAMES = ("trigger", "context", "reply")

TRIGGER = {"conversation_id": "c-1", "primary_channel": "+4915112345678", "trigger_id": "t-1", "RetryAttempt": 0}

TRIGGERS = {
    "whole": TRIGGER,
    "come again": {**TRIGGER, "RetryAttempt": 6},
    "without RetryAttempt": {name: TRIGGER[name] for name in ("conversation_id", "primary_channel", "trigger_id")},
    "with more than is known": {**TRIGGER, "new": {"field": [1]}},
    "without conversation_id": {name: one for name, one in TRIGGER.items() if name != "conversation_id"},
    "without primary_channel": {name: one for name, one in TRIGGER.items() if name != "primary_channel"},
    "without trigger_id": {name: one for name, one in TRIGGER.items() if name != "trigger_id"},
    "blank conversation_id": {**TRIGGER, "conversation_id": ""},
    "blank trigger_id": {**TRIGGER, "trigger_id": ""},
    "null primary_channel": {**TRIGGER, "primary_channel": None},
    "a number for conversation_id": {**TRIGGER, "conversation_id": 7},
    "RetryAttempt below zero": {**TRIGGER, "RetryAttempt": -1},
    "RetryAttempt as text": {**TRIGGER, "RetryAttempt": "1"},
    "RetryAttempt as a fraction": {**TRIGGER, "RetryAttempt": 1.5},
    "RetryAttempt as a flag": {**TRIGGER, "RetryAttempt": True},
    "RetryAttempt null": {**TRIGGER, "RetryAttempt": None},
    "a list": [TRIGGER],
    "a text": "trigger",
    "a number": 1,
    "null": None,
    "nothing in it": {},
}

REPLY = {"conversation_id": "c-1", "primary_channel": "+4915112345678", "batch_id": "b-1", "body": "Hello"}
TEMPLATE = {name: REPLY[name] for name in ("conversation_id", "primary_channel", "batch_id")} | {"content_sid": "HX1"}
HUMAN = {name: REPLY[name] for name in ("conversation_id", "primary_channel", "body")} | {
    "source": "human",
    "reply_id": "r-1",
}

_INSTANT = "2026-01-01T00:00:00.000000+00:00"
CONTEXT_1_0 = {
    "meta": {
        "request_id": "r-1",
        "channel_type": "whatsapp",
        "timestamp": _INSTANT,
        "version": "1.0",
        "batch_id": "b-1",
        "trimmed": 0,
    },
    "conversation": {
        "conversation_id": "c-1",
        "primary_channel": "+4915112345678",
        "conversation_status": "processing_reply",
        "hand_off_to_human": False,
        "thread_id": None,
    },
    "messages": [
        {
            "from": "+4915112345678",
            "to": "+14155238886",
            "body": "Hello",
            "message_id": "SM1",
            "timestamp": _INSTANT,
            "channel_type": "whatsapp",
            "media": [],
            "extras": {},
        }
    ],
    "history": [],
    "company": {"company_id": "acme", "project_id": None, "company_name": None, "credentials_reference": None},
    "processing": {
        "validation_status": "valid",
        "ai_response": None,
        "sent_response": None,
        "processing_timestamps": {"received": _INSTANT, "validated": _INSTANT, "queued": _INSTANT},
    },
}


def schema(name: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / f"{name}.json").read_text())


def is_valid(name: str, document: object) -> bool:
    return Draft202012Validator(schema(name)).is_valid(document)


def fields(document: Any) -> Iterator[dict[str, Any]]:
    """Every field that a schema names, however deep."""
    if isinstance(document, dict):
        yield from document.get("properties", {}).values()
        for one in document.values():
            yield from fields(one)
    elif isinstance(document, list):
        for one in document:
            yield from fields(one)


def closed(document: Any) -> Any:
    """The schema with every object closed to fields that it does not name, but where it says that it is open."""
    if isinstance(document, list):
        return [closed(one) for one in document]
    if not isinstance(document, dict):
        return document
    told = {name: closed(one) for name, one in document.items()}
    return {"additionalProperties": False, **told} if "properties" in told else told


def sent(world: World) -> list[dict[str, Any]]:
    """The contexts in the AI and the handoff queue."""
    return world.take(world.queues.ai) + world.take(world.queues.handoff)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_bears_its_version_and_describes_every_field(name: str):
    """A company writes its worker against these files and one page of docs."""
    document = schema(name)

    Draft202012Validator.check_schema(document)

    version = {"context": sections.VERSION, "reply": replies.VERSION, "trigger": "1.0"}[name]
    assert document["$id"] == f"urn:replies-engine:{name}:{version}"
    assert document["title"].endswith(f"version {version}")
    assert [one for one in fields(document) if not one.get("description")] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_property_has_a_type(name: str):
    """Generators make exact types of it: a property without one would be `unknown`."""
    document = schema(name)

    untyped = [one for one in fields(document) if "type" not in one]

    assert untyped == []


@pytest.mark.parametrize("name", ["context", "reply"])
def test_a_document_of_version_1_0_is_valid(name: str):
    """A worker and an engine of either version understand each other."""
    document = {"context": CONTEXT_1_0, "reply": {**REPLY, "version": "1.0"}}[name]

    assert is_valid(name, document)


class TestTrigger:
    @pytest.mark.parametrize("attempt", [0, 3])
    def test_what_we_send_is_valid(self, attempt: int):
        """`Trigger.body` is what the schema describes, and names all of its fields."""
        trigger = Trigger(ConversationKey("+4915112345678", "c-1"), "t-1", attempt)

        document = json.loads(trigger.body)

        assert is_valid("trigger", document)
        assert set(document) == set(schema("trigger")["properties"])
        assert Trigger.from_body(trigger.body) == trigger

    @pytest.mark.parametrize("document", TRIGGERS.values(), ids=TRIGGERS.keys())
    def test_parser_and_schema_agree_on_a_document(self, document: object):
        """What the parser accepts is what the schema calls valid."""
        try:
            Trigger.from_body(json.dumps(document))
            is_accepted = True
        except Rejected:
            is_accepted = False

        assert is_accepted == is_valid("trigger", document)

    def test_what_is_no_json_is_refused(self):
        """A schema has nothing to say of it."""
        with pytest.raises(Rejected, match="a trigger is JSON"):
            Trigger.from_body("{")

    def test_json_that_is_nested_beyond_reading_is_refused(self):
        """Its parser gives up with an error of another kind."""
        with pytest.raises(Rejected, match="a trigger is JSON"):
            Trigger.from_body("[" * 100_000)


class TestContext:
    @pytest.fixture
    def contexts_sent(self) -> list[dict[str, Any]]:
        """A batch with media and extras after a company's own entries, one that carries it, and one for people."""
        entries = [{"free": "text"}, {"message_id": "old", "direction": "OUTBOUND", "content": "Welcome"}]
        row = conversation(messages=entries, language="de", tags={"a", "b"})
        world = World(None, row, context_attributes="language,tags,not_there")
        world.deliver(
            "", NumMedia="1", MediaUrl0="https://a.example/1", MediaContentType0="image/png", ProfileName="Ann"
        )
        world.clock.advance(11)
        world.work()
        world.clock.advance(400)
        world.sweep()
        world.deliver("are you there?", From="+4915112345678", To="+14155238886")
        world.clock.advance(11)
        world.work()
        world.clock.advance(700)
        world.sweep()
        world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})
        world.deliver("a person please")
        return sent(world)

    def test_what_we_send_is_valid(self, contexts_sent: list[dict[str, Any]]):
        """Batches and handoffs, with carried messages, media, extras and the company's own attributes and entries."""
        first, second, handed_off = contexts_sent

        errors = [
            error.message for one in contexts_sent for error in Draft202012Validator(schema("context")).iter_errors(one)
        ]

        assert errors == []
        assert [len(one["messages"]) for one in contexts_sent] == [1, 2, 3]
        assert first["messages"][0]["media"] == [{"url": "https://a.example/1", "content_type": "image/png"}]
        assert first["messages"][0]["extras"]["profile_name"] == "Ann"
        assert (first["conversation"]["language"], first["conversation"]["tags"]) == ("de", ["a", "b"])
        assert [one.get("carried") for one in second["messages"]] == [True, None]
        assert first["history"][0] == {"free": "text"}
        assert handed_off["meta"]["batch_id"] is None
        assert [one["body"] for one in handed_off["messages"]] == ["", "are you there?", "a person please"]

    def test_every_field_that_we_send_is_described(self, contexts_sent: list[dict[str, Any]]):
        """A field that the schema does not name would be a contract that nobody wrote."""
        strict = Draft202012Validator(closed(schema("context")))
        ours = [{**one, "history": [entry for entry in one["history"] if "free" not in entry]} for one in contexts_sent]

        errors = [error.message for one in ours for error in strict.iter_errors(one)]

        assert errors == []

    @pytest.mark.parametrize("is_raw", [False, True], ids=["parsed", "raw"])
    def test_what_an_e_mail_becomes_is_valid_and_described_name_by_name(self, is_raw: bool):
        """In the schema and on its page: extras, attachments kept and not, and notes."""
        threading = {"In-Reply-To": "<a@b>", "References": "<a@b>"}
        headers = {**threading, "Cc": "c@d", "Reply-To": "e@f", "Precedence": "list"}
        files = (("a.pdf", "application/pdf", b"%PDF"), ("b.exe", "application/x-msdownload", b"MZ"))
        world = World(None, email_conversation())
        world.deliver_email(Email(text="x" * 9_000, headers=headers, attachments=files, is_raw=is_raw))
        world.clock.advance(11)
        world.work()

        (document,) = sent(world)

        (message,) = document["messages"]
        described = schema("context")["$defs"]["message"]["properties"]["extras"]["properties"]
        page = (SCHEMAS.parent / "docs" / "email.md").read_text()
        assert [one.message for one in Draft202012Validator(closed(schema("context"))).iter_errors(document)] == []
        assert set(message["extras"]) == set(described)
        assert [name for name in described if f"`{name}`" not in page] == []
        assert [
            note for note in Note if f"| `{note}` |" not in page or note not in described["notes"]["description"]
        ] == []
        assert [set(one) for one in message["media"]] == [
            {"url", "content_type", "filename", "size_bytes"},
            {"url", "content_type", "filename", "size_bytes", "problem"},
        ]

    def test_a_trimmed_history_is_valid_and_told(self):
        """Larger than the queue takes: the oldest entries are left out, and `trimmed` counts them."""
        entries = [{"message_id": f"old-{number}", "content": "\x01" * 30_000} for number in range(10)]
        world = World(None, conversation(messages=entries), messages_keep="0")
        world.deliver()
        world.clock.advance(11)

        world.work()

        (document,) = sent(world)
        assert is_valid("context", document)
        assert document["meta"]["trimmed"] == 10 - len(document["history"]) > 0
        assert document["history"][-1]["message_id"] == "old-9"

    @pytest.mark.parametrize(
        "path",
        [
            ("meta",),
            ("meta", "batch_id"),
            ("conversation", "conversation_id"),
            ("messages",),
            ("messages", 0, "message_id"),
            ("messages", 0, "extras"),
            ("history",),
            ("company", "company_id"),
            ("processing", "processing_timestamps", "queued"),
        ],
    )
    def test_a_document_with_a_missing_field_is_not_valid(self, contexts_sent: list[dict[str, Any]], path: tuple):
        """Every field of ours is required, so a reader need not ask whether it is there."""
        document = copy.deepcopy(contexts_sent[0])
        *above, last = path
        place = document
        for name in above:
            place = place[name]

        del place[last]

        assert not is_valid("context", document)


class TestReply:
    @pytest.mark.parametrize(
        "document",
        [
            REPLY,
            {**REPLY, "source": "ai", "media_urls": ["https://a.example/1.png"]},
            TEMPLATE,
            {**TEMPLATE, "content_variables": {"1": "Ann"}},
            HUMAN,
        ],
    )
    def test_a_reply_of_the_ai_or_of_people_is_valid(self, document: dict[str, Any]):
        """A text, attachments or a template; the AI names its batch, people their reply."""
        assert is_valid("reply", document)

    @pytest.mark.parametrize(
        "document",
        [
            {name: one for name, one in REPLY.items() if name != "batch_id"},
            {name: one for name, one in REPLY.items() if name != "body"},
            {name: one for name, one in REPLY.items() if name != "conversation_id"},
            {**REPLY, "body": ""},
            {**REPLY, "media_urls": "https://a.example/1.png"},
            {**REPLY, "source": "robot"},
            {name: one for name, one in HUMAN.items() if name != "reply_id"},
        ],
    )
    def test_a_reply_that_nobody_could_send_is_not_valid(self, document: dict[str, Any]):
        """Nothing to send, or no name to know it by."""
        assert not is_valid("reply", document)

    def test_a_reply_names_its_conversation_as_the_context_does(self, world: World):
        """What an AI worker copies from one document into the other."""
        world.deliver()
        world.clock.advance(11)
        world.work()
        (document,) = sent(world)

        copied = {name: document["conversation"][name] for name in KEY.item} | {
            "batch_id": document["meta"]["batch_id"]
        }

        assert is_valid("reply", {**copied, "body": "Hello"})
