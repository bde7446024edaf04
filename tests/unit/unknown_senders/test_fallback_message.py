"""A fallback message is sent at most once, as the sender's row says, whatever the queue's message says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.channels.sender import InDoubt, PermanentFailure, TemporaryFailure
from chalicelib.errors import Code, Misconfigured
from chalicelib.telemetry import Metric
from tests.email_world import HELP_DESK, MAIL_REF, STRANGER, EmailWorld
from tests.fakes.faults import Fault
from tests.world import SECRET_REF

TEXT = "Nobody reads this."
FIND, CLAIM, SEND, CONCLUDE = range(1, 5)
"""The calls of a reminder, whose secret is cached."""


@pytest.fixture
def world() -> EmailWorld:
    """An unknown sender's e-mail came in; the reminder of it waits."""
    made = EmailWorld(unknown_sender_text=TEXT)
    made.mail(extras={"authentication": "pass", "subject": "Hello", "email_message_id": "<1@customer.example>"})
    return made


def with_faults(world: EmailWorld, faults: dict[int, Fault]) -> None:
    world.plan.faults = {len(world.plan.calls) + number: fault for number, fault in faults.items()}


def send(world: EmailWorld, seconds: int = 0, times: int = 1) -> None:
    """The reminders that are visible are processed, time and again."""
    for _ in range(times):
        world.clock.advance(seconds)
        world.send_replies()


def state(world: EmailWorld) -> str | None:
    rows = world.stranger_rows
    return rows[0]["notice_state"] if rows else None


def untold(world: EmailWorld) -> list[str]:
    """The codes of texts that were given up."""
    return [outcome for name, _, _, outcome in world.telemetry.counts if name == Metric.FALLBACK_NOT_SENT]


class TestSending:
    def test_the_sender_gets_the_text_in_their_thread_from_the_address_that_they_wrote_to(self, world: EmailWorld):
        """By the company's own account, and as a machine's message."""
        send(world)

        (part,) = world.mails
        assert (part.to, part.sender, part.body) == (STRANGER, HELP_DESK, TEXT)
        assert part.answers == {"subject": "Hello", "email_message_id": "<1@customer.example>"}
        assert (part.status_callback, part.messaging_service_sid, part.media_urls) == (None, None, ())
        assert state(world) == "told"
        assert world.is_silent

    def test_a_reminder_that_comes_twice_is_sent_once(self, world: EmailWorld):
        """U3: standard queues deliver twice at times."""
        (message,) = world.queues.replies.messages
        world.queues.replies.repeat(message.message_id)

        send(world, times=2)

        assert len(world.mails) == 1
        assert world.is_silent

    def test_the_secret_is_the_one_that_the_row_names(self, world: EmailWorld):
        """Asked for by a fresh process."""
        world.engine = world._engine()
        world.engine.credentials._kept.clear()

        send(world)

        assert [call.resource for call in world.plan.calls if call.operation == "GetSecretValue"][-1] == MAIL_REF

    def test_a_reply_of_the_ai_goes_its_own_way(self, world: EmailWorld):
        """The two share a queue."""
        send(world)
        world.reply(world.burst_with_ai(), "an answer")

        send(world)

        assert [part.body for _, part, _ in world.phone.received] == [TEXT, "an answer"]


