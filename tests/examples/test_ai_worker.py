"""The example of an AI worker: its poller against moto's SQS, its models against a loopback server and a stub."""

from __future__ import annotations

import argparse
import ast
import base64
import json
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.session import Session
from botocore.stub import Stubber
from moto import mock_aws
from openai import OpenAI

from chalicelib.ai_worker.answering import Answering, Question, echo
from chalicelib.ai_worker.prompts import Turn
from chalicelib.aws.bedrock import Bedrock
from chalicelib.aws.calls import Service
from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.messages.replies import Reply
from chalicelib.ports.queues import fair_group
from examples.ai_worker.__main__ import Poller, load, lock_reader, main, model_of, sender
from examples.ai_worker.openai_model import openai_model
from examples.ai_worker.replies import RepliesInFile
from infrastructure.template import load as template
from tests.examples.completions import Completions
from tests.world import ENVIRONMENT, KEY, World

PROJECT = Path(__file__).parents[2]
PICTURE = Turn("user", "look", ({"url": "s3://bucket/a b.png", "content_type": "image/png"},))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
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
        sqs = boto3.client("sqs")
        for queue in template("local").queues.values():
            sqs.create_queue(QueueName=queue.name)
        yield sqs


def url(sqs: Any, name: str) -> str:
    return str(sqs.get_queue_url(QueueName=ENVIRONMENT[name])["QueueUrl"])


def dispatched(world: World) -> str:
    """The body of a batch, as the engine dispatches it."""
    world.deliver("hello")
    world.clock.advance(11)
    world.work()
    (message,) = world.queues.ai.receive()
    return message.body


def poller(sqs: Any, path: Path, model: Any = echo) -> Poller:
    answering = Answering(model, sender(sqs, url(sqs, "AI_REPLIES_QUEUE")), RepliesInFile(path / "kept"), tries_max=2)
    return Poller(sqs, url(sqs, "AI_QUEUE"), answering, threading.Event(), wait_seconds=0)


def replies(sqs: Any) -> list[dict[str, Any]]:
    answer = sqs.receive_message(QueueUrl=url(sqs, "AI_REPLIES_QUEUE"), MaxNumberOfMessages=10, AttributeNames=["All"])
    return list(answer.get("Messages", []))


def left(sqs: Any, name: str = "All") -> list[int]:
    """How many messages the AI queue shows and hides."""
    attributes = sqs.get_queue_attributes(QueueUrl=url(sqs, "AI_QUEUE"), AttributeNames=[name])["Attributes"]
    return [int(attributes[f"ApproximateNumberOfMessages{which}"]) for which in ("", "NotVisible")]


