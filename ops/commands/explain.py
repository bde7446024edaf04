"""The timeline of a conversation or of a message, and the verdict."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console

from ops.explain import evidence, timelines, verdicts
from ops.explain.timelines import Facts
from ops.explain.verdicts import Verdict
from ops.stage.deployment import Deployment
from ops.terminal import masking
from ops.terminal.documents import show_document


def explain(
    deployment: Deployment,
    console: Console,
    told: str,
    primary_channel: str | None,
    since: datetime,
    *,
    as_json: bool = False,
) -> int:
    """Show what happened and why; the exit code of the last verdict."""
    engine, documents, code = deployment.engine(), [], 0
    for facts in evidence.gather(deployment, engine, told, primary_channel, since):
        found = verdicts.verdict(facts)
        code = found.kind.exit_code
        if as_json:
            documents.append(story(facts))
        else:
            _show(console, facts, found)
    if as_json:
        show_document(console, {"asked": masking.text(told), "stories": documents, "exit_code": code})
    return code


def _show(console: Console, facts: Facts, found: Verdict) -> None:
    known = timelines.addresses(facts)
    if facts.conversation is not None:
        key = facts.conversation.key
        whose = f"conversation {key.conversation_id} of {facts.conversation.tenant}"
        status = facts.conversation.record.status
        console.print(f"{masking.text(whose, known)}, conversation_status {status}", style="bold")
    for event in timelines.events(facts):
        console.print(f"{event.at:%Y-%m-%d %H:%M:%S.%f}  {event.target:<16} {masking.text(event.what, known)}")
    if not facts.has_logs:
        console.print("(no log is available: only tables and queues were read)", style="dim")
    console.print(f"=> {found.kind.words}: {masking.text(found.text, known)}", style="bold")


def story(facts: Facts, *, shows_texts: bool = False) -> dict[str, Any]:
    """What happened, and the verdict, as JSON; what was written only where the operator asks for texts."""
    found = verdicts.verdict(facts)
    known = timelines.addresses(facts)
    conversation = facts.conversation
    texts = [
        {"at": one.get("timestamp"), "direction": one.get("direction"), "text": one.get("content")}
        for one in (facts.entries if shows_texts else ())
    ]
    return {
        **({"messages": texts} if shows_texts else {}),
        "conversation_id": conversation and masking.text(conversation.key.conversation_id, known),
        "tenant": conversation and conversation.tenant,
        "message": facts.wanted and masking.text(facts.wanted, known),
        "verdict": found.kind.name.lower(),
        "is_a_fault_of_ours": found.kind.is_ours,
        "text": masking.text(found.text, known),
        "exit_code": found.kind.exit_code,
        "events": [
            {"at": one.at, "target": one.target, "what": masking.text(one.what, known)}
            for one in timelines.events(facts)
        ],
    }
