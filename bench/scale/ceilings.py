"""How many messages a second each part of a deployment carries, one after the other: the lowest is its ceiling.

One message is one batch, one reply of one part, and three status callbacks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.costs import STATUSES
from bench.growth import long_conversation, many_conversations, turn
from bench.prices import MILLION
from bench.scale.events import Events
from chalicelib.settings import Settings
from infrastructure.stages import stages
from tests.world import World

AI_SECONDS = 4.0
"""One answer of the AI worker that runs as a function of the stage: assumed."""

TABLE_WRITE_UNITS = 40_000
"""A second, of one table on demand: AWS's default quota."""
PARTITION_WRITE_UNITS = 1_000
PARTITION_READ_UNITS = 3_000
"""A second, of one hash key."""
SECRETS_READ = 10_000
"""A second: AWS's fixed quota."""
SECRET_DOLLARS = 0.05 / 10_000
"""One read."""
REQUESTS = 1 + len(STATUSES)
"""To the API, for one message."""


@dataclass(frozen=True)
class Capacity:
    """What the settings of a stage and the account's quotas allow."""

    name: str
    workers: int
    """Of each queue."""
    requests_per_second: int
    burst: int
    concurrency: int
    """Of the account."""


DEFAULTS = Settings.from_environment(stages()["prod"].variables)
BEFORE = Capacity(
    "as deployed",
    DEFAULTS.ai_replies_workers_max,
    DEFAULTS.api_requests_per_second,
    DEFAULTS.api_burst,
    1_000,
)
AFTER = Capacity("raised", 1_000, 40_000, 40_000, 10_000)


@dataclass(frozen=True)
class Units:
    """What a turn writes to the conversations table, its indexes included, and to the index of locks alone."""

    table: float
    lock_index: float


def units_of(fill: Callable[[], World]) -> Units:
    """What one turn writes."""
    world = fill()
    customer = world.tables.conversations.rows[0]["gsi_recipient_tel"]
    turn(world, customer)  # the first one fetches the secret
    before = world.tables.conversations.consumed
    turn(world, customer)
    after = world.tables.conversations.consumed
    index = after.index_write_units - before.index_write_units
    return Units(after.write_units - before.write_units + index, index)


def secret_reads(events: Events, tenants: int, ttl_seconds: float) -> float:
    """Reads of secrets for one message: a process keeps a secret, and every process meets every tenant.

    As many processes work as are busy, so a process meets one tenant once in (an event's seconds x tenants).
    """
    kinds = [events.message, events.reply, *[events.callback] * len(STATUSES)]
    return sum(1 / (1 + ttl_seconds / (one.seconds * tenants)) for one in kinds)


def seconds_of_one(events: Events) -> float:
    """What all functions together work for one message."""
    return (
        events.message.seconds + events.batch.seconds + events.reply.seconds + len(STATUSES) * events.callback.seconds
    )


def ceilings(events: Events, capacity: Capacity, young: Units, full: Units, tenants: int) -> dict[str, float]:
    """Messages a second, by the part that then does all that it can."""
    reads = secret_reads(events, tenants, DEFAULTS.secret_ttl_seconds)
    return {
        "AI worker of the stage, if it is on": capacity.workers / AI_SECONDS,
        "reply workers": capacity.workers / events.reply.seconds,
        "API throttle": capacity.requests_per_second / REQUESTS,
        "batch workers of one channel": capacity.workers / events.batch.seconds,
        "concurrency of the account": capacity.concurrency / seconds_of_one(events),
        f"Secrets Manager, {tenants:,} tenants": SECRETS_READ / reads,
        "conversations table, young records": TABLE_WRITE_UNITS / young.table,
        "conversations table, full records": TABLE_WRITE_UNITS / full.table,
        f"index of locks, {DEFAULTS.lock_index_shards} shards": (
            PARTITION_WRITE_UNITS * DEFAULTS.lock_index_shards / young.lock_index
        ),
        "look-up index, all of one company": PARTITION_READ_UNITS / 0.5,
    }


def dollars(events: Events, tenants: int) -> float:
    """For a million messages, with what reading the tenants' secrets costs."""
    work = events.message.dollars + events.batch.dollars + events.reply.dollars
    callbacks = events.known.dollars + (len(STATUSES) - 1) * events.callback.dollars
    secrets = secret_reads(events, tenants, DEFAULTS.secret_ttl_seconds) * SECRET_DOLLARS
    return (work + callbacks + secrets) * MILLION


YOUNG, FULL = (lambda: many_conversations(1)), (lambda: long_conversation(1_000))
"""Deployments of one conversation."""
