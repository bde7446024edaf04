"""The use cases that the fault tests play: how each is prepared without a fault, and what is done under faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from chalicelib.channels.sender import InDoubt, SendOutcome, TemporaryFailure
from chalicelib.errors import EngineError
from chalicelib.repair.orphans import Orphans
from chalicelib.telemetry import Trail
from tests.emails import CUSTOMER_EMAIL, Email
from tests.fakes.faults import Fault
from tests.world import CUSTOMER, KEY, Taken, World, conversation, email_conversation

SERVER_ERROR = InDoubt(is_server_error=True)


@dataclass(frozen=True)
class Scenario:
    """One use case.

    `prepare` returns the sids of acknowledged messages; `act` does the use case and returns the sids that it delivers.
    """

    name: str
    act: Callable[[World], list[str]]
    prepare: Callable[[World], list[str]] = lambda _world: []
    row: Callable[[], dict] = conversation
    settings: dict[str, str] = field(default_factory=dict)
    grace_seconds: int = 0
    """How much later than promised it may end: a lock that another system set begins to age when a trigger meets it."""
    is_in_doubt: bool = False
    """A send may have happened of which nothing can be proven any more: its reply is told as unknown."""
    ends: str = "answered"
    """How messages end: answered, answered in vain and with people, with people, refused, either, opted out, without
    a reply; told: answered, or the record tells why not."""


def _deliver(*bodies: str) -> Callable[[World], list[str]]:
    return lambda world: [world.deliver(body) for body in bodies]


def _deliver_emails(*emails: Email) -> Callable[[World], list[str]]:
    def act(world: World) -> list[str]:
        for email in emails:
            world.clock.advance(1)  # e-mails of one instant are in the order of their ids, which mean nothing
            world.deliver_email(email)
        return [email.message_sid for email in emails]

    return act


def _emails_and_due(world: World) -> list[str]:
    sids = _deliver_emails(*EMAILS)(world)
    world.clock.advance(11)
    return sids


def _answered_by_email(world: World) -> list[str]:
    sids = _emails_and_due(world)
    world.work()
    world.answer_batches()
    return sids


def _pictures_and_due(world: World) -> list[str]:
    """Messages with media whose provider keeps them are staged and due."""
    picture = (b"\x89PNG", "image/png")
    sids = [world.deliver(body, **world.with_media(picture)) for body in ("one", "two")]
    world.clock.advance(world.settings.secret_ttl_seconds + 11)  # the worker has not fetched the secret lately
    return sids


def _work(world: World) -> list[str]:
    world.work()
    return []


def _sweep(world: World) -> list[str]:
    world.sweep()
    return []


def _delivered_and_due(world: World) -> list[str]:
    sids = _deliver("one", "two")(world)
    world.clock.advance(11)
    return sids


def _locked_by_a_silent_ai(world: World) -> list[str]:
    """A batch is with the AI, which has not answered yet."""
    sids = _delivered_and_due(world)
    world.work()
    return sids


def _stalled(world: World) -> list[str]:
    """The AI never answers the first batch; a later message is staged, its trigger lost."""
    sids = _locked_by_a_silent_ai(world)
    world.take(world.queues.ai)
    sids.append(world.deliver("three"))
    for queue in world.queues.triggers.values():
        queue.messages.clear()
    world.clock.advance(400)
    return sids


def _contended_and_stalled(world: World) -> list[str]:
    """A lock whose AI never answers is found stalled by the next message's trigger."""
    sids = _locked_by_a_silent_ai(world)
    world.take(world.queues.ai)
    world.clock.advance(400)
    sids.append(world.deliver("three"))
    world.clock.advance(11)
    return sids


def _trigger_lost(world: World) -> list[str]:
    """Messages are staged, and their trigger is lost."""
    sids = _deliver("one", "two")(world)
    for queue in world.queues.triggers.values():
        queue.messages.clear()
    world.clock.advance(120)
    return sids


