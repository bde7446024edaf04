"""A debounce in memory, as chat SDKs and recipes have it: a timer for each customer, reset by each message.

Written from the published descriptions: one long-running process keeps the texts of each customer in a list and a
timer; when the timer ends, the list is joined and given to the model, and the answer is sent. Nothing is stored.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator

from bench.promises.provider import send
from bench.promises.world import AUTH_TOKEN, BASE_URL, PATH, Contender, Invocation, Killed, World

WINDOW_SECONDS = 10.0
RESTART_SECONDS = 5.0


class Debounce(Contender):
    """A list and a timer for each customer."""

    name = "debounce in memory"
    notes = ("it makes no calls to AWS; it dies at one in a hundred requests and timers, and is back after 5 s",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.events = 0
        self.down_until = 0.0
        self.redeploy()

    def redeploy(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.timers: dict[str, int] = {}
        self.life = getattr(self, "life", 0) + 1

    def webhook(self, event: dict[str, Any]) -> int:
        if self.world.now < self.down_until:
            return 502
        form = dict(parse_qsl(event["body"], keep_blank_values=True))
        if not RequestValidator(AUTH_TOKEN).validate(BASE_URL + PATH, form, event["headers"]["x-twilio-signature"]):
            return 403
        self._may_die()
        sender = form["From"].removeprefix("whatsapp:")
        text = form["Body"] or form["MediaUrl0"].rpartition("/")[2].removesuffix(".jpg")
        self.texts.setdefault(sender, []).append(text)
        self.timers[sender] = timer = self.timers.get(sender, 0) + 1
        life = self.life
        self.world.at(
            self.world.now + WINDOW_SECONDS,
            lambda: self.world.spawn(Invocation("timer"), lambda: self._end(sender, timer, life)),
        )
        return 200

    def _end(self, sender: str, timer: int, life: int) -> None:
        if life != self.life or self.timers.get(sender) != timer:
            return  # another process, or the customer wrote on
        texts = self.texts.pop(sender, [])
        try:
            self._may_die()
            reply = self.world.think(sender, texts)
            if reply is not None and life == self.life:
                send(self.world, sender, reply)
        except Killed:
            return
        except Exception:  # noqa: BLE001  # the recipes log the error and go on
            self.world.calls["errors"] += 1

    def _may_die(self) -> None:
        self.events += 1
        if self.world.is_dying(f"debounce {self.events}"):
            self.redeploy()
            self.down_until = self.world.now + RESTART_SECONDS
            raise Killed
