"""Stage 1: one webhook request, in order, and what it is answered whatever happens."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from chalicelib.channels.channel import Vendor
from chalicelib.channels.provider import PROBE_HEADER
from chalicelib.errors import Code, Rejected
from chalicelib.messages.inbound import Address, AddressKind, InboundMessage
from chalicelib.telemetry import Metric, Trail
from tests.fakes.faults import Fault
from tests.world import ACCOUNT_SID, AUTH_TOKEN, BASE_URL, COMPANY, CUSTOMER, SECRET_REF, World, conversation

SID = "SM" + "1" * 32
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
NOTICE = "We are on it."
FIND, SECRET, LOAD, STAGE, TRIGGER_LOCK, SEND = range(1, 7)
"""The calls of a first message."""

TRANSIENT = (Fault.THROTTLED, Fault.UNREACHABLE, Fault.LOST_ANSWER)


def outcome(world: World) -> str:
    """The code of the last answer."""
    return [line for line in world.telemetry.lines if line["step"] == "answered_provider"][-1]["outcome"]


def is_untouched(world: World) -> bool:
    """Nothing was written, and nothing sent."""
    tables = (world.tables.stage, world.tables.trigger_lock, world.tables.history, world.tables.unknown_senders)
    return (
        world.is_silent
        and not any(table.rows for table in tables)
        and all(call.kind == "read" for call in world.plan.calls)
    )


def locked(**settings: str) -> World:
    """A conversation whose batch is with the AI."""
    world = World(None, conversation(), locked_notice=NOTICE, **settings)
    world.deliver("first")
    world.clock.advance(11)
    world.work()
    return world


class TestSpellings:
    """A customer whose number WhatsApp spells otherwise than the company's row."""

    ROW, WRITES = "+525512345678", "+5215512345678"

    def test_the_conversation_is_found_and_the_customer_answered_where_they_wrote_from(self):
        """One query more than a look-up that hits, and the one for the company."""
        world = World(None, conversation(gsi_recipient_tel=self.ROW))

        world.deliver(From=f"whatsapp:{self.WRITES}")
        world.run(60)

        reads = [call.operation for call in world.plan.calls[:5]]
        assert outcome(world) == "success"
        assert reads == ["Query", "Query", "GetSecretValue", "Query", "GetItem"]
        assert [part.to for _, part, _ in world.phone.received] == [f"whatsapp:{self.WRITES}"]

    def test_a_forger_makes_no_further_look_up(self):
        """Other spellings are asked for only once the company's own secret has proven the provider."""
        world = World(None, conversation(gsi_recipient_tel=self.ROW))

        world.post(world.form(From=f"whatsapp:{self.WRITES}"), token="forged")

        assert outcome(world) == "INVALID_SIGNATURE"
        assert [call.operation for call in world.plan.calls].count("Query") == 2

    def test_the_found_row_s_own_secret_has_to_prove_it_too(self):
        """The company's rows may name different accounts."""
        other = json.dumps({"account_sid": "AC" + "9" * 32, "auth_token": "another"})
        config = {"whatsapp": {"credential_ref": "other"}}
        known = conversation(conversation_id="a", gsi_recipient_tel="+4900")
        world = World(None, known, conversation(gsi_recipient_tel=self.ROW, channel_config=config))
        world.secrets.texts["other"] = other

        world.post(world.form(From=f"whatsapp:{self.WRITES}"))

        assert outcome(world) == "INVALID_SIGNATURE"
        assert is_untouched(world)

    def test_a_sender_unknown_by_every_spelling_is_told_so(self):
        """As any unknown sender."""
        world = World(None, conversation(gsi_recipient_tel="+525599999999"))

        world.deliver(From=f"whatsapp:{self.WRITES}")

        assert outcome(world) == "CONVERSATION_NOT_FOUND"


