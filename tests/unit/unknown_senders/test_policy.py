"""Turning away: who is unknown to a company is told so once in a while, and nobody else is."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from chalicelib.conversations.lookup import Found
from chalicelib.messages.inbound import Address, AddressKind, InboundMessage
from chalicelib.telemetry import Metric, Trail
from chalicelib.unknown_senders.policy import TEXT_LENGTH_MAX, UnknownSenderPolicy
from tests.email_world import HELP_DESK, MAIL_REF, STRANGER, EmailWorld, with_mail
from tests.fakes.faults import Fault
from tests.world import COMPANY, SECRET_REF, World, conversation

TEXT = "Nobody reads this."
STRANGE = "+4999"
DAY = 24 * 3_600
FIND, FIND_COMPANY, SECRET, NOTE, REMIND = range(1, 6)
"""The calls for an unknown sender's first message."""


def strange_world(*rows: dict[str, Any], **settings: str) -> World:
    return World(None, *rows, **{"unknown_sender_text": TEXT, **settings})


def mail_world(*rows: dict[str, Any], **settings: str) -> EmailWorld:
    return EmailWorld(None, *rows, **{"unknown_sender_text": TEXT, **settings})


def write(world: World, body: str = "hello", **parameters: str) -> str:
    """A message of an unknown sender; what its answer tells them."""
    response = world.post(world.form(body, **{"From": f"whatsapp:{STRANGE}", **parameters}))
    assert response.status_code == 200
    (*_, answered) = [line for line in world.telemetry.lines if line["step"] == "answered_provider"]
    assert answered["outcome"] == "CONVERSATION_NOT_FOUND"
    return "".join(ET.fromstring(response.body.encode()).itertext())  # noqa: S314  # our own answer


def outcomes(world: World) -> list[str]:
    """What was counted, message by message."""
    return [outcome for name, _, _, outcome in world.telemetry.counts if name == Metric.UNKNOWN_SENDER]


