"""`tenant`: a company's secrets, rows and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ops.options import DRY_RUN, JSON, YES, on_stage

if TYPE_CHECKING:
    from rich.console import Console

    from ops.stage.deployment import Deployment

_CHANNELS = click.option("--channel", "channels", multiple=True, help="May be given again. Default: every channel.")
_URL = click.option("--url", help="The webhooks' URL, up to /webhooks. Default: PUBLIC_BASE_URL, or as deployed.")


@click.group()
def tenant() -> None:
    """A company: its secrets (add, rotate), its rows (check, repair) and its policies (policy)."""


@tenant.command("add")
@on_stage
@click.argument("company")
@click.option("--project", default="main", show_default=True, help="The project in the secret's name.")
@_CHANNELS
@click.option("--replace", is_flag=True, help="Overwrite an existing secret.")
@click.option("--no-ask", is_flag=True, help="Store it without checking it at the provider.")
@click.option("--write-rows", is_flag=True, help="Write the secret's name to the company's rows without one.")
@YES
def add(deployment: Deployment, console: Console, *, company: str, replace: bool, no_ask: bool, **told: Any) -> None:
    """Create the secrets of COMPANY; prompts for their content and checks it at the provider."""
    from ops.commands import tenant as screen  # noqa: PLC0415  # each command loads what it needs
    from ops.tenants import names  # noqa: PLC0415  # as above

    told["company"] = names.company(deployment.target, company)
    screen.add(
        deployment, console, is_replacing=replace, is_asking=not no_ask, writes_rows=told.pop("write_rows"), **told
    )


@tenant.command("rotate")
@on_stage
@click.argument("company")
@_CHANNELS
@click.option("--abandon", is_flag=True, help="Remove a new token that was never promoted.")
@YES
def rotate(
    deployment: Deployment, console: Console, *, company: str, channels: tuple[str, ...], abandon: bool, yes: bool
) -> None:
    """Take the next step of rotating the token of COMPANY. Run it twice; promote the token in between."""
    from ops.commands import tenant as screen  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above

    company = names.company(deployment.target, company)
    screen.rotate(deployment, console, company, channels, is_abandoning=abandon, yes=yes)


@tenant.command("check")
@on_stage
@click.argument("company")
@_URL
@JSON
def check(deployment: Deployment, console: Console, *, company: str, url: str | None, as_json: bool) -> None:
    """Check only COMPANY (its company_id): rows, secrets, the provider's account, webhooks."""
    from ops.commands import tenant as screen  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above

    company = names.company(deployment.target, company)
    raise SystemExit(screen.check(deployment, console, company, url, as_json=as_json))


@tenant.command("repair")
@on_stage
@click.argument("company")
@click.argument("kind")
@click.option("--value", default="", help="The value to write, if it does not follow from the row.")
@click.option("--country-code", default="", help="The calling code of national numbers, such as 49.")
@click.option("--channel", default="", help="Only this channel.")
@DRY_RUN
@YES
def repair(
    deployment: Deployment, console: Console, *, company: str, kind: str, dry_run: bool, yes: bool, **told: str
) -> None:
    """Repair rows of COMPANY that have a fault of KIND, as the doctor names them."""
    from ops.commands import repair as screen  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above
    from ops.tenants.row_faults import Wanted  # noqa: PLC0415  # as above

    company = names.company(deployment.target, company)
    code = screen.repair(deployment, console, company, kind, Wanted(**told), is_dry_run=dry_run, yes=yes)
    raise SystemExit(code)


@tenant.command("policy")
@on_stage
@click.argument("company")
@_CHANNELS
@click.option("--set", "told", multiple=True, metavar="NAME=VALUE", help="Write this policy; may be given again.")
@click.option("--unset", "removed", multiple=True, metavar="NAME", help="Remove this policy; may be given again.")
@JSON
@DRY_RUN
@YES
def policy(
    deployment: Deployment,
    console: Console,
    *,
    company: str,
    channels: tuple[str, ...],
    told: tuple[str, ...],
    removed: tuple[str, ...],
    as_json: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Show the policies of COMPANY (its company_id), or write them to all of its rows with --set and --unset."""
    from ops.commands import policy as screen  # noqa: PLC0415  # as above
    from ops.tenants import names  # noqa: PLC0415  # as above

    company = names.company(deployment.target, company)
    code = screen.policy(
        deployment, console, company, channels, told, removed, is_dry_run=dry_run, yes=yes, as_json=as_json
    )
    raise SystemExit(code)
