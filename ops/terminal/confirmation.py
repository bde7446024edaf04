"""Asking before something is changed: what would be done is told first, and `--yes` is an answer given beforehand."""

from __future__ import annotations

import click

from local.visible import visible_line


class Declined(SystemExit):
    """The operator said no; nothing was changed."""

    def __init__(self) -> None:
        super().__init__(3)


def ask(question: str, *, yes: bool) -> None:
    """Return if the operator agrees.

    Raises:
        Declined: they do not; there is nobody to ask counts as no.
    """
    if yes:
        return
    try:
        agreed = click.confirm(visible_line(question), err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        click.echo("Nothing was changed.", err=True)
        raise Declined
