"""Stage 1 for e-mail: each of its recipients is found, proven and staged on its own."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.protocol.record import ConversationKey
from chalicelib.telemetry import Metric
from local.requests.email_signatures import key_pair
from tests.emails import COMPANY_EMAIL, CUSTOMER_EMAIL, Email, signature
from tests.fakes.bucket import InMemoryBucket
from tests.fakes.faults import Fault
from tests.world import CUSTOMER, EMAIL_SECRET_REF, KEY, World, email_conversation

FIND, SECRET, LOAD, STAGE = 1, 2, 3, 4
OTHER_COMPANY, OTHER_REF = "sales@other.example", "ai-multi-comms/email-credentials/other/main/sendgrid-local"
OTHER_KEYS = key_pair()

ROW_BYTES_MAX = 20_000


def theirs(**changes: Any) -> dict[str, Any]:
    """Another company's conversation with the same customer."""
    return email_conversation(
        conversation_id="conversation-2",
        company_id="other",
        gsi_company_email=OTHER_COMPANY,
        channel_config={"email": {"credential_ref": OTHER_REF}},
        **changes,
    )


def world_of_two(**settings: str) -> World:
    """Two companies of one deployment, each with a key of its own."""
    world = World(None, email_conversation(), theirs(), **settings)
    world.secrets.texts[OTHER_REF] = json.dumps({"public_key": OTHER_KEYS[1]})
    return world


def outcomes(world: World) -> list[str]:
    """The codes of what was refused or failed, in order."""
    return [line["code"] for line in world.telemetry.lines if line["step"] in ("refused", "failed")]


def told(response: Any) -> tuple[int, dict[str, Any]]:
    """Status and body; the message beside a code is for people, and `test_responses` looks at it."""
    document = json.loads(response.body)
    assert ("message" in document) is (document["code"] is not None)
    return response.status_code, {name: value for name, value in document.items() if name != "message"}


SUCCESS = (200, {"success": True, "code": None})
BOTH = Email(recipients=(COMPANY_EMAIL, OTHER_COMPANY))


def outbound(content: str) -> dict[str, Any]:
    """What we said before."""
    return {"message_id": "old", "direction": "OUTBOUND", "content": content, "timestamp": "2025-12-31T00:00:00+00:00"}


