"""`python -m local send`: one signed Twilio request from the command line."""

from __future__ import annotations

import uuid

import click
from rich.console import Console

from local import tenants
from local.sending import CHANNELS, Answer, Message, fresh_sid, send, webhook_url
from local.tenants import Tenant


class _Location(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    name = "LAT,LON"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        latitude, comma, longitude = value.partition(",")
        try:
            float(latitude), float(longitude)
        except ValueError:
            comma = ""
        return (latitude, longitude) if comma else self.fail("two numbers and a comma, as 51.5,-0.12", param, ctx)


@click.command("send")
@click.option(
    "--url", default="http://127.0.0.1:8000", show_default=True, help="The server, or the webhook's whole URL."
)
@click.option(
    "--tenant", "tenant", type=click.Choice([one.name for one in tenants.TENANTS]), help="The company written to."
)
@click.option("--channel", type=click.Choice(CHANNELS), help="Default: the customer's, else whatsapp.")
@click.option("--from", "sender", help="A customer of the tenant by name, or any number. Default: the first customer.")
@click.option("--to", "recipient", help="The company's number. Default: the tenant's.")
@click.option("--account-sid", help="Default: the tenant's.")
@click.option("--token", help="The auth token that signs. Default: the tenant's.")
@click.option("--body", help="The text. Default: Hello, or blank with --media, --button or --location.")
@click.option("--media", multiple=True, metavar="URL", help="A picture or a file; may be given several times.")
@click.option("--button", metavar="TEXT", help="A press on the quick-reply button with this text.")
@click.option("--location", type=_Location(), help="A place.")
@click.option("--sid", help="The MessageSid. Default: a fresh one.")
@click.option("--repeat", default=1, show_default=True, help="Send it so many times, as Twilio's retries do.")
@click.option("--forge", is_flag=True, help="Sign with a wrong token.")
def send_command(
    *,
    url: str,
    tenant: str | None,
    channel: str | None,
    sender: str | None,
    recipient: str | None,
    account_sid: str | None,
    token: str | None,
    body: str | None,
    media: tuple[str, ...],
    button: str | None,
    location: tuple[str, str] | None,
    sid: str | None,
    repeat: int,
    forge: bool,
) -> None:
    """Send one message as Twilio does: signed, with every parameter that Twilio sends.

    Without options, the first customer of the first demo tenant writes to the server on this machine. Ends with code 1
    where the answer is no success or nobody answers.
    """
    company = tenants.named(tenant) if tenant else tenants.TENANTS[0]
    number, its_channel = _customer(company, sender)
    channel = channel or its_channel
    message = Message(
        channel=channel,
        sender=number,
        recipient=(recipient or company.numbers[channel]).removeprefix("whatsapp:"),
        account_sid=account_sid or company.account_sid,
        body=body if body is not None else "" if media or button or location else "Hello",
        media=media,
        button=button,
        location=location,
        sid=sid or fresh_sid(),
    )
    request_token = str(uuid.uuid4())
    console = Console(highlight=False)
    answers = []
    for _ in range(repeat):
        answer = send(
            webhook_url(url, channel), message, token or company.auth_token, forge=forge, request_token=request_token
        )
        _show(console, message, answer)
        answers.append(answer)
    raise SystemExit(0 if all(answer.is_success for answer in answers) else 1)


def _customer(company: Tenant, told: str | None) -> tuple[str, str]:
    """The number and the channel of a customer, who is told by name, by number or not at all."""
    for customer in company.customers:
        if told in {None, customer.name, customer.number}:
            return customer.number, customer.channel
    assert told is not None
    channel = "whatsapp" if told.startswith("whatsapp:") else company.customers[0].channel
    return told.removeprefix("whatsapp:"), channel


def _show(console: Console, message: Message, answer: Answer) -> None:
    console.print(f"{message.sid} -> {answer.status} in {answer.seconds * 1_000:.0f} ms", markup=False)
    console.print(answer.body, markup=False, soft_wrap=True)
