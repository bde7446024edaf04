"""People's side: what waits, who has claimed it, and what is answered, across crashes and repeats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator
from moto import mock_aws

from chalicelib.messages.replies import Reply
from chalicelib.ports.queues import fair_group
from examples.people.__main__ import main
from examples.people.inbox import Inbox, NotPossibleError
from infrastructure.template import load
from tests.world import ENVIRONMENT, KEY, World, conversation

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "reply.json").read_text())
BY_AI = {"requested_by": "ai", "reason": "wants a refund", "handoff_id": "h1", "draft": None}


@pytest.fixture
def world() -> World:
    return World(None, conversation(auto_queue_reply_message=True))


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "people.sqlite")


def handed(world: World, text: str, **handoff: Any) -> dict[str, Any]:
    """What people get for a message, with what asked for them."""
    world.deliver(text)
    (context,) = world.take(world.queues.handoff)
    return {**context, "handoff": {**BY_AI, **handoff}}


def take(inbox: Inbox, context: dict[str, Any]) -> None:
    inbox.take(json.dumps(context))


def sent(inbox: Inbox) -> list[dict[str, Any]]:
    """What the outbox sends; each is valid."""
    bodies: list[dict[str, Any]] = []

    def send(body: str, tenant: str) -> None:
        assert tenant == "acme"
        Draft202012Validator(SCHEMA).validate(json.loads(body))
        Reply.from_body(body)
        bodies.append(json.loads(body))

    inbox.flush(send)
    return bodies


class TestInbox:
    def test_what_is_handed_off_waits(self, world: World, inbox: Inbox):
        """With its messages, the reason and the draft."""
        take(inbox, handed(world, "hello", draft="Hi!"))

        (waiting,) = inbox.waiting()

        assert (waiting.conversation_id, waiting.tenant, waiting.handoff_id) == (KEY.conversation_id, "acme", "h1")
        assert [one["body"] for one in waiting.messages] == ["hello"]
        assert (waiting.about["reason"], waiting.about["draft"], waiting.claimed_by) == ("wants a refund", "Hi!", None)

    def test_what_comes_again_changes_nothing(self, world: World, inbox: Inbox):
        """Neither while it waits nor once it was given back."""
        context = handed(world, "hello")
        take(inbox, context)
        take(inbox, context)
        assert len(inbox.waiting()[0].messages) == 1

        inbox.claim(KEY.conversation_id, "bob")
        inbox.give_back(KEY.conversation_id, "bob")
        take(inbox, context)

        assert inbox.waiting() == []

    def test_the_next_message_joins_what_waits(self, world: World, inbox: Inbox):
        """Who has claimed the conversation keeps it."""
        take(inbox, handed(world, "one"))
        inbox.claim(KEY.conversation_id, "bob")

        take(inbox, handed(world, "two"))

        (waiting,) = inbox.waiting()
        assert [one["body"] for one in waiting.messages] == ["one", "two"]
        assert waiting.claimed_by == "bob"

    def test_a_draft_alone_joins_what_waits(self, world: World, inbox: Inbox):
        """The AI's answer that came too late; the reason stands."""
        context = handed(world, "one")
        take(inbox, context)

        take(inbox, {**context, "messages": [], "handoff": {**BY_AI, "reason": None, "draft": "Late."}})

        assert inbox.waiting()[0].about == {**BY_AI, "draft": "Late."} | {"reason": "wants a refund"}

    def test_a_new_handoff_opens_the_conversation_again(self, world: World, inbox: Inbox):
        """Under its own id; an old document that comes again does not bring the old id back."""
        first = handed(world, "one")
        take(inbox, first)
        inbox.claim(KEY.conversation_id, "bob")
        inbox.give_back(KEY.conversation_id, "bob")

        take(inbox, handed(world, "two", handoff_id="h2", reason="angry"))
        take(inbox, first)

        (waiting,) = inbox.waiting()
        assert (waiting.handoff_id, waiting.about["reason"], waiting.claimed_by) == ("h2", "angry", None)

    def test_one_person_has_a_conversation(self, world: World, inbox: Inbox):
        """The first who claims it, however often."""
        take(inbox, handed(world, "hello"))
        inbox.claim(KEY.conversation_id, "bob")

        assert inbox.claim(KEY.conversation_id, "bob").claimed_by == "bob"
        with pytest.raises(NotPossibleError, match="bob has claimed"):
            inbox.claim(KEY.conversation_id, "eve")

    @pytest.mark.parametrize(
        "act",
        [
            lambda inbox, person: inbox.answer(KEY.conversation_id, person, "x"),
            lambda inbox, person: inbox.give_back(KEY.conversation_id, person),
            lambda inbox, person: inbox.close(KEY.conversation_id, person),
        ],
    )
    def test_only_who_has_it_acts(self, world: World, inbox: Inbox, act: Callable[[Inbox, str], None]):
        """And nothing is sent for anybody else."""
        with pytest.raises(NotPossibleError, match="nobody waits"):
            act(inbox, "bob")
        take(inbox, handed(world, "hello"))

        with pytest.raises(NotPossibleError, match="nobody has claimed"):
            act(inbox, "bob")

        assert sent(inbox) == []

    def test_an_answer_is_sent_once(self, world: World, inbox: Inbox):
        """After a crash it is sent again under the same name, and the customer reads it once."""
        take(inbox, handed(world, "hello"))
        inbox.claim(KEY.conversation_id, "bob")
        inbox.answer(KEY.conversation_id, "bob", "Good evening.")
        bodies: list[str] = []

        def crash(body: str, _: str) -> None:
            bodies.append(body)
            raise ConnectionError

        with pytest.raises(ConnectionError):
            inbox.flush(crash)
        (again,) = sent(inbox)

        assert again == json.loads(bodies[0])
        assert sent(inbox) == []
        for body in (bodies[0], json.dumps(again)):
            world.queues.human_replies.inject(body, group="acme")
        world.send_replies()
        assert world.phone.texts == ["Good evening."]

    def test_a_conversation_is_given_back_by_its_handoff(self, world: World, inbox: Inbox):
        """With last words; then it waits no more."""
        take(inbox, handed(world, "hello"))
        inbox.claim(KEY.conversation_id, "bob")

        inbox.give_back(KEY.conversation_id, "bob", "Done.")

        (reply,) = sent(inbox)
        assert (reply["action"], reply["handoff_id"], reply["body"]) == ("return", "h1", "Done.")
        assert inbox.waiting() == []

    def test_what_the_company_routes_to_people_cannot_be_given_back(self, world: World, inbox: Inbox):
        """Its row says so; closed, it opens again with the next message."""
        take(inbox, handed(world, "hello", requested_by="company", handoff_id=None))
        inbox.claim(KEY.conversation_id, "bob")

        with pytest.raises(NotPossibleError, match="own routing"):
            inbox.give_back(KEY.conversation_id, "bob")
        inbox.close(KEY.conversation_id, "bob")

        assert (sent(inbox), inbox.waiting()) == ([], [])
        take(inbox, handed(world, "more", requested_by="company", handoff_id=None))
        assert len(inbox.waiting()) == 1

    def test_a_document_without_a_handoff_is_the_company_s(self, world: World, inbox: Inbox):
        """As engines of context version 1.0 send it."""
        context = handed(world, "hello")
        del context["handoff"]

        take(inbox, context)

        assert inbox.waiting()[0].handoff_id is None


