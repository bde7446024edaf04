"""AWS's sample of a message buffer for WhatsApp: a fixed window over a table's stream, no lock, no dead-letter queue.

Written from its published description (aws-samples/sample-whatsapp-end-user-messaging-connect-chat, "WhatsApp Message
Buffering for Amazon Connect"): each message is put into a table by sender and id; a function gets the table's stream by
tumbling windows of 20 seconds, joins consecutive texts of a sender, leaves other kinds as items of their own, and
invokes the next function asynchronously for each. That function answers; Lambda runs it up to three times.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from urllib.parse import parse_qsl

import boto3
from twilio.request_validator import RequestValidator

from bench.promises.customers import AUTH_TOKEN, BASE_URL, PATH, STAGE
from bench.promises.provider import send
from bench.promises.world import Contender, World

WINDOW_SECONDS = 20
TABLE = f"conversations-stage-{STAGE}"
EVENT_HANDLER = "whatsapp-event-handler"


class MessageBuffer(Contender):
    """Store, wait for the window's end, join, answer."""

    name = "AWS buffer sample"
    notes = (
        "the requests are Twilio's and signed by it: the sample gets its messages from AWS End User Messaging by SNS",
        "the function that answers asks the AI and waits for it; in the sample Amazon Connect takes over there",
        "its table is our stage table, whose keys are the sample's under other names",
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.redeploy()
        world.stream(TABLE, self._aggregate, window_seconds=WINDOW_SECONDS)
        world.function(EVENT_HANDLER, self._answer)

    def redeploy(self) -> None:
        self.table = boto3.resource("dynamodb").Table(TABLE)
        self.functions = boto3.client("lambda")

    def webhook(self, event: dict[str, Any]) -> int:
        form = dict(parse_qsl(event["body"], keep_blank_values=True))
        if not RequestValidator(AUTH_TOKEN).validate(BASE_URL + PATH, form, event["headers"]["x-twilio-signature"]):
            return 403
        now = datetime.now(UTC)
        kind, text = ("text", form["Body"]) if form["Body"] else ("image", form["MediaUrl0"])
        self.table.put_item(
            Item={
                "conversation_id": form["From"].removeprefix("whatsapp:"),
                "message_sid": form["MessageSid"],
                "type": kind,
                "text": text,
                "timestamp": now.isoformat(),
                "expires_at": int(now.timestamp()) + 3_600,
            }
        )
        return 200

    def _aggregate(self, event: dict[str, Any]) -> None:
        new = [_plain(one["dynamodb"]["NewImage"]) for one in event["Records"] if one["eventName"] == "INSERT"]
        for item in _joined(new):
            self.functions.invoke(FunctionName=EVENT_HANDLER, InvocationType="Event", Payload=json.dumps(item))

    def _answer(self, item: dict[str, Any]) -> None:
        reply = self.world.think(item["sender"], item["texts"])
        if reply is None:
            raise TimeoutError("the model did not answer")
        send(self.world, item["sender"], reply)


def _plain(image: dict[str, dict[str, str]]) -> dict[str, str]:
    """A row as a function reads it."""
    return {name: next(iter(value.values())) for name, value in image.items()}


def _joined(rows: Iterable[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """By sender and in order, consecutive texts as one."""
    in_order = sorted(rows, key=lambda one: (one["conversation_id"], one["timestamp"]))
    for (sender, kind), some in groupby(in_order, key=lambda one: (one["conversation_id"], one["type"])):
        texts = [one["text"].rpartition("/")[2].removesuffix(".jpg") for one in some]
        for item in [texts] if kind == "text" else [[one] for one in texts]:
            yield {"sender": sender, "texts": item}
