"""A recorded state, restored into a world of today's code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from chalicelib.channels.sender import OutboundPart
from tests.fakes.queues import InMemoryQueue
from tests.world import World, conversation

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = sorted(file.stem for file in FIXTURES.glob("*.json"))


def fixture(name: str) -> dict[str, Any]:
    """What was recorded of a state."""
    document: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return document


def restored(name: str, **settings: str) -> World:
    """A world that stands where the earlier code stopped."""
    told = fixture(name)
    world = World(None, conversation(), **told["settings"], **settings)
    world.clock.advance(told["elapsed_seconds"])
    for table, rows in told["tables"].items():
        getattr(world.tables, table).seed(*rows)
    for queue, messages in told["queues"].items():
        _fill(_queue(world, queue), messages)
    world.phone.received = [
        (one["sid"], _part(one["part"]), datetime.fromisoformat(one["at"])) for one in told["provider"]
    ]
    world.batches, world.replies = told["ai"]["batches"], told["ai"]["replies"]
    return world


def endings(world: World, sid: str) -> set[str]:
    """How a message has ended, and by whose doing."""
    entry = _entry(world, sid)
    return {
        *(["answered"] if sid in world.answered_ids else []),
        *(["people"] if sid in world.with_people or "handed_off" in entry else []),
        *(["refused"] if "refused" in entry else []),
        *(["opt-out"] if "opt_out" in entry else []),
        *(["reported"] if sid in world.told_ids else []),
    }


def _entry(world: World, sid: str) -> Mapping[str, Any]:
    moved = [row["entry"] for row in world.tables.history.rows]
    found = [one for one in (*moved, *world.row["messages"]) if one["message_id"] == sid]
    return found[-1] if found else {}


def _queue(world: World, name: str) -> InMemoryQueue:
    kind, _, channel = name.partition("/")
    queues: Any = getattr(world.queues, kind)
    queue: InMemoryQueue = queues[channel] if channel else queues
    return queue


def _fill(queue: InMemoryQueue, messages: list[dict[str, Any]]) -> None:
    for one in messages:
        queue.inject(one["body"], group=one["group"])
        sent = queue.messages.pop()
        queue.messages.append(replace(sent, visible_at=one["visible_at"], receive_count=one["receive_count"]))


def _part(told: dict[str, Any]) -> OutboundPart:
    return OutboundPart(**{**told, "media_urls": tuple(told["media_urls"])})
