"""Stage 3: one reply per batch reaches the customer, and its end releases the conversation."""

from __future__ import annotations

import json

import pytest

from chalicelib.channels.sender import InDoubt, OutboundPart, PermanentFailure, SendOutcome, TemporaryFailure
from chalicelib.errors import Code, Misconfigured, ReplyCode
from chalicelib.messages.extras import threading_of
from chalicelib.outbound.parts import LISTED_AFTER_SECONDS
from chalicelib.telemetry import Metric
from tests.fakes.faults import Fault
from tests.world import BASE_URL, COMPANY, CUSTOMER, DELIVER, KEY, SECRET_REF, Taken, World, conversation

LONG = " ".join(f"Sentence number {number}." for number in range(200))


def reply_of_ai(**fields: object) -> str:
    return json.dumps({**KEY.item, "version": "1.0", "batch_id": "batch-1", "body": "x", **fields})


def human(body: str = "a person says", **fields: object) -> str:
    return json.dumps({**KEY.item, "version": "1.0", "source": "human", "reply_id": "r-1", "body": body, **fields})


def codes(world: World) -> list[str | None]:
    return [line.get("code") for line in world.telemetry.lines if line["step"] in ("reply_refused", "released")]


class TestOneReply:
    def test_a_reply_is_sent_recorded_and_releases_the_conversation_in_one_update(self):
        """The customer sees the text, the record holds the OUTBOUND entry, nothing is unanswered, the lock is gone."""
        world = World()
        document = world.burst_with_ai("one", "two")
        world.reply(document, "an answer")

        world.send_replies()

        entry = world.row["messages"][-1]
        assert world.phone.texts == ["an answer"]
        assert world.row["conversation_status"] == "ai_response_sent"
        assert world.is_at_rest
        assert (entry["direction"], entry["content"], entry["message_id"]) == (
            "OUTBOUND",
            "an answer",
            world.phone.received[0][0],
        )
        assert not {"reply_claim", "reply_claimed_at", "reply_claim_token"} & world.row.keys()

    def test_a_reply_goes_to_who_wrote_last_from_the_number_that_was_written_to(self):
        """Addresses, channel and the callback's URL come from the record and the settings, never from the reply."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer", media_urls=["https://cdn.example.com/a.png"])

        world.send_replies()

        ((_, part, _),) = world.phone.received
        (row,) = world.sends
        assert (part.to, part.sender) == (f"whatsapp:{CUSTOMER}", f"whatsapp:{COMPANY}")
        assert part.media_urls == ("https://cdn.example.com/a.png",)
        assert part.status_callback == f"{BASE_URL}/webhooks/twilio/status/{row['send_id']}"

    def test_without_a_public_url_replies_are_sent_and_the_operator_is_told_once(self):
        """Twilio receives no URL for status callbacks; a warning per process, not per reply."""
        inbound = {
            "message_id": "SM1",
            "direction": "INBOUND",
            "content": "hello",
            "timestamp": "2026-01-31T17:59:00+00:00",
            "channel_type": "whatsapp",
            "metadata": {"sender": CUSTOMER, "recipient": COMPANY},
        }
        world = World(None, conversation(messages=[inbound]), public_base_url="")
        for body in ("one", "two"):
            world.queues.human_replies.inject(human(body, reply_id=body), group="acme")

        world.send_replies()

        assert [part.status_callback for _, part, _ in world.phone.received] == [None, None]
        assert world.telemetry.steps().count("no_status_callback") == 1

    def test_a_messaging_service_of_the_company_sends_in_place_of_its_number(self):
        """`channel_config.<channel>.messaging_service_sid` is taken where it stands."""
        config = {"whatsapp": {"credential_ref": SECRET_REF, "messaging_service_sid": "MG1"}}
        world = World(None, conversation(channel_config=config))
        world.reply(world.burst_with_ai(), "an answer")

        world.send_replies()

        assert world.phone.received[0][1].messaging_service_sid == "MG1"

    def test_what_was_staged_while_the_ai_thought_is_triggered_at_once(self):
        """The look after release: the next batch does not wait for the sweep, nor for a requeued trigger."""
        world = World()
        document = world.burst_with_ai("one")
        world.deliver("two")
        world.clock.advance(11)
        world.work()
        world.reply(document, "an answer")

        world.send_replies()
        world.work()

        (second,) = world.take(world.queues.ai)
        assert [message["body"] for message in second["messages"]] == ["two"]

    def test_a_text_over_the_limit_goes_out_as_ordered_parts_each_under_its_own_row(self):
        """Parts of at most 1,600 characters, media with the first, one OUTBOUND entry each."""
        world = World()
        text = " ".join(f"Sentence number {number}." for number in range(200))
        world.reply(world.burst_with_ai(), text, media_urls=["https://cdn.example.com/a.png"])

        world.send_replies()

        assert " ".join(world.phone.texts) == text
        assert all(len(part) <= 1_600 for part in world.phone.texts)
        assert [bool(part.media_urls) for _, part, _ in world.phone.received] == [True, False, False]
        assert [row["part"] for row in world.sends] == [1, 2, 3]
        assert [entry["content"] for entry in world.row["messages"][-3:]] == world.phone.texts


QUESTION = {
    "message_id": "mail-2",
    "direction": "INBOUND",
    "content": "Which room?",
    "timestamp": "2026-01-31T17:59:00+00:00",
    "channel_type": "email",
    "metadata": {"sender": "ann@example.net", "recipient": "sales@acme.example"},
    "extras": {
        "authentication": "pass",
        "subject": "Booking",
        "email_message_id": "<q2@example.net>",
        "references": "<q1@example.net>",
    },
}
EARLIER = {
    **QUESTION,
    "message_id": "mail-1",
    "metadata": {"sender": "ann@work.example", "recipient": "help@acme.example"},
    "extras": {"authentication": "pass", "subject": "Hello", "email_message_id": "<q1@example.net>"},
}


def mail_world(*entries: dict, batch_id: str | None = None) -> World:
    """A conversation by e-mail that holds these entries: as a batch with the AI, if it has an id."""
    locked = {
        "conversation_status": "processing_reply",
        "last_batch_id": batch_id,
        "unanswered_ids": [entry["message_id"] for entry in entries],
        "processing_started_at": "2026-01-31T17:59:30.000000+00:00",
        "conversation_version": 1,
    }
    row = conversation(
        allowed_channels=["email"],
        channel_config={"email": {"credential_ref": SECRET_REF}},
        messages=list(entries),
        **(locked if batch_id else {}),
    )
    return World(None, row)


class TestMail:
    def test_a_reply_to_a_batch_of_e_mails_is_one_e_mail_in_the_last_one_s_thread(self):
        """From the address that it was sent to, to the one that it came from; Twilio's callback is not asked for."""
        world = mail_world(EARLIER, QUESTION, batch_id="b-1")
        reply = {**KEY.item, "version": "1.0", "batch_id": "b-1", "body": "Room 7."}
        world.queues.replies.inject(json.dumps(reply), group="acme")

        world.send_replies()

        ((_, part, _),) = world.phone.received
        assert (part.to, part.sender, part.body) == ("ann@example.net", "sales@acme.example", "Room 7.")
        assert part.answers == threading_of(QUESTION["extras"])
        assert part.is_automatic
        assert part.status_callback is None
        assert world.is_at_rest

    def test_the_record_keeps_what_threads_the_next_e_mail(self):
        """The OUTBOUND entry bears the subject and the ids that the customer's mailbox knows it by."""
        world = mail_world(EARLIER, QUESTION, batch_id="b-1")
        reply = {**KEY.item, "version": "1.0", "batch_id": "b-1", "body": "Room 7."}
        world.queues.replies.inject(json.dumps(reply), group="acme")

        world.send_replies()

        entry = world.row["messages"][-1]
        assert entry["metadata"] == {"sender": "sales@acme.example", "recipient": "ann@example.net"}
        assert entry["extras"] == {
            "subject": "Re: Booking",
            "email_message_id": f"<{entry['send_id']}@acme.example>",
            "in_reply_to": "<q2@example.net>",
            "references": "<q1@example.net> <q2@example.net>",
        }

    def test_a_person_s_e_mail_is_no_automatic_one(self):
        """It is threaded like the AI's."""
        world = mail_world(QUESTION)
        world.queues.human_replies.inject(human(), group="acme")

        world.send_replies()

        ((_, part, _),) = world.phone.received
        assert not part.is_automatic
        assert part.answers == threading_of(QUESTION["extras"])

    def test_a_long_answer_is_one_e_mail(self):
        """Only messages to a phone are cut into parts."""
        world = mail_world(QUESTION)
        world.queues.human_replies.inject(human(LONG * 3), group="acme")

        world.send_replies()

        assert world.phone.texts == [LONG * 3]

    @pytest.mark.parametrize("extras", [None, "lost", ["a"], {"subject": 7, "email_message_id": None}])
    def test_extras_that_the_company_has_damaged_cost_the_thread_and_not_the_answer(self, extras: object):
        """The record is the company's; what is no text there is as if it were not there."""
        world = mail_world({**QUESTION, "extras": extras})
        world.queues.human_replies.inject(human(), group="acme")

        world.send_replies()

        assert world.phone.texts == ["a person says"]
        assert world.row["messages"][-1]["extras"]["subject"] == "Re:"

    def test_a_code_means_an_opt_out_only_where_its_provider_says_so(self):
        """SendGrid's words are not Twilio's: the same text from there marks nobody."""
        world = mail_world(QUESTION)
        world.queues.human_replies.inject(human(), group="acme")
        world.queues.human_replies.inject(human(), group="acme")
        world.phone.outcomes = [PermanentFailure("21610")]

        world.send_replies()
        world.send_replies()

        assert "opted_out_channels" not in world.row


