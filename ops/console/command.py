"""`replies-engine console`: serves the console of a stage until Ctrl-C."""

from __future__ import annotations

import threading

from rich.console import Console

from local.console.feed import Feed
from local.console.guard import new_token
from local.console.web import Server, Site
from local.processes import ports
from ops.console.repairs import Repairs
from ops.console.stage_view import StageView
from ops.stage.deployment import Deployment


def site(view: StageView) -> Site:
    """The console of a stage, as a site."""
    repairs, target = Repairs(view), view.deployment.target
    actions = {
        "story": view.story,
        "doctor": view.doctor,
        "letters": view.letters,
        "unlock": repairs.unlock,
        "redrive": repairs.redrive,
        "redrive-one": repairs.redrive_one,
    }
    values = {
        "stage": target.stage,
        "region": view.deployment.account.region,
        "endpoint": target.endpoint_url or "",
        "shows_texts": view.shows_texts,
    }
    return Site("stage.html", view.feed, actions, values)


def serve(deployment: Deployment, console: Console, port: int, *, shows_texts: bool) -> None:
    """Serve it until Ctrl-C.

    Raises:
        click.ClickException: the port is taken.
    """
    ports.require_free(port, "--port")
    looking = StageView(deployment=deployment, feed=Feed(), shows_texts=shows_texts)
    with looking as view, Server(site(view), port, new_token()) as server:
        console.print(f"The console of stage {deployment.target.stage}; open in a browser:")
        console.print(server.address, soft_wrap=True)
        console.print("It works with your own credentials. Ctrl-C ends it; nothing of it is deployed.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            console.print("\nStopped.")
