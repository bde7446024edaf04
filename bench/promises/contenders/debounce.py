"""A debounce in memory, as Vercel's Chat SDK publishes it under the name "burst", with its state in memory.

Written from its published description (chat-sdk.dev, "Overlapping Messages"): the first message of an idle customer
waits; what comes meanwhile, or while the handler runs, is queued; then the handler gets all of the queue at once. At
most ten wait, each for 90 seconds at most, and a message is known again by its id. Nothing is stored.
"""

from __future__ import annotations

from collections import deque
from typing import Any
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator

from bench.promises.customers import AUTH_TOKEN, BASE_URL, PATH
from bench.promises.provider import send
from bench.promises.world import Contender, Invocation, Killed, World

RESTART_SECONDS = 5.0
QUEUE_MAX = 10
ENTRY_SECONDS = 90.0


class Debounce(Contender):
    """A queue and a lock for each customer, in one process."""

    name = "debounce in memory"
    window_seconds = 1.5
    notes = ("one process; it dies at one in a hundred requests and answers, and is back after 5 s",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.events = self.life = 0
        self.down_until = 0.0
        self.redeploy()

    def redeploy(self) -> None:
        self.queues: dict[str, deque[tuple[float, str]]] = {}
        self.locked: set[str] = set()
        self.known: set[str] = set()
        self.life += 1

    def webhook(self, event: dict[str, Any]) -> int:
        if self.world.now < self.down_until:
            return 502
        form = dict(parse_qsl(event["body"], keep_blank_values=True))
        if not RequestValidator(AUTH_TOKEN).validate(BASE_URL + PATH, form, event["headers"]["x-twilio-signature"]):
            return 403
        self._may_die()
        if form["MessageSid"] in self.known:
            return 200
        self.known.add(form["MessageSid"])
        sender = form["From"].removeprefix("whatsapp:")
        text = form["Body"] or form["MediaUrl0"].rpartition("/")[2].removesuffix(".jpg")
        self.queues.setdefault(sender, deque(maxlen=QUEUE_MAX)).append((self.world.now, text))
        if sender not in self.locked:
            self.locked.add(sender)
            life, end = self.life, self.world.now + self.window_seconds
            self.world.at(end, lambda: self.world.spawn(Invocation("handler"), lambda: self._drain(sender, life)))
        return 200

    def _drain(self, sender: str, life: int) -> None:
        while life == self.life and (queued := self.queues.get(sender)):
            oldest = self.world.now - ENTRY_SECONDS
            texts = [text for at, text in queued if at >= oldest]
            queued.clear()
            try:
                self._handle(sender, texts, life)
            except Killed:
                return
            except Exception:  # noqa: BLE001  # the SDK logs what a handler raises, and goes on
                self.world.calls["errors"] += 1
        if life == self.life:
            self.locked.discard(sender)

    def _handle(self, sender: str, texts: list[str], life: int) -> None:
        if not texts:
            return
        reply = self.world.think(sender, texts)
        self._may_die()
        if life == self.life and reply is not None:
            send(self.world, sender, reply)

    def _may_die(self) -> None:
        self.events += 1
        if self.world.is_dying(f"debounce {self.events}"):
            self.redeploy()
            self.down_until = self.world.now + RESTART_SECONDS
            raise Killed


class PatientDebounce(Debounce):
    """The same with the window that this engine has by default."""

    name = "debounce, 10 s"
    window_seconds = 10.0
    notes = (
        "the same with our window in place of the published 1.5 s, to compare designs and not windows",
        *Debounce.notes,
    )