class TestOneRecipient:
    @pytest.mark.parametrize("is_raw", [False, True], ids=["parsed", "raw"])
    def test_an_e_mail_is_staged_triggered_and_acknowledged(self, is_raw: bool):
        """On the conversation that the phone began, where that allows e-mail."""
        world = World(None, email_conversation())

        response = world.post_email(Email(is_raw=is_raw))

        (row,) = world.tables.stage.rows
        assert told(response) == SUCCESS
        assert (row["primary_channel"], row["channel"]) == (CUSTOMER, "email")
        assert [len(queue.messages) for name, queue in world.queues.triggers.items() if name == "email"] == [1]

    def test_the_ai_s_answer_goes_back_by_e_mail_in_its_thread(self):
        """From the address that was written to, to the one that wrote."""
        world = World(None, email_conversation())
        world.deliver_email(Email(subject="Question"))
        world.clock.advance(11)
        world.work()

        (document,) = world.take(world.queues.ai)
        world.reply(document, "an answer")
        world.send_replies()

        ((_, part, _),) = world.phone.received
        assert (part.to, part.sender, part.body) == (CUSTOMER_EMAIL, COMPANY_EMAIL, "an answer")
        assert part.answers["email_message_id"] == "<one@customer.example>"
        assert document["messages"][0]["extras"]["subject"] == "Question"

    @pytest.mark.parametrize("step", ["webhooks.read_mail", "unread.read_content"])
    @pytest.mark.parametrize("email", [Email(), Email(attachments=(("a.pdf", "application/pdf", b"%PDF"),))])
    def test_reading_an_e_mail_takes_no_time_from_the_calls_after_it(
        self, monkeypatch: pytest.MonkeyPatch, step: str, email: Email
    ):
        """Or a large one would come again and again, and never be staged."""
        world = World(None, email_conversation())
        module, _, name = f"chalicelib.channels.sendgrid.{step}".rpartition(".")
        read = getattr(importlib.import_module(module), name)

        def read_slowly(*told: Any, **named: Any) -> Any:
            world.clock.advance(world.settings.webhook_deadline_seconds + 1)
            return read(*told, **named)

        monkeypatch.setattr(f"{module}.{name}", read_slowly)

        assert told(world.post_email(email)) == SUCCESS

    def test_what_is_not_verified_is_not_read(self, monkeypatch: pytest.MonkeyPatch):
        """Its content may be made to take long."""
        world = World(None, email_conversation())
        monkeypatch.setattr("chalicelib.channels.sendgrid.unread.read_content", pytest.fail)
        body = Email().body

        response = world.post_bytes(body, {"Content-Type": Email().content_type, **signature(body, key_pair()[0])})

        assert response.status_code == 403

    def test_what_repeats_our_last_messages_is_history(self):
        """In a language of no table, from a program that marks nothing."""
        said = "Your order 4711 was shipped yesterday. Please tell us whether it has arrived."
        world = World(None, email_conversation(messages=[outbound(said)]))

        world.post_email(Email(text=f"It has.\n\nXxx Acme yyy:\n{said}", headers={"In-Reply-To": "<a@acme.example>"}))

        (row,) = world.tables.stage.rows
        (message,) = row["context_object"]["messages"]
        assert message["body"] == "It has."

    def test_knowing_what_was_said_costs_no_further_call(self):
        """The record is read anyway; its messages are read along."""
        world = World(None, email_conversation(messages=[outbound("hello")]))

        world.post_email(Email())

        assert [call.kind for call in world.plan.calls] == ["read", "read", "read", "write", "write", "send"]

    def test_a_phone_conversation_that_allows_no_e_mail_refuses_it(self):
        """Its tenant's rule."""
        world = World(None, email_conversation(allowed_channels=["whatsapp"]))

        response = world.post_email(Email())

        assert told(response) == (403, {"success": False, "code": "CHANNEL_NOT_ALLOWED"})
        assert world.staged_ids == []

    def test_an_e_mail_and_a_message_are_one_batch(self):
        """A conversation has one lock, whatever its channels."""
        world = World(None, email_conversation())
        sid = world.deliver("by phone")
        world.deliver_email(Email(text="by e-mail"))
        world.clock.advance(11)

        world.work()

        (document,) = world.take(world.queues.ai)
        assert [one["body"] for one in document["messages"]] == ["by phone", "by e-mail"]
        assert document["messages"][0]["message_id"] == sid

    @pytest.mark.parametrize("when", ["staged", "answered"])
    def test_a_retry_is_acknowledged_and_answered_once(self, when: str):
        """SendGrid comes again for days."""
        world = World(None, email_conversation())
        world.post_email(Email())
        if when == "answered":
            world.run(120)

        response = world.post_email(Email(boundary="another"))
        world.run(120)

        assert told(response) == SUCCESS
        assert len(world.batches) == len(world.phone.received) == 1
        assert len(world.entry_ids) == 1

    @pytest.mark.parametrize("when", ["staged", "answered"])
    def test_what_came_with_it_is_kept_once(self, when: str):
        """A retry finds the row, or the entry in the record, and keeps nothing more."""
        world = World(None, email_conversation())
        email = Email(attachments=(("a.pdf", "application/pdf", b"%PDF"),), text="x" * 20_000)
        world.post_email(email)
        if when == "answered":
            world.run(120)

        response = world.post_email(email)

        assert told(response) == SUCCESS
        assert [outcome for name, _, _, outcome in world.telemetry.counts if name == Metric.DUPLICATE] == [when]
        assert len(world.staged_ids) == (1 if when == "staged" else 0)
        contents = {content for content, _, _ in world.bucket.objects.values()}
        assert contents == {b"%PDF", b"x" * 20_000}
        assert len(world.bucket.objects) == 2

    @pytest.mark.parametrize(
        ("call", "fault", "status", "code"),
        [
            (FIND, Fault.THROTTLED, 503, "DB_TRANSIENT_ERROR"),
            (SECRET, Fault.LOST_ANSWER, 503, "SECRET_FETCH_TRANSIENT_ERROR"),
            (SECRET, Fault.MISCONFIGURED, 500, "SECRET_FETCH_FAILED"),
            (LOAD, Fault.UNREACHABLE, 503, "DB_TRANSIENT_ERROR"),
            (STAGE, Fault.THROTTLED, 503, "STAGE_WRITE_ERROR"),
            (STAGE, Fault.MISCONFIGURED, 500, "DB_QUERY_ERROR"),
            (STAGE + 1, Fault.THROTTLED, 200, "TRIGGER_LOCK_WRITE_ERROR"),
        ],
    )
    def test_a_fault_has_its_answer(self, call: int, fault: Fault, status: int, code: str):
        """503 for what a retry mends, 500 for what we must, 200 once it is staged."""
        world = World(None, email_conversation())
        world.plan.faults = {call: fault}

        response = world.post_email(Email())

        assert told(response) == (status, {"success": status == 200, "code": code})

    @pytest.mark.parametrize("forged", [{"private_key": key_pair()[0]}, {"url_token": "t" * 32}])
    def test_a_forger_changes_nothing_and_learns_nothing(self, forged: Mapping[str, str]):
        """Whoever the e-mail claims to be from."""
        world = World(None, email_conversation())

        answers = {
            told(world.post_email(email, private_key=key_pair()[0], url_token=forged.get("url_token", "")))[0]
            for email in (Email(), Email(sender="x@unknown.example"), Email(recipients=("x@unknown.example",)))
        }

        assert answers == {403}
        assert world.telemetry.total(Metric.INVALID_SIGNATURE) == 3
        assert all(call.kind == "read" for call in world.plan.calls)

    def test_a_token_in_the_url_proves_a_company_without_signing(self):
        """Off unless its secret has one and no key."""
        world = World(None, email_conversation())
        world.secrets.texts[EMAIL_SECRET_REF] = json.dumps({"url_token": "t" * 40})

        response = world.post_email(Email(), private_key=key_pair()[0], url_token="t" * 40)

        assert told(response) == SUCCESS

    @pytest.mark.parametrize(
        ("changes", "settings", "status", "code", "metric"),
        [
            ({"return_path": ""}, {}, 200, "AUTOMATIC_MESSAGE", Metric.AUTOMATIC_MESSAGE),
            (
                {"spf": "fail", "dkim": "none"},
                {"unauthenticated_email": "failed=refuse"},
                403,
                "SENDER_NOT_AUTHENTICATED",
                Metric.UNAUTHENTICATED_EMAIL,
            ),
        ],
    )
    def test_what_the_channel_refuses_is_counted_and_not_staged(self, changes, settings, status, code, metric):
        """Once the provider is proven; a machine's e-mail is taken off SendGrid's hands."""
        world = World(None, email_conversation(), **settings)

        response = world.post_email(replace(Email(), **changes))

        assert told(response) == (status, {"success": status == 200, "code": code})
        assert world.telemetry.total(metric) == 1
        assert world.staged_ids == []

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "PARSING_ERROR"),
            (b"--xYzZY--\r\n", "PARSING_ERROR"),
            (Email(fields={"envelope": None}).body, "MISSING_REQUIRED_FIELD"),
            (Email(fields={"envelope": "{"}).body, "PARSING_ERROR"),
            (Email().body[:200], "PARSING_ERROR"),
        ],
    )
    def test_what_is_no_e_mail_is_refused_before_any_call(self, body: bytes, code: str):
        """400: a retry would bring the same."""
        world = World(None, email_conversation())

        response = world.post_bytes(body, {"Content-Type": Email().content_type, **signature(body)})

        assert told(response) == (400, {"success": False, "code": code})
        assert world.plan.calls == []

    def test_no_line_tells_what_a_customer_wrote_or_who_they_are(self):
        """Nor a name of a file, a subject or an id of theirs."""
        world = World(None, email_conversation())
        private = ("secret words", "Secret subject", "secret.pdf", "Ann", CUSTOMER_EMAIL, COMPANY_EMAIL, "<one@")

        world.post_email(
            Email(text=private[0], subject=private[1], attachments=((private[2], "application/pdf", b"x"),))
        )

        assert [one for one in private if one in json.dumps(world.telemetry.lines)] == []


