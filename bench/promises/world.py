"""The world of one evening: virtual time, an AWS in memory, queues that deliver, a provider, an AI, and what fails.

Everything runs in one thread: each invocation is a greenlet, and each call to AWS takes some milliseconds of virtual
time in which the others go on, so that two invocations race as they do on Lambda. Time is virtual for the contender and
for the stub of Twilio. Tables and secrets are those of the local AWS; queues are kept here, for their delays and
visibility timeouts pass in virtual time.
"""

from __future__ import annotations

import heapq
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

import boto3
import botocore.endpoint
import botocore.handlers
import time_machine
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session
from greenlet import getcurrent, greenlet

from bench.promises.customers import ACCOUNT_SID, AUTH_TOKEN, SECRET, STAGE, START, request, row_of
from bench.promises.queues import SQS, Message, Queue, Stream, sqs_event
from bench.promises.script import MINUTES, PROBE_SECONDS, Line, Script
from infrastructure.template import load
from local.aws import ministack, resources
from local.aws.clients import LocalAws
from local.processes import environment
from local.stubs.twilio import Account, Fault, TwilioStub

END_SECONDS = MINUTES * 60 + PROBE_SECONDS + 600.0
RETRIES = (1.0, 3.0, 8.0)
"""Twilio's console is set to retry, for every contender: `#rc=3&rp=all`."""
CALL_SECONDS = 0.012
ASYNCHRONOUS_RETRIES = (60.0, 120.0)
"""Seconds before the second and the third try of an asynchronous invocation: Lambda's own."""
_POLL_SECONDS = 1.0
THROTTLED_EVERY = 3


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Invocation:
    """One run of a function or of a webhook."""

    name: str
    calls: int = 0


@dataclass
class Delivered:
    """One message on a customer's phone."""

    at: float
    customer: int
    body: str


@dataclass
class Taken:
    """One request of a customer as it was answered."""

    line: Line
    is_acknowledged: bool = False


class Contender:
    """A design under comparison. It registers what consumes queues and what runs on a schedule when it is made."""

    name = ""
    notes: tuple[str, ...] = ()
    """Deviations from what was published, with the reason."""

    def __init__(self, world: World) -> None:
        self.world = world

    def webhook(self, event: dict[str, Any]) -> int:
        """Answer a provider's request; its status."""
        raise NotImplementedError

    def redeploy(self) -> None:
        """Begin anew with nothing in memory."""


