"""What a million messages cost, and what a month costs in which nothing happens: counted use, times prices.

    python -m bench.costs

Messages are received, batched, answered, sent and reported on by the shipped handlers over the in-memory deployment of
the tests. Counted are the capacity units that DynamoDB would bill, the requests to SQS, API Gateway and Lambda, and the
bytes of the lines and metrics that are written, with the lines that API Gateway and Lambda write of their own. How long
a call takes cannot be counted here: it is assumed, and stands among the figures below.

docs/operations.md has the tables that this prints; a test holds them to what is counted.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path
from typing import Unpack
from urllib.parse import parse_qsl

from chalice.app import SQSEventConfig

from app import app
from bench.growth import KEPT_EACH, TEXT, consumed, long_conversation, many_conversations
from bench.obvious_cost import SIZES, entries_in, turn_of_the_obvious
from bench.prices import MILLION, MONTHLY, PRICES, Usage
from bench.tables import ratio, show
from chalicelib.settings import SWEEP_ORPHANS_MINUTES, SWEEP_STALLED_MINUTES, Settings
from chalicelib.telemetry import Fields, Level, Step
from chalicelib.telemetry.writer import CloudWatch
from infrastructure.access_logs import FORMAT
from infrastructure.template import MONITORING_FILE, resources
from tests.fakes.tables import InMemoryTable
from tests.world import World

Table = tuple[list[str], list[list[str]]]
"""Heads, and rows."""

PAYLOADS = Path(__file__).parent.parent / "tests" / "payloads" / "twilio"


# Assumed: this is what the machine cannot be asked. The dashboard shows how long the functions really take.
CALL_MILLISECONDS = 8
"""One call to AWS from a Lambda function."""
PROVIDER_MILLISECONDS = 300
"""One call to the provider's API."""
OWN_MILLISECONDS = 10
"""What an invocation takes beside its calls."""
LONG_TEXT = (TEXT * 7)[:600]
"""A message, and an answer, of which fewer fit into a record than it may keep."""
AI_SECONDS = 8
"""From dispatch to reply: a reply claims its batch at another instant than the batch was locked at."""
TENANTS = 100
"""Companies that write alike, each with a secret of its own, which every process reads for itself."""
MEMORY_GB = 0.5
REPLY_MEMORY_GB = 0.25
"""Of the function that sends replies, which has half the processor with it."""
SWEEP_MEMORY_GB = 1_769 / 1_024
POLLERS = 5
POLLS_A_MINUTE = 3
"""Lambda asks an empty queue so: by five connections, each of which waits twenty seconds for an answer."""
TRACED = 0.05
"""The share of requests that X-Ray's default rule records, beside the first of each second."""
STATUSES = ("sent", "delivered", "read")
"""What the provider reports of each part of a reply."""

_OURS = frozenset({"MessageSid", "SmsMessageSid", "SmsSid", "AccountSid", "From", "To", "WaId", "Body", "NumMedia"})
BESIDE: Mapping[str, str] = {
    name: value
    for name, value in parse_qsl((PAYLOADS / "whatsapp_text.txt").read_text(), keep_blank_values=True)
    if name not in _OURS
}
"""What Twilio's form has beside what the tests' own has, as recorded: a staged row keeps some of it."""

ROUNDS = 26
"""Batches that are counted: a full record is brought down twice in them."""
CHUNK = 65_536
MINUTES = 30 * 24 * 60


@dataclass
class Tally:
    """What a world is seen to do, beside its calls."""

    invocations: int = 0
    requests: int = 0
    """To the API."""
    received: int = 0
    """Messages that our functions took off a queue."""
    replies: int = 0
    reply_milliseconds: float = 0.0
    """How long the function that sends them waits for its calls."""
    proven: int = 0
    """Invocations that need a tenant's secret: what they receive is verified, or what they send."""
    more_chunks: int = 0
    """Of messages larger than one request's 64 KB, beyond the first."""
    written: io.StringIO = field(default_factory=io.StringIO)
    """All that the functions wrote."""

    @property
    def metrics(self) -> int:
        """How many metrics were told, each set of dimensions by itself."""
        blobs = [json.loads(line) for line in self.written.getvalue().splitlines() if line.startswith('{"_aws"')]
        told = [(blob["_aws"]["CloudWatchMetrics"][0], blob) for blob in blobs]
        return len(
            {
                (metric["Name"], *(blob[name] for name in names))
                for directive, blob in told
                for metric in directive["Metrics"]
                for names in directive["Dimensions"]
            }
        )