class TestSeveralRecipients:
    def test_each_company_that_is_proven_gets_it_once(self):
        """One key for both: an agency's."""
        world = world_of_two()
        world.secrets.texts[OTHER_REF] = world.secrets.texts[EMAIL_SECRET_REF]

        response = world.post_email(BOTH)
        world.post_email(BOTH)

        assert told(response) == SUCCESS
        assert sorted(row["conversation_id"] for row in world.tables.stage.rows) == ["conversation-1", "conversation-2"]

    def test_one_company_s_proof_admits_nothing_for_another_s_address(self):
        """Nothing of one tenant reaches another."""
        world = world_of_two()

        response = world.post_email(BOTH)

        assert told(response) == SUCCESS
        assert [row["conversation_id"] for row in world.tables.stage.rows] == [KEY.conversation_id]
        assert outcomes(world) == ["INVALID_SIGNATURE"]

    @pytest.mark.parametrize("request_id", ["request-1", "request-2", "request-3", "request-4"])
    @pytest.mark.parametrize("changes", [{}, {"return_path": ""}], ids=["taken", "refused by a rule"])
    def test_what_is_proven_for_one_company_is_no_forgery_for_the_other(self, changes: dict[str, str], request_id: str):
        """Nobody has to act, so nobody is called: whichever of the two is looked at first."""
        world = world_of_two()
        world.request_id = request_id

        world.post_email(replace(BOTH, **changes))

        (line,) = (line for line in world.telemetry.lines if line.get("code") == "INVALID_SIGNATURE")
        assert (line["level"], line["outcome"]) == ("info", "proven_for_another")
        assert world.telemetry.total(Metric.INVALID_SIGNATURE) == 0
        assert ("Refused", 1, "email", "proven_for_another") in world.telemetry.counts

    def test_a_fault_before_the_proof_proves_nothing_for_the_other_company(self):
        """A forger is reported as an error, whatever else fails."""
        world = world_of_two()
        del world.secrets.texts[EMAIL_SECRET_REF]

        response = world.post_email(BOTH, private_key=key_pair()[0])

        assert response.status_code == 500
        assert world.telemetry.total(Metric.INVALID_SIGNATURE) == 1

    def test_a_forgery_for_all_is_told_as_one(self):
        """Nothing is written for any."""
        world = world_of_two()

        response = world.post_email(BOTH, private_key=key_pair()[0])

        assert told(response) == (403, {"success": False, "code": "INVALID_SIGNATURE"})
        assert world.telemetry.total(Metric.INVALID_SIGNATURE) == 2
        assert all(call.kind == "read" for call in world.plan.calls)

    def test_what_a_retry_can_mend_for_one_is_asked_for(self):
        """And the retry finds the other's as a duplicate."""
        world = world_of_two()
        world.secrets.texts[OTHER_REF] = world.secrets.texts[EMAIL_SECRET_REF]
        world.plan.faults = {STAGE: Fault.THROTTLED}

        first, second = world.post_email(BOTH), world.post_email(BOTH)

        assert told(first) == (503, {"success": False, "code": "STAGE_WRITE_ERROR"})
        assert told(second) == SUCCESS
        assert len(world.tables.stage.rows) == 2
        assert len(world.queues.triggers["email"].messages) == 2

    def test_a_recipient_whom_nobody_knows_takes_nothing_from_the_others(self):
        """Told as a forgery would be."""
        world = World(None, email_conversation())

        response = world.post_email(Email(recipients=("nobody@nowhere.example", COMPANY_EMAIL)))

        assert told(response) == SUCCESS
        assert world.tables.stage.rows[0]["conversation_id"] == KEY.conversation_id

    def test_two_conversations_of_one_company_each_get_it(self):
        """By its two addresses."""
        second = email_conversation(conversation_id="conversation-2", gsi_company_email="sales@acme.example")
        world = World(None, email_conversation(), second)

        world.post_email(Email(recipients=(COMPANY_EMAIL, "sales@acme.example")))

        sids = {row["message_sid"] for row in world.tables.stage.rows}
        assert len(sids) == len(world.tables.stage.rows) == 2

    def test_what_came_with_it_is_kept_once_for_each_company(self):
        """To however many of its addresses it went."""
        second = email_conversation(conversation_id="conversation-3", gsi_company_email="sales@acme.example")
        world = World(None, email_conversation(), second, theirs())
        world.secrets.texts[OTHER_REF] = world.secrets.texts[EMAIL_SECRET_REF]
        files = tuple((f"{number}.pdf", "application/pdf", b"%PDF") for number in range(3))

        response = world.post_email(
            Email(recipients=(COMPANY_EMAIL, "sales@acme.example", OTHER_COMPANY), attachments=files)
        )

        named = {one["url"] for row in world.tables.stage.rows for one in row["context_object"]["messages"][0]["media"]}
        assert told(response) == SUCCESS
        assert len(world.tables.stage.rows) == 3
        assert len(world.bucket.objects) == len(named) == 6
        assert {key.partition("/")[0] for key in world.bucket.objects} == {"acme", "other"}

    def test_what_was_kept_for_one_recipient_before_a_fault_is_kept_for_the_next(self):
        """It goes on where the other one failed."""
        second = email_conversation(conversation_id="conversation-2", gsi_company_email="sales@acme.example")
        world = World(None, email_conversation(), second)
        files = tuple((f"{number}.pdf", "application/pdf", b"%PDF") for number in range(3))
        world.plan.faults = {STAGE + 3: Fault.THROTTLED}  # the first recipient's last one

        response = world.post_email(Email(recipients=(COMPANY_EMAIL, "sales@acme.example"), attachments=files))

        (row,) = world.tables.stage.rows
        named = {one["url"] for one in row["context_object"]["messages"][0]["media"]}
        assert response.status_code == 503
        assert len(named) == len(world.bucket.objects) == 3
        assert [call.operation for call in world.plan.calls].count("PutObject") == 4

    def test_a_recipient_who_takes_all_the_time_does_not_take_it_each_time(self, monkeypatch):
        """Each request begins at another one; they share its deadline."""
        world = world_of_two()
        world.secrets.texts[OTHER_REF] = world.secrets.texts[EMAIL_SECRET_REF]
        files = tuple((f"{number}.pdf", "application/pdf", b"%PDF") for number in range(2))
        put = InMemoryBucket.put

        def slow(bucket: InMemoryBucket, key: str, content: bytes, **told: Any) -> str:
            url = put(bucket, key, content, **told)
            if key.startswith("acme/"):
                world.clock.advance(3)
            return url

        monkeypatch.setattr(InMemoryBucket, "put", slow)
        for number in range(8):
            world.request_id = f"request-{number}"

            world.post_email(replace(BOTH, attachments=files))

        assert [row["tenant"] for row in world.tables.stage.rows] == ["other"]