class TestUsersWithoutNumber:
    """A WhatsApp user who hides their number: Twilio names them by an id."""

    USER = "DE.13491208655302741918"

    def test_a_row_may_name_them_by_their_id(self):
        """In the same index; they are answered at that id."""
        world = World(None, conversation(gsi_recipient_tel=self.USER))

        world.deliver(From=f"whatsapp:{self.USER}", ExternalUserId=self.USER)
        world.run(60)

        assert outcome(world) == "success"
        assert [part.to for _, part, _ in world.phone.received] == [f"whatsapp:{self.USER}"]

    def test_a_row_that_names_them_by_id_finds_them_by_number_too(self):
        """While WhatsApp still tells the number; the reply goes to the address that wrote."""
        world = World(None, conversation(gsi_recipient_tel=self.USER))

        world.deliver(ExternalUserId=self.USER)
        world.run(60)

        assert [part.to for _, part, _ in world.phone.received] == [f"whatsapp:{CUSTOMER}"]

    def test_whom_no_row_names_is_refused_by_a_name_of_its_own(self):
        """Their number may be known: an operator has to see that it is their id that is missing."""
        world = World()

        world.deliver(From=f"whatsapp:{self.USER}", ExternalUserId=self.USER)

        assert outcome(world) == "SENDER_WITHOUT_NUMBER"
        assert world.settings.unknown_sender_text in world.answers[-1].body


class TestMachines:
    @pytest.mark.parametrize("sender", ["72345", "ACME-Info", "InfoSMS"])
    def test_short_codes_and_names_never_receive_the_unknown_sender_text(self, world: World, sender: str):
        """A machine sent it: two machines would answer each other, and nobody reads it."""
        response = world.post(world.form(From=sender, To=COMPANY))

        assert outcome(world) == "CONVERSATION_NOT_FOUND"
        assert response.body == EMPTY
        assert world.tables.unknown_senders.rows == []


class TestMisdirectedCallback:
    def callback(self, world: World) -> dict[str, str]:
        both = {"From": f"whatsapp:{COMPANY}", "To": f"whatsapp:{CUSTOMER}"}
        return world.form(**both, MessageStatus="delivered", SmsStatus="delivered")

    def test_it_is_told_as_a_fault_of_the_configuration(self, world: World):
        """Nothing is staged: it is no message. Somebody has to correct the URL at Twilio."""
        response = world.post(self.callback(world))

        (line,) = (line for line in world.telemetry.lines if line["step"] == "failed")
        assert (line["level"], line["code"]) == ("error", "MISDIRECTED_CALLBACK")
        assert (response.status_code, response.body) == (200, EMPTY)
        assert is_untouched(world)

    def test_a_forged_one_is_a_forgery(self, world: World):
        """No stranger can raise an alarm about our configuration."""
        world.post(self.callback(world), token="forged")

        assert outcome(world) == "INVALID_SIGNATURE"


class TestSteps:
    def test_every_step_before_the_stage_is_a_line_of_its_own(self, world: World):
        """In order; those that only tell that all is well are for debugging."""
        world.post(world.form())

        steps = [(line["step"], line["level"]) for line in world.telemetry.lines]

        assert steps == [
            ("received", "info"),
            ("looked_up_conversation", "debug"),
            ("secret_fetched", "debug"),
            ("signature_accepted", "debug"),
            ("context_loaded", "debug"),
            ("rules_passed", "debug"),
            ("staged", "info"),
            ("triggered", "info"),
            ("answered_provider", "info"),
        ]

    def test_a_forgery_goes_no_further_than_its_secret(self, world: World):
        """Nothing of the conversation is read for it."""
        world.post(world.form(), token="forged")

        steps = [line["step"] for line in world.telemetry.lines]

        assert steps[:3] == ["received", "looked_up_conversation", "secret_fetched"]
        assert not {"signature_accepted", "context_loaded", "rules_passed"} & set(steps)


