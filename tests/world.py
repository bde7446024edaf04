"""A whole deployment in memory: the shipped handlers and use cases over fake tables, queues, secrets and clock.

It plays the actors around them: Twilio that signs and retries, SQS that delivers again, the company's AI that answers
each batch once and then releases the lock, people who take each message once, and the schedules.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from chalice.app import Request, Response
from twilio.request_validator import RequestValidator

from chalicelib import wiring
from chalicelib.channels.channel import Vendor
from chalicelib.channels.credentials import CredentialCache
from chalicelib.channels.email.threading import Heading
from chalicelib.channels.registry import channels
from chalicelib.channels.sender import InDoubt, OutboundPart, PermanentFailure, SendOutcome, Sent, TemporaryFailure
from chalicelib.errors import Code, EngineError, Misconfigured, TryAgain
from chalicelib.handlers import queues, schedules, webhooks
from chalicelib.messages.splitting import split
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Item, Tables
from chalicelib.protocol.record import ConversationKey
from chalicelib.repair.executors import Serial
from chalicelib.settings import Settings
from chalicelib.telemetry import Level
from chalicelib.telemetry.metrics import MEASURES, NONE, bounded_outcome
from chalicelib.telemetry.writer import describe
from infrastructure.template import load
from tests.emails import COMPANY_EMAIL, CUSTOMER_EMAIL, Email, keys, signature
from tests.fakes.bucket import InMemoryBucket
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Call, Crash, Fault, FaultPlan
from tests.fakes.media import InMemoryMedia
from tests.fakes.queues import InMemoryQueue
from tests.fakes.secrets import InMemorySecrets
from tests.fakes.tables import InMemoryTable

CUSTOMER, COMPANY = "+4915112345678", "+14155238886"
ACCOUNT_SID, AUTH_TOKEN = "AC" + "0" * 32, "token-of-the-first-tenant"
SECRET_REF = "ai-multi-comms/whatsapp-credentials/acme/main/twilio-local"
EMAIL_SECRET_REF = "ai-multi-comms/email-credentials/acme/main/sendgrid-local"
KEY = ConversationKey(CUSTOMER, "conversation-1")
BASE_URL = "https://hooks.example.com"
REPLIES_TIMEOUT_SECONDS = 30
"""The timeout of the functions that send replies."""

TEMPLATE = load("local")
"""Read once: a world is built for each test."""

ENVIRONMENT = {
    "STAGE": "local",
    "LOG_LEVEL": "DEBUG",
    "PUBLIC_BASE_URL": BASE_URL,
    "CONVERSATIONS_TABLE": "conversations-local",
    "STAGE_TABLE": "conversations-stage-local",
    "TRIGGER_LOCK_TABLE": "conversations-trigger-lock-local",
    "HISTORY_TABLE": "conversations-history-local",
    "SENDS_TABLE": "conversations-sends-local",
    "UNKNOWN_SENDERS_TABLE": "unknown-senders-local",
    "ATTACHMENTS_BUCKET": "replies-engine-local-attachments-{account}",
    "WHATSAPP_QUEUE": "replies-engine-local-whatsapp",
    "SMS_QUEUE": "replies-engine-local-sms",
    "EMAIL_QUEUE": "replies-engine-local-email",
    "HUMAN_HANDOFF_QUEUE": "replies-engine-local-human-handoff",
    "AI_QUEUE": "replies-engine-local-ai",
    "AI_REPLIES_QUEUE": "replies-engine-local-ai-replies",
    "HUMAN_REPLIES_QUEUE": "replies-engine-local-human-replies",
    "LOCK_INDEX_SHARDS": "2",
}


@lru_cache
def settings_of(changes: tuple[tuple[str, str], ...]) -> Settings:
    """The settings of a world, with some of its own."""
    return Settings.from_environment({**ENVIRONMENT, **{name.upper(): value for name, value in changes}})


@dataclass
class RecordingTelemetry:
    """Keeps what was told."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    counts: list[tuple[str, float, str, str]] = field(default_factory=list)

    def log(self, step, level=Level.INFO, **fields):
        self.lines.append({"step": step.value, "level": level.value, **fields})

    def fault(self, step, error, level=Level.ERROR, **fields):
        self.log(step, level, **{**describe(error), **fields})

    def writes(self, level):
        return True

    def count(self, values, *, channel="none", outcome="none"):
        for metric, value in values.items():
            measure = MEASURES[metric]
            assert outcome == bounded_outcome(metric, outcome) or measure.of_provider, f"{metric} by {outcome}"
            assert measure.outcomes or outcome == NONE, f"{metric} has no outcomes"
            self.counts.append((metric.value, value, channel, outcome))

    def total(self, metric) -> float:
        """The sum of a metric over all channels and outcomes."""
        return sum(value for name, value, _, _ in self.counts if name == metric.value)

    def steps(self) -> list[str]:
        """The steps told, in order."""
        return [line["step"] for line in self.lines]


