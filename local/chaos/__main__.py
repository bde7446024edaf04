"""`python -m local.chaos`: a load, kills, a quiet time, and the ledger. Ends with code 1 where a promise was broken."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import click

from chalicelib.telemetry import Step
from infrastructure.template import load as load_template
from local import stack
from local.aws.dynamodb_local import dynamodb_local
from local.chaos import fleet, load
from local.chaos.final_state import People, View
from local.chaos.fleet import Fleet, Kill
from local.chaos.ledger import Found, violations
from local.chaos.load import Load
from local.chaos.log_reader import LogReader
from local.processes import environment, ports
from local.processes.children import end_on_signals
from local.processes.environment import HOST
from local.stack import STAGE, Stack
from local.stubs.server import Kind
from local.stubs.twilio import Fault
from local.tenants import Tenant
from local.terminal import Console

SETTINGS = {
    "BATCH_WINDOW_SECONDS": "1",
    "BATCH_MAX_WAIT_SECONDS": "3",
    "BATCH_MESSAGES_MAX": "5",
    "WORKER_TIMEOUT_SECONDS": "8",
    "VISIBILITY_TIMEOUT_SECONDS": "9",
    "RECONCILE_AFTER_SECONDS": "10",
    "STALL_TIMEOUT_SECONDS": "14",
    "TURN_MAX_SECONDS": "28",
    "REQUEUE_DELAY_SECONDS": "1",
    "REQUEUE_ATTEMPTS_MAX": "10",
    "REPLY_ATTEMPTS_MAX": "30",
    "ORPHAN_GRACE_SECONDS": "3",
    "PROVIDER_CONNECT_TIMEOUT_SECONDS": "0.5",
    "PROVIDER_READ_TIMEOUT_SECONDS": "1.5",
    "MESSAGES_KEEP": "20",
    "DEDUPE_HOURS": "0",
}
"""Everything short, so that what takes minutes in an account takes seconds; short records, so that histories move."""

_COMPANIES = 3
_THINKING_SECONDS = 0.5
_SWEEP_SECONDS = 2
_LOOK_SECONDS = 0.05
_QUIET_LOOK_SECONDS = 1.0
_QUIET_LOOKS = 3
_VIOLATIONS_SHOWN = 40
_TWILIO_FAULTS = (
    Fault(kind=Kind.LOST),
    Fault(kind=Kind.LOST, statuses=()),  # no status proves it: it has to be looked up
    Fault(kind=Kind.TOO_MANY),
    Fault(kind=Kind.SERVER_ERROR),
    Fault(kind=Kind.SERVER_ERROR_AFTER_TAKING),
    Fault(kind=Kind.SERVER_ERROR_AFTER_TAKING, statuses=()),
)
_RECEIVES_MAX = 100
"""Of a message in a queue: processes die so often here that five receives are soon over, with no fault in it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one run does, all of it made from the seed."""

    seed: int
    tenants: Sequence[Tenant]
    scripts: Sequence[load.Script]
    kills: Sequence[Kill]
    faults: Sequence[tuple[float, Fault]]
    """The share of the load at which the next message fails at Twilio."""

    @classmethod
    def make(cls, seed: int, *, messages: int, kills: int, faults: int, customers: int, pause_seconds: float) -> Plan:
        random = load.dice(seed)
        tenants = load.companies(_COMPANIES, customers)
        return cls(
            seed=seed,
            tenants=tenants,
            scripts=load.scripts(random, tenants, messages=messages, pause_seconds=pause_seconds),
            kills=fleet.plan(random, kills),
            faults=[(at, random.choice(_TWILIO_FAULTS)) for at in sorted(random.random() for _ in range(faults))],
        )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", type=int, help="Of the load, the kills and the faults. Default: a fresh one, which is printed.")
@click.option("--messages", default=2_000, show_default=True, help="How many different messages are written at least.")
@click.option("--kills", default=60, show_default=True, help="How many processes are killed.")
@click.option("--faults", default=12, show_default=True, help="How often Twilio fails or loses an answer.")
@click.option("--customers", default=14, show_default=True, help="Of each of the three companies; the first two odd.")
@click.option("--pause-seconds", default=6.0, show_default=True, help="Between two bursts of a customer, on average.")
@click.option("--quiet-seconds", default=150.0, show_default=True, help="How long the rest may take after the load.")
@click.option(
    "--dynamodb-local",
    "on_dynamodb_local",
    is_flag=True,
    help="AWS's own DynamoDB Local keeps the tables; see make engines.",
)
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="A file for every line of every process.")
def chaos(*, seed: int | None, quiet_seconds: float, on_dynamodb_local: bool, log: Path | None, **sizes: int) -> None:
    """Kill real processes at random under a signed load, and check the outcome of every message.

    The same seed makes the same load, kills and faults; the exact moment of a signal varies.
    """
    end_on_signals()
    shell = environment.drop_shell_variables(os.environ)
    plan = Plan.make(secrets.randbelow(1_000_000) if seed is None else seed, **sizes)
    console = Console(highlight=False)
    console.print(
        f"seed {plan.seed}: {sum(len(one.lines) for one in plan.scripts)} requests in {len(plan.scripts)} conversations"
        f" of {len(plan.tenants)} companies, {len(plan.kills)} kills, {len(plan.faults)} faults of Twilio",
        soft_wrap=True,
    )
    with log.open("w") if log else nullcontext() as lines:
        ear = LogReader(log=lines)
        try:
            with _running(plan, ear, shell, is_on_dynamodb_local=on_dynamodb_local) as run:
                found = run.play(console, quiet_seconds)
        except KeyboardInterrupt:
            console.print("Stopped.")
            sys.exit(130)
    broken = violations(found)
    _tell(console, run, found)
    for violation in broken[:_VIOLATIONS_SHOWN]:
        console.print(f"✘ {violation}", style="red", markup=False, soft_wrap=True)
    if broken:
        _trace(console, ear, found, [violation.of for violation in broken])
        console.print(f"{len(broken)} violations; the seed was {plan.seed}", style="bold red")
        sys.exit(1)
    console.print("No violation: every acknowledged message is accounted for, in order and once.", style="bold green")


@dataclass
class Run:
    """One run on one machine."""

    plan: Plan
    ear: LogReader
    view: View
    load: Load
    fleet: Fleet
    is_quiet: bool = False
    seconds: float = 0.0

    def play(self, console: Console, quiet_seconds: float) -> Found:
        """The load with its kills, the quiet time, and what is there then."""
        started = time.monotonic()
        self.view.people.start()
        self.load.start()
        self._disturb(console)
        while not self.load.is_over:
            self._require_alive()
            self.load.wait(_LOOK_SECONDS)
        console.print(f"{time.monotonic() - started:4.0f} s  the load is sent; waiting for the rest")
        self.is_quiet = self._wait_until_quiet(quiet_seconds)
        self.view.people.stop()
        self.seconds = time.monotonic() - started
        disturbed = self.fleet.killed[fleet.REPLIES] + len(self.plan.faults)
        return self.view.found(self.load.ledger, answers_disturbed=disturbed)

    def _disturb(self, console: Console) -> None:
        """Do each kill and each fault at its share of the load."""
        started = time.monotonic()
        faults = list(self.plan.faults)
        for number, kill in enumerate(self.plan.kills, start=1):
            while self.load.progress < kill.at_progress and not self.load.is_over:
                time.sleep(_LOOK_SECONDS)
                self._require_alive()
            while faults and faults[0][0] <= self.load.progress:
                self.view.stack.phones.fail_next(faults.pop(0)[1])
            self.fleet.kill(kill)
            if number % 10 == 0:
                written, dead = self.load.progress, self.fleet.killed.total()
                console.print(f"{time.monotonic() - started:4.0f} s  {written:4.0%} written, {dead} kills")

    def _require_alive(self) -> None:
        if dead := self.fleet.dead():
            child = self.fleet.member(dead[0])
            raise click.ClickException(f"{dead[0]} ended by itself:\n" + "\n".join(child.last_lines))

    def _wait_until_quiet(self, seconds: float) -> bool:
        """Whether nothing moved in a few looks one after the other."""
        until = time.monotonic() + seconds
        looks = 0
        while looks < _QUIET_LOOKS and time.monotonic() < until:
            self._require_alive()
            time.sleep(_QUIET_LOOK_SECONDS)
            looks = looks + 1 if self.view.is_quiet else 0
        return looks == _QUIET_LOOKS


@contextmanager
def _running(plan: Plan, ear: LogReader, shell: Mapping[str, str], *, is_on_dynamodb_local: bool) -> Iterator[Run]:
    """A machine with everything on it."""
    aws_port, http_port, twilio_port, dynamodb_port = ports.free(4)
    with (
        dynamodb_local(dynamodb_port, shell=shell) if is_on_dynamodb_local else nullcontext("") as dynamodb_url,
        stack.started(
            aws_port,
            shell=shell,
            on_line=ear.on_line,
            http_port=http_port,
            twilio_url=f"http://{HOST}:{twilio_port}",
            tenants_seeded=plan.tenants,
            settings=SETTINGS,
            dynamodb_url=dynamodb_url,
        ) as here,
    ):
        _be_patient(here)
        here.wait_for(here.twilio_stub(), twilio_port)
        here.ai_stub(_THINKING_SECONDS)
        processes = Fleet(here, _SWEEP_SECONDS)
        ear.on_step = processes.on_line
        processes.start()
        people = People(here.aws, here.settings.human_handoff_queue)
        sending = Load(f"http://{HOST}:{http_port}", plan.scripts)
        try:
            yield Run(plan, ear, View(here, ear, people, plan.tenants), sending, processes)
        finally:
            sending.stop()
            people.stop()


def _be_patient(here: Stack) -> None:
    """Let every queue deliver a message more often before it is a dead letter."""
    for queue in load_template(STAGE).queues.values():
        if queue.dead_letter is not None:
            url = here.aws.queue_url(queue.name)
            policy = here.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
            redrive = {**json.loads(policy["RedrivePolicy"]), "maxReceiveCount": _RECEIVES_MAX}
            here.aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(redrive)})


def _tell(console: Console, run: Run, found: Found) -> None:
    steps, killed = run.ear.steps, run.fleet.killed
    acknowledged = sum(one.is_acknowledged for one in found.sent)
    figures = {
        "messages": f"{len(found.sent)}, {acknowledged} acknowledged, {run.load.retried} retries of Twilio",
        "batches": f"{len({one.batch_id for one in found.batches})}, answered by {len(found.deliveries)} messages",
        "handed off": f"{len({sid for _, sid in found.handed_off})}",
        "refused": ", ".join(f"{count} {code}" for code, count in Counter(code for _, code in found.refused).items()),
        "kills": f"{killed.total()} ({', '.join(f'{count} {role}' for role, count in sorted(killed.items()))}), "
        f"{run.fleet.at_a_step} of them right after a step",
        "resumed": f"{steps[Step.RESUMED]} batches",
        "reconciled": f"{steps[Step.RECONCILED]} answers",
        "unknown outcomes": f"{len(found.unknown)} told",
        "repairs": f"{steps[Step.RECOVERED]} orphans recovered, {steps[Step.RESET]} stalled locks reset, "
        f"{steps[Step.REPLY_ABANDONED]} stalled replies given up",
        "seconds": f"{run.seconds:.0f}" + ("" if run.is_quiet else ", and still not quiet"),
    }
    for name, told in figures.items():
        console.print(f"{name:>16}  {told}", soft_wrap=True)


def _trace(console: Console, ear: LogReader, found: Found, told: Sequence[str]) -> None:
    """What the processes said of the first conversation that a violation names."""
    conversations = sorted({one.conversation for one in found.sent}, key=len, reverse=True)
    named = next(((one, text) for text in told for one in conversations if one in text), None)
    if named is not None:
        console.print(f"\nThe log lines of {named[0]}:", style="bold")
        for line in ear.trace(*named):
            console.print(f"  {line}", style="dim", markup=False, soft_wrap=True)


if __name__ == "__main__":
    chaos(prog_name="python -m local.chaos")
