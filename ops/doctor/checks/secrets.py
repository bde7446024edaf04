"""The secrets: one for each address of each company, well-formed, and called by the pattern that the rights name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chalicelib.errors import Misconfigured
from infrastructure.rights import NAME_PATTERN
from ops.doctor.findings import Finding, Weight
from ops.stage.deployment import Deployment
from ops.tenants import providers
from ops.tenants.rows import TenantAddress
from ops.tenants.secrets import SecretName, Secrets

AREA = "secrets"


def check(
    deployment: Deployment, lines: Sequence[TenantAddress], secrets: Secrets, company: str | None = None
) -> Iterator[Finding]:
    """What is wrong with the secrets of the stage, or of one company, and with those that conversations name."""
    target = deployment.target
    named = {line.credential_ref for line in lines if line.credential_ref}
    listed = {str(name) for name in secrets.names() if company in (None, name.company)}
    for ref in sorted(named):
        name = SecretName.of(ref)
        if name is None or name.stage != target.stage:
            what = f"{ref} is not called {NAME_PATTERN.format(stage=target.stage)}: no function may read it"
            owner = next(line for line in lines if line.credential_ref == ref)
            fix = target.ops(f"tenant add {owner.tenant} --channel {owner.channel} --write-rows")
            yield Finding(AREA, what, fix)
    yield from _bindings(lines)
    for ref in sorted(named | listed):
        yield from _content(deployment, secrets, ref)
    if not named | listed:
        yield Finding(AREA, "no tenant has a secret", target.ops(f"tenant add {company or 'COMPANY'}"), Weight.WARNING)


def _bindings(lines: Sequence[TenantAddress]) -> Iterator[Finding]:
    """Rows that name another company's secret."""
    owners = {(line.tenant, line.channel, SecretName.of(line.credential_ref)) for line in lines}
    strangers = {(tenant, channel, name.company) for tenant, channel, name in owners if name and name.company != tenant}
    for tenant, channel, owner in sorted(strangers):
        what = f"a conversation of {tenant} names a secret of {owner} for {channel}"
        fix = f"channel_config.{channel}.credential_ref on it; CREDENTIAL_REF_PATTERN refuses such rows"
        yield Finding(AREA, what, fix)


def _content(deployment: Deployment, secrets: Secrets, ref: str) -> Iterator[Finding]:
    text = secrets.text(ref)
    name = SecretName.of(ref)
    target = deployment.target
    if text is None and secrets.is_deleted(ref):
        fix = target.aws("secretsmanager restore-secret", {"SecretId": ref})
        yield Finding(AREA, f"{ref} is scheduled for deletion", fix)
    elif text is None and name is not None:
        yield Finding(AREA, f"{ref} is missing, or not a text", target.ops(name.adding))
    if text is None:
        return
    provider = providers.named(name.provider) if name is not None else None
    if name is None or provider is None:
        return  # of a provider that is not known here: who reads it knows what it has to say
    try:
        provider.check_secret(text)
    except Misconfigured as error:
        yield Finding(AREA, f"{ref} is malformed: {error.detail}", target.ops(name.replacing))