class TestRefused:
    def test_a_second_answer_to_a_batch_is_refused_and_told(self):
        """Only the first reply to a batch counts, also when the second comes after the end of the first."""
        world = World()
        document = world.burst_with_ai()
        world.reply(document, "first")
        world.send_replies()
        world.reply(document, "second")

        world.send_replies()

        assert world.phone.texts == ["first"]
        assert ReplyCode.SECOND in codes(world)
        assert world.telemetry.total(Metric.REPLY_REFUSED) == 1

    def test_a_reply_to_an_older_batch_is_refused_as_stale(self):
        """A newer batch has begun: the fencing token of the old one opens nothing."""
        world = World()
        old = world.burst_with_ai("one")
        world.clock.advance(400)
        world.sweep()
        world.burst_with_ai("two")
        world.reply(old, "an answer to what is past")

        world.send_replies()

        assert not world.phone.texts
        assert ReplyCode.STALE in codes(world)
        assert world.row["conversation_status"] == "processing_reply"

    def test_the_same_reply_delivered_again_after_its_end_changes_nothing(self):
        """SQS delivers twice: the second delivery finds the end of the first and is no refusal."""
        world = World()
        document = world.burst_with_ai()
        world.reply(document, "an answer")
        world.reply(document, "an answer")

        world.send_replies()
        world.send_replies()

        assert world.phone.texts == ["an answer"]
        assert world.telemetry.total(Metric.REPLY_REFUSED) == 0

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("no json", "a reply is JSON"),
            ("[]", "a reply is a JSON object"),
            (human(version="9.9"), "version"),
            (human(body=" "), "a reply has a body"),
            (json.dumps({**KEY.item, "body": "x"}), "batch_id"),
            (reply_of_ai(conversation_id="of nobody"), "NO_CONVERSATION"),
            (human(), "a reply of source human has a queue of its own"),
        ],
    )
    def test_what_is_no_reply_is_dead_lettered_with_the_reason_and_its_neighbour_is_sent(self, body: str, reason: str):
        """A malformed reply, or one for a conversation that is not there, goes to the dead-letter queue at once."""
        world = World()
        document = world.burst_with_ai()
        world.queues.replies.inject(body, group="acme")
        world.reply(document, "an answer")

        world.send_replies()

        (dead,) = world.queues.dead_replies.messages
        assert reason in dead.reason
        assert world.phone.texts == ["an answer"]

    def test_a_reply_to_who_opted_out_is_refused_before_the_provider_and_ends_the_batch(self):
        """Opt-out is read with the claim; the record tells why nobody was answered."""
        world = World()
        document = world.burst_with_ai()
        world.deliver("STOP", OptOutType="STOP")
        world.reply(document, "an answer")

        world.send_replies()

        assert not world.phone.texts
        assert world.row["conversation_status"] == "processing_error"
        assert world.row["processing_error_code"] == ReplyCode.OPTED_OUT
        world.run(60)
        assert world.is_at_rest

    def test_a_batch_of_two_channels_is_answered_on_the_one_that_the_customer_did_not_stop(self):
        """The message by WhatsApp would get no answer because of a STOP by SMS."""
        world = World()
        sms = {"From": CUSTOMER, "To": COMPANY}
        world.deliver("by WhatsApp")
        document = world.burst_with_ai("by SMS", **sms)
        world.deliver("STOP", OptOutType="STOP", **sms)
        world.reply(document, "an answer")

        world.send_replies()

        assert [part.to for _, part, _ in world.phone.received] == [f"whatsapp:{CUSTOMER}"]
        assert world.row["conversation_status"] == "ai_response_sent"

    @pytest.mark.parametrize(
        ("channel", "fields", "is_sent"),
        [("whatsapp:", {}, False), ("whatsapp:", {"content_sid": "HX1"}, True), ("", {}, True)],
        ids=["free text to WhatsApp", "a template to WhatsApp", "a text to SMS"],
    )
    def test_free_text_to_whatsapp_after_24_hours_is_refused_here(self, channel: str, fields: dict, is_sent: bool):
        """Before Twilio, with the reason; a template is let through, and SMS knows no such window."""
        world = World()
        document = world.burst_with_ai("one", From=channel + CUSTOMER, To=channel + COMPANY)
        world.clock.advance(24 * 3_600 + 60)
        world.reply(document, "an answer", **fields)

        world.send_replies()

        assert bool(world.phone.received) is is_sent
        assert (world.row.get("processing_error_code") == ReplyCode.OUTSIDE_WINDOW) is not is_sent

    def test_a_refusal_of_the_provider_is_not_tried_again_and_its_code_is_kept(self):
        """`processing_error` with Twilio's code; what was unanswered is history from here on."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [PermanentFailure("21211")]

        world.run(600)

        assert not world.phone.texts
        assert (world.row["conversation_status"], world.row["processing_error_code"]) == ("processing_error", "21211")
        assert world.is_at_rest

    def test_a_refusal_because_of_an_opt_out_marks_the_conversation(self):
        """21610: Twilio knows that the customer said STOP; nothing more of it reaches the AI."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [PermanentFailure("21610", is_opt_out=True)]

        world.send_replies()

        assert world.row["opted_out_channels"] == ["whatsapp"]
        assert world.row["processing_error_code"] == "21610"


