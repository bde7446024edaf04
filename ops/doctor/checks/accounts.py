"""The accounts: each provider accepts the credentials of each secret; one question that changes nothing for each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from chalicelib.errors import Misconfigured
from ops.doctor.findings import Finding
from ops.stage.deployment import Deployment
from ops.tenants import asking, providers
from ops.tenants.asking import Question
from ops.tenants.rows import TenantAddress
from ops.tenants.secrets import SecretName, Secrets

AREA = "accounts"


def check(
    deployment: Deployment, lines: Sequence[TenantAddress], secrets: Secrets, refused_into: set[tuple[str, str]]
) -> Iterator[Finding]:
    """What is wrong with the providers' accounts; the area `secrets` has what is wrong with the secrets themselves.

    Args:
        deployment: whose.
        lines: the addresses, with the secrets that they name.
        secrets: of the stage.
        refused_into: takes each secret and field that a provider does not accept.
    """
    asked: dict[Question, bool] = {}
    for ref in sorted({line.credential_ref for line in lines if line.credential_ref}):
        name = SecretName.of(ref)
        provider = providers.named(name.provider) if name is not None else None
        text = secrets.text(ref)
        if name is None or provider is None or text is None:
            continue
        try:
            provider.check_secret(text)
        except Misconfigured:
            continue
        refused: list[str] = []
        for question in asking.questions(deployment.settings, provider.name, json.loads(text)):
            if question not in asked:
                asked[question] = question.is_accepted()
            refused += [] if asked[question] else [question.fields]
        refused_into |= {(ref, field) for field in refused}
        if refused:
            is_promoted = (
                provider.proof in refused and provider.next_proof not in refused and provider.next_proof in text
            )
            what = f"{provider.name} does not accept the {' and the '.join(refused)} of {ref}"
            fix = f"tenant rotate {name.company} --channel {name.channel}" if is_promoted else name.replacing
            yield Finding(AREA, what, deployment.target.ops(fix))
