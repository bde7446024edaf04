"""An AI worker: polls the AI queue and answers its batches. `python -m examples.ai_worker --help`.

Reads AI_QUEUE, AI_REPLIES_QUEUE and the usual AWS_* variables. SIGTERM ends it after the batches in hand.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from chalicelib.ai_worker.answering import Answering, Model, echo
from chalicelib.ai_worker.prompts import Document
from chalicelib.aws.bedrock import Bedrock
from chalicelib.aws.calls import Service
from chalicelib.errors import Code
from chalicelib.ports.queues import fair_group
from examples.ai_worker.replies import RepliesInFile

HIDDEN_SECONDS = 300
RETRY_SECONDS = 20


@dataclass(frozen=True)
class Poller:
    """Answers batches, `parallel` conversations at a time."""

    sqs: Any
    queue_url: str
    answering: Answering
    stopped: threading.Event
    wait_seconds: int = 20

    def run(self, parallel: int) -> None:
        with ThreadPoolExecutor(parallel) as pool:
            for _ in range(parallel):
                pool.submit(self._poll)

    def _poll(self) -> None:
        while not self.stopped.is_set():
            try:
                self.poll_once()
            except Exception:  # noqa: BLE001  # the batch comes again, and the worker goes on
                traceback.print_exc()
                self.stopped.wait(1)

    def poll_once(self) -> None:
        """One long poll: the batch that comes is answered, and its message deleted only after that."""
        names = ["ApproximateReceiveCount"]
        waiting = {"WaitTimeSeconds": self.wait_seconds, "MaxNumberOfMessages": 1, "AttributeNames": names}
        for message in self.sqs.receive_message(QueueUrl=self.queue_url, **waiting).get("Messages", []):
            held = {"QueueUrl": self.queue_url, "ReceiptHandle": message["ReceiptHandle"]}
            attempt = int(message["Attributes"]["ApproximateReceiveCount"])
            try:
                self.answering.answer(message["Body"], attempt, partial(self._hide, held, HIDDEN_SECONDS))
            except Exception:
                self._hide(held, RETRY_SECONDS)
                raise
            self.sqs.delete_message(**held)

    def _hide(self, held: dict[str, str], seconds: int) -> None:
        self.sqs.change_message_visibility(**held, VisibilityTimeout=seconds)


def sender(sqs: Any, url: str) -> Any:
    """Sends replies in the tenant's own message group."""
    return lambda body, tenant: sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=fair_group(tenant))


def lock_reader(table: Any) -> Any:
    """Reads whether the record still names a batch; needs `dynamodb:GetItem` on three attributes."""

    def holds_lock(context: Document) -> bool:
        key = {name: context["conversation"][name] for name in ("primary_channel", "conversation_id")}
        read = {"ProjectionExpression": "conversation_status, last_batch_id", "ConsistentRead": True}
        row = table.get_item(Key=key, **read).get("Item", {})
        told = (row.get("conversation_status"), row.get("last_batch_id"))
        return told == ("processing_reply", context["meta"]["batch_id"])

    return holds_lock


def load(url: str) -> bytes:
    """The object of an `s3://` URL."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bytes(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def model_of(chosen: argparse.Namespace) -> Model:
    """The model that the command line names."""
    if chosen.ai == "openai":
        from openai import OpenAI  # noqa: PLC0415  # not shipped: only who asks for it needs it

        from examples.ai_worker.openai_model import openai_model  # noqa: PLC0415  # as above

        return openai_model(OpenAI(base_url=chosen.base_url, timeout=chosen.timeout), chosen.model, load)
    if chosen.ai == "bedrock":
        client = boto3.client("bedrock-runtime", config=Config(read_timeout=chosen.timeout))
        return Bedrock(Service(client, Code.INTERNAL_ERROR, Code.CONFIGURATION_ERROR), chosen.model, load)
    return echo


def main(arguments: Sequence[str] | None = None) -> None:
    """Poll until SIGTERM."""
    options = argparse.ArgumentParser(prog="python -m examples.ai_worker")
    options.add_argument("--ai", choices=["echo", "openai", "bedrock"], default="echo")
    options.add_argument("--model", default="", help="the model's name; by default the server's first")
    options.add_argument("--base-url", help="of an OpenAI-compatible server; OPENAI_API_KEY holds its key")
    options.add_argument("--timeout", type=float, default=120, help="seconds that the model may take")
    options.add_argument("--parallel", type=int, default=8, help="conversations at a time")
    options.add_argument("--wait", type=int, default=20, help="seconds of one long poll, which SIGTERM waits for")
    options.add_argument("--kept", type=Path, default=Path("ai-replies.sqlite"), help="where given replies are kept")
    options.add_argument("--conversations-table", help="read there whether a batch still holds its lock")
    chosen = options.parse_args(arguments)
    sqs, stopped = boto3.client("sqs"), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    url, replies_url = (
        sqs.get_queue_url(QueueName=os.environ[name])["QueueUrl"] for name in ("AI_QUEUE", "AI_REPLIES_QUEUE")
    )
    table = chosen.conversations_table
    reading = {"holds_lock": lock_reader(boto3.resource("dynamodb").Table(table))} if table else {}
    answering = Answering(model_of(chosen), sender(sqs, replies_url), RepliesInFile(chosen.kept), **reading)
    Poller(sqs, url, answering, stopped, chosen.wait).run(chosen.parallel)


if __name__ == "__main__":
    main()
