"""`dead-letters`: what failed for good, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ops.options import JSON, YES, on_stage

if TYPE_CHECKING:
    from rich.console import Console

    from ops.stage.deployment import Deployment

_REASON = click.option("--reason", required=True, help="Why it is dropped; a local file keeps it.")


@click.group("dead-letters")
def dead_letters() -> None:
    """Dead letters one by one: list, show, redrive, drop; `redrive` sends back all of a queue."""


@dead_letters.command("list")
@on_stage
@click.argument("queue", required=False)
@JSON
def show_all(deployment: Deployment, console: Console, *, queue: str | None, as_json: bool) -> None:
    """Show the dead letters of QUEUE (whatsapp, ai-replies, ...) or of every queue."""
    from ops.commands import dead_letters as screen  # noqa: PLC0415  # each command loads what it needs

    screen.show_all(deployment, console, queue, as_json=as_json)


@dead_letters.command("show")
@on_stage
@click.argument("letter", metavar="ID")
@JSON
def show(deployment: Deployment, console: Console, *, letter: str, as_json: bool) -> None:
    """Show one dead letter: ids and instants whole, texts and addresses masked."""
    from ops.commands import dead_letters as screen  # noqa: PLC0415  # as above

    screen.show_one(deployment, console, letter, as_json=as_json)


@dead_letters.command("redrive")
@on_stage
@click.argument("letter", metavar="ID")
@YES
def redrive(deployment: Deployment, console: Console, *, letter: str, yes: bool) -> None:
    """Send one dead letter back to its queue."""
    from ops.commands import dead_letters as screen  # noqa: PLC0415  # as above

    screen.redrive_one(deployment, console, letter, yes=yes)


@dead_letters.command("drop")
@on_stage
@click.argument("letter", metavar="ID|QUEUE")
@click.option("--unreadable", is_flag=True, help="Every unreadable letter of QUEUE.")
@_REASON
@YES
def drop(deployment: Deployment, console: Console, *, letter: str, unreadable: bool, reason: str, yes: bool) -> None:
    """Delete one dead letter, or the unreadable ones of QUEUE."""
    from ops.commands import dead_letters as screen  # noqa: PLC0415  # as above

    act = screen.drop_unreadable if unreadable else screen.drop_one
    act(deployment, console, letter, reason, yes=yes)
