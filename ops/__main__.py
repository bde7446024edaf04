"""`python -m ops`: the operator's command line. Its groups and options only; each body is one call."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click
from rich.console import Console

from chalicelib.errors import EngineError
from ops.account import Account, as_blocked
from ops.deployment import Deployment
from ops.where import Config, Where

Body = TypeVar("Body", bound=Callable[..., Any])

_PLACES = (
    click.option("--stage", required=True, envvar="STAGE", help="The stage: local, dev, prod, or one of your own."),
    click.option("--endpoint-url", help="Where AWS is; for a stage on this machine its settings tell it."),
    click.option("--region", help="Default: as the AWS configuration says."),
    click.option("--profile", help="Of the AWS configuration."),
)


def on_stage(body: Body) -> Body:
    """Give a command the options that name a deployment; its body gets the deployment and a console."""

    @wraps(body)
    def wrapped(
        *, stage: str, endpoint_url: str | None, region: str | None, profile: str | None, **options: Any
    ) -> None:
        config = Config.read()
        where = Where.of(stage, endpoint_url=endpoint_url, region=region, profile=profile, config=config)
        try:
            deployment = Deployment.find(Account.connect(where), config)
            body(deployment, Console(highlight=False, soft_wrap=True, markup=False), **options)
        except EngineError as error:
            raise as_blocked(error, where) from error

    command: Any = wrapped
    for option in reversed(_PLACES):
        command = option(command)
    return command  # type: ignore[no-any-return]  # click's decorators return what they are given


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """What an operator does with a deployment of replies-engine: docs/ops.md tells each command."""


@cli.command()
@on_stage
@click.option("--tenant", "tenants", multiple=True, help="Only this company, by its company_id; may be given again.")
@click.option("--no-tenants", is_flag=True, help="Look at the stage alone: no tenant's addresses, no probe.")
@click.option("--url", help="Where the webhooks are, up to /webhooks. Default: PUBLIC_BASE_URL, or as deployed.")
def doctor(
    deployment: Deployment, console: Console, *, tenants: tuple[str, ...], no_tenants: bool, url: str | None
) -> None:
    """Look at everything, and tell in one line each what is wrong and which command mends it."""
    from ops import doctor as doctoring  # noqa: PLC0415  # each command loads what it needs
    from ops.screens import show_areas  # noqa: PLC0415  # as above

    asked = doctoring.Asked(tenants, looks_at_tenants=not no_tenants, url=url)
    raise SystemExit(show_areas(console, doctoring.examine(deployment, asked)))


if __name__ == "__main__":
    cli(prog_name="python -m ops")
