"""The states that the earlier code leaves rows and messages in, each made by running that code up to there.

A state is a function: it plays the earlier world, and stops it by a crash where the state is one between two calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.upgrade.previous import Previous, crashing

STATES: dict[str, Callable[[Stand], None]] = {}

TWO_PARTS = f"{'first ' * 250}{'second ' * 200}".strip()
"""A reply that becomes two messages."""


@dataclass
class Stand:
    """An earlier world under way, and the code that it came from."""

    previous: Previous
    world: Any

    def crash(self, operation: str, resource: str, *, before: bool = False) -> None:
        """Let the process die at its next such call, after it or before it."""
        crashing(
            self.world,
            self.previous.faults,
            lambda call: call.operation == operation and resource in call.resource,
            before=before,
        )

    def company(self, **changes: Any) -> None:
        """Let the company's own systems set attributes of the conversation."""
        self.world.tables.conversations.seed({**self.world.row, **changes})

    def with_ai(self, *bodies: str) -> dict[str, Any]:
        """A batch is with the AI; what it received."""
        for body in bodies or ("one", "two"):
            self.world.deliver(body)
        self.world.clock.advance(11)
        self.world.work()
        (document,) = self.world.take(self.world.queues.ai)
        return document

    def answering(self, *outcomes: Any, body: str = "answer") -> dict[str, Any]:
        """The AI has replied, and the provider will answer the sends like this."""
        document = self.with_ai()
        self.world.reply(document, body)
        self.world.phone.outcomes = list(outcomes)
        return document

    def outcome(self, name: str, *arguments: Any) -> Any:
        """What the provider answers a send with, in the earlier code's words."""
        return getattr(self.previous.world, name)(*arguments)


def state(build: Callable[[Stand], None]) -> Callable[[Stand], None]:
    """Register a state under its function's name."""
    STATES[build.__name__] = build
    return build


@state
def staged_for_ai(stand: Stand) -> None:
    """Two messages are staged, and their trigger waits with its lock."""
    stand.world.deliver("one")
    stand.world.deliver("two")


@state
def staged_with_lock_and_no_trigger(stand: Stand) -> None:
    """The process died between the trigger lock and its trigger."""
    stand.crash("PutItem", "trigger-lock")
    _posted(stand, "one")


@state
def staged_for_people(stand: Stand) -> None:
    """A message of the handoff route is staged, and people were sent nothing."""
    stand.company(hand_off_to_human=True)
    stand.crash("SendMessage", "human-handoff", before=True)
    _posted(stand, "one")


@state
def with_people_and_staged(stand: Stand) -> None:
    """People were sent a message, and it is neither in the record nor settled."""
    stand.company(hand_off_to_human=True)
    stand.crash("SendMessage", "human-handoff")
    _posted(stand, "one")


@state
def with_people_in_record_and_staged(stand: Stand) -> None:
    """People were sent a message and the record has it; its row is there still."""
    stand.company(hand_off_to_human=True)
    stand.crash("BatchWriteItem", "stage", before=True)
    _posted(stand, "one")


@state
def staged_for_people_behind_ai(stand: Stand) -> None:
    """One message waits for its window, then the company switches to people, and the next one is staged for them."""
    stand.world.deliver("one")
    stand.company(hand_off_to_human=True)
    stand.crash("SendMessage", "human-handoff", before=True)
    _posted(stand, "two")


@state
def staged_after_move(stand: Stand) -> None:
    """The record has moved entries to the history; a new message and a retry of a moved one are staged."""
    world = stand.world
    first = world.deliver("one")
    world.run(60)
    for number in range(4):
        world.clock.advance(3_600 * 25)
        world.deliver(f"message {number}")
        world.run(60)
    assert "messages_moved_before" in world.row, "entries were moved"
    assert first not in world.entry_ids, "the first is in the history"
    world.deliver("new")
    world.deliver("one", sid=first)


@state
def acquired(stand: Stand) -> None:
    """The lock is taken, and nothing was dispatched."""
    stand.world.deliver("one")
    stand.world.clock.advance(11)
    stand.crash("SendMessage", "-ai", before=True)
    stand.world.work()


@state
def dispatched_and_staged(stand: Stand) -> None:
    """The AI was sent a batch whose rows are not settled."""
    stand.world.deliver("one")
    stand.world.clock.advance(11)
    stand.crash("SendMessage", "-ai")
    stand.world.work()


@state
def with_ai(stand: Stand) -> None:
    """A batch is in the AI's queue, and a later message waits behind its lock."""
    stand.world.deliver("one")
    stand.world.clock.advance(11)
    stand.world.work()
    stand.world.deliver("two")


@state
def contended(stand: Stand) -> None:
    """A trigger met another batch's lock and comes again: its message has a `RetryAttempt`."""
    stand.with_ai("one")
    stand.world.deliver("two")
    stand.world.clock.advance(11)
    stand.world.work()


@state
def stalled(stand: Stand) -> None:
    """The AI never answered; the lock is older than the stall timeout."""
    stand.with_ai()
    stand.world.clock.advance(400)


