"""Over HTTP, through the real adapters, to one message on the AI queue; and hostile input, which changes nothing."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from chalice.app import Request

from chalicelib import wiring
from chalicelib.channels.channel import Vendor
from chalicelib.handlers import webhooks
from tests.app.conftest import FORM_TYPE, HOST, Deployment, fresh_process
from tests.world import ACCOUNT_SID, COMPANY, CUSTOMER, KEY, SECRET_REF

EMPTY = b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'


def sid(number: int) -> str:
    return f"SM{number:032x}"


def told(out: str) -> list[dict]:
    """The log lines of a run, metrics left out."""
    lines = [json.loads(line) for line in out.splitlines()]
    return [line for line in lines if "_aws" not in line]


def outcome(out: str) -> str:
    return next(line["outcome"] for line in reversed(told(out)) if line["step"] == "answered_provider")


def is_untouched(deployment: Deployment, before: dict) -> bool:
    """Nothing was written, and nothing sent."""
    tables = ("stage", "trigger lock", "history")
    queues = ("whatsapp", "sms", "ai", "human-handoff")
    return (
        deployment.row == before
        and not any(deployment.rows(table) for table in tables)
        and not any(deployment.count(queue) for queue in queues)
    )


class TestEndToEnd:
    @pytest.mark.parametrize(("channel", "prefix"), [("whatsapp", "whatsapp:"), ("sms", "")])
    def test_a_signed_message_becomes_one_message_on_the_ai_queue(
        self, deployment: Deployment, channel: str, prefix: str
    ):
        """Through API Gateway's event, DynamoDB, SQS and Secrets Manager as the code calls them."""
        form = deployment.form("Grüße 🌅", From=f"{prefix}{CUSTOMER}", To=f"{prefix}{COMPANY}")

        response = deployment.post(form, path=f"/webhooks/{channel}")
        triggers = deployment.run_worker(channel)

        (document,) = deployment.messages("ai")
        assert (response.status_code, response.body, response.headers["Content-Type"]) == (200, EMPTY, "text/xml")
        assert triggers == 1
        assert [(one["message_id"], one["body"]) for one in document["messages"]] == [(form["MessageSid"], "Grüße 🌅")]
        assert document["meta"]["channel_type"] == channel
        assert deployment.rows("stage") == deployment.rows("trigger lock") == []
        assert deployment.row["conversation_status"] == "processing_reply"
        assert deployment.row["unanswered_ids"] == [form["MessageSid"]]

    def test_a_burst_with_a_retry_is_one_batch(self, deployment: Deployment):
        """Text, media alone and a button, one of them sent twice."""
        forms = [
            deployment.form("one", sid=sid(1)),
            deployment.form(
                "", sid=sid(2), NumMedia="1", MediaUrl0="https://a.example/1", MediaContentType0="image/png"
            ),
            deployment.form("Yes", sid=sid(3), ButtonText="Yes", ButtonPayload="y"),
        ]

        answers = [deployment.post(form).status_code for form in [*forms, forms[1]]]
        deployment.run_worker("whatsapp")

        (document,) = deployment.messages("ai")
        assert answers == [200] * 4
        assert [one["message_id"] for one in document["messages"]] == [sid(1), sid(2), sid(3)]
        assert document["messages"][1]["media"] == [{"url": "https://a.example/1", "content_type": "image/png"}]
        assert document["messages"][2]["extras"] == {"button_text": "Yes", "button_payload": "y"}

    def test_a_message_for_people_goes_to_the_handoff_queue(self, deployment: Deployment):
        """At once, with the company's own attribute in its context."""
        deployment.seed(auto_queue_reply_message_from_number=[CUSTOMER], language="de")

        deployment.post(deployment.form())

        (document,) = deployment.messages("human-handoff")
        assert document["messages"][0]["message_id"] == deployment.row["messages"][0]["message_id"]
        assert document["conversation"]["language"] == "de"
        assert deployment.rows("stage") == []

    def test_an_unknown_sender_is_told_once_by_the_answer(self, deployment: Deployment):
        """The row is kept for a day, under the two addresses."""
        before = deployment.row

        answers = [deployment.post(deployment.form(sid=sid(number), From="whatsapp:+4999")).body for number in (1, 2)]

        count, row = sorted(deployment.rows("unknown senders"), key=lambda one: one["sender"])
        assert count["sent_count"] == 1
        assert [b"<Message>Thank you for your message." in answer for answer in answers] == [True, False]
        assert (row["company_address"], row["sender"], row["message_sid"]) == (COMPANY, "+4999", sid(1))
        assert is_untouched(deployment, before)

    def test_the_schedules_find_what_a_lost_trigger_left_behind(self, deployment: Deployment):
        """By the sparse index and the scan, as DynamoDB has them."""
        deployment.post(deployment.form())
        deployment.messages_gone("whatsapp")
        (row,) = deployment.rows("stage")
        deployment.dynamodb.update_item(
            TableName="conversations-stage-local",
            Key={name: {"S": row[name]} for name in ("conversation_id", "message_sid")},
            UpdateExpression="SET received_at = :then, due_at = :then",
            ExpressionAttributeValues={":then": {"S": "2026-01-01T00:00:00.000000+00:00"}},
        )
        deployment.dynamodb.delete_item(
            TableName="conversations-trigger-lock-local", Key={"conversation_id": {"S": KEY.conversation_id}}
        )

        deployment.run_schedules()
        deployment.run_worker("whatsapp")

        assert len(deployment.messages("ai")) == 1

    def test_a_stalled_lock_is_let_go_of_by_the_schedule(self, deployment: Deployment):
        """Over the index of locked conversations."""
        deployment.post(deployment.form())
        deployment.run_worker("whatsapp")
        deployment.seed(processing_started_at="2026-01-01T00:00:00.000000+00:00")

        deployment.run_schedules()

        assert deployment.row["conversation_status"] == "processing_timeout"

    def test_a_malformed_trigger_goes_to_the_dead_letter_queue_with_the_reason(self, deployment: Deployment):
        """As an attribute that an operator sees; its neighbour is batched."""
        deployment.post(deployment.form())
        url = deployment.sqs.get_queue_url(QueueName="replies-engine-local-whatsapp")["QueueUrl"]
        deployment.sqs.send_message(QueueUrl=url, MessageBody="{", MessageGroupId="acme")

        deployment.run_worker("whatsapp")

        dead = deployment.sqs.get_queue_url(QueueName="replies-engine-local-whatsapp-dlq")["QueueUrl"]
        (fallback,) = deployment.sqs.receive_message(QueueUrl=dead, MessageAttributeNames=["All"])["Messages"]
        assert fallback["Body"] == "{"
        assert fallback["MessageAttributes"]["reason"]["StringValue"] == "a trigger is JSON"
        assert len(deployment.messages("ai")) == 1

    @pytest.mark.parametrize("path", ["/nothing", "/webhooks/fax", "/webhooks/"])
    def test_an_unknown_path_is_not_found(self, deployment: Deployment, path: str):
        """In JSON."""
        response = deployment.send(b"", {}, path=path)

        assert response.status_code == 404
        assert response.json_body == {"success": False, "code": "UNKNOWN_PATH", "message": "no webhook has this path"}


