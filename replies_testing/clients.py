"""Chalice's test client for the app, whose routes and functions work on a deployment in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from chalice.app import Chalice
from chalice.test import Client, HTTPResponse

from chalicelib import wiring
from replies_testing.requests import SignedRequest
from tests.world import World

_PROJECT = Path(__file__).parents[1]


@contextmanager
def client_of(world: World, app: Chalice | None = None) -> Iterator[Client]:
    """Chalice's test client, for as long as the block lasts; nothing of it reaches AWS or a provider.

    Args:
        world: what the app works on.
        app: the app; None: the project's own `app.py`.
    """
    if app is None:
        app = import_module("app").app  # its decorators read the environment
    shipped = wiring.engine
    wiring.engine = lambda: world.engine
    try:
        with Client(app, stage_name="local", project_dir=str(_PROJECT)) as client:
            yield client
    finally:
        wiring.engine = shipped


def post(client: Client, request: SignedRequest) -> HTTPResponse:
    """Send a signed request through Chalice's test client."""
    return client.http.post(request.path, headers=request.headers, body=request.body)
