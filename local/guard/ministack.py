"""Runs ministack behind the guard: a program for `.venv-aws`.

    python -I ministack.py PROGRAM

PROGRAM is the module `ministack`, or a file of Python that runs it with something added. The variable LOCAL_AWS_KEY
holds the access key that each request must bear. Without it the local AWS checks the keys itself, as it does where it
enforces rights.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ministack.app

_RULES = runpy.run_path(str(Path(__file__).with_name("rules.py")))
_KEY = os.environ.pop("LOCAL_AWS_KEY", "")

_App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def guarded(app: _App) -> _App:
    """An ASGI app that answers 403 to what the guard refuses."""

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan" and (why := _refusal(scope)) is not None:
            assert scope["type"] == "http", "the local AWS is called over HTTP alone"
            told = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 403, "headers": told})
            await send({"type": "http.response.body", "body": why.encode()})
            return
        await app(scope, receive, send)

    return answer


def _refusal(scope: dict[str, Any]) -> str | None:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if (why := _RULES["refusal"](headers)) is not None:
        return str(why)
    if _KEY and not _RULES["bears_key"](headers, scope["query_string"].decode("latin-1"), _KEY):
        return "refused: not the access key of this start"
    return None


if __name__ == "__main__":
    ministack.app.app = guarded(ministack.app.app)
    program = sys.argv[1]
    sys.argv = [program]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
