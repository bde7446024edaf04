"""`python -m local`: the local AWS, the app and its workers on this machine.

The other commands start `serve`, `work` and `stub-...` as their children.
"""

from __future__ import annotations

import os
import re
import sys
from io import TextIOWrapper
from typing import Any

import click

from local.processes import environment, parent_watch
from local.processes.children import end_on_signals
from local.requests.command import send_command
from local.terminal import Console

_PORT = click.IntRange(1, 65_535)
_AWS_PORT = click.option(
    "--aws-port", envvar="AWS_PORT", type=_PORT, default=4566, show_default=True, help="Port of the local AWS."
)
_HTTP_PORT = click.option(
    "--http-port", envvar="HTTP_PORT", type=_PORT, default=8000, show_default=True, help="Port of the app."
)
_TWILIO_PORT = click.option(
    "--twilio-port",
    envvar="TWILIO_PORT",
    type=_PORT,
    default=8010,
    show_default=True,
    help="Port of the stub for Twilio's API.",
)
_SENDGRID_PORT = click.option(
    "--sendgrid-port",
    envvar="SENDGRID_PORT",
    type=_PORT,
    default=8011,
    show_default=True,
    help="Port of the stub for SendGrid's API.",
)
_CONSOLE_PORT = click.option(
    "--console-port", envvar="CONSOLE_PORT", default=8012, show_default=True, help="Port of the console."
)
_REAL_TWILIO = click.option(
    "--real-twilio",
    is_flag=True,
    help="Send replies through your own Twilio account, to your own phone. They are real messages, and cost money.",
)
_AI = click.option(
    "--ai",
    type=click.Choice(["stub", "echo", "openai"]),
    default="stub",
    show_default=True,
    help="Who answers: the stub, or the worker of examples/ai_worker with a model.",
)
_NO_AI = click.option("--no-ai", is_flag=True, help="Leave the AI queue to a worker of your own.")
_MODEL = click.option(
    "--model", default="", help="The name of the model, for --ai openai; at a server of your own by default its first."
)
_BASE_URL = click.option(
    "--base-url", default="", help="Of an OpenAI-compatible server, for --ai openai; without it OpenAI's own."
)
_THINKING = click.option(
    "--thinking-seconds", default=5.0, show_default=True, help="How long the stub AI thinks about a batch."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Runs all of replies-engine on this machine, without access to a real account."""


@cli.command()
@_AWS_PORT
@_HTTP_PORT
@_TWILIO_PORT
@_SENDGRID_PORT
@_CONSOLE_PORT
@_REAL_TWILIO
@_AI
@_NO_AI
@_MODEL
@_BASE_URL
@_THINKING
def run(**options: Any) -> None:
    """Local AWS, app, workers, stubs and two demo tenants, until Ctrl-C."""
    _run(**options, is_served=True)


@cli.command()
@_AWS_PORT
@_HTTP_PORT
@_TWILIO_PORT
@_SENDGRID_PORT
@_CONSOLE_PORT
@_REAL_TWILIO
@_AI
@_NO_AI
@_MODEL
@_BASE_URL
@_THINKING
def aws(**options: Any) -> None:
    """The same without the app's HTTP server, so that `chalice local --stage local` works beside it."""
    _run(**options, is_served=False)


def _run(
    aws_port: int,
    http_port: int,
    twilio_port: int,
    sendgrid_port: int,
    console_port: int,
    thinking_seconds: float,
    ai: str,
    model: str,
    base_url: str,
    *,
    no_ai: bool,
    real_twilio: bool,
    is_served: bool,
) -> None:
    from local import answering, running, tenants  # noqa: PLC0415  # a child command must not load what only the parent needs

    shell = _become_parent()
    names = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_NUMBER", "CUSTOMER_NUMBER")
    account = [shell.get(name, "") for name in names]
    if any(account) and not all(account):
        missing = ", ".join(name for name, value in zip(names, account, strict=True) if not value)
        raise click.UsageError(
            f"the shell has only a part of your Twilio account; {missing} is missing: set or unset all"
        )
    for number in account[2:]:
        if number and not re.fullmatch(r"\+[1-9]\d{6,14}", number):
            raise click.UsageError(
                f"TWILIO_NUMBER and CUSTOMER_NUMBER are numbers such as +4915112345678, not {number}"
            )
    own = tenants.own(*account) if all(account) else None
    if real_twilio and own is None:
        raise click.UsageError(f"--real-twilio needs an account of yours in the shell: {', '.join(names)}")
    running.run(
        Console(highlight=False),
        shell=shell,
        aws_port=aws_port,
        http_port=http_port,
        is_served=is_served,
        twilio_port=None if real_twilio else twilio_port,
        sendgrid_port=sendgrid_port,
        console_port=console_port,
        own=own,
        ai=answering.Ai.chosen(answering.NOBODY if no_ai else ai, model, base_url, thinking_seconds, shell),
    )


@cli.command()
@click.option("--verbose", is_flag=True, help="Show every log line of the app.")
def demo(*, verbose: bool) -> None:
    """Play a scripted evening on free ports, show it live, and check the outcome."""
    from local.demo import demo as script  # noqa: PLC0415  # as above

    shell = _become_parent()
    try:
        is_as_expected = script.play(Console(highlight=False), shell=shell, verbose=verbose)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    sys.exit(0 if is_as_expected else 1)


@cli.command()
@click.option("--stage", required=True, help="A stage of .chalice/config.json that can be deployed: dev or prod.")
@click.option("--aws-port", type=_PORT, default=4576, show_default=True, help="Port of the local AWS.")
@click.option("--http-port", type=_PORT, default=8020, show_default=True, help="Port of the webhooks.")
@click.option("--twilio-port", type=_PORT, default=8030, show_default=True, help="Port of the stub for Twilio's API.")
@click.option("--sendgrid-port", type=_PORT, default=8031, show_default=True, help="The same for SendGrid's.")
def rehearse(stage: str, aws_port: int, http_port: int, twilio_port: int, sendgrid_port: int) -> None:
    """Deploy a stage to a local AWS that enforces rights, and keep it running until Ctrl-C."""
    from local.rehearsal import rehearsing  # noqa: PLC0415  # as above

    shell = _become_parent()
    run = rehearsing.run_of(stage, aws_port, http_port, twilio_port, sendgrid_port)
    rehearsing.rehearse(Console(highlight=False), run, shell=shell)


@cli.command(hidden=True)
@click.option("--port", type=int, required=True)
def serve(port: int) -> None:
    """Serve the app's routes (a child of `run`)."""
    parent_watch.end_with_parent()
    from local import server  # noqa: PLC0415  # loads the app

    server.serve(os.environ["STAGE"], port, public_base_url=os.environ.get("PUBLIC_BASE_URL", ""))


@cli.command(hidden=True)
@click.option("--only", multiple=True, help="A handler to run; may be given several times.")
@click.option("--die-before-dispatch", is_flag=True, help="Die like a crashed machine before a send to the AI queue.")
@click.option("--every", type=int, help="Seconds between two runs of a schedule, instead of its own.")
def work(*, only: tuple[str, ...], die_before_dispatch: bool, every: int | None) -> None:
    """Run the app's queue handlers and schedules (a child of `run`)."""
    parent_watch.end_with_parent()
    from local import worker  # noqa: PLC0415  # loads the app

    worker.work(os.environ["STAGE"], only, dies_before_dispatch=die_before_dispatch, every_seconds=every)


@cli.command("stub-twilio", hidden=True)
@click.option("--port", type=int, required=True)
@click.option("--reads", is_flag=True, help="Customers read what they get by WhatsApp.")
def twilio_stub(port: int, *, reads: bool) -> None:
    """Stand in for Twilio's API (a child of `run`)."""
    parent_watch.end_with_parent()
    from local import tenants  # noqa: PLC0415  # a child loads only what it needs
    from local.aws.clients import LocalAws  # noqa: PLC0415  # as above
    from local.stubs import twilio  # noqa: PLC0415  # a child loads only what it needs

    twilio.serve_stub(port, tenants.accounts(LocalAws.of_environment()), is_read=reads)


@cli.command("stub-sendgrid", hidden=True)
@click.option("--port", type=int, required=True)
def sendgrid_stub(port: int) -> None:
    """Stand in for SendGrid's API (a child of `run`)."""
    parent_watch.end_with_parent()
    from local import tenants  # noqa: PLC0415  # a child loads only what it needs
    from local.aws.clients import LocalAws  # noqa: PLC0415  # as above
    from local.stubs import sendgrid  # noqa: PLC0415  # a child loads only what it needs

    sendgrid.serve_stub(port, tenants.mail_accounts(LocalAws.of_environment()))


@cli.command("ai-worker", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def ai_worker(arguments: tuple[str, ...]) -> None:
    """Run the worker of examples/ai_worker (a child of `run`)."""
    parent_watch.end_with_parent()
    from examples.ai_worker import __main__ as worker  # noqa: PLC0415  # builds clients

    worker.main(arguments)


@cli.command("stub-ai", hidden=True)
@_THINKING
def ai_stub(thinking_seconds: float) -> None:
    """Stand in for the company's AI worker (a child of `run`)."""
    parent_watch.end_with_parent()
    from local.stubs import ai  # noqa: PLC0415  # builds clients

    ai.serve_stub(thinking_seconds)


@cli.command("chalice-local")
@click.option("--aws-port", type=int, help="Of the local AWS that `make aws` started. Default: the newest.")
@click.option("--http-port", type=int, help="Port of the app. Default: the one that `make aws` left for it.")
def chalice_local(aws_port: int | None, http_port: int | None) -> None:
    """Serve the app by `chalice local`, beside `make aws`, with readable lines and on any port."""
    from local import chalice_server  # noqa: PLC0415  # as above

    chalice_server.run(_become_parent(), aws_port, http_port)


cli.add_command(send_command)


def _become_parent() -> dict[str, str]:
    """Forget the user's shell, as far as it could lead anywhere, and end on signals; returns what the shell was."""
    end_on_signals()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a tick still gets its line
    return environment.drop_shell_variables(os.environ)


if __name__ == "__main__":
    cli(prog_name="python -m local")
