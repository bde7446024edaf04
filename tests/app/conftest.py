"""The app as it is deployed: Chalice's own gateway in front, the real adapters behind, and moto for AWS.

One thread, for moto breaks under several; one stack for each module, made from the template.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from chalice.local import LambdaContext
from chalice.test import Client, HTTPResponse
from moto import mock_aws
from twilio.request_validator import RequestValidator

import app
from chalicelib import wiring
from chalicelib.aws.attributes import item_from_wire, item_to_wire
from chalicelib.ports.queues import fair_group
from chalicelib.telemetry.writer import SERVICE
from infrastructure.template import TEMPLATE_FILE
from local.processes.environment import of_stage
from tests.world import ACCOUNT_SID, AUTH_TOKEN, COMPANY, CUSTOMER, KEY, SECRET_REF, conversation

HOST = "hooks.example.com"
FORM_TYPE = "application/x-www-form-urlencoded; charset=UTF-8"
ENVIRONMENT = {name: value for name, value in of_stage("local").items() if name != "AWS_ENDPOINT_URL"} | {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "LOG_LEVEL": "DEBUG",
    "BATCH_WINDOW_SECONDS": "0",  # moto's queues go by the machine's clock, and no test waits
    "BATCH_MAX_WAIT_SECONDS": "0",
    "CONTEXT_ATTRIBUTES": "language",
}
TABLES = {
    "conversations": "conversations-local",
    "stage": "conversations-stage-local",
    "trigger lock": "conversations-trigger-lock-local",
    "history": "conversations-history-local",
    "sends": "conversations-sends-local",
    "unknown senders": "unknown-senders-local",
}


@dataclass
class Deployment:
    """The app, and what stands around it."""

    client: Client
    dynamodb: Any
    sqs: Any
    secrets: Any

    def form(self, body: str = "hello", *, sid: str = "SM" + "0" * 32, **parameters: str) -> dict[str, str]:
        """What Twilio posts for a WhatsApp message."""
        return {
            "MessageSid": sid,
            "AccountSid": ACCOUNT_SID,
            "From": f"whatsapp:{CUSTOMER}",
            "To": f"whatsapp:{COMPANY}",
            "Body": body,
            "NumMedia": "0",
            **parameters,
        }

    def post(
        self, form: dict[str, str], *, path: str = "/webhooks/whatsapp", token: str = AUTH_TOKEN, **headers: str
    ) -> HTTPResponse:
        """One request as Twilio makes it."""
        signature = RequestValidator(token).compute_signature(f"https://{HOST}{path}", form)
        told = {"Content-Type": FORM_TYPE, "X-Twilio-Signature": signature, **headers}
        return self.send(urlencode(form).encode(), told, path=path)

    def send(self, body: bytes, headers: dict[str, str], *, path: str = "/webhooks/whatsapp") -> HTTPResponse:
        """Any request, through a tunnel that tells the public host and scheme."""
        return self.client.http.post(path, headers={"Host": HOST, "X-Forwarded-Proto": "https", **headers}, body=body)

    def run_worker(self, channel: str) -> int:
        """Have the channel's function process what its queue delivers now; how many messages that was."""
        url = self._url(channel)
        received = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        event = self.client.events.generate_sqs_event([one["Body"] for one in received], queue_name=channel)
        self._invoke(f"batch_{channel}", event, seconds=30)
        for one in received:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return len(received)

    def send_replies(self, *bodies: str) -> None:
        """Have the reply function process these messages."""
        self._invoke("send_replies", self._of_company("ai-replies", bodies), seconds=30)

    def send_human_replies(self, *bodies: str) -> None:
        """Have the function for people's replies process these messages."""
        self._invoke("send_human_replies", self._of_company("human-replies", bodies), seconds=30)

    def _of_company(self, queue: str, bodies: Sequence[str]) -> dict[str, Any]:
        """An event of replies in the message group of their company."""
        event: dict[str, Any] = self.client.events.generate_sqs_event(list(bodies), queue_name=queue)
        for record in event["Records"]:
            record["attributes"]["MessageGroupId"] = fair_group("acme")
        return event

    def run_schedules(self) -> None:
        """Run both repairs."""
        for name in ("check_and_reset_stalled_conversations", "recover_orphaned_messages"):
            event = self.client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
            self._invoke(name, event, seconds=60)

    def seed(self, **changes: Any) -> None:
        """What the company's own systems write into the conversation's row."""
        row = {**(self.row or conversation()), **changes}
        self.dynamodb.put_item(TableName=TABLES["conversations"], Item=item_to_wire(row))

    @property
    def row(self) -> dict[str, Any]:
        """The conversation's row."""
        answer = self.dynamodb.get_item(TableName=TABLES["conversations"], Key=item_to_wire(KEY.item))
        return item_from_wire(answer.get("Item", {}))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table."""
        return [item_from_wire(row) for row in self.dynamodb.scan(TableName=TABLES[table])["Items"]]

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """What lies in a queue, taken off it."""
        url, bodies = self._url(queue), []
        while received := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for one in received:
                bodies.append(json.loads(one["Body"]))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return bodies

    def count(self, queue: str) -> int:
        """How many messages lie in a queue, visible or not."""
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        ]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self._url(queue), AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def clear(self) -> None:
        """Leave nothing behind for the next test."""
        for name in TABLES.values():
            schema = self.dynamodb.describe_table(TableName=name)["Table"]["KeySchema"]
            for row in self.dynamodb.scan(TableName=name)["Items"]:
                self.dynamodb.delete_item(
                    TableName=name, Key={one["AttributeName"]: row[one["AttributeName"]] for one in schema}
                )
        for queue in ("whatsapp", "sms", "whatsapp-dlq", "ai", "human-handoff", "ai-replies", "human-replies"):
            self.messages_gone(queue)

    def messages_gone(self, queue: str) -> None:
        """Throw a queue's messages away, those that are invisible too."""
        url = self._url(queue)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
        while received := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for one in received:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "180"})

    @staticmethod
    def _invoke(name: str, event: dict[str, Any], *, seconds: int) -> None:
        """As Lambda does; Chalice's own test client leaves a function three seconds, whatever its timeout."""
        app.app.handler_map[name](event, LambdaContext(name, 512, max_runtime_ms=seconds * 1_000))

    def _url(self, queue: str) -> str:
        return self.sqs.get_queue_url(QueueName=f"replies-engine-local-{queue}")["QueueUrl"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Deployment]:
    """An AWS with the template's tables and queues, and one tenant's secret."""
    with mock_aws(), pytest.MonkeyPatch.context() as patch:  # in this order: moto has credentials of its own
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        boto3.client("cloudformation").create_stack(
            StackName="replies-engine-local",
            TemplateBody=TEMPLATE_FILE.read_text(),
            Parameters=[{"ParameterKey": "Stage", "ParameterValue": "local"}],
            Capabilities=["CAPABILITY_AUTO_EXPAND"],
        )
        made = Deployment(
            client=Client(app.app, stage_name="local", project_dir=str(Path(__file__).parent)),
            dynamodb=boto3.client("dynamodb"),
            sqs=boto3.client("sqs"),
            secrets=boto3.client("secretsmanager"),
        )
        made.secrets.create_secret(
            Name=SECRET_REF, SecretString=json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN})
        )
        yield made


@pytest.fixture
def deployment(stack: Deployment) -> Iterator[Deployment]:
    """A fresh process over that AWS, with one active conversation."""
    fresh_process()
    stack.seed()
    yield stack
    stack.clear()
    fresh_process()


def fresh_process() -> None:
    """Forget what one process builds once: its engine, and the logger with the standard output that it saw."""
    wiring._engines.clear()
    logging.Logger.manager.loggerDict.pop(SERVICE, None)
