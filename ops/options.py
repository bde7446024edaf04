"""The options that every command takes to find a deployment; imports nothing heavy, so that `--help` is fast."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ops import profiles

if TYPE_CHECKING:
    from ops.stage.deployment import Deployment

Body = TypeVar("Body", bound=Callable[..., Any])

_PLACES = (
    click.option("--stage", envvar="STAGE", help="The stage: local, dev, prod, or one of your own."),
    click.option("--use", envvar="REPLIES_ENGINE_PROFILE", metavar="NAME", help="A saved profile: `profile list`."),
    click.option("--endpoint-url", help="URL of AWS. Default for `local`: the newest `make run`."),
    click.option("--region", help="Default: from the AWS configuration."),
    click.option("--profile", "--aws-profile", "profile", help="A profile of the AWS configuration."),
    click.option("--twilio-url", help="URL of Twilio's API. Default: from the settings; for `local` the stub."),
)

PLACES = ("endpoint_url", "region", "profile", "twilio_url")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

YES = click.option("--yes", is_flag=True, help="Do it without asking.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only show what would be done.")
PRIMARY_CHANNEL = click.option(
    "--primary-channel", help="The row's hash key, where two conversations have the same id."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


def on_stage(body: Body) -> Body:
    """Give a command the options that name a deployment; its body receives the deployment and a console."""

    @wraps(body)
    def wrapped(*, stage: str | None, use: str | None, **options: Any) -> None:
        from chalicelib.errors import EngineError  # noqa: PLC0415  # as above
        from local.terminal import Console  # noqa: PLC0415  # `--help` and completion do without
        from ops.stage.account import as_command_error  # noqa: PLC0415  # as above

        deployment = deployment_of(stage, use, {name: options.pop(name) for name in PLACES})
        console = Console(highlight=False, soft_wrap=True, markup=False)
        try:
            body(deployment, console, **options)
        except EngineError as error:
            raise as_command_error(error, deployment.target) from error

    return with_places(wrapped)  # type: ignore[return-value]  # click's decorators return what they are given


def with_places(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with the options that name a deployment."""
    for option in reversed(_PLACES):
        command = option(command)
    return command


def deployment_of(stage: str | None, use: str | None, given: dict[str, str | None]) -> Deployment:
    """The deployment that the options and the saved profile name.

    Raises:
        CommandError: there is none, or it cannot be reached.
    """
    from chalicelib.errors import EngineError  # noqa: PLC0415  # as above
    from ops.stage.account import Account, as_command_error  # noqa: PLC0415  # as above
    from ops.stage.deployment import Deployment  # noqa: PLC0415  # as above
    from ops.stage.target import CommandError, Config, Target  # noqa: PLC0415  # as above

    try:
        known = profiles.applied(stage, use, given)
    except profiles.ProfileError as error:
        raise CommandError(str(error), error.fix) from error
    config = Config.read()
    target = Target.of(known.stage, config, **known.places)
    try:
        return Deployment.find(Account.connect(target), config)
    except EngineError as error:
        raise as_command_error(error, target) from error
