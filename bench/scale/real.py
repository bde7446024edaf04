"""The model beside a real run: real processes on the local AWS, at a load beyond what their one reply worker carries.

First each worker clears a queue that is full already, which tells how long one event takes it on this machine. Then
customers write for a minute. The model plays the same minute, with the times that were measured.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from statistics import mean
from typing import Any

from bench.scale.model import Outcome, Plan, outcome
from chalicelib.telemetry import Step
from local import stack
from local.chaos.ledger import Sent
from local.chaos.load import Line, Load, Script
from local.chaos.log_reader import LogReader
from local.processes import environment, ports
from local.processes.environment import HOST
from local.requests.messages import Message, fresh_sid, send, webhook_url
from local.stack import Stack
from local.stubs.twilio import Account, TwilioStub
from local.tenants import Customer, Tenant

CUSTOMERS = 30
INTERVAL_SECONDS = 10.0
"""Between two messages of one customer, on average."""
RUN_SECONDS, SETTLED_AFTER = 75.0, 25.0
PROVIDER_SECONDS = 0.8
AI_SECONDS = 0.5
STALL_SECONDS, SWEEP_SECONDS, WINDOW_SECONDS = 14, 2, 1
SEEDS = range(1, 9)

SETTINGS = {
    "BATCH_WINDOW_SECONDS": str(WINDOW_SECONDS),
    "BATCH_MAX_WAIT_SECONDS": "3",
    "WORKER_TIMEOUT_SECONDS": "8",
    "VISIBILITY_TIMEOUT_SECONDS": "9",
    "RECONCILE_AFTER_SECONDS": "10",
    "STALL_TIMEOUT_SECONDS": str(STALL_SECONDS),
    "TURN_MAX_SECONDS": str(STALL_SECONDS),
    "REQUEUE_DELAY_SECONDS": "1",
    "REQUEUE_ATTEMPTS_MAX": "10",
    "PROVIDER_CONNECT_TIMEOUT_SECONDS": "0.5",
    "PROVIDER_READ_TIMEOUT_SECONDS": "1.5",
}
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05


class SlowTwilio(TwilioStub):
    """Takes as long as the provider does."""

    def create(self, account_sid: str, form: Any) -> Any:
        time.sleep(PROVIDER_SECONDS)
        return super().create(account_sid, form)


@dataclass(frozen=True)
class Run:
    """What was measured, and what the model says of the same."""

    batch: float
    reply: float
    webhook: float
    replies_per_second: float
    dispatches_per_second: float
    repeated_share: float
    modelled: tuple[Outcome, ...]

    @property
    def rows(self) -> list[list[str]]:
        """The real run beside the model's mean and range."""
        seconds = RUN_SECONDS - SETTLED_AFTER
        pairs = {
            "replies a second": (self.replies_per_second, [one.replies / seconds for one in self.modelled]),
            "dispatches a second": (self.dispatches_per_second, [one.dispatches / seconds for one in self.modelled]),
            "of the AI's work repeated": (self.repeated_share, [one.repeated_share for one in self.modelled]),
        }
        return [
            [name, f"{real:.2f}", f"{mean(told):.2f}", f"{min(told):.2f} to {max(told):.2f}"]
            for name, (real, told) in pairs.items()
        ]


def compared() -> Run:
    """One run, and the model's."""
    with _machine() as machine:
        batch, reply, webhook = machine.service_times()
        started, first = machine.overload()
    seconds = RUN_SECONDS - SETTLED_AFTER
    contexts = machine.reader.batches[first:]
    carried, new = (sum(len(getattr(one, kind)) for one in contexts) for kind in ("carried", "new"))
    plan = Plan(
        messages_per_second=CUSTOMERS / INTERVAL_SECONDS,
        conversations=CUSTOMERS,
        webhook=webhook,
        callback=webhook,
        batch=batch,
        reply=reply,
        stale=reply - PROVIDER_SECONDS,
        ai=AI_SECONDS,
        batch_workers=1,
        reply_workers=1,
        api_per_second=1_000,
        api_burst=1_000,
        concurrency=1_000,
        callbacks=0,
        window=WINDOW_SECONDS,
        stall=STALL_SECONDS,
        patience_max=STALL_SECONDS,
        requeue_min=1,
        sweep=SWEEP_SECONDS,
        seconds=RUN_SECONDS,
        settled_after=SETTLED_AFTER,
    )
    return Run(
        batch=batch,
        reply=reply,
        webhook=webhook,
        replies_per_second=sum(at >= started + SETTLED_AFTER for at in machine.sent_at) / seconds,
        dispatches_per_second=len(contexts) / seconds,
        repeated_share=carried / max(1, carried + new),
        modelled=tuple(outcome(plan, seed=seed) for seed in SEEDS),
    )