def _triggers_lost_of_a_long_stage(world: World) -> list[str]:
    """The same, and each row of the stage is a page of its own: it is scanned in segments."""
    sids = _trigger_lost(world)
    world.tables.stage._store.page_bytes = 1
    engine = world.engine
    vars(engine)["orphans"] = Orphans(
        retriggering=engine.retriggering, clock=world.clock, new_id=engine.new_id, settings=world.settings, segments=2
    )
    return sids


def _switched(**changes: object) -> Callable[[World], list[str]]:
    """Messages are staged and due; then the company changes the conversation."""

    def prepare(world: World) -> list[str]:
        sids = _delivered_and_due(world)
        world.tables.conversations.seed({**world.row, **changes})
        return sids

    return prepare


def _carried_then_switched(world: World) -> list[str]:
    """A batch was never answered and its lock reset; then the conversation is switched to people."""
    sids = _locked_by_a_silent_ai(world)
    world.take(world.queues.ai)
    world.clock.advance(400)
    world.sweep()
    sids.append(world.deliver("three"))
    world.clock.advance(11)
    world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})
    return sids


def _handoff_row_left_behind(world: World) -> list[str]:
    """A message for people was staged, and its webhook died before it was handed off."""
    sids = _deliver("one")(world)
    world.queues.triggers["whatsapp"].messages.clear()
    world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})
    world.clock.advance(120)
    return sids


def _answered_before(world: World) -> list[str]:
    """A message was answered, and a late duplicate of it is staged beside a new one."""
    sids = _deliver("one")(world)
    world.run(30)
    world.deliver("one", sid=sids[0])
    sids.append(world.deliver("two"))
    world.clock.advance(11)
    return sids


def _replied(body: str = "", *, seconds: int = 8) -> Callable[[World], list[str]]:
    """The AI has answered the batch after so many seconds; its reply waits to be sent."""

    def prepare(world: World) -> list[str]:
        sids = _locked_by_a_silent_ai(world)
        world.clock.advance(seconds)
        if body:
            (document,) = world.take(world.queues.ai)
            world.reply(document, body)
        else:
            world.answer_batches()
        return sids

    return prepare


def _replied_to_a_busy_provider(world: World) -> list[str]:
    """The AI has answered, and the provider refuses the first send for the moment."""
    sids = _replied()(world)
    world.phone.outcomes = [TemporaryFailure("20429", 30)]
    return sids


def _answered_5xx(*outcomes: SendOutcome | Taken, waits: int) -> Callable[[World], list[str]]:
    """The provider answered the first send with a 5xx, and the reply came again `waits` - 1 times since."""

    def prepare(world: World) -> list[str]:
        sids = _replied()(world)
        world.phone.outcomes = list(outcomes)
        for _ in range(waits):
            world.send_replies()
            world.clock.advance(70)
        return sids

    return prepare


def _replied_while_typing(world: World) -> list[str]:
    """The AI has answered, and another message is staged whose trigger was lost."""
    sids = [*_replied()(world), world.deliver("three")]
    for queue in world.queues.triggers.values():
        queue.messages.clear()
    return sids


def _replied_late(world: World) -> list[str]:
    """The AI answers after its lock was reset, and nothing newer began."""
    sids = _locked_by_a_silent_ai(world)
    world.clock.advance(400)
    world.sweep()
    world.answer_batches()
    return sids


def _replied_twice(world: World) -> list[str]:
    """The AI answers a batch twice, differently."""
    sids = _locked_by_a_silent_ai(world)
    (document,) = world.take(world.queues.ai)
    world.reply(document, "the first answer")
    world.reply(document, "another answer")
    return sids


def _replied_to_an_opted_out(world: World) -> list[str]:
    sids = _replied()(world)
    world.tables.conversations.seed({**world.row, "opted_out": True})
    return sids


def _died_while_sending(at: int, fault: Fault) -> Callable[[World], list[str]]:
    """The process that sends the reply dies at its call number `at`; its claim is too old to be alive."""

    def prepare(world: World) -> list[str]:
        sids = _replied()(world)
        world.plan.faults = {len(world.plan.calls) + at: fault}
        world.send_replies()
        world.clock.advance(200)
        return sids

    return prepare


