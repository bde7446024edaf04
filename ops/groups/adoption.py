"""`adopt` and `conversation`: a table that a company has already, and rows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ops.options import DRY_RUN, JSON, YES, on_stage

if TYPE_CHECKING:
    from rich.console import Console

    from ops.stage.deployment import Deployment


@click.command()
@on_stage
@click.option("--table", required=True, help="The company's own conversations table.")
@DRY_RUN
@YES
@JSON
def adopt(deployment: Deployment, console: Console, *, table: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Report what TABLE lacks and what the engine would misread; add what is certain. --json only reports."""
    from ops.commands import adopt as screen  # noqa: PLC0415  # each command loads what it needs

    raise SystemExit(screen.adopt(deployment, console, table, is_dry_run=dry_run, yes=yes, as_json=as_json))


@click.group()
def conversation() -> None:
    """A conversation's row: add."""


@conversation.command("add")
@on_stage
@click.argument("company")
@click.option("--channel", required=True, help="whatsapp, sms or email.")
@click.option("--ours", required=True, help="The company's number or address that the customer writes to.")
@click.option("--customer", required=True, help="The customer's number or address.")
@click.option("--id", "conversation_id", help="Its id. Default: a fresh one.")
@DRY_RUN
@YES
def add(
    deployment: Deployment,
    console: Console,
    *,
    company: str,
    channel: str,
    ours: str,
    customer: str,
    conversation_id: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Create the row of a conversation of COMPANY, for a first test or a customer who writes first."""
    from ops.commands import conversation as screen  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above

    company, pair = names.company(deployment.target, company), (ours, customer)
    screen.add(deployment, console, company, channel, pair, conversation_id, is_dry_run=dry_run, yes=yes)