def size_of(value: Any) -> int:
    """What DynamoDB counts of an item, at least: names, values, and what each element of a map or a list takes."""
    if isinstance(value, Mapping):
        return 3 + sum(len(name.encode()) + size_of(one) + 1 for name, one in value.items())
    if isinstance(value, list | tuple):
        return 3 + sum(size_of(one) + 1 for one in value)
    return len(value.encode()) if isinstance(value, str) else 21


def worst(is_raw: bool, **changes: Any) -> Email:
    """An e-mail that fills whatever can be filled, with characters that take the most bytes."""
    wide = "\U0001f44b" * 3_000
    long_id = "<" + "i" * 236 + "@b.example>"
    headers = {
        "Cc": wide,
        "Reply-To": wide,
        "In-Reply-To": long_id,
        "References": "\r\n ".join(long_id.replace("i", chr(97 + one)) for one in range(20)),
        **{f"X-Header-{number}": "y" * 900 for number in range(60)},
    }
    files = tuple((f"{number}" + "ä" * 60 + ".pdf", "application/pdf" + "x" * 50, b"%PDF") for number in range(900))
    kept = tuple((f"{number}" + "ä" * 60 + ".pdf", "application/pdf", b"%PDF") for number in range(20))
    return Email(
        text=wide * 50,
        subject=wide,
        sender=f"{'n' * 500} <{'a' * 60}@{'b' * 190}.{'c' * 50}.example>",
        return_path="x@" + "d" * 250,
        recipients=(f"{'r' * 60}@{'s' * 190}.{'t' * 50}",),
        message_id=long_id,
        headers=headers,
        attachments=(*files[:400], *kept, *files[400:]) if not is_raw else (*kept, *files[:100]),
        spf="x" * 500,
        dkim="{" + ", ".join(f"@{number}.example : pass" for number in range(200)) + "}",
        fields={"spam_score": "9" * 99},
        is_raw=is_raw,
        **changes,
    )


