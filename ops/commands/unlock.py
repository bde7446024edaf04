"""Releases a lock by hand."""

from __future__ import annotations

from rich.console import Console

from chalicelib.telemetry import Trail
from ops.repairs import unlocking
from ops.stage import search
from ops.stage.deployment import Deployment
from ops.terminal import masking
from ops.terminal.confirmation import ask
from ops.terminal.step_texts import in_words


def unlock(
    deployment: Deployment,
    console: Console,
    conversation_id: str,
    primary_channel: str | None,
    *,
    at_once: bool,
    yes: bool,
) -> None:
    """Release a lock, if the protocol allows it."""
    engine = deployment.engine()
    key = search.the_one(engine.tables, engine.channels, conversation_id, primary_channel, deployment.target)
    conversation, verdict = unlocking.look(engine, key, at_once=at_once)
    console.print(f"{conversation_id}: {verdict.why}")
    if not verdict.may_unlock:
        raise SystemExit(0 if not conversation.record.is_locked else 1)
    ask(f"Release the lock of batch {conversation.record.batch_id or 'of another system'}?", yes=yes)
    is_unlocked = unlocking.unlock(engine, conversation, Trail(engine.telemetry, engine.clock, request_id="ops-unlock"))
    for line in engine.notes.take():
        console.print(f"  {masking.text(in_words(line))}")
    console.print("unlocked" if is_unlocked else "kept: it changed meanwhile; look again")
    raise SystemExit(0 if is_unlocked else 1)
