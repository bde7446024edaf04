"""`rehearse`: a stage deployed to the local AWS by `make deploy`'s own command, and kept running until Ctrl-C.

    provider's stub <- functions from the deployed zip, each under its own role <- API <- domain <- signed requests

Guarantee: nothing reaches a real account or provider, the project's files stay as they are, and nothing is left behind.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from infrastructure.account import DeploymentError
from infrastructure.deploying import stage_named
from local import run_file, tenants
from local.aws import credentials_file, resources
from local.aws.ministack import local_aws
from local.processes import ports
from local.processes.environment import settings_of
from local.rehearsal.clone import OWN_ARCHITECTURE, PATIENCE, Clone
from local.rehearsal.domain import domain
from local.run_file import RunFile
from local.stubs.sendgrid import SendGridStub
from local.stubs.twilio import STEP_SECONDS, TwilioStub


def rehearse(console: Console, run: RunFile, *, shell: Mapping[str, str]) -> None:
    """Deploy, and wait for Ctrl-C.

    Args:
        console: the terminal.
        run: the stage, and the ports: of the local AWS, the webhooks and the two stubs.
        shell: the user's environment.

    Raises:
        click.ClickException: there is no such stage, a port is taken, or the deployment failed.
    """
    stage = stage_named(run.stage)
    for port, name in (
        (run.aws_port, "AWS_PORT"),
        (run.http_port, "HTTP_PORT"),
        (run.twilio_port or 0, "TWILIO_PORT"),
        (run.sendgrid_port, "SENDGRID_PORT"),
    ):
        ports.require_free(port, name)
    routes: dict[str, str] = {}
    try:
        with ExitStack() as kept:
            aws = kept.enter_context(local_aws(run.aws_port, shell=shell, is_deployable=True))
            url = kept.enter_context(domain(routes, run.http_port))
            folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="replies-engine-rehearsal-"))
            clone = Clone.of_project(Path(folder), aws, shell)
            clone.share_packages()
            told = settings_told(stage.variables, run, url, shell)
            clone.configure(stage.name, OWN_ARCHITECTURE, **told)
            console.print(f"Deploying {stage.name} to the local AWS at {aws.endpoint}", style="bold")
            if clone.deploy(stage.name, is_shown=True).returncode:
                raise DeploymentError(f"{stage.name} was not deployed, for the reason above")
            routes[""] = clone.api_url(stage.name)
            resources.turn_ttl_on(aws, stage.name)
            tenants.seed(aws, stage.name, tenants.TENANTS)
            accounts, mail_accounts = tenants.accounts(aws), tenants.mail_accounts(aws)
            kept.enter_context(TwilioStub(accounts, port=run.twilio_port or 0, step_seconds=STEP_SECONDS))
            kept.enter_context(SendGridStub(mail_accounts, port=run.sendgrid_port))
            kept.enter_context(credentials_file.written(aws))
            kept.enter_context(run_file.written(run))
            _show(console, run, url)
            threading.Event().wait()
    except KeyboardInterrupt:
        console.print("\nStopped.")


def settings_told(stage: Mapping[str, str], run: RunFile, url: str, shell: Mapping[str, str]) -> dict[str, str]:
    """What the functions are told beside the stage's own settings.

    Args:
        stage: those of its own, which count before the shell's.
        run: where the stubs are.
        url: of the webhooks.
        shell: the user's environment: `BATCH_WINDOW_SECONDS=3 make rehearse` does what it says.
    """
    left_open = {name: value for name, value in settings_of(shell).items() if name not in stage}
    by_default = {name: value for name, value in {"AI_WORKER": "echo", **PATIENCE}.items() if name not in stage}
    places = {
        "PUBLIC_BASE_URL": url,
        "TWILIO_API_BASE_URL": run.twilio_url,
        "SENDGRID_API_BASE_URL": run.sendgrid_url,
    }
    return by_default | left_open | places


def _show(console: Console, run: RunFile, url: str) -> None:
    """What is where, and what to try."""
    place = f"--stage {run.stage} --endpoint-url {run.endpoint}"
    lines = (
        f"{run.stage} is deployed to {run.endpoint}: each function under its own role, rights enforced",
        f"webhooks       {url}/webhooks/whatsapp, sms and email",
        f"stub Twilio    {run.twilio_url}",
        f"stub SendGrid  {run.sendgrid_url}",
        "tenants        sunrise and nordic, as in make run",
        "",
        f'make smoke STAGE={run.stage} ARGS="--endpoint-url {run.endpoint}"',
        f'make load STAGE={run.stage} ARGS="--endpoint-url {run.endpoint} --rate 5 --seconds 30"',
        f"replies-engine doctor {place}",
        f"replies-engine tail {place}",
        "",
        f"AWS_ENDPOINT_URL={run.endpoint} AWS_SHARED_CREDENTIALS_FILE={credentials_file.path(run.aws_port)}",
        "in another terminal lead any AWS tool there. Ctrl-C stops everything and leaves nothing behind.",
    )
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def run_of(stage: str, aws_port: int, http_port: int, twilio_port: int, sendgrid_port: int) -> RunFile:
    """This process's rehearsal of a stage."""
    return RunFile(os.getpid(), aws_port, http_port, twilio_port, sendgrid_port, stage)
