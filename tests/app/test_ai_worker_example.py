"""The worker in docs/ai-worker.md works as it stands there: extracted from the page and run against moto's SQS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator
from moto import mock_aws

from chalicelib.messages.replies import Reply
from chalicelib.ports.queues import fair_group
from infrastructure.template import load
from tests.world import ENVIRONMENT, KEY, World

PROJECT = Path(__file__).parents[2]
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "ai-worker.md").read_text(), re.DOTALL)
SCHEMA = json.loads((PROJECT / "schemas" / "reply.json").read_text())


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """SQS with the template's queues."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AI_QUEUE": ENVIRONMENT["AI_QUEUE"],
        "AI_REPLIES_QUEUE": ENVIRONMENT["AI_REPLIES_QUEUE"],
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = boto3.client("sqs")
        for queue in load("local").queues.values():
            client.create_queue(QueueName=queue.name)
        yield client


@pytest.fixture
def worker(sqs) -> dict[str, Any]:
    """The example, loaded as a module; its loop does not start."""
    module: dict[str, Any] = {"__name__": "ai_worker"}
    exec(compile(EXAMPLE, "docs/ai-worker.md", "exec"), module)  # noqa: S102  # our own page
    return module


def dispatched(world: World) -> str:
    """The body of a batch of two messages, as the engine dispatches it."""
    world.deliver("hello")
    world.deliver("are you there?")
    world.clock.advance(11)
    world.work()
    (message,) = world.queues.ai.receive()
    return message.body


def put(sqs, body: str) -> None:
    url = sqs.get_queue_url(QueueName=ENVIRONMENT["AI_QUEUE"])["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=body)


def replies(sqs) -> list[dict[str, Any]]:
    url = sqs.get_queue_url(QueueName=ENVIRONMENT["AI_REPLIES_QUEUE"])["QueueUrl"]
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    return answer.get("Messages", [])


def left(sqs) -> int:
    """How many messages the AI queue holds, hidden ones too."""
    url = sqs.get_queue_url(QueueName=ENVIRONMENT["AI_QUEUE"])["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(map(int, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))


def test_the_example_is_short():
    """A page of docs and under fifty lines is all that a company needs."""
    lines = EXAMPLE.splitlines()

    assert len(lines) < 50


def test_a_batch_gets_one_reply_that_the_engine_takes(sqs, worker):
    """Valid by the schema, for the right conversation and batch, in the tenant's group; the batch is deleted."""
    body = dispatched(World())
    put(sqs, body)

    worker["work"]()

    (message,) = replies(sqs)
    reply = Reply.from_body(message["Body"])
    assert Draft202012Validator(SCHEMA).is_valid(json.loads(message["Body"]))
    assert reply.conversation == KEY
    assert reply.batch_id == json.loads(body)["meta"]["batch_id"]
    assert reply.text == "Thank you for your 2 message(s)!"
    assert message["Attributes"]["MessageGroupId"] == fair_group("acme")
    assert left(sqs) == 0


def test_a_batch_that_comes_again_gets_no_second_reply(sqs, worker):
    """It is deleted without one."""
    body = dispatched(World())
    for _ in range(2):
        put(sqs, body)

    worker["work"]()

    assert len(replies(sqs)) == 1
    assert left(sqs) == 0


def test_a_batch_stays_in_the_queue_when_the_ai_fails(sqs, worker, capsys):
    """The worker tells why and goes on with the next; the reply is sent before its batch is deleted."""
    put(sqs, "no context")
    put(sqs, dispatched(World()))
    put(sqs, dispatched(World()))
    answer, failures = worker["answer"], [ZeroDivisionError]
    worker["answer"] = lambda context: answer(context) if not failures else _fail(failures.pop())

    worker["work"]()

    assert len(replies(sqs)) == 1
    assert left(sqs) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def _fail(fault: type[Exception]) -> str:
    raise fault


def test_the_reply_reaches_the_customer_and_releases_the_conversation(sqs, worker):
    """What the example writes is all that the engine needs."""
    world = World()
    put(sqs, dispatched(world))
    worker["work"]()
    (message,) = replies(sqs)
    world.queues.replies.inject(message["Body"], group="acme")

    world.send_replies()

    assert world.phone.texts == ["Thank you for your 2 message(s)!"]
    assert world.row["conversation_status"] == "ai_response_sent"