def _died_and_stalled(world: World) -> list[str]:
    """Nobody took the dead process's reply up, and its lock has stalled."""
    sids = _died_while_sending(4, Fault.CRASH_AFTER)(world)
    world.queues.replies.messages.clear()
    world.clock.advance(400)
    return sids


def _given_up_before_it_asked(world: World) -> list[str]:
    """The process died between its claim and its first part, the claim was given up, and the reply comes again."""
    sids = _died_while_sending(2, Fault.CRASH_AFTER)(world)
    world.clock.advance(400)
    world.sweep()
    return sids


def _lock_stalled_and_claim_not(world: World) -> list[str]:
    """The process that sends the reply died after its claim; its lock is older than the stall timeout by then."""
    sids = _replied(seconds=50)(world)
    world.plan.faults = {len(world.plan.calls) + 2: Fault.CRASH_AFTER}
    world.send_replies()
    world.clock.advance(260)
    return sids


def _answered_by_people(world: World) -> list[str]:
    sids = _delivered_and_due(world)
    world.run(60)
    reply = {**KEY.item, "version": "1.0", "source": "human", "reply_id": "reply-of-people", "body": "a person says"}
    world.queues.human_replies.inject(json.dumps(reply), group="acme")
    return sids


def _second_thought(world: World) -> list[str]:
    """A batch is with the AI, and the customer has added something."""
    sids = [*_locked_by_a_silent_ai(world), world.deliver("three")]
    world.clock.advance(11)
    return sids


def _replied_and_typing(world: World) -> list[str]:
    """The AI has answered while the customer adds something."""
    return [*_replied()(world), world.deliver("three")]


def _superseded(world: World) -> list[str]:
    """The AI answers a batch that was restarted meanwhile, and the one in its place."""
    sids = _replied_and_typing(world)
    world.clock.advance(11)
    world.work()
    world.answer_batches()
    return sids


def _turned(*turn: dict[str, object]) -> Callable[[World], list[str]]:
    """The AI has sent these messages for its batch; a further message is staged, whose trigger was lost."""

    def prepare(world: World) -> list[str]:
        sids = _locked_by_a_silent_ai(world)
        (document,) = world.take(world.queues.ai)
        for fields in turn:
            if fields:
                world.turn(document, **fields)
            else:
                world.reply(document, "the answer")
        return sids

    return prepare


def _replied_and_sent(world: World) -> list[str]:
    """The customer's provider took the answer to a batch."""
    sids = _replied()(world)
    world.send_replies()
    return sids


def _reported_as_undelivered(world: World) -> list[str]:
    """It was not delivered, and the provider said so."""
    sids = _replied_and_sent(world)
    _report_as_undelivered(world)
    return sids


def _report_as_undelivered(world: World) -> list[str]:
    _report(world, "undelivered", ErrorCode="30003")
    return []


def _report(world: World, status: str, **told: str) -> None:
    """A status callback as Twilio makes it: again after a crash or a 503, three times at most."""
    sid, part, _ = world.phone.received[0]
    for _ in range(4):
        with world.process():
            if world.report(part.send_id, status, MessageSid=sid, **told).status_code < 500:
                break


def _sent_in_doubt(world: World) -> list[str]:
    """The provider took the answer to a batch, and its own answer was lost."""
    sids = _replied()(world)
    world.phone.outcomes = [Taken(InDoubt())]
    world.send_replies()
    return sids


def _report_as_sent(world: World) -> list[str]:
    """A status callback that says no more than that a message was sent."""
    _report(world, "sent")
    return []


def _handoff_died_and_stalled(world: World) -> list[str]:
    """The process of a handoff with words died after it had sent them, and nobody took it up."""
    sids = _turned({**HANDOFF, "body": "wait"})(world)
    world.plan.faults = {len(world.plan.calls) + 4: Fault.CRASH_AFTER}
    world.send_replies()
    world.queues.replies.messages.clear()
    world.clock.advance(400)
    return sids


def _hand_over_and_write(world: World) -> list[str]:
    """An operator hands an open conversation over, and the customer writes."""
    _hand_over(world)
    return [world.deliver("three")]


def _heartbeat_is_due(world: World) -> list[str]:
    """The AI has taken its time, says so, and answers then."""
    sids = _turned({"action": "extend"}, {})(world)
    world.clock.advance(200)
    return sids


