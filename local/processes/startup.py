"""The table at the start of `run` and `aws`: what is where, and how to reach it from outside."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from local.processes.environment import STUB_URL
from local.stack import STAGE, Stack
from local.tenants import Tenant

_CONFIGURED_ENDPOINT = "http://127.0.0.1:4566"
_HTTP_PORT = 8000
"""The default of `send` and of the doctor."""

RETRIES = "#rc=3&rp=all"
"""Makes Twilio try again, three times and after every kind of failure; alone it would not after a 503."""


def show(console: Console, stack: Stack, tenants: Iterable[Tenant], *, is_served: bool, console_address: str) -> None:
    """Print where everything is.

    Args:
        console: the terminal.
        stack: what runs.
        tenants: the companies that it knows.
        is_served: whether it is served by us.
        console_address: of the console, with the token of this start.
    """
    console.print(_urls(stack, is_served=is_served))
    console.print(_tenants(tenants))
    console.print(_hints(stack, is_served=is_served))
    console.print("Open the console in a browser:", style="bold")
    console.print(console_address, style="bold cyan", soft_wrap=True, markup=False)
    console.print("Ctrl-C stops everything and leaves nothing behind.\n", style="dim")


def _grid(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _urls(stack: Stack, *, is_served: bool) -> Table:
    grid = _grid("replies-engine on this machine")
    webhooks = [f"http://127.0.0.1:{stack.http_port}/webhooks/{channel}" for channel in ("whatsapp", "sms", "email")]
    grid.add_row("webhooks", "\n".join(webhooks) if is_served else "start them: .venv/bin/chalice local --stage local")
    grid.add_row("local AWS", stack.aws.endpoint)
    if stack.twilio_url:
        grid.add_row("stub Twilio", f"{stack.twilio_url}, which sends nothing; the phones show (with curl, no browser)")
        grid.add_row("", f"{stack.twilio_url}/_stand-in/deliveries")
    else:
        grid.add_row("Twilio", "REAL: replies are sent by your own account, to your own phone")
    grid.add_row("stub SendGrid", f"{stack.sendgrid_url}, which sends nothing; the mailboxes hold")
    grid.add_row("", f"{stack.sendgrid_url}/_stand-in/deliveries")
    queues = stack.aws.sqs.list_queues().get("QueueUrls", [])
    names = sorted(url.rpartition("/")[2] for url in queues)
    grid.add_row("queues", "\n".join(name for name in names if not name.endswith("-dlq")))
    grid.add_row("", "each with a dead-letter queue: its name and -dlq")
    grid.add_row("tables", "\n".join(sorted(table.name for table in stack.aws.dynamodb.tables.all())))
    window, cap = stack.settings.batch_window_seconds, stack.settings.batch_max_wait_seconds
    grid.add_row("window", f"{window} s of quiet, at most {cap} s from the first message")
    return grid


def _tenants(tenants: Iterable[Tenant]) -> Table:
    table = Table(title="Tenants", title_justify="left", title_style="bold", box=box.SIMPLE)
    for name in ("tenant", "customer", "address", "writes to", "special"):
        table.add_column(name, no_wrap=True)
    for one in tenants:
        for customer in one.customers:
            writes_to = f"{customer.channel} {one.addresses[customer.channel]}"
            table.add_row(one.name, customer.name, customer.address, writes_to, customer.about)
    return table


def _hints(stack: Stack, *, is_served: bool) -> Table:
    grid = _grid("Try it")
    http_port = stack.http_port
    port = "" if http_port == _HTTP_PORT else f"--url http://127.0.0.1:{http_port} "
    grid.add_row("a message", f'make send ARGS="{port}--from anna --body Hello"')
    if stack.twilio_url:  # else only the user's own tenant is there, which has no e-mail
        grid.add_row("an e-mail", f'make send ARGS="{port}--from gina --subject Hello"')
    grid.add_row("every option", "make send ARGS=--help")
    grid.add_row("operate it", _operating(stack))
    if stack.twilio_url:
        grid.add_row(
            "Twilio's bad day",
            f'curl -d \'{{"kind": "429", "retry_after_seconds": 5}}\' {stack.twilio_url}/_stand-in/faults\n'
            'befalls the next reply; other kinds: "5xx", "slow", "lost", {"kind": "refuse", "code": 63016}',
        )
        grid.add_row("SendGrid's", f"the same at {stack.sendgrid_url}/_stand-in/faults")
    grid.add_row(
        "from outside",
        f"ngrok http {http_port}, then PUBLIC_BASE_URL=https://... make run with the URL that ngrok shows:\n"
        "the app's port answers only to that name and to the loopback interface",
    )
    grid.add_row(
        "Twilio's console",
        '"a message comes in", the URL that ngrok shows, and behind it\n'
        f"/webhooks/whatsapp{RETRIES} or /webhooks/sms{RETRIES}\n"
        "(the fragment has Twilio try again; it is not signed)",
    )
    grid.add_row(
        "your own account",
        "TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_NUMBER and\n"
        "CUSTOMER_NUMBER in the shell add a tenant with your account,\n"
        'for your own phone to write to; ARGS="--real-twilio" answers it',
    )
    if not is_served and stack.aws.endpoint != _CONFIGURED_ENDPOINT:
        grid.add_row("chalice local", f"reads AWS_ENDPOINT_URL in .chalice/config.json: set it to {stack.aws.endpoint}")
    grid.add_row("stage", STAGE)
    return grid


def _operating(stack: Stack) -> str:
    """The operator's commands for exactly this machine."""
    options = "--stage local"
    if stack.aws.endpoint != _CONFIGURED_ENDPOINT:
        options += f" --endpoint-url {stack.aws.endpoint}"
    if stack.twilio_url and stack.twilio_url != STUB_URL:
        options += f" --twilio-url {stack.twilio_url}"
    url = "" if stack.http_port == _HTTP_PORT else f" --url http://127.0.0.1:{stack.http_port}"
    return f".venv/bin/python -m ops doctor {options}{url}\n.venv/bin/python -m ops explain CONVERSATION_ID {options}"
