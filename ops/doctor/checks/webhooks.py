"""The webhooks: reachable where the provider calls them, and accepting what it signs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from chalicelib.channels.channel import Channel
from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.errors import Misconfigured
from ops.doctor.findings import Finding, Weight
from ops.stage.deployment import Deployment
from ops.stage.target import CONFIG_FILE
from ops.tenants import providers
from ops.tenants.rows import TenantAddress
from ops.tenants.secrets import Secrets
from ops.tenants.webhook_probe import Answer, Unreachable, ask_whether_ours, probe
from ops.terminal import masking

AREA = "webhooks"

_ON_THIS_MACHINE = "http://127.0.0.1:8000"


def base_url(deployment: Deployment, told: str | None) -> str | None:
    """Where the webhooks are, up to `/webhooks`: as asked for, as the settings say, or as Chalice deployed them."""
    deployed = CONFIG_FILE.parent / "deployed" / f"{deployment.target.stage}.json"
    resources = json.loads(deployed.read_text())["resources"] if deployed.exists() else []
    urls = [one["rest_api_url"] for one in resources if "rest_api_url" in one]
    on_this_machine = _ON_THIS_MACHINE if deployment.target.is_on_this_machine else ""
    found = next(filter(None, (told, deployment.settings.public_base_url, *urls, on_this_machine)), None)
    return found.rstrip("/") if found else None


def check(deployment: Deployment, lines: Sequence[TenantAddress], url: str | None) -> Iterator[Finding]:
    """What is wrong with the webhooks of the stage, and with those of these addresses."""
    target, base = deployment.target, base_url(deployment, url)
    if base is None:
        yield Finding(AREA, "nothing tells the URL of the webhooks", f"PUBLIC_BASE_URL, or {target.deploy}, or --url")
        return
    answer = ask_whether_ours(base)
    if isinstance(answer, Unreachable):
        yield Finding(AREA, f"nobody answers at {base}: {answer.reason}", f"{target.deploy}, or --url")
        return
    if not answer.is_ours:
        yield Finding(
            AREA, f"{base} is answered by something else (HTTP {answer.status})", f"{target.deploy}, or --url"
        )
        return
    channels = deployment.engine().channels
    secrets = Secrets(deployment.account)
    for line in lines:
        yield from _line(deployment, base, channels[line.channel], line, secrets)


def _line(
    deployment: Deployment, base: str, channel: Channel, line: TenantAddress, secrets: Secrets
) -> Iterator[Finding]:
    """Probe one address with each token of its secret; what is wrong with the secret itself is told elsewhere."""
    shown = f"{line.channel} of {line.tenant} at {masking.address(line.address)}"
    if not providers.of_channel(channel).signs_with_secret:
        what = f"{shown} is not probed: only its provider can sign"
        yield Finding(AREA, what, "a message of your own to that address", Weight.WARNING)
        return
    text = secrets.text(line.credential_ref) if line.credential_ref else None
    try:
        credentials = TwilioCredentials.from_secret(text or "")
    except Misconfigured:
        return
    for which, token in zip(("auth_token", "next_auth_token"), credentials.tokens, strict=False):
        answer = probe(base, channel, line.address, credentials, token)
        if isinstance(answer, Answer) and answer.is_proof:
            continue
        why = answer.reason if isinstance(answer, Unreachable) else answer.meaning
        what = f"a probe signed with the {which} for {shown} is refused: {why}"
        mend = f"PUBLIC_BASE_URL as the provider calls it, else {deployment.target.ops(f'tenant check {line.tenant}')}"
        yield Finding(AREA, what, mend)
