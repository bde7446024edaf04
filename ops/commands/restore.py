"""A table, a queue or the bucket, made what the template describes."""

from __future__ import annotations

import threading

from rich.console import Console

from ops.repairs import restoring
from ops.stage.deployment import Deployment
from ops.terminal.confirmation import ask


def restore(deployment: Deployment, console: Console, name: str, *, is_dry_run: bool, yes: bool) -> None:
    """Create what is missing and change what differs, or show what would be done."""
    steps = restoring.plan(deployment, name, threading.Event().wait)
    for step in steps:
        console.print(f"{'would ' if is_dry_run else 'to do: '}{step.what}")
    if not steps:
        console.print(f"{name} is as the template describes it")
    if not steps or is_dry_run:
        return
    ask(f"Do this to {name}?", yes=yes)
    for step in steps:
        step.run()
        console.print(f"done: {step.what}")