BEFORE = timedelta(seconds=30)
"""How far before the asked instant a look-up of messages reaches: clocks differ."""


DELIVER = Sent("as it comes")
"""Among the outcomes of a phone: this one is delivered."""


@dataclass(frozen=True)
class Taken:
    """Among the outcomes of a phone: this one is delivered, and the provider's answer denies it or is lost."""

    told: SendOutcome


class Phone:
    """The customer's phone and mailbox, and the sending before them: a `Sender` whose calls pass the plan of faults."""

    lists_every_message = True

    def __init__(self, clock: FakeClock, plan: FaultPlan) -> None:
        self.clock = clock
        self.plan = plan
        self.received: list[tuple[str, OutboundPart, datetime]] = []
        """What was delivered: sid, message and instant, in order."""
        self.typing: list[str] = []
        """The messages on which it was shown that an answer is being written."""
        self.outcomes: list[SendOutcome | Taken] = []
        """What the next sends are answered instead of being delivered."""
        self.asked: set[str] = set()
        """The texts that the provider was asked to send, delivered or not."""
        self.refused_secrets: set[str] = set()
        """The texts of secrets that the provider takes no longer."""

    @property
    def texts(self) -> list[str]:
        """The texts that the phone shows."""
        return [part.body for _, part, _ in self.received]

    def extras(self, part: OutboundPart) -> dict[str, str]:
        return Heading.of(part).extras if "@" in part.to else {}

    def send(self, part: OutboundPart, secret: str) -> SendOutcome:
        call = Call("CreateMessage", "twilio", "create", Code.QUEUE_ERROR, Code.QUEUE_ERROR)
        try:
            return self.plan.perform(call, lambda fault: self._answer(part, secret, fault))
        except TryAgain as fault:
            return InDoubt() if fault.maybe_applied else TemporaryFailure("503")
        except Misconfigured:
            return PermanentFailure("21211")

    def show_typing(self, message_id: str, secret: str) -> str | None:
        self._require(secret)
        call = Call("ShowTyping", "twilio", "create", Code.QUEUE_ERROR, Code.SECRET_FETCH_FAILED)
        self.plan.perform(call, lambda _: self.typing.append(message_id))
        return None

    def find(self, part: OutboundPart, secret: str, *, since: datetime) -> list[str]:
        self._require(secret)
        call = Call("ListMessages", "twilio", "read", Code.QUEUE_ERROR, Code.SECRET_FETCH_FAILED)
        return self.plan.perform(
            call, lambda _: [sid for sid, one, at in self.received if one.body == part.body and at >= since - BEFORE]
        )

    def _require(self, secret: str) -> None:
        if secret in self.refused_secrets:
            raise Misconfigured(Code.SECRET_FETCH_FAILED, "the provider answered 20003")

    def _answer(self, part: OutboundPart, secret: str, fault: Fault | None) -> SendOutcome:
        """What the provider answers to a send: a 5xx where the plan says so, whether it takes the message or not."""
        if fault is Fault.ANSWERED_5XX:
            self.asked.add(part.body)
            return InDoubt(is_server_error=True)
        outcome = self._deliver(part, secret)
        return InDoubt(is_server_error=True) if fault is Fault.TAKEN_5XX else outcome

    def _deliver(self, part: OutboundPart, secret: str) -> SendOutcome:
        if secret in self.refused_secrets:
            return TemporaryFailure("20003", is_ours_to_mend=True)
        self.asked.add(part.body)
        outcome = self.outcomes.pop(0) if self.outcomes else DELIVER
        if outcome is not DELIVER and not isinstance(outcome, Taken):
            return outcome
        sid = f"SMffffffff{len(self.received) + 1:024d}"
        self.received.append((sid, part, self.clock.now()))
        return outcome.told if isinstance(outcome, Taken) else Sent(sid)