@pytest.mark.parametrize("is_raw", [False, True], ids=["parsed", "raw"])
def test_a_staged_row_stays_small_whatever_the_e_mail(is_raw: bool):
    """Below 20 KB with a text, extras, names and addresses that fill every bound, for a company with a long name."""
    email = worst(is_raw)
    sender = email.sender.rpartition("<")[2].rstrip(">")
    row = email_conversation(
        gsi_company_email=email.recipients[0],
        gsi_recipient_email=sender,
        company_id="c" * 64,
        company_name="Acme " * 12,
        conversation_id="d" * 64,
    )
    world = World(None, row, unauthenticated_email="failed=keep")

    response = world.post_email(email)

    (staged,) = world.tables.stage.rows
    message = staged["context_object"]["messages"][0]
    assert told(response) == SUCCESS
    assert len([one for one in message["media"] if one["url"]]) == 10
    assert len(message["body"].encode()) > 8_000
    assert len(message["extras"]["references"]) > 600
    assert message["extras"]["notes"] == "attachments,truncated"
    assert size_of(staged) < ROW_BYTES_MAX
    assert ConversationKey(staged["primary_channel"], staged["conversation_id"]).conversation_id == "d" * 64


class TestList:
    """A Google Group is the company's public address, and writes From anew."""

    LIST = "support@acme.example"
    THROUGH_LIST = Email(
        sender=f"'Ann Doe' via Support <{LIST}>",
        headers={"X-Original-From": f"Ann Doe <{CUSTOMER_EMAIL}>", "List-ID": "<support.acme.example>"},
        return_path="support+bncABC@acme.example",
        dkim="{@acme.example : pass}",
        spf="pass",
    )

    @staticmethod
    def of_list(credential_ref: str = EMAIL_SECRET_REF, **changes: Any) -> dict[str, Any]:
        config = {"credential_ref": credential_ref, "policy": {"list_addresses": [TestList.LIST.title()]}}
        return email_conversation(channel_config={"email": config}, **changes)

    def test_an_e_mail_through_the_list_is_answered_to_its_author(self):
        """In the author's conversation, whatever automatic signs the list added."""
        world = World(None, self.of_list())
        world.deliver_email(self.THROUGH_LIST)
        world.clock.advance(11)
        world.work()

        (document,) = world.take(world.queues.ai)
        world.reply(document, "an answer")
        world.send_replies()

        ((_, part, _),) = world.phone.received
        assert (part.to, part.sender) == (CUSTOMER_EMAIL, COMPANY_EMAIL)
        assert document["messages"][0]["from"] == CUSTOMER_EMAIL
        assert document["messages"][0]["extras"]["authentication"] == "pass"

    def test_the_author_is_found_by_one_further_look_up(self):
        """By the list's address only the company was found: a query for the pair, and one for the company."""
        world = World(None, self.of_list())

        world.post_email(self.THROUGH_LIST)

        calls = [call.operation for call in world.plan.calls]
        assert calls.count("Query") == 3
        assert world.staged_ids == [self.THROUGH_LIST.message_sid]

    @pytest.mark.parametrize("dkim", ["{@acme.example : fail}", "{@forger.example : pass}"])
    def test_what_the_list_s_domain_does_not_vouch_for_names_no_author(self, dkim: str):
        """Anybody can write the header."""
        world = World(None, self.of_list())

        response = world.post_email(replace(self.THROUGH_LIST, dkim=dkim, return_path="x@forger.example"))

        assert told(response) == (404, {"success": False, "code": "CONVERSATION_NOT_FOUND"})
        assert world.staged_ids == []

    def test_a_list_that_no_policy_names_is_a_sender_like_others(self):
        """The company alone knows its lists."""
        world = World(None, email_conversation())

        assert told(world.post_email(self.THROUGH_LIST))[0] == 404

    def test_an_unknown_author_is_told_so(self):
        """Not the list: that would pass the text on to everybody who reads it."""
        world = World(None, self.of_list(), unknown_sender_text="Who?")
        headers = {**self.THROUGH_LIST.headers, "X-Original-From": "bob@stranger.example"}

        world.post_email(replace(self.THROUGH_LIST, headers=headers))
        world.send_replies()

        assert [part.to for _, part, _ in world.phone.received] == ["bob@stranger.example"]

    def test_the_author_s_conversation_has_to_be_proven_too(self):
        """The secret of the row that names the list proves no other tenant's conversation."""
        public = self.of_list(conversation_id="conversation-0", gsi_recipient_email="a@customer.example")
        world = World(None, public, self.of_list(OTHER_REF))
        world.secrets.texts[OTHER_REF] = json.dumps({"public_key": OTHER_KEYS[1]})

        response = world.post_email(self.THROUGH_LIST)

        assert told(response) == (403, {"success": False, "code": "INVALID_SIGNATURE"})
        assert world.staged_ids == []