class TestChannelRoute:
    @pytest.mark.parametrize(
        ("channel", "prefix", "path"),
        [
            ("whatsapp", "whatsapp:", "/webhooks/whatsapp"),
            ("sms", "", "/webhooks/sms"),
            ("sms", "", "/webhooks/whatsapp"),
            ("whatsapp", "whatsapp:", "/webhooks/sms"),
        ],
    )
    def test_a_message_is_staged_then_triggered_then_acknowledged(
        self, world: World, channel: str, prefix: str, path: str
    ):
        """By the prefix of the addresses, whichever of the two URLs carries it."""
        form = world.form(From=f"{prefix}+4915112345678", To=f"{prefix}+14155238886")

        response = world.post(form, path=path)

        (row,) = world.tables.stage.rows
        assert (response.status_code, response.body, response.headers) == (200, EMPTY, {"Content-Type": "text/xml"})
        assert (row["message_sid"], row["channel"]) == (form["MessageSid"], channel)
        assert [len(queue.messages) for name, queue in world.queues.triggers.items() if name == channel] == [1]
        assert outcome(world) == "success"

    def test_the_calls_of_the_first_and_the_next_message_of_a_burst(self, world: World):
        """The stage is written before the trigger lock: stage -> ensure is what makes stage 2 safe."""
        world.post(world.form())
        first = [call.operation for call in world.plan.calls]

        world.post(world.form())

        assert first == ["Query", "GetSecretValue", "GetItem", "PutItem", "PutItem", "SendMessage"]
        assert [call.operation for call in world.plan.calls[6:]] == ["Query", "GetItem", "PutItem", "PutItem"]

    def test_each_line_carries_what_is_known_by_then(self, world: World):
        """And none carries the text or a number."""
        world.deliver("secret words")

        *_, last = world.telemetry.lines
        assert {name: last[name] for name in ("request_id", "tenant", "channel", "conversation_id")} == {
            "request_id": "request-1",
            "tenant": "acme",
            "channel": "whatsapp",
            "conversation_id": "conversation-1",
        }
        assert last["message_sid"] == "SM" + "0" * 31 + "1"
        assert "secret words" not in json.dumps(world.telemetry.lines)
        assert CUSTOMER not in json.dumps(world.telemetry.lines)


class TestProof:
    def test_a_forger_changes_nothing_and_learns_nothing(self, world: World):
        """Nothing before the proof has an effect that a forger could see or cause."""
        response = world.post(world.form(), token="forged")

        assert (response.status_code, response.body) == (200, EMPTY)
        assert outcome(world) == "INVALID_SIGNATURE"
        assert is_untouched(world)
        assert world.telemetry.total(Metric.INVALID_SIGNATURE) == 1

    def test_a_forgery_is_told_critically(self, world: World):
        """A forger, or our own configuration: somebody has to look."""
        world.post(world.form(), token="forged")

        (line,) = (line for line in world.telemetry.lines if line["step"] == "refused")
        assert (line["level"], line["code"]) == ("critical", "INVALID_SIGNATURE")
        assert line["reason"].endswith(f"over {BASE_URL}/webhooks/whatsapp"), "the URL that was checked"

    def test_a_forger_cannot_tell_known_senders_from_unknown_ones(self, world: World):
        """All are answered as a bad signature, the same to the byte."""
        forms = [
            world.form(),
            world.form(From="whatsapp:+4999"),
            world.form(To="whatsapp:+1999"),
            world.form(AccountSid="AC" + "9" * 32),
        ]

        answers = {(one.status_code, one.body) for one in (world.post(form, token="forged") for form in forms)}

        assert answers == {(200, EMPTY)}
        assert world.telemetry.total(Metric.INVALID_SIGNATURE) == 4
        assert is_untouched(world)

    def test_a_proven_provider_is_told_of_an_unknown_sender(self, world: World):
        """The company alone is looked up, for its secret; only that they were told is kept, and how many were."""
        world.post(world.form(From="whatsapp:+4999"))

        assert outcome(world) == "CONVERSATION_NOT_FOUND"
        assert world.telemetry.total(Metric.UNKNOWN_SENDER) == 1
        assert world.is_silent
        assert [call.resource for call in world.plan.calls if call.kind != "read"] == ["unknown-senders-local"] * 2

    def test_an_address_that_is_no_company_s_is_told_as_a_bad_signature(self, world: World):
        """Without fetching a secret: there is none to prove it by."""
        world.post(world.form(To="whatsapp:+1999"))

        assert outcome(world) == "INVALID_SIGNATURE"
        assert [call.operation for call in world.plan.calls] == ["Query", "Query"]

    def test_another_tenant_s_provider_proves_nothing_here(self):
        """Nothing of one tenant reaches another."""
        other = "ai-multi-comms/whatsapp-credentials/other/main/twilio-local"
        config = {"whatsapp": {"credential_ref": other}}
        theirs = conversation(conversation_id="c-2", gsi_company_whatsapp_number="+1777", channel_config=config)
        world = World(None, conversation(), theirs)
        world.secrets.texts[other] = json.dumps({"account_sid": "AC" + "9" * 32, "auth_token": "theirs"})

        world.post(world.form(AccountSid="AC" + "9" * 32), token="theirs")

        assert outcome(world) == "INVALID_SIGNATURE"
        assert is_untouched(world)

    def test_a_rotated_secret_is_fetched_anew_at_once(self, world: World):
        """A signature that fails against a cached secret causes one refresh."""
        world.deliver()
        world.secrets.texts[SECRET_REF] = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": "rotated"})
        world.clock.advance(30)

        world.post(world.form(), token="rotated")

        assert outcome(world) == "success"

    def test_forged_requests_cause_one_refresh_a_minute(self, world: World):
        """However many they are."""
        world.deliver()
        fetched = []
        for _ in range(13):
            world.clock.advance(10)
            world.post(world.form(), token="forged")
            fetched.append(sum(call.operation == "GetSecretValue" for call in world.plan.calls))

        assert fetched == [2] * 6 + [3] * 6 + [4]

    def test_a_missing_reference_is_our_fault(self):
        """Told by the attribute's name; Twilio is not asked to retry."""
        world = World(None, conversation(channel_config={}))

        response = world.post(world.form())

        assert (response.status_code, outcome(world)) == (200, "MISSING_CREDENTIAL_CONFIG")
        assert world.telemetry.total(Metric.SECRET_FAILURE) == 1