def conversation(**changes: Any) -> dict[str, Any]:
    """The row of an active WhatsApp and SMS conversation, as the company's own systems write it."""
    return {
        **KEY.item,
        "gsi_company_whatsapp_number": COMPANY,
        "gsi_company_sms_number": COMPANY,
        "gsi_recipient_tel": CUSTOMER,
        "recipient_tel": CUSTOMER,
        "company_id": "acme",
        "company_name": "Acme",
        "project_id": "project-1",
        "thread_id": "thread-1",
        "project_status": "active",
        "allowed_channels": ["whatsapp", "sms"],
        "conversation_status": "initial_message_sent",
        "task_complete": 0,
        "created_at": "2026-01-01T00:00:00+00:00",
        "channel_config": {"whatsapp": {"credential_ref": SECRET_REF}, "sms": {"credential_ref": SECRET_REF}},
        "messages": [],
        **changes,
    }


def email_conversation(**changes: Any) -> dict[str, Any]:
    """The same, which the customer may continue by e-mail."""
    row = conversation()
    return {
        **row,
        "gsi_company_email": COMPANY_EMAIL,
        "gsi_recipient_email": CUSTOMER_EMAIL,
        "recipient_email": CUSTOMER_EMAIL,
        "allowed_channels": [*row["allowed_channels"], "email"],
        "channel_config": {**row["channel_config"], "email": {"credential_ref": EMAIL_SECRET_REF}},
        **changes,
    }


