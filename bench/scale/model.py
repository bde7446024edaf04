"""A queueing model of one deployment: customers, the API, the functions, the AI, and the locks' clocks.

    customer -> API (throttle) -> webhook -> window -> batch workers -> AI -> reply workers -> customer
                                                 ^                         |
                                                 `--- staged meanwhile <---'    stalled locks: the sweep

Stations serve in order of arrival; service times are exponential about the means that the plan tells. What the
protocol does when a station is late is in here as the code does it: a locked conversation's messages wait for the
release, a lock that stalls is reset, what is unanswered is carried into the next batch, a late reply is taken while
nothing newer has begun, and a batch that nobody answered is dispatched again after a patience that doubles.

Rates and numbers of servers may be scaled down together: waiting times and ratios stay what they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from random import Random
from typing import Any

RETRY_SECONDS = (1.0, 2.0, 4.0)
"""When the provider tries a refused message again, as `#rc=3` has it; after that it gives the message up."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A deployment and its load; times in seconds."""

    messages_per_second: float
    conversations: int
    webhook: float
    """One invocation for a message."""
    callback: float
    batch: float
    reply: float
    stale: float
    """A reply that comes too late."""
    ai: float
    """From dispatch to the reply in its queue; as many at once as need be."""
    batch_workers: float
    reply_workers: float
    api_per_second: float
    api_burst: float
    concurrency: float
    """Of the account."""
    callbacks: int = 3
    window: float = 10.0
    requeue_min: float = 15.0
    requeue_max: float = 300.0
    """How long a trigger leaves a lock alone, at least and at most."""
    stall: float = 300.0
    patience_max: float = 300.0
    """A lock's patience is the stall timeout, doubled by each lock that stalled in a row, up to this."""
    sweep: float = 300.0
    batch_messages_max: int = 25
    seconds: float = 3_600.0
    settled_after: float = 1_800.0
    """What comes before is not counted."""

    def scaled(self, factor: float) -> Plan:
        """The same deployment with a share of its customers and of its servers."""
        names = ("messages_per_second", "batch_workers", "reply_workers", "api_per_second", "api_burst", "concurrency")
        less = {name: getattr(self, name) * factor for name in names}
        return replace(self, conversations=max(1, round(self.conversations * factor)), **less)

    @property
    def replies_per_second_max(self) -> float:
        return self.reply_workers / self.reply


@dataclass
class Outcome:
    """What was counted after the plan had settled."""

    seconds: float
    offered: int = 0
    refused: int = 0
    """Messages that the provider gave up, because the API or the account took no more."""
    answered: int = 0
    """Messages."""
    replies: int = 0
    stale: int = 0
    dispatches: int = 0
    dispatched: int = 0
    """Messages in the contexts of all dispatches."""
    repeated: int = 0
    """Of these, messages that an earlier dispatch had."""
    waits: list[float] = field(default_factory=list)
    """Of each answered message, from its receipt to its reply."""

    def wait(self, share: float) -> float:
        """The wait that this share of the answered messages did not exceed; 0 without any."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    @property
    def repeated_share(self) -> float:
        """Of the AI's work, the part that was done before."""
        return self.repeated / self.dispatched if self.dispatched else 0.0


class Conversation:
    """One customer's record."""

    __slots__ = ("batch", "is_locked", "locked_at", "resets", "staged", "trigger", "turn_at", "unanswered")

    def __init__(self) -> None:
        self.staged: deque[float] = deque()
        self.unanswered: list[float] = []
        self.batch = 0
        self.is_locked = False
        self.locked_at = 0.0
        self.turn_at = 0.0
        """When the batch in progress was acquired."""
        self.resets = 0
        self.trigger = 0
        """The number of the newest trigger; odd while it waits."""


Job = Callable[[], tuple[float, Callable[[], None]]]
"""Begins, and tells how long it takes on average, and what follows."""


