"""The queue handlers, whatever comes: a malformed message is dead-lettered with a reason, its neighbours are served.

A queue's messages are other people's work too: the company's AI and its people write replies, and an operator may put
a trigger back by hand.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as some

from chalicelib.channels.channel import Vendor
from chalicelib.handlers import queues, webhooks
from chalicelib.ports.queues import fair_group
from tests.fuzz import rules
from tests.fuzz.forms import TEXTS, Form, Post
from tests.fuzz.records import world_of
from tests.world import CUSTOMER, KEY, World

FUZZ = settings.get_profile("fuzz")
CONTEXT = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 30_000)

TRIGGER = {**KEY.item, "trigger_id": "trigger-9", "RetryAttempt": 0}
REPLY = {**KEY.item, "version": "1.0", "batch_id": "batch-9", "body": "words of a reply that nobody may log"}

JSON_TEXTS = some.one_of(
    TEXTS,
    some.sampled_from(["\ud83d", "cut \udc4b off"]),
    some.text(some.characters(exclude_categories=()), max_size=6),
)
"""Lone surrogates too: JSON can spell them, and a worker that cuts a text within an emoji does."""
JSON_VALUES = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(),
    some.floats(),
    JSON_TEXTS,
    some.lists(some.integers(0, 9) | JSON_TEXTS, max_size=3),
    some.dictionaries(JSON_TEXTS, JSON_TEXTS, max_size=2),
)
OF_THE_COMPANY = {"MessageGroupId": fair_group("acme")}
GROUPS = some.one_of(some.just({}), some.builds(lambda group: {"MessageGroupId": group}, TEXTS.filter(bool)))

NO_OBJECTS = some.one_of(
    some.text(min_size=1, max_size=12).filter(lambda text: not text.lstrip().startswith("{")),
    some.sampled_from(["{", "{}", "[" * 100_000, '{"a":' * 100_000, "1" * 5_000, "NaN", "\ufeff{}", "nul"]),
    JSON_VALUES.filter(lambda value: not isinstance(value, dict)).map(json.dumps),
)
"""Bodies that are no JSON object, or an empty one."""


def broken(document: dict[str, Any], *required: str) -> some.SearchStrategy[str]:
    """Bodies of `document` of which one required field is missing, blank or no text."""
    no_texts = JSON_VALUES.filter(lambda value: not isinstance(value, str)) | some.just("")
    without = some.sampled_from(required).map(lambda name: {**document, name: None})
    wrong = some.builds(lambda name, value: {**document, name: value}, some.sampled_from(required), no_texts)
    return some.one_of(without, wrong).map(json.dumps)


def bent(document: dict[str, Any], *names: str) -> some.SearchStrategy[str]:
    """Bodies of `document` of which any fields hold anything but the customer's number, which is no id of anything."""
    changes = some.dictionaries(some.sampled_from(names) | JSON_TEXTS, JSON_VALUES, max_size=3)
    bodies = changes.map(lambda change: json.dumps({**document, **change}))
    return bodies.filter(lambda body: body.count(CUSTOMER) == 1)


BROKEN_TRIGGERS = NO_OBJECTS | broken(TRIGGER, "conversation_id", "primary_channel", "trigger_id")
BENT_TRIGGERS = bent(TRIGGER, "conversation_id", "primary_channel", "trigger_id", "RetryAttempt")
BROKEN_REPLIES = NO_OBJECTS | broken(REPLY, "conversation_id", "primary_channel", "batch_id")
REMINDER = {
    "version": "1.0",
    "source": "engine",
    "company_address": "help@acme.example",
    "sender": "stranger@customer.example",
    "message_sid": "SM9",
    "RetryAttempt": 0,
}
BENT_REMINDERS = bent({**REMINDER, "sender": CUSTOMER}, "version", "company_address", "message_sid", "RetryAttempt")
REPLY_FIELDS = (
    "version",
    "source",
    "reply_id",
    "batch_id",
    "body",
    "content_sid",
    "content_variables",
    "media_urls",
    "RetryAttempt",
)


def records(bodies: list[str], group: dict[str, str]) -> dict[str, Any]:
    """An SQS event."""
    return {"Records": [{"body": body, "attributes": group} for body in bodies]}


def with_message() -> World:
    """A deployment in which a burst of one message waits for its batch."""
    world = world_of([])
    webhooks.receive_message(Post(Form("whatsapp_text").body).request(CONTEXT), Vendor.TWILIO, world.engine)
    world.clock.advance(world.settings.batch_window_seconds + 1)
    return world


