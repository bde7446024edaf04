"""The timeline of a conversation or of a message."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console

from ops.explain import evidence, timelines
from ops.stage.deployment import Deployment
from ops.terminal import masking


def explain(deployment: Deployment, console: Console, told: str, primary_channel: str | None, since: datetime) -> None:
    """Tell the story of a conversation, or of a message."""
    engine = deployment.engine()
    for facts in evidence.gather(deployment, engine, told, primary_channel, since):
        known = timelines.addresses(facts)
        if facts.conversation is not None:
            key = facts.conversation.key
            whose = f"conversation {key.conversation_id} of {facts.conversation.tenant}"
            status = facts.conversation.record.status
            console.print(f"{masking.text(whose, known)}, conversation_status {status}", style="bold")
        for event in timelines.events(facts):
            console.print(f"{event.at:%Y-%m-%d %H:%M:%S.%f}  {event.target:<16} {masking.text(event.what, known)}")
        if not facts.logged:
            console.print("(no log line: tables and queues alone tell this)", style="dim")
        console.print(f"=> {masking.text(timelines.verdict(facts), known)}", style="bold")
