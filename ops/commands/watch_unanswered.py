"""Unanswered messages at rest, put into the sweep's index."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console

from ops.repairs import watching
from ops.repairs.dry_run import dry_run_of
from ops.stage.deployment import Deployment
from ops.terminal import masking
from ops.terminal.confirmation import ask


def watch_unanswered(deployment: Deployment, console: Console, since: datetime, *, is_dry_run: bool, yes: bool) -> None:
    """Watch what is found, or say what would be watched."""
    engine = deployment.engine()
    found = watching.find(engine, since)
    for record in found:
        count = len(record.unanswered)
        console.print(f"{masking.text(record.key.conversation_id)}  {count} unanswered  {record.status}")
    if not found:
        console.print("no unanswered messages were left")
        return
    if not is_dry_run:
        ask(f"Let the sweep send {len(found)} conversation(s) to the AI once more?", yes=yes)
    watched = watching.watch(dry_run_of(engine) if is_dry_run else engine, found)
    console.print(f"{'would be: ' if is_dry_run else ''}{watched} watched, {len(found) - watched} changed meanwhile")