def with_batch() -> tuple[World, dict[str, Any]]:
    """A deployment whose batch is with the AI, and what the AI received."""
    world = with_message()
    world.work()
    (context,) = world.take(world.queues.ai)
    return world, context


def holds_every_rule(world: World) -> None:
    """The rules of every handler."""
    rules.nothing_surprised_us(world)
    rules.no_retry_is_asked_for(world)
    rules.nothing_personal_is_told(world, {CUSTOMER, REPLY["body"]})


class TestTriggers:
    @FUZZ
    @given(bodies=some.lists(BROKEN_TRIGGERS, min_size=1, max_size=4), group=GROUPS, place=some.integers(0, 4))
    @example(bodies=["[" * 100_000], group={}, place=1)  # dead-lettered with a reason: too deep for the parser
    def test_what_is_no_trigger_is_dead_lettered_and_its_neighbour_served(self, bodies, group, place):
        """Each with a reason and as it came; the good one among them makes its batch."""
        world = with_message()
        (good,) = [message.body for message in world.queues.triggers["whatsapp"].messages]

        queues.process_triggers(
            records([*bodies[:place], good, *bodies[place:]], group), CONTEXT, "whatsapp", world.engine
        )

        dead = world.queues.dead_triggers["whatsapp"].messages
        assert [message.body for message in dead] == bodies
        assert all(message.reason for message in dead)
        assert [len(context["messages"]) for context in world.take(world.queues.ai)] == [1]
        holds_every_rule(world)

    @FUZZ
    @given(bodies=some.lists(BENT_TRIGGERS, min_size=1, max_size=4), group=GROUPS)
    def test_any_trigger_ends_by_a_name(self, bodies, group):
        """A trigger of nothing, of another conversation, of a wild attempt: no bug, and what is staged is safe."""
        world = with_message()
        staged = set(world.staged_ids)

        queues.process_triggers(records(bodies, group), CONTEXT, "whatsapp", world.engine)

        holds_every_rule(world)
        assert staged <= rules.kept_ids(world)


class TestReplies:
    @FUZZ
    @given(bodies=some.lists(BROKEN_REPLIES, min_size=1, max_size=4), group=GROUPS, place=some.integers(0, 4))
    @example(bodies=["[" * 100_000], group={}, place=1)  # dead-lettered with a reason: too deep for the parser
    def test_what_is_no_reply_is_dead_lettered_and_its_neighbour_sent(self, bodies, group, place):
        """Each with a reason and as it came; the good one among them reaches the customer, once."""
        world, context = with_batch()
        good = json.dumps({**REPLY, "batch_id": context["meta"]["batch_id"]})

        event = records([*bodies[:place], good, *bodies[place:]], group)
        event["Records"][min(place, len(bodies))]["attributes"] = OF_THE_COMPANY
        queues.process_replies(event, CONTEXT, world.engine)

        dead = world.queues.dead_replies.messages
        assert [message.body for message in dead] == bodies
        assert all(message.reason for message in dead)
        assert world.phone.texts == [REPLY["body"]]
        assert world.row["conversation_status"] == "ai_response_sent"
        holds_every_rule(world)

    @FUZZ
    @given(body=bent(REPLY, *REPLY_FIELDS), group=GROUPS, is_of_batch=some.booleans())
    def test_any_reply_ends_by_a_name(self, body, group, is_of_batch):
        """Sent, dead-lettered, refused or to come again, each told by its own name; nothing is left half done."""
        world, context = with_batch()
        if is_of_batch:
            body = body.replace("batch-9", context["meta"]["batch_id"])

        queues.process_replies(records([body], group), CONTEXT, world.engine)

        holds_every_rule(world)
        told = {line["step"] for line in world.telemetry.lines}
        assert told & {"sent", "reply_refused", "dead_letter", "requeued", "released"}
        sent = [entry for entry in world.row["messages"] if entry["direction"] == "OUTBOUND"]
        assert len(sent) == len(world.phone.received)


class TestReminders:
    @FUZZ
    @given(body=BENT_REMINDERS, group=GROUPS)
    @example(body=json.dumps({**REMINDER, "RetryAttempt": 10**6}), group={})  # given up: there is no row to be dropped
    def test_any_reminder_of_a_row_that_is_not_there_ends_in_nothing(self, body, group):
        """U5: dead-lettered or done with; nothing is sent and nothing written."""
        world = with_message()
        staged = set(world.staged_ids)

        queues.process_replies(records([body], group), CONTEXT, world.engine)

        holds_every_rule(world)
        assert world.phone.received == []
        assert world.tables.unknown_senders.rows == []
        assert staged <= rules.kept_ids(world)
