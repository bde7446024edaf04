"""`python -m infrastructure`: what puts a stage into an account, step by step or all at once."""

from __future__ import annotations

from pathlib import Path

import click

from infrastructure import chalice_deploy, deploying
from infrastructure import policies as policy_files
from infrastructure.stages import PROJECT

_STAGE = click.option("--stage", required=True, metavar="NAME", help="A stage of .chalice/config.json: dev or prod.")
_PARAMETERS = click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of infrastructure/template.yaml; repeatable.",
)
_ALARM_TOPIC = click.option(
    "--alarm-topic",
    metavar="ARN",
    help="The SNS topic that each alarm notifies. Left out: the topic of the last deployment. Empty: none.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Deploys a stage of replies-engine into the account of the shell's AWS credentials."""


@cli.command()
@_STAGE
@_PARAMETERS
def create(stage: str, parameters: tuple[str, ...]) -> None:
    """Create or update the stage's tables and queues; then `chalice deploy --stage NAME` works."""
    deploying.create(deploying.stage_named(stage), _pairs(parameters), click.echo)


@cli.command()
@_STAGE
@_PARAMETERS
@_ALARM_TOPIC
def deploy(stage: str, parameters: tuple[str, ...], alarm_topic: str | None) -> None:
    """Do everything (create, chalice deploy, post-deploy, watch), and print the webhooks' URLs."""
    deploying.deploy(deploying.stage_named(stage), _pairs(parameters), alarm_topic, click.echo)


@cli.command()
@_STAGE
def functions(stage: str) -> None:
    """Deploy the functions, the API and the schedules with Chalice and the locked package."""
    deploying.functions(deploying.stage_named(stage), click.echo)


@cli.command()
@_STAGE
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def package(stage: str, folder: Path) -> None:
    """Write the locked package and its SAM template into FOLDER."""
    chalice_deploy.package(deploying.stage_named(stage), folder)


@cli.command()
@_STAGE
def post_deploy(stage: str) -> None:
    """Apply the settings that Chalice cannot; run after a `chalice deploy` of your own."""
    deploying.post_deploy_step(deploying.stage_named(stage), click.echo)


@cli.command()
@_STAGE
@_ALARM_TOPIC
def watch(stage: str, alarm_topic: str | None) -> None:
    """Create or update the stage's alarms and its dashboard."""
    deploying.watch(deploying.stage_named(stage), alarm_topic, click.echo)


@cli.command()
def policies() -> None:
    """Generate the functions' policy files from the table of rights and the template."""
    changed = policy_files.write()
    for one in changed:
        click.echo(f"{one.relative_to(PROJECT)} {'written' if one.exists() else 'removed'}")
    click.echo(f"{len(policy_files.files())} policy files, {len(changed)} changed")


def _pairs(parameters: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for one in parameters:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.UsageError(f"a parameter is NAME=VALUE, and {one} is not")
        pairs[name] = value
    return pairs


if __name__ == "__main__":
    cli(prog_name="python -m infrastructure")
