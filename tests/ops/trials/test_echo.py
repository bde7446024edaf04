"""The echo of a trial answers its own companies' batches, and leaves everybody else's to their worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from chalicelib.ai_worker.answering import Answering, NoReplies, echo
from chalicelib.errors import Code, TryAgain
from ops.commands.smoke import answers_itself
from ops.trials import echo as echoing
from ops.trials.echo import Echo
from tests.ops.conftest import Stage, deployed
from tests.world import World


@pytest.fixture
def stage() -> Iterator[Stage]:
    with deployed(is_woken=False) as made:
        yield made


def send(stage: Stage, body: str) -> None:
    stage.client("sqs").send_message(QueueUrl=stage.queue_url("ai"), MessageBody=body, MessageGroupId="acme")


def waiting(stage: Stage, role: str) -> list[str]:
    found = stage.client("sqs").receive_message(QueueUrl=stage.queue_url(role), MaxNumberOfMessages=10)
    return [one["Body"] for one in found.get("Messages", [])]


def run(stage: Stage, companies: set[str]) -> tuple[Echo, list[str]]:
    """One look of an echo at the queue; what it sent."""
    sent: list[str] = []
    one = Echo(stage.account(), "replies-engine-dev-ai", Answering(echo, lambda *_: None, NoReplies()), companies)

    def send_one(body: str, _tenant: str) -> None:
        sent.append(body)
        one.stopped.set()

    one.answering = replace(one.answering, send=send_one)
    one.run()
    return one, sent


def test_a_batch_of_the_trial_is_answered_and_deleted(stage: Stage, world: World):
    """With what the customer wrote."""
    send(stage, json.dumps(world.burst_with_ai("are you there?"), default=str))

    _, sent = run(stage, {"acme"})

    assert json.loads(sent[0])["body"] == "You wrote: are you there?"
    assert waiting(stage, "ai") == []


@pytest.mark.parametrize("body", ['{"company": {"company_id": "another"}}', "no batch", "[]"])
def test_another_s_batch_ends_the_echo_and_stays(stage: Stage, body: str):
    """Each receive counts as a failed delivery of the worker whose queue it is."""
    send(stage, body)

    one, sent = run(stage, {"acme"})

    assert (one.met_another, sent) == (True, [])
    assert waiting(stage, "ai") == [body]


def test_a_fault_of_aws_is_waited_out(stage: Stage, world: World, monkeypatch: pytest.MonkeyPatch):
    """The next look may find the batch."""
    send(stage, json.dumps(world.burst_with_ai(), default=str))
    monkeypatch.setattr(echoing, "_PAUSE_SECONDS", 0)
    take, faults = echoing.SqsDeadLetters.take, [TryAgain(Code.QUEUE_ERROR, "ReceiveMessage: throttled")]

    def taken(queue):
        if faults:
            raise faults.pop()
        return take(queue)

    monkeypatch.setattr(echoing.SqsDeadLetters, "take", taken)

    assert len(run(stage, {"acme"})[1]) == 1


def test_a_stage_with_an_ai_of_its_own_is_left_to_it(stage: Stage):
    """Unless the operator says otherwise."""
    alone = stage.find()
    stage.configure_all(AI_WORKER="echo")
    with_worker = stage.find()
    here = replace(alone, account=replace(alone.account, target=replace(alone.target, is_on_this_machine=True)))

    assert [answers_itself(one, None) for one in (alone, with_worker, here)] == [True, False, False]
    assert [answers_itself(with_worker, one) for one in ("echo", "stage")] == [True, False]