LAMBDA_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
API_ID = "JKJaXmPLvHcESHA="
TRACE_ID = "1-5759e988-bd862e3fe1be46a994272793"
PLATFORM_IDS = {"request_id": LAMBDA_ID, "api_request_id": API_ID, "sqs_message_id": LAMBDA_ID}
"""As long as AWS's own, which are longer than those of the tests' world."""

OF_REQUEST = {
    "$context.extendedRequestId": API_ID,
    "$context.identity.sourceIp": "203.0.113.254",
    "$context.httpMethod": "POST",
    "$context.resourcePath": "/webhooks/twilio/status/{send}",
    "$context.status": "200",
    "$context.error.responseType": "-",
    "$context.responseLatency": "123",
}
"""What API Gateway writes in the access log for each variable; the path is that of most requests."""
ACCESS_LINE = re.sub(r"\$context[.\w]+", lambda one: OF_REQUEST[one[0]], FORMAT)

PLATFORM_LINES = (
    f"START RequestId: {LAMBDA_ID} Version: $LATEST\n",
    f"END RequestId: {LAMBDA_ID}\n",
    f"REPORT RequestId: {LAMBDA_ID}\tDuration: 123.45 ms\tBilled Duration: 124 ms\t",
    "Memory Size: 512 MB\tMax Memory Used: 128 MB\t\n",
)
"""Lambda's own lines on one invocation, as it documents them."""
OF_TRACE = {
    "api_request_id": len(f',"xray_trace_id":"{TRACE_ID}"'),
    "sqs_message_id": len(f',"xray_trace_id":"{TRACE_ID}","sender_trace_id":"{TRACE_ID}"'),
}
"""Bytes that a line with this field has beside the others, where its invocation and its message's sender are traced."""
TRACED_LINE = f"XRAY TraceId: {TRACE_ID}\tSegmentId: 53995c3f42cd8ad8\tSampled: true\t\n"
"""What the last one has beside that where the invocation is traced."""
PLATFORM_BYTES = sum(map(len, PLATFORM_LINES)) + TRACED * len(TRACED_LINE)


class WithPlatformIds(CloudWatch):
    """Writes lines as long as those of a deployed function."""

    def log(self, step: Step, level: Level = Level.INFO, **fields: Unpack[Fields]) -> None:
        told = {name: PLATFORM_IDS.get(name, value) for name, value in fields.items()}
        super().log(step, level, **told)


@contextmanager
def as_deployed(world: World, tally: Tally, telemetry: type[CloudWatch] = CloudWatch) -> Iterator[None]:
    """The world writes what a deployed function writes."""
    with redirect_stdout(tally.written):
        vars(world.engine)["telemetry"] = telemetry("prod", "INFO")
        yield


def used_by(world: World, act: Callable[[Tally], None]) -> tuple[Usage, Tally]:
    """What an act uses."""
    tally, before, first = Tally(), consumed(world), len(world.plan.calls)
    with as_deployed(world, tally, WithPlatformIds):
        act(tally)
    reads, writes, index_writes = (now - then for now, then in zip(consumed(world), before, strict=True))
    calls = Counter(call.operation for call in world.plan.calls[first:])
    milliseconds = tally.invocations * OWN_MILLISECONDS + waiting_milliseconds(calls)
    # Half the processor: what is its own takes twice as long.
    at_half = tally.reply_milliseconds + tally.replies * OWN_MILLISECONDS * 2
    at_full = milliseconds - tally.reply_milliseconds - tally.replies * OWN_MILLISECONDS
    amounts = {
        "DynamoDB writes": writes + index_writes,
        "DynamoDB reads": reads,
        "SQS": calls["SendMessage"] + tally.more_chunks + 2 * tally.received,  # to receive it, and to delete it
        "API Gateway": tally.requests,
        "Lambda requests": tally.invocations,
        "Lambda time": (at_full * MEMORY_GB + at_half * REPLY_MEMORY_GB) / 1_000,
        "CloudWatch Logs": logged(tally),
        "X-Ray": tally.invocations * TRACED,
        "Secrets Manager": tally.proven * unread(milliseconds / tally.invocations / 1_000, world.settings, TENANTS),
    }
    return Usage(amounts), tally


def logged(tally: Tally) -> float:
    """The bytes of all lines: the functions' own, Lambda's and API Gateway's."""
    written = tally.written.getvalue()
    of_traces = sum(written.count(f'"{name}":') * length for name, length in OF_TRACE.items())
    by_platform = tally.invocations * PLATFORM_BYTES + tally.requests * len(ACCESS_LINE)
    return len(written.encode()) + TRACED * of_traces + by_platform


def waiting_milliseconds(calls: Counter[str]) -> float:
    """How long these calls take."""
    of_provider = calls["CreateMessage"]
    return (calls.total() - of_provider) * CALL_MILLISECONDS + of_provider * PROVIDER_MILLISECONDS


