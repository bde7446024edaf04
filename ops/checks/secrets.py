"""The secrets: one for each address of each company, well-formed, and called by the pattern that the rights name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chalicelib.errors import Misconfigured
from ops import providers
from ops.deployment import Deployment
from ops.findings import Finding, Weight
from ops.secrets import SecretName, Secrets
from ops.tenancy import Line

AREA = "secrets"


def check(deployment: Deployment, lines: Sequence[Line]) -> Iterator[Finding]:
    """What is wrong with the secrets of the stage, and with those that the conversations name."""
    where = deployment.where
    secrets = Secrets(deployment.account)
    named = {line.credential_ref for line in lines if line.credential_ref}
    listed = {str(name) for name in secrets.names()}
    for line in lines:
        if not line.credential_ref:
            what = f"a conversation of {line.tenant} names no secret for {line.channel}"
            mend = f"channel_config.{line.channel}.credential_ref on it, by the company's own systems"
            yield Finding(AREA, f"{what} (MISSING_CREDENTIAL_CONFIG)", mend)
    for ref in sorted(named):
        name = SecretName.of(ref)
        if name is None or name.stage != where.stage:
            what = f"{ref} is not called ai-multi-comms/*-credentials/*/*/*-{where.stage}: no function may read it"
            yield Finding(AREA, what, where.ops("tenant add COMPANY") + ", and its name as credential_ref")
    for ref in sorted(named | listed):
        yield from _content(deployment, secrets, ref)
    if not named | listed:
        yield Finding(AREA, "no tenant has a secret", where.ops("tenant add COMPANY"), Weight.WARNING)


def _content(deployment: Deployment, secrets: Secrets, ref: str) -> Iterator[Finding]:
    text = secrets.text(ref)
    name = SecretName.of(ref)
    company = name.company if name is not None else "COMPANY"
    if text is None:
        mend = deployment.where.ops(f"tenant add {company}")
        yield Finding(AREA, f"{ref} is missing, or not a text", mend)
        return
    try:
        providers.named(name.provider if name is not None else "unknown").check_secret(text)
    except Misconfigured as error:
        mend = deployment.where.ops(f"tenant rotate {company}")
        yield Finding(AREA, f"{ref} is malformed: {error.detail}", mend)
