"""The story of a conversation or of a message."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console

from ops import explaining, masking, stories
from ops.deployment import Deployment


def explain(deployment: Deployment, console: Console, told: str, primary_channel: str | None, since: datetime) -> None:
    """Tell the story of a conversation, or of a message."""
    engine = deployment.engine()
    for facts in explaining.gather(deployment, engine, told, primary_channel, since):
        known = stories.addresses(facts)
        if facts.conversation is not None:
            key = facts.conversation.key
            whose = f"conversation {key.conversation_id} of {facts.conversation.tenant}"
            status = facts.conversation.record.status
            console.print(f"{masking.text(whose, known)}, conversation_status {status}", style="bold")
        for event in stories.events(facts):
            console.print(f"{event.at:%Y-%m-%d %H:%M:%S.%f}  {event.where:<16} {masking.text(event.what, known)}")
        if not facts.logged:
            console.print("(no log line: tables and queues alone tell this)", style="dim")
        console.print(f"=> {masking.text(stories.verdict(facts), known)}", style="bold")
