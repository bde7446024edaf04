"""The message webhook, whatever comes: every request is answered by the table, and only a proven one has an effect.

Forms are recorded ones, bent: parameters dropped, repeated, blanked, swapped, renamed, replaced, and raw bytes put
between; or nobody's at all. Conversations are in any state that the company's own systems may have left them in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from hypothesis import event, example, given, settings
from hypothesis import strategies as some

import app
from chalicelib import wiring
from chalicelib.channels.channel import Vendor
from chalicelib.handlers import webhooks
from tests.fuzz import rules
from tests.fuzz.forms import (
    FORMS,
    HEADERS,
    ODD_TEXTS,
    OTHER_ACCOUNT,
    QUERIES,
    RECORDED,
    RIGHT,
    SIGNINGS,
    TWILIO_PATHS,
    Change,
    Form,
    Post,
    Signing,
)
from tests.fuzz.records import SETTINGS, STATES, State, row_of, world_of
from tests.world import BASE_URL, World

FUZZ = settings.get_profile("fuzz")
CONTEXT = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 15_000)

METHODS = some.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])


def received(world: World, post: Post) -> str:
    """Hand the request to the handler and hold the answer against every rule; the outcome that was told."""
    response = webhooks.receive_message(post.request(CONTEXT), Vendor.TWILIO, world.engine)

    rules.nothing_surprised_us(world)
    rules.the_answer_is_of_the_table(world, response)
    rules.nothing_is_written_without_proof(world, post)
    rules.no_retry_is_asked_for(world, response)
    rules.nothing_personal_is_told(world, post.personal)
    outcome = rules.what_is_taken_is_kept(world, post)
    event(outcome)
    return outcome


class TestRecordedForms:
    @FUZZ
    @given(form=FORMS, path=some.sampled_from(TWILIO_PATHS), signing=SIGNINGS)
    # rules.nothing_is_written_without_proof: the right token, and another tenant's account.
    @example(
        form=Form("whatsapp_text", [Change("replace", 11, text=OTHER_ACCOUNT)]),
        path="/webhooks/whatsapp",
        signing=RIGHT,
    )
    # rules.nothing_is_written_without_proof: another tenant of the deployment, with all that is its own.
    @example(
        form=Form("whatsapp_text", [Change("replace", 11, text=OTHER_ACCOUNT)]),
        path="/webhooks/whatsapp",
        signing=Signing("other tenant"),
    )
    def test_a_bent_form_is_refused_or_taken_and_never_half_of_both(self, form, path, signing):
        """Any change to a form, signed by anybody: the answer is the table's, and only the tenant's has an effect."""
        world = world_of([])

        received(world, Post(form.body, signing, path=path))

        is_kept = world.staged_ids or world.entry_ids or world.tables.unknown_senders.rows
        assert is_kept or all(call.kind == "read" for call in world.plan.calls)

    @FUZZ
    @given(recorded=some.sampled_from(sorted(RECORDED)), state=STATES, signing=SIGNINGS, chosen=SETTINGS)
    # rules.no_retry_is_asked_for: a list of senders that is no list of texts is ours to mend.
    @example(recorded="sms_text", state=[("auto_queue_reply_message_from_number", [["+49"]])], signing=RIGHT, chosen={})
    # rules.no_retry_is_asked_for: a list that is null is no list, and no record that keeps changing.
    @example(recorded="sms_opt_out", state=[("messages", None)], signing=RIGHT, chosen={})
    # rules.no_retry_is_asked_for: a status that is null stays as it was read, like a missing one.
    @example(recorded="sms_opt_out", state=[("conversation_status", None)], signing=RIGHT, chosen={})
    def test_any_state_of_the_conversation_has_an_answer(self, recorded, state, signing, chosen):
        """However wrong the company's systems write their attributes, the outcome is one of the table's own codes."""
        world = world_of(state, **chosen)

        received(world, Post(Form(recorded).body, signing))

    @FUZZ
    @given(form=FORMS, state=STATES, chosen=SETTINGS)
    # rules.no_retry_is_asked_for: as above, on the way to people.
    @example(
        form=Form("mms_three_media"),
        state=[("auto_queue_reply_message", True), ("conversation_status", None)],
        chosen={},
    )
    def test_a_repeated_request_changes_nothing_more(self, form, state, chosen):
        """A provider's retry of the same request finds what the first one left: no second entry or handoff.

        What ended already is staged once more, and its trigger settles it as a duplicate.
        """
        world, post = world_of(state, **chosen), Post(form.body)
        first = received(world, post)
        rows, entries, handed = world.staged_ids, world.row.get("messages"), len(world.queues.handoff.messages)

        second = received(world, post)

        assert second == first
        assert {*world.staged_ids} <= {*rows, post.sid}
        assert world.row.get("messages") == entries
        assert len(world.queues.handoff.messages) == handed
        if handed:
            world.work()
            assert world.staged_ids == rows
            assert len(world.queues.handoff.messages) == handed


class TestNobodysForms:
    @FUZZ
    @given(
        body=some.binary(max_size=60) | some.builds(lambda form: form.body, FORMS),
        signing=SIGNINGS,
        headers=HEADERS,
        query=QUERIES,
        host=some.none()
        | ODD_TEXTS
        | some.sampled_from(["hooks.example.com", "hooks.example.com:8443", "[::1", "a:b"]),
        base=some.sampled_from(["", BASE_URL]),
        is_base64=some.booleans(),
    )
    def test_any_request_has_an_answer(self, body, signing, headers, query, host, base, is_base64):
        """Whatever stands in body, headers, host and query: an answer of the table, and no effect without proof."""
        world = world_of([], public_base_url=base)
        context = {} if host is None else {"domainName": host}

        received(
            world,
            Post(
                body,
                signing,
                base=base or (f"https://{host}" if host else "http://localhost"),
                headers=headers,
                query=query,
                context=context,
                is_base64=is_base64,
            ),
        )


class TestApp:
    @FUZZ
    @given(
        form=FORMS,
        method=METHODS,
        route=some.sampled_from(sorted(app.app.routes)),
        headers=HEADERS,
        query=QUERIES,
        signing=SIGNINGS,
    )
    def test_every_route_and_method_answers_without_a_server_error(self, form, method, route, headers, query, signing):
        """Through Chalice itself: nothing is answered 5xx, nothing is told outside our own lines."""
        world = world_of([])
        path = route.replace("{send}", "send-1").replace("{unknown}", "unknown").replace("{token}", "token-1")
        post = Post(form.body, signing, method, path, route, headers=headers, query=query)

        with engine_of(world), other_loggers() as told:
            answer = app.app(post.event, CONTEXT)

        assert answer["statusCode"] in {200, 204, 404, 405}
        assert not told
        rules.nothing_surprised_us(world)
        rules.nothing_is_written_without_proof(world, post)
        rules.nothing_personal_is_told(world, post.personal)


class TestBehindTheDoor:
    @FUZZ
    @given(recorded=some.sampled_from(sorted(RECORDED)), before=STATES, after=STATES, chosen=SETTINGS)
    # rules.no_retry_is_asked_for: a batch on a list or a status that is null.
    @example(recorded="mms_three_media", before=[("messages", None)], after=[], chosen={})
    @example(recorded="mms_three_media", before=[], after=[("conversation_status", None)], chosen={})
    def test_what_was_taken_survives_any_change_of_the_record(self, recorded, before, after, chosen):
        """The company writes to its record between the webhook and the batch: no fault without a name, nothing lost."""
        world, post = world_of(before, **chosen), Post(Form(recorded).body)
        outcome = received(world, post)

        world.tables.conversations.seed({**world.row, **rewritten(after)})
        world.clock.advance(world.settings.batch_window_seconds + 1)
        world.work()

        rules.nothing_surprised_us(world)
        rules.no_retry_is_asked_for(world)
        rules.nothing_personal_is_told(world, post.personal)
        assert not world.failures
        assert outcome not in rules.TAKEN or post.sid in rules.kept_ids(world)


def rewritten(state: State) -> dict:
    """What the company writes later: its own attributes, but the list of messages, which it only ever appends to."""
    sane = row_of([])
    return {name: value for name, value in row_of(state).items() if name != "messages" and sane.get(name) != value}


@contextmanager
def engine_of(world: World) -> Iterator[None]:
    """The process has this engine."""
    kept, wiring._engines[:] = list(wiring._engines), [world.engine]
    try:
        yield
    finally:
        wiring._engines[:] = kept


@contextmanager
def other_loggers() -> Iterator[list[logging.LogRecord]]:
    """What Chalice and the libraries log beside us."""
    told: list[logging.LogRecord] = []
    collecting = logging.Handler()
    collecting.emit = told.append
    logging.getLogger().addHandler(collecting)
    try:
        yield told
    finally:
        logging.getLogger().removeHandler(collecting)