@state
def reply_waits(stand: Stand) -> None:
    """A reply is in its queue, and nothing of it was done."""
    stand.answering()


@state
def reply_postponed(stand: Stand) -> None:
    """The provider took nothing for the moment; the reply comes again with a `RetryAttempt`."""
    stand.answering(stand.outcome("NotNow", "429"))
    stand.world.send_replies()


@state
def reply_claimed(stand: Stand) -> None:
    """A reply has claimed the batch, and no part."""
    stand.answering()
    stand.crash("PutItem", "sends", before=True)
    stand.world.send_replies()


@state
def part_claimed(stand: Stand) -> None:
    """A part is claimed, and the provider was never asked."""
    stand.answering()
    stand.crash("CreateMessage", "twilio", before=True)
    stand.world.send_replies()


@state
def part_sent_and_unknown_to_us(stand: Stand) -> None:
    """The provider sent a part whose row still says that it is claimed."""
    stand.answering()
    stand.crash("CreateMessage", "twilio")
    stand.world.send_replies()


@state
def part_sent(stand: Stand) -> None:
    """A part is sent and its row says so; the record is claimed."""
    stand.answering()
    stand.crash("UpdateItem", "sends")
    stand.world.send_replies()


@state
def part_refused(stand: Stand) -> None:
    """The provider refused a part for good; the record is claimed."""
    stand.answering(stand.outcome("RefusedForGood", "21211"))
    stand.crash("UpdateItem", "sends")
    stand.world.send_replies()


@state
def part_unknown(stand: Stand) -> None:
    """The provider's answer was lost; the reply comes again to look the part up."""
    stand.answering(stand.outcome("InDoubt"))
    stand.world.send_replies()


@state
def first_part_sent(stand: Stand) -> None:
    """One of two parts is sent, the other was taken for later: the claim is paused."""
    world = stand.previous.world
    stand.answering(world.DELIVER, stand.outcome("NotNow", "429"), body=TWO_PARTS)
    stand.world.send_replies()


@state
def reply_of_people_half_sent(stand: Stand) -> None:
    """One of two parts of a person's reply is sent, the other was taken for later."""
    world = stand.previous.world
    document = stand.with_ai()
    stand.world.reply(document, "answer")
    stand.world.send_replies()
    stand.world.phone.outcomes = [world.DELIVER, stand.outcome("NotNow", "429")]
    stand.world.reply(document, TWO_PARTS, source="human", reply_id="person-1")
    stand.world.send_replies()


@state
def reply_given_up(stand: Stand) -> None:
    """A claimed reply stalled and counts as answered with unknown outcome; its message comes again."""
    part_claimed(stand)
    stand.world.clock.advance(400)
    _hide_replies(stand, 600)
    stand.world.sweep()


@state
def reply_given_up_and_sent(stand: Stand) -> None:
    """The same, of a reply that the provider sent."""
    part_sent_and_unknown_to_us(stand)
    stand.world.clock.advance(400)
    _hide_replies(stand, 600)
    stand.world.sweep()


@state
def claimed_for_people(stand: Stand) -> None:
    """A stalled batch is claimed for people, who were sent nothing."""
    stand.with_ai()
    stand.world.clock.advance(400)
    stand.crash("SendMessage", "human-handoff", before=True)
    stand.world.sweep()


@state
def claimed_for_people_and_sent(stand: Stand) -> None:
    """A stalled batch is claimed for people, who were sent it; the record does not know."""
    stand.with_ai()
    stand.world.clock.advance(400)
    stand.crash("SendMessage", "human-handoff")
    stand.world.sweep()


@state
def ended_with_people(stand: Stand) -> None:
    """People got a stalled batch; the AI's late reply comes now."""
    document = stand.with_ai()
    stand.world.clock.advance(400)
    stand.world.sweep()
    stand.world.reply(document, "late answer")


@state
def timed_out(stand: Stand) -> None:
    """A stalled lock was opened; the batch is unanswered, and the customer writes once more."""
    stand.with_ai()
    stand.world.clock.advance(400)
    stand.world.sweep()
    stand.world.deliver("three")


@state
def timed_out_and_answered_late(stand: Stand) -> None:
    """A stalled lock was opened; the AI's late reply comes now."""
    document = stand.with_ai()
    stand.world.clock.advance(400)
    stand.world.sweep()
    stand.world.reply(document, "late answer")


@state
def timed_out_at_rest(stand: Stand) -> None:
    """A stalled lock was opened; nobody answers, and the customer writes no more."""
    stand.with_ai()
    stand.world.clock.advance(400)
    stand.world.sweep()


@state
def abandoned(stand: Stand) -> None:
    """A lock was given back before anything was dispatched; the trigger comes again."""
    contexts: Any = __import__("previous_chalicelib.contexts", fromlist=["contexts"])
    whole = contexts.batch_context

    def failing(*_: Any, **__: Any) -> str:
        raise ValueError("a defect")

    stand.world.deliver("one")
    stand.world.clock.advance(11)
    contexts.batch_context = failing
    stand.world.work()
    contexts.batch_context = whole
    assert stand.world.row["conversation_status"] == "processing_error"