@dataclass
class World:
    """Plays one script over one contender."""

    aws: LocalAws
    script: Script
    queues: dict[str, Queue] = field(default_factory=lambda: {name: Queue() for name in load(STAGE).queues})
    streams: dict[str, Stream] = field(default_factory=dict)
    functions: dict[str, Callable[[Any], object]] = field(default_factory=dict)
    delivered: list[Delivered] = field(default_factory=list)
    taken: dict[str, Taken] = field(default_factory=dict)
    ai_inputs: list[tuple[float, str, tuple[str, ...]]] = field(default_factory=list)
    """When, for which conversation, and the texts that were new to the AI."""
    replies: list[str] = field(default_factory=list)
    """What the AI said."""
    calls: Counter[str] = field(default_factory=Counter)
    now: float = 0.0
    _plans: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _count: int = 0
    _sends: int = 0
    _is_quiet: bool = False
    """Whether the world itself calls AWS: no time passes and nothing fails."""
    _greenlets: dict[Any, Invocation] = field(default_factory=dict)

    # ------------------------------------------------------------------ time

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Plan something."""
        self._count += 1
        heapq.heappush(self._plans, (max(when, self.now), self._count, what))

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for the running invocation; others go on."""
        current = getcurrent()
        if current.parent is None:  # the world itself
            return
        self.at(self.now + seconds, current.switch)
        current.parent.switch()

    def spawn(self, invocation: Invocation, what: Callable[[], object]) -> None:
        """Begin an invocation."""

        def run() -> None:
            try:
                what()
            finally:
                self._greenlets.pop(getcurrent(), None)

        made = greenlet(run)
        self._greenlets[made] = invocation
        made.switch()

    def run(self, contender: Contender) -> None:
        """Play to the end."""
        for line in self.script.lines:
            self.at(line.at, lambda line=line: self._write(contender, line, 0))
        if self.script.faults.redeploy_at:
            self.at(self.script.faults.redeploy_at, contender.redeploy)
        while self._plans and self._plans[0][0] < END_SECONDS:
            self.now, _, what = heapq.heappop(self._plans)
            self._clock.move_to(START + timedelta(seconds=self.now))
            what()

    # ------------------------------------------------------------------ customers and their provider

    def _write(self, contender: Contender, line: Line, tries: int) -> None:
        event = request(line, forged=line.kind == "forged")
        taken = self.taken.setdefault(line.token, Taken(line))

        def ask() -> None:
            try:
                status = contender.webhook(event)
            except Killed:
                status = 502
            except Exception:  # noqa: BLE001  # Lambda answers so
                status = 502
            taken.is_acknowledged |= status < 300  # noqa: PLR2004  # HTTP's success
            again = status >= 500 or (line.is_retried and tries == 0)  # noqa: PLR2004  # HTTP's errors of a server
            if again and tries < len(RETRIES):
                self.at(self.now + RETRIES[tries], lambda: self._write(contender, line, tries + 1))

        self.spawn(Invocation("webhook"), ask)

    def twilio(self) -> str:
        """The base URL of Twilio's API."""
        return self._twilio.url

    def _on_the_phone(self) -> None:
        """See what arrived since the last look."""
        for one in self._twilio.messages[len(self.delivered) :]:
            customer = int(one.to[-3:]) - 500
            self.delivered.append(Delivered((one.created_at - START).total_seconds(), customer, one.body or ""))

    def order_fault(self) -> None:
        """Have the provider do to the next send what the script says. A contender calls this before each send."""
        kind = dict(self.script.faults.sends).get(self._sends) if self._has_faults else None
        self._sends += 1
        if kind is not None:
            self._twilio.fail_next(Fault(kind=kind, retry_after_seconds=5 if kind == "429" else None))

    # ------------------------------------------------------------------ the AI

    def think(self, conversation: str, texts: Iterable[str]) -> str | None:
        """The AI's answer, after its time; None: it says nothing."""
        new = tuple(texts)
        self.ai_inputs.append((self.now, conversation, new))
        seconds = self.script.thinking_seconds(new[-1] if new else "")
        self.sleep(seconds)
        if self.script.is_silent(self.now):
            return None
        reply = f"About {', '.join(new)} (answer {len(self.replies) + 1})"
        self.replies.append(reply)
        return reply

    # ------------------------------------------------------------------ the platform

    def consume(
        self, queue: str, handler: Callable[[dict[str, Any]], object], *, batch_size: int, visibility_seconds: float
    ) -> None:
        """Deliver a queue's messages to a function, as an event source mapping does."""
        chance = random.Random(f"{self.script.seed} {queue}")  # noqa: S311  # repeatable, and no secret
        held = self.queues[queue]

        def poll() -> None:
            self.at(self.now + _POLL_SECONDS, poll)
            messages = held.receive(self.now, batch_size, visibility_seconds)
            if messages:
                event = sqs_event(queue, messages)
                self.spawn(Invocation(queue), lambda: invoke(event, messages))
                if chance.random() < self.script.faults.duplicates and self._has_faults:
                    late = self.now + chance.uniform(2, 60)
                    self.at(late, lambda: self.spawn(Invocation(queue), lambda: invoke(event, messages)))

        def invoke(event: dict[str, Any], messages: list[Message]) -> None:
            if self._succeeds(lambda: handler(event)):
                held.delete(messages)

        self.at(0.0, poll)

    def stream(self, table: str, handler: Callable[[dict[str, Any]], object], *, window_seconds: float) -> None:
        """Give a table's new rows to a function by tumbling windows, as the mapping of its stream does.

        A batch that fails is tried again until it succeeds, and what comes later waits for it.
        """
        with self.quiet():
            keys = tuple(one["AttributeName"] for one in self.aws.dynamodb.Table(table).key_schema)
        held = self.streams[table] = Stream(keys)
        chance = random.Random(f"{self.script.seed} {table}")  # noqa: S311  # repeatable, and no secret

        def close() -> None:
            self.at(self.now + window_seconds, close)
            held.close_window()
            if held.closed and not held.is_read:
                held.is_read = True
                self.spawn(Invocation(table), read)

        def read() -> None:
            while held.closed:
                if not self._succeeds(lambda: handler({"Records": held.closed[0]})):
                    self.sleep(_POLL_SECONDS)
                elif chance.random() >= self.script.faults.duplicates or not self._has_faults:
                    held.closed.pop(0)
            held.is_read = False

        self.at(window_seconds, close)

    def function(self, name: str, handler: Callable[[Any], object]) -> None:
        """Have a function by a name, for asynchronous invocations."""
        self.functions[name] = handler

    def _invoke(self, name: str, payload: Any) -> None:
        def run() -> None:
            for seconds in (*ASYNCHRONOUS_RETRIES, None):
                if self._succeeds(lambda: self.functions[name](payload)) or seconds is None:
                    return
                self.sleep(seconds)

        self.at(self.now, lambda: self.spawn(Invocation(name), run))

    def _succeeds(self, what: Callable[[], object]) -> bool:
        """Whether an invocation ends well."""
        try:
            what()
        except Killed:
            return False
        except Exception:  # noqa: BLE001  # whoever invoked it tries again
            self.calls["errors"] += 1
            return False
        return True

    def every(self, seconds: float, what: Callable[[], object]) -> None:
        """Run something on a schedule."""

        def run() -> None:
            self.at(self.now + seconds, run)
            self.spawn(Invocation("schedule"), lambda: self._succeeds(what))

        self.at(seconds, run)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Call AWS as the world: no time passes, nothing fails, nothing is counted."""
        before, self._is_quiet = self._is_quiet, True
        try:
            yield
        finally:
            self._is_quiet = before

    def _on_request(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        """Every call of every client: its time, its faults, its count."""
        if self._is_quiet:
            return None
        service, action = _named(request)
        self.calls["lambda Invoke" if service == "lambda" else f"{service} {action}"] += 1
        invocation = self._greenlets.get(getcurrent())
        chance = random.Random(f"{self.script.seed} {invocation and invocation.name} {sum(self.calls.values())}")  # noqa: S311
        death = chance.random() if invocation and self._has_faults else 1.0
        dies, dies_after = death < self.script.faults.kills, death < self.script.faults.kills / 2
        if service == "dynamodb" and self._is_throttled():
            return _throttled(request)
        self.sleep(CALL_SECONDS / 2)
        if dies and not dies_after:
            raise Killed
        answer = self._perform(service, action, request)
        self.sleep(CALL_SECONDS / 2)
        if dies:
            raise Killed
        return answer

    def _perform(self, service: str, action: str, request: AWSPreparedRequest) -> AWSResponse:
        """Queues, streams and functions are kept here; everything else is the local AWS's."""
        if service == "sqs":
            told = json.loads(request.body)
            return _answer(request, 200, SQS[action](self.queues, told, self.now))
        if service == "lambda":
            self._invoke(action, json.loads(request.body))
            return _answer(request, HTTPStatus.ACCEPTED, {})
        with self.quiet():
            answer = self._http.send(request)
        if service == "dynamodb" and action == "PutItem" and answer.status_code == HTTPStatus.OK:
            told = json.loads(request.body)
            if stream := self.streams.get(told["TableName"]):
                stream.put(told["Item"])
        return answer

    def is_dying(self, moment: str) -> bool:
        """Whether a process that makes no calls dies at a moment that it names."""
        chance = random.Random(f"{self.script.seed} {moment}")  # noqa: S311  # repeatable, and no secret
        return chance.random() < self.script.faults.kills and self._has_faults

    @property
    def _has_faults(self) -> bool:
        return self.now < self.script.faults.until

    def _is_throttled(self) -> bool:
        in_force = any(begin <= self.now < end for begin, end in self.script.faults.throttled)
        return in_force and sum(self.calls.values()) % THROTTLED_EVERY == 0

    # ------------------------------------------------------------------ set-up

    @classmethod
    @contextmanager
    def of(cls, aws: LocalAws, script: Script) -> Iterator[World]:
        """A world with empty tables and queues, and a conversation for each customer."""
        world = cls(aws, script)
        hook = ("before-send", world._on_request)
        with (
            time_machine.travel(START, tick=False) as clock,
            TwilioStub([Account(ACCOUNT_SID, AUTH_TOKEN)]) as twilio,
        ):
            botocore.handlers.BUILTIN_HANDLERS.insert(0, hook)
            slept, botocore.endpoint.time.sleep = botocore.endpoint.time.sleep, world.sleep
            try:
                world._clock, world._twilio, world._http = clock, twilio, URLLib3Session()
                boto3.setup_default_session(region_name=environment.REGION)
                with world.quiet():
                    world._seed()
                world.at(0.0, world._look)
                yield world
            finally:
                botocore.endpoint.time.sleep = slept
                botocore.handlers.BUILTIN_HANDLERS.remove(hook)

    def _look(self) -> None:
        self._on_the_phone()
        self.at(self.now + 1.0, self._look)

    def _seed(self) -> None:
        for schema in load(STAGE).tables.values():
            table = self.aws.dynamodb.Table(schema.name)
            keys = [one["AttributeName"] for one in table.key_schema]
            for row in self.aws.rows(schema.name):
                table.delete_item(Key={name: row[name] for name in keys})
        for customer in {line.customer for line in self.script.lines}:
            self.aws.dynamodb.Table(f"conversations-{STAGE}").put_item(Item=row_of(customer))


