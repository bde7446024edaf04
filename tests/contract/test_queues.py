"""What the engine may rely on of a queue: the same for SQS's engines and for the fake that stands for them."""

from __future__ import annotations

import json

import pytest

from chalicelib.clock import Deadline
from chalicelib.errors import Code, TryAgain
from chalicelib.ports.queues import MESSAGE_BYTES_MAX, Attributes, cut_to_fit, encode
from tests.contract.engines import Delivery, Engine
from tests.fakes.clock import FakeClock

VISIBILITY_SECONDS = 180
RECEIVES_MAX = 5


@pytest.fixture(autouse=True)
def emptied(engine: Engine):
    """Nothing of another test is in the queues."""
    engine.empty()


def _only(deliveries: list[Delivery]) -> Delivery:
    (one,) = deliveries
    return one


def test_a_message_is_delivered_with_its_body_and_its_group(engine: Engine):
    """The group is the tenant, spelled as SQS takes it."""
    engine.queue("sms").send("hello", group="Acme GmbH / Köln")

    delivery = _only(engine.receive("sms"))

    assert (delivery.body, delivery.group) == ("hello", "Acme-GmbH-/-K-ln")
    assert (delivery.attributes, delivery.receive_count) == ({}, 1)


def test_attributes_travel_beside_the_body(engine: Engine):
    """Texts and numbers; the body is untouched."""
    told = {"conversation_id": "c-1", "RetryAttempt": 3, "reason": "PARSING_ERROR: a trigger is a JSON object"}

    engine.queue("sms-dlq").send("{}", group="acme", attributes=told)

    delivery = _only(engine.receive("sms-dlq"))
    assert delivery.body == "{}"
    assert delivery.attributes == {name: str(value) for name, value in told.items()}


def test_an_attribute_may_hold_any_text(engine: Engine):
    """What SQS refuses is replaced, and an empty text is left out: a company's ids are its own."""
    awkward = '\x00\x08\x1f\t\n"\\ é 👋 \ufffe\ud800 \x7f'

    engine.queue("sms").send("{}", group="acme", attributes={"conversation_id": awkward, "reason": ""})

    told = '\ufffd\ufffd\ufffd\t\n"\\ é 👋 \ufffd\ufffd \x7f'
    assert _only(engine.receive("sms")).attributes == {"conversation_id": told}


def test_a_delayed_message_is_delivered_after_its_delay(engine: Engine):
    """And not before."""
    engine.queue("sms").send("later", group="acme", delay_seconds=10)
    at_once = engine.receive("sms")
    engine.advance(9)
    too_early = engine.receive("sms")

    engine.advance(2)

    assert [at_once, too_early] == [[], []]
    assert _only(engine.receive("sms")).body == "later"


def test_a_received_message_comes_again_after_its_visibility_timeout(engine: Engine):
    """It was not deleted: the receive count tells how often it came."""
    engine.queue("sms").send("again", group="acme")
    engine.receive("sms")
    engine.advance(VISIBILITY_SECONDS - 1)
    in_flight = engine.receive("sms")

    engine.advance(2)

    assert in_flight == []
    assert _only(engine.receive("sms")).receive_count == 2


def test_a_message_received_too_often_becomes_a_dead_letter(engine: Engine):
    """As the template's redrive policy says."""
    engine.queue("sms").send("poison", group="acme")
    for _ in range(RECEIVES_MAX):
        engine.receive("sms")
        engine.advance(VISIBILITY_SECONDS + 1)

    after = engine.receive("sms")

    assert after == []
    assert _only(engine.receive("sms-dlq")).body == "poison"


def test_every_character_that_a_document_may_hold_survives(engine: Engine):
    """`encode` spells as escapes what SQS refuses: controls, U+FFFE, U+FFFF and lone surrogates."""
    awkward = '\x00\x08\x1f\t\r\n"\\ é 👋 \ufffd\ufffe\uffff \ud800 \udfff \x7f\x85\u2028'

    engine.queue("ai").send(encode({"body": awkward}), group="acme")

    assert json.loads(_only(engine.receive("ai")).body) == {"body": awkward}


@pytest.mark.parametrize("attributes", [{}, {"conversation_id": "é" * 512, "RetryAttempt": 3}], ids=["alone", "both"])
def test_a_message_of_one_mebibyte_is_taken(engine: Engine, attributes: Attributes):
    """Counted in bytes of UTF-8, its attributes included."""
    body = cut_to_fit("é" * (MESSAGE_BYTES_MAX // 2), attributes)

    engine.queue("ai").send(body, group="acme", attributes=attributes)

    assert len(_only(engine.receive("ai")).body) == len(body)


@pytest.mark.parametrize(
    "message",
    [
        {"body": "é" * (MESSAGE_BYTES_MAX // 2) + "x"},
        {"body": "x" * MESSAGE_BYTES_MAX, "attributes": {"reason": "r"}},
        {"body": "x", "delay_seconds": 901},
        {"body": "x", "delay_seconds": -1},
    ],
    ids=["too large", "too large with its attributes", "delayed too long", "delayed into the past"],
)
def test_what_no_queue_takes_is_a_programming_error(engine: Engine, message: dict[str, object]):
    """The caller trims contexts and bounds delays before."""
    before = engine.calls()

    with pytest.raises(AssertionError):
        engine.queue("ai").send(**message, group="acme")

    assert engine.calls() == before


def test_after_its_deadline_a_queue_makes_no_call(engine: Engine):
    """The message was certainly not sent."""
    late = engine.queue("ai").within(Deadline.after(FakeClock(), 0))
    before = engine.calls()

    with pytest.raises(TryAgain) as refused:
        late.send("x", group="acme")

    assert (refused.value.code, refused.value.maybe_applied) == (Code.QUEUE_ERROR, False)
    assert engine.calls() == before