FORGED_SIGNATURE = "x" * 27 + "="
"""In the form of Twilio's."""

WHOLE = {
    "MessageSid": sid(1),
    "AccountSid": ACCOUNT_SID,
    "From": f"whatsapp:{CUSTOMER}",
    "To": f"whatsapp:{COMPANY}",
    "Body": "hello",
}

HOSTILE = {
    "no body": (b"", {}, "MISSING_REQUIRED_FIELD"),
    "a body of 1 MB": (b"Body=" + b"x" * 1_000_000, {}, "PARSING_ERROR"),
    "a million parameters": (b"a&" * 30_000, {}, "PARSING_ERROR"),
    "another content type": (urlencode(WHOLE).encode(), {"Content-Type": "text/plain"}, "INVALID_SIGNATURE"),
    "a content type that is none": (urlencode(WHOLE).encode(), {"Content-Type": ";;;=/"}, "INVALID_SIGNATURE"),
    "JSON": (json.dumps(WHOLE).encode(), {"Content-Type": "application/json"}, "MISSING_REQUIRED_FIELD"),
    "multipart": (
        b'--x\r\nContent-Disposition: form-data; name="MessageSid"\r\n\r\nSM1\r\n--x--\r\n',
        {"Content-Type": "multipart/form-data; boundary=x"},
        "MISSING_REQUIRED_FIELD",
    ),
    "wrong percent-encoding": (b"%=%zz&%2&MessageSid=%&=%%%", {}, "MISSING_REQUIRED_FIELD"),
    "wrong percent-encoding in a whole form": (urlencode(WHOLE).encode() + b"%zz%", {}, "INVALID_SIGNATURE"),
    "no UTF-8": (b"\xff\xfe\x00\x80=\xc3\x28&Body=\xed\xa0\x80", {}, "MISSING_REQUIRED_FIELD"),
    "no UTF-8 in a whole form": (urlencode(WHOLE).encode() + b"\xff%ff%fe", {}, "INVALID_SIGNATURE"),
    "a missing parameter": (urlencode({**WHOLE, "To": ""}).encode(), {}, "MISSING_REQUIRED_FIELD"),
    "a repeated parameter": (urlencode(WHOLE).encode() + b"&From=whatsapp%3A%2B1", {}, "PARSING_ERROR"),
    "NUL in a sid": (urlencode({**WHOLE, "MessageSid": "SM\x00"}).encode(), {}, "PARSING_ERROR"),
    "NUL and controls in a body": (
        urlencode({**WHOLE, "Body": "\x00\x01\x1f\x7f\ufffe"}).encode(),
        {},
        "INVALID_SIGNATURE",
    ),
    "controls in an address": (urlencode({**WHOLE, "From": "whatsapp:\r\n+49"}).encode(), {}, "PARSING_ERROR"),
    "media below zero": (urlencode({**WHOLE, "NumMedia": "-1"}).encode(), {}, "INVALID_SIGNATURE"),
    "a billion media": (
        urlencode({**WHOLE, "NumMedia": "1e9", "MediaUrl999999999": "x"}).encode(),
        {},
        "INVALID_SIGNATURE",
    ),
    "a From that is no address": (urlencode({**WHOLE, "From": "whatsapp:<script>"}).encode(), {}, "PARSING_ERROR"),
    "a From of an unknown channel": (urlencode({**WHOLE, "From": "fax:+49"}).encode(), {}, "PARSING_ERROR"),
    "a From that is DynamoDB's": (urlencode({**WHOLE, "From": "whatsapp:{'S':'x'}"}).encode(), {}, "PARSING_ERROR"),
    "a flood of headers": (
        urlencode(WHOLE).encode(),
        {f"X-Flood-{number}": "x" * 100 for number in range(2_000)},
        "INVALID_SIGNATURE",
    ),
    "a forged signature": (urlencode(WHOLE).encode(), {"X-Twilio-Signature": FORGED_SIGNATURE}, "INVALID_SIGNATURE"),
    "a signature that is none": (
        urlencode(WHOLE).encode(),
        {"X-Twilio-Signature": "é\x00" * 9_000},
        "INVALID_SIGNATURE",
    ),
    "a Host that is none": (
        urlencode(WHOLE).encode(),
        {"Host": "[::1", "X-Twilio-Signature": FORGED_SIGNATURE},
        "INVALID_SIGNATURE",
    ),
    "an unknown company": (urlencode({**WHOLE, "To": "whatsapp:+1999"}).encode(), {}, "INVALID_SIGNATURE"),
}


