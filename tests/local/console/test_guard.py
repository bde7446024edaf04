"""Without the token of this start, from another origin or under another name, the console does nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from local.console.guard import POLICY, Guard

PORT, TOKEN = 8012, "the-token"
OURS = {"host": f"127.0.0.1:{PORT}", "cookie": f"console-{PORT}={TOKEN}"}
ORIGIN = f"http://127.0.0.1:{PORT}"


def ask(method: str = "GET", path: str = "/", query: str = "", **headers: str) -> tuple[int, dict[str, str], bool]:
    """The status, the headers, and whether the app was reached."""
    sent: list[Any] = []
    reached = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        reached.append(True)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the guard reads no body")

    told = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": told}
    asyncio.run(Guard(app, PORT, TOKEN)(scope, receive, send))
    headers_back = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers_back, bool(reached)


def test_the_first_visit_is_given_a_cookie_that_scripts_and_other_sites_cannot_use():
    status, headers, is_reached = ask(query=f"token={TOKEN}", host=OURS["host"])

    assert (status, headers["location"], is_reached) == (303, "/", False)
    assert headers["set-cookie"] == f"console-{PORT}={TOKEN}; HttpOnly; SameSite=Strict; Path=/"


def test_the_cookie_opens_the_page_and_our_origin_may_write():
    assert ask(**OURS)[0] == 200
    assert ask("POST", "/do/send", origin=ORIGIN, **OURS)[0] == 200


@pytest.mark.parametrize(
    ("status", "method", "path", "query", "headers"),
    [
        pytest.param(401, "GET", "/", "", {"host": OURS["host"]}, id="no token"),
        pytest.param(401, "GET", "/", "token=another", {"host": OURS["host"]}, id="another token"),
        pytest.param(401, "GET", "/events", f"token={TOKEN}", {"host": OURS["host"]}, id="a token beside the page"),
        pytest.param(401, "GET", "/", "", {**OURS, "cookie": f"console-1={TOKEN}"}, id="another console's cookie"),
        pytest.param(401, "GET", "/", "", {**OURS, "cookie": "console"}, id="a cookie without a value"),
        pytest.param(403, "GET", "/", "", {**OURS, "host": f"evil.example:{PORT}"}, id="a rebound name"),
        pytest.param(403, "GET", "/", "", {**OURS, "host": "127.0.0.1:80"}, id="another port"),
        pytest.param(403, "GET", "/", "", {**OURS, "sec_fetch_site": "cross-site"}, id="a read of another site"),
        pytest.param(403, "GET", "/", "", {**OURS, "sec_fetch_site": "same-site"}, id="a read of another port"),
        pytest.param(403, "POST", "/do/send", "", OURS, id="a write without an origin"),
        pytest.param(
            403, "POST", "/do/send", "", {**OURS, "origin": "http://127.0.0.1:1"}, id="a write of another port"
        ),
        pytest.param(403, "POST", "/do/send", "", {**OURS, "origin": "null"}, id="a write of a sandboxed page"),
    ],
)
def test_everything_else_is_refused_before_the_app(status: int, method: str, path: str, query: str, headers: Any):
    got, _, is_reached = ask(method, path, query, **headers)

    assert (got, is_reached) == (status, False)


def test_every_answer_forbids_foreign_scripts_and_frames():
    for _, headers, _ in (ask(**OURS), ask(host=OURS["host"])):
        assert headers["content-security-policy"] == POLICY
        assert headers["cache-control"] == "no-store"


def test_a_websocket_is_closed():
    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(None, PORT, TOKEN)({"type": "websocket", "headers": []}, None, send))

    assert sent == [{"type": "websocket.close", "code": 1008}]