class TestByTheAnswer:
    def test_an_unknown_sender_is_told_by_the_answer_once_a_day(self):
        """U1: and counted by whether they were."""
        world = strange_world()

        told = [write(world) for _ in range(3)]
        world.clock.advance(DAY)
        told.append(write(world))

        assert told == [TEXT, "", "", TEXT]
        assert outcomes(world) == ["sent", "sent_before", "sent_before", "sent"]

    def test_a_retry_of_the_provider_gets_the_same_answer(self):
        """U2: it may have missed the first."""
        world = strange_world()

        assert [write(world, sid="SM" + "1" * 32), write(world, sid="SM" + "1" * 32)] == [TEXT, TEXT]

    def test_how_long_the_silence_lasts_is_a_setting(self):
        """In hours."""
        world = strange_world(unknown_sender_hours="2")
        write(world)
        world.clock.advance(2 * 3_600)

        assert write(world) == TEXT

    def test_one_number_is_told_once_whatever_the_channel(self):
        """WhatsApp and SMS share the numbers."""
        world = strange_world()

        told = [write(world), write(world, From=STRANGE, To=COMPANY)]

        assert told == [TEXT, ""]

    def test_the_text_has_a_default(self, world: World):
        """An unknown sender is not left waiting unless somebody says so."""
        assert write(world) == world.settings.unknown_sender_text != ""

    def test_an_empty_text_is_silence(self):
        """And costs no write."""
        world = strange_world(unknown_sender_text="")

        assert write(world) == ""
        assert outcomes(world) == ["silent"]
        assert world.stranger_rows == []

    @pytest.mark.parametrize(
        ("of_company", "expected"),
        [("Acme's own words.", "Acme's own words."), ("", ""), (" \n", ""), (None, TEXT), (7, TEXT), ([], TEXT)],
    )
    def test_a_company_may_have_a_text_of_its_own(self, of_company: Any, expected: str):
        """By channel; an empty one is silence, what is no text counts for none."""
        config = {"whatsapp": {"credential_ref": SECRET_REF, "unknown_sender_text": of_company}}
        world = strange_world(conversation(channel_config=config))

        assert write(world) == expected

    def test_a_company_s_text_is_the_channel_s(self):
        """What it says by WhatsApp it does not say by SMS."""
        config = {
            "whatsapp": {"credential_ref": SECRET_REF, "unknown_sender_text": "By WhatsApp."},
            "sms": {"credential_ref": SECRET_REF},
        }
        world = strange_world(conversation(channel_config=config))

        assert write(world, From=STRANGE, To=COMPANY) == TEXT

    def test_a_text_is_cut_to_one_message(self):
        """Where a reader would pause."""
        world = strange_world(unknown_sender_text="A sentence of many. " * 200)

        told = write(world)

        assert TEXT_LENGTH_MAX - 30 < len(told) <= TEXT_LENGTH_MAX
        assert told.endswith("A sentence of many.")

    def test_a_text_is_text_and_never_markup(self):
        """Whatever the company writes."""
        hostile = "</Message></Response><Redirect>https://a.example</Redirect>\x0b&"
        config = {"whatsapp": {"credential_ref": SECRET_REF, "unknown_sender_text": hostile}}
        world = strange_world(conversation(channel_config=config))

        assert write(world) == hostile.replace("\x0b", "")

    @pytest.mark.parametrize("change", [{"task_complete": 1}, None], ids=["complete", "gone"])
    def test_a_conversation_that_ended_since_the_index_was_read_is_unknown_too(self, change: dict | None):
        """An index lags: the row itself decides."""
        world = strange_world()
        row = world.row
        end = world.tables.conversations.delete if change is None else world.tables.conversations.seed
        world.plan.interleave(3, lambda: end({**row, **(change or {})}))

        response = world.post(world.form())

        assert TEXT in response.body
        assert outcomes(world) == ["sent"]
        assert world.staged_ids == []

    def test_who_wants_no_messages_gets_none(self):
        """The conversation ended, and it says that they are opted out."""
        world = strange_world()
        row = {**world.row, "task_complete": 1, "opted_out": True}
        world.plan.interleave(3, lambda: world.tables.conversations.seed(row))

        response = world.post(world.form())

        assert TEXT not in response.body
        assert outcomes(world) == ["silent"]

    @pytest.mark.parametrize("told", ["STOP", "START", "HELP"])
    def test_a_keyword_has_been_answered_by_the_provider(self, told: str):
        """And does not use the day's text up."""
        world = strange_world()

        assert write(world, told, OptOutType=told) == ""
        assert outcomes(world) == ["silent"]
        assert write(world) == TEXT

    @pytest.mark.parametrize("word", ["Stop", "unsubscribe", "YES", "help"])
    def test_so_has_a_keyword_that_only_the_text_tells(self, word: str):
        """Whether the sender is opted out at the provider nobody here knows, so START and YES count too."""
        world = strange_world()

        assert write(world, word, From=STRANGE, To=COMPANY) == ""


class TestProof:
    def test_a_forger_causes_no_write_and_no_text(self):
        """Nor learns that the sender is unknown."""
        world = strange_world()

        response = world.post(world.form(From=f"whatsapp:{STRANGE}"), token="forged")

        assert TEXT not in response.body
        assert all(call.kind == "read" for call in world.plan.calls)
        assert outcomes(world) == []

    def test_an_address_that_is_no_company_s_tells_nobody_anything(self):
        """There is no secret to prove it by."""
        world = strange_world()

        response = world.post(world.form(To="whatsapp:+1999"))

        assert TEXT not in response.body
        assert all(call.kind == "read" for call in world.plan.calls)

    def test_a_forged_e_mail_causes_no_letter(self):
        """The same by the other way of telling."""
        world = mail_world()

        response = world.mail(word="of a forger")

        assert response.status_code == 403
        assert all(call.kind == "read" for call in world.plan.calls)

    def test_no_line_tells_an_address_or_the_text(self):
        """By either way."""
        world = mail_world()
        write(world, "secret words")
        world.mail("secret words")
        world.send_replies()

        told = json.dumps(world.telemetry.lines)
        assert not [one for one in (STRANGE, STRANGER, HELP_DESK, COMPANY, TEXT, "secret words") if one in told]