class TestTryAgain:
    def test_a_provider_that_wants_to_be_left_alone_is_left_alone_for_so_long(self):
        """429 with Retry-After: the claim is given back and the reply comes again by a delayed message of ours."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [TemporaryFailure("20429", after_seconds=120)]

        world.send_replies()

        assert world.queues.replies.seconds_until_next == pytest.approx(120)
        assert "reply_claim" not in world.row
        assert not world.sends

    def test_what_comes_again_is_sent_once_and_a_part_that_was_sent_is_not_repeated(self):
        """The second of three parts meets a 503: the first stands, the others follow in order."""
        world = World()
        text = " ".join(f"Sentence number {number}." for number in range(200))
        world.reply(world.burst_with_ai(), text)
        world.plan.faults = {len(world.plan.calls) + 7: Fault.THROTTLED}

        world.run(600)

        assert " ".join(world.phone.texts) == text

    def test_a_provider_that_never_takes_it_ends_in_an_error_and_a_dead_letter(self):
        """Tries are bounded: the conversation is released with the provider's code and an operator has the reply."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [TemporaryFailure("20503")] * 50

        world.run(7_200, step=60)

        (dead,) = world.queues.dead_replies.messages
        assert dead.reason == "20503"
        assert world.row["processing_error_code"] == "20503"
        assert world.is_at_rest

    def test_a_reply_that_cannot_be_queued_at_once_keeps_the_tokens_of_its_unsent_claims(self):
        """P1: the answer to the claim of the part is lost, then the queue throttles: the reply is sent all the same."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        calls = len(world.plan.calls)
        world.plan.faults = {calls + 3: Fault.LOST_ANSWER, calls + 4: Fault.THROTTLED, calls + 6: Fault.THROTTLED}

        world.run(600)

        operations = [call.operation for call in world.plan.calls[calls:][2:6]]
        assert operations == ["PutItem", "DeleteItem", "UpdateItem", "SendMessage"]
        assert world.phone.texts == ["an answer"]
        assert codes(world) == [None]

    def test_a_delivery_that_does_not_know_of_an_unsent_claim_sends_the_reply(self):
        """P1: the answer to the claim of the part is lost; the queue delivers the reply once more as it first was."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.queues.replies.repeat(world.queues.replies.messages[0].message_id)
        world.plan.faults = {len(world.plan.calls) + 3: Fault.LOST_ANSWER}

        world.run(600)

        assert world.phone.texts == ["an answer"]
        assert "UNKNOWN_OUTCOME" not in codes(world)

    def test_a_reply_that_an_earlier_try_may_have_sent_keeps_its_claim_after_a_fault_of_a_table(self):
        """P1: the first try died after its send; the claim of the part meets a fault; no second answer gets in."""
        world = World()
        document = world.burst_with_ai()
        world.reply(document, "an answer")
        world.plan.faults = {len(world.plan.calls) + 4: Fault.CRASH_AFTER}
        world.send_replies()
        world.clock.advance(200)
        world.plan.faults = {len(world.plan.calls) + 5: Fault.THROTTLED}
        world.send_replies()

        world.reply(document, "another answer")
        world.run(600)

        assert world.phone.texts == ["an answer"]
        assert world.sent_contents == ["an answer"]

    def test_a_claim_that_cannot_be_given_back_is_waited_for_less_than_its_lock_takes_to_stall(self):
        """R2: the provider asks for a long pause, and the claim stays: the reply comes before the sweep gives it up."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [TemporaryFailure("20429", 900)]
        world.plan.faults = {len(world.plan.calls) + 6: Fault.THROTTLED}

        world.run(1_200)

        assert world.phone.texts == ["an answer"]
        assert codes(world) == [None]

    def test_a_secret_that_cannot_be_had_leaves_no_claim(self):
        """The secret is fetched before the claim, so that nothing looks as if it were in doubt."""
        world = World()
        document = world.burst_with_ai()
        world.secrets.texts.clear()
        world.engine = world._engine()
        world.reply(document, "an answer")

        world.send_replies()

        assert "reply_claim" not in world.row
        assert world.telemetry.lines[-1]["step"] == "requeued"

    @pytest.mark.parametrize("parts_before", [0, 1])
    def test_a_secret_that_cannot_send_holds_a_reply_until_it_is_mended(self, parts_before: int, monkeypatch):
        """R3: nothing of the part was sent, so nothing of it is in doubt; told as an error each time, and counted."""
        world = World()
        world.reply(world.burst_with_ai(), LONG)
        deliver, fault = world.phone.send, Misconfigured(Code.SECRET_FETCH_FAILED, "a secret has no api_key")

        def cannot(part: OutboundPart, secret: str) -> SendOutcome:
            if len(world.phone.received) == parts_before:
                raise fault
            return deliver(part, secret)

        with monkeypatch.context() as broken:
            broken.setattr(world.phone, "send", cannot)
            world.send_replies()

        assert len(world.phone.received) == len(world.sends) == parts_before
        assert ("reply_claim" in world.row) is bool(parts_before)
        assert world.telemetry.total(Metric.SECRET_FAILURE) == 1
        assert [line["step"] for line in world.telemetry.lines if line["level"] == "error"] == ["failed"]
        world.run(600)
        assert " ".join(world.phone.texts) == LONG
        assert world.row["conversation_status"] == "ai_response_sent"

    def test_a_refused_secret_is_read_again_for_the_next_try(self):
        """The cache has the secret from before its rotation, and would keep it for its time to live."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.rotate()

        world.run(120)

        assert world.phone.texts == ["an answer"]
        assert world.telemetry.total(Metric.ACCOUNT_FAULT) == 1


