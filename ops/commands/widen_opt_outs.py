"""Opt-outs of channels, made opt-outs of whole conversations before a rollback."""

from __future__ import annotations

from rich.console import Console

from ops.repairs import widening
from ops.repairs.dry_run import dry_run_of
from ops.stage.deployment import Deployment
from ops.terminal import masking
from ops.terminal.confirmation import ask


def widen_opt_outs(deployment: Deployment, console: Console, *, is_dry_run: bool, yes: bool) -> None:
    """Widen what is found, or say what would be widened."""
    engine = deployment.engine()
    found = widening.find(engine)
    for one in found:
        channels = ", ".join(sorted(one.opt_out_marks.channels))
        console.print(f"{masking.text(one.record.key.conversation_id)}  opted out of {channels}")
    if not found:
        console.print("no conversation is opted out of a channel")
        return
    if not is_dry_run:
        ask(f"Stop every channel of {len(found)} conversation(s) until their customers say START?", yes=yes)
    widened = widening.widen(dry_run_of(engine) if is_dry_run else engine, found)
    console.print(f"{'would be: ' if is_dry_run else ''}{widened} widened, {len(found) - widened} changed meanwhile")