@state
def opted_out(stand: Stand) -> None:
    """The customer said STOP while a message of theirs was staged."""
    stand.world.deliver("one")
    stand.world.deliver("STOP", OptOutType="STOP")


@state
def opted_out_with_reply(stand: Stand) -> None:
    """The customer said STOP while the AI's reply waits."""
    stand.answering()
    stand.world.deliver("STOP", OptOutType="STOP")


@state
def opted_in_again(stand: Stand) -> None:
    """The customer said STOP, then START, then wrote."""
    stand.world.deliver("STOP", OptOutType="STOP")
    stand.world.deliver("START", OptOutType="START")
    stand.world.deliver("one")


@state
def locked_by_company(stand: Stand) -> None:
    """Another system set the lock, without a start, and a message waits behind it."""
    stand.company(conversation_status="processing_reply")
    stand.world.deliver("one")


@state
def locked_by_company_and_stamped(stand: Stand) -> None:
    """The same, after a trigger gave that lock a start."""
    locked_by_company(stand)
    stand.world.clock.advance(11)
    stand.world.work()
    assert "processing_started_at" in stand.world.row


@state
def status_overwritten(stand: Stand) -> None:
    """Another system wrote a status of its own while a batch is with the AI, which never answers."""
    stand.with_ai()
    stand.company(conversation_status="in_review")


@state
def undelivered(stand: Stand) -> None:
    """The provider reported that a sent reply was not delivered."""
    stand.answering()
    stand.world.send_replies()
    (row,) = stand.world.sends
    stand.world.report(row["send_id"], "undelivered", MessageSid=row["provider_sid"], ErrorCode="63016")


@state
def trigger_dead_lettered(stand: Stand) -> None:
    """A trigger met a lock too often and is dead-lettered; its message is staged."""
    stand.company(conversation_status="processing_reply", processing_started_at="2026-01-31T18:30:00.000000+00:00")
    stand.world.deliver("one")
    for _ in range(40):
        stand.world.clock.advance(30)
        stand.world.work()
    assert stand.world.dead, "the trigger is dead-lettered"


@state
def staged_email(stand: Stand) -> None:
    """An e-mail with an attachment is staged."""
    photo = ("photo.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(64))
    email = stand.previous.emails.Email(message_id="<one@customer.example>", attachments=(photo,))
    stand.world.post_email(email)
    assert stand.world.staged_ids, "it is staged"


@state
def fallback_waits(stand: Stand) -> None:
    """An unknown sender of an e-mail is to be sent a text, which waits in the row."""
    email = stand.previous.emails.Email
    stand.world.post_email(email(sender="stranger@customer.example"))
    assert stand.world.tables.unknown_senders.rows, "a row waits"


def _posted(stand: Stand, body: str) -> None:
    """One webhook whose process dies, and which the provider does not repeat."""
    with stand.world.process():
        stand.world.post(stand.world.form(body))


def _hide_replies(stand: Stand, seconds: float) -> None:
    """Let the message of a reply come only later: it is invisible, as after a crash."""
    queue = stand.world.queues.replies
    for message in list(queue.messages):
        queue.take(message, invisible_until=stand.world.clock.monotonic() + seconds)


SETTINGS: dict[str, dict[str, str]] = {
    "claimed_for_people": {"stall_action": "handoff"},
    "claimed_for_people_and_sent": {"stall_action": "handoff"},
    "ended_with_people": {"stall_action": "handoff"},
    "staged_after_move": {"messages_keep": "2"},
    "staged_for_people": {"handoff_flag_routes": "true"},
    "staged_for_people_behind_ai": {"handoff_flag_routes": "true"},
    "with_people_and_staged": {"handoff_flag_routes": "true"},
    "with_people_in_record_and_staged": {"handoff_flag_routes": "true"},
    "fallback_waits": {"unknown_sender_text": "We do not know you."},
}
"""The settings of a state that differ from the defaults; today's code finishes it under the same."""

RECORDS: dict[str, str] = dict.fromkeys(("fallback_waits", "staged_email"), "email_conversation")
"""Which row the world of a state begins with, where it is not the ordinary one."""


def build(name: str, previous: Previous) -> Any:
    """The earlier world in a state."""
    module = previous.world
    row = getattr(module, RECORDS.get(name, "conversation"))()
    stand = Stand(previous, module.World(None, row, **SETTINGS.get(name, {})))
    STATES[name](stand)
    return stand.world


def acknowledged(world: Any) -> list[str]:
    """The sids of the customer's messages that are staged or in the record."""
    history = [row["entry"] for row in world.tables.history.rows]
    entries = [one for one in (*history, *world.row["messages"]) if one["direction"] == "INBOUND"]
    staged = sorted(world.tables.stage.rows, key=lambda row: (row["received_at"], row["message_sid"]))
    ids = [*(one["message_id"] for one in entries), *(row["message_sid"] for row in staged)]
    return list(dict.fromkeys(ids))


def as_json(document: Any) -> str:
    """A fixture's text: numbers of DynamoDB become JSON's."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, default=int) + "\n"
