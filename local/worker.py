"""The child that works: polls the queues and keeps the schedules of the app, from the app's own registrations.

What Lambda's event source mappings and EventBridge's rules do in an account, as far as the app can see it: real event
shapes, at most `batch_size` messages, deleted together when the handler returns and left to their visibility timeout
when it raises. Handlers run one at a time, as they do in one Lambda execution environment.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import traceback
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import botocore.handlers
from chalice.app import Chalice, ScheduledEventConfig, SQSEventConfig
from chalice.local import LambdaContext

from local.aws.clients import LocalAws
from local.processes.environment import PROJECT, REGION

_POLL_SECONDS = 1
_PAUSE_SECONDS = 1.0
_ACCOUNT = "000000000000"
_MESSAGES_MAX = 10
"""What SQS gives at once."""

_SECONDS_OF = {"minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True)
class Worker:
    """Runs the handlers of one app."""

    app: Chalice
    aws: LocalAws
    stage: str
    stopped: threading.Event
    one_at_a_time: threading.Lock
    every_seconds: int | None = None
    """Between two firings of a schedule; None: as the schedule says."""

    def run(self, only: Collection[str]) -> None:
        """Work until `stopped` is set, for the handlers named in `only`; none named: for all.

        Raises:
            ValueError: a schedule is of a kind that is not known here.
        """
        loops = [
            loop for source in self.app.event_sources if not only or source.name in only for loop in self._loops(source)
        ]
        threads = [threading.Thread(target=loop, daemon=True) for loop in loops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _loops(self, source: Any) -> list[Callable[[], None]]:
        match source:
            case SQSEventConfig():
                return [lambda: self._poll(source)]
            case ScheduledEventConfig():
                seconds = self.every_seconds or seconds_between(source.schedule_expression)
                return [lambda: self._keep_schedule(source, seconds)]
            case _:
                return []

    def _poll(self, source: SQSEventConfig) -> None:
        queue = source.queue
        assert queue is not None, "app.py names its queues, never their ARNs"
        url = self.aws.queue_url(queue)
        while not self.stopped.is_set():
            try:
                messages = self._receive(url, source.batch_size)
                if messages and self._invoke(source.name, sqs_event(queue, messages)):
                    self._delete(url, messages)
            except Exception:  # noqa: BLE001  # a poller outlives whatever its engine does, and says what it was
                traceback.print_exc()
                self.stopped.wait(_PAUSE_SECONDS)

    def _receive(self, url: str, batch_size: int) -> list[dict[str, Any]]:
        answer = self.aws.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(batch_size, _MESSAGES_MAX),
            WaitTimeSeconds=_POLL_SECONDS,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    def _delete(self, url: str, messages: list[dict[str, Any]]) -> None:
        entries = [{"Id": str(number), "ReceiptHandle": one["ReceiptHandle"]} for number, one in enumerate(messages)]
        self.aws.sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    def _keep_schedule(self, source: ScheduledEventConfig, seconds: int) -> None:
        while not self.stopped.wait(seconds):
            self._invoke(source.name, schedule_event(source.name, datetime.now(UTC)))

    def _invoke(self, name: str, event: dict[str, Any]) -> bool:
        """Run a handler; whether it returned."""
        memory, timeout = function_size(self.stage, name)
        with self.one_at_a_time:
            try:
                self.app.handler_map[name](event, LambdaContext(name, memory, timeout * 1_000))
            except Exception:  # noqa: BLE001  # as Lambda: the messages come again, and the log tells why
                traceback.print_exc()
                return False
        return True


def work(stage: str, only: Collection[str], *, dies_before_dispatch: bool, every_seconds: int | None = None) -> None:
    """Work for the app until SIGTERM; the handler that is running then is let finish.

    Args:
        stage: whose function sizes in `.chalice/config.json` the handlers get.
        only: the handlers to run by name; none named: all.
        dies_before_dispatch: kill this process, as a machine dies, when it is about to send to the AI queue.
        every_seconds: how often the schedules fire; None: as each says.
    """
    if dies_before_dispatch:
        _die_before_dispatch(os.environ["AI_QUEUE"])
    from app import app  # noqa: PLC0415  # the app's sessions must be made after the trap was set

    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    Worker(app, LocalAws.of_environment(), stage, stopped, threading.Lock(), every_seconds).run(only)


def sqs_event(queue: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The event of an event source mapping for messages as `ReceiveMessage` returned them."""
    return {
        "Records": [
            {
                "messageId": one["MessageId"],
                "receiptHandle": one["ReceiptHandle"],
                "body": one["Body"],
                "attributes": one.get("Attributes", {}),
                "messageAttributes": {
                    name: {
                        "stringValue": value.get("StringValue"),
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": value["DataType"],
                    }
                    for name, value in one.get("MessageAttributes", {}).items()
                },
                "md5OfBody": one["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{_ACCOUNT}:{queue}",
                "awsRegion": REGION,
            }
            for one in messages
        ]
    }


def schedule_event(name: str, now: datetime) -> dict[str, Any]:
    """The event of an EventBridge rule that fires."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": _ACCOUNT,
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:{_ACCOUNT}:rule/replies-engine-{name}"],
        "detail": {},
    }


def seconds_between(expression: Any) -> int:
    """The seconds between two firings of a rate.

    Raises:
        ValueError: the expression is no rate.
    """
    text = expression if isinstance(expression, str) else expression.to_string()
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", text)
    if rate is None:
        raise ValueError(f"only rates are kept here, not {text}")
    return int(rate[1]) * _SECONDS_OF[rate[2]]


def function_size(stage: str, name: str) -> tuple[int, int]:
    """The memory in MB and the timeout in seconds that `.chalice/config.json` gives a function."""
    config = json.loads((PROJECT / ".chalice" / "config.json").read_text())
    # As Chalice looks: the stage's own word on the function, then every stage's, then the word on all functions.
    function = config | config["lambda_functions"].get(name, {})
    function |= config["stages"][stage].get("lambda_functions", {}).get(name, {})
    return int(function["lambda_memory_size"]), int(function["lambda_timeout"])


def _die_before_dispatch(ai_queue: str) -> None:
    """Set a trap in every botocore session made from here on; the request that springs it never leaves the machine."""

    def die(params: dict[str, Any], **_: object) -> None:
        if params["QueueUrl"].endswith(f"/{ai_queue}"):
            os.kill(os.getpid(), signal.SIGKILL)

    botocore.handlers.BUILTIN_HANDLERS.append(("before-parameter-build.sqs.SendMessage", die))
