"""What every kind of event costs beside the bare calls to AWS that it makes: CPU time of the shipped code.

    python -m bench.hot_events

Each event is played once over moto, and every call that it makes is recorded with its answer. Then the event and its
bare calls are played in turns, over botocore's real clients, with the recorded answers: ours is the shipped handler
with its calls, bare is nothing but the calls with the same parameters. Requests are built and signed, answers are
parsed. Sending to the provider is left out.
"""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.models import botocore_stubber

from bench.costs import BESIDE, as_deployed
from bench.growth import TEXT, long_conversation, many_conversations
from bench.hot_path import SETTINGS
from bench.tables import ratio, show
from chalicelib import wiring
from chalicelib.aws.attributes import item_to_wire
from chalicelib.handlers import queues as queue_handlers
from infrastructure.template import TEMPLATE_FILE
from tests.world import ACCOUNT_SID, AUTH_TOKEN, KEY, SECRET_REF, World

ROUNDS = 15
SERVICES = ("dynamodb", "sqs", "secretsmanager")
TWILIO_SECRET = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN})
UNSIGNED = "0" * 32


@dataclass
class Tape:
    """The calls of one event with their answers, recorded or played."""

    calls: list[tuple[Any, str, dict[str, Any]]] = field(default_factory=list)
    """Client, operation and parameters."""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    place: int = 0
    is_played: bool = False

    def listen(self, client: Any) -> None:
        """Record, or answer, what a client does."""
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"provide-client-params.{service}", self._note(client))
        client.meta.events.register_first(f"before-send.{service}", self._answer)
        client.meta.events.register(f"response-received.{service}", self._keep)

    def _note(self, client: Any) -> Callable[..., None]:
        def note(params: dict[str, Any], model: Any, **_: Any) -> None:
            if not self.is_played:
                self.calls.append((client, model.name, dict(params)))

        return note

    def _answer(self, request: Any, **_: Any) -> AWSResponse | None:
        if not self.is_played:
            return None
        status, headers, body = self.answers[self.place]
        self.place += 1
        return AWSResponse(request.url, status, headers, SimpleNamespace(stream=lambda **_: iter([body])))

    def _keep(self, response_dict: dict[str, Any], **_: Any) -> None:
        if not self.is_played:
            kept = {name: value for name, value in response_dict["headers"].items() if name.lower() != "x-amz-crc32"}
            self.answers.append((response_dict["status_code"], kept, response_dict["body"]))


class Ids:
    """Ids that an event gets again when it is played again."""

    def __init__(self) -> None:
        self.start(0)

    def start(self, event: int) -> None:
        """Begin with the first id of an event."""
        self._numbers = itertools.count(event * 1_000)

    def __call__(self) -> str:
        return f"{next(self._numbers):032x}"


@dataclass
class Bench:
    """A deployment in moto, and its events on tapes."""

    world: World
    tape: Tape
    ids: Ids
    events: int = 0

    def costs(self, act: Callable[[], object]) -> tuple[float, float, int]:
        """CPU milliseconds of an event and of its bare calls, and how many there are."""
        self.events += 1
        self.tape.calls, self.tape.answers, self.tape.is_played = [], [], False
        self.ids.start(self.events)
        act()
        calls = list(self.tape.calls)
        self.tape.is_played, botocore_stubber.enabled = True, False  # botocore asks everybody who might answer
        ours, bare = [], []
        for _ in range(ROUNDS):
            ours.append(self._timed(lambda: (self.ids.start(self.events), act())))
            bare.append(self._timed(lambda: _call_bare(calls)))
        self.tape.is_played, botocore_stubber.enabled = False, True
        return min(ours), min(bare), len(calls)

    def _timed(self, act: Callable[[], object]) -> float:
        self.tape.place = 0
        started = time.process_time()
        act()
        spent = (time.process_time() - started) * 1_000
        assert self.tape.place == len(self.tape.answers), "every answer was used"
        return spent

    @property
    def sent(self) -> list[str]:
        """The bodies that the last recorded event sent to queues."""
        return [told["MessageBody"] for _, name, told in self.tape.calls if name == "SendMessage"]


def _call_bare(calls: list[tuple[Any, str, dict[str, Any]]]) -> None:
    for client, name, told in calls:
        with suppress(ClientError):  # a condition that is refused is an answer
            getattr(client, xform_name(name))(**told)


def main() -> None:
    """Measure, and print the table."""
    rows = []
    for kind, fill in (("young", lambda: many_conversations(1)), ("full", lambda: long_conversation(1_000))):
        with deployed(fill()) as bench:
            rows += [[f"{name}, {kind}", *told] for name, told in figures(bench)]
    show("One event beside its bare calls, CPU", ["", "calls", "ours ms", "bare ms", "ratio"], rows)


