"""The commands of this machine - `run`, `rehearse`, `send` and others - as `make` runs them; and `ports`."""

from __future__ import annotations

from importlib import import_module

import click

from ops.options import JSON

_ON_THIS_MACHINE = {
    "run": "Local AWS, app, workers, stubs and two demo tenants, until Ctrl-C.",
    "aws": "The same without the app's HTTP server.",
    "chalice-local": "The app's HTTP server by `chalice local`, beside `aws`.",
    "rehearse": "A stage deployed to a local AWS that enforces rights, until Ctrl-C.",
    "demo": "A scripted evening on free ports, shown live and checked.",
    "send": "One signed request of Twilio or SendGrid.",
}
"""By name; each has the options of `python -m local NAME`."""


def add_to(group: click.Group) -> None:
    """Add the commands to a group."""
    for name, about in _ON_THIS_MACHINE.items():
        group.add_command(_passed_on(name, about))
    group.add_command(ports)


def _passed_on(name: str, about: str) -> click.Command:
    """A command whose arguments are another program's."""

    @click.command(
        name,
        help=about,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> None:
        import_module("local.__main__").cli.main([name, *arguments], prog_name="replies-engine")

    return command


@click.command()
@JSON
def ports(*, as_json: bool) -> None:
    """Where each `make run` and `make rehearse` on this machine listens."""
    import json  # noqa: PLC0415  # as above
    from dataclasses import asdict  # noqa: PLC0415  # as above

    from local import run_file  # noqa: PLC0415  # as above

    running = run_file.running()
    if as_json:
        click.echo(json.dumps({"runs": [asdict(one) for one in running]}, indent=2))
        return
    for one in running:
        twilio = f"  stub Twilio {one.twilio_url}" if one.twilio_url else ""
        click.echo(f"{one.stage}: app {one.url}  local AWS {one.endpoint}{twilio}  process {one.pid}")
    if not running:
        click.echo("nothing runs: make run")