class TestInDoubt:
    def test_a_lost_answer_is_looked_up_and_never_sent_again(self):
        """The provider took it, and its answer timed out: after a wait its list proves the send."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.plan.faults = {len(world.plan.calls) + 4: Fault.LOST_ANSWER}

        world.run(300)

        assert world.phone.texts == ["an answer"]
        assert world.row["conversation_status"] == "ai_response_sent"
        assert world.row["messages"][-1]["message_id"] == world.phone.received[0][0]
        assert "reconciled" in world.telemetry.steps()

    def test_a_look_up_that_is_refused_is_repeated_with_the_rotated_secret(self):
        """The cache has the secret from before its rotation; the next try reads it again."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.plan.faults = {len(world.plan.calls) + 4: Fault.LOST_ANSWER}
        world.send_replies()
        world.rotate()

        world.run(300)

        assert world.phone.texts == ["an answer"]
        assert world.row["conversation_status"] == "ai_response_sent"
        assert "reconciled" in world.telemetry.steps()

    def test_what_the_provider_does_not_know_counts_as_answered_and_is_told(self):
        """At most once is chosen over at least once: an error for an operator, and no second try."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [InDoubt()]

        world.run(300)

        assert not world.phone.texts
        assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME
        assert world.telemetry.total(Metric.REPLY_UNKNOWN) == 1
        assert world.is_at_rest

    def test_a_reply_that_a_5xx_hides_is_found_in_the_list_and_not_sent_again(self):
        """The provider took the message and answered with a 5xx; its list proves the send."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [Taken(InDoubt(is_server_error=True))]

        world.run(400)

        assert world.phone.texts == ["an answer"]
        assert world.row["conversation_status"] == "ai_response_sent"
        assert "sent_again" not in world.telemetry.steps()

    @pytest.mark.parametrize("settings", [{}, {"reconcile_after_seconds": "40"}])
    def test_a_reply_that_a_5xx_refused_is_sent_once_more_after_two_reads_of_the_list(self, settings: dict):
        """Both reads come at least a minute after the send, whatever the setting says."""
        world = World(**settings)
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [InDoubt(is_server_error=True)]
        begin = world.clock.now()

        world.run(400, step=5)

        (received,) = world.phone.received
        (row,) = world.sends
        assert received[1].body == "an answer"
        assert row["list_misses"] == 1
        assert (received[2] - begin).total_seconds() >= LISTED_AFTER_SECONDS
        assert sum(call.operation == "ListMessages" for call in world.plan.calls) == (3 if settings else 2)
        assert world.row["conversation_status"] == "ai_response_sent"
        assert world.is_at_rest

    @pytest.mark.parametrize(
        ("second", "error_code"),
        [
            (InDoubt(is_server_error=True), ReplyCode.UNKNOWN_OUTCOME),
            (InDoubt(), ReplyCode.UNKNOWN_OUTCOME),
            (PermanentFailure("21211"), "21211"),
        ],
    )
    def test_a_reply_is_sent_again_only_once(self, second: SendOutcome, error_code: str):
        """However the second send ends, there is no third."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [InDoubt(is_server_error=True), second, InDoubt(is_server_error=True)]

        world.run(900)

        assert len(world.phone.outcomes) == 1
        assert world.row["processing_error_code"] == error_code
        assert world.is_at_rest

    @pytest.mark.parametrize("second", [TemporaryFailure("20429", 5), TemporaryFailure("20003", is_ours_to_mend=True)])
    def test_a_second_send_that_was_certainly_not_taken_comes_again(self, second: SendOutcome):
        """The first send stays in doubt meanwhile: the list is read before each try."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [InDoubt(is_server_error=True), second]

        world.run(900)

        assert world.phone.texts == ["an answer"]
        assert world.row["conversation_status"] == "ai_response_sent"
        assert world.is_at_rest

    def test_a_first_send_that_shows_up_after_the_second_was_refused_counts(self):
        """What the provider lists late is found by the read before the next try."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [InDoubt(is_server_error=True), Taken(TemporaryFailure("20429", 5))]

        world.run(900)

        assert world.phone.texts == ["an answer"]
        assert world.row["conversation_status"] == "ai_response_sent"

    def test_a_report_of_the_first_send_ends_the_doubt(self):
        """A status callback proves what the list does not show yet."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [InDoubt(is_server_error=True)]
        world.send_replies()
        (row,) = world.sends

        world.report(row["send_id"], "delivered", MessageSid=f"SM{7:032x}")
        world.run(400)

        assert not world.phone.texts
        assert world.row["messages"][-1]["message_id"] == f"SM{7:032x}"
        assert world.row["conversation_status"] == "ai_response_sent"

    def test_a_reply_of_people_is_sent_again_after_a_5xx_too(self):
        """It has no claim on the record; its part's row is all that remembers."""
        world = World()
        world.deliver("one")
        world.run(60)
        world.queues.human_replies.inject(human(), group="acme")
        world.phone.outcomes = [InDoubt(is_server_error=True)]

        world.run(400)

        assert world.phone.texts[-1:] == ["a person says"]
        assert world.sent_contents == world.phone.texts

    def test_a_later_part_waits_for_one_that_is_in_doubt(self):
        """The parts arrive in order, each once."""
        world = World()
        world.reply(world.burst_with_ai(), LONG)
        world.phone.outcomes = [DELIVER, InDoubt(is_server_error=True)]

        world.run(900)

        assert " ".join(world.phone.texts) == LONG
        assert world.row["conversation_status"] == "ai_response_sent"

    def test_a_customer_who_opted_out_meanwhile_is_not_sent_it_again(self):
        """The first send stays of unknown outcome."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [InDoubt(is_server_error=True)]
        world.send_replies()
        world.deliver("STOP", OptOutType="STOP")

        world.run(400)

        assert not world.phone.texts
        assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME

    def test_where_the_list_may_lack_what_was_taken_nothing_is_sent_again(self, monkeypatch):
        """SendGrid's list is an extra that an account may not have."""
        world = World()
        monkeypatch.setattr(world.phone, "lists_every_message", False)
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [InDoubt(is_server_error=True)]

        world.run(400)

        assert not world.phone.texts
        assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME

    def test_an_earlier_reply_that_says_the_same_proves_nothing(self):
        """Two batches are answered "Yes." within half a minute, and the second send is lost on the way."""
        world = World(None, batch_window_seconds="0", batch_max_wait_seconds="0")
        world.reply(world.burst_with_ai("really?"), "Yes.")
        world.send_replies()
        world.reply(world.burst_with_ai("sure?"), "Yes.")
        world.phone.outcomes = [InDoubt()]

        world.run(300)

        assert world.phone.texts == ["Yes."]
        assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME

    def test_a_delivery_beside_a_process_that_may_be_sending_waits(self):
        """A young claim of the same reply is left alone: its process may be alive."""
        world = World()
        document = world.burst_with_ai()
        world.reply(document, "an answer")
        world.reply(document, "an answer")
        world.plan.interleave(len(world.plan.calls) + 4, world.send_replies)

        world.send_replies()

        assert world.phone.texts == ["an answer"]

    def test_a_stalled_claim_whose_parts_are_known_to_be_sent_is_recorded_by_the_sweep(self):
        """The process that sent them wakes late; the parts' rows tell the sweep that it was no unknown outcome."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")

        def stall() -> None:
            world.clock.advance(301)
            world.sweep()

        world.plan.interleave(len(world.plan.calls) + 6, stall)
        world.send_replies()
        world.run(600)

        assert world.phone.texts == ["an answer"]
        assert world.row["conversation_status"] == "ai_response_sent"
        assert [entry["content"] for entry in world.row["messages"]] == ["hello", "an answer"]

    def test_a_stalled_claim_of_which_nothing_is_known_is_given_up_loudly(self):
        """A process died between the send and its row, and nobody took the reply up."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.plan.faults = {len(world.plan.calls) + 4: Fault.CRASH_AFTER}
        world.send_replies()
        world.queues.replies.messages.clear()

        world.run(600)

        assert world.row["processing_error_code"] == ReplyCode.UNKNOWN_OUTCOME
        assert world.telemetry.total(Metric.REPLY_UNKNOWN) == 1
        assert world.is_at_rest

    def test_a_reply_of_which_a_part_was_sent_keeps_its_claim(self):
        """R3: the second part meets a 429; another answer to the batch must not follow half of this one."""
        world = World()
        document = world.burst_with_ai()
        world.reply(document, LONG)
        world.phone.outcomes = [DELIVER, TemporaryFailure("20429", after_seconds=600)]
        world.send_replies()
        world.reply(document, "another answer")

        world.run(1_200)

        assert " ".join(world.phone.texts) == LONG
        assert ReplyCode.SECOND in codes(world)
        assert world.row["conversation_status"] == "ai_response_sent"

    def test_a_reply_that_could_not_give_its_claim_back_comes_before_the_claim_stalls(self):
        """R2: the provider asked for a long wait, and the claim stands meanwhile."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.phone.outcomes = [TemporaryFailure("20429", after_seconds=600)]
        world.plan.faults = {len(world.plan.calls) + 6: Fault.THROTTLED}
        sent_at = world.clock.monotonic()

        world.send_replies()

        (again,) = world.queues.replies.messages
        assert world.row["reply_claim"]
        assert again.visible_at - sent_at <= world.settings.stall_timeout_seconds / 2

    def test_a_status_that_the_company_writes_during_a_send_opens_nothing(self):
        """The end of a reply is fenced by batch and claim: what it answered is not carried and answered again."""
        world = World()
        world.reply(world.burst_with_ai("one"), "an answer")

        def company() -> None:
            world.tables.conversations.seed({**world.row, "conversation_status": "human_notified"})

        world.plan.interleave(len(world.plan.calls) + 5, company)
        world.send_replies()
        world.deliver("two")
        world.run(300)

        assert [len(batch) for batch in world.batches.values()] == [1, 1]
        assert world.is_at_rest

    def test_a_stop_between_the_look_and_the_take_over_is_heard(self):
        """The take-over holds only while the record stands as it was read: the reply is not sent after STOP."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.plan.faults = {len(world.plan.calls) + 2: Fault.CRASH_AFTER}
        world.send_replies()
        world.clock.advance(200)
        world.plan.interleave(len(world.plan.calls) + 3, lambda: world.deliver("STOP", OptOutType="STOP"))

        world.send_replies()

        assert not world.phone.texts
        assert world.row["processing_error_code"] == ReplyCode.OPTED_OUT

    def test_a_part_that_was_sent_before_the_customer_said_stop_is_recorded(self):
        """A refusal holds back what was never shown to the provider, and forgets nothing that was."""
        world = World()
        world.reply(world.burst_with_ai(), "an answer")
        world.plan.faults = {len(world.plan.calls) + 6: Fault.CRASH_BEFORE}
        world.send_replies()
        world.deliver("STOP", OptOutType="STOP")

        world.run(290)

        assert world.row["conversation_status"] == "ai_response_sent"
        assert world.row["messages"][-1]["content"] == "an answer"

    def test_an_answer_goes_where_its_batch_came_from(self):
        """A WhatsApp question is with the AI, and the customer asks for HELP by SMS meanwhile."""
        world = World()
        document = world.burst_with_ai("a question")
        world.deliver("HELP", From=CUSTOMER, To=COMPANY)
        world.reply(document, "an answer")

        world.send_replies()

        assert world.phone.received[0][1].to == f"whatsapp:{CUSTOMER}"