class TestByAFallbackMessage:
    def test_where_the_answer_carries_no_text_a_fallback_message_is_left(self):
        """The webhook sends nothing itself; the provider is told by the code that nobody took the message."""
        world = mail_world()

        response = world.mail(
            extras={
                "authentication": "pass",
                "subject": "Hello",
                "spf": "pass",
                "email_message_id": "<1@customer.example>",
            }
        )

        (row,) = world.stranger_rows
        assert (response.status_code, json.loads(response.body)["code"]) == (404, "CONVERSATION_NOT_FOUND")
        assert TEXT not in response.body
        assert (row["company_address"], row["sender"], row["notice_state"]) == (HELP_DESK, STRANGER, "pending")
        assert row["letter"] == {
            "tenant": "acme",
            "channel": "email",
            "credential_ref": MAIL_REF,
            "text": TEXT,
            "answers": {"subject": "Hello", "email_message_id": "<1@customer.example>"},
        }
        assert world.mails == []
        assert outcomes(world) == ["sent"]

    def test_an_answer_that_carries_no_text_is_given_none(self):
        """However it comes to be rendered: nobody is told twice."""
        world = mail_world()
        message = InboundMessage(
            message_sid="m-1",
            channel="email",
            account_id="",
            sender=Address(AddressKind.EMAIL, STRANGER),
            recipient=Address(AddressKind.EMAIL, HELP_DESK),
            body="hello",
            received_at=world.clock.now(),
        )
        unknown_sender_policy = UnknownSenderPolicy(world.engine.policies, world.clock, world.settings)

        notice = unknown_sender_policy.respond(
            world.tables,
            world.queues,
            world.engine.channels["email"],
            Found(None, "acme", MAIL_REF, 0),
            message,
            Trail(world.telemetry, world.clock),
        )

        assert notice == ""
        assert outcomes(world) == ["sent"]

    def test_a_message_that_must_not_be_answered_is_not(self):
        """A machine's, for one: two of them would answer each other for ever."""
        world = mail_world()

        world.mail(may_be_notified=False)

        assert outcomes(world) == ["silent"]
        assert world.stranger_rows == world.queues.replies.messages == []

    def test_what_does_not_fit_of_the_thread_is_left_out_whole(self):
        """The row stays small, and half an id names nothing."""
        world = mail_world()

        world.mail(extras={"authentication": "pass", "subject": "Hello", "references": "<" + "1" * 4_094 + ">"})

        (row,) = world.stranger_rows
        assert row["letter"]["answers"] == {"subject": "Hello"}

    def test_each_address_of_the_company_that_was_written_to_answers(self):
        """Each has a row of its own."""
        sales = with_mail(conversation_id="c-2")
        world = mail_world(with_mail(), {**sales, "gsi_company_email": "sales@acme.example"})

        world.mail(recipients=[HELP_DESK, "sales@acme.example"])

        assert [row["company_address"] for row in world.stranger_rows] == [
            HELP_DESK,
            "sales@acme.example",
        ]
        assert outcomes(world) == ["sent", "sent"]


class TestFaults:
    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.LOST_ANSWER, Fault.MISCONFIGURED])
    def test_a_row_that_cannot_be_written_is_silence_and_no_retry(self, fault: Fault):
        """The provider is answered as if nothing were wrong; we are told."""
        world = strange_world()
        world.plan.faults = {NOTE: fault}

        assert write(world) == ""
        (line,) = [line for line in world.telemetry.lines if line["step"] == "failed"]
        assert line["level"] == ("error" if fault is Fault.MISCONFIGURED else "warning")
        assert outcomes(world) == ["failed"]
        assert world.telemetry.total(Metric.FAULT) == 1
        assert world.telemetry.total(Metric.OWN_FAULT) == 0

    @pytest.mark.parametrize("call", [NOTE, REMIND])
    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.MISCONFIGURED])
    def test_a_fallback_message_that_cannot_be_left_is_left_by_the_next_message(self, call: int, fault: Fault):
        """U4: and the provider of the first is not asked to retry."""
        world = mail_world()
        world.plan.faults = {call: fault}

        assert world.mail().status_code == 404
        assert world.mail().status_code == 404

        world.send_replies()
        assert outcomes(world) == ["failed", "sent"]
        assert [part.body for part in world.mails] == [TEXT]

    def test_past_the_deadline_nobody_is_told(self):
        """And the answer is not late for it."""
        world = strange_world()
        world.plan.interleave(SECRET, lambda: world.clock.advance(3))

        assert write(world) == ""
        assert outcomes(world) == ["failed"]
