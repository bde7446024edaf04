"""A tenant's secrets: made, rotated and checked. A token is typed unseen, and never stands on a command line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import click
from rich.console import Console

from chalicelib.channels.twilio import RETRIES
from chalicelib.errors import Misconfigured
from ops.commands.doctor import show_areas
from ops.doctor.examination import Asked, examine_tenant
from ops.stage import conversation_rows
from ops.stage.deployment import Deployment
from ops.stage.target import CommandError
from ops.tenants import asking, names, providers, rotation
from ops.tenants.providers import Provider
from ops.tenants.rotation import Secret, State, Takes
from ops.tenants.row_faults import Known, Wanted, credentials_kind
from ops.tenants.row_repairs import repair
from ops.tenants.rows import tenant_of
from ops.tenants.secrets import SecretName, Secrets
from ops.terminal.confirmation import ask


def add(
    deployment: Deployment,
    console: Console,
    company: str,
    project: str,
    channels: Sequence[str],
    *,
    is_replacing: bool,
    is_asking: bool,
    writes_rows: bool,
    yes: bool,
) -> None:
    """Make a company's secrets, and show what goes on its conversations and into its provider's console."""
    engine = deployment.engine()
    secrets = Secrets(deployment.account)
    names.require_channels(channels, engine.channels)
    typed: dict[str, str] = {}
    for name in channels or tuple(engine.channels):
        provider = providers.of_channel(engine.channels[name])
        ref = str(SecretName(name, company, project, provider.name, deployment.target.stage))
        if SecretName.of(ref) is None:
            raise CommandError(f"{ref} is no valid secret name", "letters, digits and _+.@- in COMPANY and --project")
        if not is_replacing and secrets.text(ref) is not None:
            raise CommandError(f"the secret {ref} is there already", "the same command with --replace")
        if provider.name not in typed:
            typed[provider.name] = _typed(provider)
            if is_asking:
                _require_accepted(deployment, provider, typed[provider.name])
        if secrets.text(ref) is not None:
            ask(f"Replace the content of {ref}?", yes=yes)
            secrets.put(ref, typed[provider.name])
        else:
            ask(f"Make the secret {ref}?", yes=yes)
            secrets.create(ref, typed[provider.name])
        console.print(f"{ref} holds {', '.join(json.loads(typed[provider.name]))}")
        if writes_rows:
            _write_rows(deployment, console, company, name, ref, yes=yes)
        else:
            console.print(f"  on its conversations: channel_config.{name}.credential_ref = {ref}")
        fragment = RETRIES if provider.lists_inbound else ""
        console.print(f"  at {provider.name}: PUBLIC_BASE_URL/webhooks/{name}{fragment}")
    console.print(f"then: {deployment.target.ops(f'tenant check {company}')}")


def _write_rows(deployment: Deployment, console: Console, company: str, channel: str, ref: str, *, yes: bool) -> None:
    """Name the secret on the company's open rows of the channel that name none, or one that no function may read."""
    known = Known({channel: deployment.engine().channels[channel]})
    items = [row for row in conversation_rows.read(deployment, reads_all=True).items if tenant_of(row) == company]
    kind = credentials_kind(deployment.target.stage)
    table, wanted = deployment.engine().tables.conversations, Wanted(value=ref)
    planned = [*repair(table, items, kind, known, wanted, is_dry_run=True)]
    if planned:
        ask(f"Write its name to {len(planned)} conversation(s) of {company}?", yes=yes)
    counts = Counter(one.result for one in repair(table, items, kind, known, wanted, is_dry_run=False))
    told = ", ".join(f"{count} {result}" for result, count in counts.items())
    console.print(f"  on its conversations: {told or 'each names a secret'}")


def _require_accepted(deployment: Deployment, provider: Provider, text: str) -> None:
    """Ask the provider about each pair of credentials before anything is stored.

    Raises:
        CommandError: it does not accept one.
        TryAgain: it cannot be asked.
    """
    for question in asking.questions(deployment.settings, provider.name, json.loads(text)):
        if not question.is_accepted():
            what = f"{provider.name} does not accept this {question.fields}; nothing was stored"
            raise CommandError(what, f"the {question.fields} as {provider.name}'s console shows it now")


