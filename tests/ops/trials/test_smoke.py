"""The smoke test follows one message by the engine's own state, and names the step at which it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from local.tenants import Customer, Tenant
from ops.trials.companies import Journey
from ops.trials.smoke import Failed, Passed, Smoke, Step, reached
from tests.fakes.clock import FakeClock
from tests.ops.serving import served
from tests.world import ACCOUNT_SID, AUTH_TOKEN, COMPANY, CUSTOMER, KEY, World

ACCOUNT = (ACCOUNT_SID, AUTH_TOKEN)
PATIENCE = dict.fromkeys(Step, 5.0)


def journey(account: tuple[str, str] = ACCOUNT) -> Journey:
    """A message of the world's own customer."""
    customer = Customer("1", CUSTOMER, "whatsapp", "")
    found = Journey(Tenant("conversation", "Acme", {"whatsapp": COMPANY}, (customer,), account), customer)
    assert found.key == KEY
    return found


def to_batch(world: World) -> None:
    world.clock.advance(11)
    world.work()


def follow(steps: list[Callable[[World], object]], one: Journey | None = None, **options) -> list[Passed | Failed]:
    """Run it over a world that does one thing at each look, and then nothing."""
    with served() as (world, url):
        clock, todo = FakeClock(), iter(steps)

        def wait(_: float) -> None:
            next(todo, lambda _: None)(world)
            clock.advance(1)

        return list(Smoke(world.tables, url, clock, wait, PATIENCE, **options).run([one or journey()]))


def words(found: list[Passed | Failed]) -> Iterator[str]:
    return (f"{'failed' if isinstance(one, Failed) else 'passed'} {one.step.word}" for one in found)


def test_each_step_is_told_as_it_is_taken():
    """With the time since the message was sent."""
    found = follow([to_batch, World.answer_batches, World.send_replies])

    assert list(words(found)) == ["passed receipt", "passed stage", "passed batch", "passed ai", "passed reply"]
    assert [one.seconds for one in found] == [0, 0, 1, 3, 3]


def test_a_claimed_reply_is_the_step_of_the_ai(world: World):
    """The AI has answered, and the provider has not."""
    world.burst_with_ai()
    world.tables.conversations.seed({**world.row, "reply_claim": "r1", "reply_claimed_at": "2026-01-31T18:00:10+00:00"})

    assert reached(world.tables, KEY) == (Step.AI, "")


def test_a_forged_message_fails_at_the_stage():
    """Its webhook answers 200, as to any message of Twilio's."""
    found = follow([], journey((ACCOUNT_SID, "another")))

    assert list(words(found)) == ["passed receipt", "failed stage"]
    assert found[-1].why == "nothing in 5 s"


def test_a_stage_without_an_ai_fails_at_the_ai():
    """After as long as a step may take."""
    found = follow([to_batch])

    assert list(words(found))[-1] == "failed ai"


def test_a_conversation_that_passed_to_people_fails_with_who_did_it(world: World):
    """No reply of an AI will come."""
    world.turn(world.burst_with_ai(), action="handoff", reason="a test")
    world.send_replies()

    step, note = reached(world.tables, KEY)

    assert step is Step.AI
    assert note.startswith("the conversation passed to people")


def test_an_ai_that_has_nothing_to_say_ends_the_conversation_with_a_note(world: World):
    """Where the provider's trial account cannot send."""
    world.turn(world.burst_with_ai(), action="none")
    world.send_replies()

    step, note = reached(world.tables, KEY)

    assert step is Step.REPLY
    assert note.startswith("none")


def test_a_refused_reply_fails_at_the_reply():
    """With the engine's own code."""

    def refuse(world: World) -> None:
        row = {**world.row, "processing_error_code": "REFUSED", "unanswered_ids": []}
        world.tables.conversations.seed(row)

    found = follow([to_batch, refuse])

    assert list(words(found))[-2:] == ["passed ai", "failed reply"]
    assert found[-1].why == "the reply ended with REFUSED"


def test_nobody_at_the_url_fails_at_the_receipt(world: World):
    """And nothing is followed."""
    run = Smoke(world.tables, "http://127.0.0.1:9", FakeClock(), lambda _: None, PATIENCE)

    (found,) = run.run([journey()])

    assert isinstance(found, Failed)
    assert (found.step, "nobody answers" in found.why) == (Step.RECEIPT, True)


def test_what_stops_the_whole_trial_is_the_reason_at_once():
    """Somebody else reads the AI queue."""
    found = follow([to_batch], has_failed=lambda: "somebody reads it")

    assert list(words(found))[-1] == "failed batch"
    assert found[-1].why == "somebody reads it"