class TestAnswersPerHour:
    @staticmethod
    def exchange(world: World, number: int) -> list[dict[str, Any]]:
        """An e-mail of a machine that does not say so, and the AI's answer, if the AI gets it; what people get."""
        world.deliver_email(Email(message_id=f"<{number}@customer.example>", text=f"machine {number}"))
        world.clock.advance(31)
        world.work()
        for document in world.take(world.queues.ai):
            world.reply(document, f"answer {number}")
            world.send_replies()
        return world.take(world.queues.handoff)

    def test_beyond_the_bound_people_get_the_e_mails(self):
        """Two machines would answer each other without end; nothing is lost, and none is answered twice."""
        world = World(None, email_conversation(), automatic_answers_per_hour="3")

        handed = [self.exchange(world, number) for number in range(5)]

        assert [len(documents) for documents in handed] == [0, 0, 0, 1, 1]
        assert handed[3][0]["messages"][0]["body"] == "machine 3"
        assert [part.body for _, part, _ in world.phone.received] == ["answer 0", "answer 1", "answer 2"]

    def test_operators_learn_that_the_bound_is_reached(self):
        """By a line and a metric for each e-mail that people get because of it, and for no other."""
        world = World(None, email_conversation(), automatic_answers_per_hour="1")

        for number in range(3):
            self.exchange(world, number)

        reached = [one for one in world.telemetry.lines if one["step"] == "answers_max_reached"]
        assert [(one["level"], one["count"]) for one in reached] == [("warning", 1), ("warning", 1)]
        assert world.telemetry.total(Metric.ANSWERS_MAX_REACHED) == 2

    def test_an_e_mail_that_people_get_for_another_reason_is_not_counted(self):
        """The conversation is theirs anyway."""
        world = World(None, email_conversation(auto_queue_reply_message=True))

        world.post_email(Email())

        assert len(world.take(world.queues.handoff)) == 1
        assert world.telemetry.total(Metric.ANSWERS_MAX_REACHED) == 0

    def test_an_hour_later_the_ai_answers_again(self):
        """A person may have written all of them."""
        world = World(None, email_conversation(), automatic_answers_per_hour="1")
        self.exchange(world, 0)
        assert len(self.exchange(world, 1)) == 1

        world.clock.advance(3_600)

        assert self.exchange(world, 2) == []
        assert world.phone.received[-1][1].body == "answer 2"

    def test_answers_that_left_the_record_count(self):
        """A record of large e-mails keeps less than an hour of them."""
        world = World(None, email_conversation(), automatic_answers_per_hour="3", messages_keep="1", dedupe_hours="0")

        handed = [self.exchange(world, number) for number in range(5)]

        assert world.row["moved_answers"]
        assert [len(documents) for documents in handed] == [0, 0, 0, 1, 1]

    def test_e_mails_that_wait_when_the_bound_is_reached_go_to_people(self):
        """They came while the AI wrote its last answer."""
        world = World(None, email_conversation(), automatic_answers_per_hour="1")
        world.deliver_email(Email(text="first"))
        world.clock.advance(31)
        world.work()
        (document,) = world.take(world.queues.ai)
        world.deliver_email(Email(text="second", message_id="<two@customer.example>"))

        world.reply(document, "answer")
        world.send_replies()
        world.clock.advance(31)
        world.work()

        assert world.take(world.queues.ai) == []
        (handed,) = world.take(world.queues.handoff)
        assert [one["body"] for one in handed["messages"]] == ["second"]

    def test_the_bound_costs_no_call(self):
        """The record is read with its messages anyway."""
        world = World(None, email_conversation(messages=[outbound("hello")]))

        world.post_email(Email())

        assert [call.kind for call in world.plan.calls] == ["read", "read", "read", "write", "write", "send"]
