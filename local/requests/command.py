"""`python -m local send`: one signed request of Twilio's or SendGrid's from the command line."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from local import run_file, tenants
from local.aws import credentials_file
from local.processes.environment import HOST
from local.requests import emails, messages
from local.requests.emails import Attachment, Mail, fresh_message_id
from local.requests.messages import Answer, Message, fresh_sid, webhook_url
from local.run_file import RunFile
from local.stubs.server import ask
from local.tenants import MAIL, PRIVATE_KEY, Customer, Tenant
from local.terminal import Console

_STAGE = "local"
_DEFAULT_URL = f"http://{HOST}:8000"
_DEFAULT_AWS_PORT = 4566
_OF_A_PHONE = ("account_sid", "token", "media", "button", "location")
_OF_MAIL = ("subject", "html", "attach", "header", "raw")


class _Location(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    name = "LAT,LON"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        latitude, comma, longitude = value.partition(",")
        try:
            float(latitude), float(longitude)
        except ValueError:
            comma = ""
        return (latitude, longitude) if comma else self.fail("two numbers and a comma, as 51.5,-0.12", param, ctx)


class _Header(click.ParamType):  # type: ignore[type-arg]  # as above
    name = "NAME:VALUE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, colon, told = value.partition(":")
        return (
            (name.strip(), told.strip())
            if colon and name.strip()
            else self.fail("a name, a colon, a value", param, ctx)
        )


@dataclass(frozen=True)
class _Ready:
    """What is to be sent, and how."""

    sid: str
    post: Callable[[], Answer]


@click.command("send")
@click.option("--url", help="The server, or the webhook's whole URL. Default: that of the newest `make run`.")
@click.option(
    "--tenant", "tenant", type=click.Choice([one.name for one in tenants.TENANTS]), help="The company written to."
)
@click.option(
    "--channel", type=click.Choice([*messages.CHANNELS, MAIL]), help="Default: the customer's, else whatsapp."
)
@click.option("--from", "sender", help="A customer of the tenant by name, or any address. Default: the first customer.")
@click.option("--to", "recipient", help="The company's number or address. Default: the tenant's.")
@click.option("--body", help="The text. Default: Hello, or blank with --media, --button, --location or --html.")
@click.option("--sid", help="The MessageSid, or the e-mail's Message-ID. Default: a fresh one.")
@click.option("--repeat", default=1, show_default=True, help="Send it so many times, as the provider's retries do.")
@click.option("--lost", is_flag=True, help="Twilio: as if we had dropped it; only Twilio's list has it (catch-up).")
@click.option("--forge", is_flag=True, help="Sign with a wrong token or key.")
@click.option("--account-sid", help="Twilio: the account. Default: the tenant's.")
@click.option("--token", help="Twilio: the auth token that signs. Default: the tenant's.")
@click.option("--media", multiple=True, metavar="URL", help="Twilio: a picture or a file; several times for several.")
@click.option("--button", metavar="TEXT", help="Twilio: a press on the quick-reply button with this text.")
@click.option("--location", type=_Location(), help="Twilio: a place.")
@click.option("--subject", help="E-mail: its subject. Default: Hello.")
@click.option("--html", metavar="HTML", help="E-mail: the same as HTML; alone with a blank --body.")
@click.option(
    "--attach",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="E-mail: a file; several times for several.",
)
@click.option(
    "--header", multiple=True, type=_Header(), help="E-mail: one more header, as Auto-Submitted:auto-replied."
)
@click.option("--raw", is_flag=True, help="E-mail: send the whole MIME message as one field.")
@click.option("--aws-port", type=int, help="E-mail: the local AWS, which has the keys. Default: as for --url.")
def send_command(
    *,
    url: str | None,
    aws_port: int | None,
    tenant: str | None,
    channel: str | None,
    sender: str | None,
    repeat: int,
    **told: Any,
) -> None:
    """Send one message as Twilio or SendGrid does: signed, with every parameter that they send.

    Without options, the first customer of the first demo tenant writes to the server on this machine. Ends with code 1
    where the answer is no success or nobody answers.
    """
    run = run_file.at_port(aws_port) if aws_port else run_file.newest()
    url = url or (run.url if run else _DEFAULT_URL)
    told["aws_port"] = aws_port or (run.aws_port if run else _DEFAULT_AWS_PORT)
    company = tenants.named(tenant) if tenant else _company_of(sender)
    customer = _customer(company, sender, channel)
    channel = channel or customer.channel
    others = _OF_A_PHONE if channel == MAIL else _OF_MAIL
    if surplus := [name for name in others if told[name]]:
        raise click.UsageError(f"--{surplus[0].replace('_', '-')} does not exist for {channel}")
    if told.pop("lost"):
        _lose(run, company, customer, channel, told)
        return
    make = _mail if channel == MAIL else _message
    ready = make(url, company, customer, channel, **told)
    console = Console(highlight=False)
    answers = []
    for _ in range(repeat):
        answer = ready.post()
        console.print(f"{ready.sid} -> {answer.status} in {answer.seconds * 1_000:.0f} ms", markup=False)
        console.print(answer.body, markup=False, soft_wrap=True)
        answers.append(answer)
    raise SystemExit(0 if all(answer.is_success for answer in answers) else 1)


def _lose(run: RunFile | None, company: Tenant, customer: Customer, channel: str, told: Mapping[str, Any]) -> None:
    """Have the stub list a message that no webhook brought, as after a fault of ours.

    Raises:
        click.UsageError: there is no stub, or SendGrid carries the channel, which keeps no list.
    """
    if channel == MAIL:
        raise click.UsageError("SendGrid keeps no list of delivered messages, so catch-up is not possible")
    if run is None or not run.twilio_url:
        raise click.UsageError("no stub for Twilio runs: make run, in another terminal")
    prefix = "whatsapp:" if channel == "whatsapp" else ""
    document = {
        "account_sid": told["account_sid"] or company.account_sid,
        "sender": prefix + customer.address,
        "to": prefix + (told["recipient"] or company.addresses[channel]).removeprefix("whatsapp:"),
        "body": told["body"] or "Hello",
        "sid": told["sid"] or fresh_sid(),
    }
    ask(run.twilio_url, "inbound", document)
    click.echo(f"{document['sid']} is in Twilio's list, and no webhook brought it")
    click.echo(f"then: replies-engine catch-up {company.name} --since 1h --stage local --dry-run")


def _message(url: str, company: Tenant, customer: Customer, channel: str, **told: Any) -> _Ready:
    media, button, location, body = told["media"], told["button"], told["location"], told["body"]
    message = Message(
        channel=channel,
        sender=customer.address,
        recipient=(told["recipient"] or company.addresses[channel]).removeprefix("whatsapp:"),
        account_sid=told["account_sid"] or company.account_sid,
        body=body if body is not None else "" if media or button or location else "Hello",
        media=media,
        button=button,
        location=location,
        sid=told["sid"] or fresh_sid(),
    )
    post = partial(
        messages.send,
        webhook_url(url, channel),
        message,
        told["token"] or company.auth_token,
        forge=told["forge"],
        request_token=str(uuid.uuid4()),  # the same for each retry
    )
    return _Ready(message.sid, post)


def _mail(url: str, company: Tenant, customer: Customer, channel: str, **told: Any) -> _Ready:
    html, body = told["html"], told["body"]
    secret = tenants.secret(credentials_file.read(told["aws_port"]), company.credential_ref(channel, _STAGE))
    mail = Mail(
        sender=customer.address,
        recipient=told["recipient"] or company.addresses[channel],
        subject=told["subject"] if told["subject"] is not None else "Hello",
        body=body if body is not None else "" if html else "Hello",
        html=html,
        attachments=tuple(Attachment(one.name, one.read_bytes()) for one in told["attach"]),
        headers=dict(told["header"]),
        message_id=told["sid"] or fresh_message_id(customer.address.rpartition("@")[2]),
    )
    post = partial(
        emails.send,
        emails.mail_url(url, secret),
        mail,
        secret.get(PRIVATE_KEY),
        is_raw=told["raw"],
        forge=told["forge"],
    )
    return _Ready(mail.sid, post)


def _company_of(sender: str | None) -> Tenant:
    """The company that a customer of the demo writes to; the first one for everybody else."""
    known = (one for one in tenants.TENANTS if any(sender in (each.name, each.address) for each in one.customers))
    return next(known, tenants.TENANTS[0])


def _customer(company: Tenant, told: str | None, channel: str | None) -> Customer:
    """The customer with this name or address; by default the first. Another address is an unknown sender."""
    known = [one for one in company.customers if told in {None, one.name, one.address}]
    if told is None and channel is not None:
        known = [one for one in known if (one.channel == MAIL) == (channel == MAIL)]
    if known:
        return known[0]
    assert told is not None, "each company has a customer for each kind of address"
    channel = MAIL if "@" in told else "whatsapp" if told.startswith("whatsapp:") else company.customers[0].channel
    return Customer("", told.removeprefix("whatsapp:"), channel, "")
