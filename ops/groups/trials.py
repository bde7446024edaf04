"""`smoke` and `load`: trials of a deployed stage, from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ops.options import JSON, YES, on_stage

if TYPE_CHECKING:
    from rich.console import Console

    from ops.stage.deployment import Deployment

_URL = click.option("--url", help="The webhooks' URL, up to /webhooks. Default: PUBLIC_BASE_URL, or as deployed.")
_AI = click.option(
    "--ai",
    type=click.Choice(["echo", "stage"]),
    help="Who answers: an echo of this command, or the stage's own AI. Default: the stage's AI worker, else an echo.",
)
_SID = click.option(
    "--test-account-sid", envvar="TWILIO_TEST_ACCOUNT_SID", help="Of Twilio's test credentials. Default: the shell's."
)
_TOKEN = click.option("--test-auth-token", envvar="TWILIO_TEST_AUTH_TOKEN", hidden=True)


@click.command()
@on_stage
@click.option("--channel", "channels", multiple=True, help="Only this one; may be given again. Default: each.")
@_URL
@_AI
@_SID
@_TOKEN
@click.option("--patience-seconds", default=60.0, show_default=True, help="How long each step may take.")
@YES
def smoke(
    deployment: Deployment,
    console: Console,
    *,
    channels: tuple[str, ...],
    url: str | None,
    ai: str | None,
    test_account_sid: str | None,
    test_auth_token: str | None,
    patience_seconds: float,
    yes: bool,
) -> None:
    """Send one signed message per channel through a deployed stage, and show each step to the reply."""
    from ops.commands import smoke as screen  # noqa: PLC0415  # each command loads what it needs
    from ops.tenants import names  # noqa: PLC0415  # as above

    names.require_channels(channels, deployment.engine().channels)
    code = screen.smoke(
        deployment,
        console,
        channels,
        (test_account_sid, test_auth_token),
        url=url,
        ai=ai,
        patience_seconds=patience_seconds,
        yes=yes,
    )
    raise SystemExit(code)


@click.command()
@on_stage
@click.option("--rate", type=click.FloatRange(0.1, 50), default=5.0, show_default=True, help="Messages a second.")
@click.option("--seconds", type=click.IntRange(1, 900), default=30, show_default=True, help="How long.")
@click.option("--tenants", type=click.IntRange(1, 50), default=3, show_default=True, help="How many companies.")
@click.option("--drain-seconds", type=click.IntRange(0, 900), default=180, show_default=True, help="For replies.")
@_URL
@_AI
@_SID
@_TOKEN
@click.option("--on-production", is_flag=True, help="Allow a stage named prod.")
@YES
@JSON
def load(
    deployment: Deployment,
    console: Console,
    *,
    rate: float,
    seconds: int,
    tenants: int,
    drain_seconds: int,
    url: str | None,
    ai: str | None,
    test_account_sid: str | None,
    test_auth_token: str | None,
    on_production: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Put a bounded load of signed messages on a deployed stage, and report what its log says of it."""
    from ops.commands import load as screen  # noqa: PLC0415  # as above
    from ops.trials.load import Plan  # noqa: PLC0415  # as above

    code = screen.load(
        deployment,
        console,
        Plan(rate, seconds, tenants),
        (test_account_sid, test_auth_token),
        url=url,
        ai=ai,
        drain_seconds=drain_seconds,
        on_production=on_production,
        yes=yes,
        as_json=as_json,
    )
    raise SystemExit(code)
