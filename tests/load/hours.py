"""Hours of one conversation in virtual time: a customer who types steadily, an AI that takes its time, an outage."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chalicelib.clock import from_iso
from tests.world import World

STEP_SECONDS = 2
SWEEP_SECONDS = 60


@dataclass
class Hours:
    """One world whose clock runs: the AI answers each batch `ai_seconds` after it received it, however many it has."""

    world: World
    every_seconds: int
    """How often the customer writes; 0: never."""
    ai_seconds: int
    has_workers: bool = True
    """Whether triggers and replies are processed."""
    received: int = 0
    thinking: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    waits: dict[str, float] = field(default_factory=dict)
    """Seconds from receipt to the first batch, by message id."""
    notices: int = 0

    def run(self, seconds: int) -> None:
        """Let so many seconds pass."""
        clock = self.world.clock
        end = clock.monotonic() + seconds
        while clock.monotonic() < end:
            if self.every_seconds and clock.monotonic() % self.every_seconds == 0:
                self.world.deliver(f"message {self.received}")
                self.received += 1
                self.notices += b"<Message>" in self.world.answers[-1].body.encode()
            if self.has_workers:
                self.world.work()
                self.world.send_replies()
            self._think()
            if clock.monotonic() % SWEEP_SECONDS == 0:
                self.world.sweep()
            clock.advance(STEP_SECONDS)

    def _think(self) -> None:
        clock = self.world.clock
        for document in self.world.take(self.world.queues.ai):
            self.thinking.append((clock.monotonic() + self.ai_seconds, document))
            for message in document["messages"]:
                wait = (clock.now() - _received_at(message)).total_seconds()
                self.waits.setdefault(message["message_id"], wait)
        for one in [one for one in self.thinking if one[0] <= clock.monotonic()]:
            self.thinking.remove(one)
            self.world.reply(one[1], f"answer to {one[1]['meta']['batch_id']}")

    @property
    def stale(self) -> int:
        """Answers of the AI that nobody got."""
        return sum(line["step"] == "reply_refused" for line in self.world.telemetry.lines)

    @property
    def dispatched(self) -> int:
        """Messages that the AI was sent, as often as it was."""
        return sum(line["count"] for line in self.world.telemetry.lines if line["step"] == "dispatched")


def _received_at(message: dict[str, Any]) -> datetime:
    return from_iso(message["timestamp"])