@contextmanager
def local_aws(port: int) -> Iterator[LocalAws]:
    """A local AWS with the stage's tables and the company's secret."""
    with ministack.local_aws(port, shell=os.environ) as aws:
        before = dict(os.environ)
        os.environ.update(environment.local_aws(aws.endpoint, aws.access_key))
        try:
            resources.create(aws, STAGE)
            told = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN}
            aws.secrets.create_secret(Name=SECRET, SecretString=json.dumps(told))
            yield aws
        finally:
            os.environ.clear()
            os.environ.update(before)


def _named(request: AWSPreparedRequest) -> tuple[str, str]:
    target = request.headers.get("X-Amz-Target")
    if target is not None:
        told = target.decode() if isinstance(target, bytes) else str(target)
        service, _, action = told.partition(".")
        names = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "secretsmanager": "secretsmanager"}
        return names.get(service, service), action
    if "/functions/" in str(request.url):
        return "lambda", str(request.url).split("/functions/")[1].split("/")[0]
    body = request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")
    return str(request.url).split("//")[1].split(".")[0], parse_qs(body).get("Action", ["?"])[0]


def _throttled(request: AWSPreparedRequest) -> AWSResponse:
    kind = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    return _answer(request, 400, {"__type": kind, "message": "Rate exceeded"})


def _answer(request: AWSPreparedRequest, status: int, document: Mapping[str, Any]) -> AWSResponse:
    headers: Mapping[str, str] = {"content-type": "application/x-amz-json-1.0"}
    return AWSResponse(request.url, status, headers, _Raw(json.dumps(document).encode()))  # type: ignore[arg-type]


class _Raw(BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()
