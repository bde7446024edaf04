"""The table at the start of `run` and `aws`: what is where, and how to reach it from outside."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from chalicelib.channels.twilio import RETRIES
from local.stack import STAGE, Stack
from local.tenants import Tenant


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
    console.print("Tenants\n", style="bold")
    for line in _tenants(tenants):
        console.print(f"  {line}", soft_wrap=True, markup=False)
    console.print()
    console.print("Try it\n", style="bold")
    for name, lines in _hints(stack, is_served=is_served):
        for number, line in enumerate(lines):
            console.print(f"  {name if number == 0 else '':<18} {line}", soft_wrap=True, markup=False)
    console.print()
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
    grid.add_row("webhooks", "\n".join(webhooks) if is_served else "start them: replies-engine chalice-local")
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


def _tenants(tenants: Iterable[Tenant]) -> list[str]:
    """The companies and their customers, a line each: names are typed into commands, so none is cut short."""
    rows = [("tenant", "customer", "address", "writes to", "special")]
    rows += [
        (one.name, each.name, each.address, f"{each.channel} {one.addresses[each.channel]}", each.about)
        for one in tenants
        for each in one.customers
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _hints(stack: Stack, *, is_served: bool) -> list[tuple[str, tuple[str, ...]]]:
    """What one can do, each with its commands: one a line, never wrapped, so that it can be copied."""
    http_port = stack.http_port
    hints: list[tuple[str, tuple[str, ...]]] = [("a message", ('make send ARGS="--from anna --body Hello"',))]
    if stack.twilio_url:  # else only the user's own tenant is there, which has no e-mail
        hints.append(("an e-mail", ('make send ARGS="--from gina --subject Hello"',)))
    hints += [
        ("every option", ("make send ARGS=--help",)),
        (
            "operate it",
            (
                "replies-engine doctor --stage local",
                "replies-engine explain anna --stage local",
                "replies-engine tail --stage local",
            ),
        ),
    ]
    if stack.twilio_url:
        fault = f"""curl -d '{{"kind": "429", "retry_after_seconds": 5}}' {stack.twilio_url}/_stand-in/faults"""
        kinds = 'for the next reply; other kinds: "5xx", "slow", "lost", {"kind": "refuse", "code": 63016}'
        hints += [
            ("Twilio's bad day", (fault, kinds)),
            ("SendGrid's", (f"the same at {stack.sendgrid_url}/_stand-in/faults",)),
            ("a lost message", (f"{stack.twilio_url}/_stand-in/inbound: docs/ops.md#catch-up",)),
        ]
    hints += [
        (
            "from outside",
            (
                f"ngrok http {http_port}",
                "PUBLIC_BASE_URL=https://... make run, with the URL that ngrok shows:",
                "the app's port answers only to that name and to the loopback interface",
            ),
        ),
        (
            "Twilio's console",
            (
                '"a message comes in": the URL that ngrok shows, and behind it',
                f"/webhooks/whatsapp{RETRIES} or /webhooks/sms{RETRIES}",
                "(the fragment makes Twilio retry; it is not signed)",
            ),
        ),
        (
            "your own account",
            (
                "TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_NUMBER and CUSTOMER_NUMBER in the shell",
                "add a tenant with your account, for your own phone to write to;",
                'make run ARGS="--real-twilio" answers it',
            ),
        ),
        ("stage", (STAGE,)),
    ]
    return hints if is_served else [*hints, ("the app", ("replies-engine chalice-local",))]
