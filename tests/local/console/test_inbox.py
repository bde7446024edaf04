"""People's inbox keeps each handoff once, and what it sends is a reply of people in that conversation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from local.console.inbox import Inbox
from local.console.web import Unfit
from local.processes.environment import PROJECT

SCHEMA = json.loads((Path(PROJECT) / "schemas" / "reply.json").read_text())


class Sqs:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message(self, **message: Any) -> None:
        self.sent.append(message)


class Aws:
    def __init__(self) -> None:
        self.sqs = Sqs()

    def queue_url(self, name: str) -> str:
        return f"http://localhost/{name}"


def context(batch_id: str = "b1", **handoff: str) -> dict[str, Any]:
    return {
        "meta": {"batch_id": batch_id},
        "conversation": {"conversation_id": "sunrise-clara", "primary_channel": "+447700900113"},
        "company": {"company_id": "company-sunrise", "company_name": "Sunrise Travel"},
        "messages": [{"message_id": "SM1", "body": "A person, please", "timestamp": "2026-01-05T00:00:00+00:00"}],
        "history": [],
        **({"handoff": handoff} if handoff else {}),
    }


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(aws=Aws(), handoff_queue="human-handoff", replies_queue="human-replies")


def test_a_context_that_comes_again_is_kept_once(inbox: Inbox):
    inbox.receive(context())
    inbox.receive(context())

    assert len(inbox.documents) == 1
    assert len(inbox.take_new()) == 1


def test_an_answer_is_a_valid_reply_of_people(inbox: Inbox):
    inbox.receive(context())
    name = inbox.documents[0]["id"]

    inbox.answer(name, "I will call you.")

    (sent,) = inbox.aws.sqs.sent
    reply = json.loads(sent["MessageBody"])
    jsonschema.validate(reply, SCHEMA)
    assert (reply["source"], reply["body"], sent["MessageGroupId"]) == ("human", "I will call you.", "company-sunrise")
    assert sent["QueueUrl"].endswith("human-replies")
    assert inbox.documents[0]["answers"] == ["I will call you."]


def test_a_conversation_is_given_back_by_the_id_of_its_handoff(inbox: Inbox):
    inbox.receive(context(handoff_id="h1", reason="The customer is angry", requested_by="ai"))
    name = inbox.documents[0]["id"]

    inbox.give_back(name)

    reply = json.loads(inbox.aws.sqs.sent[0]["MessageBody"])
    jsonschema.validate(reply, SCHEMA)
    assert (reply["action"], reply["handoff_id"]) == ("return", "h1")
    assert inbox.documents[0]["done"] is True


@pytest.mark.parametrize(
    ("act", "words"),
    [
        pytest.param(lambda inbox, name: inbox.answer(name, "  "), "blank", id="a blank answer"),
        pytest.param(lambda inbox, _: inbox.answer("no such item", "Hello"), "no longer", id="an unknown item"),
        pytest.param(lambda inbox, name: inbox.give_back(name), "the company changes that", id="not ours to give back"),
    ],
)
def test_what_cannot_be_done_is_refused_and_sends_nothing(inbox: Inbox, act: Any, words: str):
    inbox.receive(context())

    with pytest.raises(Unfit, match=words):
        act(inbox, inbox.documents[0]["id"])

    assert inbox.aws.sqs.sent == []


def test_the_inbox_stays_bounded_and_drops_what_is_done_first(inbox: Inbox):
    inbox.receive(context("open"))
    inbox.receive(context("done"))
    inbox.close("sunrise-clara done")
    for number in range(99):
        inbox.receive(context(f"b{number}"))

    names = {one["id"] for one in inbox.documents}
    assert len(names) == 100
    assert "sunrise-clara open" in names
    assert "sunrise-clara done" not in names