@dataclass
class Machine:
    """The local AWS, the processes on it, and what they did."""

    here: Stack
    tenant: Tenant
    twilio: SlowTwilio
    reader: LogReader
    sent_at: list[float] = field(default_factory=list)
    """When each reply was recorded."""
    dispatched_at: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.here.http_port}"

    def on_step(self, _child: str, step: str) -> None:
        """Note the instants of two kinds of steps."""
        kept = {Step.RELEASED.value: self.sent_at, Step.DISPATCHED.value: self.dispatched_at}
        if step in kept:
            kept[step].append(time.monotonic())

    def service_times(self) -> tuple[float, float, float]:
        """How long a worker takes for a batch, and for a reply, and the web server for a message."""
        started = time.monotonic()
        for customer in self.tenant.customers:
            self._write(customer)
        webhook = (time.monotonic() - started) / CUSTOMERS
        time.sleep(WINDOW_SECONDS)  # all triggers are due
        self.here.work("--only", "batch_whatsapp")
        self._wait(lambda: self.here.aws.waiting(self.here.settings.ai_replies_queue) == CUSTOMERS)
        self.here.work("--only", "send_replies")
        self._wait(lambda: len(self.sent_at) == CUSTOMERS)
        return _between(self.dispatched_at), _between(self.sent_at), webhook

    def overload(self) -> tuple[float, int]:
        """Let all customers write; when that began, and the number of the first batch after all had settled."""
        self.here.work(
            *("--only", "check_and_reset_stalled_conversations", "--only", "recover_orphaned_messages"),
            *("--every", str(SWEEP_SECONDS)),
        )
        random = Random(1)  # noqa: S311  # repeatable, and no secret
        load = Load(self.url, [self._script(random, one) for one in self.tenant.customers])
        started = time.monotonic()
        load.start()
        time.sleep(SETTLED_AFTER)
        first = len(self.reader.batches)
        time.sleep(max(0.0, started + RUN_SECONDS - time.monotonic()))
        load.stop()
        return started, first

    def _script(self, random: Random, customer: Customer) -> Script:
        pauses: list[float] = []
        while sum(pauses) < RUN_SECONDS:
            pauses.append(random.expovariate(1 / INTERVAL_SECONDS))
        sent = [
            Sent(
                sid=fresh_sid(),
                number=number,
                conversation=self.tenant.conversation_id(customer),
                company=self.tenant.company_id,
                text=f"{customer.name} {number}",
                is_acknowledged=False,
            )
            for number in range(len(pauses))
        ]
        return Script(self.tenant, customer, tuple(map(Line, pauses, sent)))

    def _write(self, customer: Customer) -> None:
        message = Message(
            channel=customer.channel,
            sender=customer.address,
            recipient=self.tenant.addresses[customer.channel],
            account_sid=self.tenant.account_sid,
            body="Hello",
        )
        answer = send(webhook_url(self.url, customer.channel), message, self.tenant.auth_token)
        assert answer.is_success, "the local AWS takes it"

    def _wait(self, is_done: Any) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not is_done():
            assert time.monotonic() < until, "\n".join(line for one in self.here.children for line in one.last_lines)
            time.sleep(_LOOK_SECONDS)


def _between(instants: list[float]) -> float:
    """The mean time between two of these."""
    return (instants[-1] - instants[0]) / (len(instants) - 1)


@contextmanager
def _machine() -> Iterator[Machine]:
    customers = tuple(
        Customer(f"customer{one}", f"+4477009005{one:02}", "whatsapp", "a bench") for one in range(CUSTOMERS)
    )
    tenant = Tenant("bench", "Bench", {"whatsapp": "+447700900100"}, customers)
    reader = LogReader()
    aws_port, http_port = ports.free(2)
    with (
        SlowTwilio([Account(tenant.account_sid, tenant.auth_token)], slow_seconds=0) as twilio,
        stack.started(
            aws_port,
            shell=environment.drop_shell_variables(os.environ),
            on_line=reader.on_line,
            http_port=http_port,
            twilio_url=twilio.url,
            tenants_seeded=(tenant,),
            settings=SETTINGS,
        ) as here,
    ):
        machine = Machine(here, tenant, twilio, reader)
        reader.on_step = partial(Machine.on_step, machine)
        here.wait_for(here.serve(), http_port)
        here.ai_stub(AI_SECONDS)
        yield machine
