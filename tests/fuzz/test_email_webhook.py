"""The e-mail webhook, whatever comes: each request is answered by the table; what is taken is kept, small and safe."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as some

from chalicelib.channels.channel import AnswerStyle
from chalicelib.errors import Code
from chalicelib.inbound import responses
from local.requests.email_signatures import key_pair
from tests.emails import CUSTOMER_EMAIL, Email, signature
from tests.fuzz import rules
from tests.fuzz.emails import BENDS, BODIES, EMAILS, PIECES, TEXTS, bent
from tests.unit.inbound.test_receiving_email import ROW_BYTES_MAX, size_of
from tests.world import World, email_conversation

FUZZ = settings.get_profile("fuzz")
FORGED = key_pair()[0]
CONTENT_TYPE = Email().content_type
CONTROLS = {*map(chr, range(32)), *map(chr, range(127, 160)), "\u2028", "\u2029", "\u202e"}


def world_of(**settings: str) -> World:
    return World(None, email_conversation(), **settings)


def received(world: World, body: bytes, content_type: str = CONTENT_TYPE, *, forge: bool = False) -> str:
    """Post the body and hold the answer against every rule; the outcome that was told."""
    headers = {"Content-Type": content_type, **signature(body, FORGED if forge else None)}
    response = world.post_bytes(body, headers)

    outcome = [line["outcome"] for line in world.telemetry.lines if line["step"] == "answered_provider"][-1]
    answer = responses.answer(AnswerStyle.JSON, None if outcome == "success" else Code(outcome))
    assert (response.status_code, response.body) == (answer.status, answer.body)
    rules.nothing_surprised_us(world)
    rules.no_retry_is_asked_for(world, response)
    if forge:
        assert all(call.kind == "read" for call in world.plan.calls)
    if outcome == "success":
        assert world.staged_ids or world.entry_ids
    for row in world.tables.stage.rows:
        is_small_and_safe(row)
    rules.nothing_personal_is_told(world, {CUSTOMER_EMAIL, "customer.example", "victim@other.example"})
    event(outcome)
    return outcome


def is_small_and_safe(row: dict[str, Any]) -> None:
    """Nothing in it can begin a header, and it has room for what the protocol adds."""
    (message,) = row["context_object"]["messages"]
    lines = [message["from"], message["to"], *message["extras"].values(), *message["extras"]]
    lines += [one[name] for one in message["media"] for name in ("filename", "content_type", "url") if name in one]
    assert not [one for one in lines if CONTROLS & set(one)]
    json.dumps(message, default=str).encode()
    message["body"].encode()
    assert size_of(row) < ROW_BYTES_MAX


class TestEMails:
    @FUZZ
    @given(
        email=EMAILS,
        forge=some.booleans(),
        chosen=some.sampled_from([{}, {"unauthenticated_email": "failed=refuse,none=refuse"}]),
    )
    def test_any_e_mail_has_an_answer(self, email, forge, chosen):
        """Whatever stands in fields, headers and parts: the table's answer, and no effect without proof."""
        received(world_of(**chosen), email.body, forge=forge)

    @FUZZ
    @given(
        body=BODIES, content_type=some.just(CONTENT_TYPE) | TEXTS | some.builds("multipart/form-data; {}".format, TEXTS)
    )
    # A recorded request that ends within its last part.
    @example(body=Email().body[:-12], content_type=CONTENT_TYPE)
    def test_any_bytes_have_an_answer(self, body, content_type):
        """Recorded requests bent at any place, and nobody's; under any content type."""
        assume(content_type.isprintable())

        received(world_of(), body, content_type)

    @FUZZ
    @given(email=EMAILS, bends=some.lists(BENDS, min_size=1, max_size=3))
    def test_any_raw_e_mail_has_an_answer(self, email, bends):
        """The MIME of one, bent at any place, within a form that is whole."""
        raw = Email(is_raw=True, fields={"email": bent(email.mime, bends) or b"x"}, boundary="of-the-form")

        outcome = received(world_of(), raw.body, raw.content_type)

        assert outcome in {"success", "AUTOMATIC_MESSAGE", "CONVERSATION_NOT_FOUND"}

    @FUZZ
    @given(email=EMAILS, boundary=some.sampled_from(["another", "x" * 70, "a-b_c"]))
    def test_a_retry_changes_nothing_more(self, email, boundary):
        """The same e-mail under another boundary finds what the first one left."""
        world = world_of()
        first = received(world, email.body)
        rows, objects = world.staged_ids, len(world.bucket.objects)

        again = Email(**{**vars(email), "boundary": boundary})
        assume(boundary.encode() not in email.body)
        second = received(world, again.body, again.content_type)

        assert second == first
        assert world.staged_ids == rows
        assert len(world.bucket.objects) == objects

    @FUZZ
    @given(email=EMAILS, piece=PIECES)
    def test_what_was_taken_reaches_the_ai(self, email, piece):
        """Through batch, queue and context, whatever it says."""
        world = world_of()
        outcome = received(world, Email(**{**vars(email), "text": email.text + piece.decode("latin-1")}).body)

        world.clock.advance(world.settings.batch_window_seconds + 1)
        world.work()

        documents = world.take(world.queues.ai)
        assert len(documents) == (outcome == "success")
        assert not world.failures
        rules.nothing_surprised_us(world)
