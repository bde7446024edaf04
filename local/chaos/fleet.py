"""The fleet: the web server and the workers, killed with SIGKILL and started again.

at a random moment              whatever the victim does then, which is often nothing
right after it logged a step    between two calls of a use case, where a crash is at its worst
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from chalicelib.telemetry import Step
from local.processes.children import Child
from local.processes.environment import HOST
from local.stack import Stack

_STEP_WAIT_SECONDS = 2.0
_WAIT_SECONDS = 5.0

WEB, BATCHES, REPLIES, SWEEPS = "web", "batches", "replies", "sweeps"

_HANDLERS = {
    BATCHES: ("batch_whatsapp", "batch_sms"),
    REPLIES: ("send_replies", "send_human_replies"),
    SWEEPS: ("check_and_reset_stalled_conversations", "recover_orphaned_messages"),
}
_MEMBERS = {WEB: 1, BATCHES: 2, REPLIES: 2, SWEEPS: 1}
_WEIGHTS = {WEB: 5, BATCHES: 7, REPLIES: 7, SWEEPS: 2}
_STEPS = {
    WEB: (Step.RECEIVED, Step.STAGED, Step.TRIGGERED, Step.HANDED_OFF),
    BATCHES: (Step.ACQUIRED, Step.DISPATCHED, Step.RESUMED),
    REPLIES: (Step.CLAIMED, Step.SENT, Step.RELEASED),
    SWEEPS: (Step.RECOVERED, Step.RESET),
}
"""The steps after which a member of each role is worth killing."""
_AT_A_STEP = 0.6


@dataclass(frozen=True)
class Kill:
    """One kill of the plan."""

    at_progress: float
    """When, as a share of the load."""
    role: str
    member: int
    step: str | None
    """Right after this step; None: at once."""


def plan(random: Random, kills: int) -> list[Kill]:
    """So many kills, spread over the whole load."""
    found = []
    for number in range(kills):
        (role,) = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        step = random.choice(_STEPS[role]).value if random.random() < _AT_A_STEP else None
        found.append(Kill((number + random.random()) / kills * 0.95, role, random.randrange(_MEMBERS[role]), step))
    return found


@dataclass
class Fleet:
    """The processes that may be killed."""

    stack: Stack
    sweep_seconds: int
    killed: Counter[str] = field(default_factory=Counter)
    """How often, by role."""
    at_a_step: int = 0
    """How many of these right after a step."""
    _members: dict[str, Child] = field(default_factory=dict)
    _trap: Trap | None = None

    def start(self) -> None:
        """Start everybody, and wait until the web server answers."""
        for role, count in _MEMBERS.items():
            for number in range(count):
                self._start(role, number)
        self.stack.wait_for(self._members[_name(WEB, 0)], self.stack.http_port)

    def on_line(self, child: str, step: str) -> None:
        """Take one step that a child told; called on the child's own thread, for each step."""
        trap = self._trap
        if trap is not None and (trap.child, trap.step) == (child, step) and not trap.sprung.is_set():
            self._members[child].process.kill()
            trap.sprung.set()

    def kill(self, one: Kill) -> None:
        """Kill a member as planned, wait until it is dead, and start another in its place."""
        name = _name(one.role, one.member)
        if one.step is not None:
            trap = self._trap = Trap(name, one.step)
            self.at_a_step += trap.sprung.wait(_STEP_WAIT_SECONDS)
            self._trap = None
        child = self._members[name]
        child.process.kill()
        child.wait(_WAIT_SECONDS)
        child.stop()
        self.stack.children.remove(child)
        self.killed[one.role] += 1
        self._start(one.role, one.member)

    def member(self, name: str) -> Child:
        """The process that bears this name now."""
        return self._members[name]

    def dead(self) -> list[str]:
        """Who ended without having been killed."""
        return [name for name, child in self._members.items() if not child.is_running]

    def _start(self, role: str, number: int) -> None:
        name = _name(role, number)
        base = f"http://{HOST}:{self.stack.http_port}"
        if role == WEB:
            arguments = ["serve", "--port", str(self.stack.http_port)]
        else:
            only = [part for handler in _HANDLERS[role] for part in ("--only", handler)]
            arguments = ["work", *only, *(["--every", str(self.sweep_seconds)] if role == SWEEPS else [])]
        self._members[name] = self.stack.start(name, *arguments, PUBLIC_BASE_URL=base)


@dataclass(frozen=True)
class Trap:
    """Waits for a step of a child."""

    child: str
    step: str
    sprung: threading.Event = field(default_factory=threading.Event)


def _name(role: str, number: int) -> str:
    return f"{role}-{number + 1}"
