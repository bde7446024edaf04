"""What one message costs as a conversation grows, and as conversations grow in number.

    python -m bench.growth

One message is received, batched, answered and recorded, by the shipped handlers over the in-memory deployment of the
tests, again and again on a deployment that already holds so many. Reads and writes are the capacity units that
DynamoDB would bill, calls are what would cross the network. Milliseconds are CPU time of the shipped code with the
spelling of its rows for DynamoDB, without what the tables' stubs take: those search by looking at every row, as
DynamoDB does not.

Nothing is asserted. The ratios beside the figures are taken in one run, so that the machine's load cancels out.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

from bench.tables import ratio, show
from chalicelib.clock import iso
from chalicelib.protocol.record import ConversationKey
from tests.fakes.faults import Call, Fault, FaultPlan
from tests.world import COMPANY, KEY, World, conversation

SIZES = (10, 100, 1_000, 10_000)
CONVERSATIONS = (1, 10, 100, 1_000, 10_000)

TURNS = 26
"""Messages of one round: each leaves two entries, so a full record outgrows its bounds and is brought down twice."""

ROUNDS = 3
"""Each on a deployment filled anew."""

KEPT_EACH = 4
"""Entries that each of many conversations has."""

TEXT = "Could you tell me whether the blue one is still there, and what it costs with delivery?"


class Meter(FaultPlan):
    """A plan without faults that takes the time of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def perform(self, call: Call, apply: Callable[[Fault | None], Any]) -> Any:
        started = time.process_time()
        try:
            return super().perform(call, apply)
        finally:
            self.seconds += time.process_time() - started


@dataclass(frozen=True)
class Cost:
    """What one message costs, on average of a round."""

    read_units: float
    write_units: float
    index_write_units: float
    calls: float
    milliseconds: float
    by_operation: Counter[str]

    @property
    def figures(self) -> tuple[float, ...]:
        return self.read_units, self.write_units, self.index_write_units, self.calls, self.milliseconds


def main() -> None:
    """Measure, and print two tables."""
    heads = ["reads", "writes", "index writes", "calls", "CPU ms"]
    columns = [column for head in heads for column in (head, "ratio")]
    measured = {count: cost_of(lambda count=count: long_conversation(count)) for count in SIZES}
    show("One message in a conversation that holds so many", ["messages", *columns], list(rows_of(measured)))
    measured = {count: cost_of(lambda count=count: many_conversations(count)) for count in CONVERSATIONS}
    show("One message in a deployment that holds so many", ["conversations", *columns], list(rows_of(measured)))
    told = ", ".join(f"{name} {number:.2f}" for name, number in sorted(measured[1].by_operation.items()))
    print(f"Calls of one message in a deployment of one conversation: {told}\n")


def rows_of(measured: dict[int, Cost]) -> Iterator[list[str]]:
    """The table's rows: each figure, and its ratio to that of the smallest size."""
    base = next(iter(measured.values()))
    for count, cost in measured.items():
        pairs = zip(cost.figures, base.figures, strict=True)
        yield [f"{count:,}", *(text for one, first in pairs for text in (f"{one:.2f}", ratio(one, first)))]


def cost_of(fill: Callable[[], World]) -> Cost:
    """What a message costs on a deployment that `fill` makes: the median round's time; what is counted is the same."""
    rounds = [one_round(fill()) for _ in range(ROUNDS)]
    first = rounds[0]
    return Cost(*first.figures[:-1], median(one.milliseconds for one in rounds), first.by_operation)


