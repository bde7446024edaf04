"""A trace goes on through the queues: from a webhook to the worker of its trigger, the AI and the reply."""

from __future__ import annotations

import pytest

from chalicelib.aws.calls import Service
from chalicelib.aws.clients import Clients
from chalicelib.aws.sqs import SqsQueue
from chalicelib.errors import Code
from chalicelib.handlers.outcomes import recorded_trace
from chalicelib.settings import Settings
from tests.fakes.wire import Answer, Wire
from tests.world import ENVIRONMENT, World

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
TRACE = f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=25:3d0b7a1c:0"


@pytest.fixture
def wire_and_queue(monkeypatch: pytest.MonkeyPatch) -> tuple[Wire, SqsQueue]:
    """The clients that are shipped, on a Lambda function, and what leaves them."""
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_LAMBDA_FUNCTION_NAME": "replies-engine-dev",
    }.items():
        monkeypatch.setenv(name, value)
    client = Clients(Settings.from_environment(ENVIRONMENT)).of("sqs")
    wire = Wire(client, Answer(200, {"QueueUrl": "https://sqs.example/q"}), Answer(200, {"MessageId": "m"}))
    return wire, SqsQueue(Service(client, Code.QUEUE_ERROR, Code.QUEUE_ERROR), "q")


def test_a_message_carries_the_trace_of_its_invocation(
    wire_and_queue: tuple[Wire, SqsQueue], monkeypatch: pytest.MonkeyPatch
):
    """Lambda's own header, which botocore puts on every request: no SDK, no attribute."""
    wire, queue = wire_and_queue
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)

    queue.send("body", group="acme")

    assert wire.headers[-1]["x-amzn-trace-id"] == TRACE
    assert "MessageSystemAttributes" not in wire.requests[-1]


def test_a_later_invocation_of_the_same_process_carries_its_own(
    wire_and_queue: tuple[Wire, SqsQueue], monkeypatch: pytest.MonkeyPatch
):
    """The header is read for each call, and nothing of it is kept."""
    wire, queue = wire_and_queue
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)
    queue.send("body", group="acme")
    later = TRACE.replace(ROOT, "1-5759e999-0000000000000000000000ff")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", later)
    wire._answers.append(Answer(200, {"MessageId": "m"}))

    queue.send("body", group="acme")

    assert wire.headers[-1]["x-amzn-trace-id"] == later


def test_a_worker_s_lines_tell_the_trace_of_whoever_sent_its_message():
    """A batch of messages has a trace of its own, which is none of theirs."""
    world = World()
    world.deliver()
    world.clock.advance(11)
    (trigger,) = world.queues.triggers["whatsapp"].receive()

    world.invoke("whatsapp", [trigger.body], AWSTraceHeader=TRACE, ApproximateReceiveCount="2")

    line = next(line for line in world.telemetry.lines if "sender_trace_id" in line)
    assert (line["sender_trace_id"], line["receive_count"]) == (ROOT, 2)


def test_a_message_s_first_delivery_is_not_counted():
    """Nor does its line tell a first attempt: only what came again is worth a look."""
    world = World()
    world.deliver()
    world.clock.advance(11)
    (trigger,) = world.queues.triggers["whatsapp"].receive()

    world.invoke("whatsapp", [trigger.body], ApproximateReceiveCount="1")

    acquired = next(line for line in world.telemetry.lines if line["step"] == "acquired")
    assert not {"receive_count", "attempt", "sqs_message_id"} & acquired.keys()


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (TRACE, ROOT),
        (f"Self=1-67891234-12456789abcdef012345678; Sampled=1; Root={ROOT}", ROOT),
        (TRACE.replace("Sampled=1", "Sampled=0"), None),
        (f"Root={ROOT}", None),
        ("Sampled=1", None),
        ("", None),
    ],
    ids=["recorded", "in another order", "not recorded", "undecided", "without an id", "no trace"],
)
def test_only_a_trace_that_is_recorded_is_told(header: str, told: str | None):
    """X-Ray finds nothing under the id of another."""
    assert recorded_trace(header) == told


def test_a_trace_that_is_not_recorded_is_in_no_line(monkeypatch: pytest.MonkeyPatch):
    """Neither that of the invocation nor that of its message's sender."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE.replace("Sampled=1", "Sampled=0"))
    world = World()
    world.deliver()
    world.clock.advance(11)
    (trigger,) = world.queues.triggers["whatsapp"].receive()

    world.invoke("whatsapp", [trigger.body], AWSTraceHeader=TRACE.replace("Sampled=1", "Sampled=0"))

    assert world.telemetry.lines
    assert not [line for line in world.telemetry.lines if line.keys() & {"xray_trace_id", "sender_trace_id"}]


def test_a_message_without_a_trace_tells_none():
    """Another system's, or a function's without tracing."""
    world = World()

    world.invoke("whatsapp", ["no trigger"])

    assert world.telemetry.lines
    assert not any("sender_trace_id" in line for line in world.telemetry.lines)


def test_a_webhook_s_first_line_tells_the_id_that_the_provider_was_told():
    """Its header `x-amz-apigw-id`, which no caller can choose."""
    world = World()

    world.deliver()

    line = next(line for line in world.telemetry.lines if "api_request_id" in line)
    assert (line["step"], line["api_request_id"], line["request_id"]) == ("received", "gateway-1", "request-1")


def test_a_line_tells_the_trace_that_it_belongs_to(monkeypatch: pytest.MonkeyPatch):
    """Lambda puts it into the environment of each invocation."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)
    world = World()

    world.deliver()

    line = next(line for line in world.telemetry.lines if "xray_trace_id" in line)
    assert (line["step"], line["xray_trace_id"]) == ("received", ROOT)


def test_a_report_s_answer_is_told_too():
    """By outcome and status, as a webhook's is."""
    world = World()

    world.report("0" * 40, "delivered")

    line = world.telemetry.lines[-1]
    assert (line["step"], line["outcome"], line["status"]) == ("answered_provider", "success", 204)
