"""The web server of a console: static files, the events of a feed, and actions, on a thread of its own.

GET  /            the page
GET  /static/...  its script and style
GET  /events      server-sent events: every topic of the feed at first, then each change
POST /do/NAME     one action, with a JSON document; answered with what it says, or 400 with the reason
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Self

import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from local.console.feed import Feed
from local.console.guard import Guard
from local.processes.environment import HOST
from local.processes.ports import wait_until_answers

_HERE = Path(__file__).parent
_LOOK_SECONDS = 0.1
_KEEP_ALIVE_LOOKS = 100
_STOP_SECONDS = 3
_START_SECONDS = 10.0

Document = Mapping[str, Any]
Action = Callable[[Document], object]
"""Does what a document asks for and returns what the page shows of it, as JSON.

Raises:
    Unfit: the document asks for something that cannot be done.
"""


class Unfit(Exception):  # noqa: N818  # it is an answer to the page
    """What was asked for cannot be done; its text says why, to the person at the page."""


@dataclass(frozen=True)
class Site:
    """One console's page, its feed, and what it can do."""

    template: str
    feed: Feed
    actions: Mapping[str, Action]
    values: Document = field(default_factory=dict)
    """For the template."""
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the server is to end: the open streams end first."""

    @property
    def app(self) -> Starlette:
        """The ASGI app."""
        static = StaticFiles(directory=_HERE / "static")
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/events", self._events),
                Route("/do/{name}", self._do, methods=["POST"]),
                Mount("/static", static),
            ]
        )

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(_TEMPLATES.get_template(self.template).render(self.values))

    async def _events(self, _request: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        version, quiet = 0, 0
        while not self.closing.is_set():
            version, changed = self.feed.changes(version)
            for topic, told in changed:
                yield f"event: {topic.partition(':')[0]}\nid: {version}\ndata: {told}\n\n"
            quiet = 0 if changed else quiet + 1
            if quiet == _KEEP_ALIVE_LOOKS:  # else a page that was closed would never be noticed
                quiet = 0
                yield ": still here\n\n"
            await asyncio.sleep(_LOOK_SECONDS)

    async def _do(self, request: Request) -> Response:
        action = self.actions.get(request.path_params["name"])
        if action is None:
            return JSONResponse({"error": "there is no such action"}, 404)
        try:
            return JSONResponse(await run_in_threadpool(action, _object(await request.json())))
        except (Unfit, JSONDecodeError, UnicodeDecodeError) as fault:
            return JSONResponse({"error": str(fault)}, 400)


_TEMPLATES = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined)


@dataclass
class Server:
    """Serves a site on the loopback interface for as long as the block lasts."""

    site: Site
    port: int
    token: str = field(repr=False)
    _uvicorn: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    def __enter__(self) -> Self:
        config = uvicorn.Config(
            Guard(self.site.app, self.port, self.token),
            host=HOST,
            port=self.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            # Else the open streams of a page would hold up Ctrl-C.
            timeout_graceful_shutdown=1,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, name="console", daemon=True)
        self._thread.start()
        wait_until_answers(self.port, seconds=_START_SECONDS, gave_up=lambda: not self._is_running)
        return self

    def __exit__(self, *_: object) -> None:
        if self._uvicorn is not None and self._thread is not None:
            self.site.closing.set()
            self._uvicorn.should_exit = True
            self._thread.join(_STOP_SECONDS)

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()


def _object(document: Any) -> Document:
    if not isinstance(document, dict):
        raise Unfit("the request is no JSON object")
    return document


def text(document: Document, name: str, *, default: str | None = None) -> str:
    """A text of a document.

    Raises:
        Unfit: it has none.
    """
    value = document.get(name, default)
    if not isinstance(value, str):
        raise Unfit(f"{name} is missing")
    return value
