"""What the commands show: lines for a terminal that read as well in a file."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from chalicelib.observability import Trail
from ops import looking_up, masking, redriving, unlocking
from ops.asking import ask
from ops.deployment import Deployment
from ops.doctor import Area
from ops.findings import Weight
from ops.letters import LETTERS_MAX, SqsLetters
from ops.redriving import Fate
from ops.telling import in_words

_SIGNS = {Weight.FAULT: ("✗", "red"), Weight.WARNING: ("!", "yellow")}


def show_areas(console: Console, areas: Iterable[Area]) -> int:
    """Show what the doctor found, as it finds it; 1 where there is a fault, else 0."""
    counts = dict.fromkeys(Weight, 0)
    for area in areas:
        if area.is_sound:
            console.print(f"✓ {area.name}", style="green")
        for finding in area.findings:
            counts[finding.weight] += 1
            sign, style = _SIGNS[finding.weight]
            console.print(f"{sign} {finding.line}", style=style)
    console.print(f"{counts[Weight.FAULT]} fault(s), {counts[Weight.WARNING]} warning(s)")
    return 1 if counts[Weight.FAULT] else 0


def redrive(
    deployment: Deployment, console: Console, told: str, conversation_id: str | None, *, is_rehearsal: bool, yes: bool
) -> None:
    """Send dead letters back, or tell which would go."""
    source = redriving.source(deployment.settings, told)
    if not is_rehearsal:
        whose = f"of conversation {conversation_id}" if conversation_id else "of all conversations"
        ask(f"Send what lies in {source.dead_name} {whose} back to {source.name}?", yes=yes)
    counts = dict.fromkeys(Fate, 0)
    for one in redriving.redrive(
        SqsLetters(deployment.account, source.dead_name),
        deployment.account.queue(source.name),
        source.read,
        conversation_id=conversation_id,
        is_rehearsal=is_rehearsal,
    ):
        counts[one.fate] += 1
        if one.fate is not Fate.ANOTHER_S:
            key = one.letter.conversation
            whose = key.conversation_id if key is not None else "no conversation"
            reason = one.letter.reason or "failed too often"
            console.print(f"{one.letter.sent_at:%Y-%m-%d %H:%M:%S}  {masking.text(whose)}  {reason}  {one.fate}")
    console.print(", ".join(f"{count} {fate}" for fate, count in counts.items() if count) or "no dead letters")
    if sum(counts.values()) == LETTERS_MAX:
        console.print("There may be more: the same command takes the next.")


def unlock(
    deployment: Deployment,
    console: Console,
    conversation_id: str,
    primary_channel: str | None,
    *,
    at_once: bool,
    yes: bool,
) -> None:
    """Let go of a lock, if the protocol lets."""
    engine = deployment.engine()
    key = looking_up.the_one(engine.tables, engine.channels, conversation_id, primary_channel, deployment.where)
    conversation, verdict = unlocking.look(engine, key, at_once=at_once)
    console.print(f"{conversation_id}: {verdict.why}")
    if not verdict.may_unlock:
        raise SystemExit(0 if not conversation.record.is_locked else 1)
    ask(f"Let go of the lock of batch {conversation.record.batch_id or 'of another system'}?", yes=yes)
    is_unlocked = unlocking.unlock(engine, conversation, Trail(engine.telemetry, request_id="ops-unlock"))
    for line in engine.notes.take():
        console.print(f"  {masking.text(in_words(line))}")
    console.print("unlocked" if is_unlocked else "kept: it changed meanwhile; look again")
    raise SystemExit(0 if is_unlocked else 1)
