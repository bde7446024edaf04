"""Forgetting: nothing of a person is left, nobody else loses anything, and a crash is fixed by repeating."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.errors import EngineError
from chalicelib.protocol.fallbacks import FallbackRequest, Pair
from infrastructure.template import load
from ops.repairs import erasure
from ops.repairs.erasure import PLACES, Reach, count, erase, find, normal
from ops.stage.dead_letters import HOLD_SECONDS
from ops.stage.target import CommandError
from tests.fakes.faults import Crash, FaultPlan, faults_for
from tests.fakes.tables import InMemoryTable
from tests.ops.fakes import InMemoryLetters, InMemoryObjects
from tests.world import COMPANY, CUSTOMER, KEY, World, conversation

OTHER = "+4915199999999"
NAMES = {
    "stage_table": "conversations-stage-local",
    "trigger_lock_table": "conversations-trigger-lock-local",
    "history_table": "conversations-history-local",
    "sends_table": "conversations-sends-local",
    "unknown_senders_table": "unknown-senders-local",
}


def of_other(row: dict[str, Any]) -> dict[str, Any]:
    """The same row as the other person would have left it."""
    told = json.dumps({**row, "conversation_id": "c-2"}, default=int).replace(CUSTOMER, OTHER)
    return dict(json.loads(told))


@dataclass
class Lived:
    """A world in which two people have left traces everywhere."""

    world: World
    reach: Reach
    unknown: InMemoryTable

    @classmethod
    def make(cls, plan: FaultPlan | None = None) -> Lived:
        other = conversation(
            primary_channel=OTHER, conversation_id="c-2", gsi_recipient_tel=OTHER, recipient_tel=OTHER, messages=[]
        )
        world = World(None, conversation(), other)
        document = world.burst_with_ai("my secret")
        world.reply(document, "an answer")
        world.send_replies()
        world.deliver("one more")
        unknown = world.tables.unknown_senders
        assert isinstance(unknown, InMemoryTable)
        for key in (KEY, None):
            owner = KEY.item if key else {"primary_channel": OTHER, "conversation_id": "c-2"}
            sender = CUSTOMER if key else OTHER
            object_key = f"acme/{'1' if key else '2'}/1"
            world.bucket.objects[object_key] = (sender.encode(), "image/png", None)
            media = [{"url": f"s3://attachments/{object_key}"}, {"url": "s3://attachments/globex/3/1"}]
            metadata = {"sender": sender, "recipient": COMPANY}
            entry = {"message_id": f"m-{sender}", "metadata": metadata, "media": media}
            world.tables.history.seed({**owner, "message_id": f"m-{sender}", "entry": entry})
            world.queues.dead_replies.inject(str({**owner}).replace("'", '"'), group="acme")
            unknown.seed({"company_address": COMPANY, "sender": sender})
            reminder = FallbackRequest(Pair(COMPANY, sender), "SM1").body
            world.queues.dead_replies.inject(reminder, group="acme")
            world.queues.replies.inject(reminder, group="acme")
            of_people = {**owner, "source": "human", "reply_id": "r-1", "body": f"to {sender}"}
            world.queues.human_replies.inject(json.dumps(of_people), group="acme")
        world.tables.sends.seed(of_other({**world.sends[0], "send_id": "0" * 40}))
        world.tables.stage.seed(of_other({**world.tables.stage.rows[0], "message_sid": "SMother"}))
        world.bucket.objects["globex/3/1"] = (b"another company's", "image/png", None)
        world.plan.calls.clear()
        world.plan.faults = dict(plan.faults) if plan else {}
        schemas = load("local").tables
        tables: dict[str, Any] = {
            "stage_table": world.tables.stage,
            "trigger_lock_table": world.tables.trigger_lock,
            "history_table": world.tables.history,
            "sends_table": world.tables.sends,
            "unknown_senders_table": unknown,
        }
        reach = Reach(
            engine=world.engine,
            tables={name: (table, schemas[NAMES[name]]) for name, table in tables.items()},
            dead_letters=[InMemoryLetters(world.queues.dead_replies)],
            replies=[InMemoryLetters(world.queues.replies), InMemoryLetters(world.queues.human_replies)],
            objects=InMemoryObjects(world.bucket),
        )
        return cls(world, reach, unknown)

    def erase(self) -> dict[str, int]:
        return erase(self.reach, find(self.reach, CUSTOMER))

    def traces(self, address: str) -> list[str]:
        """Where something of a person still is."""
        tables = self.world.tables
        everything = {
            "record": tables.conversations.rows,
            "stage": tables.stage.rows,
            "history": tables.history.rows,
            "sends": tables.sends.rows,
            "lock": tables.trigger_lock.rows,
            "unknown": self.unknown.rows,
            "bucket": [content.decode() for content, _, _ in self.world.bucket.objects.values()],
            "dead": [one.body for one in self.world.queues.dead_replies.messages],
            "replies": [one.body for one in self.world.queues.replies.messages],
            "people's replies": [one.body for one in self.world.queues.human_replies.messages],
        }
        return [name for name, rows in everything.items() if address in str(list(rows))]


def test_everything_of_a_person_is_counted_before_it_is_erased():
    """By place, records included."""
    lived = Lived.make()

    found = count(lived.reach, find(lived.reach, CUSTOMER))

    assert found == {
        "conversations_table": 1,
        "stage_table": 1,
        "trigger_lock_table": 1,
        "history_table": 1,
        "sends_table": 1,
        "unknown_senders_table": 1,
        "attachments": 1,
        "dead letters": 2,
    }
    assert lived.traces(CUSTOMER)


def test_a_queue_that_cannot_be_looked_through_is_no_proof_that_nothing_is_there(monkeypatch: pytest.MonkeyPatch):
    """The operator is told what to do first, before anything is erased, and every dead letter stays."""
    monkeypatch.setattr(erasure, "DEAD_LETTERS_MAX", 4)
    lived = Lived.make()
    before = len(lived.world.queues.dead_replies.messages)

    with pytest.raises(CommandError, match="redrive or purge it"):
        count(lived.reach, find(lived.reach, CUSTOMER))

    assert len(lived.world.queues.dead_replies.receive()) == before >= 4
    assert "record" in lived.traces(CUSTOMER)


def test_nothing_of_the_person_is_left_and_all_of_another_is():
    """Whose rows lie beside theirs in every place."""
    lived = Lived.make()
    before = lived.traces(OTHER)

    erased = lived.erase()

    assert lived.traces(CUSTOMER) == []
    assert lived.traces(OTHER) == before
    assert sum(erased.values()) == 11
    assert erased["replies on their way"] == 2
    assert "globex/3/1" in lived.world.bucket.objects


def test_others_replies_can_be_sent_at_once_after_an_erasure():
    """They are put back, not left invisible."""
    lived = Lived.make()

    lived.erase()

    queues = lived.world.queues
    assert [len(queue.receive()) for queue in (queues.replies, queues.human_replies)] == [1, 1]


def test_a_count_does_not_read_the_queues_of_replies():
    """A read counts as a failed delivery of everybody's replies."""
    lived = Lived.make()

    count(lived.reach, find(lived.reach, CUSTOMER))

    read = {call.resource for call in lived.world.plan.calls if call.operation == "ReceiveMessage"}
    assert read == {lived.world.queues.dead_replies.name}


