"""A tenant's secrets: made, rotated and checked. A token is typed unseen, and never stands on a command line."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click
from rich.console import Console

from chalicelib.channels.twilio.sending import TwilioSender
from chalicelib.errors import Misconfigured
from ops.commands.doctor import show_areas
from ops.doctor.examination import Asked, examine_tenant
from ops.stage.deployment import Deployment, OperatorEngine
from ops.stage.target import CommandError
from ops.tenants import providers, rotation
from ops.tenants.providers import Provider
from ops.tenants.rotation import Secret, State, Takes, taken_by_twilio
from ops.tenants.secrets import SecretName, Secrets
from ops.terminal.confirmation import ask

RETRIES = "#rc=3&rp=all"


def add(
    deployment: Deployment,
    console: Console,
    company: str,
    project: str,
    channels: Sequence[str],
    *,
    is_replacing: bool,
    yes: bool,
) -> None:
    """Make a company's secrets, and tell what its conversations and its provider have to be told."""
    engine = deployment.engine()
    secrets = Secrets(deployment.account)
    for name in channels or tuple(engine.channels):
        if name not in engine.channels:
            raise CommandError(f"there is no channel {name}", f"one of {', '.join(engine.channels)}")
    typed: dict[str, str] = {}
    for name in channels or tuple(engine.channels):
        provider = providers.of_channel(engine.channels[name])
        ref = str(SecretName(name, company, project, provider.name, deployment.target.stage))
        if provider.name not in typed:
            typed[provider.name] = _typed(provider)
        if is_replacing and secrets.text(ref) is not None:
            ask(f"Replace what {ref} holds?", yes=yes)
            secrets.put(ref, typed[provider.name])
        else:
            ask(f"Make the secret {ref}?", yes=yes)
            secrets.create(ref, typed[provider.name])
        console.print(f"{ref} holds {', '.join(json.loads(typed[provider.name]))}")
        console.print(f"  on its conversations: channel_config.{name}.credential_ref = {ref}")
        console.print(
            f"  at {provider.name}: PUBLIC_BASE_URL/webhooks/{name}{RETRIES if provider.lists_inbound else ''}"
        )
    console.print(f"then: {deployment.target.ops(f'tenant check {company}')}")


def rotate(deployment: Deployment, console: Console, company: str, *, is_abandoning: bool, yes: bool) -> None:
    """Take the next step of the rotation of each of a company's secrets."""
    engine, secrets = deployment.engine(), Secrets(deployment.account)
    found = [name for name in secrets.names() if name.company == company]
    if not found:
        raise CommandError(f"{company} has no secret", deployment.target.ops(f"tenant add {company}"))
    typed: dict[tuple[str, str], str] = {}
    for name in found:
        secret = _read(deployment, secrets, name)
        if is_abandoning:
            ask(f"Take the {secret.provider.next_proof} off {name}?", yes=yes)
            secrets.put(str(name), rotation.abandoned(secret).text)
            console.print(f"{name}: rotation abandoned")
            continue
        takes = _takes(engine, secret)
        match rotation.state(secret, takes):
            case State.AT_REST:
                _begin(deployment, console, secrets, secret, typed, takes, yes=yes)
            case State.BEGUN if takes is None:
                ask(f"Does {secret.provider.name} prove with the new {secret.provider.proof} already?", yes=False)
                _finish(console, secrets, secret, yes=yes)
            case State.BEGUN:
                console.print(f"{name}: both tokens are accepted; promote the new one, then the same command once more")
            case State.PROMOTED:
                _finish(console, secrets, secret, yes=yes)


def check(deployment: Deployment, console: Console, company: str, url: str | None) -> int:
    """Look at one company: its addresses, its secrets, its provider and its webhooks; 1 where there is a fault."""
    return show_areas(console, examine_tenant(deployment, Asked(tenants=(company,), url=url)))


def _begin(
    deployment: Deployment,
    console: Console,
    secrets: Secrets,
    secret: Secret,
    typed: dict[tuple[str, str], str],
    takes: Takes | None,
    *,
    yes: bool,
) -> None:
    """Write the new token beside the old one; asked for once where several secrets are of one account."""
    account = (secret.provider.name, secret.fields.get("account_sid", secret.name))
    if account not in typed:
        typed[account] = _prompt(f"The new {secret.provider.proof} of {secret.name}", is_hidden=True)
    token = typed[account]
    if token == secret.fields[secret.provider.proof]:
        raise CommandError("this is the token that the secret holds already", "the new one, as the provider shows it")
    if takes is not None and not takes(token):
        raise CommandError(
            f"{secret.provider.name} does not take this token", "the secondary token, as its console shows it"
        )
    ask(f"Write it into {secret.name} beside the one that it holds?", yes=yes)
    secrets.put(secret.name, secret.begun(token).text)
    seconds = deployment.settings.secret_ttl_seconds
    console.print(
        f"{secret.name}: either token is accepted in {seconds} s at the latest, when every function has read it"
    )
    console.print("then promote the new one at the provider, and run the same command once more")


def _finish(console: Console, secrets: Secrets, secret: Secret, *, yes: bool) -> None:
    ask(f"The new token of {secret.name} is in force. Take the old one off?", yes=yes)
    secrets.put(secret.name, secret.finished().text)
    console.print(f"{secret.name}: rotated; the old token is accepted no more")


def _read(deployment: Deployment, secrets: Secrets, name: SecretName) -> Secret:
    provider = providers.named(name.provider)
    mend = deployment.target.ops(
        f"tenant add {name.company} --project {name.project} --channel {name.channel} --replace"
    )
    if provider is None:
        raise CommandError(f"{name} is of a provider that is not known here", "the provider's own documentation")
    try:
        return Secret.of(str(name), provider, secrets.text(str(name)) or "")
    except Misconfigured as error:
        raise CommandError(f"{name} is malformed: {error.detail}", mend) from error


def _takes(engine: OperatorEngine, secret: Secret) -> Takes | None:
    """How to ask the provider whether it takes a token; None: it has no way."""
    carried = [name for name, one in engine.channels.items() if providers.of_channel(one) is secret.provider]
    sender = engine.senders[carried[0]] if carried and secret.provider.lists_inbound else None
    return taken_by_twilio(sender, secret.fields) if isinstance(sender, TwilioSender) else None


def _typed(provider: Provider) -> str:
    """A secret as it is typed in, checked before anything is written."""
    told = {name: _prompt(name, is_hidden=name in provider.secret_fields) for name in provider.required}
    text = json.dumps(told)
    try:
        provider.check_secret(text)
    except Misconfigured as error:
        raise CommandError(
            f"this is no secret of {provider.name}: {error.detail}", "the same command once more"
        ) from error
    return text


def _prompt(what: str, *, is_hidden: bool) -> str:
    answer: str = click.prompt(what, hide_input=is_hidden, err=True)
    return answer.strip()
