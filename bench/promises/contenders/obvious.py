"""The obvious build: the owner's papers to the letter, in Chalice and boto3, as a good engineer writes them in a week.

Stage 1: look up, secret, signature, full record, rules, stage, trigger lock, delayed trigger. Stage 2: query the
stage, lock by status, append, send to the AI, delete. Stage 3: send by Twilio, set the status. A schedule resets
locks that are older than five minutes.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError
from chalice.app import Chalice, Request, Response
from twilio.request_validator import RequestValidator

from bench.promises.customers import BASE_URL, PATH, STAGE
from bench.promises.provider import send
from bench.promises.world import Contender, World

WINDOW_SECONDS = 10
REQUEUE_SECONDS = 20
REQUEUES_MAX = 5
STALLED_SECONDS = 300
TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
LOCKED_TEXT = "We are still working on your previous message."
WHATSAPP_QUEUE = f"replies-engine-{STAGE}-whatsapp"
HANDOFF_QUEUE = f"replies-engine-{STAGE}-human-handoff"
AI_QUEUE = f"replies-engine-{STAGE}-ai"
REPLIES_QUEUE = f"replies-engine-{STAGE}-ai-replies"
TRANSIENT = {"ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError"}


class Build:
    """What the papers call services, handlers and the three functions."""

    def __init__(self, world: World) -> None:
        self.world = world
        dynamodb = boto3.resource("dynamodb")
        self.conversations = dynamodb.Table(f"conversations-{STAGE}")
        self.stage = dynamodb.Table(f"conversations-stage-{STAGE}")
        self.trigger_lock = dynamodb.Table(f"conversations-trigger-lock-{STAGE}")
        self.sqs = boto3.client("sqs")
        self.secrets = boto3.client("secretsmanager")
        self.app = Chalice(app_name="obvious", configure_logs=False)
        self.app.route(PATH, methods=["POST"], content_types=["application/x-www-form-urlencoded"])(self.webhook)

    # ------------------------------------------------------------------ stage 1

    def webhook(self, request: Request) -> Response:
        """Receive one message."""
        try:
            return self._receive(request)
        except ClientError as error:
            if error.response["Error"]["Code"] in TRANSIENT:
                raise  # API Gateway answers 5xx, and Twilio tries again
            return _twiml()
        except Exception:  # noqa: BLE001  # the papers: "Unexpected Code Error: returns 200 OK TwiML"
            return _twiml()

    def _receive(self, request: Request) -> Response:
        form = dict(parse_qsl(request.raw_body.decode(), keep_blank_values=True))
        sender, company = (form[name].removeprefix("whatsapp:") for name in ("From", "To"))
        found = self.conversations.query(
            IndexName="company-whatsapp-number-recipient-tel-index",
            KeyConditionExpression=Key("gsi_company_whatsapp_number").eq(company) & Key("gsi_recipient_tel").eq(sender),
            FilterExpression=Attr("task_complete").eq(0),
            ProjectionExpression="channel_config, conversation_id, created_at",
        )["Items"]
        if not found:
            return _twiml()
        chosen = max(found, key=lambda one: one["created_at"])
        reference = chosen["channel_config"]["whatsapp"]["credential_ref"]
        token = json.loads(self.secrets.get_secret_value(SecretId=reference)["SecretString"])["auth_token"]
        signature = request.headers.get("x-twilio-signature", "")
        if not RequestValidator(token).validate(BASE_URL + PATH, form, signature):
            return _twiml()
        key = {"primary_channel": sender, "conversation_id": chosen["conversation_id"]}
        record = self.conversations.get_item(Key=key)["Item"]
        if record["project_status"] != "active" or "whatsapp" not in record["allowed_channels"]:
            return _twiml()
        if record["conversation_status"] == "processing_reply":
            return _twiml(LOCKED_TEXT)
        context = {**record, "body": form["Body"], "message_sid": form["MessageSid"], "media": form.get("MediaUrl0")}
        is_for_people = bool(record.get("auto_queue_reply_message"))
        self.stage.put_item(
            Item={
                "conversation_id": key["conversation_id"],
                "message_sid": form["MessageSid"],
                "context_object": context,
                "received_at": _now(),
                "expires_at": int(datetime.now(UTC).timestamp()) + 72 * 3_600,
            }
        )
        if is_for_people:
            self._send(HANDOFF_QUEUE, json.dumps(context, default=str))
            return _twiml()
        try:
            self.trigger_lock.put_item(
                Item={
                    "conversation_id": key["conversation_id"],
                    "expires_at": int(datetime.now(UTC).timestamp()) + WINDOW_SECONDS * 6,
                },
                ConditionExpression=Attr("conversation_id").not_exists(),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return _twiml()
            raise
        self._send(WHATSAPP_QUEUE, json.dumps(key), WINDOW_SECONDS)
        return _twiml()

    # ------------------------------------------------------------------ stage 2

    def process_batch(self, event: dict[str, Any]) -> None:
        """Batch what is staged for each conversation that a trigger names."""
        for record in event["Records"]:
            key = json.loads(record["body"])
            attempt = int(record["messageAttributes"].get("RetryAttempt", {}).get("stringValue", "0"))
            self._batch(key, attempt)

    def _batch(self, key: dict[str, str], attempt: int) -> None:
        rows = self.stage.query(KeyConditionExpression=Key("conversation_id").eq(key["conversation_id"]))["Items"]
        if not rows:
            self.trigger_lock.delete_item(Key={"conversation_id": key["conversation_id"]})
            return
        rows.sort(key=lambda one: one["received_at"])
        batch_id = str(uuid.uuid4())
        try:
            self.conversations.update_item(
                Key=key,
                UpdateExpression="SET conversation_status = :processing, processing_started_at = :now",
                ConditionExpression=Attr("conversation_status").ne("processing_reply"),
                ExpressionAttributeValues={":processing": "processing_reply", ":now": _now()},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            if attempt < REQUEUES_MAX:
                attributes = {"RetryAttempt": {"DataType": "Number", "StringValue": str(attempt + 1)}}
                self._send(WHATSAPP_QUEUE, json.dumps(key), WINDOW_SECONDS + REQUEUE_SECONDS, attributes)
            return
        try:
            self._dispatch(key, rows, batch_id)
        except Exception:
            self._set_status(key, "processing_error")  # the papers: emergency unlock, best effort
            raise
        with self.stage.batch_writer() as batch:
            for row in rows:
                batch.delete_item(Key={name: row[name] for name in ("conversation_id", "message_sid")})
        self.trigger_lock.delete_item(Key={"conversation_id": key["conversation_id"]})

    def _dispatch(self, key: dict[str, str], rows: list[dict[str, Any]], batch_id: str) -> None:
        contexts = [row["context_object"] for row in rows]
        entries = [
            {"message_id": one["message_sid"], "direction": "INBOUND", "content": _text(one)} for one in contexts
        ]
        self.conversations.update_item(
            Key=key,
            UpdateExpression="SET messages = list_append(messages, :new), last_batch_id = :batch, "
            "last_user_message_at = :now",
            ExpressionAttributeValues={":new": entries, ":batch": batch_id, ":now": _now()},
        )
        context = {**key, "batch_id": batch_id, "messages": [one["content"] for one in entries]}
        self._send(AI_QUEUE, json.dumps(context))

    # ------------------------------------------------------------------ stage 3 and the schedule

    def send_reply(self, event: dict[str, Any]) -> None:
        """Send the AI's answer and open the conversation."""
        for record in event["Records"]:
            reply = json.loads(record["body"])
            key = {name: reply[name] for name in ("primary_channel", "conversation_id")}
            try:
                send(self.world, key["primary_channel"], reply["body"])
            except Exception:
                self._set_status(key, "processing_error")
                raise  # SQS gives it again
            self.conversations.update_item(
                Key=key,
                UpdateExpression="SET conversation_status = :sent, messages = list_append(messages, :new)",
                ExpressionAttributeValues={
                    ":sent": "ai_response_sent",
                    ":new": [{"direction": "OUTBOUND", "content": reply["body"], "timestamp": _now()}],
                },
            )

    def reset_stalled(self) -> None:
        """Reset locks that are older than the threshold."""
        before = (datetime.now(UTC) - timedelta(seconds=STALLED_SECONDS)).isoformat()
        locked = Attr("conversation_status").eq("processing_reply") & Attr("processing_started_at").lt(before)
        for one in self.conversations.scan(FilterExpression=locked)["Items"]:
            self._set_status({name: one[name] for name in ("primary_channel", "conversation_id")}, "processing_timeout")

    def _set_status(self, key: dict[str, str], status: str) -> None:
        self.conversations.update_item(
            Key=key,
            UpdateExpression="SET conversation_status = :status",
            ExpressionAttributeValues={":status": status},
        )

    def _send(self, queue: str, body: str, delay: int = 0, attributes: dict[str, Any] | None = None) -> None:
        url = self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        self.sqs.send_message(QueueUrl=url, MessageBody=body, DelaySeconds=delay, MessageAttributes=attributes or {})