class TestRules:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"project_status": "closed"}, "PROJECT_INACTIVE"),
            ({"allowed_channels": ["sms"]}, "CHANNEL_NOT_ALLOWED"),
        ],
    )
    def test_a_rule_refuses_before_anything_is_staged(self, changes: dict, code: str):
        """Counted by its code; the customer hears nothing."""
        world = World(None, conversation(**changes))

        response = world.post(world.form())

        assert (response.status_code, response.body, outcome(world)) == (200, EMPTY, code)
        assert is_untouched(world)
        assert ("Refused", 1, "whatsapp", code) in world.telemetry.counts

    @pytest.mark.parametrize("change", [{"task_complete": 1}, None], ids=["complete", "gone"])
    def test_a_conversation_that_ended_since_the_index_was_read_is_not_found(self, world: World, change: dict | None):
        """An index lags: the row itself decides."""
        row = world.row
        end = world.tables.conversations.delete if change is None else world.tables.conversations.seed
        world.plan.interleave(LOAD, lambda: end({**row, **(change or {})}))

        world.post(world.form())

        assert outcome(world) == "CONVERSATION_NOT_FOUND"
        assert world.tables.stage.rows == []

    def test_a_list_that_makes_no_sense_is_our_fault(self):
        """Nothing is staged: nobody knows where it belongs."""
        world = World(None, conversation(auto_queue_reply_message_from_number=7))

        response = world.post(world.form())

        assert (response.status_code, outcome(world)) == (200, "ROUTING_ERROR")
        assert is_untouched(world)