class TestCommands:
    @pytest.fixture
    def sqs(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        """SQS with the template's queues."""
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "HUMAN_HANDOFF_QUEUE": ENVIRONMENT["HUMAN_HANDOFF_QUEUE"],
            "HUMAN_REPLIES_QUEUE": ENVIRONMENT["HUMAN_REPLIES_QUEUE"],
        }.items():
            monkeypatch.setenv(name, value)
        with mock_aws():
            client = boto3.client("sqs")
            for queue in load("local").queues.values():
                client.create_queue(QueueName=queue.name)
            yield client

    @staticmethod
    def url(sqs: Any, name: str) -> str:
        return str(sqs.get_queue_url(QueueName=ENVIRONMENT[name])["QueueUrl"])

    def test_people_list_claim_answer_and_give_back(
        self, sqs: Any, inbox: Inbox, world: World, capsys: pytest.CaptureFixture[str]
    ):
        """From the handoff queue to the queue of people's replies, in the tenant's message group."""
        handoffs = self.url(sqs, "HUMAN_HANDOFF_QUEUE")
        sqs.send_message(QueueUrl=handoffs, MessageBody=json.dumps(handed(world, "hello", draft="Hi!")))
        sqs.send_message(QueueUrl=handoffs, MessageBody="no context")
        file, key = ["--inbox", str(inbox.path)], KEY.conversation_id

        codes = [
            main([*file, "list"]),
            main([*file, "claim", key, "--as", "bob"]),
            main([*file, "answer", key, "--as", "eve", "No."]),
            main([*file, "answer", key, "--as", "bob", "Good evening."]),
            main([*file, "give-back", key, "--as", "bob"]),
            main([*file, "list"]),
            main([*file, "close", key, "--as", "bob"]),
        ]

        assert codes == [0, 0, 1, 0, 0, 0, 1]
        told = capsys.readouterr()
        assert "reason: wants a refund" in told.out
        assert "hello" in told.out
        assert "the AI's draft: Hi!" in told.out
        assert told.out.rstrip().endswith("nobody waits")
        assert "bob has claimed" in told.err
        assert "left in the queue: JSONDecodeError" in told.err
        answers = sqs.receive_message(
            QueueUrl=self.url(sqs, "HUMAN_REPLIES_QUEUE"), MaxNumberOfMessages=10, AttributeNames=["All"]
        )["Messages"]
        bodies = [json.loads(one["Body"]) for one in answers]
        assert [(one.get("action"), one.get("body")) for one in bodies] == [(None, "Good evening."), ("return", None)]
        assert {one["Attributes"]["MessageGroupId"] for one in answers} == {fair_group("acme")}
