"""`run` and `aws`: everything on one machine until Ctrl-C, with the children's log lines as they come."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import click
from rich.console import Console

from local import logs, run_file, stack
from local.answering import Ai
from local.aws import credentials_file
from local.console.console import Ear, served
from local.processes import ports, startup
from local.processes.environment import HOST
from local.run_file import RunFile, RunLog
from local.stack import Stack
from local.tenants import TENANTS, Tenant

_LOOK_SECONDS = 0.3


def run(
    console: Console,
    *,
    shell: Mapping[str, str],
    aws_port: int,
    http_port: int,
    twilio_port: int | None,
    sendgrid_port: int,
    console_port: int,
    is_served: bool,
    own: Tenant | None,
    ai: Ai,
) -> None:
    """Run until Ctrl-C.

    Args:
        console: the terminal.
        shell: the user's environment.
        aws_port: of the local AWS.
        http_port: of the app.
        twilio_port: of the stub for Twilio's API; None: replies go to Twilio, and only the user's tenant is there.
        sendgrid_port: of the stub for SendGrid's API.
        console_port: of the console.
        is_served: whether to serve the app; else `chalice local` may.
        own: a tenant of the user's own.
        ai: what answers.

    Raises:
        click.ClickException: a port is taken, or a child ended by itself.
    """
    ports.require_free(aws_port, "AWS_PORT")
    if is_served:
        ports.require_free(http_port, "HTTP_PORT")
    if twilio_port is not None:
        ports.require_free(twilio_port, "TWILIO_PORT")
    ports.require_free(sendgrid_port, "SENDGRID_PORT")
    ports.require_free(console_port, "CONSOLE_PORT")
    tenants = [*(TENANTS if twilio_port is not None else ()), *([own] if own else ())]

    if twilio_port is not None:
        shell = {"TYPING_INDICATOR": "true", **shell}  # so that the phones show it
    ear = Ear()
    kept: list[RunLog] = []

    def on_line(child: str, line: str) -> None:
        logs.show(console, child, line)
        ear.on_line(child, line)
        for log in kept:
            log.add(child, line)

    this = RunFile(os.getpid(), aws_port, http_port, twilio_port, sendgrid_port)
    try:
        with (
            stack.started(
                aws_port,
                shell=shell,
                on_line=on_line,
                http_port=http_port,
                twilio_url="" if twilio_port is None else f"http://{HOST}:{twilio_port}",
                sendgrid_url=f"http://{HOST}:{sendgrid_port}",
                tenants_seeded=tenants,
            ) as here,
            credentials_file.written(here.aws),
            run_file.written(this) as log,
        ):
            kept.append(log)
            if twilio_port is not None:
                here.wait_for(here.twilio_stub("--reads"), twilio_port)
            here.wait_for(here.sendgrid_stub(), sendgrid_port)
            app = here.serve() if is_served else None
            worker = here.work()
            stub = ai.start(here)
            if app is not None:
                here.wait_for(app, http_port)
            thinking = ai.thinking_seconds
            with served(here, ear, tenants, port=console_port, worker=worker, ai=stub, thinking=thinking) as address:
                startup.show(console, here, tenants, is_served=is_served, console_address=address)
                ai.show(console, here)
                _watch(here)
    except KeyboardInterrupt:
        console.print("\nStopped.")


def _watch(here: Stack) -> None:
    """Wait for Ctrl-C; a child that ends by itself ends the run."""
    while True:
        time.sleep(_LOOK_SECONDS)
        for child in list(here.children):  # the console replaces some
            if not child.is_running and not child.may_end:
                raise click.ClickException(f"{child.name} ended with code {child.wait(1)}; its last lines are above")