class TestLocked:
    def test_the_customer_is_told_once_per_answered_batch(self):
        """A3: by the first message of the turn, however many bursts follow; all of them are staged."""
        world = locked()
        bodies = []
        for _ in range(3):
            bodies.append(world.post(world.form()).body)
            world.clock.advance(40)
            world.work()

        assert [NOTICE in body for body in bodies] == [True, False, False]
        assert len(world.staged_ids) == 3
        assert outcome(world) == "success"

    def test_a_customer_whose_batch_stalled_is_not_told_again(self):
        """What they were told still holds for what the next batch carries."""
        world = locked()
        world.deliver("second")
        world.clock.advance(400)
        world.sweep()
        world.work()

        response = world.post(world.form("third"))

        assert world.row["conversation_status"] == "processing_reply"
        assert response.body == EMPTY

    def test_after_an_answer_the_customer_is_told_of_the_next_turn(self):
        """The mark goes with the batch after."""
        world = locked()
        world.deliver("second")
        world.run(60, ai_answers=True)
        world.burst_with_ai("third")

        response = world.post(world.form("fourth"))

        assert NOTICE in response.body

    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_ANSWER, Fault.MISCONFIGURED])
    def test_where_the_mark_cannot_be_set_nothing_is_told(self, fault: Fault):
        """A courtesy: the message is staged and triggered by then."""
        world = locked()
        clean = locked()
        clean.post(clean.form())
        calls = len(clean.plan.calls)
        world.plan.faults = {calls: fault}

        response = world.post(world.form())

        assert clean.plan.calls[-1].operation == "UpdateItem"
        assert (response.status_code, response.body, outcome(world)) == (200, EMPTY, "success")
        assert len(world.staged_ids) == len(world.queues.triggers["whatsapp"].messages) == 1

    def test_an_empty_notice_is_silence(self):
        """A setting."""
        world = locked()
        world.settings = world.settings.__class__(**{**vars(world.settings), "locked_notice": ""})
        world.engine = world._engine()

        response = world.post(world.form())

        assert response.body == EMPTY
        assert len(world.staged_ids) == 1

    def test_what_is_staged_is_answered_by_the_next_batch(self):
        """In order."""
        world = locked()
        later = [world.deliver("second"), world.deliver("third")]

        world.run(200)

        assert list(world.batches.values())[1] == later

    def test_the_policy_reject_refuses_with_the_notice(self):
        """The owner's papers to the letter: nothing is staged."""
        world = locked(on_new_message="reject")

        response = world.post(world.form())

        assert (response.status_code, outcome(world)) == (200, "CONVERSATION_LOCKED")
        assert NOTICE in response.body
        assert world.staged_ids == []

    def test_an_open_conversation_has_no_notice(self, world: World):
        """Nobody is thinking."""
        assert world.post(world.form()).body == EMPTY


class TestHandoff:
    def test_a_message_for_people_reaches_them_at_once(self):
        """With its entry in the record, and its row settled."""
        world = World(None, conversation(auto_queue_reply_message_from_number=[CUSTOMER]))

        sid = world.deliver()

        assert world.queues.handoff.seconds_until_next == 0
        (document,) = world.take(world.queues.handoff)
        assert [one["message_id"] for one in document["messages"]] == world.entry_ids == [sid]
        assert world.row["messages"][0]["handed_off"] is True
        assert world.row["conversation_status"] == "user_reply_received"
        assert world.staged_ids == []

    def test_a_message_in_the_record_already_is_not_handed_off_again(self):
        """A retry of the provider: its trigger settles the row."""
        world = World(None, conversation(auto_queue_reply_message=True))
        sid = world.deliver()

        world.deliver(sid=sid)
        world.work()

        assert len(world.queues.handoff.messages) == 1
        assert world.entry_ids == [sid]
        assert world.staged_ids == []

    def test_the_batch_of_a_conversation_that_goes_to_people_goes_with_it(self):
        """They get what the AI has, and then what is staged, in order; the AI's late answer is refused."""
        world = locked()
        (document,) = world.take(world.queues.ai)
        world.tables.conversations.seed({**world.row, "auto_queue_reply_message": True})
        first = document["messages"][0]["message_id"]

        sid = world.deliver()
        world.work()
        world.reply(document, "too late")
        world.send_replies()

        world.take_handoffs()
        assert world.with_people == world.entry_ids == [first, sid]
        assert world.phone.texts == []
        assert world.row["conversation_status"] == "user_reply_received"

    def test_a_record_that_keeps_changing_leaves_the_row_to_a_trigger_without_delay(self):
        """After a few looks; people have the message a moment later, once."""
        world = World(None, conversation(auto_queue_reply_message=True))
        for look in range(4):
            world.plan.interleave(
                7 + 3 * look,
                lambda look=look: world.tables.conversations.seed({**world.row, "conversation_status": f"s-{look}"}),
            )

        response = world.post(world.form())

        assert (response.status_code, outcome(world)) == (200, "success")
        assert world.queues.triggers["whatsapp"].seconds_until_next == 0
        assert world.queues.handoff.messages == []
        world.work()
        world.take_handoffs()
        assert len(world.with_people) == 1
        assert world.staged_ids == []

    @pytest.mark.parametrize("fault", [*TRANSIENT, Fault.MISCONFIGURED])
    @pytest.mark.parametrize("call", range(STAGE + 1, STAGE + 6))
    def test_a_fault_on_the_way_to_people_leaves_the_rest_to_a_trigger(self, call: int, fault: Fault):
        """It is staged: acknowledged, and people get it once, by whoever finds it."""
        world = World(None, conversation(auto_queue_reply_message=True))
        world.plan.faults = {call: fault}

        response = world.post(world.form())

        assert (response.status_code, outcome(world)) == (200, "success")
        world.run(60)
        assert world.with_people == world.entry_ids == ["SM" + "0" * 31 + "1"]
        assert world.is_at_rest

    def test_what_waits_for_its_window_goes_to_people_before_what_comes_after_the_switch(self, world: World):
        """In the webhook itself, in one batch, in the order in which the messages came."""
        first = world.deliver("one")
        world.tables.conversations.seed({**world.row, "auto_queue_reply_message_from_number": [CUSTOMER]})

        second = world.deliver("two")

        world.take_handoffs()
        assert world.with_people == world.entry_ids == [first, second]


