"""The webhooks: reachable where the provider calls them, and accepting what it signs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

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

_DEFAULT_LOCAL = "http://127.0.0.1:8000"


def candidates(deployment: Deployment, told: str | None) -> list[str]:
    """Where the webhooks may be, up to `/webhooks`: as asked for, else as the settings say, then as deployed."""
    if told:
        return [told.rstrip("/")]
    target = deployment.target
    deployed = CONFIG_FILE.parent / "deployed" / f"{target.stage}.json"
    resources = json.loads(deployed.read_text())["resources"] if deployed.exists() else []
    urls = [str(one["rest_api_url"]) for one in resources if "rest_api_url" in one]
    local = [target.run.url if target.run else _DEFAULT_LOCAL] if target.is_on_this_machine else []
    found = (deployment.settings.public_base_url, *urls, *local)
    return list(dict.fromkeys(one.rstrip("/") for one in found if one))


@dataclass(frozen=True)
class Probes:
    """What probes are made with."""

    deployment: Deployment
    secrets: Secrets
    refused: Collection[tuple[str, str]] = ()
    """Secrets and fields that the provider does not accept: it signs with none of them."""
    answering: list[str] = field(default_factory=list)
    """Takes where the stage's own webhooks answer."""


def check(probes: Probes, lines: Sequence[TenantAddress], url: str | None) -> Iterator[Finding]:
    """What is wrong with the webhooks of the stage, and with those of these addresses."""
    deployment = probes.deployment
    target, places = deployment.target, candidates(deployment, url)
    if not places:
        yield Finding(AREA, "the URL of the webhooks is unknown", f"{target.deploy}, or --url")
        return
    answers = {place: ask_whether_ours(place) for place in places}
    ours = [place for place, answer in answers.items() if isinstance(answer, Answer) and answer.is_ours]
    probes.answering.extend(ours)
    first = answers[places[0]]
    if places[0] not in ours:
        if isinstance(first, Unreachable):
            what = f"no server answers at {places[0]}: {first.reason}"
        else:
            what = f"{places[0]} is answered by something else (HTTP {first.status})"
        yield Finding(AREA, what, base_fix(deployment, ours[0]) if ours else f"{target.deploy}, or --url")
    if not ours:
        return
    base = ours[0]
    channels = deployment.engine().channels
    for line in lines:
        yield from _line(probes, base, channels[line.channel], line)


def _line(probes: Probes, base: str, channel: Channel, line: TenantAddress) -> Iterator[Finding]:
    """Probe one address with each token of its secret; what is wrong with the secret itself is told elsewhere."""
    shown = f"{line.channel} of {line.tenant} at {masking.address(line.address)}"
    if not providers.of_channel(channel).signs_with_secret:
        what = f"{shown} is not probed: only its provider can sign"
        yield Finding(AREA, what, "send a message of your own to that address", Weight.NOTE)
        return
    text = probes.secrets.text(line.credential_ref) if line.credential_ref else None
    try:
        credentials = TwilioCredentials.from_secret(text or "")
    except Misconfigured:
        return
    for which, token in zip(("auth_token", "next_auth_token"), credentials.tokens, strict=False):
        if (line.credential_ref, which) in probes.refused:
            continue
        answer = probe(base, channel, line.address, credentials, token)
        if isinstance(answer, Answer) and answer.is_proof:
            continue
        why = answer.reason if isinstance(answer, Unreachable) else answer.meaning
        what = f"a probe signed with the {which} for {shown} is refused: {why}"
        yield Finding(AREA, what, base_fix(probes.deployment, base))


def base_fix(deployment: Deployment, base: str) -> str:
    """How the stage is given the base of its webhooks' URLs."""
    target = deployment.target
    if target.is_on_this_machine:
        return f"PUBLIC_BASE_URL={base} make run"
    place = f"stages.{target.stage}.environment_variables of .chalice/config.json"
    return f'"PUBLIC_BASE_URL": "{base}" in {place}, then {target.deploy}'
