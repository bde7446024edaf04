"""What the provider delivered, and what of it is taken in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console

from chalicelib.messages.inbound import InboundMessage
from chalicelib.telemetry import Step
from ops.repairs import catching_up
from ops.repairs.catching_up import Result
from ops.repairs.dry_run import dry_run_of
from ops.stage.deployment import Deployment, OperatorEngine
from ops.stage.target import CommandError
from ops.tenants import names, providers, rows, twilio_messages
from ops.tenants.rows import TenantAddress
from ops.tenants.secrets import Secrets
from ops.terminal import masking
from ops.terminal.confirmation import ask
from ops.terminal.step_texts import in_words


def catch_up(
    deployment: Deployment,
    console: Console,
    tenant: str,
    since: datetime,
    *,
    only: str | None = None,
    is_dry_run: bool,
    yes: bool,
) -> None:
    """Feed what is missing, or tell what would be fed."""
    engine = deployment.engine()
    lines = rows.lines(engine.tables.conversations, engine.channels, tenant)
    if not lines:
        everyone = rows.lines(engine.tables.conversations, engine.channels)
        raise names.unknown_company(tenant, (one.tenant for one in everyone))
    messages = _delivered(deployment, engine, console, lines, since)
    if only is not None:
        messages = [one for one in messages if one.message_sid == only]
        if not messages:
            what = f"the provider does not list {only} among what it delivered to {tenant} since {since:%Y-%m-%d}"
            raise CommandError(what, "its sid, or a longer --since")
    if not is_dry_run:
        ask(f"Receive the missing ones of {len(messages)} message(s) since {since:%Y-%m-%d %H:%M}?", yes=yes)
    counts = dict.fromkeys(Result, 0)
    for one in catching_up.catch_up(dry_run_of(engine) if is_dry_run else engine, messages):
        counts[one.result] += 1
        if one.result is not Result.KNOWN:
            steps = ", ".join(in_words(line) for line in engine.notes.take() if line.step in _TELLING)
            told = [f"{one.result}", *([one.code.value] if one.code else []), *([steps] if steps else [])]
            sender = masking.address(one.message.sender.value)
            at = f"{one.message.received_at:%Y-%m-%d %H:%M:%S}"
            console.print(f"{at}  {one.message.channel}  {one.message.message_sid}  {sender}  {'; '.join(told)}")
        engine.notes.take()
    summary = ", ".join(f"{count} {result}" for result, count in counts.items() if count)
    console.print(("would be: " if is_dry_run else "") + (summary or "the provider delivered nothing"))
    raise SystemExit(1 if counts[Result.FAILED] else 0)


_TELLING = frozenset({Step.STAGED, Step.DUPLICATE, Step.TRIGGERED, Step.HANDED_OFF, Step.OPT_OUT})
"""The steps of a message that say where it went."""


def _delivered(
    deployment: Deployment, engine: OperatorEngine, console: Console, lines: Sequence[TenantAddress], since: datetime
) -> list[InboundMessage]:
    """What the providers of these addresses say that they delivered, in order."""
    found: dict[str, InboundMessage] = {}
    secrets = Secrets(deployment.account)
    texts = {line: secrets.text(line.credential_ref) if line.credential_ref else None for line in lines}
    for line in lines:
        channel = engine.channels[line.channel]
        shown = f"{line.channel} at {masking.address(line.address)}"
        if not providers.of_channel(channel).lists_inbound:
            console.print(f"{shown}: its provider keeps no list of delivered messages, so catch-up is not possible")
            continue
        secret = texts[line]
        if secret is None and any(texts[one] for one in lines if _is_of_one_address(one, line)):
            continue  # a conversation that names none, or one that is gone: its neighbours' secret asks for both
        if secret is None:
            raise CommandError(f"{shown} has no secret to ask the provider with", deployment.target.ops("doctor"))
        listed = twilio_messages.inbound(engine, channel, line.address, secret, since)
        console.print(f"{shown}: the provider lists {len(listed)} message(s)")
        found |= {one.message_sid: one for one in listed}
    return sorted(found.values(), key=lambda one: one.received_at)


def _is_of_one_address(one: TenantAddress, other: TenantAddress) -> bool:
    return (one.channel, one.address) == (other.channel, other.address)