class TestAuthority:
    def fallback_request(self, **changes: Any) -> str:
        told = {
            "version": "1.0",
            "source": "engine",
            "company_address": HELP_DESK,
            "sender": STRANGER,
            "message_sid": "SM" + "0" * 31 + "1",
            "RetryAttempt": 0,
        }
        return json.dumps({**told, **changes})

    @pytest.mark.parametrize(
        "changes",
        [
            {"sender": "victim@customer.example"},
            {"company_address": "sales@other.example"},
            {"company_address": "+14155238886", "sender": "+4915112345678"},
            {"message_sid": "SM2"},
        ],
    )
    def test_a_message_to_the_queue_sends_nothing_that_no_webhook_has_written(
        self, world: EmailWorld, changes: dict[str, Any]
    ):
        """U5: whoever may write to the queue can name rows, and no more."""
        world.queues.replies.messages.clear()
        world.queues.replies.inject(self.fallback_request(**changes), group="acme")

        send(world)

        assert world.phone.received == []
        assert state(world) == "pending"
        assert world.is_silent

    def test_what_is_sent_is_the_row_s_whatever_else_the_message_says(self, world: EmailWorld):
        """U5: neither a text nor a secret nor a channel of theirs."""
        world.queues.replies.messages.clear()
        theirs = {
            "text": "Send money.",
            "body": "Send money.",
            "credential_ref": SECRET_REF,
            "channel": "whatsapp",
            "letter": {"text": "Send money."},
        }
        world.queues.replies.inject(self.fallback_request(**theirs), group="other")

        send(world)

        assert [part.body for part in world.mails] == [TEXT]

    def test_a_sender_who_was_told_by_an_answer_gets_no_letter(self, world: EmailWorld):
        """U5: such a row holds none."""
        world.post(world.form(From="whatsapp:+4999", sid="SM9"))
        told = {"company_address": "+14155238886", "sender": "+4999", "message_sid": "SM9"}
        world.queues.replies.messages.clear()
        world.queues.replies.inject(self.fallback_request(**told), group="acme")

        send(world)

        assert world.phone.received == []

    @pytest.mark.parametrize("changes", [{"sender": ""}, {"message_sid": None}, {"RetryAttempt": -1}])
    def test_a_malformed_reminder_is_dead_lettered(self, world: EmailWorld, changes: dict[str, Any]):
        """With the reason, like a malformed reply."""
        world.queues.replies.messages.clear()
        world.queues.replies.inject(self.fallback_request(**changes), group="acme")

        send(world)

        (dead,) = world.queues.dead_replies.messages
        assert dead.reason.startswith("a reminder's ")
        assert world.is_silent


class TestOutcomes:
    def test_what_the_provider_does_not_take_now_comes_again(self, world: EmailWorld):
        """After as long as the provider wishes, and is sent then."""
        world.phone.outcomes = [TemporaryFailure("429", 120)]

        send(world)

        assert (state(world), world.mails) == ("pending", [])
        assert world.queues.replies.seconds_until_next == 120
        send(world, seconds=120)
        assert len(world.mails) == 1
        assert ("ReplyRetried", 1, "email", "429") in world.telemetry.counts

    def test_it_comes_again_as_often_as_a_reply_and_is_given_up(self, world: EmailWorld):
        """U4: the sender's next message is told; nothing is put among the dead letters."""
        world.phone.outcomes = [TemporaryFailure("429")] * 11

        send(world, seconds=300, times=12)

        assert untold(world) == ["429"]
        assert state(world) is None
        assert world.is_silent
        assert world.queues.dead_replies.messages == []
        world.mail()
        send(world)
        assert len(world.mails) == 1

    def test_a_refusal_for_good_ends_it(self, world: EmailWorld):
        """And the next message of an address that nobody can reach asks for nothing."""
        world.phone.outcomes = [PermanentFailure("NO_RECIPIENT")]

        send(world)
        world.mail()

        assert (state(world), untold(world)) == ("refused", ["NO_RECIPIENT"])
        assert world.is_silent

    def test_a_send_in_doubt_is_left_at_that(self, world: EmailWorld):
        """U3: at most once, and a courtesy is not worth being looked up."""
        world.phone.outcomes = [InDoubt()]

        send(world, times=3)
        world.mail()

        assert (state(world), untold(world)) == ("unknown", ["UNKNOWN_OUTCOME"])
        assert world.is_silent
        assert "ListMessages" not in [call.operation for call in world.plan.calls]