class Station:
    """So many workers and the queue before them."""

    def __init__(self, model: Model, workers: float) -> None:
        self._model = model
        self._free = max(1, round(workers))
        self._queue: deque[Job] = deque()

    def put(self, job: Job) -> None:
        """Let a worker do it, as soon as one is free."""
        self._queue.append(job)
        self._next()

    def _next(self) -> None:
        if self._free and self._queue:
            self._free -= 1
            mean, follow = self._queue.popleft()()
            self._model.after(self._model.random.expovariate(1 / mean), lambda: self._end(follow))

    def _end(self, follow: Callable[[], None]) -> None:
        self._free += 1
        follow()
        self._next()


class Model:
    """One run of a plan."""

    def __init__(self, plan: Plan, seed: int = 1) -> None:
        self.plan = plan
        self.random = Random(seed)  # noqa: S311  # repeatable, and no secret
        self.now = 0.0
        self.outcome = Outcome(plan.seconds - plan.settled_after)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._conversations = [Conversation() for _ in range(plan.conversations)]
        self._batches, self._replies = Station(self, plan.batch_workers), Station(self, plan.reply_workers)
        self._tokens, self._filled_at = plan.api_burst, 0.0
        self._in_flight = 0

    def run(self) -> Outcome:
        """Play the plan to its end."""
        self._write()
        while self._events and self._events[0][0] <= self.plan.seconds:
            self.now, _, event = heappop(self._events)
            event()
        return self.outcome

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Have something happen later."""
        self._number += 1
        heappush(self._events, (self.now + seconds, self._number, event))

    def _count(self, **amounts: int) -> None:
        if self.now >= self.plan.settled_after:
            for name, amount in amounts.items():
                setattr(self.outcome, name, getattr(self.outcome, name) + amount)

    # ------------------------------------------------------------ customers, the API and the webhook

    def _write(self) -> None:
        self.after(self.random.expovariate(self.plan.messages_per_second), self._write)
        self._count(offered=1)
        self._request(self.random.choice(self._conversations), self.now, 0)

    def _request(self, conversation: Conversation, at: float, tries: int) -> None:
        if self._is_taken(self.plan.webhook, lambda: self._stage(conversation, at)):
            return
        if tries < len(RETRY_SECONDS):
            self.after(RETRY_SECONDS[tries], lambda: self._request(conversation, at, tries + 1))
        else:
            self._count(refused=1)

    def _is_taken(self, seconds: float, follow: Callable[[], None]) -> bool:
        """Whether the throttle and the account let one more request in."""
        plan = self.plan
        self._tokens = min(plan.api_burst, self._tokens + (self.now - self._filled_at) * plan.api_per_second)
        self._filled_at = self.now
        if self._tokens < 1 or self._in_flight + plan.batch_workers + plan.reply_workers >= plan.concurrency:
            return False
        self._tokens -= 1
        self._in_flight += 1
        self.after(self.random.expovariate(1 / seconds), lambda: self._leave(follow))
        return True

    def _leave(self, follow: Callable[[], None]) -> None:
        self._in_flight -= 1
        follow()

    def _stage(self, conversation: Conversation, at: float) -> None:
        conversation.staged.append(at)
        if not conversation.trigger % 2:
            self._trigger(conversation, self.plan.window)

    # ------------------------------------------------------------ batches

    def _trigger(self, conversation: Conversation, seconds: float) -> None:
        """Send a trigger; one that waits already becomes a spare one."""
        conversation.trigger += 2 if conversation.trigger % 2 else 1
        number = conversation.trigger

        def arrive() -> None:
            if conversation.trigger == number:
                self._batches.put(lambda: self._begin_batch(conversation, number))

        self.after(seconds, arrive)

    def _begin_batch(self, conversation: Conversation, number: int) -> tuple[float, Callable[[], None]]:
        return self.plan.batch, lambda: self._end_batch(conversation, number)

    def _end_batch(self, one: Conversation, number: int) -> None:
        plan = self.plan
        if one.trigger == number:
            one.trigger += 1
        if one.is_locked:
            age = self.now - one.locked_at
            if not one.staged or one.trigger % 2:
                return
            patience = self._patience(one)
            if age <= patience:
                self._trigger(one, min(max(age, plan.requeue_min), plan.requeue_max, patience - age + 1))
                return
            self._reset(one)
        if not one.staged and not (one.unanswered and number < 0):
            return
        self._acquire(one)

    def _acquire(self, one: Conversation) -> None:
        taken = [one.staged.popleft() for _ in range(min(len(one.staged), self.plan.batch_messages_max))]
        self._count(dispatches=1, repeated=len(one.unanswered), dispatched=len(one.unanswered) + len(taken))
        one.unanswered += taken
        one.batch += 1
        one.is_locked, one.locked_at, one.turn_at = True, self.now, self.now
        batch = one.batch
        self.after(self.plan.ai, lambda: self._replies.put(lambda: self._begin_reply(one, batch)))
        self._at_sweep(self.now + self._patience(one), lambda: self._look_at_lock(one, batch))

    def _patience(self, one: Conversation) -> float:
        return float(min(self.plan.stall * 2**one.resets, self.plan.patience_max))

    # ------------------------------------------------------------ replies

    def _begin_reply(self, one: Conversation, batch: int) -> tuple[float, Callable[[], None]]:
        if one.batch != batch or not one.unanswered:
            self._count(stale=1)
            return self.plan.stale, lambda: self._look_at_stage(one)
        turn = self.now - one.turn_at
        one.is_locked, one.locked_at = True, self.now  # the claim; of a lock that was reset, too
        return self.plan.reply, lambda: self._end_reply(one, turn)

    def _end_reply(self, one: Conversation, turn: float) -> None:
        self._count(replies=1, answered=len(one.unanswered))
        if self.now >= self.plan.settled_after:
            self.outcome.waits += [self.now - at for at in one.unanswered]
        one.unanswered = []
        one.is_locked, one.resets = False, self._resets_kept(one, turn)
        for _ in range(self.plan.callbacks):
            self._is_taken(self.plan.callback, lambda: None)
        self._look_at_stage(one)

    def _resets_kept(self, one: Conversation, turn: float) -> int:
        """The fewest resets whose patience the turn would have kept, where patience grows at all."""
        if self.plan.patience_max <= self.plan.stall:
            return 0
        return next((kept for kept in range(one.resets) if self.plan.stall * 2**kept >= turn), one.resets)

    def _look_at_stage(self, one: Conversation) -> None:
        if one.staged and not one.is_locked:
            self._trigger(one, 0.0)

    # ------------------------------------------------------------ the sweep

    def _at_sweep(self, at: float, look: Callable[[], None]) -> None:
        """Look at the first sweep after an instant."""
        ticks = int(at // self.plan.sweep) + 1
        self.after(ticks * self.plan.sweep - self.now, look)

    def _look_at_lock(self, one: Conversation, batch: int) -> None:
        if not one.is_locked or one.batch != batch:
            return
        if self.now - one.locked_at <= self._patience(one):
            self._at_sweep(one.locked_at + self._patience(one), lambda: self._look_at_lock(one, batch))
            return
        self._reset(one)
        self._look_at_stage(one)
        self._at_sweep(self.now + self.plan.stall * 2**one.resets, lambda: self._look_at_unanswered(one, batch))

    def _reset(self, one: Conversation) -> None:
        one.is_locked = False
        one.resets += 1

    def _look_at_unanswered(self, one: Conversation, batch: int) -> None:
        if one.batch == batch and one.unanswered and not one.is_locked:
            self._batches.put(lambda: self._begin_batch(one, -1))


def outcome(plan: Plan, *, workers_scaled_to: float | None = None, **options: Any) -> Outcome:
    """What a plan comes to.

    Args:
        plan: the whole deployment.
        workers_scaled_to: how many reply workers are enough to tell; None: all of them.
        options: of the model.
    """
    factor = 1.0 if workers_scaled_to is None else min(1.0, workers_scaled_to / plan.reply_workers)
    return Model(plan.scaled(factor), **options).run()