def test_a_conversation_on_its_way_to_a_reply_is_not_cut_off():
    """It ends first, or is unlocked first."""
    lived = Lived.make()
    lived.world.clock.advance(11)
    lived.world.work()

    with pytest.raises(CommandError, match="conversation-1 is locked"):
        lived.erase()
    assert "record" in lived.traces(CUSTOMER)


def test_a_record_that_is_locked_meanwhile_is_not_erased():
    """The delete is conditional on the record as it was read."""
    lived = Lived.make()
    person = find(lived.reach, CUSTOMER)
    lived.world.tables.conversations.seed({**lived.world.row, "conversation_status": "processing_reply"})

    with pytest.raises(CommandError, match="keeps changing"):
        erase(lived.reach, person)

    assert "record" in lived.traces(CUSTOMER)


def test_what_a_webhook_stages_in_between_is_erased_by_the_second_look():
    """It had found the conversation before it was gone."""
    lived = Lived.make()
    row = dict(lived.world.tables.stage.rows[0])
    clean = Lived.make()
    clean.erase()
    delete = next(
        number
        for number, call in enumerate(clean.world.plan.calls, start=1)
        if (call.operation, call.resource) == ("DeleteItem", "conversations-local")
    )
    late = {**row, **KEY.item, "message_sid": "SMlate"}
    lived.world.plan.interleave(delete, lambda: lived.world.tables.stage.seed(late))

    lived.erase()

    assert lived.traces(CUSTOMER) == []


def clean_calls() -> list:
    lived = Lived.make()
    lived.erase()
    return lived.world.plan.calls


@pytest.mark.parametrize(
    ("number", "fault"),
    [(number, fault) for number, call in enumerate(clean_calls(), start=1) for fault in faults_for(call)],
)
def test_whichever_call_fails_to_repeat_ends_it(number: int, fault):
    """As long as anything is left, the record is there and leads to it."""
    lived = Lived.make(FaultPlan({number: fault}))
    before = lived.traces(OTHER)

    with suppress(Crash, EngineError, CommandError):
        lived.erase()
    lived.world.plan.revive()
    lived.world.clock.advance(HOLD_SECONDS + 1)
    lived.erase()

    assert lived.traces(CUSTOMER) == []
    assert lived.traces(OTHER) == before


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("whatsapp:+4915112345678", "+4915112345678"),
        ("+4915112345678", "+4915112345678"),
        ("Anna@Example.com", "anna@example.com"),
        ("0049-151 12345678", "+4915112345678"),
    ],
)
def test_an_address_is_read_as_the_provider_or_a_person_writes_it(told: str, address: str):
    """Our tables hold it without a prefix, and in lower case."""
    assert normal(told, ["whatsapp:", ""]) == address


def test_a_person_is_found_by_any_spelling_of_their_number():
    """The operator has one from WhatsApp, the rows have the other."""
    rows = [
        conversation(primary_channel=one, conversation_id=f"c-{number}", gsi_recipient_tel=one, recipient_tel=one)
        for number, one in enumerate(("+525512345678", "+5215512345678", "+525512345679"))
    ]
    world = World(None, *rows)
    world.tables.unknown_senders.seed({"company_address": COMPANY, "sender": "+525512345678"})
    schemas = load("local").tables
    tables = {
        one.setting: (getattr(world.tables, one.setting.removesuffix("_table")), schemas[NAMES[one.setting]])
        for one in PLACES
    }
    reach = Reach(
        engine=world.engine, tables=tables, dead_letters=[], replies=[], objects=InMemoryObjects(world.bucket)
    )

    person = find(reach, normal("whatsapp:+52 1 55 1234 5678", ["whatsapp:"]))
    found = count(reach, person)

    assert sorted(key.conversation_id for key in person.conversations) == ["c-0", "c-1"]
    assert found["unknown_senders_table"] == 1


def test_every_table_that_the_settings_name_is_a_place_or_the_record():
    """A table that comes to hold something of a person is not forgotten."""
    tables = {name for name in World().settings.__dataclass_fields__ if name.endswith("_table")}

    assert tables == {"conversations_table", *(one.setting for one in PLACES)}
