"""Everything on one machine: the local AWS with a stage's resources and tenants, and the children that work on it.

local AWS - stack from the template - tenants
  `- twilio, sendgrid (stubs)    `- app (serve)    `- work    `- ai (stub)
                                                       stopped the last first, then the local AWS
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

from chalicelib.settings import Settings, SettingsError
from local import tenants
from local.aws import ministack, resources
from local.aws.clients import LocalAws
from local.processes import environment
from local.processes.children import Child, OnLine, start_own
from local.processes.ports import wait_until_answers
from local.stubs.mailboxes import Mailboxes
from local.stubs.phones import Phones
from local.tenants import Tenant

STAGE = "local"

_START_SECONDS = 30.0


@dataclass
class Stack:
    """A running local AWS and the children that were started on it."""

    aws: LocalAws
    settings: Settings
    environment: Mapping[str, str]
    on_line: OnLine
    http_port: int
    """Where the app is served, by us or by `chalice local`."""
    twilio_url: str
    """Of the stub for Twilio's API; empty: replies go to Twilio."""
    sendgrid_url: str
    """Of the stub for SendGrid's API; empty: replies by e-mail go nowhere."""
    children: list[Child] = field(default_factory=list)
    is_stopping: bool = False

    def start(self, name: str, *arguments: str, may_end: bool = False, **variables: str) -> Child:
        """Start a child command; what it says goes to `on_line` under `name`.

        Args:
            name: of the child.
            arguments: of the command.
            may_end: whether it may end by itself.
            variables: of its environment, beyond the stack's.
        """
        child = start_own(name, *arguments, environment={**self.environment, **variables}, on_line=self.on_line)
        child.may_end = may_end
        self.children.append(child)
        return child

    def retire(self, child: Child) -> None:
        """Stop one child for good."""
        child.may_end = True
        child.stop()
        self.children.remove(child)

    @property
    def phones(self) -> Phones:
        """The customers' phones."""
        return Phones(self.twilio_url)

    @property
    def mailboxes(self) -> Mailboxes:
        """The customers' mailboxes."""
        return Mailboxes(self.sendgrid_url)

    def serve(self) -> Child:
        """Start the app's HTTP server."""
        return self.start("app", "serve", "--port", str(self.http_port))

    def wait_for(self, child: Child, port: int) -> None:
        """Wait until a child answers on its port.

        Raises:
            click.ClickException: it ended, or took too long; with its last words.
        """
        if not wait_until_answers(port, seconds=_START_SECONDS, gave_up=lambda: not child.is_running):
            raise click.ClickException(f"{child.name} did not start:\n" + "\n".join(child.last_lines))

    def work(self, *options: str, may_end: bool = False) -> Child:
        """Start a worker. It has Twilio call the app back on this machine, unless the user's settings say where."""
        base = self.settings.public_base_url
        if not base and self.twilio_url:
            base = f"http://{environment.HOST}:{self.http_port}"
        return self.start("work", "work", *options, may_end=may_end, PUBLIC_BASE_URL=base)

    def twilio_stub(self, *options: str) -> Child:
        """Start the stub for Twilio's API."""
        return self.start("twilio", "stub-twilio", "--port", self.twilio_url.rpartition(":")[2], *options)

    def sendgrid_stub(self) -> Child:
        """Start the stub for SendGrid's API."""
        return self.start("sendgrid", "stub-sendgrid", "--port", self.sendgrid_url.rpartition(":")[2])

    def ai_stub(self, thinking_seconds: float) -> Child:
        """Start the stub for the company's AI worker."""
        return self.start("ai", "stub-ai", "--thinking-seconds", str(thinking_seconds))

    def record(self, company: Tenant, customer: str) -> dict[str, Any]:
        """The row of a customer's conversation."""
        who = company.customer(customer)
        key = {"primary_channel": who.address, "conversation_id": company.conversation_id(who)}
        table = self.aws.dynamodb.Table(self.settings.conversations_table)
        return dict(table.get_item(Key=key, ConsistentRead=True)["Item"])

    @property
    def is_moving(self) -> bool:
        """Whether something is on its way to our functions, to the AI or from Twilio, or a row waits for that."""
        names = self.settings
        triggers = (names.whatsapp_queue, names.sms_queue, names.email_queue)
        queues = (*triggers, names.ai_queue, names.ai_replies_queue, names.human_replies_queue)
        return (
            bool(self.aws.rows(names.stage_table))
            or any(self.aws.waiting(queue) for queue in queues)
            or bool(self.phones.callbacks_to_come)
        )

    def stop(self) -> None:
        """Stop the children, the last that was started first."""
        self.is_stopping = True
        for child in reversed(self.children):
            child.stop()


@contextmanager
def started(
    port: int,
    *,
    shell: Mapping[str, str],
    on_line: OnLine,
    http_port: int,
    twilio_url: str,
    sendgrid_url: str = "",
    tenants_seeded: Iterable[Tenant] = tenants.TENANTS,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """A machine with resources and tenants, for as long as the block lasts; afterwards nothing of it is left.

    Args:
        port: of the local AWS.
        shell: the user's environment.
        on_line: takes the lines of the children.
        http_port: where the app is served.
        twilio_url: where replies are sent in place of Twilio's API; empty: to Twilio.
        sendgrid_url: where replies by e-mail are sent in place of SendGrid's API; empty: nowhere.
        tenants_seeded: the companies that it knows.
        settings: the app's settings beyond the stage's; None: what the shell says of them.
    """
    with ministack.local_aws(port, shell=shell) as aws:
        told = environment.for_app(STAGE, aws.endpoint, aws.access_key, shell=shell, settings=settings)
        # Whatever the shell says: nothing is sent by surprise.
        told |= {"TWILIO_API_BASE_URL": twilio_url, "SENDGRID_API_BASE_URL": sendgrid_url or environment.NOWHERE}
        try:
            understood = Settings.from_environment(told)
        except SettingsError as error:
            raise click.ClickException(
                "\n  ".join([f"{len(error.faults)} fault(s) in the settings:", *error.faults])
            ) from error
        resources.create(aws, STAGE, TriggerVisibilitySeconds=understood.visibility_timeout_seconds)
        tenants.seed(aws, STAGE, tenants_seeded)
        stack = Stack(aws, understood, told, on_line, http_port, twilio_url, sendgrid_url)
        try:
            yield stack
        finally:
            hold_signals()
            stack.stop()


def hold_signals() -> None:
    """Ignore a second Ctrl-C from here on: what is left to do is to clean up."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