def unread(seconds: float, settings: Settings, tenants: int) -> float:
    """The share of invocations that find their tenant's secret in no memory and read it.

    As many processes work as are busy, so each meets one tenant once in (an invocation's seconds x tenants).
    """
    return 1 / (1 + settings.secret_ttl_seconds / (seconds * tenants))


def one_message(fill: Callable[[], World], burst: int, text: str = TEXT) -> Usage:
    """What one message uses, where so many become a batch that gets one reply of one part."""
    usage, _ = answered(fill(), burst, text)
    return usage.times(1 / (ROUNDS * burst))


def answered(world: World, burst: int, text: str = TEXT) -> tuple[Usage, Tally]:
    """What `ROUNDS` batches use; a record that is not full is put back as it was after each."""
    (row,) = world.tables.conversations.rows
    is_full = len(row["messages"]) == world.settings.messages_keep
    turn(world, burst, Tally(), text)  # the first one fetches the secret, which the others find in memory

    def act(tally: Tally) -> None:
        for _ in range(ROUNDS):
            if not is_full:
                world.tables.conversations.seed(row)
            turn(world, burst, tally, text)

    return used_by(world, act)


def turn(world: World, burst: int, tally: Tally, text: str = TEXT) -> None:
    """One batch, from its first message to the last report on its reply."""
    for _ in range(burst):
        answer = world.post(world.form(text, **BESIDE))
        assert answer.status_code == 200, "the provider is told that it is taken"  # noqa: PLR2004 - an HTTP status
    world.clock.advance(world.settings.batch_window_seconds + 1)
    world.work()
    tally.more_chunks += sum(ceil(len(one.body.encode()) / CHUNK) - 1 for one in world.queues.ai.messages)
    (document,) = world.take(world.queues.ai)
    world.clock.advance(AI_SECONDS)
    world.reply(document, text)
    first = len(world.plan.calls)
    world.send_replies()
    tally.reply_milliseconds += waiting_milliseconds(Counter(call.operation for call in world.plan.calls[first:]))
    tally.replies += 1
    part = max(world.tables.sends.rows, key=lambda row: row["claimed_at"])
    statuses = STATUSES if world.settings.status_callbacks else ()
    for status in statuses:
        world.report(part["send_id"], status, MessageSid=part["provider_sid"])
    tally.requests += burst + len(statuses)
    tally.invocations += burst + 2 + len(statuses)
    tally.proven += burst + 1 + len(statuses)
    tally.received += 2  # the trigger, and the reply


def one_message_of_the_obvious(record_bytes: int) -> Usage:
    """What one message uses in the obvious build: its calls and units are counted, the rest assumed as for ours."""
    turn = turn_of_the_obvious(record_bytes, World().form(TEXT, **BESIDE))
    calls, invocations = turn.by_operation, 3
    milliseconds = (
        invocations * OWN_MILLISECONDS + calls.total() * CALL_MILLISECONDS + PROVIDER_MILLISECONDS
    )  # its own time grows with the record, which is left out
    return Usage(
        {
            "DynamoDB writes": turn.write_units,
            "DynamoDB reads": turn.read_units,
            "SQS": calls["SendMessage"] + calls["GetQueueUrl"] + 2 * 2,
            "API Gateway": 1,
            "Lambda requests": invocations,
            "Lambda time": milliseconds / 1_000 * MEMORY_GB,
            "CloudWatch Logs": invocations * PLATFORM_BYTES,
            "X-Ray": invocations * TRACED,
            "Secrets Manager": calls["GetSecretValue"],
        }
    )


def beside_the_obvious(sizes: Iterable[str] = SIZES) -> Table:
    """Dollars for a million messages of ours and of the obvious build, as a conversation grows."""
    rows = []
    for name in sizes:
        theirs = _dollars(one_message_of_the_obvious(SIZES[name]))
        entries = entries_in(SIZES[name])
        without, with_them = (_dollars(one_message(partial(_holding, entries, told), 1)) for told in ("false", "true"))
        figures = [f"{theirs:.2f}", f"{without:.2f}", ratio(without, theirs), f"{with_them:.2f}"]
        rows.append([name, *figures, ratio(with_them, theirs)])
    return ["record", "obvious", "ours, no callbacks", "ratio", "ours", "ratio"], rows


def _holding(entries: int, status_callbacks: str) -> World:
    """A conversation that once had so many entries."""
    if entries == KEPT_EACH:
        return many_conversations(1, status_callbacks=status_callbacks)
    return long_conversation(entries, status_callbacks=status_callbacks)


def _dollars(usage: Usage) -> float:
    return sum(usage.times(MILLION).dollars.values())