class TestDuplicates:
    def test_a_retry_is_acknowledged_and_stages_nothing_new(self, world: World):
        """S1: it sees to it that a trigger surely exists."""
        sid = world.deliver("one")

        response = world.post(world.form("changed", sid=sid))

        (row,) = world.tables.stage.rows
        assert (response.status_code, outcome(world)) == (200, "success")
        assert row["context_object"]["messages"][0]["body"] == "one"
        assert ("DuplicateMessageDetected", 1, "whatsapp", "staged") in world.telemetry.counts

    def test_a_retry_triggers_where_the_first_try_could_not(self, world: World):
        """T3: no lock was left behind."""
        form = world.form()
        world.plan.faults = {SEND: Fault.THROTTLED}
        world.post(form)

        world.post(form)

        assert len(world.queues.triggers["whatsapp"].messages) == 1

    @pytest.mark.parametrize("is_for_people", [True, False])
    def test_a_retry_goes_where_today_s_rules_say(self, is_for_people: bool):
        """The row has no route: who answers is asked when the message is taken, and one takes it."""
        world = World(None, conversation(auto_queue_reply_message=not is_for_people))
        form = world.form()
        world.plan.faults = {STAGE + 1: Fault.CRASH_BEFORE}
        with world.process():
            world.post(form)
        world.tables.conversations.seed({**world.row, "auto_queue_reply_message": is_for_people})

        world.post(form)
        world.clock.advance(11)
        world.work()

        world.take_handoffs()
        assert len(world.with_people) == int(is_for_people)
        assert len(world.take(world.queues.ai)) == int(not is_for_people)


