"""A company's policies: shown, and changed over all of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rich.console import Console

from chalicelib.conversations import policies
from chalicelib.conversations.conversation import CHANNEL_CONFIG
from chalicelib.conversations.policies import Merged, Policy
from ops.stage.deployment import Deployment, OperatorEngine
from ops.stage.target import CommandError
from ops.tenants import names, policy_rows
from ops.tenants.policy_rows import Result, Wish
from ops.tenants.rows import of_companies, tenant_of
from ops.terminal.confirmation import ask
from ops.terminal.documents import show_document

_FINE = (Result.CHANGED, Result.UNCHANGED, Result.GONE)


def policy(
    deployment: Deployment,
    console: Console,
    company: str,
    channels: Sequence[str],
    told: Sequence[str],
    removed: Sequence[str],
    *,
    is_dry_run: bool,
    yes: bool,
    as_json: bool = False,
) -> int:
    """Show a company's policies, or write some to its rows: 1 where a row could not be changed."""
    engine = deployment.engine()
    names.require_channels(channels, engine.channels)
    wish = Wish.of(told, removed, deployment.settings)
    if not wish.is_empty and not channels:
        raise CommandError("no channel is named", f"--channel, one or more of {', '.join(engine.channels)}")
    if not wish.is_empty:
        is_whole = True
        what = ", ".join(
            [*(f"{name} = {value}" for name, value in wish.put.items()), *(f"no {one}" for one in removed)]
        )
        if not is_dry_run:
            ask(f"Write {what} to the {', '.join(channels)} rows of {company}?", yes=yes)
        for channel in channels:
            is_whole &= _change(engine, deployment, console, company, channel, wish, is_dry_run=is_dry_run)
        return 0 if is_whole else 1
    found = _found(engine, deployment, company, channels or tuple(engine.channels))
    if as_json:
        show_document(console, {"company": company, "policies": [_document(deployment, *one) for one in found]})
    else:
        _show(deployment, console, found)
    return 0


def _change(
    engine: OperatorEngine,
    deployment: Deployment,
    console: Console,
    company: str,
    channel: str,
    wish: Wish,
    *,
    is_dry_run: bool,
) -> bool:
    """Change the rows of one channel, and tell how many; whether none is left."""
    table, counts = engine.tables.conversations, Counter[Result]()
    for key in policy_rows.rows(table, engine.channels[channel], company):
        result = policy_rows.change(table, deployment.settings, key, channel, wish, is_dry_run=is_dry_run)
        counts[result] += 1
        if result not in _FINE:
            console.print(f"{channel} {key.conversation_id}: {result.value}")
    if not counts:
        console.print(f"{channel}: {company} has no conversation")
    for result, count in counts.items():
        word = "would be changed" if is_dry_run and result is Result.CHANGED else result.value
        console.print(f"{channel}: {count} row{'s' if count > 1 else ''} {word}")
    return all(result in _FINE for result in counts)


def _found(
    engine: OperatorEngine, deployment: Deployment, company: str, channels: Sequence[str]
) -> list[tuple[str, int, Merged]]:
    """What applies, by channel, and to how many rows; rows that differ are apart."""
    settings, table = deployment.settings, engine.tables.conversations
    asked = {name: engine.channels[name] for name in channels}
    found: dict[tuple[str, str], list[Merged]] = {}
    for channel, row in of_companies(table, asked, company):
        merged = policies.merge(settings, row.get(CHANNEL_CONFIG), channel.name)
        found.setdefault((channel.name, repr((vars(merged.policy), merged.findings))), []).append(merged)
    if not found:
        known = (tenant_of(row) for _, row in of_companies(table, engine.channels))
        raise names.unknown_company(company, known)
    return [(name, len(alike), alike[0]) for (name, _), alike in found.items()]


def _show(deployment: Deployment, console: Console, found: Sequence[tuple[str, int, Merged]]) -> None:
    for name, count, merged in found:
        console.print(f"{name}, {count} row{'s' if count > 1 else ''}:")
        for one in fields(Policy):
            value, default = getattr(merged.policy, one.name), getattr(deployment.settings, one.name)
            console.print(f"  {one.name} = {value!r}{'' if value != default else ' (setting)'}")
        for finding in merged.findings:
            console.print(f"  ! {finding}")


def _document(deployment: Deployment, channel: str, count: int, merged: Merged) -> dict[str, Any]:
    values = {one.name: getattr(merged.policy, one.name) for one in fields(Policy)}
    own = [name for name, value in values.items() if value != getattr(deployment.settings, name)]
    return {
        "channel": channel,
        "rows": count,
        "values": values,
        "own": own,
        "not_applied": [str(one) for one in merged.findings],
    }