class TestLateReplies:
    def test_a_slow_ai_is_heard_where_nothing_newer_began(self):
        """The lock was reset; the claim takes it again."""
        world = World()
        document = world.burst_with_ai()
        world.clock.advance(400)
        world.sweep()
        world.reply(document, "a late answer")

        world.send_replies()

        assert world.phone.texts == ["a late answer"]
        assert world.is_at_rest

    def test_a_batch_that_people_were_given_is_not_answered_by_the_ai_as_well(self):
        """`STALL_ACTION=handoff` resets as answered: the late reply is refused."""
        world = World(None, stall_action="handoff")
        document = world.burst_with_ai()
        world.clock.advance(400)
        world.sweep()
        world.take_handoffs()
        world.reply(document, "a late answer")

        world.send_replies()

        assert world.with_people == [document["messages"][0]["message_id"]]
        assert not world.phone.texts
        assert ReplyCode.STALE in codes(world)


class TestPeople:
    def test_a_reply_of_people_needs_no_lock_and_leaves_the_one_there_is(self):
        """People answer while the AI thinks: sent, recorded, and the batch is still with the AI."""
        world = World()
        world.burst_with_ai()
        world.queues.human_replies.inject(human(), group="acme")

        world.send_replies()

        assert world.phone.texts == ["a person says"]
        assert world.row["messages"][-1]["source"] == "human"
        assert world.row["conversation_status"] == "processing_reply"

    def test_a_reply_of_people_is_sent_once_per_reply_id(self):
        """Delivered twice, with the same id: one message and one entry."""
        world = World()
        world.burst_with_ai()
        world.queues.human_replies.inject(human(), group="acme")
        world.queues.human_replies.inject(human(), group="acme")

        world.send_replies()

        assert world.phone.texts == ["a person says"]
        assert len([entry for entry in world.row["messages"] if entry.get("source") == "human"]) == 1

    def test_a_reply_of_people_that_comes_again_looks_at_the_stage_once_more(self):
        """Its earlier delivery ended it, and failed to send the trigger of a message that came meanwhile."""
        world = World()
        world.deliver()
        world.run(60)
        world.queues.human_replies.inject(human(), group="acme")
        world.send_replies()
        world.plan.faults = {len(world.plan.calls) + 5: Fault.CRASH_BEFORE}
        world.deliver()
        world.queues.human_replies.inject(human(), group="acme")

        world.send_replies()

        assert world.staged_ids
        assert len(world.queues.triggers["whatsapp"].messages) == 1
        assert world.phone.texts[1:] == ["a person says"]

    def test_people_who_write_on_and_on_never_fill_the_record(self):
        """Their replies move old entries off it; once the customer's own is among them, a reply has no recipient."""
        world = World()
        world.deliver()
        world.run(60)

        for number in range(12):
            world.queues.human_replies.inject(
                human(f"{number} " + "word " * 9_000, reply_id=f"r-{number}"), group="acme"
            )
            world.send_replies()

        kept = {entry["message_id"] for entry in world.row["messages"]}
        moved = {row["message_id"] for row in world.tables.history.rows}
        assert {sid for sid, _, _ in world.phone.received} <= kept | moved, "what was sent is recorded"
        assert set(codes(world)) == {None, "NO_RECIPIENT"}
        assert not world.failures
        assert not world.queues.dead_human_replies.messages

    def test_a_part_of_people_s_reply_that_was_sent_is_recorded_though_the_next_one_waits(self):
        """What the customer saw is in the record, even if the rest is not sent."""
        world = World()
        world.burst_with_ai()
        world.queues.human_replies.inject(human(LONG), group="acme")
        world.phone.outcomes = [DELIVER, TemporaryFailure("20429")]

        world.send_replies()

        assert world.row["messages"][-1]["content"] == world.phone.texts[0]

    def test_a_reply_of_people_to_a_conversation_without_a_customers_message_is_refused(self):
        """There is nobody to send it to: the last message of the customer tells the addresses."""
        world = World()
        world.queues.human_replies.inject(human(), group="acme")

        world.send_replies()

        assert not world.phone.texts
        assert codes(world) == [ReplyCode.NO_RECIPIENT]
