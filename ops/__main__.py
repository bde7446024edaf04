"""`replies-engine`: the command line. Its groups and options only; each body is one call.

Nothing heavy is imported before a command runs, so that `--help` and shell completion are fast.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from ops import VERSION
from ops.groups import machine
from ops.groups.adoption import adopt, conversation
from ops.groups.dead_letters import dead_letters
from ops.groups.profiles import profile
from ops.groups.tenants import tenant
from ops.groups.trials import load, smoke
from ops.options import DRY_RUN, JSON, LEVELS, PRIMARY_CHANNEL, YES, on_stage
from ops.terminal.time_ranges import SINCE

if TYPE_CHECKING:
    from rich.console import Console

    from ops.stage.deployment import Deployment


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="replies-engine")
def cli() -> None:
    """Operates a deployment of replies-engine: docs/ops.md describes each command.

    Shell completion: docs/ops.md#completion.
    """


cli.add_command(tenant)
cli.add_command(profile)
cli.add_command(adopt)
cli.add_command(conversation)
cli.add_command(dead_letters)
cli.add_command(smoke)
cli.add_command(load)
machine.add_to(cli)


@cli.command()
@on_stage
@click.option("--tenant", "tenants", multiple=True, help="Only this company, by its company_id; may be given again.")
@click.option("--no-tenants", is_flag=True, help="Check only the stage: no company's rows, no provider, no probe.")
@click.option("--all-rows", is_flag=True, help="Read the whole conversations table, of any size.")
@click.option("--url", help="The webhooks' URL, up to /webhooks. Default: PUBLIC_BASE_URL, or as deployed.")
@JSON
def doctor(
    deployment: Deployment,
    console: Console,
    *,
    tenants: tuple[str, ...],
    no_tenants: bool,
    all_rows: bool,
    url: str | None,
    as_json: bool,
) -> None:
    """Check everything; print one line per fault, with the command that fixes it."""
    from ops.commands.doctor import show_areas  # noqa: PLC0415  # each command loads what it needs
    from ops.doctor import examination as doctoring  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above

    companies = tuple(names.company(deployment.target, one) for one in tenants)
    asked = doctoring.Asked(companies, looks_at_tenants=not no_tenants, url=url, reads_all=all_rows)
    raise SystemExit(show_areas(console, doctoring.examine(deployment, asked), as_json=as_json))


@cli.command()
@on_stage
@click.argument("name")
@DRY_RUN
@YES
def restore(deployment: Deployment, console: Console, *, name: str, dry_run: bool, yes: bool) -> None:
    """Create the table, queue or bucket NAME, or change it, so that it matches the template."""
    from ops.commands import restore as screen  # noqa: PLC0415  # as above

    screen.restore(deployment, console, name, is_dry_run=dry_run, yes=yes)


@cli.command()
@on_stage
@click.argument("queue")
@click.option("--conversation", "conversation_id", help="Only this conversation's.")
@DRY_RUN
@YES
def redrive(
    deployment: Deployment, console: Console, *, queue: str, conversation_id: str | None, dry_run: bool, yes: bool
) -> None:
    """Send the dead letters of QUEUE back to it: whatsapp, sms, email, ai, ai-replies, ..."""
    from ops.commands import redrive as screen  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above

    if conversation_id is not None:
        conversation_id = names.conversation(deployment.target, conversation_id)
    screen.redrive(deployment, console, queue, conversation_id, is_dry_run=dry_run, yes=yes)


@cli.command()
@on_stage
@click.argument("conversation_id")
@PRIMARY_CHANNEL
@click.option("--now", "at_once", is_flag=True, help="Also reset a lock that has not stalled yet.")
@YES
def unlock(
    deployment: Deployment,
    console: Console,
    *,
    conversation_id: str,
    primary_channel: str | None,
    at_once: bool,
    yes: bool,
) -> None:
    """Reset the lock of a conversation, as the sweep would."""
    from ops.commands import unlock as screen  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above

    conversation_id = names.conversation(deployment.target, conversation_id)
    screen.unlock(deployment, console, conversation_id, primary_channel, at_once=at_once, yes=yes)


@cli.command()
@on_stage
@click.argument("conversation_id")
@PRIMARY_CHANNEL
@click.option("--reason", default="", help="Why; people see it with each message.")
@DRY_RUN
@YES
def handoff(
    deployment: Deployment,
    console: Console,
    *,
    conversation_id: str,
    primary_channel: str | None,
    reason: str,
    dry_run: bool,
    yes: bool,
) -> None:
    """Hand a conversation to people, until they give it back to the AI."""
    from ops.commands import handoff as screen  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above

    conversation_id = names.conversation(deployment.target, conversation_id)
    screen.handoff(deployment, console, conversation_id, primary_channel, reason=reason, is_dry_run=dry_run, yes=yes)


@cli.command("watch-unanswered")
@on_stage
@click.option(
    "--since",
    type=SINCE,
    default="24h",
    show_default=True,
    help="Only conversations that changed since: 90m, 24h, 7d, or ISO 8601.",
)
@DRY_RUN
@YES
def watch_unanswered(deployment: Deployment, console: Console, *, since: datetime, dry_run: bool, yes: bool) -> None:
    """Let the sweep find unanswered messages that an earlier version left; run once after an upgrade."""
    from ops.commands import watch_unanswered as screen  # noqa: PLC0415  # as above

    screen.watch_unanswered(deployment, console, since, is_dry_run=dry_run, yes=yes)


@cli.command("widen-opt-outs")
@on_stage
@DRY_RUN
@YES
def widen_opt_outs(deployment: Deployment, console: Console, *, dry_run: bool, yes: bool) -> None:
    """Extend each channel's opt-out to all channels, before a rollback to a version without opt-outs per channel."""
    from ops.commands import widen_opt_outs as screen  # noqa: PLC0415  # as above

    screen.widen_opt_outs(deployment, console, is_dry_run=dry_run, yes=yes)


