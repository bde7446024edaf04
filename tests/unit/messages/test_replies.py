"""Replies: the parser is what `schemas/reply.json` says, and a reply stays the same reply however often it comes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from chalicelib.errors import Code, Rejected
from chalicelib.messages import splitting
from chalicelib.messages.contents import CONTENT_BYTES_MAX, MESSAGES_MAX
from chalicelib.messages.replies import DRAFT_LENGTH_MAX, REASON_LENGTH_MAX, Action, Reply, Source
from chalicelib.protocol import history
from chalicelib.protocol.entries import entry_bytes

SCHEMA = json.loads((Path(__file__).parents[3] / "schemas" / "reply.json").read_text())

AI = {"conversation_id": "c-1", "primary_channel": "+4915112345678", "batch_id": "b-1", "body": "Hello"}
HUMAN = {
    "conversation_id": "c-1",
    "primary_channel": "+4915112345678",
    "source": "human",
    "reply_id": "r-1",
    "body": "Hi",
}
MEDIA = ["https://a.example/1.png"]


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


DOCUMENTS = {
    "as long as it may be": {**AI, "body": "a" * (CONTENT_BYTES_MAX - 20)},
    "longer than it may be": {**AI, "body": "a" * (CONTENT_BYTES_MAX + 1)},
    "an AI's text": AI,
    "with a version": {**AI, "version": "1.0"},
    "of another version": {**AI, "version": "2.0"},
    "with a number for a version": {**AI, "version": 1.0},
    "with null for a version": {**AI, "version": None},
    "that says who it is": {**AI, "source": "ai"},
    "of a robot": {**AI, "source": "robot"},
    "of nobody": {**AI, "source": None},
    "of a list": {**AI, "source": ["ai"]},
    "with media": {**AI, "media_urls": MEDIA},
    "of media alone": {**without(AI, "body"), "media_urls": MEDIA},
    "of media and a blank body": {**AI, "body": "", "media_urls": MEDIA},
    "of a template": {**without(AI, "body"), "content_sid": "HX1", "content_variables": {"1": "Ann"}},
    "of a template without variables": {**without(AI, "body"), "content_sid": "HX1"},
    "of a template in place of its body": {**AI, "content_sid": "HX1"},
    "with variables of no template": {**AI, "content_variables": {"1": "Ann"}},
    "with nulls": {**AI, "content_sid": None, "content_variables": None, "media_urls": None, "RetryAttempt": None},
    "come again": {**AI, "RetryAttempt": 3, "reply_id": "digest"},
    "with more than is known": {**AI, "confidence": 0.9},
    "without a body": without(AI, "body"),
    "with a blank body": {**AI, "body": ""},
    "with a body of white space": {**AI, "body": " \n\u3000"},
    "with null for a body": {**AI, "body": None},
    "with a number for a body": {**AI, "body": 7},
    "with a blank template": {**without(AI, "body"), "content_sid": ""},
    "with a number for a template": {**AI, "content_sid": 7},
    "with a number for a variable": {**AI, "content_sid": "HX1", "content_variables": {"1": 7}},
    "with a list of variables": {**AI, "content_sid": "HX1", "content_variables": []},
    "with a text of variables": {**AI, "content_sid": "HX1", "content_variables": "{}"},
    "with no media": {**without(AI, "body"), "media_urls": []},
    "with a text for media": {**AI, "media_urls": MEDIA[0]},
    "with a blank text for media": {**AI, "media_urls": ""},
    "with media that anybody may read on the way": {**AI, "media_urls": ["http://a.example/1.png"]},
    "with a number among its media": {**AI, "media_urls": [*MEDIA, 7]},
    "without a batch": without(AI, "batch_id"),
    "with a blank batch": {**AI, "batch_id": ""},
    "with null for a batch": {**AI, "batch_id": None},
    "without a conversation": without(AI, "conversation_id"),
    "with a blank conversation": {**AI, "conversation_id": ""},
    "with a number for a conversation": {**AI, "conversation_id": 7},
    "without a primary channel": without(AI, "primary_channel"),
    "with a number for a reply id": {**AI, "reply_id": 7},
    "with null for a reply id": {**AI, "reply_id": None},
    "with an attempt below zero": {**AI, "RetryAttempt": -1},
    "with half an attempt": {**AI, "RetryAttempt": 0.5},
    "with a flag for an attempt": {**AI, "RetryAttempt": True},
    "with a text for an attempt": {**AI, "RetryAttempt": "1"},
    "a person's": HUMAN,
    "a person's with a batch": {**HUMAN, "batch_id": "b-1"},
    "a person's without a name": without(HUMAN, "reply_id"),
    "a person's with a blank name": {**HUMAN, "reply_id": ""},
    "a person's without a body": without(HUMAN, "body"),
    "a person's with null for a batch": {**HUMAN, "batch_id": None},
    "a person's with a number for a batch": {**HUMAN, "batch_id": 7},
    "of the newest version": {**AI, "version": "1.1"},
    "that sends": {**AI, "action": "send"},
    "of an unknown action": {**AI, "action": "shout"},
    "with null for an action": {**AI, "action": None},
    "with a list for an action": {**AI, "action": ["send"]},
    "interim": {**AI, "final": False},
    "final": {**AI, "final": True},
    "with null for final": {**AI, "final": None},
    "with a text for final": {**AI, "final": "no"},
    "with a number for final": {**AI, "final": 0},
    "of two messages": {**without(AI, "body"), "messages": [{"body": "one"}, {"content_sid": "HX1"}]},
    "of messages and nulls": {**AI, "body": None, "messages": [{"body": "one", "media_urls": None}]},
    "of messages and a blank body": {**AI, "body": " ", "messages": [{"body": "one"}]},
    "of messages and a body": {**AI, "messages": [{"body": "one"}]},
    "of messages and media": {**without(AI, "body"), "media_urls": MEDIA, "messages": [{"body": "one"}]},
    "of messages and a template": {**without(AI, "body"), "content_sid": "HX1", "messages": [{"body": "one"}]},
    "of no messages": {**without(AI, "body"), "messages": []},
    "of a body and no messages": {**AI, "messages": []},
    "of a body and null for messages": {**AI, "messages": None},
    "of as many messages as it may have": {**without(AI, "body"), "messages": [{"body": "one"}] * MESSAGES_MAX},
    "of more messages than it may have": {**without(AI, "body"), "messages": [{"body": "one"}] * (MESSAGES_MAX + 1)},
    "of an empty message": {**without(AI, "body"), "messages": [{"body": "one"}, {}]},
    "of a blank message": {**without(AI, "body"), "messages": [{"body": " "}]},
    "of a text for a message": {**without(AI, "body"), "messages": ["one"]},
    "of a message with http media": {**without(AI, "body"), "messages": [{"media_urls": ["http://a.example/1"]}]},
    "of a message with a number for a text": {**without(AI, "body"), "messages": [{"body": 7}]},
    "of a message with more than is known": {**without(AI, "body"), "messages": [{"body": "one", "tone": "kind"}]},
    "none": {**without(AI, "body"), "action": "none"},
    "none with a blank body": {**AI, "action": "none", "body": ""},
    "none with a body": {**AI, "action": "none"},
    "none with messages": {**without(AI, "body"), "action": "none", "messages": [{"body": "one"}]},
    "none without a batch": {**without(AI, "body", "batch_id"), "action": "none"},
    "extend": {**without(AI, "body"), "action": "extend"},
    "extend with effects": {**without(AI, "body"), "action": "extend", "effects": True},
    "extend with a text for effects": {**without(AI, "body"), "action": "extend", "effects": "yes"},
    "extend with a body": {**AI, "action": "extend"},
    "handoff with words": {**AI, "action": "handoff", "reason": "angry", "draft": "Dear Ann"},
    "handoff without words": {**without(AI, "body"), "action": "handoff"},
    "handoff with messages": {**without(AI, "body"), "action": "handoff", "messages": [{"body": "one"}]},
    "handoff with nulls": {**without(AI, "body"), "action": "handoff", "reason": None, "draft": None},
    "handoff with a number for a reason": {**without(AI, "body"), "action": "handoff", "reason": 7},
    "handoff with a list for a draft": {**without(AI, "body"), "action": "handoff", "draft": ["Dear Ann"]},
    "handoff with a long reason": {**without(AI, "body"), "action": "handoff", "reason": "a" * 1_000_000},
    "handoff without a batch": {**without(AI, "batch_id"), "action": "handoff"},
    "return of the AI": {**AI, "action": "return", "handoff_id": "h-1"},
    "a person's return": {**without(HUMAN, "body"), "action": "return", "handoff_id": "h-1"},
    "a person's return with words": {**HUMAN, "action": "return", "handoff_id": "h-1"},
    "a person's return of nothing": {**without(HUMAN, "body"), "action": "return"},
    "a person's return of a blank": {**without(HUMAN, "body"), "action": "return", "handoff_id": ""},
    "a person's return without a name": {**without(HUMAN, "body", "reply_id"), "action": "return", "handoff_id": "h"},
    "a person's handoff": {**HUMAN, "action": "handoff"},
    "a person's none": {**without(HUMAN, "body"), "action": "none"},
    "a person's extend": {**without(HUMAN, "body"), "action": "extend"},
    "a person's of two messages": {**without(HUMAN, "body"), "messages": [{"body": "one"}, {"body": "two"}]},
    "nothing": {},
    "a list": [AI],
    "a text": "Hello",
    "null": None,
}

REPLIES = st.fixed_dictionaries(
    {
        "conversation_id": st.text(min_size=1),
        "primary_channel": st.text(min_size=1),
        "body": st.text().map(lambda text: f"Hello {text}"),
    },
    optional={
        "content_sid": st.text(),
        "content_variables": st.dictionaries(st.text(), st.text(), max_size=3),
        "media_urls": st.lists(st.text().map(lambda text: f"https://{text}"), max_size=3),
    },
).flatmap(
    lambda told: st.sampled_from(
        [{**told, "batch_id": "b-1"}, {**told, "batch_id": "b-1", "reply_id": "r-1"}, {**HUMAN, **told}]
    )
)

_SILENT = {**without(AI, "body")}
TURNS = (
    st.fixed_dictionaries({"action": st.just("handoff")}, optional={"reason": st.text(), "draft": st.text()})
    | st.fixed_dictionaries({"action": st.just("extend")}, optional={"effects": st.booleans()})
    | st.just({"action": "none"})
    | st.just({**HUMAN, "action": "return", "handoff_id": "h-1"})
    | st.just({"body": "Hello", "final": False})
    | st.lists(st.text().map(lambda text: {"body": f"x{text}"}), min_size=1, max_size=3).map(
        lambda messages: {"messages": messages}
    )
).map(lambda told: {**_SILENT, **told})


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_parser_and_schema_agree_on_a_document(document):
    """What the parser accepts is what the schema calls valid."""
    is_valid = Draft202012Validator(SCHEMA).is_valid(document)

    try:
        Reply.from_body(json.dumps(document))
        is_accepted = True
    except Rejected:
        is_accepted = False

    assert is_accepted == is_valid


def test_the_table_holds_both_good_and_bad_documents():
    """A parser that agrees on refusals alone would agree on nothing."""
    validator = Draft202012Validator(SCHEMA)

    verdicts = [validator.is_valid(document) for document in DOCUMENTS.values()]

    assert min(verdicts.count(True), verdicts.count(False)) > 10


@pytest.mark.parametrize(
    "told",
    [
        {"body": "ä" * (CONTENT_BYTES_MAX // 2)},
        {"content_variables": {"1": "a" * CONTENT_BYTES_MAX}},
        {"media_urls": ["https://example.com/" + "a" * CONTENT_BYTES_MAX]},
    ],
)
def test_a_reply_says_no_more_than_a_record_has_room_for(told: dict):
    """Whatever it says it with: once sent it could not be recorded, and the conversation would stay locked."""
    with pytest.raises(Rejected, match="no more than 49152 bytes"):
        Reply.from_body(json.dumps({**AI, **told}))


def test_the_longest_reply_fits_into_what_is_left_of_a_record():
    """In as many parts as it takes, with all that the record keeps beside each."""
    reply = Reply.from_body(json.dumps({**AI, "body": "a " * (CONTENT_BYTES_MAX // 2 - 10)}))
    beside = {
        **dict.fromkeys(("message_id", "direction", "timestamp", "channel_type", "source", "send_id"), "x" * 40),
        "batch_id": "x" * 40,
        "metadata": {"sender": "x" * 40, "recipient": "x" * 40},
    }

    entries = [{**beside, "content": part} for part in splitting.split(reply.text.strip(), 1_600)]

    assert sum(map(entry_bytes, entries)) < 409_600 - history.ENTRIES_BYTES_MAX


@pytest.mark.parametrize("body", ["", "{", "Hello", "[" * 100_000], ids=["nothing", "half", "a text", "too deep"])
def test_what_is_no_json_is_refused(body):
    """With the reason, which goes to the dead-letter queue."""
    with pytest.raises(Rejected, match="a reply is JSON") as refusal:
        Reply.from_body(body)

    assert refusal.value.code is Code.PARSING_ERROR


@pytest.mark.parametrize("name", ["conversation_id", "primary_channel", "batch_id", "body"])
def test_a_refusal_names_what_is_missing_and_tells_no_value(name):
    """Whoever wrote the reply finds the fault; whoever reads the log learns nothing of the customer."""
    document = without(AI, name)

    with pytest.raises(Rejected) as refusal:
        Reply.from_body(json.dumps(document))

    assert name in refusal.value.detail
    assert not any(value in refusal.value.detail for value in document.values())


def test_a_reply_is_the_ais_unless_it_says_otherwise():
    """The AI's names its batch, a person's does not, whatever it says."""
    documents = [AI, {**HUMAN, "batch_id": "b-1"}]

    replies = [Reply.from_body(json.dumps(document)) for document in documents]

    assert [(reply.source, reply.batch_id) for reply in replies] == [(Source.AI, "b-1"), (Source.HUMAN, None)]


@given(REPLIES | TURNS)
def test_a_reply_that_comes_again_is_the_same_reply(document):
    """Its message, sent to its own queue, parses back to it, and is valid itself; so is each further one."""
    reply = Reply.from_body(json.dumps(document))

    again = Reply.from_body(reply.again().message)

    assert again == replace(reply, attempt=1)
    assert Draft202012Validator(SCHEMA).is_valid(json.loads(reply.message))


@given(REPLIES | TURNS)
def test_the_same_reply_has_the_same_id_however_it_is_written(document):
    """The order of its fields, fields that are empty and how often it came make no other reply of it."""
    turned = dict(reversed(document.items())) | {"RetryAttempt": 4, "unknown": 1}
    empty = {"content_sid": None, "content_variables": {}, "media_urls": []}

    replies = [
        Reply.from_body(json.dumps(one, indent=indent))
        for one, indent in [(document, None), (turned, 2), ({**empty, **document}, None)]
    ]

    assert len({reply.reply_id for reply in replies}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"body": "Hello!"},
        {"batch_id": "b-2"},
        {"media_urls": MEDIA},
        {"content_sid": "HX1"},
        {"content_sid": "HX1", "content_variables": {"1": "Ann"}},
        {"final": False},
        {"action": "handoff"},
        {"body": None, "messages": [{"body": "Hello"}, {"body": "again"}]},
    ],
)
def test_another_reply_has_another_id(change):
    """A second answer is told from the first one that comes twice."""
    first, second = AI, {**AI, **change}

    ids = [Reply.from_body(json.dumps(document)).reply_id for document in (first, second)]

    assert ids[0] != ids[1]


def test_an_id_of_the_senders_own_is_kept():
    """By it a reply may even change its words and stay the same."""
    documents = [{**AI, "reply_id": "mine"}, {**AI, "reply_id": "mine", "body": "Hello again"}]

    ids = [Reply.from_body(json.dumps(document)).reply_id for document in documents]

    assert ids == ["mine", "mine"]


def test_a_reply_that_the_first_version_could_say_keeps_its_id_and_its_form():
    """An engine of that version sends it under the same id, while both are at work."""
    reply = Reply.from_body(json.dumps({**AI, "version": "1.1", "messages": None, "action": "send"}))

    assert reply.reply_id == "7a294ef9357af08b9c96f1b4a795f5980bfd2590aa27318936bc96ca32d29364"
    assert set(json.loads(reply.message)) == {
        *AI,
        "version",
        "source",
        "reply_id",
        "content_variables",
        "media_urls",
        "RetryAttempt",
    }
    assert json.loads(reply.message)["version"] == "1.0"


def test_one_message_of_a_list_is_the_same_reply_as_its_body():
    """A worker may always use the list."""
    listed = Reply.from_body(json.dumps({**without(AI, "body"), "messages": [{"body": AI["body"]}]}))

    assert listed == Reply.from_body(json.dumps(AI))


def test_a_reason_and_a_draft_beyond_their_length_are_cut_and_named():
    """A megabyte of either fits on no record; what is kept is the beginning."""
    document = {**without(AI, "body"), "action": "handoff", "reason": "r" * 500_000, "draft": "d" * 500_000}

    reply = Reply.from_body(json.dumps(document))

    assert reply.action is Action.HANDOFF
    assert (reply.reason, reply.draft) == ("r" * REASON_LENGTH_MAX, "d" * DRAFT_LENGTH_MAX)
    assert reply.clamped == ("reason", "draft")


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ({**AI, "action": "shout"}, "a reply's action is one of send, none, handoff, extend, return"),
        ({**HUMAN, "action": "none"}, "a reply of source human has no action none"),
        ({**AI, "action": "none"}, "a reply of action none sends nothing"),
        ({**without(AI, "body"), "messages": [{"body": "x"}] * 11}, "a reply has at most 10 messages"),
    ],
)
def test_a_refusal_names_the_rule(document, detail):
    """It goes to the dead-letter queue as the reason."""
    with pytest.raises(Rejected) as refusal:
        Reply.from_body(json.dumps(document))

    assert refusal.value.detail == detail