class TestPoller:
    def test_a_batch_is_answered_and_deleted(self, aws: Any, tmp_path: Path):
        """And the answer reaches the customer."""
        world = World()
        aws.send_message(QueueUrl=url(aws, "AI_QUEUE"), MessageBody=dispatched(world))

        poller(aws, tmp_path).poll_once()

        (message,) = replies(aws)
        assert Reply.from_body(message["Body"]).conversation == KEY
        assert message["Attributes"]["MessageGroupId"] == fair_group("acme")
        assert left(aws) == [0, 0]
        world.queues.replies.inject(message["Body"], group="acme")
        world.send_replies()
        assert world.phone.texts == ["You wrote: hello"]

    def test_an_error_leaves_the_batch_to_come_again_soon(self, aws: Any, tmp_path: Path):
        """Neither lost nor hidden for the queue's own five minutes."""
        aws.send_message(QueueUrl=url(aws, "AI_QUEUE"), MessageBody=dispatched(World()))

        with pytest.raises(ZeroDivisionError):
            poller(aws, tmp_path, lambda _: 1 / 0).poll_once()

        assert left(aws) == [0, 1]
        assert replies(aws) == []

    def test_the_worker_outlives_every_error(self, aws: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        """A body that is no context, a model that fails: the next batch is answered."""
        for body in ("no JSON", "{}", dispatched(World())):
            aws.send_message(QueueUrl=url(aws, "AI_QUEUE"), MessageBody=body)
        answered = threading.Event()

        def model(question: Question) -> str:
            answered.set()
            return echo(question)

        working = poller(aws, tmp_path, model)
        thread = threading.Thread(target=working.run, args=(2,))
        thread.start()

        is_answered = answered.wait(60)
        working.stopped.set()
        thread.join(60)

        assert is_answered
        assert not thread.is_alive()
        assert len(replies(aws)) == 1
        assert "JSONDecodeError" in capsys.readouterr().err

    def test_a_process_answers_what_its_environment_names(
        self, aws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """Until SIGTERM."""
        aws.send_message(QueueUrl=url(aws, "AI_QUEUE"), MessageBody=dispatched(World()))
        monkeypatch.setattr("sys.argv", ["ai_worker", "--parallel", "1", "--kept", str(tmp_path / "kept")])
        ends: list[Any] = []
        monkeypatch.setattr("signal.signal", lambda _, end: ends.append(end))
        poll_once = Poller.poll_once

        def once(self: Poller) -> None:
            poll_once(self)
            ends[0]()

        monkeypatch.setattr(Poller, "poll_once", once)

        main()

        assert len(replies(aws)) == 1


@pytest.mark.parametrize(
    ("changes", "is_ours"),
    [
        ({}, True),
        ({"last_batch_id": "another"}, False),
        ({"conversation_status": "ai_response_sent"}, False),
    ],
)
def test_the_record_says_whether_a_batch_holds_its_lock(aws: Any, changes: dict[str, str], is_ours: bool):
    """By two attributes of it."""
    world = World()
    context = json.loads(dispatched(world))
    keys = ("primary_channel", "HASH"), ("conversation_id", "RANGE")
    table = boto3.resource("dynamodb").create_table(
        TableName=ENVIRONMENT["CONVERSATIONS_TABLE"],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    row = {"primary_channel": KEY.primary_channel, "conversation_id": KEY.conversation_id}
    told = {"conversation_status": "processing_reply", "last_batch_id": context["meta"]["batch_id"]}
    table.put_item(Item={**row, **told, **changes})

    assert lock_reader(table)(context) is is_ours
    table.delete_item(Key=row)
    assert lock_reader(table)(context) is False


def test_pictures_come_from_the_bucket(aws: Any):
    """The key is taken as it is."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="bucket", Key="a b.png", Body=b"png")

    assert load("s3://bucket/a b.png") == b"png"


@pytest.fixture
def server() -> Iterator[tuple[type[Completions], str]]:
    """A loopback server and its base URL."""
    handler = type("Handler", (Completions,), {"asked": [], "status": 200})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield handler, f"http://127.0.0.1:{one.server_port}/v1"
        one.shutdown()
        thread.join()


def question(*turns: Turn) -> Question:
    return Question("Be kind.", turns, {"messages": [{"message_id": "SM1", "body": "hello"}]}, lambda _: None)


class TestOpenAi:
    def test_any_compatible_server_is_asked(self, server: tuple[type[Completions], str], monkeypatch: Any):
        """By its base URL, with the key of the environment."""
        handler, base_url = server
        monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
        chosen = argparse.Namespace(ai="openai", base_url=base_url, model="m", timeout=10)

        answer = model_of(chosen)(question(Turn("user", "one"), Turn("assistant", "two"), Turn("user", "three")))

        assert answer == "Blue."
        (asked,) = handler.asked
        assert (asked["path"], asked["key"], asked["model"]) == ("/v1/chat/completions", "Bearer sk-1", "m")
        assert asked["messages"] == [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ]

    def test_pictures_are_shown(self, server: tuple[type[Completions], str]):
        """Beside the text."""
        handler, base_url = server

        openai_model(OpenAI(base_url=base_url, api_key="x"), "m", lambda _: b"png")(question(PICTURE))

        assert handler.asked[0]["messages"][1]["content"] == [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(b'png').decode()}"}},
        ]

    def test_without_a_name_the_first_model_of_the_server_answers(self, server: tuple[type[Completions], str]):
        """As servers on one's own machine have one."""
        handler, base_url = server

        answer = openai_model(OpenAI(base_url=base_url, api_key="x"), "")(question(Turn("user", "one")))

        assert answer == "Blue."
        assert [one.get("model", one["path"]) for one in handler.asked] == ["/v1/models", "its-model"]

    def test_a_server_that_fails_is_the_model_s_fault(self, server: tuple[type[Completions], str]):
        """Which the kit retries, and hands off in the end."""
        handler, base_url = server
        handler.status = 500
        model = openai_model(OpenAI(base_url=base_url, api_key="x", max_retries=0), "m")

        with pytest.raises(Exception, match="500"):
            model(question(Turn("user", "one")))


REQUEST = {
    "modelId": "a.model",
    "system": [{"text": "Be kind."}],
    "messages": [
        {
            "role": "user",
            "content": [{"text": "look"}, {"image": {"format": "png", "source": {"bytes": b"png"}}}],
        }
    ],
    "inferenceConfig": {"maxTokens": 1_024},
}


class TestBedrock:
    @pytest.fixture
    def stub(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Stubber]]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        client = Session().create_client("bedrock-runtime", region_name="eu-west-1")
        with Stubber(client) as stubber:
            yield client, stubber

    def test_the_converse_api_is_asked(self, stub: tuple[Any, Stubber]):
        """With text and pictures; its texts are the answer."""
        client, stubber = stub
        content = [{"text": "Bl"}, {"text": "ue."}]
        stubber.add_response(
            "converse",
            {
                "output": {"message": {"role": "assistant", "content": content}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
                "metrics": {"latencyMs": 1},
            },
            REQUEST,
        )
        model = Bedrock(Service(client, Code.INTERNAL_ERROR, Code.CONFIGURATION_ERROR), "a.model", lambda _: b"png")

        assert model(question(PICTURE)) == "Blue."

    @pytest.mark.parametrize(
        ("code", "fault"), [("ThrottlingException", TryAgain), ("AccessDeniedException", Misconfigured)]
    )
    def test_its_faults_say_who_must_act(self, stub: tuple[Any, Stubber], code: str, fault: type[Exception]):
        """The kit retries both, and hands off in the end."""
        client, stubber = stub
        stubber.add_client_error("converse", code)
        model = Bedrock(Service(client, Code.INTERNAL_ERROR, Code.CONFIGURATION_ERROR), "a.model")

        with pytest.raises(fault):
            model(question(PICTURE))


def test_the_worker_is_short():
    """Under 320 lines of code, beside comments and blank lines."""
    files = [*PROJECT.glob("chalicelib/ai_worker/*.py"), *PROJECT.glob("examples/ai_worker/*.py")]

    assert len(files) == 7
    assert sum(code_lines(file.read_text()) for file in files) < 320


def code_lines(source: str) -> int:
    """The lines of a file that hold code: without docstrings, they are what the parser's unparsed form is made from."""
    tree = ast.parse(source)
    texts = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    return sum(1 for number, line in lines if number not in texts and line.strip() and line.strip()[0] != "#")
