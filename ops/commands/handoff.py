"""A conversation that an operator hands to people."""

from __future__ import annotations

from rich.console import Console

from chalicelib.conversations import lookup
from chalicelib.messages.replies import REASON_LENGTH_MAX
from chalicelib.telemetry import Trail
from ops.repairs.dry_run import dry_run_of
from ops.stage import search
from ops.stage.deployment import Deployment
from ops.stage.target import CommandError
from ops.terminal import masking
from ops.terminal.confirmation import ask
from ops.terminal.step_texts import in_words


def handoff(
    deployment: Deployment,
    console: Console,
    conversation_id: str,
    primary_channel: str | None,
    *,
    reason: str,
    is_dry_run: bool,
    yes: bool,
) -> None:
    """Hand a conversation to people, or say what would happen.

    Raises:
        CommandError: a handoff stands already, or the reason is too long.
    """
    if len(reason) > REASON_LENGTH_MAX:
        raise CommandError(f"a reason has at most {REASON_LENGTH_MAX} characters", "a shorter --reason")
    engine = deployment.engine()
    key = search.the_one(engine.tables, engine.channels, conversation_id, primary_channel, deployment.target)
    conversation = lookup.load(engine.tables.conversations, key, engine.settings.context_attributes)
    if conversation is None or conversation.record.handed_off_by is not None:
        raise CommandError(
            f"{conversation_id} is with people already", deployment.target.ops(f"explain {conversation_id}")
        )
    record = conversation.record
    is_sending = record.claim is not None
    console.print(
        f"{conversation_id}: {len(record.unanswered_ids)} unanswered message(s) go to people"
        + (" once the reply that is being sent has ended or is withheld" if is_sending else "")
    )
    if not is_dry_run:
        ask("Hand it to people until they give it back?", yes=yes)
    acting = dry_run_of(engine) if is_dry_run else engine
    trail = Trail(engine.telemetry, engine.clock, request_id="ops-handoff")
    is_theirs = acting.handing_over.hand_over(acting.tables, acting.queues, key, reason, trail)
    for line in engine.notes.take():
        console.print(f"  {masking.text(in_words(line))}")
    if is_dry_run:
        console.print("nothing was changed: this was a dry run")
        return
    console.print("handed to people" if is_theirs else "kept: it changed meanwhile; look again")
    raise SystemExit(0 if is_theirs else 1)