class ObviousBuild(Contender):
    """The owner's papers to the letter."""

    name = "the obvious build"
    notes = (
        "the AI worker answers each batch once per delivery, as the papers leave it",
        "what comes while the conversation is locked is answered with a text and not staged, as the papers say",
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.redeploy()
        world.consume(WHATSAPP_QUEUE, self._batch, batch_size=10, visibility_seconds=180)
        world.consume(REPLIES_QUEUE, self._reply, batch_size=1, visibility_seconds=180)
        world.consume(AI_QUEUE, self._answer, batch_size=1, visibility_seconds=300)
        world.every(300, self._reset)

    def redeploy(self) -> None:
        self.build = Build(self.world)

    def webhook(self, event: dict[str, Any]) -> int:
        return int(self.build.webhook(Request(event, None)).status_code)

    def _batch(self, event: dict[str, Any]) -> None:
        self.build.process_batch(event)

    def _reply(self, event: dict[str, Any]) -> None:
        self.build.send_reply(event)

    def _reset(self) -> None:
        self.build.reset_stalled()

    def _answer(self, event: dict[str, Any]) -> None:
        (record,) = event["Records"]
        context = json.loads(record["body"])
        reply = self.world.think(context["conversation_id"], context["messages"])
        if reply is not None:
            told = {name: context[name] for name in ("primary_channel", "conversation_id", "batch_id")}
            self.world.queues[REPLIES_QUEUE].send({"MessageBody": json.dumps({**told, "body": reply})}, self.world.now)


def _twiml(text: str = "") -> Response:
    body = TWIML.replace("></R", f"><Message>{text}</Message></R") if text else TWIML
    return Response(body, headers={"Content-Type": "application/xml"})


def _text(context: dict[str, Any]) -> str:
    return str(context["body"] or str(context["media"]).rpartition("/")[2].removesuffix(".jpg"))


def _now() -> str:
    return datetime.now(UTC).isoformat()
