"""`python -m infrastructure`: what puts a stage into an account, step by step or all at once."""

from __future__ import annotations

import click

from infrastructure import policies as policy_files
from infrastructure.stages import PROJECT


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Puts a stage of replies-engine into the account that the shell's AWS credentials lead to."""


@cli.command()
def policies() -> None:
    """Generate the functions' policy files from the table of rights and the template."""
    changed = policy_files.write()
    for one in changed:
        click.echo(f"{one.relative_to(PROJECT)} {'written' if one.exists() else 'removed'}")
    click.echo(f"{len(policy_files.files())} policy files, {len(changed)} changed")


if __name__ == "__main__":
    cli(prog_name="python -m infrastructure")
