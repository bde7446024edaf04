"""The child that serves the app's routes, by Chalice's own local server."""

from __future__ import annotations

from chalice.cli import create_local_server
from chalice.cli.factory import CLIFactory
from chalice.local import ChaliceRequestHandler

from local.guard.http import guard, hosts_with
from local.processes.environment import HOST, PROJECT


def serve(stage: str, port: int, *, public_base_url: str) -> None:
    """Serve the app's routes on the loopback interface until the process ends, behind the guard.

    A tunnel passes the public name as `Host`, so the name in `public_base_url` is answered too.

    The stage's variables are in this process's environment already. Chalice gets a mapping of its own to put them into,
    so that it does not put the configured endpoint over the one that we were given.
    """
    # Without this each request on a kept connection waits 44 ms for the kernel.
    ChaliceRequestHandler.disable_nagle_algorithm = True
    ChaliceRequestHandler.log_message = _say_nothing
    guard(ChaliceRequestHandler, hosts_with(public_base_url))
    server = create_local_server(CLIFactory(str(PROJECT), environ={}), HOST, port, stage)
    server.server.serve_forever()


def _say_nothing(*_arguments: object) -> None:
    """Log no requests: the app's own log has them."""