class TestHostileInput:
    @pytest.mark.parametrize(("body", "headers", "code"), HOSTILE.values(), ids=HOSTILE.keys())
    def test_hostile_input_is_answered_by_the_table_and_changes_nothing(
        self, deployment: Deployment, capsys: pytest.CaptureFixture[str], body: bytes, headers: dict, code: str
    ):
        """Twilio's column: 200 and empty TwiML; the log tells the code; never a 500."""
        before = deployment.row

        response = deployment.send(body, {"Content-Type": FORM_TYPE, "X-Twilio-Signature": FORGED_SIGNATURE, **headers})

        out = capsys.readouterr().out
        assert (response.status_code, response.body) == (200, EMPTY)
        assert outcome(out) == code
        assert not [line for line in told(out) if line["step"] == "failed"]
        assert is_untouched(deployment, before)

    @pytest.mark.parametrize(
        "changes",
        [
            {"Body": "\x00\x01\x1f\x7f\ufffe\U0010ffff"},
            {"Body": "\ufffd" * 1_600},
            {"NumMedia": "-1"},
            {"NumMedia": "1e9"},
            {"NumMedia": "many", "MediaUrl0": "\x00"},
            {"\x00": "\x00", "é": "", "a.b:c#d": "1"},
            {"Label": "x" * 40_000},
        ],
        ids=["controls", "replacements", "below zero", "a billion", "many", "strange names", "long"],
    )
    def test_strange_content_of_a_proven_provider_reaches_the_ai(self, deployment: Deployment, changes: dict[str, str]):
        """DynamoDB and SQS take every character that JSON can spell."""
        form = deployment.form(**{"Body": "hello", **changes})

        response = deployment.post(form)
        deployment.run_worker("whatsapp")

        (document,) = deployment.messages("ai")
        assert response.status_code == 200
        assert document["messages"][0]["body"] == form["Body"]

    @pytest.mark.parametrize("encoded", [True, False])
    @pytest.mark.parametrize("body", ["", "x", "\ud800", "%ed%a0%80", "a" * 100_000])
    def test_a_body_as_api_gateway_may_hand_it_over_is_answered(self, deployment: Deployment, body: str, encoded: bool):
        """As text or as base64, a lone surrogate too; the handler never raises."""
        event = {
            "headers": {"content-type": FORM_TYPE},
            "requestContext": {"httpMethod": "POST", "resourcePath": "/webhooks/sms", "path": "/local/webhooks/sms"},
            "pathParameters": None,
            "multiValueQueryStringParameters": None,
            "stageVariables": None,
            "body": "" if encoded else body,
            "isBase64Encoded": encoded,
        }

        response = webhooks.receive_message(Request(event, None), Vendor.TWILIO, wiring.engine())

        assert response.status_code == 200