def _taken_over(world: World) -> list[str]:
    """The AI has answered in parts, and the company switched to people meanwhile."""
    sids = _replied(LONG)(world)
    world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})
    return sids


def _taken_over_between_parts(world: World) -> list[str]:
    """The process of a reply in parts died after its first part, and the company switched to people."""
    sids = _replied(LONG)(world)
    world.plan.faults = {len(world.plan.calls) + 6: Fault.CRASH_BEFORE}
    world.send_replies()
    world.clock.advance(200)
    world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})
    return sids


def _given_back(world: World) -> list[str]:
    """The AI handed its batch to people, who answer, and give the conversation back."""
    sids = _turned({"action": "handoff"})(world)
    world.run(60)
    told = {"version": "1.1", "source": "human", "action": "return", "reply_id": "return-1", "body": "a person says"}
    reply = {**KEY.item, **told, "handoff_id": world.row["handoff_id"]}
    world.queues.human_replies.inject(json.dumps(reply), group="acme")
    return sids


def _hand_over(world: World) -> list[str]:
    """An operator's command; one that fails is given again."""
    trail = Trail(world.telemetry, world.clock, request_id="operator")
    for _ in range(2):
        with world.process(), suppress(EngineError):
            world.engine.handing_over.hand_over(world.engine.tables, world.engine.queues, KEY, "asked for", trail)
            break
    return []


def _reply(world: World) -> list[str]:
    world.send_replies()
    return []


def _say_stop(world: World) -> list[str]:
    return [world.deliver("STOP", OptOutType="STOP")]


LONG = " ".join(f"Sentence number {number} of a long answer." for number in range(100))


RESTARTING = {"ON_NEW_MESSAGE": "restart"}
HANDOFF = {"action": "handoff", "reason": "wants a person", "draft": "a draft"}

PHOTO = ("photo.png", "image/png", b"\x89PNG")
EMAILS = (
    Email("one\n\nOn Mon, 5 Jan 2026 at 09:00, Help <help@acme.example> wrote:\n> How are you?\n"),
    Email(
        "two", message_id="<two@customer.example>", attachments=(("photo.png", "image/png", b"\x89PNG"),), is_raw=True
    ),
)
"""The first quotes what it answers, so that all of its text goes to the bucket; the second has an attachment."""


def _by_policy(**policy: object) -> Callable[[], dict]:
    """A company with policies of its own for WhatsApp."""

    def row() -> dict:
        config = conversation()["channel_config"]
        return conversation(channel_config={**config, "whatsapp": {**config["whatsapp"], "policy": policy}})

    return row


def _outgrown() -> dict:
    """A record with more answered entries than it keeps."""
    entries = [
        {"message_id": f"old-{number}", "direction": "OUTBOUND", "timestamp": "2020-01-01T00:00:00+00:00"}
        for number in range(40)
    ]
    return conversation(messages=entries)


def _for_people() -> dict:
    return conversation(auto_queue_reply_message_from_number=[f"whatsapp:{CUSTOMER}"])


def _emails_for_people() -> dict:
    return email_conversation(auto_queue_reply_message_from_email=[CUSTOMER_EMAIL.upper()])


def _opted_out_of_sms() -> dict:
    return conversation(opted_out_channels=["sms"])


def _opted_out_of_all() -> dict:
    return conversation(opted_out=True)


def _opted_out_and_full() -> dict:
    """A record without room for another entry, and no batch that would make room."""
    return {
        **_outgrown(),
        "messages": [{**one, "content": "x" * 8_400} for one in _outgrown()["messages"]],
        "opted_out": True,
    }


def _foreign_lock() -> dict:
    return conversation(conversation_status="processing_reply")