FAULTS = [
    *((FIND, fault, 503, "DB_TRANSIENT_ERROR") for fault in TRANSIENT),
    (FIND, Fault.MISCONFIGURED, 200, "DB_QUERY_ERROR"),
    *((SECRET, fault, 503, "SECRET_FETCH_TRANSIENT_ERROR") for fault in TRANSIENT),
    (SECRET, Fault.MISCONFIGURED, 200, "SECRET_FETCH_FAILED"),
    *((LOAD, fault, 503, "DB_TRANSIENT_ERROR") for fault in TRANSIENT),
    (LOAD, Fault.MISCONFIGURED, 200, "DB_QUERY_ERROR"),
    *((STAGE, fault, 503, "STAGE_WRITE_ERROR") for fault in TRANSIENT),
    (STAGE, Fault.MISCONFIGURED, 200, "DB_QUERY_ERROR"),
    (STAGE, Fault.REFUSED_BY_OWN_WRITE, 200, "success"),
    *((TRIGGER_LOCK, fault, 200, "TRIGGER_LOCK_WRITE_ERROR") for fault in (*TRANSIENT, Fault.MISCONFIGURED)),
    (TRIGGER_LOCK, Fault.REFUSED_BY_OWN_WRITE, 200, "success"),
    *((SEND, fault, 200, "QUEUE_ERROR") for fault in (*TRANSIENT, Fault.MISCONFIGURED)),
]


class TestFaults:
    @pytest.mark.parametrize(("call", "fault", "status", "code"), FAULTS)
    def test_a_fault_has_its_code_and_its_answer(self, world: World, call: int, fault: Fault, status: int, code: str):
        """Before the message is staged a retry is asked for where one can mend it; after that it is acknowledged."""
        world.plan.faults = {call: fault}

        response = world.post(world.form())

        assert (response.status_code, response.body, outcome(world)) == (status, EMPTY, code)

    @pytest.mark.parametrize(("call", "fault", "status", "code"), FAULTS)
    def test_acknowledged_as_staged_is_staged(self, world: World, call: int, fault: Fault, status: int, code: str):
        """And what is told to us to mend is not."""
        world.plan.faults = {call: fault}

        world.post(world.form())

        is_staged = bool(world.staged_ids)
        assert is_staged or code not in {"success", "TRIGGER_LOCK_WRITE_ERROR", "QUEUE_ERROR"}
        assert not is_staged or code != "DB_QUERY_ERROR"
        assert status in {200, 503}

    @pytest.mark.parametrize("call", [FIND, SECRET, LOAD, STAGE, TRIGGER_LOCK, SEND])
    def test_past_the_deadline_no_call_starts(self, world: World, call: int):
        """503 before the message is staged, so that Twilio retries; acknowledged after that, for the sweep.

        T5: a trigger and its lock have one deadline between them, so the send follows a lock that was begun in time.
        """
        if call > FIND:
            world.plan.interleave(call - 1, lambda: world.clock.advance(3))
        else:
            world.settings = world.settings.__class__(**{**vars(world.settings), "webhook_deadline_seconds": 0})
            world.engine = world._engine()

        response = world.post(world.form())

        assert len(world.plan.calls) == (SEND if call == SEND else call - 1)
        assert response.status_code == (503 if call <= STAGE else 200)
        assert len(world.staged_ids) == (1 if call > STAGE else 0)
        assert len(world.tables.trigger_lock.rows) == len(world.queues.triggers["whatsapp"].messages)

    def test_an_error_that_nobody_expected_is_answered_by_the_table(self, world: World):
        """Never a 500, and told by type and place only."""
        world.plan.interleave(LOAD, lambda: int(CUSTOMER + "x"))

        response = world.post(world.form())

        (line,) = (line for line in world.telemetry.lines if line["step"] == "failed")
        assert (response.status_code, outcome(world)) == (200, "INTERNAL_ERROR")
        assert line["reason"].startswith("ValueError at test_receiving.py:")
        assert CUSTOMER not in json.dumps(world.telemetry.lines)

    @pytest.mark.parametrize(
        ("call", "level"), [(FIND, "warning"), (SECRET, "warning"), (STAGE, "warning"), (SEND, "error")]
    )
    def test_a_fault_of_the_world_is_a_warning_until_the_message_is_staged(self, world: World, call: int, level: str):
        """Twilio comes again; after that the sweep has to."""
        world.plan.faults = {call: Fault.THROTTLED}

        world.post(world.form())

        (line,) = (line for line in world.telemetry.lines if line["step"] == "failed")
        assert line["level"] == level

    @pytest.mark.parametrize("body", ["", "x", "%", "a=1&a=2", urlencode({"MessageSid": "SM1"})])
    def test_what_is_no_message_is_refused_before_any_call(self, world: World, body: str):
        """By the code of what it lacks."""
        response = world.post(body, token=AUTH_TOKEN)

        assert (response.status_code, response.body) == (200, EMPTY)
        assert outcome(world) == "MISSING_REQUIRED_FIELD"
        assert world.plan.calls == []


