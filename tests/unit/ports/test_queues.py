"""How a document becomes the body of a message."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chalicelib.errors import Code, Misconfigured
from chalicelib.ports.queues import Queues, encode, fair_group
from tests.fakes.clock import FakeClock
from tests.fakes.queues import InMemoryQueue

# What SQS takes, as its SendMessage documents it.
TAKEN_BY_SQS = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


@given(text=some.text(alphabet=some.characters(exclude_categories=())))
def test_any_text_survives_in_characters_that_sqs_takes(text: str):
    """Lone surrogates, U+FFFE, U+FFFF and controls are spelled as escapes."""
    body = encode({"body": text})

    assert TAKEN_BY_SQS.fullmatch(body)
    assert json.loads(body) == {"body": text}


def test_a_body_is_compact_and_readable():
    """No blanks, and letters are letters: 1 MiB holds more of a history."""
    document = {"body": "Grüße 👋", "media": [{"url": "u"}]}

    body = encode(document)

    assert body == '{"body":"Grüße 👋","media":[{"url":"u"}]}'


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Decimal(1), "1"),
        (Decimal("1E+2"), "100"),
        (Decimal("1.50"), "1.5"),
        (Decimal("-0.1"), "-0.1"),
        ({"b", "a"}, '["a","b"]'),
        ({Decimal(2), Decimal(1)}, "[1,2]"),
    ],
)
def test_what_dynamodb_returns_is_told_as_json_can_tell_it(value: object, told: str):
    """Numbers as numbers, whole ones without a fraction; sets as sorted lists."""
    body = encode({"value": value})

    assert body == f'{{"value":{told}}}'


@given(tenant=some.text())
def test_any_tenant_has_a_group_that_sqs_takes(tenant: str):
    """1 to 128 characters of ASCII, none of them blank."""
    group = fair_group(tenant)

    assert re.fullmatch(r"[!-~]{1,128}", group)


def test_tenants_named_in_ascii_keep_their_names():
    """So that an operator recognises them."""
    group = fair_group("acme_gmbh.eu-1")

    assert group == "acme_gmbh.eu-1"


def test_a_channel_without_a_queue_is_our_fault():
    """And named."""
    queue = InMemoryQueue("ai", FakeClock())
    queues = Queues(
        triggers={"sms": queue},
        dead_triggers={"sms": queue},
        handoff=queue,
        ai=queue,
        replies=queue,
        dead_replies=queue,
        human_replies=queue,
        dead_human_replies=queue,
    )

    with pytest.raises(Misconfigured) as refused:
        queues.trigger("pigeon")

    assert refused.value.code == Code.ROUTING_ERROR
    assert "pigeon" in refused.value.detail
