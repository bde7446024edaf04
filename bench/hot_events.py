"""What every kind of event costs beside the bare calls to AWS that it makes, and beside the obvious build of it.

    python -m bench.hot_events

Each event is played once over moto, and every call that it makes is recorded with its answer. Then the event and its
bare calls are played in turns, with the recorded answers: ours is the shipped handler with its calls, bare is nothing
but the calls with the same parameters, by clients with our configuration (nothing is validated) that are otherwise as
botocore makes them. Requests are built and signed, answers are parsed. Sending to the provider is left out. The obvious
build plays the same messages with its own calls.

Measured is CPU time, and where Valgrind is installed, instructions too.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config
from botocore.session import Session
from moto import mock_aws

from bench import instructions
from bench.costs import BESIDE, as_deployed
from bench.growth import TEXT, long_conversation, many_conversations
from bench.hot_obvious import figures_of_the_obvious
from bench.hot_path import SETTINGS
from bench.obvious_cost import row_of
from bench.tables import ratio, show
from bench.tape import Meter, Tape, cpu_milliseconds
from chalicelib import wiring
from chalicelib.aws.attributes import item_to_wire
from infrastructure.template import TEMPLATE_FILE
from tests.world import ACCOUNT_SID, AUTH_TOKEN, KEY, SECRET_REF, World

ROUNDS = 15
SERVICES = ("dynamodb", "sqs", "secretsmanager")
TWILIO_SECRET = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN})
UNSIGNED = "0" * 32
UNKNOWN = {"From": "whatsapp:+4915199999999"}
RECORDS = {"young": 0, "full": 36 * 1_024}
"""Bytes of the obvious build's record."""


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
    meter: Meter = cpu_milliseconds
    rounds: int = ROUNDS
    events: int = 0

    def costs(self, act: Callable[[], object]) -> Figures:
        """What an event and its bare calls take, and how many calls there are."""
        self.events += 1
        whole, bare = self.tape.costs(lambda: (self.ids.start(self.events), act()), self.meter, self.rounds)
        return Figures(len(self.tape.calls), whole, bare)

    @property
    def sent(self) -> list[str]:
        """The bodies that the last recorded event sent to queues."""
        return [told["MessageBody"] for _, name, told in self.tape.calls if name == "SendMessage"]


@dataclass(frozen=True)
class Figures:
    """What an event takes."""

    calls: int
    whole: float
    bare: float


@dataclass(frozen=True)
class Row:
    """One kind of event, of ours and of the obvious build."""

    kind: str
    calls: int
    whole: float
    bare: float
    obvious: float | None
    """None: it has no such event."""


def main() -> None:
    """Measure, and print the tables; under Valgrind, with the folder of its counts: measure for that."""
    if len(sys.argv) > 1:
        print(json.dumps([astuple(one) for one in measured(instructions.meter(Path(sys.argv[1])), 1)]))
        return
    _show("CPU ms", measured(cpu_milliseconds, ROUNDS))
    if instructions.are_countable():
        with tempfile.TemporaryDirectory() as folder:
            out, counts = instructions.counted("bench.hot_events", Path(folder))
        rows = [Row(*one) for one in json.loads(out.splitlines()[-1])]
        _show("million instructions", [_resolved(one, counts) for one in rows])


def _resolved(row: Row, counts: list[float]) -> Row:
    """A row whose figures are places among the counts, with these in millions."""
    whole, bare = (counts[int(one) - 1] / 1e6 for one in (row.whole, row.bare))
    return replace(row, whole=whole, bare=bare, obvious=row.obvious and counts[int(row.obvious) - 1] / 1e6)


def _show(unit: str, rows: list[Row]) -> None:
    show(
        f"One event beside its bare calls, and beside the obvious build's, {unit}",
        ["", "calls", "ours", "bare", "ratio", "obvious", "ratio"],
        [
            [
                one.kind,
                str(one.calls),
                f"{one.whole:.2f}",
                f"{one.bare:.2f}",
                ratio(one.whole, one.bare),
                "-" if one.obvious is None else f"{one.obvious:.2f}",
                "-" if one.obvious is None else ratio(one.whole, one.obvious),
            ]
            for one in rows
        ],
    )


def measured(meter: Meter, rounds: int) -> list[Row]:
    """Every kind of event, on a young record and on a full one; the obvious build's full one has 36 KB."""
    rows = []
    for kind, fill in (("young", lambda: many_conversations(1)), ("full", lambda: long_conversation(1_000))):
        world = World()
        forms = [world.form(TEXT, **BESIDE) for _ in range(32)]
        with redirect_stdout(io.StringIO()):
            theirs = dict(figures_of_the_obvious(row_of(RECORDS[kind]), forms, UNKNOWN, meter, rounds))
        with deployed(fill()) as bench:
            bench.meter, bench.rounds = meter, rounds
            rows += [
                Row(f"{name}, {kind}", one.calls, one.whole, one.bare, theirs.get(name)) for name, one in figures(bench)
            ]
    return rows


def figures(bench: Bench) -> Iterator[tuple[str, Figures]]:
    """Every kind of event, in the order in which a conversation has them."""
    world = bench.world
    forms = [world.form(TEXT, **BESIDE) for _ in range(32)]
    told = bench.costs

    _warm(bench, forms[0])
    yield "forged", told(lambda: world.post(forms[1], token=UNSIGNED))
    yield "unknown sender", told(lambda: world.post({**forms[1], **UNKNOWN}))
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
        _make()
        real = wiring.Engine(filled.clock)
        world = World()
        world.clock = filled.clock
        for name in ("conversations", "history"):
            for row in getattr(filled.tables, name).rows:
                getattr(real.tables, name).put(row)
        vars(world.engine).update(
            clock=filled.clock,
            tables=real.tables,
            queues=real.queues,
            credentials=real.credentials,
            new_id=ids,
        )
        for service in SERVICES:
            ours = real.clients.of(service)
            unchecked = ours.meta.config.merge(Config(parameter_validation=False))  # as ours; the client forgets it
            tape.listen(ours, Session().create_client(service, config=unchecked))
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
