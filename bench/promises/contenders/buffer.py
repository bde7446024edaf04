"""A message buffer as AWS's sample for chat bots has it: a fixed window, one queue, no lock, no dead-letter queue.

Written from the sample's published description: each message is written to a table with a time to live, and a delayed
message is sent for it; the function that gets the delayed message looks whether a newer message came since, and if none
did, takes all of the buffer, asks the model within the same invocation and sends the answer.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import boto3
from boto3.dynamodb.conditions import Key
from twilio.request_validator import RequestValidator

from bench.promises.provider import send
from bench.promises.world import AUTH_TOKEN, BASE_URL, PATH, STAGE, Contender, World

WINDOW_SECONDS = 10
QUEUE = f"replies-engine-{STAGE}-whatsapp"


class MessageBuffer(Contender):
    """Buffer, delay, take all, answer."""

    name = "message buffer"
    notes = ("its table is our stage table, whose key it shares", "the function's timeout is as long as the AI needs")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.redeploy()
        world.consume(QUEUE, self._take, batch_size=1, visibility_seconds=180)

    def redeploy(self) -> None:
        self.buffer = boto3.resource("dynamodb").Table(f"conversations-stage-{STAGE}")
        self.sqs = boto3.client("sqs")

    def webhook(self, event: dict[str, Any]) -> int:
        form = dict(parse_qsl(event["body"], keep_blank_values=True))
        if not RequestValidator(AUTH_TOKEN).validate(BASE_URL + PATH, form, event["headers"]["x-twilio-signature"]):
            return 403
        now = datetime.now(UTC)
        sender = form["From"].removeprefix("whatsapp:")
        self.buffer.put_item(
            Item={
                "conversation_id": sender,
                "message_sid": form["MessageSid"],
                "text": form["Body"] or form["MediaUrl0"].rpartition("/")[2].removesuffix(".jpg"),
                "at": now.isoformat(),
                "expires_at": int(now.timestamp()) + 3_600,
            }
        )
        url = self.sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
        body = json.dumps({"sender": sender, "at": now.isoformat()})
        self.sqs.send_message(QueueUrl=url, MessageBody=body, DelaySeconds=WINDOW_SECONDS)
        return 200

    def _take(self, event: dict[str, Any]) -> None:
        (record,) = event["Records"]
        told = json.loads(record["body"])
        rows = self.buffer.query(KeyConditionExpression=Key("conversation_id").eq(told["sender"]))["Items"]
        rows.sort(key=lambda one: one["at"])
        if not rows or rows[-1]["at"] > told["at"]:
            return  # answered already, or the customer wrote on
        reply = self.world.think(told["sender"], [one["text"] for one in rows])
        if reply is None:
            raise TimeoutError("the model did not answer")
        send(self.world, told["sender"], reply)
        for row in rows:
            self.buffer.delete_item(Key={name: row[name] for name in ("conversation_id", "message_sid")})
