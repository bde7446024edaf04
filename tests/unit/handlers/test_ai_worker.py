"""The AI worker as a function of a stage: answers batches of the AI queue, once, while they hold their lock."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.ai_worker.answering import echo
from chalicelib.aws.bedrock import Bedrock
from chalicelib.errors import Misconfigured
from chalicelib.handlers import queues
from chalicelib.telemetry import Metric
from infrastructure.rights import AI_WORKER
from tests.fakes.faults import Call
from tests.world import KEY, World


def dispatched(world: World, text: str = "hello") -> str:
    world.deliver(text)
    world.clock.advance(11)
    world.work()
    (message,) = world.queues.ai.receive()
    return message.body


def answer(world: World, body: str, attempt: int = 1) -> None:
    """One invocation of the function."""
    attributes = {"ApproximateReceiveCount": str(attempt), "MessageGroupId": "acme"}
    event = {"Records": [{"messageId": "1", "body": body, "attributes": attributes}]}
    queues.answer_batches(event, world._lambda_context(240), world.engine)


@pytest.fixture
def world() -> World:
    return World(ai_worker="echo")


def test_a_batch_is_answered(world: World):
    """And its answer reaches the customer."""
    answer(world, dispatched(world))
    world.send_replies()

    assert world.phone.texts == ["You wrote: hello"]
    assert world.row["conversation_status"] == "ai_response_sent"


def test_a_batch_that_comes_again_after_its_answer_is_dropped(world: World):
    """The record says so; the model is not asked."""
    body = dispatched(world)
    answer(world, body)
    world.send_replies()

    answer(world, body)

    assert world.take(world.queues.replies) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"last_batch_id": "another"},
        {"conversation_status": "processing_timeout"},
        {"reply_claim": "#people"},
    ],
)
def test_a_batch_without_its_lock_is_dropped(world: World, changes: dict[str, Any]):
    """Another has it, it stalled, or people have it."""
    body = dispatched(world)
    world.tables.conversations.seed({**world.row, **changes})

    answer(world, body)

    assert world.take(world.queues.replies) == []


def test_a_batch_of_no_conversation_is_dropped(world: World):
    """Its row is gone."""
    body = dispatched(world).replace(KEY.conversation_id, "conversation-2")

    answer(world, body)

    assert world.take(world.queues.replies) == []


def test_it_makes_the_calls_that_it_has_rights_for(world: World):
    """It reads the record before and after the model, and sends the reply."""
    body = dispatched(world)
    before = len(world.plan.calls)

    answer(world, body)

    calls: list[Call] = world.plan.calls[before:]
    assert [call.operation for call in calls] == ["GetItem", "GetItem", "SendMessage"]
    assert {call.operation for call in calls} <= {action for actions in AI_WORKER.values() for action in actions}


def test_a_failure_is_told_and_comes_again(world: World):
    """Under a code; its words may hold the customer's."""
    with pytest.raises(Misconfigured):
        answer(world, json.dumps({"meta": {"batch_id": "b"}}))

    assert world.telemetry.total(Metric.FAULT) == 1
    assert KEY.conversation_id not in json.dumps(world.telemetry.lines[-1])


def test_the_stage_s_settings_choose_the_model():
    """An echo, or one of Bedrock's."""
    assert World(ai_worker="echo").engine.answering.model is echo
    bedrock = World(ai_worker="bedrock", ai_worker_model="a.model", ai_worker_instructions="Be kind.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        answering = bedrock.engine.answering

    assert isinstance(answering.model, Bedrock)
    assert (answering.model.model_id, answering.instructions) == ("a.model", "Be kind.")
