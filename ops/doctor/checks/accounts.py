"""The accounts: each secret's token is taken by its provider; one question that changes nothing for each secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.channels.twilio.sending import TwilioSender
from chalicelib.errors import Misconfigured
from ops.doctor.findings import Finding
from ops.stage.deployment import Deployment
from ops.tenants import providers
from ops.tenants.rotation import taken_by_twilio
from ops.tenants.rows import TenantAddress
from ops.tenants.secrets import Secrets

AREA = "accounts"


def check(deployment: Deployment, lines: Sequence[TenantAddress]) -> Iterator[Finding]:
    """What is wrong with the providers' accounts; what is wrong with the secrets themselves is told elsewhere."""
    engine, secrets = deployment.engine(), Secrets(deployment.account)
    for ref, channel in sorted({(line.credential_ref, line.channel) for line in lines if line.credential_ref}):
        sender = engine.senders[channel]
        if not providers.of_channel(engine.channels[channel]).lists_inbound or not isinstance(sender, TwilioSender):
            continue
        try:
            credentials = TwilioCredentials.from_secret(secrets.text(ref) or "")
            _ = credentials.place
        except Misconfigured:
            continue
        if not taken_by_twilio(sender, asdict(credentials))(credentials.auth_token):
            what = f"the provider does not take the auth_token of {ref}: it was promoted or revoked"
            yield Finding(AREA, what, deployment.target.ops(f"tenant rotate {ref.split('/')[2]}"))
