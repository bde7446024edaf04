"""This engine: the shipped code, its own template and its default settings."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from chalice.app import Request
from chalice.local import LambdaContext

from bench.promises.customers import BASE_URL, STAGE, START
from bench.promises.world import Contender, World
from chalicelib.channels.channel import Vendor
from chalicelib.handlers import queues, schedules, webhooks
from chalicelib.settings import SWEEP_ORPHANS_MINUTES, SWEEP_STALLED_MINUTES
from chalicelib.wiring import Engine
from local.processes import environment

WORKER_SECONDS: Final = 30
VISIBILITY_SECONDS: Final = 180.0
AI_VISIBILITY_SECONDS: Final = 300.0


_PATIENT = {
    "AWS_READ_TIMEOUT_SECONDS": "20",
    "AWS_CONNECT_TIMEOUT_SECONDS": "10",
    "PROVIDER_READ_TIMEOUT_SECONDS": "20",
}
"""Real seconds: the faults of an evening are those of its script, and not of a busy machine."""


class ThisEngine(Contender):
    """Stage, trigger, lock, batch, reply, and a sweep that repairs."""

    name = "replies-engine"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        os.environ.update(environment.of_stage(STAGE))
        told = {"PUBLIC_BASE_URL": BASE_URL, "TWILIO_API_BASE_URL": world.twilio(), **_PATIENT}
        os.environ.update({"LOG_LEVEL": os.environ.get("LOG_LEVEL", "ERROR"), **told})
        self.redeploy()
        names = self.engine.settings
        world.consume(names.whatsapp_queue, self._batch, batch_size=10, visibility_seconds=VISIBILITY_SECONDS)
        world.consume(names.ai_replies_queue, self._reply, batch_size=1, visibility_seconds=VISIBILITY_SECONDS)
        world.consume(names.ai_queue, self._answer, batch_size=1, visibility_seconds=AI_VISIBILITY_SECONDS)
        world.every(SWEEP_STALLED_MINUTES * 60, lambda: schedules.reset_stalled_locks(_context(60), self.engine))
        world.every(SWEEP_ORPHANS_MINUTES * 60, lambda: schedules.recover_orphaned_messages(_context(60), self.engine))

    def redeploy(self) -> None:
        self.engine = Engine(WorldClock(self.world))

    def webhook(self, event: dict[str, Any]) -> int:
        request = Request(event, _context(15))
        return int(webhooks.receive_message(request, Vendor.TWILIO, self.engine).status_code)

    def _batch(self, event: dict[str, Any]) -> None:
        queues.process_triggers(event, _context(WORKER_SECONDS), "whatsapp", self.engine)

    def _reply(self, event: dict[str, Any]) -> None:
        self.world.order_fault()
        queues.process_replies(event, _context(WORKER_SECONDS), self.engine)

    def _answer(self, event: dict[str, Any]) -> None:
        """The company's AI worker, as docs/ai-worker.md describes it: one reply for each batch."""
        (record,) = event["Records"]
        context = json.loads(record["body"])
        texts = [
            one["body"] or one["media"][0]["url"].rpartition("/")[2].removesuffix(".jpg") for one in context["messages"]
        ]
        reply = self.world.think(context["conversation"]["conversation_id"], texts)
        if reply is None:
            return
        told = {
            "conversation_id": context["conversation"]["conversation_id"],
            "primary_channel": context["conversation"]["primary_channel"],
            "batch_id": context["meta"]["batch_id"],
            "body": reply,
        }
        queue = self.world.queues[self.engine.settings.ai_replies_queue]
        queue.send(
            {"MessageBody": json.dumps(told), "MessageGroupId": context["company"]["company_id"]}, self.world.now
        )


@dataclass(frozen=True)
class WorldClock:
    """Virtual time."""

    world: World

    def now(self) -> datetime:
        return START + timedelta(seconds=self.world.now)

    def monotonic(self) -> float:
        return self.world.now


def _context(seconds: int) -> Any:
    return LambdaContext("promises", 512, seconds * 1_000)
