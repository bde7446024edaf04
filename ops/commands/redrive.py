"""Dead letters on their way back."""

from __future__ import annotations

from rich.console import Console

from ops.repairs import redriving
from ops.repairs.redriving import Result
from ops.stage.dead_letters import DEAD_LETTERS_MAX, SqsDeadLetters
from ops.stage.deployment import Deployment
from ops.terminal import masking
from ops.terminal.confirmation import ask


def redrive(
    deployment: Deployment, console: Console, told: str, conversation_id: str | None, *, is_dry_run: bool, yes: bool
) -> None:
    """Send dead letters back, or tell which would go."""
    source = redriving.source(deployment.settings, told)
    if not is_dry_run:
        whose = f"of conversation {conversation_id}" if conversation_id else "of all conversations"
        ask(f"Send the messages of {source.dead_name} {whose} back to {source.name}?", yes=yes)
    counts = dict.fromkeys(Result, 0)
    for one in redriving.redrive(
        SqsDeadLetters(deployment.account, source.dead_name),
        deployment.account.queue(source.name),
        source.read,
        conversation_id=conversation_id,
        is_dry_run=is_dry_run,
    ):
        counts[one.result] += 1
        if one.result is not Result.ANOTHER_S:
            key = one.dead_letter.conversation
            whose = key.conversation_id if key is not None else "no conversation"
            reason = one.dead_letter.reason or "failed too often"
            console.print(f"{one.dead_letter.sent_at:%Y-%m-%d %H:%M:%S}  {masking.text(whose)}  {reason}  {one.result}")
    console.print(", ".join(f"{count} {result}" for result, count in counts.items() if count) or "no dead letters")
    if sum(counts.values()) == DEAD_LETTERS_MAX:
        console.print(
            f"No more than {DEAD_LETTERS_MAX:,} are looked at in one go: there may be more behind what stays there."
        )
