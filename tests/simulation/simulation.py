"""The simulated world: actors that run the shipped code, and all that may happen between any two of their calls.

Every call to a table, a queue or the provider is a point at which another actor may go on, the actor may crash, or the
call may meet a fault. An actor is an invocation of a shipped handler, unchanged, over the fakes of the tests; time is a
fake clock. What may happen next is a list of options; which does is a `Choices`, or every one of them in turn
(`exploring`). The world's budgets bound it.

Not points of choice, because they commute with every other call of these worlds: reading a secret, and the webhook's
look-up on the index, whose attributes never change here.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

from chalicelib.clock import epoch, iso
from chalicelib.conversations import contexts
from chalicelib.errors import Code, EngineError, Misconfigured, ReplyCode
from chalicelib.handlers import queues, schedules
from chalicelib.outbound.holding import HELD
from chalicelib.outbound.parts import LISTED_AFTER_SECONDS
from chalicelib.ports.tables import Item
from chalicelib.protocol.lock_changes import PEOPLE
from tests.fakes.faults import Call, Fault
from tests.fakes.queues import InMemoryQueue, Message, Received
from tests.simulation.actors import Actor, Answered, Digests, Ended, Failed, Memory, Outcome, Stage
from tests.simulation.choices import Choices
from tests.simulation.deployment import ACME, Deployment, Tenant, Violation, may_be_stale
from tests.simulation.reached import REACHED
from tests.world import REPLIES_TIMEOUT_SECONDS

INFINITE = float("inf")

REPLIES_TIMEOUT = timedelta(seconds=REPLIES_TIMEOUT_SECONDS)

OUTSIDE_WINDOW = "63016"
"""The provider's code for free text that came too late."""

QUEUE_FULL = "30001"
"""The provider's code for a message that reached nobody."""

TRIES = 4
"""Deliveries of one message by a provider that is not answered: the first, and three retries."""

SKEWS = (timedelta(0), timedelta(seconds=0.4), timedelta(seconds=-0.4), timedelta(0), timedelta(0))
"""By how much the clocks of the functions are off, one after another, where they are: less than the second that lies
between two messages."""

_LAST_CALLS = ("DeleteMessage", "Answer")
"""The platform's own: they fail by a crash alone."""

_MENDED_BY_SWEEP = ("QUEUE_ERROR", "TRIGGER_LOCK_WRITE_ERROR")
"""Outcomes of a webhook that are acknowledged: the message is staged, and its trigger may be missing."""

_DISTURBING = ("crashes", "losses", "throttles", "refusals", "stale_reads", "server_errors")
"""The budgets of what may happen to a call."""

_SURPRISE = re.compile(r"^\w+ at \w+\.py:\d")

_BATCH_CONTEXT = contexts.batch_context

Option = tuple[str, Callable[[], None]]


@dataclass(frozen=True)
class Budgets:
    """How much may happen beyond actors that go on."""

    crashes: int = 0
    losses: int = 0
    """Answers lost, and conditional writes refused by themselves."""
    throttles: int = 0
    refusals: int = 0
    """Calls refused for good: a right that is missing for a moment."""
    stale_reads: int = 0
    """Reads that see what was before the last write, where they do not ask for more."""
    duplicates: int = 0
    """Deliveries of a message that stays in its queue."""
    sweeps: int = 0
    sweepers: int = 1
    """Sweeps at once."""
    jumps: int = 0
    """Leaps of the clock, each past the stall timeout."""
    waits: int = 0
    """Waits for the next message that is delayed, while no reply under way outlives the timeout of its function."""
    expiries: int = 0
    """Time to live deletes what is past it; at all other times it lingers."""
    company_writes: int = 0
    reports: int = 0
    """Status callbacks of the provider, which may come twice."""
    workers: int = 1
    """Workers of a kind at once."""
    deliveries: int = 99
    """Messages that the trigger queues deliver while choices are made; the rest comes when things are undisturbed."""
    answers: int = 0
    """Batches that the AI answers while choices are made."""
    replies: int = 0
    """Replies that the queue delivers while choices are made."""
    silences: int = 0
    """Batches that the AI never answers."""
    second_answers: int = 0
    """Batches that the AI answers twice, in different words."""
    server_errors: int = 0
    """Sends that the provider answers with a 5xx, whether it takes the message or not."""
    delays: int = 0
    """Pauses that let the deadline of a webhook pass between two of its calls."""


@dataclass(frozen=True)
class Webhook:
    """A message that a provider will deliver, again until it is acknowledged."""

    tenant: Tenant
    sid: str
    body: str
    tries: int = TRIES
    fields: tuple[tuple[str, str], ...] = ()
    """Further parameters of the provider's request."""

    @property
    def opt_out(self) -> str | None:
        """STOP, START or HELP, as the provider reports it."""
        return dict(self.fields).get("OptOutType")


@dataclass(frozen=True)
class Callback:
    """A report of the provider on a message that it took, again until it is acknowledged."""

    sid: str
    send_id: str
    status: str
    error_code: str
    tenant: Tenant
    tries: int = TRIES


