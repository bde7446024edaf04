"""Redriving: sent first, deleted after, and safe to repeat after any fault."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from chalicelib.errors import EngineError
from chalicelib.protocol.fallbacks import FallbackRequest, Pair
from chalicelib.protocol.trigger_lock import Trigger
from ops.repairs.redriving import Result, redrive, source, sources
from ops.stage import dead_letters
from ops.stage.dead_letters import HOLD_SECONDS, peek
from ops.stage.target import CommandError
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Crash, FaultPlan, faults_for
from tests.fakes.queues import InMemoryQueue
from tests.ops.fakes import InMemoryLetters
from tests.world import COMPANY, CUSTOMER, KEY, World, conversation, settings_of

BODIES = [json.dumps({**KEY.item, "trigger_id": f"t{number}", "RetryAttempt": 0}) for number in range(3)]
OTHER = json.dumps({"primary_channel": COMPANY, "conversation_id": "c-2", "trigger_id": "t9", "RetryAttempt": 0})


class Place:
    """A queue and its dead-letter queue, on one clock and one plan."""

    def __init__(self, *bodies: str, plan: FaultPlan | None = None) -> None:
        self.clock, self.plan = FakeClock(), plan or FaultPlan()
        self.dead = InMemoryQueue("dead", self.clock, self.plan, visibility_seconds=HOLD_SECONDS)
        self.queue = InMemoryQueue("queue", self.clock, self.plan)
        for body in bodies:
            self.dead.inject(body, group="acme")

    def redrive(self, conversation_id: str | None = None, *, is_dry_run: bool = False) -> list[tuple[str, Result]]:
        told = redrive(
            InMemoryLetters(self.dead),
            self.queue,
            Trigger.from_body,
            conversation_id=conversation_id,
            is_dry_run=is_dry_run,
        )
        return [(one.dead_letter.body, one.result) for one in told]

    @property
    def sent(self) -> list[str]:
        return [one.body for one in self.queue.messages]

    @property
    def left(self) -> list[str]:
        return [one.body for one in self.dead.messages]


def test_letters_go_back_in_order_with_their_group(  # the tenant's fairness is kept
):
    """The oldest first; the dead-letter queue is empty afterwards."""
    place = Place(*BODIES)

    told = place.redrive()

    assert told == [(body, Result.REDRIVEN) for body in BODIES]
    assert (place.sent, place.left) == (BODIES, [])
    assert {one.group for one in place.queue.messages} == {"acme"}


def test_what_was_told_beside_a_letter_goes_back_with_it():
    """But for why it was a dead letter, and for what is not ours."""
    place = Place()
    told = {"conversation_id": "c-1", "RetryAttempt": 0, "reason": "it stayed locked", "theirs": "x"}
    place.dead.send(BODIES[0], group="acme", attributes=told)

    place.redrive()

    (message,) = place.queue.messages
    assert message.attributes == {"conversation_id": "c-1", "RetryAttempt": "0"}


def test_only_the_conversation_that_was_asked_for_goes_back():
    """Another's dead letter can be seen by others at once."""
    place = Place(BODIES[0], OTHER)

    told = place.redrive("c-2")

    assert told == [(BODIES[0], Result.ANOTHER_S), (OTHER, Result.REDRIVEN)]
    assert (place.sent, place.left) == ([OTHER], [BODIES[0]])
    assert len(place.dead.receive()) == 1


def test_a_dry_run_changes_nothing():
    """It tells what would go back, and leaves it visible."""
    place = Place(*BODIES)

    told = place.redrive(is_dry_run=True)

    assert told == [(body, Result.WOULD_BE) for body in BODIES]
    assert (place.sent, place.left) == ([], BODIES)
    assert len(place.dead.receive()) == 3


@pytest.mark.parametrize("body", ["no JSON", "{}", "[]", '{"conversation_id": "c"}'])
def test_a_letter_that_nobody_can_read_stays(body: str):
    """Its reader would only bury it again."""
    place = Place(body)

    assert place.redrive() == [(body, Result.UNREADABLE)]
    assert (place.sent, place.left) == ([], [body])


def clean_calls() -> list:
    place = Place(*BODIES)
    place.redrive()
    return place.plan.calls


