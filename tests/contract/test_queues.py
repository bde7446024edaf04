"""What the engine may rely on of a queue: the same for SQS's engines and for the fake that stands for them."""

from __future__ import annotations

import json

import pytest

from chalicelib.clock import Deadline
from chalicelib.errors import Code, TryAgain
from chalicelib.ports.queues import MESSAGE_BYTES_MAX, encode
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
    assert (delivery.reason, delivery.receive_count) == (None, 1)


def test_a_reason_is_an_attribute_of_the_message(engine: Engine):
    """So that whoever reads a dead letter sees why it is there, and its body is untouched."""
    engine.queue("sms-dlq").send("{}", group="acme", reason="PARSING_ERROR: a trigger is a JSON object")

    delivery = _only(engine.receive("sms-dlq"))

    assert (delivery.body, delivery.reason) == ("{}", "PARSING_ERROR: a trigger is a JSON object")


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


def test_a_message_of_one_mebibyte_is_taken(engine: Engine):
    """Counted in bytes of UTF-8."""
    body = "é" * (MESSAGE_BYTES_MAX // 2)

    engine.queue("ai").send(body, group="acme")

    assert len(_only(engine.receive("ai")).body) == len(body)


@pytest.mark.parametrize(
    "message",
    [
        {"body": "é" * (MESSAGE_BYTES_MAX // 2) + "x"},
        {"body": "x" * MESSAGE_BYTES_MAX, "reason": "r"},
        {"body": "x", "delay_seconds": 901},
        {"body": "x", "delay_seconds": -1},
    ],
    ids=["too large", "too large with its reason", "delayed too long", "delayed into the past"],
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