@dataclass
class Course:
    """What a run came to, beside the rows and the messages: values that are replaced, never changed."""

    budgets: Budgets
    actors: tuple[Actor, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    callbacks: tuple[Callback, ...] = ()
    """Reports that were not acknowledged, and come again."""
    undelivered: frozenset[str] = frozenset()
    """The parts that the provider reported as not delivered."""
    heard: frozenset[str] = frozenset()
    """Those of them whose report was acknowledged."""
    reported: frozenset[tuple[str, str]] = frozenset()
    """Parts and statuses: the reports that were acknowledged."""
    past: frozenset[str] = frozenset()
    """Those of them after which another batch began before they were reported."""
    acknowledged: tuple[str, ...] = ()
    seen: frozenset[str] = frozenset()
    one_after_another: tuple[tuple[str, str], ...] = ()
    """Pairs of sids of one conversation: the first was acknowledged before the second came in."""
    told: tuple[str, ...] = ()
    """Batches whose reply ended with a code that an operator was told."""
    unknown: frozenset[str] = frozenset()
    """Of these, the batches whose reply counts as answered with unknown outcome."""
    taken_over: frozenset[str] = frozenset()
    """Batches of which people took the conversation over before all of the reply was sent."""
    in_doubt: frozenset[str] = frozenset()
    """Batches whose reply may be in doubt: a process ended between the claim of a part and its send, or the claim was
    given up after it had stalled."""
    repeated: frozenset[str] = frozenset()
    """Batches whose reply was delivered more than once: the copies do not know what the others learned."""
    left: frozenset[str] = frozenset()
    """Batches of whose reply a part stayed claimed though nothing was sent."""
    put_at: Mapping[str, str] = field(default_factory=dict)
    """When each row of the history was put, by conversation and message."""
    overdue: frozenset[tuple[str, str]] = frozenset()
    """Batches and the tokens of their claims that stood while the clock passed the stall timeout, or that a
    process wrote when it had outlived the timeout of its function."""
    told_strangers: tuple[str, ...] = ()
    """The unknown senders whose webhook was answered with a text."""
    may_lack_trigger: bool = False
    """A trigger lock may stand for no trigger: a process died, or met a fault, between the two."""
    opt_outs: Mapping[str, str] = field(default_factory=dict)
    """What messages ask for, by sid: STOP, START or HELP."""
    by_sms: frozenset[str] = frozenset()
    """The messages that came by SMS."""
    trimmed: frozenset[str] = frozenset()
    """The unanswered messages that the company took off the record: nobody can answer those."""
    has_5xx: bool = False
    """The provider answered a send with a 5xx and did not take the message."""
    taken_contexts: frozenset[str] = frozenset()
    starts: Mapping[str, int] = field(default_factory=dict)
    setup_ids: int = 0
    surprises: tuple[str, ...] = ()
    """Errors that a handler named, for nobody expected them."""
    needs_sweep: bool = False
    """A trigger may be gone for good: no redelivery brings it back."""

    def channel_of(self, sid: str) -> str:
        """The channel of a customer's message: WhatsApp or SMS."""
        return "sms" if sid in self.by_sms else "whatsapp"


@dataclass(frozen=True)
class Saved:
    """Everything that a run can go back to."""

    course: Course
    tables: tuple[Any, ...]
    queues: tuple[tuple[list[Message], int], ...]
    clock: tuple[Any, float]
    phone: list[Any]
    batches: dict[str, list[str]]
    replies: dict[str, list[str]]
    replies_of_people: list[str]
    opted_out: dict[tuple[str, str, str], str | None]
    with_people: list[str]
    asides: dict[str, list[str]]
    taken: frozenset[str]
    silent: tuple[str, ...]
    begun: Mapping[str, int]
    switched: Mapping[tuple[str, str], str | None]
    restarted: Mapping[str, int]
    failed: frozenset[str]


class Simulation:
    """One run of one world, or with a memory many of one world.

    Args:
        budgets: bound what may happen.
        tenants: whose conversations there are.
        row: attributes of theirs.
        skewed: whether the functions' clocks differ.
        answer: what the AI answers to a batch.
        turn: what the AI does before its answer, or in its place: the fields of messages; None is its answer.
        memory: keeps what actors did, for runs that go back.
        settings: beyond those of the tests' world.
    """

    def __init__(
        self,
        budgets: Budgets,
        *,
        tenants: tuple[Tenant, ...] = (ACME,),
        row: Mapping[str, Any] = MappingProxyType({}),
        skewed: bool = False,
        answer: str = "answer",
        turn: Sequence[Mapping[str, Any] | None] = (None,),
        memory: Memory | None = None,
        **settings: str,
    ) -> None:
        self.stage = Stage(self._is_silent, memory)
        self._at_work: Actor | None = None
        """The actor whose call is carried out."""
        windows = {"batch_window_seconds": "0", "batch_max_wait_seconds": "0", "lock_index_shards": "1"}
        windows["locked_notice"] = ""  # a courtesy, with a world of its own
        self.world = Deployment(self.stage, tenants, row, **{**windows, **settings})
        self.world.engine.new_id = self.new_id
        self.world.tables.conversations.watch(self._see_record)
        self.world.tables.history.watch(self._see_history)
        self.stage.clock, self.stage.lines = self.world.clock, self.world.telemetry.lines
        self.course = Course(budgets)
        self.company_acts: tuple[tuple[str, Callable[[], None]], ...] = ()
        self.people_texts: tuple[str, ...] = ()
        """Replies that people may send, each once."""
        self.refusal_code = OUTSIDE_WINDOW
        """Why the provider cannot deliver what it took."""
        self.statuses: tuple[str, ...] = ("delivered", "undelivered")
        """What the provider may report of a message that it took."""
        self.is_look_up_silent = True
        """Whether the webhook's look-up on the index commutes with every other call: no conversation appears."""
        self.trace: list[str] = []
        self.buggy = ""
        """The actor that meets a bug between the lock and the dispatch of its batch."""
        self._skewed = skewed
        self._answer = answer
        self.turn = turn
        self._digests = memory.digests if memory else Digests()

    # ------------------------------------------------------------------ running

    def run(self, choices: Choices) -> None:
        """Choose until nothing is left to choose.

        Raises:
            Violation: an invariant does not hold.
        """
        with self.planting():
            while options := self.options():
                names = [name for name, _ in options]
                at = choices.choose(names)
                self.trace.append(names[at])
                options[at][1]()

    def undisturbed(self, seconds: float, *, sweeps: bool = True) -> None:
        """Let the world come to rest without choices: the AI answers, messages are delivered, the sweep runs."""
        world, passed = self.world, 0.0
        with self.planting():
            while passed < seconds and not (world.is_at_rest and world.is_silent):
                world.clock.advance(5)
                passed += 5
                world.work()
                for message in list(world.queues.ai.messages):
                    self._take_context(message)
                world.send_replies()
                world.take_handoffs()
                if sweeps and passed % 60 == 0:
                    world.sweep()
        self._hear(world.telemetry.lines)
        if world.broken:
            raise Violation(world.broken[0])

    def unbacked_triggers(self) -> list[str]:
        """The triggers that hold a trigger lock and are in no queue, while nobody is about to send one."""
        if self.course.actors or self.course.may_lack_trigger:
            return []
        now = epoch(self.world.clock.instant)
        bodies = [one.body for queue in self.world.queues.triggers.values() for one in queue.messages]
        on_their_way = {json.loads(body)["trigger_id"] for body in bodies}
        rows = self.world.tables.trigger_lock.state[0].values()
        held = [row["trigger_id"] for row in rows if "trigger_id" in row and row["expires_at"] > now]
        return [one for one in held if one not in on_their_way]

    def to_the_end(self, actor: Actor, *, calls: int | None = None) -> None:
        """Let one actor go on alone: to its end, or for so many calls and then crash."""
        with self.planting():
            done = 0
            name = actor.name
            while current := next((one for one in self.course.actors if one.name == name), None):
                self._step(current, Fault.CRASH_BEFORE if done == calls else None)
                done += 1

    # ------------------------------------------------------------------ going back

    def save(self) -> Saved:
        """Where the run is now."""
        world = self.world
        return Saved(
            copy.copy(self.course),
            tuple(table.state for table in world.all_tables),
            tuple((list(queue.messages), queue.numbers.count) for queue in world.all_queues),
            (world.clock.instant, world.clock.monotonic()),
            list(world.phone.received),
            dict(world.batches),
            {batch_id: list(texts) for batch_id, texts in world.replies.items()},
            list(world.replies_of_people),
            world.opted_out,
            list(world.with_people),
            {batch_id: list(texts) for batch_id, texts in world.asides.items()},
            world.taken,
            world.silent,
            world.begun,
            world.switched,
            world.restarted,
            world.phone.failed,
        )

    def load(self, saved: Saved) -> None:
        """Go back to where the run was then."""
        world = self.world
        self.course = copy.copy(saved.course)
        for table, state in zip(world.all_tables, saved.tables, strict=True):
            table.state = state
        for queue, (messages, count) in zip(world.all_queues, saved.queues, strict=True):
            queue.messages[:], queue.numbers.count = messages, count
        world.clock.instant, world.clock._elapsed_seconds = saved.clock
        world.phone.received[:] = saved.phone
        world.batches = dict(saved.batches)
        world.replies = {batch_id: list(texts) for batch_id, texts in saved.replies.items()}
        world.opted_out = saved.opted_out
        world.replies_of_people = list(saved.replies_of_people)
        world.with_people = list(saved.with_people)
        world.asides = {batch_id: list(texts) for batch_id, texts in saved.asides.items()}
        world.taken, world.silent, world.begun = saved.taken, saved.silent, saved.begun
        world.switched, world.restarted = saved.switched, saved.restarted
        world.phone.failed = saved.failed
        world.telemetry.lines.clear()

    def digest(self) -> int:
        """A digest of all that the future and the verdict depend on.

        Sound for pruning: two states of one digest have the same futures, up to the names of actors and ids, which
        nothing compares but for being the same.
        """
        world, course, row = self.world, self.course, self._digests.of_row
        return hash(
            (
                tuple(row(one) for table in world.all_tables for _, one in sorted(table.state[0].items())),
                tuple(row(one) for table in world.all_tables for _, one in sorted(table.state[1].items()))
                if course.budgets.stale_reads
                else (),
                tuple(self._in_digest(queue) for queue in world.all_queues if queue.messages).__repr__(),
                tuple(sorted((one.role, one.point.digest) for one in course.actors)),
                course.webhooks,
                course.callbacks,
                tuple(sorted(course.undelivered)),
                tuple(sorted(course.heard)),
                tuple(sorted(course.reported)),
                tuple(sorted(course.past)),
                course.budgets,
                course.acknowledged,
                course.one_after_another,
                course.told,
                course.unknown,
                course.in_doubt,
                course.has_5xx,
                tuple(sorted(course.left)),
                tuple(course.put_at.items()) if len(world.tenants) > 1 else (),
                tuple(sorted(course.repeated)),
                course.overdue,
                course.may_lack_trigger,
                tuple(sorted(course.told_strangers)),
                course.needs_sweep,
                course.surprises,
                tuple(course.opt_outs),
                tuple(sorted(world.opted_out.items(), key=repr)),
                world.clock.instant,
                tuple(world.phone.texts),
                tuple(world.replies),
                tuple(sorted(world.taken)),
                tuple(world.replies_of_people),
                tuple(world.with_people),
                tuple(world.asides),
                world.silent,
                tuple(sorted(world.begun.items())),
                tuple(sorted(world.switched.items())),
                course.taken_over,
                tuple(sorted(world.restarted.items())),
                tuple(sorted(world.phone.failed)),
            )
        )

    def _in_digest(self, queue: InMemoryQueue) -> list[tuple[str, str, float, int]]:
        """The messages of a queue; in order where their order is checked."""
        messages = [(queue.name, one.body, one.visible_at, one.receive_count) for one in queue.messages]
        return messages if queue is self.world.queues.handoff else sorted(messages)

    # ------------------------------------------------------------------ what may happen next

    def options(self) -> list[Option]:
        """What may happen next, each with its name; a disturbance's begins with an exclamation mark."""
        actors, budgets = self.course.actors, self.course.budgets
        options: list[Option] = [(one.title, partial(self._step, one, None)) for one in actors]
        options += self._deliveries()
        options += self._outside()
        left = tuple(getattr(budgets, name) for name in _DISTURBING)
        if any(left):
            for actor in actors:
                if actor.disturbances is None or actor.disturbances[0] != left:
                    actor.disturbances = left, list(self._disturbances(actor))
                options += actor.disturbances[1]
        return options

    def _deliveries(self) -> Iterable[Option]:
        course, budgets = self.course, self.course.budgets
        for webhook in course.webhooks:
            yield f"webhook {webhook.body} comes in", partial(self._post, webhook)
        for callback in course.callbacks:
            yield "a report comes again", partial(self._call_back, callback)
        if budgets.deliveries:
            for channel, queue in self.world.queues.triggers.items():
                if queue.messages and self._count(f"batch {channel}") < budgets.workers:
                    for message in self._visible(queue):
                        yield f"a trigger of {channel}", partial(self._work, channel, queue, message)
                        if budgets.duplicates:
                            yield f"!a trigger of {channel}, twice", partial(self._again, channel, queue, message)
        if budgets.replies and self._count("reply") < budgets.workers:
            yield from self._replies_due()

    def _replies_due(self) -> Iterable[Option]:
        for queue in (self.world.queues.replies, self.world.queues.human_replies):
            for message in self._visible(queue) if queue.messages else ():
                yield "a reply", partial(self._reply, message, queue)
                if self.course.budgets.duplicates:
                    yield "!a reply, twice", partial(self._reply_again, message, queue)

    def _outside(self) -> Iterable[Option]:  # noqa: C901, PLR0912 - one line for each thing that may happen
        actors, budgets = self.course.actors, self.course.budgets
        contexts = self.world.queues.ai.messages
        if budgets.answers and contexts:
            yield "the AI answers", partial(self._ai_answers, contexts[0])
        if budgets.silences and contexts:
            yield "!the AI loses a batch", partial(self._ai_is_silent, contexts[0])
        if budgets.second_answers and contexts:
            yield "!the AI answers twice", partial(self._ai_answers_twice, contexts[0])
        for text in self.people_texts:
            if text not in self.world.replies_of_people:
                yield "a person answers", partial(self._person_answers, text)
        if budgets.reports:
            yield from self._reports()
        if budgets.sweeps and self._count("sweep") < budgets.sweepers:
            yield "!the sweep", self._sweep
        if budgets.jumps:
            yield "!time passes", self._jump
        if budgets.delays and actors:
            yield "!a call takes long", self._delay
        if budgets.waits and 0 < self.seconds_until_next() <= self._seconds_left(*actors):
            yield "a while passes", self._wait
        if budgets.expiries and self._has_expired():
            yield "!expired rows vanish", self._expire
        if budgets.company_writes:
            for name, act in self.company_acts:
                yield f"!the company {name}", partial(self._company_writes, act)

    def _disturbances(self, actor: Actor) -> Iterable[Option]:
        call, budgets, name = actor.before.call, self.course.budgets, actor.name
        if budgets.crashes:
            yield f"!{name}: crash", partial(self._disturb, actor, "crashes", Fault.CRASH_BEFORE)
        if call.operation in _LAST_CALLS:
            return
        if budgets.losses:
            yield f"!{name}: lost answer", partial(self._disturb, actor, "losses", Fault.LOST_ANSWER)
            if call.is_conditional:
                refused = Fault.REFUSED_BY_OWN_WRITE
                yield f"!{name}: refused by its own write", partial(self._disturb, actor, "losses", refused)
        if budgets.throttles:
            yield f"!{name}: throttled", partial(self._disturb, actor, "throttles", Fault.THROTTLED)
        if budgets.refusals:
            yield f"!{name}: refused for good", partial(self._disturb, actor, "refusals", Fault.MISCONFIGURED)
        if budgets.server_errors and call.kind == "create":
            for fault in (Fault.ANSWERED_5XX, Fault.TAKEN_5XX):
                yield f"!{name}: {fault}", partial(self._disturb, actor, "server_errors", fault)
        if budgets.stale_reads and may_be_stale(call):
            yield f"!{name}: a stale read", partial(self._read_stale, actor)

    # ------------------------------------------------------------------ what happens

    def _step(self, actor: Actor, fault: Fault | None) -> None:
        """An actor's call meets a fault, or none, and the actor goes on to its next."""
        if fault is Fault.CRASH_BEFORE:
            self._leave(actor)
            actor.on_crash()
            return
        before, self._at_work = actor.before, actor
        outcome: Outcome
        try:
            outcome = Answered(self.stage.inject(before.call, before.apply, fault, before.detail))
        except EngineError as error:
            outcome = Failed(error)
        self._at_work = None
        self._go_on(actor, outcome)

    def _go_on(self, actor: Actor, outcome: Outcome) -> None:
        point = self.stage.go_on(actor, outcome)
        if point.stretch.told:
            self._hear(point.stretch.told)
        if isinstance(point.stretch.next, Ended):
            self._leave(actor)
            self._end(actor, point.stretch.next)
        else:
            on = actor.at(point)
            self.course.actors = tuple([on if one is actor else one for one in self.course.actors])

    def _end(self, actor: Actor, end: Ended) -> None:
        if end.error is not None:
            actor.on_crash()
        else:
            actor.on_end(end.result)

    def _leave(self, actor: Actor) -> None:
        self.course.actors = tuple([one for one in self.course.actors if one is not actor])

    def start(
        self,
        role: str,
        told: Any,
        begin: Callable[[], Any],
        on_end: Callable[[Any], None] = lambda _: None,
        on_crash: Callable[[], None] = lambda: None,
    ) -> Actor:
        """Let an actor begin; it stops before its first call."""
        course = self.course
        number = course.starts.get(role, 0) + 1
        course.starts = {**course.starts, role: number}
        skew = SKEWS[sum(course.starts.values()) % len(SKEWS)] if self._skewed else SKEWS[0]
        actor = self.stage.enter(f"{role}#{number}", role, told, begin, on_end, on_crash, skew)
        self._hear(actor.point.stretch.told)
        if isinstance(actor.point.stretch.next, Ended):
            self._end(actor, actor.point.stretch.next)
        else:
            course.actors = (*course.actors, actor)
        return actor

    def _spend(self, budget: str) -> None:
        self.course.budgets = _less(self.course.budgets, budget)

    def _disturb(self, actor: Actor, budget: str, fault: Fault) -> None:
        self._spend(budget)
        call = actor.before.call
        if REACHED.is_on:
            REACHED.faults[f"{fault} {call.operation}"] += 1
        is_lost = self._may_lose_trigger(actor, fault)
        # Nothing brings a sweep or an operator's command back: what they leave the next sweep finds.
        self.course.needs_sweep |= is_lost or actor.role in ("sweep", "operator")
        self.course.may_lack_trigger |= is_lost
        rows = self.world.tables.sends.state[0].values()
        claimed = {row["batch_id"] for row in rows if row["send_state"] == "claimed" and "batch_id" in row}
        if (call.operation, call.resource) == ("DeleteItem", self.world.tables.sends.name):
            self.course.left |= claimed
        if call.kind == "create" and fault is Fault.MISCONFIGURED:
            self.course.in_doubt |= claimed  # the provider refused it, and a process may die before it notes that
        if fault is Fault.ANSWERED_5XX:
            self.course.has_5xx = True
        elif self.course.has_5xx and call.resource == self.world.tables.sends.name:
            self.course.in_doubt |= frozenset(self.world.replies)  # the row may not tell which kind of doubt it is
        self._step(actor, fault)

    def _see_record(self, old: Item | None, new: Item | None) -> None:
        """Watches each write to a record."""
        if old is None or new is None:
            return
        self.world.see_lock(old, new)
        self._see_stalled(old, new)
        if old.get("reply_claim") not in (None, PEOPLE) and new.get("reply_claim") == PEOPLE:
            self.course.taken_over |= {new["last_batch_id"]}
        for channel in self.world.unmarked(old, new):
            if any(self._is_stop(row, new, channel) for row in self.world.tables.stage.state[0].values()):
                self.world.violate("I2: a customer who opted out is marked as opted in")
        before, after = old.get("reply_claim_token"), new.get("reply_claim_token")
        if after in (None, before):
            return
        batch_id = new.get("last_batch_id")
        if self.course.overdue:
            self.course.overdue = frozenset(one for one in self.course.overdue if one != (batch_id, before))
        if self._at_work is not None and self._seconds_left(self._at_work) < 0:
            self.course.overdue |= {(batch_id, after)}

    def _see_stalled(self, old: Item, new: Item) -> None:
        """Watches what ends a lock for its age: its own process never does."""
        role = "" if self._at_work is None else self._at_work.role
        is_reset = int(new.get("stall_resets", 0)) > int(old.get("stall_resets", 0))
        is_given_up = "reply_claim" in old and new.get("lock_shard", "").startswith("open-")
        is_passed = old.get("reply_claim") not in (None, PEOPLE) and new.get("reply_claim") == PEOPLE
        if is_reset or is_given_up or (is_passed and role not in ("", "reply")):
            self.world.see_stalled(old, by_hand=role == "operator")

    def _see_history(self, old: Item | None, new: Item | None) -> None:
        """I7: what moved stays its conversation's, unless the other was at work when it was put."""
        if new is None:
            return
        row_id = f"{new['conversation_id']} {new['message_id']}"
        put_at = self.course.put_at.get(row_id, "")
        self.course.put_at = {**self.course.put_at, row_id: iso(self.world.clock.instant)}
        if old is None or old["primary_channel"] == new["primary_channel"]:
            return
        if self._at_work is None or put_at < iso(self._at_work.began):
            self.world.violate("I7: an entry of one conversation took another's place in the history")

    def _is_stop(self, staged: Item, record: Item, channel: str) -> bool:
        """O3: whether a staged row is an acknowledged STOP of a channel, and no entry of the record or the history."""
        sid = staged["message_sid"]
        is_entry = any(one["message_id"] == sid for one in record["messages"])
        is_later = not is_entry and not self.world.is_moved(record, sid)
        is_of_record = self.world.keys_of(staged) == self.world.keys_of(record)
        is_stop = (staged.get("opt_out"), staged["channel"]) == ("STOP", channel)
        return is_stop and is_of_record and is_later and sid in self.course.acknowledged

    def _may_lose_trigger(self, actor: Actor, fault: Fault) -> bool:
        """Whether a trigger lock may be left that stands for no trigger, until it expires."""
        call = actor.before.call
        if call.operation == "SendMessage":
            is_trigger = any(queue.name == call.resource for queue in self.world.queues.triggers.values())
            return is_trigger and fault is Fault.CRASH_BEFORE
        is_given_up = call.operation == "DeleteItem" and call.resource == self.world.tables.trigger_lock.name
        return is_given_up and not actor.role.startswith("batch")  # a send failed, and then this

    def _read_stale(self, actor: Actor) -> None:
        self._spend("stale_reads")
        before = actor.before
        tables = [one for one in self.world.all_tables if one.name in before.call.resource.split(", ")]
        read: Callable[[], Any] = partial(before.apply, None)
        for table in tables:
            read = partial(table.read_stale, read)
        self._go_on(actor, Answered(read() if tables else self._late_list(before.apply(None))))

    def _late_list(self, sids: Sequence[str]) -> list[str]:
        """What the provider's list has at its latest: messages appear there within a minute."""
        since = self.world.clock.instant - timedelta(seconds=LISTED_AFTER_SECONDS)
        old = {sid for sid, _, at in self.world.phone.received if at <= since}
        return [sid for sid in sids if sid in old]

    def _note(self, webhook: Webhook) -> None:
        """What the checkers ask of a message that comes in for the first time."""
        course, sid = self.course, webhook.sid
        course.seen |= {sid}
        earlier = [one for one in course.acknowledged if self.world.owners[one] is webhook.tenant]
        course.one_after_another += tuple((one, sid) for one in earlier)
        if webhook.tenant.by_sms and set(webhook.tenant.by_sms) <= set(webhook.fields):
            course.by_sms |= {sid}
        if webhook.opt_out:
            course.opt_outs = {**course.opt_outs, sid: webhook.opt_out}

    def _post(self, webhook: Webhook) -> None:
        """A provider delivers a message; what it is answered decides whether it comes again."""
        course, sid = self.course, webhook.sid
        course.webhooks = tuple(one for one in course.webhooks if one is not webhook)
        is_retry = sid in course.seen
        if not is_retry:
            self._note(webhook)
        self.world.clock.advance(1)

        def begin() -> tuple[int, str, bool]:
            answer = self.world.receive(webhook.tenant, sid, webhook.body, webhook.fields)
            self.stage.perform(_answer_to_provider(), lambda _: None)  # a crash may come just before
            return answer

        def on_end(answer: tuple[int, str, bool]) -> None:
            status, outcome, is_told = answer
            if status >= 500:
                retry_later()
                return
            self.course.told_strangers += (dict(webhook.fields)["From"],) if is_told else ()
            if outcome in ("success", "OPTED_OUT") or outcome in _MENDED_BY_SWEEP:
                self.course.acknowledged += (sid,)
                if outcome == "success":
                    self._demand_somebody_for(webhook)
            elif is_retry:
                self.course.needs_sweep = True  # perhaps a try before staged it, and its provider comes no more

        def retry_later() -> None:
            if webhook.tries > 1:
                self.course.webhooks += (replace(webhook, tries=webhook.tries - 1),)
            else:
                self.course.needs_sweep = True  # perhaps staged, and its provider comes no more

        self.start(f"webhook {webhook.body}", webhook, begin, on_end, retry_later)

    def _demand_somebody_for(self, webhook: Webhook) -> None:
        """T1 and T2: somebody will look at a message that was acknowledged: a trigger, a worker, the holder of a lock.

        Raises:
            Violation: nobody will, but for the sweep.
        """
        world, course = self.world, self.course
        is_staged = any(row["message_sid"] == webhook.sid for row in world.tables.stage.state[0].values())
        is_triggered = any(queue.messages for queue in world.queues.triggers.values())
        is_held = any(is_held_record(row) for row in world.rows_of(webhook.tenant))
        queued = (*world.queues.replies.messages, *world.queues.human_replies.messages)
        is_ending = any(one.group == webhook.tenant.name for one in queued)  # a reply that comes again looks at its end
        if is_staged and not (
            is_triggered or is_held or is_ending or course.actors or course.needs_sweep or course.may_lack_trigger
        ):
            raise Violation("I6: an acknowledged message waits for nobody")

    def _work(self, channel: str, queue: InMemoryQueue, message: Message) -> None:
        received = self._receive(queue, message, "deliveries")

        def begin() -> None:
            self.world.invoke(channel, [received.body], groups=[received.group])
            self._acknowledge(queue, received)

        self.start(f"batch {channel}", received, begin, on_crash=partial(queue.give_back, received.receipt))

    def _again(self, channel: str, queue: InMemoryQueue, message: Message) -> None:
        self._spend("duplicates")
        queue.repeat(message.message_id)
        self._work(channel, queue, message)

    def _reply(self, message: Message, queue: InMemoryQueue | None = None) -> None:
        """A reply is delivered: of the AI, or from people's queue."""
        queue = queue or self.world.queues.replies
        is_of_people = queue is self.world.queues.human_replies
        handler = queues.process_human_replies if is_of_people else queues.process_replies
        received = self._receive(queue, message, "replies")
        batch_id = str(json.loads(received.body).get("batch_id"))

        def begin() -> None:
            self.world.invoke_replies(received.body, group=received.group, handler=handler)
            self._acknowledge(queue, received)

        def on_crash() -> None:
            self._note_doubt(batch_id)
            queue.give_back(received.receipt)

        self.start("reply", received, begin, on_crash=on_crash)

    def _reply_again(self, message: Message, queue: InMemoryQueue) -> None:
        self._spend("duplicates")
        self.course.repeated |= {str(json.loads(message.body).get("batch_id"))}
        queue.repeat(message.message_id)
        self._reply(message, queue)

    def _ai_answers(self, message: Message) -> None:
        self._spend("answers")
        self._take_context(message)

    def _ai_is_silent(self, message: Message) -> None:
        """The AI takes a context and loses it; the stalled lock brings its messages back."""
        self._spend("silences")
        self.course.needs_sweep = True
        self.world.queues.ai.messages.remove(message)

    def _ai_answers_twice(self, message: Message) -> None:
        """The AI answers a batch, and once more in other words."""
        self._spend("second_answers")
        document = json.loads(message.body)
        is_new = document["meta"]["batch_id"] not in self.world.taken
        self._take_context(message)
        if is_new:
            self.world.reply(document, f"another {self._answer} to {document['meta']['batch_id']}")

    def _person_answers(self, text: str) -> None:
        self.world.reply_of_people(self.world.tenants[0], text)

    def let_pass(self, seconds: float) -> None:
        """The clock leaps past the stall timeout: the claims that stand now stall, unless they are taken over."""
        claimed = [row for row in self.world.tables.conversations.state[0].values() if "reply_claim" in row]
        self.course.overdue |= {(row["last_batch_id"], row["reply_claim_token"]) for row in claimed}
        self.world.clock.advance(seconds)

    def _note_doubt(self, batch_id: str) -> None:
        """A process of a reply ended early: a part that it had claimed may have been sent for all that is known."""
        rows = self.world.tables.sends.state[0].values()
        if any(row.get("batch_id") == batch_id and row["send_state"] == "claimed" for row in rows):
            self.course.in_doubt |= {batch_id}

    def _take_context(self, message: Message) -> None:
        """The AI takes a context and answers its batch, once; it has no calls that could fail."""
        self.world.queues.ai.messages.remove(message)
        document = json.loads(message.body)
        batch_id = document["meta"]["batch_id"]
        ids = [one["message_id"] for one in document["messages"]]
        if self.world.batches.setdefault(batch_id, ids) != ids:
            raise Violation("I5: two batches bear one id")
        if batch_id not in self.world.taken:
            self.world.taken |= {batch_id}
            for fields in self.turn:
                if fields is None:
                    self.world.reply(document, f"to {batch_id} {self._answer} to {batch_id}")
                else:
                    said = {"body": f"beside {batch_id} {fields['body']} {batch_id}"} if "body" in fields else {}
                    self.world.turn(document, **{**fields, **said})

    def _reports(self) -> Iterable[Option]:
        for sid, part, _ in self.world.phone.received:
            if part.status_callback is not None:  # SendGrid is not asked for reports
                for status in self.statuses:
                    code = self.refusal_code if status == "undelivered" else ""
                    yield f"!a report of {sid[-2:]}: {status}", partial(self._report, sid, part, status, code)

    def _report(self, sid: str, part: Any, status: str, error_code: str) -> None:
        """The provider reports what became of a message; it may report so more than once."""
        self._spend("reports")
        send_id = part.status_callback.rpartition("/")[2]
        tenant = next(one for one in self.world.tenants if part.to.endswith(one.customer))
        if status == "undelivered":
            self.world.phone.failed |= {sid}
            self.course.undelivered |= {send_id}
            if not self.world.is_of_last_batch(send_id):
                self.course.past |= {send_id}
        self._call_back(Callback(sid, send_id, status, error_code, tenant))

    def _call_back(self, callback: Callback) -> None:
        """The provider makes a report; what it is answered decides whether it comes again."""
        self.course.callbacks = tuple(one for one in self.course.callbacks if one is not callback)
        fields = {"ErrorCode": callback.error_code} if callback.error_code else {}
        told = {"token": callback.tenant.token, "MessageSid": callback.sid, **fields}

        def begin() -> tuple[int, str]:
            status = self.world.report(callback.send_id, callback.status, **told).status_code
            outcome = self.world.telemetry.lines[-1]["outcome"]
            self.stage.perform(_answer_to_provider(), lambda _: None)  # a crash may come just before
            return status, outcome

        def on_end(answer: tuple[int, str]) -> None:
            status, outcome = answer
            if status >= 500:
                again()
            elif outcome in ("success", *_MENDED_BY_SWEEP):
                self.course.reported |= {(callback.send_id, callback.status)}
                self.course.heard |= {callback.send_id} if callback.error_code else set()

        def again() -> None:
            if callback.tries > 1:
                self.course.callbacks += (replace(callback, tries=callback.tries - 1),)

        self.start("report", callback, begin, on_end, again)

    def _sweep(self) -> None:
        self._spend("sweeps")

        def begin() -> None:
            schedules.reset_stalled_locks(self.world._lambda_context(60), self.world.engine)
            schedules.recover_orphaned_messages(self.world._lambda_context(60), self.world.engine)

        self.start("sweep", "", begin)

    def _jump(self) -> None:
        self._spend("jumps")
        self.let_pass(self.world.settings.stall_timeout_seconds + 100)

    def _delay(self) -> None:
        self._spend("delays")
        self.world.clock.advance(self.world.settings.webhook_deadline_seconds + 0.5)

    def _wait(self) -> None:
        self._spend("waits")
        self.world.clock.advance(self.seconds_until_next())

    def _expire(self) -> None:
        self._spend("expiries")
        now = epoch(self.world.clock.instant)
        for table in self.world.all_tables:
            if table.schema.ttl_attribute is not None:
                table.expire(now)

    def _company_writes(self, act: Callable[[], None]) -> None:
        self._spend("company_writes")
        act()

    # ------------------------------------------------------------------ the platform

    def _visible(self, queue: InMemoryQueue) -> Iterable[Message]:
        now = self.world.clock.monotonic()
        bodies: dict[str, Message] = {}
        for message in queue.messages:
            if message.visible_at <= now:
                bodies.setdefault(message.body, message)  # which of two alike is taken makes no difference
        return bodies.values()

    def seconds_until_next(self) -> float:
        """How long until the next delayed message is visible; 0: there is none, or a message is visible now."""
        queues = self.world.queues
        many = (*queues.triggers.values(), queues.replies, queues.human_replies)
        due = min((one.visible_at for queue in many if queue.messages for one in queue.messages), default=INFINITE)
        return 0.0 if due == INFINITE else max(0.0, due - self.world.clock.monotonic())

    def _seconds_left(self, *actors: Actor) -> float:
        """How long until a reply among them outlives the timeout of its function, which takes a leap of the clock."""
        ends = [one.began + REPLIES_TIMEOUT for one in actors if one.role == "reply"]
        return min((end - self.world.clock.instant).total_seconds() for end in ends) if ends else INFINITE

    def _has_expired(self) -> bool:
        now = epoch(self.world.clock.instant)
        return any(row["expires_at"] < now for row in self.world.tables.trigger_lock.state[0].values())

    def _receive(self, queue: InMemoryQueue, message: Message, budget: str) -> Received:
        """A message is delivered, and invisible until it is given back: how late it comes again is a choice."""
        self._spend(budget)
        return queue.take(message, invisible_until=INFINITE)

    def _acknowledge(self, queue: InMemoryQueue, received: Received) -> None:
        """SQS deletes what a function took without an error; a point of choice, for a crash may come just before."""
        call = Call("DeleteMessage", queue.name, "write", Code.QUEUE_ERROR, Code.QUEUE_ERROR)
        self.stage.perform(call, lambda _: queue.delete(received.receipt))

    def _count(self, role: str) -> int:
        return [actor.role for actor in self.course.actors].count(role)

    def _hear(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """What was reported to an operator: the ends of replies, and faults that the sweep repairs."""
        for line in lines:
            self._watch_reply(line)
            match line["step"]:
                case "released" | "stalled_reply_abandoned" | "interim_ended" if "code" in line:
                    self.course.told += (line["batch_id"],)
                    if line["code"] == ReplyCode.UNKNOWN_OUTCOME:
                        self.course.unknown |= {line["batch_id"]}
                    if any(batch_id == line["batch_id"] for batch_id, _ in self.course.overdue):
                        self.course.in_doubt |= {line["batch_id"]}
                case "answered_provider":
                    self.course.needs_sweep |= line["outcome"] == "QUEUE_ERROR"
            if line.get("code") == "INTERNAL_ERROR" and _SURPRISE.search(line["reason"]):
                self.course.surprises += (line["reason"],)

    def _watch_reply(self, line: Mapping[str, Any]) -> None:
        """Watches which replies are discarded and held."""
        match line["step"], line.get("code"), line.get("reason"):
            case "reply_refused", ReplyCode.STALE, _ if "batch_id" in line:
                self.world.see_discarded(line["batch_id"])
            case "requeued", _, reason if reason == HELD:
                self.see_held(line["seconds"])

    def see_held(self, seconds: float) -> None:
        """I6: a customer waits for a held reply no longer than one cap, and a cap below the window is the window."""
        bounds = ("batch_max_wait_seconds", "batch_window_seconds")
        own = [dict(one.policy).get(bound, 0) for one in self.world.tenants for bound in bounds]
        cap = max(self.world.settings.batch_max_wait_seconds, *(one for one in own if isinstance(one, int)))
        if seconds > cap:
            self.world.violate("I6: a reply was held for longer than one cap")

    def _is_silent(self, role: str, call: Call) -> bool:
        """Whether a call commutes with every other: a secret that is read, the webhook's look-up on the index."""
        if call.operation == "GetSecretValue":
            return True
        is_look_up = call.operation == "Query" and call.resource == "conversations-local"
        return self.is_look_up_silent and is_look_up and role.startswith("webhook")

    # ------------------------------------------------------------------ bugs and ids

    @contextmanager
    def planting(self) -> Iterator[None]:
        """While this is entered, the `buggy` actor meets its bug."""
        before, contexts.batch_context = contexts.batch_context, self.batch_context
        try:
            yield
        finally:
            contexts.batch_context = before

    def batch_context(self, *arguments: Any, **named: Any) -> str:
        """What the AI is sent, unless the actor meets a bug.

        Raises:
            Misconfigured: the bug.
        """
        if self.buggy and self.stage.running is not None and vars(self.stage.running)["name"] == self.buggy:
            raise Misconfigured(Code.INTERNAL_ERROR, "a planted bug")
        return _BATCH_CONTEXT(*arguments, **named)

    def new_id(self) -> str:
        """An id that tells who asked for it, so that it does not depend on who asks first."""
        asking: Any = self.stage.running
        if asking is None:
            self.course.setup_ids += 1
            return f"id-{self.course.setup_ids}"
        asking.ids += 1
        return f"{asking.name.replace(' ', '-')}-{asking.ids}"


def is_held_record(row: Item) -> bool:
    """Whether a batch of a conversation is in hand."""
    return row["conversation_status"] == "processing_reply" or "reply_claim" in row


def _answer_to_provider() -> Call:
    return Call("Answer", "provider", "write", Code.INTERNAL_ERROR, Code.INTERNAL_ERROR)


def _less(budgets: Budgets, name: str) -> Budgets:
    left = copy.copy(budgets)
    vars(left)[name] -= 1
    return left