def figures(bench: Bench) -> Iterator[tuple[str, list[str]]]:
    """Every kind of event, in the order in which a conversation has them."""
    world = bench.world
    forms = [world.form(TEXT, **BESIDE) for _ in range(32)]

    def told(act: Callable[[], object]) -> list[str]:
        ours, bare, calls = bench.costs(act)
        return [str(calls), f"{ours:.2f}", f"{bare:.2f}", ratio(ours, bare)]

    _warm(bench, forms[0])
    yield "forged", told(lambda: world.post(forms[1], token=UNSIGNED))
    yield "next message", told(lambda: world.post(forms[1]))
    yield "duplicate", told(lambda: world.post(forms[1]))
    _free(world)
    yield "first message", told(lambda: world.post(forms[2]))
    (trigger,) = bench.sent
    for first, count in ((3, 1), (4, 3), (7, 25)):
        _empty_stage()
        for form in forms[first : first + count]:
            world.post(form)
        world.clock.advance(60)
        yield f"batch of {count}", told(lambda: world.invoke("whatsapp", [trigger]))
        body = _reply_to(bench)
        if count == 1:
            yield "locked conversation", told(lambda: world.post(forms[31]))
        _empty_stage()
        world.clock.advance(1)
        yield f"reply to {count}", told(partial(world.invoke_replies, body, group="acme"))
    send_id, sid = _sent_part(bench)
    yield "callback", told(partial(world.report, send_id, "delivered", MessageSid=sid))


def _warm(bench: Bench, form: dict[str, str]) -> None:
    """Have the process make and fetch what it makes and fetches once: clients, queues' URLs, the secret."""
    world = bench.world
    world.post(form)
    world.post(form, token=UNSIGNED)
    (trigger,) = bench.sent
    world.clock.advance(60)
    world.invoke("whatsapp", [trigger])
    world.clock.advance(1)
    world.invoke_replies(_reply_to(bench), group="acme")
    world.post(form, token=UNSIGNED)  # it has the secret fetched again, once a minute


def _reply_to(bench: Bench) -> str:
    """The AI's reply to the context that was sent last."""
    document = json.loads(bench.sent[-1])
    return json.dumps({"version": "1.0", **KEY.item, "batch_id": document["meta"]["batch_id"], "body": TEXT})


def _sent_part(bench: Bench) -> tuple[str, str]:
    """Our id of the part that was sent last, and the provider's."""
    items = [told["Item"] for _, name, told in bench.tape.calls if name == "PutItem"]
    send_id = next(one["send_id"] for one in items if "send_id" in one)
    row = boto3.client("dynamodb").get_item(TableName="conversations-sends-local", Key={"send_id": send_id})["Item"]
    return send_id["S"], row["provider_sid"]["S"]


def _free(world: World) -> None:
    """Take the trigger lock off, as a trigger does that begins."""
    key = item_to_wire({"conversation_id": KEY.conversation_id})
    boto3.client("dynamodb").delete_item(TableName="conversations-trigger-lock-local", Key=key)
    world.clock.advance(1)


def _empty_stage() -> None:
    """Take off what is staged, so that a batch is as large as is told."""
    dynamodb = boto3.client("dynamodb")
    for row in dynamodb.scan(TableName="conversations-stage-local")["Items"]:
        dynamodb.delete_item(
            TableName="conversations-stage-local",
            Key={name: row[name] for name in ("conversation_id", "message_sid")},
        )


@contextmanager
def deployed(filled: World) -> Iterator[Bench]:
    """A world's rows in moto, and its engine over the real clients."""
    ids, tape = Ids(), Tape()
    with mock_aws(), pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        for name, value in {**SETTINGS, "STAGE": "local"}.items():
            patch.setenv(name, value)
        patch.delenv("AWS_ENDPOINT_URL")
        patch.setattr(wiring, "new_id", ids)
        patch.setattr(queue_handlers, "new_id", ids)
        _make()
        real = wiring.Engine(filled.clock)
        world = World()
        world.clock = filled.clock
        for name in ("conversations", "history"):
            for row in getattr(filled.tables, name).rows:
                getattr(real.tables, name).put(row)
        vars(world.engine).update(
            clock=filled.clock, tables=real.tables, queues=real.queues, credentials=real.credentials
        )
        for service in SERVICES:
            tape.listen(real.clients.of(service))
        with as_deployed(world, SimpleNamespace(written=io.StringIO())):
            yield Bench(world, tape, ids)


def _make() -> None:
    boto3.client("cloudformation").create_stack(
        StackName="bench",
        TemplateBody=TEMPLATE_FILE.read_text(),
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": "local"}],
    )
    boto3.client("secretsmanager").create_secret(Name=SECRET_REF, SecretString=TWILIO_SECRET)


if __name__ == "__main__":
    main()
