"""The URLs in Twilio's console: what comes to each address is sent to this stage, by POST, and again after a 5xx."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any
from urllib.parse import urldefrag

from chalicelib.channels.twilio import RETRIES
from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.errors import EngineError, Misconfigured
from ops.doctor.findings import Finding, Weight
from ops.stage.deployment import Deployment
from ops.tenants import providers
from ops.tenants.console_urls import Console, Inbound
from ops.tenants.rows import TenantAddress
from ops.tenants.secrets import Secrets
from ops.terminal import masking

AREA = "console urls"


def check(
    deployment: Deployment,
    lines: Sequence[TenantAddress],
    secrets: Secrets,
    refused: Collection[tuple[str, str]],
    bases: Sequence[str],
) -> Iterator[Finding]:
    """What is wrong with the URLs; a stub, on this machine or of a rehearsal, has no console.

    Args:
        deployment: whose.
        lines: the addresses, with the secrets that they name.
        secrets: of the stage.
        refused: secrets and fields that the provider does not accept, which is told elsewhere.
        bases: where the stage's webhooks answer; empty: nowhere, which is told elsewhere.
    """
    if deployment.target.run is not None or deployment.target.is_on_this_machine or not bases:
        return
    engine, consoles = deployment.engine(), dict[str, Console]()
    ours = {f"{base}/webhooks/{name}" for base in bases for name in engine.channels}
    for line in lines:
        channel = engine.channels[line.channel]
        text = secrets.text(line.credential_ref) if line.credential_ref else None
        if text is None or not providers.of_channel(channel).lists_inbound or not _is_whole(text):
            continue
        if any(ref == line.credential_ref for ref, _ in refused):
            continue
        shown = f"{line.channel} of {line.tenant} at {masking.address(line.address)}"
        sender: Any = engine.senders[line.channel]
        console = consoles.setdefault(text, Console(sender, text))
        try:
            found = console.inbound(channel, line.address)
        except EngineError as error:
            what = f"the URL for {shown} is not compared: {error.detail}"
            yield Finding(AREA, what, "look at it in Twilio's console", Weight.NOTE)
            continue
        yield from _compared(shown, found, ours, f"{bases[0]}/webhooks/{line.channel}")


def _compared(shown: str, found: Inbound | None, ours: Collection[str], wanted: str) -> Iterator[Finding]:
    if found is None:
        what = f"the URL for {shown} is not compared: the account does not list the address"
        yield Finding(AREA, what, "look at it in Twilio's console", Weight.NOTE)
        return
    called, fragment = urldefrag(found.url)
    fix = f"Twilio's console, {found.setting}: {wanted}{RETRIES}, HTTP POST"
    if called.rstrip("/") not in ours:
        yield Finding(AREA, f"Twilio sends {shown} to {called or 'nobody'}", fix)
    elif found.method.upper() != "POST":
        yield Finding(AREA, f"Twilio sends {shown} by {found.method}, and the webhook takes POST", fix)
    elif f"#{fragment}" != RETRIES:
        what = f"Twilio does not send {shown} again after a 5xx: the URL lacks {RETRIES}"
        yield Finding(AREA, what, fix, Weight.WARNING)


def _is_whole(text: str) -> bool:
    try:
        _ = TwilioCredentials.from_secret(text).api_base_url
    except Misconfigured:
        return False
    return True