PROBE = {PROBE_HEADER: "1"}
TO_ITSELF = {"From": f"whatsapp:{COMPANY}", "To": f"whatsapp:{COMPANY}"}


class TestProbes:
    def test_a_proven_probe_is_answered_as_nothing_else_is(self, world: World):
        """204, where a refused signature gets 200 and TwiML; and nothing is written or sent."""
        response = world.post(world.form(**TO_ITSELF), **PROBE)

        assert (response.status_code, response.body) == (204, "")
        assert outcome(world) == "probe"
        assert is_untouched(world)

    def test_a_forged_probe_is_answered_like_any_forgery(self, world: World):
        """To probe is no way to learn anything without the secret."""
        probe = world.post(world.form(**TO_ITSELF), token="forged", **PROBE)
        forgery = world.post(world.form(), token="forged")

        assert (probe.status_code, probe.body) == (forgery.status_code, forgery.body)
        assert outcome(world) == "INVALID_SIGNATURE"

    def test_a_customer_s_message_is_no_probe_whatever_its_headers_say(self, world: World):
        """A header that strays in loses nothing."""
        world.post(world.form(sid=SID), **PROBE)

        assert world.staged_ids == [SID]

    def test_a_company_that_writes_to_itself_is_no_probe_without_the_header(self, world: World):
        """It is answered as any sender that is not known."""
        response = world.post(world.form(**TO_ITSELF))

        assert response.status_code == 200
        assert outcome(world) == "CONVERSATION_NOT_FOUND"


class TestProvenMessages:
    def message(self, world: World, **changes) -> InboundMessage:
        told = {
            "message_sid": SID,
            "channel": "whatsapp",
            "account_id": ACCOUNT_SID,
            "sender": Address(AddressKind.PHONE, CUSTOMER),
            "recipient": Address(AddressKind.PHONE, COMPANY),
            "body": "hello",
            "received_at": world.clock.now(),
        }
        return InboundMessage(**{**told, **changes})

    def test_a_proven_message_is_staged_and_triggered_as_one_of_the_webhook(self, world: World):
        """Without a secret being asked for."""
        world.engine.receiving(Vendor.TWILIO).receive_proven(self.message(world), Trail(world.telemetry, world.clock))

        assert world.staged_ids == [SID]
        assert len(world.queues.triggers["whatsapp"].messages) == 1
        assert "GetSecretValue" not in [call.operation for call in world.plan.calls]

    def test_a_proven_message_is_staged_once(self, world: World):
        """However often it is taken in, and by any process."""
        world.post(world.form(sid=SID))

        world.engine.receiving(Vendor.TWILIO).receive_proven(self.message(world), Trail(world.telemetry, world.clock))

        assert world.staged_ids == [SID]
        assert world.telemetry.total(Metric.DUPLICATE) == 1

    def test_a_proven_message_of_an_unknown_sender_tells_nobody(self, world: World):
        """No answer of ours waits for it that could."""
        stranger = self.message(world, sender=Address(AddressKind.PHONE, "+4999"))

        taken = world.engine.receiving(Vendor.TWILIO).receive_proven(stranger, Trail(world.telemetry, world.clock))

        assert (taken.code, taken.notice) == (Code.CONVERSATION_NOT_FOUND, "")
        assert is_untouched(world)
        assert ("UnknownSender", 1, "whatsapp", "silent") in world.telemetry.counts

    def test_a_proven_message_obeys_the_conversation_s_rules(self):
        """It is refused by the same rule as at the webhook."""
        world = World(None, conversation(project_status="inactive"))

        with pytest.raises(Rejected, match="PROJECT_INACTIVE"):
            world.engine.receiving(Vendor.TWILIO).receive_proven(
                self.message(world), Trail(world.telemetry, world.clock)
            )