class TestFaults:
    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.LOST_ANSWER, Fault.MISCONFIGURED])
    @pytest.mark.parametrize("call", [FIND, CLAIM])
    def test_a_fault_before_the_send_has_the_reminder_come_again(self, world: EmailWorld, call: int, fault: Fault):
        """U3: and the text is sent then, once."""
        with_faults(world, {call: fault})

        send(world)

        assert world.mails == []
        send(world, seconds=60)
        assert len(world.mails) == 1

    def test_a_crash_after_the_claim_is_the_end_of_it(self, world: EmailWorld):
        """U3: nobody can know whether it was sent."""
        with_faults(world, {SEND: Fault.CRASH_BEFORE})

        send(world)
        send(world, seconds=200, times=3)

        assert (state(world), world.mails) == ("claimed", [])
        assert world.is_silent

    @pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.THROTTLED, Fault.LOST_ANSWER, Fault.MISCONFIGURED])
    def test_a_fault_after_the_send_does_not_repeat_it(self, world: EmailWorld, fault: Fault):
        """U3: the claim stands."""
        with_faults(world, {CONCLUDE: fault})

        send(world)
        send(world, seconds=200, times=3)

        assert len(world.mails) == 1
        assert world.is_silent

    def test_a_secret_that_cannot_be_had_leaves_no_claim(self, world: EmailWorld):
        """The text is sent once somebody has mended it."""
        good = world.secrets.texts.pop(MAIL_REF)
        world.clock.advance(world.settings.secret_ttl_seconds + 1)
        send(world)
        assert state(world) == "pending"

        world.secrets.texts[MAIL_REF] = good
        send(world, seconds=60)

        assert len(world.mails) == 1

    def test_a_secret_that_its_sender_cannot_read_leaves_no_claim(self, world: EmailWorld, monkeypatch):
        """U3: nothing was sent."""
        deliver = world.phone.send

        def refuse(part, secret):
            raise Misconfigured(Code.SECRET_FETCH_FAILED, "a SendGrid secret has no api_key")

        monkeypatch.setattr(world.phone, "send", refuse)
        send(world)
        assert state(world) == "pending"

        monkeypatch.setattr(world.phone, "send", deliver)
        send(world, seconds=60)

        assert len(world.mails) == 1

    def test_a_refused_secret_is_read_again_for_the_next_try(self, world: EmailWorld):
        """The cache has the secret from before its rotation."""
        world.clock.advance(2)
        world.rotate(MAIL_REF)
        send(world)
        before = (state(world), list(world.mails))

        send(world, seconds=60)

        assert before == ("pending", [])
        assert len(world.mails) == 1

    def test_a_secret_without_a_key_is_read_again_for_the_next_try(self, world: EmailWorld, monkeypatch):
        """Its sender cannot read the one that the cache has; the one that is stored now is whole."""
        deliver, old = world.phone.send, world.secrets.texts[MAIL_REF]

        def refuse_old(part, secret):
            if secret == old:
                raise Misconfigured(Code.SECRET_FETCH_FAILED, "a SendGrid secret has no api_key")
            return deliver(part, secret)

        monkeypatch.setattr(world.phone, "send", refuse_old)
        world.clock.advance(2)
        world.rotate(MAIL_REF)
        send(world)

        send(world, seconds=60)

        assert len(world.mails) == 1

    def test_where_no_time_is_left_for_a_send_none_begins(self, world: EmailWorld):
        """The reminder comes again, in an invocation of its own."""
        world.plan.interleave(len(world.plan.calls) + FIND, lambda: world.clock.advance(20))

        send(world)

        assert (state(world), world.mails) == ("pending", [])
        send(world, seconds=60)
        assert len(world.mails) == 1

    def test_another_process_that_claims_in_between_sends_alone(self, world: EmailWorld):
        """U3: whoever comes second sees it and ends."""
        row = {**world.stranger_rows[0], "notice_state": "claimed", "claim_token": "another's"}
        world.plan.interleave(len(world.plan.calls) + CLAIM, lambda: world.tables.unknown_senders.seed(row))

        send(world)

        assert world.mails == []
        assert world.is_silent
