"""Dead letters, one by one: listed, shown, sent back, dropped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from chalicelib.clock import SystemClock, iso
from ops.repairs import redriving, single_letters
from ops.repairs.single_letters import Held
from ops.stage.dead_letters import SqsDeadLetters, leave, take_all
from ops.stage.deployment import Deployment
from ops.stage.target import CommandError
from ops.terminal import masking
from ops.terminal.confirmation import ask
from ops.terminal.documents import show_document


def show_all(deployment: Deployment, console: Console, queue: str | None, *, as_json: bool) -> None:
    """Every dead letter, a line each, with the command that looks at it."""
    source = redriving.source(deployment.settings, queue) if queue else None
    found = list(single_letters.every(deployment.account, deployment.settings, source))
    if as_json:
        show_document(console, {"dead_letters": [_line(one) for one in found]})
        return
    for one in found:
        told = _line(one)
        whose = told["conversation_id"] or "no conversation"
        end = "" if one.is_readable else "  unreadable"
        console.print(f"{told['id']}  {told['sent_at']}  {told['queue']:<14} {whose}  {told['reason']}{end}")
    if not found:
        console.print("no dead letters")
        return
    console.print(f"then: {deployment.target.ops('dead-letters show ID')}")


def show_one(deployment: Deployment, console: Console, told: str, *, as_json: bool) -> None:
    """One dead letter, masked."""
    with single_letters.held(deployment.account, deployment.settings, told) as one:
        document = {**_line(one), "body": single_letters.shown(one.letter.body)}
        if as_json:
            show_document(console, document)
            return
        for name, value in document.items():
            is_text = isinstance(value, str)
            console.print(f"{name:<16} {value if is_text else json.dumps(value, indent=2, ensure_ascii=False)}")
        command = "redrive" if one.is_readable else "drop"
        more = "" if one.is_readable else " --reason TEXT"
        console.print(f"then: {deployment.target.ops(f'dead-letters {command} {one.letter.message_id}{more}')}")


def redrive_one(deployment: Deployment, console: Console, told: str, *, yes: bool) -> None:
    """Send one dead letter back to its queue."""
    with single_letters.held(deployment.account, deployment.settings, told) as one:
        if not one.is_readable:
            what = "it is unreadable, and would only come back"
            raise CommandError(what, deployment.target.ops(f"dead-letters drop {told} --reason TEXT"))
        ask(f"Send {one.letter.message_id} back to {one.source.name}?", yes=yes)
        redriving.redrive_one(one.letters, deployment.account.queue(one.source.name), one.letter)
        console.print(f"{one.letter.message_id} redriven to {one.source.name}")


def drop_one(deployment: Deployment, console: Console, told: str, reason: str, *, yes: bool) -> None:
    """Delete one dead letter for good, and keep why."""
    with single_letters.held(deployment.account, deployment.settings, told) as one:
        ask(f"Delete {one.letter.message_id} of {one.source.dead_name}? It cannot be undone.", yes=yes)
        _drop(deployment, console, one, reason)


def drop_unreadable(deployment: Deployment, console: Console, queue: str, reason: str, *, yes: bool) -> None:
    """Delete the dead letters of a queue that nobody can read, and keep why."""
    source = redriving.source(deployment.settings, queue)
    letters = SqsDeadLetters(deployment.account, source.dead_name)
    taken = take_all(letters)
    found = [one for one in (Held(source, letters, letter) for letter in taken) if not one.is_readable]
    dropped: list[Held] = []
    try:
        if found:
            ask(f"Delete {len(found)} unreadable dead letter(s)? It cannot be undone.", yes=yes)
        for one in found:
            _drop(deployment, console, one, reason)
            dropped.append(one)
    finally:
        leave(letters, _others(taken, dropped))
    console.print(f"{len(dropped)} dropped")


def _others(taken: Sequence[Any], dropped: Sequence[Held]) -> list[Any]:
    gone = {one.letter.receipt for one in dropped}
    return [one for one in taken if one.receipt not in gone]


def _drop(deployment: Deployment, console: Console, one: Held, reason: str) -> None:
    """Keep why first: a letter that is gone without a reason is worse than a reason without a drop."""
    entry = {"dropped_at": iso(SystemClock().now()), "stage": deployment.target.stage, "why": reason, **_line(one)}
    file = Path(click.get_app_dir("replies-engine")) / "dropped.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as log:
        log.write(json.dumps(entry) + "\n")
    one.letters.delete(one.letter)
    console.print(f"{one.letter.message_id} dropped; the reason is in {file}")


def _line(one: Held) -> dict[str, Any]:
    key = one.letter.conversation
    return {
        "id": one.letter.message_id,
        "sent_at": f"{one.letter.sent_at:%Y-%m-%d %H:%M:%S}",
        "queue": one.source.role,
        "conversation_id": masking.text(key.conversation_id) if key is not None else None,
        "tenant": one.letter.group,
        "batch_id": one.letter.batch_id,
        "reason": one.letter.reason or "it failed too often",
        "is_readable": one.is_readable,
    }