@pytest.mark.parametrize(
    ("number", "fault"),
    [(number, fault) for number, call in enumerate(clean_calls(), start=1) for fault in faults_for(call)],
)
def test_no_letter_is_lost_whichever_call_fails_and_a_second_run_ends_it(number: int, fault):
    """At each moment every dead letter is in one of the two queues; redriving again leaves none behind."""
    place = Place(*BODIES, plan=FaultPlan({number: fault}))

    with suppress(Crash, EngineError):
        place.redrive()

    assert {*place.sent, *place.left} == set(BODIES)
    place.plan.revive()
    place.clock.advance(HOLD_SECONDS + 1)
    place.redrive()
    assert set(place.sent) == set(BODIES)
    assert place.left == []


def test_a_failed_send_leaves_what_was_not_sent_visible():
    """Nobody has to wait for it to come back of itself."""
    sends = [number for number, call in enumerate(clean_calls(), start=1) if call.operation == "SendMessage"]
    place = Place(*BODIES, plan=FaultPlan({sends[1]: faults_for(clean_calls()[sends[1] - 1])[3]}))

    with pytest.raises(EngineError):
        place.redrive()

    assert place.sent == BODIES[:1]
    assert [one.body for one in place.dead.receive()] == BODIES[1:]


def test_a_peek_consumes_nothing():
    """Dead letters of the conversation, left where they are and visible."""
    place = Place(BODIES[0], OTHER)

    (found,) = peek(InMemoryLetters(place.dead), KEY)

    assert found.body == BODIES[0]
    assert len(place.dead.receive()) == 2


def test_a_long_queue_is_taken_in_goes(monkeypatch: pytest.MonkeyPatch):
    """What went back makes room for what lies behind it."""
    monkeypatch.setattr(dead_letters, "DEAD_LETTERS_MAX", 40)
    place = Place(*[OTHER] * 45)

    assert len(place.redrive()) == 40
    assert len(place.redrive()) == 5


class TestSources:
    SETTINGS = settings_of(())

    def test_every_queue_of_the_settings_can_be_redriven(self):
        """By its role."""
        assert list(sources(self.SETTINGS)) == [
            "whatsapp",
            "sms",
            "email",
            "human-handoff",
            "ai",
            "ai-replies",
            "human-replies",
        ]

    @pytest.mark.parametrize(
        "told", ["ai-replies", "replies-engine-local-ai-replies", "replies-engine-local-ai-replies-dlq"]
    )
    def test_a_queue_is_known_by_its_role_its_name_and_its_dead_letters(self, told: str):
        """As an alarm or the doctor names it."""
        assert source(self.SETTINGS, told).name == "replies-engine-local-ai-replies"

    def test_a_queue_that_is_not_there_is_told_with_those_that_are(self):
        """In one line."""
        with pytest.raises(CommandError, match="has no queue mail; fix: one of whatsapp, sms"):
            source(self.SETTINGS, "mail")

    def test_a_context_without_a_conversation_is_unreadable(self):
        """A batch's context and a reply are read as their readers read them."""
        place = Place('{"meta": {}}', json.dumps({"conversation": {**KEY.item}}))

        told = redrive(
            InMemoryLetters(place.dead),
            place.queue,
            source(self.SETTINGS, "ai").read,
            conversation_id=None,
            is_dry_run=False,
        )

        assert [one.result for one in told] == [Result.UNREADABLE, Result.REDRIVEN]

    def test_a_reminder_of_an_unknown_sender_goes_back_too(self):
        """It shares the queue of replies, and its reader knows it."""
        fallback_request = FallbackRequest(Pair(COMPANY, CUSTOMER), "SM1").body
        place = Place(fallback_request)

        told = redrive(
            InMemoryLetters(place.dead),
            place.queue,
            source(self.SETTINGS, "ai-replies").read,
            conversation_id=None,
            is_dry_run=False,
        )

        assert [one.result for one in told] == [Result.REDRIVEN]
        assert place.sent == [fallback_request]


def test_a_redriven_trigger_makes_the_batch_that_it_was_for():
    """What a trigger is for stays staged while it lies dead."""
    world = World(None, conversation())
    sid = world.deliver("hello")
    (trigger,) = world.queues.triggers["whatsapp"].messages
    world.queues.triggers["whatsapp"].messages.clear()
    world.queues.dead_triggers["whatsapp"].inject(trigger.body, group="acme")
    world.clock.advance(60)

    dead_letters = InMemoryLetters(world.queues.dead_triggers["whatsapp"])
    list(
        redrive(
            dead_letters,
            world.queues.triggers["whatsapp"],
            Trigger.from_body,
            conversation_id=KEY.conversation_id,
            is_dry_run=False,
        )
    )
    world.work()

    (document,) = world.take(world.queues.ai)
    assert [one["message_id"] for one in document["messages"]] == [sid]
    assert CUSTOMER in document["messages"][0]["from"]