class TestFaults:
    @pytest.mark.parametrize(
        ("variable", "code", "named"),
        [
            ("CONVERSATIONS_TABLE", "DB_QUERY_ERROR", "Query not-there: ResourceNotFoundException"),
            ("STAGE_TABLE", "DB_QUERY_ERROR", "PutItem not-there: ResourceNotFoundException"),
            ("TRIGGER_LOCK_TABLE", "TRIGGER_LOCK_WRITE_ERROR", "PutItem not-there: ResourceNotFoundException"),
            ("WHATSAPP_QUEUE", "QUEUE_ERROR", "GetQueueUrl not-there: NonExistentQueue"),
        ],
    )
    def test_a_missing_table_or_queue_is_named(
        self,
        deployment: Deployment,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        variable: str,
        code: str,
        named: str,
    ):
        """In an error line with the operation, the name and AWS's own code; Twilio is not asked to retry."""
        monkeypatch.setenv(variable, "not-there")

        response = deployment.post(deployment.form())

        out = capsys.readouterr().out
        (line,) = (line for line in told(out) if "reason" in line)
        assert (response.status_code, outcome(out)) == (200, code)
        assert (line["level"], line["reason"]) == ("ERROR", named)

    def test_a_missing_handoff_queue_is_named_and_the_message_stays_staged(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        """For its trigger, which finds the claim for people."""
        monkeypatch.setenv("HUMAN_HANDOFF_QUEUE", "not-there")
        deployment.seed(auto_queue_reply_message=True)
        form = deployment.form()

        deployment.post(form)

        out = capsys.readouterr().out
        (line,) = (line for line in told(out) if "reason" in line)
        assert outcome(out) == "success"
        assert (line["level"], line["code"]) == ("WARNING", "QUEUE_ERROR")
        assert "not-there" in line["reason"]
        assert [row["message_sid"] for row in deployment.rows("stage")] == [form["MessageSid"]]

    def test_a_missing_ai_queue_is_named_and_the_trigger_comes_again(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        """The batch is kept for it."""
        monkeypatch.setenv("AI_QUEUE", "not-there")
        deployment.post(deployment.form())

        deployment.run_worker("whatsapp")

        out = capsys.readouterr().out
        (line,) = (line for line in told(out) if line["step"] == "failed")
        assert line["reason"] == "GetQueueUrl not-there: NonExistentQueue"
        assert deployment.count("whatsapp") == 1
        assert deployment.row["conversation_status"] == "processing_reply"

    def test_a_missing_secret_is_named(self, deployment: Deployment, capsys: pytest.CaptureFixture[str]):
        """By the reference that the company gave."""
        deployment.seed(channel_config={"whatsapp": {"credential_ref": "ai-multi-comms/not-there"}})

        response = deployment.post(deployment.form())

        out = capsys.readouterr().out
        (line,) = (line for line in told(out) if line["step"] == "failed")
        assert (response.status_code, outcome(out)) == (200, "SECRET_FETCH_FAILED")
        assert line["reason"] == "GetSecretValue ai-multi-comms/not-there: ResourceNotFoundException"
        assert deployment.rows("stage") == []

    def test_a_secret_that_is_no_json_is_told_without_its_text(
        self, deployment: Deployment, capsys: pytest.CaptureFixture[str]
    ):
        """Nothing of it comes into a log."""
        deployment.secrets.create_secret(Name="malformed", SecretString="tok-4711")
        deployment.seed(channel_config={"whatsapp": {"credential_ref": "malformed"}})

        deployment.post(deployment.form())

        out = capsys.readouterr().out
        assert outcome(out) == "SECRET_FETCH_FAILED"
        assert "tok-4711" not in out

    def test_wrong_settings_are_told_all_at_once(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        """Where a function started all the same."""
        monkeypatch.delenv("STAGE_TABLE")
        monkeypatch.setenv("AWS_TRIES", "many")

        response = deployment.post(deployment.form())

        out = capsys.readouterr().out
        (line,) = (line for line in told(out) if "reason" in line)
        assert (response.status_code, outcome(out)) == (200, "CONFIGURATION_ERROR")
        assert "STAGE_TABLE is missing" in line["reason"]
        assert "AWS_TRIES must be a number from 1 to 5" in line["reason"]

    def test_an_unreachable_aws_is_answered_503_and_nothing_is_half_done(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        """So that Twilio retries."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

        response = deployment.post(deployment.form())

        monkeypatch.delenv("AWS_ENDPOINT_URL")
        out = capsys.readouterr().out
        assert (response.status_code, outcome(out)) == (503, "DB_TRANSIENT_ERROR")
        assert deployment.rows("stage") == []

    def test_a_rotated_token_is_taken_from_the_store(self, deployment: Deployment):
        """By a process that has the old one in memory."""
        deployment.post(deployment.form(sid=sid(1)))
        wiring.engine().credentials._kept[SECRET_REF] = (
            wiring.engine()
            .credentials._kept[SECRET_REF]
            .__class__(
                json.dumps({"account_sid": ACCOUNT_SID, "auth_token": "old"}), wiring.engine().clock.monotonic() - 10
            )
        )

        deployment.post(deployment.form(sid=sid(2)))

        assert len(deployment.rows("stage")) == 2

    def test_a_fresh_process_answers_as_the_one_before(self, deployment: Deployment):
        """Nothing that matters is kept in memory."""
        deployment.post(deployment.form(sid=sid(1)))
        fresh_process()

        response = deployment.post(deployment.form(sid=sid(1)))

        assert response.status_code == 200
        assert len(deployment.rows("stage")) == 1
        assert HOST not in str(deployment.rows("stage"))