def one_round(world: World) -> Cost:
    """`TURNS` messages, one after the other, each answered before the next one comes.

    A record that is not full is put back as it was after each, so that it holds what is told; a full one is left to
    grow and be brought down, for that is part of the cost.
    """
    rows = world.tables.conversations.rows
    are_full = len(rows[0]["messages"]) == world.settings.messages_keep
    turn(world, rows[0]["gsi_recipient_tel"])  # the first one fetches the secret, which the others find in memory
    gc.freeze()  # a look at all that is held, which a Lambda function does not hold, is no cost of a message
    before, calls, seconds = consumed(world), len(world.plan.calls), 0.0
    for number in range(TURNS):
        row = rows[number * 7_919 % len(rows)]
        if not are_full:
            world.tables.conversations.seed(row)
        started, away = time.process_time(), world.plan.seconds
        turn(world, row["gsi_recipient_tel"])
        seconds += time.process_time() - started - (world.plan.seconds - away)
    gc.unfreeze()
    spent = [(after - one) / TURNS for after, one in zip(consumed(world), before, strict=True)]
    operations = Counter(call.operation for call in world.plan.calls[calls:])
    by_operation = Counter({name: number / TURNS for name, number in operations.items()})
    return Cost(*spent, operations.total() / TURNS, seconds * 1_000 / TURNS, by_operation)


def turn(world: World, customer: str) -> None:
    """One message: received, batched, answered by the AI, sent and recorded."""
    answer = world.post(world.form(TEXT, From=f"whatsapp:{customer}"))
    assert answer.status_code == 200, "the provider is told that it is taken"  # noqa: PLR2004 - an HTTP status
    world.clock.advance(world.settings.batch_window_seconds + 1)
    world.work()
    (document,) = world.take(world.queues.ai)
    world.clock.advance(1)  # a reply claims its batch at another instant than the batch was locked at
    world.reply(document, TEXT)
    sent = len(world.phone.received)
    world.send_replies()
    assert len(world.phone.received) == sent + 1, "the customer has the answer"


def consumed(world: World) -> tuple[float, float, float]:
    """What was consumed so far, over all tables."""
    tables = (
        world.tables.conversations,
        world.tables.stage,
        world.tables.trigger_lock,
        world.tables.history,
        world.tables.sends,
    )
    spent = [table.consumed for table in tables]
    return (
        sum(one.read_units for one in spent),
        sum(one.write_units for one in spent),
        sum(one.index_write_units for one in spent),
    )


def long_conversation(count: int, text: str = TEXT, **settings: str) -> World:
    """One conversation of so many messages: its record keeps the latest, the history holds the rest."""
    world = World(Meter(), **settings)
    entries = entries_of(world, KEY, count, text)
    kept = world.settings.messages_keep
    moved, left = entries[:-kept], entries[-kept:]
    world.tables.conversations.seed(
        conversation(messages=left, **({"messages_moved_before": moved[-1]["timestamp"]} if moved else {}))
    )
    world.tables.history.seed(
        *(
            {
                "conversation_id": KEY.conversation_id,
                "message_id": entry["message_id"],
                "primary_channel": KEY.primary_channel,
                "moved_at": entry["timestamp"],
                "entry": entry,
            }
            for entry in moved
        )
    )
    return world


def many_conversations(count: int, **settings: str) -> World:
    """So many conversations of one company, each with a few messages."""
    world = World(Meter(), **settings)
    keys = [KEY, *(ConversationKey(f"+49160{one:07d}", f"conversation-{one + 1}") for one in range(1, count))]
    for key in keys:
        row = conversation(**key.item, gsi_recipient_tel=key.primary_channel, recipient_tel=key.primary_channel)
        world.tables.conversations.seed({**row, "messages": entries_of(world, key, KEPT_EACH)})
    return world


def entries_of(world: World, key: ConversationKey, count: int, text: str = TEXT) -> list[dict[str, Any]]:
    """The entries of a conversation, answered all, the last of them older than what the record keeps as young."""
    last = world.clock.now() - timedelta(hours=world.settings.dedupe_hours + 1)
    return [
        {
            "message_id": f"SMe{one:031d}",
            "direction": "INBOUND" if one % 2 == 0 else "OUTBOUND",
            "content": text,
            "timestamp": iso(last - timedelta(minutes=count - one)),
            "channel_type": "whatsapp",
            "metadata": {"sender": key.primary_channel, "recipient": COMPANY},
            "batch_id": f"{one // 2:032x}",
        }
        for one in range(count)
    ]


if __name__ == "__main__":
    main()
