"""What happens, as a live timeline in the terminal: one line per event, by conversation and by actor.

It also keeps what the children logged, so that the script can wait for an event and the checks can read all of it
afterwards.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from local import logs
from local.logs import LogLine

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red")
_BATCH_SHOWN = 6
_LOUD = frozenset({"WARNING", "ERROR", "CRITICAL"})

_LANES = {"app": "webhook", "work": "worker", "ai": "AI", "twilio": "phone", "sendgrid": "mailbox"}

TOLD: dict[str, str] = {
    "staged": "staged, route {route}",
    "triggered": "trigger sent",
    "already_triggered": "a trigger is on its way",
    "DuplicateMessageDetected": "already known; ignored",
    "refused": "refused: {code}",
    "still_typing": "still typing; looks again in {seconds} s",
    "acquired": "locked for batch {batch_id}",
    "restarted": "the AI begins anew, with batch {batch_id}",
    "dispatched": "batch {batch_id} dispatched to the AI: {count} message(s)",
    "LockContention": "locked by batch {batch_id}",
    "resumed": "the trigger came again; batch {batch_id} is resumed",
    "handed_off": "handed off to people",
    "extended": "the AI needs more time; the lock is extended",
    "no_reply": "the AI has nothing to say",
    "given_back": "people give the conversation back to the AI",
    "thinking": "thinks about batch {batch_id}",
    "answered": "replies to batch {batch_id}",
    "known_batch": "batch {batch_id} came again; it is answered once",
    "sent": "part {count} sent",
    "taken": "shows: {shows}",
    "send_in_doubt": "part {count} may have been sent (code {code}): it is looked up later",
    "sent_again": "part {count} is not in the provider's list: it is sent once more",
    "reconciled": "part {count} is in the provider's list: it was sent",
    "requeued": "comes again in {seconds} s: {reason}",
    "released": "the reply has ended: {count} part(s) sent, error {code}",
    "reply_refused": "reply refused: {code}",
    "delivery_reported": "delivery status: {outcome}",
    "account_fault": "the account or its configuration is at fault: {code}",
    "undelivered": "not delivered, code {code}",
    "resent": "part {count} was not delivered and is sent once more",
    "not_resent": "part is not sent once more: {outcome}",
    "not_handed_off": "the failure goes to nobody: {outcome}",
    "opt_out": "the customer says {outcome}",
    "dead_letter": "to the dead-letter queue: {reason}",
    "failed": "failed: {code} {reason}",
}
"""The steps that the timeline shows; what else the app logs is kept and not shown."""


class Timeline:
    """Shows and keeps what happens."""

    def __init__(self, console: Console, *, conversations: Mapping[str, str], verbose: bool) -> None:
        self._console = console
        self._conversations = conversations  # by the customer's number or address
        self._verbose = verbose
        self._started = time.monotonic()
        self._colours: dict[str, str] = {}
        self._heard: list[LogLine] = []
        self._news = threading.Condition()

    def begin(self) -> None:
        """Count the time from now on."""
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """The time since the beginning."""
        return time.monotonic() - self._started

    def headline(self, text: str) -> None:
        """Say what is going to happen."""
        self._console.print(f"\n{text}", style="bold", markup=False)

    def show(self, who: str, lane: str, text: str, style: str = "") -> None:
        """One line: when, in whose conversation, who, and what."""
        line = Table.grid(padding=(0, 1))
        line.add_column(width=7, justify="right", style="dim")
        line.add_column(width=14, style=self._colour(who))
        line.add_column(width=8, style="dim")
        line.add_column(style=style)
        line.add_row(f"{self.seconds:.1f} s", who, lane, text)
        self._console.print(line, markup=False)

    def on_line(self, child: str, line: str) -> None:
        """Take one line that a child printed."""
        heard = logs.parse(line)
        if isinstance(heard, LogLine):
            with self._news:
                self._heard.append(heard)
                self._news.notify_all()
            if heard.step in TOLD and not self._verbose:
                style = "red" if heard.level in _LOUD else "dim"
                address = str(heard.fields.get("to", "")).rpartition(":")[2]
                who = str(heard.fields.get("conversation_id") or self._conversations.get(address, ""))
                self.show(who, _LANES.get(child, child), sentence(heard), style)
        if self._verbose:
            logs.show(self._console, child, line)

    def heard(self, step: str) -> list[Mapping[str, Any]]:
        """The fields of every line of a step so far."""
        with self._news:
            return [line.fields for line in self._heard if line.step == step]

    def wait_for(
        self, step: str, *, seconds: float, is_it: Callable[[Mapping[str, Any]], bool], times: int = 1
    ) -> bool:
        """Whether a step that `is_it` was heard so many times, within `seconds`."""
        with self._news:
            return self._news.wait_for(
                lambda: sum(line.step == step and is_it(line.fields) for line in self._heard) >= times, seconds
            )

    def _colour(self, who: str) -> str:
        return self._colours.setdefault(who, _COLOURS[len(self._colours) % len(_COLOURS)]) if who else ""


def sentence(line: LogLine, told: Mapping[str, str] = TOLD) -> str:
    """What a line tells, in words; `told` has a sentence for each step."""
    fields = {"code": "none", **line.fields}
    if "batch_id" in fields:
        fields["batch_id"] = str(fields["batch_id"])[:_BATCH_SHOWN]
    if "seconds" in fields:
        fields["seconds"] = f"{fields['seconds']:.1f}"
    return told[line.step].format_map(_Told(fields))


class _Told(dict[str, Any]):
    """The fields of a line; one that it lacks is left out of its sentence."""

    def __missing__(self, name: str) -> str:
        return ""
