"""`python -m ops`: the operator's command line. Its groups and options only; each body is one call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

import click
from rich.console import Console

from chalicelib.errors import EngineError
from chalicelib.telemetry import Level
from ops.stage.account import Account, as_command_error
from ops.stage.deployment import Deployment
from ops.stage.target import Config, Target
from ops.terminal.time_ranges import SINCE

Body = TypeVar("Body", bound=Callable[..., Any])

_PLACES = (
    click.option("--stage", required=True, envvar="STAGE", help="The stage: local, dev, prod, or one of your own."),
    click.option("--endpoint-url", help="Where AWS is; for a stage on this machine its settings tell it."),
    click.option("--region", help="Default: as the AWS configuration says."),
    click.option("--profile", help="Of the AWS configuration."),
    click.option("--twilio-url", help="Where Twilio's API is. Default: as the settings say; here a stub."),
)


_PLACES_TOLD = ("endpoint_url", "region", "profile", "twilio_url")
LEVELS = tuple(one.value.upper() for one in Level)
_YES = click.option("--yes", is_flag=True, help="Do it without asking.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
_PRIMARY_CHANNEL = click.option("--primary-channel", help="Where two conversations bear one id: the row's hash key.")


def on_stage(body: Body) -> Body:
    """Give a command the options that name a deployment; its body gets the deployment and a console."""

    @wraps(body)
    def wrapped(*, stage: str, **options: Any) -> None:
        config = Config.read()
        target = Target.of(stage, config, **{name: options.pop(name) for name in _PLACES_TOLD})
        try:
            deployment = Deployment.find(Account.connect(target), config)
            body(deployment, Console(highlight=False, soft_wrap=True, markup=False), **options)
        except EngineError as error:
            raise as_command_error(error, target) from error

    command: Any = wrapped
    for option in reversed(_PLACES):
        command = option(command)
    return command  # type: ignore[no-any-return]  # click's decorators return what they are given


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """What an operator does with a deployment of replies-engine: docs/ops.md tells each command."""


@cli.command()
@on_stage
@click.option("--tenant", "tenants", multiple=True, help="Only this company, by its company_id; may be given again.")
@click.option("--no-tenants", is_flag=True, help="Look at the stage alone: no tenant's addresses, no probe.")
@click.option("--url", help="Where the webhooks are, up to /webhooks. Default: PUBLIC_BASE_URL, or as deployed.")
def doctor(
    deployment: Deployment, console: Console, *, tenants: tuple[str, ...], no_tenants: bool, url: str | None
) -> None:
    """Look at everything, and tell in one line each what is wrong and which command mends it."""
    from ops.commands.doctor import show_areas  # noqa: PLC0415  # as above
    from ops.doctor import examination as doctoring  # noqa: PLC0415  # each command loads what it needs

    asked = doctoring.Asked(tenants, looks_at_tenants=not no_tenants, url=url)
    raise SystemExit(show_areas(console, doctoring.examine(deployment, asked)))


@cli.command()
@on_stage
@click.argument("queue")
@click.option("--conversation", "conversation_id", help="Only this conversation's.")
@_DRY_RUN
@_YES
def redrive(
    deployment: Deployment, console: Console, *, queue: str, conversation_id: str | None, dry_run: bool, yes: bool
) -> None:
    """Send what lies in the dead-letter queue of QUEUE back to it: whatsapp, sms, email, ai, ai-replies, ..."""
    from ops.commands import redrive as screen  # noqa: PLC0415  # as above

    screen.redrive(deployment, console, queue, conversation_id, is_dry_run=dry_run, yes=yes)


@cli.command()
@on_stage
@click.argument("conversation_id")
@_PRIMARY_CHANNEL
@click.option("--now", "at_once", is_flag=True, help="A lock that has not stalled yet, too.")
@_YES
def unlock(
    deployment: Deployment,
    console: Console,
    *,
    conversation_id: str,
    primary_channel: str | None,
    at_once: bool,
    yes: bool,
) -> None:
    """Let go of the lock of a conversation, as the sweep would."""
    from ops.commands import unlock as screen  # noqa: PLC0415  # as above

    screen.unlock(deployment, console, conversation_id, primary_channel, at_once=at_once, yes=yes)


@cli.command("watch-unanswered")
@on_stage
@click.option(
    "--since",
    type=SINCE,
    default="24h",
    show_default=True,
    help="Only conversations that changed since: 90m, 24h, 7d, or ISO 8601.",
)
@_DRY_RUN
@_YES
def watch_unanswered(deployment: Deployment, console: Console, *, since: datetime, dry_run: bool, yes: bool) -> None:
    """Let the sweep find the unanswered messages that an earlier version left at rest; once after an upgrade."""
    from ops.commands import watch_unanswered as screen  # noqa: PLC0415  # as above

    screen.watch_unanswered(deployment, console, since, is_dry_run=dry_run, yes=yes)


@cli.command("widen-opt-outs")
@on_stage
@_DRY_RUN
@_YES
def widen_opt_outs(deployment: Deployment, console: Console, *, dry_run: bool, yes: bool) -> None:
    """Make each opt-out of a channel one of all channels; before a rollback to a version that knows no other."""
    from ops.commands import widen_opt_outs as screen  # noqa: PLC0415  # as above

    screen.widen_opt_outs(deployment, console, is_dry_run=dry_run, yes=yes)


@cli.command()
@on_stage
@click.argument("told", metavar="CONVERSATION_ID|MESSAGE_SID")
@_PRIMARY_CHANNEL
@click.option(
    "--since",
    type=SINCE,
    default="24h",
    show_default=True,
    help="From when on logs are read: 90m, 24h, 7d, or ISO 8601.",
)
def explain(
    deployment: Deployment, console: Console, *, told: str, primary_channel: str | None, since: datetime
) -> None:
    """Tell why there was or was no reply: a timeline from tables, dead letters and logs, and a verdict."""
    from ops.commands import explain as screen  # noqa: PLC0415  # as above

    screen.explain(deployment, console, told, primary_channel, since)


@cli.command("catch-up")
@on_stage
@click.argument("tenant")
@click.option("--since", type=SINCE, required=True, help="From when on: 6h, 2d, or ISO 8601.")
@_DRY_RUN
@_YES
def catch_up(
    deployment: Deployment, console: Console, *, tenant: str, since: datetime, dry_run: bool, yes: bool
) -> None:
    """Take in what the provider delivered to TENANT (its company_id) and a fault of ours dropped."""
    from ops.commands import catch_up as screen  # noqa: PLC0415  # as above

    screen.catch_up(deployment, console, tenant, since, is_dry_run=dry_run, yes=yes)


@cli.command()
@on_stage
@click.option("--since", type=SINCE, default="5m", show_default=True, help="From when on: 5m, 2h, or ISO 8601.")
@click.option("--level", type=click.Choice(LEVELS), default="INFO", show_default=True, help="Nothing quieter.")
@click.option("--only", "words", metavar="TEXT", help="Only lines that hold this: a conversation's id, a sid, a code.")
@click.option("--no-follow", is_flag=True, help="Show what there is, and end.")
def tail(
    deployment: Deployment, console: Console, *, since: datetime, level: str, words: str | None, no_follow: bool
) -> None:
    """Show the log lines of all functions as one stream."""
    from ops.commands import tail as screen  # noqa: PLC0415  # as above

    screen.tail(deployment, console, since, level=level, words=words, is_following=not no_follow)


@cli.command()
@on_stage
@click.argument("address")
@_DRY_RUN
@_YES
def erase(deployment: Deployment, console: Console, *, address: str, dry_run: bool, yes: bool) -> None:
    """Erase a person, by number or e-mail address, from everything that we keep."""
    from ops.commands import erase as screen  # noqa: PLC0415  # as above

    screen.erase(deployment, console, address, is_dry_run=dry_run, yes=yes)


@cli.group()
def tenant() -> None:
    """A company: its secrets (add, rotate, check) and its policies (policy)."""


@tenant.command("add")
@on_stage
@click.argument("company")
@click.option("--project", default="main", show_default=True, help="The part of the secret's name that tells projects.")
@click.option("--channel", "channels", multiple=True, help="May be given again. Default: every channel.")
@click.option("--replace", is_flag=True, help="Overwrite a secret that is there.")
@_YES
def tenant_add(
    deployment: Deployment,
    console: Console,
    *,
    company: str,
    project: str,
    channels: tuple[str, ...],
    replace: bool,
    yes: bool,
) -> None:
    """Make the secrets of COMPANY; what they hold is asked for."""
    from ops.commands import tenant as screen  # noqa: PLC0415  # as above

    screen.add(deployment, console, company, project, channels, is_replacing=replace, yes=yes)


@tenant.command("rotate")
@on_stage
@click.argument("company")
@click.option("--abandon", is_flag=True, help="Take a new token off again that was never promoted.")
@_YES
def tenant_rotate(deployment: Deployment, console: Console, *, company: str, abandon: bool, yes: bool) -> None:
    """Take the next step of rotating the token of COMPANY; said twice, with a promotion in between."""
    from ops.commands import tenant as screen  # noqa: PLC0415  # as above

    screen.rotate(deployment, console, company, is_abandoning=abandon, yes=yes)


@tenant.command("check")
@on_stage
@click.argument("company")
@click.option("--url", help="Where the webhooks are, up to /webhooks. Default: PUBLIC_BASE_URL, or as deployed.")
def tenant_check(deployment: Deployment, console: Console, *, company: str, url: str | None) -> None:
    """Look at COMPANY (its company_id) alone: addresses, secrets, the provider's account, webhooks."""
    from ops.commands import tenant as screen  # noqa: PLC0415  # as above

    raise SystemExit(screen.check(deployment, console, company, url))


@tenant.command("policy")
@on_stage
@click.argument("company")
@click.option("--channel", "channels", multiple=True, help="May be given again. To show: every channel by default.")
@click.option("--set", "told", multiple=True, metavar="NAME=VALUE", help="Write this policy; may be given again.")
@click.option("--unset", "removed", multiple=True, metavar="NAME", help="Remove this policy; may be given again.")
@_DRY_RUN
@_YES
def tenant_policy(
    deployment: Deployment,
    console: Console,
    *,
    company: str,
    channels: tuple[str, ...],
    told: tuple[str, ...],
    removed: tuple[str, ...],
    dry_run: bool,
    yes: bool,
) -> None:
    """Show the policies of COMPANY (its company_id), or write them to all of its rows with --set and --unset."""
    from ops.commands import policy as screen  # noqa: PLC0415  # as above

    code = screen.policy(deployment, console, company, channels, told, removed, is_dry_run=dry_run, yes=yes)
    raise SystemExit(code)


if __name__ == "__main__":
    cli(prog_name="python -m ops")