def rotate(
    deployment: Deployment, console: Console, company: str, channels: Sequence[str], *, is_abandoning: bool, yes: bool
) -> None:
    """Take the next step of the rotation of each of a company's secrets, or of those of some channels."""
    names.require_channels(channels, deployment.engine().channels)
    secrets = Secrets(deployment.account)
    there = list(secrets.names())
    found = [name for name in there if name.company == company and (not channels or name.channel in channels)]
    if not found:
        known = ", ".join(sorted({f"{one.company} ({one.channel})" for one in there})) or "none is there"
        what = f"{company} has no secret{' of ' + ', '.join(channels) if channels else ''}"
        raise CommandError(what, f"{deployment.target.ops(f'tenant add {company}')}; secrets are there of: {known}")
    typed: dict[tuple[str, str], str] = {}
    for name in found:
        secret = _read(deployment, secrets, name)
        if is_abandoning:
            ask(f"Remove the {secret.provider.next_proof} from {name}?", yes=yes)
            secrets.put(str(name), rotation.abandoned(secret).text)
            console.print(f"{name}: rotation abandoned")
            continue
        takes = asking.takes(deployment.settings, secret.provider.name, secret.fields, secret.provider.proof)
        match rotation.state(secret, takes):
            case State.AT_REST:
                _begin(deployment, console, secrets, secret, typed, takes, yes=yes)
            case State.BEGUN if takes is None:
                ask(f"Does {secret.provider.name} already use the new {secret.provider.proof}?", yes=False)
                _finish(console, secrets, secret, yes=yes)
            case State.BEGUN:
                console.print(f"{name}: both tokens are accepted; promote the new one, then the same command once more")
            case State.PROMOTED:
                _finish(console, secrets, secret, yes=yes)


def check(deployment: Deployment, console: Console, company: str, url: str | None, *, as_json: bool = False) -> int:
    """Look at one company: its rows, its secrets, its provider and its webhooks; 1 where there is a fault."""
    return show_areas(console, examine_tenant(deployment, Asked(tenants=(company,), url=url)), as_json=as_json)


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
            f"{secret.provider.name} does not accept this token", "the secondary token, as its console shows it"
        )
    ask(f"Add it to {secret.name} beside the current one?", yes=yes)
    secrets.put(secret.name, secret.begun(token).text)
    seconds = deployment.settings.secret_ttl_seconds
    console.print(
        f"{secret.name}: either token is accepted in {seconds} s at the latest, when every function has read it"
    )
    console.print("then promote the new one at the provider, and run the same command once more")


def _finish(console: Console, secrets: Secrets, secret: Secret, *, yes: bool) -> None:
    ask(f"The new token of {secret.name} is in force. Remove the old one?", yes=yes)
    secrets.put(secret.name, secret.finished().text)
    console.print(f"{secret.name}: rotated; the old token is no longer accepted")


def _read(deployment: Deployment, secrets: Secrets, name: SecretName) -> Secret:
    provider = providers.named(name.provider)
    fix = deployment.target.ops(name.replacing)
    if provider is None:
        raise CommandError(f"the provider of {name} is unknown", "the provider's own documentation")
    try:
        return Secret.of(str(name), provider, secrets.text(str(name)) or "")
    except Misconfigured as error:
        raise CommandError(f"{name} is malformed: {error.detail}", fix) from error


def _typed(provider: Provider) -> str:
    """A secret as it is typed in, checked before anything is written."""
    told = {name: _prompt(name, is_hidden=name in provider.secret_fields) for name in provider.required}
    text = json.dumps(told)
    try:
        provider.check_secret(text)
    except Misconfigured as error:
        raise CommandError(
            f"this is not a secret of {provider.name}: {error.detail}", "the same command once more"
        ) from error
    return text


def _prompt(what: str, *, is_hidden: bool) -> str:
    answer: str = click.prompt(what, hide_input=is_hidden, err=True)
    return answer.strip()