@cli.command()
@on_stage
@click.argument("told", metavar="CONVERSATION|MESSAGE|ADDRESS|SEND_ID")
@PRIMARY_CHANNEL
@click.option(
    "--since",
    type=SINCE,
    default="24h",
    show_default=True,
    help="Start of the logs to read: 90m, 24h, 7d, or ISO 8601.",
)
@JSON
def explain(
    deployment: Deployment, console: Console, *, told: str, primary_channel: str | None, since: datetime, as_json: bool
) -> None:
    """Explain why a message has a reply or none: a timeline from tables, dead letters and logs, and a verdict."""
    from ops.commands import explain as screen  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above

    told = names.conversation(deployment.target, told)
    raise SystemExit(screen.explain(deployment, console, told, primary_channel, since, as_json=as_json))


@cli.command("catch-up")
@on_stage
@click.argument("tenant")
@click.option("--since", type=SINCE, help="Start: 6h, 2d, or ISO 8601. With --message: 30d by default.")
@click.option("--message", "message_sid", help="Only this message of the provider's list.")
@DRY_RUN
@YES
def catch_up(
    deployment: Deployment,
    console: Console,
    *,
    tenant: str,
    since: datetime | None,
    message_sid: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Receive messages that the provider delivered to TENANT (its company_id) and a fault of ours dropped."""
    from ops.commands import catch_up as screen  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above

    tenant = names.company(deployment.target, tenant)
    if since is None and message_sid is None:
        raise click.UsageError("--since, or --message with one message's sid")
    since = since or SINCE.convert("30d", None, None)
    screen.catch_up(deployment, console, tenant, since, only=message_sid, is_dry_run=dry_run, yes=yes)


@cli.command()
@on_stage
@click.option("--since", type=SINCE, default="5m", show_default=True, help="Start: 5m, 2h, or ISO 8601.")
@click.option("--level", type=click.Choice(LEVELS), default="INFO", show_default=True, help="Nothing quieter.")
@click.option("--only", "words", metavar="TEXT", help="Only lines that contain this text, such as an id or a code.")
@click.option("--no-follow", is_flag=True, help="Show the existing lines, and end.")
@JSON
def tail(
    deployment: Deployment,
    console: Console,
    *,
    since: datetime,
    level: str,
    words: str | None,
    no_follow: bool,
    as_json: bool,
) -> None:
    """Show the log lines of all functions as one stream."""
    from ops.commands import tail as screen  # noqa: PLC0415  # as above

    screen.tail(deployment, console, since, level=level, words=words, is_following=not no_follow, as_json=as_json)


@cli.command()
@on_stage
@click.option("--port", default=8013, show_default=True, help="Where the console is served on this machine.")
@click.option("--show-texts", is_flag=True, help="Show what people wrote, and whole addresses.")
def console(deployment: Deployment, console: Console, *, port: int, show_texts: bool) -> None:
    """Show the stage in a browser: conversations by state, stories, dead letters, the doctor's findings."""
    try:
        from ops.console.command import serve  # noqa: PLC0415  # each command loads what it needs
    except ModuleNotFoundError as error:
        fix = ".venv/bin/python -m pip install -r requirements-console.txt"
        raise click.ClickException(f"the console needs the package {error.name}; fix: {fix}") from error
    serve(deployment, console, port, shows_texts=show_texts)


@cli.command()
@on_stage
@click.argument("address")
@DRY_RUN
@YES
def erase(deployment: Deployment, console: Console, *, address: str, dry_run: bool, yes: bool) -> None:
    """Erase a person, by number or e-mail address, from everything that we keep."""
    from ops.commands import erase as screen  # noqa: PLC0415  # as above

    screen.erase(deployment, console, address, is_dry_run=dry_run, yes=yes)


def main() -> None:
    """The console script."""
    cli(prog_name="replies-engine")


if __name__ == "__main__":
    main()