SCENARIOS = (
    Scenario("receive a burst", _deliver("one", "two")),
    Scenario("receive for people", _deliver("one", "two"), row=_for_people, ends="with people"),
    Scenario("receive while locked", _deliver("three"), prepare=_locked_by_a_silent_ai),
    Scenario("batch", _work, prepare=_delivered_and_due),
    Scenario("batch and copy media", _work, prepare=_pictures_and_due, settings={"MEDIA_COPYING": "true"}),
    Scenario("batch and duplicates", _work, prepare=_answered_before),
    Scenario("batch while still typing", _work, prepare=lambda world: [*_delivered_and_due(world), world.deliver("3")]),
    Scenario(
        "batch and move history", _work, prepare=_delivered_and_due, row=_outgrown, settings={"MESSAGES_KEEP": "8"}
    ),
    Scenario("batch that is refused", _work, prepare=_switched(project_status="closed"), ends="refused"),
    Scenario("batch that goes to people", _work, prepare=_switched(auto_queue_reply_message=True), ends="with people"),
    Scenario("carried batch that goes to people", _work, prepare=_carried_then_switched, ends="with people"),
    Scenario("contend with a stalled lock", _work, prepare=_contended_and_stalled),
    Scenario(
        "contend with another system's lock", _work, prepare=_delivered_and_due, row=_foreign_lock, grace_seconds=180
    ),
    Scenario("reset a stalled lock", _sweep, prepare=_stalled),
    Scenario(
        "reset a stalled lock and hand off",
        _sweep,
        prepare=_stalled,
        settings={"STALL_ACTION": "handoff"},
        ends="either",
    ),
    Scenario(
        "reset a stalled lock and hand off, by policy",
        _sweep,
        prepare=_stalled,
        row=_by_policy(stall_action="handoff"),
        ends="either",
    ),
    Scenario(
        "reset a stalled lock, by policy",
        _sweep,
        prepare=_stalled,
        row=_by_policy(stall_action="warn"),
        settings={"STALL_ACTION": "handoff"},
    ),
    Scenario(
        "contend with a stalled lock and hand off, by policy",
        _work,
        prepare=_contended_and_stalled,
        row=_by_policy(stall_action="handoff"),
        ends="either",
    ),
    Scenario("receive a burst, by policy", _deliver("one", "two"), row=_by_policy(batch_window_seconds=3)),
    Scenario(
        "batch, by a policy that cannot be read",
        _work,
        prepare=_delivered_and_due,
        row=_by_policy(batch_window_seconds=-1, batch_max_wait_seconds="soon", on_new_message=7),
    ),
    Scenario("restart the AI's turn", _work, prepare=_second_thought, settings=RESTARTING),
    Scenario("hold a reply", _reply, prepare=_replied_and_typing, settings=RESTARTING, ends="told"),
    Scenario("reply to a superseded batch", _reply, prepare=_superseded, settings=RESTARTING, ends="told"),
    Scenario("recover orphans", _sweep, prepare=_trigger_lost),
    Scenario("recover orphans of a long stage", _sweep, prepare=_triggers_lost_of_a_long_stage),
    Scenario("reply", _reply, prepare=_replied(), ends="told"),
    Scenario("reply that the provider throttles", _reply, prepare=_replied_to_a_busy_provider, ends="told"),
    Scenario(
        "read the list after a 5xx, taken",
        _reply,
        prepare=_answered_5xx(Taken(SERVER_ERROR), waits=1),
        ends="told",
    ),
    Scenario("read the list after a 5xx, not taken", _reply, prepare=_answered_5xx(SERVER_ERROR, waits=1), ends="told"),
    Scenario("send again after a 5xx", _reply, prepare=_answered_5xx(SERVER_ERROR, waits=2), ends="told"),
    Scenario(
        "send again after a 5xx, to a busy provider",
        _reply,
        prepare=_answered_5xx(SERVER_ERROR, TemporaryFailure("20429", 30), waits=2),
        ends="told",
    ),
    Scenario("reply in parts", _reply, prepare=_replied(LONG), ends="told"),
    Scenario("reply, and trigger what was staged meanwhile", _reply, prepare=_replied_while_typing, ends="told"),
    Scenario("reply late, after the lock was reset", _reply, prepare=_replied_late, ends="told"),
    Scenario("reply twice", _reply, prepare=_replied_twice, ends="told"),
    Scenario("reply to one who opted out", _reply, prepare=_replied_to_an_opted_out, ends="told"),
    Scenario(
        "take over a reply in doubt, delivered", _reply, prepare=_died_while_sending(4, Fault.CRASH_AFTER), ends="told"
    ),
    Scenario(
        "take over a reply in doubt, not sent", _reply, prepare=_died_while_sending(4, Fault.CRASH_BEFORE), ends="told"
    ),
    Scenario(
        "take over a reply, nothing in doubt", _reply, prepare=_died_while_sending(2, Fault.CRASH_AFTER), ends="told"
    ),
    Scenario("give a stalled reply up", _sweep, prepare=_died_and_stalled, ends="told", is_in_doubt=True),
    Scenario("reply whose claim was given up", _reply, prepare=_given_up_before_it_asked, ends="told"),
    Scenario("sweep while a claim has time left", _sweep, prepare=_lock_stalled_and_claim_not, ends="told"),
    Scenario("nothing to say", _reply, prepare=_turned({"action": "none"}), ends="without a reply"),
    Scenario("hand off", _reply, prepare=_turned(HANDOFF), ends="with people"),
    Scenario("hand off with words", _reply, prepare=_turned({**HANDOFF, "body": "wait"}), ends="with people"),
    Scenario(
        "an interim message, and the reply", _reply, prepare=_turned({"body": "wait", "final": False}, {}), ends="told"
    ),
    Scenario("a heartbeat, and the reply", _reply, prepare=_heartbeat_is_due, ends="told"),
    Scenario("a reply that people take over", _reply, prepare=_taken_over, ends="with people"),
    Scenario(
        "a reply that people take over between its parts",
        _reply,
        prepare=_taken_over_between_parts,
        ends="with people, or told",
        is_in_doubt=True,
    ),
    Scenario("give back to the AI", _reply, prepare=_given_back, ends="with people"),
    Scenario("hear that a reply in doubt was sent", _report_as_sent, prepare=_sent_in_doubt),
    Scenario(
        "hear that a reply was not delivered",
        _report_as_undelivered,
        prepare=_replied_and_sent,
        row=_by_policy(undelivered_action="handoff"),
        ends="answered in vain, and with people",
    ),
    Scenario(
        "hand off what was not delivered",
        _reply,
        prepare=_reported_as_undelivered,
        row=_by_policy(undelivered_action="handoff"),
        ends="answered in vain, and with people",
    ),
    Scenario(
        "batch, with a typing indicator", _work, prepare=_delivered_and_due, row=_by_policy(typing_indicator=True)
    ),
    Scenario("typing indicator", _reply, prepare=_locked_by_a_silent_ai, row=_by_policy(typing_indicator=True)),
    Scenario("an operator hands over", _hand_over, prepare=_locked_by_a_silent_ai, ends="with people"),
    Scenario(
        "an operator hands an open conversation over", _hand_over_and_write, prepare=_replied_and_sent, ends="either"
    ),
    Scenario(
        "pass a stalled handoff to people",
        _sweep,
        prepare=_handoff_died_and_stalled,
        ends="with people",
        is_in_doubt=True,
    ),
    Scenario("reply of people", _reply, prepare=_answered_by_people, ends="answered"),
    Scenario("opt out", _say_stop, ends="opted out"),
    Scenario("opt out of a second channel", _say_stop, row=_opted_out_of_sms, ends="opted out"),
    Scenario("write after an opt-out, to a full record", _deliver("hello?"), row=_opted_out_and_full, ends="refused"),
    Scenario("write after an opt-out", _deliver("hello?", "anybody?"), row=_opted_out_of_all, ends="refused"),
    Scenario("receive e-mails", _deliver_emails(*EMAILS), row=email_conversation),
    Scenario("receive e-mails for people", _deliver_emails(*EMAILS), row=_emails_for_people, ends="with people"),
    Scenario("batch e-mails", _work, prepare=_emails_and_due, row=email_conversation),
    Scenario("reply by e-mail", _reply, prepare=_answered_by_email, row=email_conversation, ends="told"),
    Scenario("recover an orphan for people", _sweep, prepare=_handoff_row_left_behind, ends="with people"),
)

__all__ = ["KEY", "SCENARIOS", "Scenario"]