@lru_cache(1_024)
def _signed(
    form: tuple[tuple[str, str], ...] | str, token: str, path: str, headers: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    """What API Gateway makes of a request that the provider signed."""
    parameters = {} if isinstance(form, str) else dict(form)
    signature = RequestValidator(token).compute_signature(BASE_URL + path, parameters)
    return {
        "headers": {
            "content-type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature,
            **dict(headers),
        },
        "requestContext": {
            "httpMethod": "POST",
            "resourcePath": path,
            "path": path,
            "extendedRequestId": "gateway-1",
        },
        "pathParameters": None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": form if isinstance(form, str) else urlencode(parameters),
        "isBase64Encoded": False,
    }


class World:
    """One deployment, its surroundings, and a ledger of every outcome."""

    clock_kind = FakeClock
    table_kind = InMemoryTable
    queue_kind = InMemoryQueue
    phone_kind = Phone
    telemetry_kind = RecordingTelemetry
    part_length_max = 1_600
    """Characters of one message to the customer."""

    def __init__(self, plan: FaultPlan | None = None, *rows: dict[str, Any], **settings: str) -> None:
        self.clock = self.clock_kind()
        self.plan = plan or FaultPlan()
        self.telemetry = self.telemetry_kind()
        self.settings = settings_of(tuple(sorted(settings.items())))
        tables = {name: self.table_kind(schema, self.plan) for name, schema in TEMPLATE.tables.items()}
        self.tables = Tables(
            conversations=tables["conversations-local"],
            stage=tables["conversations-stage-local"],
            trigger_lock=tables["conversations-trigger-lock-local"],
            history=tables["conversations-history-local"],
            sends=tables["conversations-sends-local"],
            unknown_senders=tables["unknown-senders-local"],
        )
        self.tables.conversations.seed(*(rows or (conversation(),)))
        self.queues = self._queues()
        self.secrets = InMemorySecrets(
            {
                SECRET_REF: json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN}),
                EMAIL_SECRET_REF: json.dumps({"public_key": keys()[1], "api_key": "SG.key"}),
            },
            self.plan,
        )
        self.bucket = InMemoryBucket(self.plan)
        self.media = InMemoryMedia(self.plan)
        """What Twilio keeps of WhatsApp and MMS messages."""
        self.phone = self.phone_kind(self.clock, self.plan)
        """The customer's, and Twilio before it."""
        self.engine = self._engine()
        self.sids = (f"SM{number:032x}" for number in count(1))
        self.request_id = "request-1"
        """What Lambda calls the next invocations."""
        self.batches: dict[str, list[str]] = {}
        """The message ids of each batch that the AI received, by batch id, in order of first receipt."""
        self.replies: dict[str, list[str]] = {}
        self.asides: dict[str, list[str]] = {}
        """What the AI says beside its answers, by batch: interim messages, and words before a handoff."""
        """The texts that the AI sent in answer to a batch, by batch id."""
        self.handed: list[dict[str, Any]] = []
        """The contexts that people received."""
        self.with_people: list[str] = []
        """The message ids that people received, each once."""
        self.answers: list[Response] = []
        self.failures: list[EngineError] = []
        """What functions failed with."""

    # ------------------------------------------------------------------ the provider

    def form(self, body: str = "hello", **parameters: str) -> dict[str, str]:
        """What Twilio posts for a WhatsApp message."""
        form = {
            "MessageSid": parameters.pop("sid", "") or next(self.sids),
            "AccountSid": ACCOUNT_SID,
            "From": f"whatsapp:{CUSTOMER}",
            "To": f"whatsapp:{COMPANY}",
            "Body": body,
            "NumMedia": "0",
        }
        return {**form, **parameters}

    def with_media(self, *files: tuple[bytes, str]) -> dict[str, str]:
        """Further parameters of a message with media, which Twilio keeps: their contents and content types."""
        parameters = {"NumMedia": str(len(files))}
        for number, (content, content_type) in enumerate(files):
            url = (
                f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/MM1/Media/ME{len(self.media.files)}"
            )
            self.media.files[url] = (content, content_type)
            parameters |= {f"MediaUrl{number}": url, f"MediaContentType{number}": content_type}
        return parameters

    def post(
        self, form: dict[str, str] | str, *, token: str = AUTH_TOKEN, path: str = "/webhooks/whatsapp", **headers: str
    ) -> Response:
        """One signed request, once; the answer."""
        response = webhooks.receive_message(self._request(form, token, path, **headers), Vendor.TWILIO, self.engine)
        self.answers.append(response)
        return response

    def post_email(
        self, email: Email, *, private_key: str | None = None, url_token: str = "", **headers: str
    ) -> Response:
        """One e-mail as SendGrid posts it, signed, once; the answer."""
        body = email.body
        told = {"Content-Type": email.content_type, **signature(body, private_key), **headers}
        return self.post_bytes(body, told, url_token=url_token)

    def post_bytes(self, body: bytes, headers: dict[str, str], *, url_token: str = "") -> Response:
        """One request to the e-mail webhook, its body as API Gateway hands binary ones over; the answer."""
        path = f"/webhooks/email/{url_token}" if url_token else "/webhooks/email"
        event = {
            "headers": headers,
            "requestContext": {
                "httpMethod": "POST",
                "resourcePath": path,
                "path": path,
                "extendedRequestId": "gateway-1",
            },
            "pathParameters": None,
            "multiValueQueryStringParameters": None,
            "stageVariables": None,
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }
        request = Request(event, self._lambda_context(15))
        response = webhooks.receive_message(request, Vendor.SENDGRID, self.engine, url_token=url_token)
        self.answers.append(response)
        return response

    def deliver_email(self, email: Email | None = None) -> None:
        """One e-mail as SendGrid delivers it: again after a crash or a 503."""
        one = email or Email(message_id=f"<{next(self.sids)}@customer.example>")
        for _ in range(4):
            with self.process():
                if self.post_email(one).status_code < 500:
                    break

    def report(self, send_id: str, status: str, *, token: str = AUTH_TOKEN, **parameters: str) -> Response:
        """One signed status callback of Twilio; the answer."""
        form = {"MessageSid": "SM" + "9" * 32, "AccountSid": ACCOUNT_SID, "MessageStatus": status, **parameters}
        request = self._request(form, token, f"/webhooks/twilio/status/{send_id}")
        return webhooks.receive_delivery_report(request, Vendor.TWILIO, send_id, self.engine)

    def _request(self, form: dict[str, str] | str, token: str, path: str, **headers: str) -> Request:
        body = form if isinstance(form, str) else tuple(form.items())
        return Request(_signed(body, token, path, tuple(headers.items())), self._lambda_context(15))

    def deliver(self, body: str = "hello", **parameters: str) -> str:
        """One message as Twilio delivers it: again after a crash or a 503, three times at most; its sid."""
        form = self.form(body, **parameters)
        for _ in range(4):
            with self.process():
                if self.post(form).status_code < 500:
                    break
        return form["MessageSid"]

    # ------------------------------------------------------------------ the platform

    @contextmanager
    def process(self) -> Iterator[None]:
        """One process of ours; where it crashes or fails, what it was doing comes again by the platform's own ways."""
        try:
            yield
        except Crash:
            self.plan.revive()
            self.engine = self._engine()
        except EngineError as error:
            self.failures.append(error)

    def work(self) -> None:
        """Run the workers over everything that is visible, once."""
        for channel, queue in self.queues.triggers.items():
            received = queue.receive()
            if received:
                with self.process():
                    self.invoke(channel, [one.body for one in received], groups=[one.group for one in received])
                    for message in received:
                        queue.delete(message.receipt)

    def invoke(self, channel: str, bodies: list[str], *, groups: Sequence[str] = (), **attributes: str) -> None:
        """One invocation of a worker, as Lambda makes it; an error of the function leaves its messages in the queue."""
        known = {"ApproximateReceiveCount": "1", **attributes}
        told = zip(bodies, groups or ["acme"] * len(bodies), strict=True)
        records = [
            {"messageId": f"message-{number}", "body": body, "attributes": {"MessageGroupId": group, **known}}
            for number, (body, group) in enumerate(told, start=1)
        ]
        queues.process_triggers({"Records": records}, self._lambda_context(30), channel, self.engine)

    def sweep(self) -> None:
        """Run both schedules once."""
        with self.process():
            schedules.reset_stalled_locks(self._lambda_context(60), self.engine)
        with self.process():
            schedules.recover_orphaned_messages(self._lambda_context(60), self.engine)

    def run(self, seconds: float, *, ai_answers: bool = True, step: float = 5) -> None:
        """Let time pass, until nothing is left to do: workers, then the AI and people, and the sweep each minute."""
        passed = 0.0
        while passed < seconds and not (self.is_at_rest and self.is_silent):
            self.clock.advance(step)
            passed += step
            self.work()
            if ai_answers:
                self.answer_batches()
            self.send_replies()
            self.take_handoffs()
            if passed % 60 < step:
                self.sweep()

    # ------------------------------------------------------------------ the company

    def answer_batches(self) -> None:
        """The AI takes every dispatched batch, ignores repeats of one, and sends one reply to each."""
        for document in self.take(self.queues.ai):
            batch_id = document["meta"]["batch_id"]
            ids = [message["message_id"] for message in document["messages"]]
            assert self.batches.setdefault(batch_id, ids) == ids, "one batch id, one batch"
            if batch_id not in self.replies:
                self.reply(document, f"answer to {batch_id}")

    def reply(self, document: dict[str, Any], body: str, **fields: Any) -> None:
        """Put one reply on the replies queue, as the company's AI worker does."""
        reply = {
            "version": "1.0",
            "conversation_id": document["conversation"]["conversation_id"],
            "primary_channel": document["conversation"]["primary_channel"],
            "batch_id": document["meta"]["batch_id"],
            "body": body,
            **fields,
        }
        ids = [message["message_id"] for message in document["messages"]]
        self.batches.setdefault(document["meta"]["batch_id"], ids)
        self.replies.setdefault(document["meta"]["batch_id"], []).append(body)
        self.queues.replies.inject(json.dumps(reply), group=document.get("company", {}).get("company_id", "acme"))

    def turn(self, document: dict[str, Any], **fields: Any) -> None:
        """Put one message on the replies queue that is no final answer: an action, or an interim message."""
        batch_id = document["meta"]["batch_id"]
        self.batches.setdefault(batch_id, [message["message_id"] for message in document["messages"]])
        if fields.get("body"):
            self.asides.setdefault(batch_id, []).append(fields["body"])
        names = ("conversation_id", "primary_channel")
        reply = {"version": "1.1", **{name: document["conversation"][name] for name in names}, "batch_id": batch_id}
        self.queues.replies.inject(json.dumps({**reply, **fields}), group=document["company"]["company_id"])

    def send_replies(self) -> None:
        """Run both reply functions over everything that is visible, once, one reply at a time as SQS does."""
        for queue, handler in (
            (self.queues.replies, queues.process_replies),
            (self.queues.human_replies, queues.process_human_replies),
        ):
            for message in queue.receive():
                with self.process():
                    self.invoke_replies(message.body, group=message.group, handler=handler)
                    queue.delete(message.receipt)

    def invoke_replies(self, body: str, *, group: str, handler: Any = queues.process_replies) -> None:
        """One invocation of a reply function."""
        event = {"Records": [{"body": body, "attributes": {"MessageGroupId": group}}]}
        handler(event, self._lambda_context(REPLIES_TIMEOUT_SECONDS), self.engine)

    def take_handoffs(self) -> None:
        """People take what was handed to them, each message once."""
        for document in self.take(self.queues.handoff):
            self.handed.append(document)
            for message in document["messages"]:
                if message["message_id"] not in self.with_people:
                    self.with_people.append(message["message_id"])

    def take(self, queue: InMemoryQueue) -> list[dict[str, Any]]:
        """Receive and delete all that is visible."""
        documents = []
        while received := queue.receive():
            for message in received:
                documents.append(json.loads(message.body))
                queue.delete(message.receipt)
        return documents

    # ------------------------------------------------------------------ the ledger

    @property
    def row(self) -> dict[str, Any]:
        """The conversation's row."""
        row = self.tables.conversations.row(KEY.item)
        assert row is not None, "the conversation is there"
        return row

    @property
    def stranger_rows(self) -> list[Item]:
        """The rows of unknown senders, without those that count the texts of an hour."""
        return [row for row in self.tables.unknown_senders.rows if not row["sender"].startswith("#")]

    @property
    def staged_ids(self) -> list[str]:
        """The sids that are still staged."""
        return [row["message_sid"] for row in self.tables.stage.rows]

    @property
    def entry_ids(self) -> list[str]:
        """The ids of the customer's messages in the record, in order."""
        return [entry["message_id"] for entry in self.row["messages"] if entry["direction"] == "INBOUND"]

    @property
    def answered(self) -> list[str]:
        """The batches of which the customer got a whole reply, all parts in order, as often as that is so."""
        return [
            batch_id
            for batch_id, texts in self.replies.items()
            for parts in (split(text, self.part_length_max) for text in texts)
            if [text for text in self.phone.texts if text in parts] == parts
        ]

    @property
    def sent_contents(self) -> list[str]:
        """The texts of our OUTBOUND entries, in order."""
        return [entry["content"] for entry in self.row["messages"] if "send_id" in entry]

    @property
    def told_ids(self) -> list[str]:
        """The message ids of the batches whose reply ended with a code that an operator was told."""
        ends = ("released", "stalled_reply_abandoned")
        told = [line for line in self.telemetry.lines if line["step"] in ends and "code" in line]
        return [sid for line in told for sid in self.batches[line["batch_id"]]]

    @property
    def answered_ids(self) -> list[str]:
        """The message ids of the answered batches, in order."""
        return [sid for batch_id in self.answered for sid in self.batches[batch_id]]

    @property
    def sends(self) -> list[dict[str, Any]]:
        """The rows of the parts, in order of their numbers."""
        return sorted(self.tables.sends.rows, key=lambda row: row["part"])

    @property
    def dead(self) -> list[Any]:
        """What lies in the dead-letter queues of the triggers."""
        return [message for queue in self.queues.dead_triggers.values() for message in queue.messages]

    def burst_with_ai(self, *bodies: str, **parameters: str) -> dict[str, Any]:
        """A burst was received and dispatched; the context that the AI received, which nobody has answered yet."""
        for body in bodies or ("hello",):
            self.deliver(body, **parameters)
        self.clock.advance(self.settings.batch_window_seconds + 1)
        self.work()
        (document,) = self.take(self.queues.ai)
        return document

    @property
    def is_at_rest(self) -> bool:
        """Nothing staged, nothing locked, nothing unanswered."""
        row = self.row
        return (
            not self.staged_ids
            and row["conversation_status"] != "processing_reply"
            and not row.get("unanswered_ids")
            and "lock_shard" not in row
        )

    @property
    def is_silent(self) -> bool:
        """No message is on its way in any queue."""
        queues = (*self.queues.triggers.values(), self.queues.ai, self.queues.handoff, self.queues.replies)
        queues = (*queues, self.queues.human_replies)
        return not any(queue.messages for queue in queues)

    def rotate(self, ref: str = SECRET_REF) -> None:
        """The company stores a new secret, and the provider takes the old one no longer; caches still have the old."""
        old = self.secrets.texts[ref]
        for provider in (self.phone, self.media):
            provider.refused_secrets.add(old)
        self.secrets.texts[ref] = json.dumps({**json.loads(old), "auth_token": "new", "api_key": "SG.new"})

    # ------------------------------------------------------------------ putting it together

    def _queues(self) -> Queues:
        def queue(name: str, dead: InMemoryQueue | None = None) -> InMemoryQueue:
            return self.queue_kind(
                name,
                self.clock,
                self.plan,
                visibility_seconds=self.settings.visibility_timeout_seconds,
                dead_letter=dead,
                receives_max=5 if dead else None,
            )

        names = {channel.name: channel.queue_name for channel in channels(self.settings)}
        dead = {channel: queue(f"{name}-dlq") for channel, name in names.items()}
        return Queues(
            triggers={channel: queue(name, dead[channel]) for channel, name in names.items()},
            dead_triggers=dead,
            handoff=queue(self.settings.human_handoff_queue),
            ai=queue(self.settings.ai_queue),
            replies=queue(self.settings.ai_replies_queue),
            dead_replies=queue(f"{self.settings.ai_replies_queue}-dlq"),
            human_replies=queue(self.settings.human_replies_queue),
            dead_human_replies=queue(f"{self.settings.human_replies_queue}-dlq"),
        )

    def _engine(self) -> wiring.Engine:
        """A fresh process: the shipped wiring, with its outer collaborators in memory."""
        engine = wiring.Engine(self.clock)
        vars(engine).update(
            settings=self.settings,
            telemetry=self.telemetry,
            tables=self.tables,
            queues=self.queues,
            bucket=self.bucket,
            executor=Serial(),
            fetchers=dict.fromkeys(("whatsapp", "sms"), self.media),
            senders=dict.fromkeys(self.queues.triggers, self.phone),
            credentials=CredentialCache(
                self.secrets,
                self.clock,
                ttl_seconds=self.settings.secret_ttl_seconds,
                refresh_seconds=self.settings.secret_refresh_seconds,
            ),
        )
        return engine

    def _lambda_context(self, timeout_seconds: float) -> Any:
        started = self.clock.monotonic()
        return SimpleNamespace(
            aws_request_id=self.request_id,
            get_remaining_time_in_millis=lambda: (started + timeout_seconds - self.clock.monotonic()) * 1_000,
        )