def idle_month() -> Usage:
    """What the sweeps use in a month: both of them as often as the more frequent one, which is a little too much."""
    world = World()

    def act(tally: Tally) -> None:
        world.sweep()
        tally.invocations = 2

    usage, _ = used_by(world, act)
    time = usage.amounts["Lambda time"] * SWEEP_MEMORY_GB / MEMORY_GB
    return Usage({**usage.amounts, "Lambda time": time}).times(
        MINUTES / min(SWEEP_ORPHANS_MINUTES, SWEEP_STALLED_MINUTES)
    )


SCENARIOS: Mapping[str, Callable[[], Usage]] = {
    "three a batch": lambda: one_message(lambda: many_conversations(1), 3),
    "one a batch": lambda: one_message(lambda: many_conversations(1), 1),
    "no callbacks": lambda: one_message(lambda: many_conversations(1, status_callbacks="false"), 1),
    "record full": lambda: one_message(lambda: long_conversation(1_000), 1),
    "full, long texts": lambda: one_message(lambda: long_conversation(1_000, text=LONG_TEXT), 1, LONG_TEXT),
}
"""What one message uses as messages come in such ways: in a young conversation, and in one whose record is full."""


def idle_polls() -> float:
    """How often Lambda asks our queues in a month."""
    queues = [source for source in app.event_sources if isinstance(source, SQSEventConfig)]
    return len(queues) * POLLERS * POLLS_A_MINUTE * MINUTES


def held() -> dict[str, int]:
    """What a stage with one tenant and one channel in use has of what is paid by the month."""
    alarms = [one for one in resources(MONITORING_FILE, "prod").values() if one.kind == "AWS::CloudWatch::Alarm"]
    of_math = [sum("MetricStat" in one for one in alarm.properties.get("Metrics", ())) for alarm in alarms]
    _, tally = answered(many_conversations(1), 1)
    return {
        "Secrets Manager": 1,
        "CloudWatch alarms": sum(count or 1 for count in of_math),
        "CloudWatch dashboard": 1,
        "CloudWatch metrics": tally.metrics,
    }


def of_messages(used: Mapping[str, Usage]) -> Table:
    """Dollars for a million messages that come in each way."""
    dollars = {name: one.times(MILLION).dollars for name, one in used.items()}
    rows = [[name, price.told, *(f"{one[name]:.2f}" for one in dollars.values())] for name, price in PRICES.items()]
    return ["", "price", *dollars], [*rows, ["all", "", *(f"{sum(one.values()):.2f}" for one in dollars.values())]]


def of_a_month() -> Table:
    """Dollars for a month in which nothing happens."""
    counts = held()
    rows = [[name, price.told, counts[name], counts[name] * price.dollars] for name, price in MONTHLY.items()]
    polls, price = idle_polls(), PRICES["SQS"]
    rows.append(["Lambda's polling of empty queues", price.told, polls, polls * price.dollars / price.of])
    rows.append(["the sweeps, with nothing to do", "as above", "", sum(idle_month().dollars.values())])
    rows.append(["all", "", "", sum(row[3] for row in rows)])
    return ["", "price", "count", "dollars"], [
        [*row[:2], f"{row[2]:,}" if row[2] else "", f"{row[3]:.2f}"] for row in rows
    ]


def units_by_table() -> Table:
    """The units of one message by table, one message a batch, in a young conversation and in one that is full."""
    rows = []
    for kind, fill in (("young", lambda: many_conversations(1)), ("full", lambda: long_conversation(1_000))):
        world = fill()
        tables = [one for one in vars(world.tables).values() if isinstance(one, InMemoryTable)]
        before = [one.consumed for one in tables]
        answered(world, 1)
        for table, then in zip(tables, before, strict=True):
            now = table.consumed
            spent = (
                now.write_units - then.write_units,
                now.index_write_units - then.index_write_units,
                now.read_units - then.read_units,
            )
            if any(spent):  # of the rounds, and of the one before them
                rows.append([f"{table.name}, {kind}", *(f"{one / (ROUNDS + 1):.2f}" for one in spent)])
    return ["", "writes", "index writes", "reads"], rows


def main() -> None:
    """Count, and print the tables."""
    used = {name: scenario() for name, scenario in SCENARIOS.items()}
    show(
        "What one message uses",
        ["", *used],
        [[name, *(f"{one.amounts[name]:.4g}" for one in used.values())] for name in PRICES],
    )
    show("DynamoDB's units of one message, one a batch, by table", *units_by_table())
    show("Dollars for a million messages", *of_messages(used))
    show("Dollars for a million messages, one a batch, beside the obvious build", *beside_the_obvious())
    show("Dollars for a month in which nothing happens", *of_a_month())


if __name__ == "__main__":
    main()
