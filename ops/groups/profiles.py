"""`profile`: deployments under names of the operator's own."""

from __future__ import annotations

import json
from typing import Any

import click

from ops.options import JSON, PLACES, with_places
from ops.profiles import Profile, ProfileError, Profiles


@click.group()
def profile() -> None:
    """A stage, a region and an endpoint under one name: save, list, use, remove."""


@profile.command("save")
@click.argument("name")
@with_places
@click.option("--default", "is_default", is_flag=True, help="Apply it to commands without a stage.")
def save(*, name: str, stage: str | None, use: str | None, is_default: bool, **places: Any) -> None:  # noqa: ARG001  # one set of options
    """Save the options under NAME."""
    if stage is None:
        raise click.UsageError("a profile needs --stage")
    saved = _read()
    kept = {option: str(places[option]) for option in PLACES if places[option]}
    named = {**saved.by_name, name: Profile(stage, kept)}
    Profiles(named, name if is_default else saved.default).write()
    click.echo(f"saved {name}{', the default' if is_default else ''}")


@profile.command("list")
@JSON
def show(*, as_json: bool) -> None:
    """Show every profile; the default has a star."""
    saved = _read()
    if as_json:
        told = [
            {"name": name, "stage": one.stage, **one.places, "default": name == saved.default}
            for name, one in saved.by_name.items()
        ]
        click.echo(json.dumps({"profiles": told}, indent=2))
        return
    for name, one in saved.by_name.items():
        places = " ".join(f"--{option.replace('_', '-')} {value}" for option, value in one.places.items())
        click.echo(f"{'*' if name == saved.default else ' '} {name}  --stage {one.stage} {places}".rstrip())
    if not saved.by_name:
        click.echo("none is saved: replies-engine profile save NAME --stage NAME")


@profile.command("use")
@click.argument("name")
def use(*, name: str) -> None:
    """Make NAME the default."""
    saved = _read()
    _named(saved, name)
    Profiles(saved.by_name, name).write()
    click.echo(f"{name} is the default")


@profile.command("remove")
@click.argument("name")
def remove(*, name: str) -> None:
    """Remove NAME."""
    saved = _read()
    _named(saved, name)
    left = {other: one for other, one in saved.by_name.items() if other != name}
    Profiles(left, None if saved.default == name else saved.default).write()
    click.echo(f"removed {name}")


def _read() -> Profiles:
    try:
        return Profiles.read()
    except ProfileError as error:
        raise click.ClickException(f"{error}; fix: {error.fix}") from error


def _named(saved: Profiles, name: str) -> Profile:
    try:
        return saved.named(name)
    except ProfileError as error:
        raise click.ClickException(f"{error}; fix: {error.fix}") from error
