"""The simulated world: actors that run the shipped code, and a scheduler that decides between any two of their calls.

Every call to a table, a queue or the provider is a point at which the scheduler may let another actor go on, crash the
actor, lose the answer or refuse the call for now. An actor is a greenlet in which the shipped doors run, unchanged,
over the fakes of the tests; time is a fake clock. What the scheduler may do at a point is a list of options; which it
does is a `Choices`. The world's budgets bound it.

Not points of choice, because they commute with every other call of these worlds: reading a secret, and the look-up on
the index, whose attributes never change here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from greenlet import greenlet

from chalicelib import doors, wiring
from tests.fakes.faults import Call, Crash, Fault, FaultPlan
from tests.fakes.queues import InMemoryQueue, Received
from tests.simulation.choices import Choices, Enumerated
from tests.world import World

TRIES = 4
"""Deliveries of one message by a provider that is not answered: the first, and three retries."""


class Violation(AssertionError):  # noqa: N818 - a word of the simulation, not an error of the code
    """An invariant does not hold."""


@dataclass
class Budgets:
    """How much the scheduler may do beyond letting actors go on."""

    crashes: int = 0
    losses: int = 0
    """Answers lost, and conditional writes refused by themselves."""
    throttles: int = 0
    duplicates: int = 0
    """Deliveries of a message that stays in its queue."""
    sweeps: int = 0
    jumps: int = 0
    """Leaps of the clock, each past the stall timeout."""
    company_writes: int = 0
    workers: int = 1
    """Workers of a kind at once."""
    deliveries: int = 99
    """Messages that the trigger queues deliver while choices are made; the rest comes when things are undisturbed."""
    answers: int = 0
    """Batches that the AI answers while choices are made."""
    replies: int = 0
    """Replies that the queue delivers while choices are made."""


@dataclass
class Actor:
    """One invocation of a function, or one act of the company, under way."""

    name: str
    run: Callable[[], None]
    on_crash: Callable[[], None]
    thread: greenlet = field(init=False)
    pending: Call | None = None
    history: int = 0
    """A digest of everything that it has seen."""
    is_dead: bool = False
    ids: int = 0


class Scheduler(FaultPlan):
    """Stands where the plan of faults stands: every call of every actor passes through it."""

    def __init__(self) -> None:
        super().__init__()
        self.actor: Actor | None = None
        self.trace: list[str] = []

    def perform(self, call: Call, apply: Callable[[Fault | None], Any]) -> Any:
        actor = self.actor
        if actor is None or call.operation == "GetSecretValue" or _is_look_up(call):
            return apply(None)
        if actor.is_dead:
            raise Crash(call)
        actor.pending = call
        fault = actor.thread.parent.switch()
        actor.pending = None
        if fault is Fault.CRASH_BEFORE:
            actor.is_dead = True
            raise Crash(call)
        try:
            answer = self.befall(call, apply, fault, f"{call.operation} {call.resource}")
        except Exception as error:
            actor.history = hash((actor.history, repr(error)))
            raise
        actor.history = hash((actor.history, repr(answer)))
        return answer


@dataclass
class Webhook:
    """A message that a provider will deliver: by its form, again until it is acknowledged."""

    form: dict[str, str]
    tries: int = TRIES


class Simulation:
    """One run of one world.

    Args:
        choices: decides.
        budgets: bound what may be decided.
        rows: the conversations.
        settings: beyond those of the tests' world.
    """

    def __init__(self, choices: Choices, budgets: Budgets, *rows: dict[str, Any], **settings: str) -> None:
        self.choices = choices
        self.budgets = budgets
        self.scheduler = Scheduler()
        windows = {"batch_window_seconds": "0", "batch_max_wait_seconds": "0", "lock_index_shards": "1"}
        self.world = World(self.scheduler, *rows, **{**windows, **settings})
        self.actors: list[Actor] = []
        self.webhooks: list[Webhook] = []
        self.acknowledged: list[str] = []
        self.seen: set[str] = set()
        self.one_after_another: list[tuple[str, str]] = []
        """Pairs of sids: the first was acknowledged before the second came in."""
        self.company_acts: list[Callable[[], None]] = []
        self.was_disturbed = False
        """Something else than actors' own steps and deliveries was chosen."""
        self.needs_sweep = False
        """A trigger may be gone for good: no redelivery brings it back."""
        self._taken_contexts: set[str] = set()
        self._starts: dict[str, int] = {}
        self._setup_ids = 0
        self._digests: dict[int, tuple[dict[str, Any], int]] = {}

    # ------------------------------------------------------------------ running

    def explore(self) -> None:
        """Choose until nothing is left to choose."""
        with self._ids():
            while options := self._options():
                names = [name for name, _ in options]
                if isinstance(self.choices, Enumerated):
                    self.choices.prune(self._state())
                at = self.choices.choose(names)
                self.scheduler.trace.append(names[at])
                options[at][1]()

    def undisturbed(self, seconds: float, *, sweeps: bool = True) -> None:
        """Let the world come to rest without choices: the AI answers, messages are delivered, the sweep runs."""
        with self._ids():
            self.scheduler.actor = None
            if sweeps:
                self.world.run(seconds)
                return
            passed = 0.0
            while passed < seconds and not (self.world.is_at_rest and self.world.is_silent):
                self.world.clock.advance(5)
                passed += 5
                self.world.work()
                self.world.answer_batches()
                self.world.send_replies()
                self.world.take_handoffs()

    def start(self, name: str, run: Callable[[], None], on_crash: Callable[[], None] = lambda: None) -> Actor:
        """Let an actor begin; it stops before its first call."""
        self._starts[name] = self._starts.get(name, 0) + 1
        actor = Actor(f"{name}#{self._starts[name]}", run, on_crash)
        actor.thread = greenlet(lambda _: run())
        self.actors.append(actor)
        self._resume(actor, None)
        return actor

    def to_the_end(self, actor: Actor, *, calls: int | None = None) -> None:
        """Let one actor go on alone: to its end, or for so many calls and then crash."""
        with self._ids():
            done = 0
            while actor in self.actors:
                if calls is not None and done == calls:
                    self._resume(actor, Fault.CRASH_BEFORE)
                    return
                self._resume(actor, None)
                done += 1

    # ------------------------------------------------------------------ what may happen next

    def _options(self) -> list[tuple[str, Callable[[], None]]]:
        options: list[tuple[str, Callable[[], None]]] = []
        for actor in self.actors:
            call = actor.pending
            assert call is not None, "an actor stands before a call"
            step = f"{actor.name}: {call.operation} {call.resource}"
            options.append((step, lambda actor=actor: self._resume(actor, None)))
        options += self._deliveries()
        options += self._outside()
        for actor in self.actors:
            options += self._disturbances(actor)
        return options

    def _deliveries(self) -> Iterable[tuple[str, Callable[[], None]]]:
        for number, webhook in enumerate(self.webhooks):
            yield f"webhook {number + 1} comes in", lambda webhook=webhook: self._post(webhook)
        for channel, queue in self.world.queues.triggers.items():
            if self.budgets.deliveries and self._count(f"batch {channel}") < self.budgets.workers:
                for message in self._visible(queue):
                    yield f"a trigger of {channel}", lambda c=channel, q=queue, m=message: self._work(c, q, m)
                    if self.budgets.duplicates:
                        yield (
                            f"!a trigger of {channel}, twice",
                            lambda c=channel, q=queue, m=message: self._again(c, q, m),
                        )
        if self.budgets.replies and self._count("reply") < self.budgets.workers:
            for message in self._visible(self.world.queues.replies):
                yield "a reply", lambda m=message: self._reply(m)

    def _outside(self) -> Iterable[tuple[str, Callable[[], None]]]:
        for message in self.world.queues.ai.messages:
            if self.budgets.answers and message.message_id not in self._taken_contexts:
                yield "the AI answers", lambda m=message: self._answer(m)
                break
        if self.budgets.sweeps and not self._count("sweep"):
            yield "!the sweep", self._sweep
        if self.budgets.jumps:
            yield "!time passes", self._jump
        if self.budgets.company_writes and self.company_acts:
            yield "!the company writes", self._company_writes

    def _disturbances(self, actor: Actor) -> Iterable[tuple[str, Callable[[], None]]]:
        call = actor.pending
        assert call is not None, "an actor stands before a call"
        if self.budgets.crashes:
            yield f"!{actor.name}: crash", lambda: self._disturb(actor, "crashes", Fault.CRASH_BEFORE)
        if self.budgets.losses and call.operation != "DeleteMessage":
            yield f"!{actor.name}: lost answer", lambda: self._disturb(actor, "losses", Fault.LOST_ANSWER)
            if call.is_conditional:
                refused = Fault.REFUSED_BY_OWN_WRITE
                yield f"!{actor.name}: refused by its own write", lambda: self._disturb(actor, "losses", refused)
        if self.budgets.throttles and call.operation != "DeleteMessage":
            yield f"!{actor.name}: throttled", lambda: self._disturb(actor, "throttles", Fault.THROTTLED)

    # ------------------------------------------------------------------ what happens

    def _resume(self, actor: Actor, fault: Fault | None) -> None:
        self.scheduler.actor = actor
        try:
            actor.thread.switch(fault)
        except Crash:
            actor.on_crash()
        except doors.EngineError:
            actor.on_crash()
        finally:
            self.scheduler.actor = None
        if actor.thread.dead:
            self.actors.remove(actor)

    def _disturb(self, actor: Actor, budget: str, fault: Fault) -> None:
        setattr(self.budgets, budget, getattr(self.budgets, budget) - 1)
        self.was_disturbed = True
        if actor.name.startswith("webhook") and actor.pending is not None and actor.pending.operation == "SendMessage":
            self.needs_sweep = True  # its trigger lock may stand for a trigger that was never sent
        self._resume(actor, fault)

    def _post(self, webhook: Webhook) -> None:
        self.webhooks.remove(webhook)
        sid = webhook.form["MessageSid"]
        if sid not in self.seen:
            self.seen.add(sid)
            self.one_after_another += [(earlier, sid) for earlier in self.acknowledged]
        self.world.clock.advance(1)
        webhook.tries -= 1

        def run() -> None:
            answer = self.world.post(webhook.form)
            if answer.status_code >= 500:
                retry()
                return
            outcome = self.world.telemetry.lines[-1]["outcome"]
            if outcome in ("success", "QUEUE_ERROR", "TRIGGER_LOCK_WRITE_ERROR"):
                self.acknowledged.append(webhook.form["MessageSid"])
            if outcome != "success":
                self.needs_sweep = True  # acknowledged with a fault that the sweep mends

        def retry() -> None:
            if webhook.tries:
                self.webhooks.append(webhook)
            else:
                self.needs_sweep = True  # perhaps staged, and its provider comes no more

        self.start(f"webhook {webhook.form['Body']}", run, retry)

    def _work(self, channel: str, queue: InMemoryQueue, message: Any) -> None:
        received = self._receive(queue, message)
        self.budgets.deliveries -= 1

        def run() -> None:
            self.world.invoke(channel, [received.body])
            self._acknowledge(queue, received)

        self.start(f"batch {channel}", run, lambda: self._redeliver(queue, received))

    def _again(self, channel: str, queue: InMemoryQueue, message: Any) -> None:
        self.budgets.duplicates -= 1
        queue.repeat(message.message_id)
        self._work(channel, queue, message)

    def _reply(self, message: Any) -> None:
        queue = self.world.queues.replies
        received = self._receive(queue, message)
        self.budgets.replies -= 1

        def run() -> None:
            event = {"Records": [{"body": received.body, "attributes": {"MessageGroupId": "acme"}}]}
            doors.replies(event, self.world._lambda_context(30), self.world.engine)
            self._acknowledge(queue, received)

        self.start("reply", run, lambda: self._redeliver(queue, received))

    def _answer(self, message: Any) -> None:
        """The AI takes a context and answers its batch; it has no calls that could fail."""
        self._taken_contexts.add(message.message_id)
        self.budgets.answers -= 1
        self.world.queues.ai.messages.remove(message)
        document = json.loads(message.body)
        batch_id = document["meta"]["batch_id"]
        if batch_id not in self.world.replies:
            self.world.reply(document, f"answer to {batch_id}")

    def _sweep(self) -> None:
        self.budgets.sweeps -= 1

        def run() -> None:
            doors.reset_stalled(self.world._lambda_context(60), self.world.engine)
            doors.recover_orphaned(self.world._lambda_context(60), self.world.engine)

        self.start("sweep", run)

    def _jump(self) -> None:
        self.budgets.jumps -= 1
        self.was_disturbed = True
        self.world.clock.advance(self.world.settings.stall_timeout_seconds + 100)

    def _company_writes(self) -> None:
        self.budgets.company_writes -= 1
        self.company_acts[0]()

    # ------------------------------------------------------------------ the platform

    def _visible(self, queue: InMemoryQueue) -> list[Any]:
        now = self.world.clock.monotonic()
        bodies: dict[str, Any] = {}
        for message in queue.messages:
            if message.visible_at <= now:
                bodies.setdefault(message.body, message)  # which of two alike is taken makes no difference
        return list(bodies.values())

    def _receive(self, queue: InMemoryQueue, message: Any) -> Received:
        message.receive_count += 1
        message.receipt = f"{message.message_id}/{message.receive_count}"
        message.visible_at = float("inf")
        return message.delivery(message.receipt)

    def _acknowledge(self, queue: InMemoryQueue, received: Received) -> None:
        """SQS deletes what a function took without an error; a point of choice, for a crash may come just before."""
        call = Call("DeleteMessage", queue.name, "write", doors.Code.QUEUE_ERROR, doors.Code.QUEUE_ERROR)
        self.scheduler.perform(call, lambda _: queue.delete(received.receipt))

    def _redeliver(self, queue: InMemoryQueue, received: Received) -> None:
        """A message that was not deleted is visible again, at once: how late it comes is the scheduler's choice."""
        for message in queue.messages:
            if message.receipt == received.receipt:
                message.visible_at = self.world.clock.monotonic()

    def _count(self, name: str) -> int:
        return sum(actor.name.startswith(name) for actor in self.actors)

    # ------------------------------------------------------------------ ids and states

    def _ids(self) -> Any:
        return _PatchedIds(self)

    def new_id(self) -> str:
        """The ids that the shipped code asks for: told by actor, so that they do not depend on who asks first."""
        actor = self.scheduler.actor
        if actor is None:
            self._setup_ids += 1
            return f"id-{self._setup_ids}"
        actor.ids += 1
        return f"{actor.name.replace(' ', '-')}-{actor.ids}"

    def _state(self) -> int:
        """A digest of all that the future depends on."""
        world = self.world
        tables = (world.tables.conversations, world.tables.stage, world.tables.trigger_lock, world.tables.sends)
        queues = (*world.queues.triggers.values(), world.queues.ai, world.queues.replies, world.queues.handoff)
        actors = sorted(
            (one.name.partition("#")[0], one.history, one.pending.operation if one.pending else "", one.ids)
            for one in self.actors
        )
        return hash(
            (
                tuple(self._row_digest(row) for table in tables for _, row in sorted(table._store.rows.items())),
                tuple(
                    (one.body, one.visible_at, one.receive_count)
                    for queue in queues
                    for one in sorted(queue.messages, key=lambda one: (one.body, one.visible_at))
                ),
                tuple(actors),
                tuple((one.form["MessageSid"], one.tries) for one in self.webhooks),
                tuple(vars(self.budgets).values()),
                world.clock.monotonic(),
                tuple(world.phone.texts),
                tuple(self.acknowledged),
                tuple(world.replies),
                self.was_disturbed,
            )
        )

    def _row_digest(self, row: dict[str, Any]) -> int:
        """Rows are replaced, never changed, so one object needs one look."""
        kept = self._digests.get(id(row))
        if kept is None:
            kept = self._digests[id(row)] = (row, hash(repr(row)))
        return kept[1]


class _PatchedIds:
    """Lets the shipped wiring take its ids from a simulation: randomness comes in through constructors."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation

    def __enter__(self) -> None:
        self.before = wiring.new_id
        wiring.new_id = self.simulation.new_id

    def __exit__(self, *_: object) -> None:
        wiring.new_id = self.before


def _is_look_up(call: Call) -> bool:
    return call.operation == "Query" and call.resource.startswith("conversations-local")
