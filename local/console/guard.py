"""Keeps every other web page, program and user away from the console: as safe as a notebook server is.

Guarantee: without the token of this start nothing is read and nothing is changed; no page of another origin can make
the browser do either.

    a: the Host is a loopback name and our own port (a rebound name is refused)
    b: the first visit bears the token in its query; it is answered with a cookie and a redirect to the bare page
    c: every other request bears that cookie, which scripts cannot read and other sites do not send
    d: a request that changes something also bears our own Origin

A pure ASGI middleware: it sees every kind of connection, and closes those that it does not know.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from local.guard.rules import LOOPBACK_HOSTS

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_READS = frozenset({"GET", "HEAD"})

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Our own script and style only, so that a customer's text can never run as code."""

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Guard:
    """An ASGI app that passes on what bears the token, and refuses the rest."""

    app: AsgiApp
    port: int
    token: str = field(repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # we have no websockets
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if (why := self.refusal(headers)) is not None:
            await _answer(send, 403, why)
        elif self._token_in_query(scope):
            cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            await _answer(send, 303, "", (b"location", b"/"), (b"set-cookie", cookie.encode()))
        elif not self.bears_token(headers):
            await _answer(send, 401, "Open the address that the terminal shows: it contains the token of this run.\n")
        elif scope["method"] not in _READS and headers.get("origin") not in self._origins:
            await _answer(send, 403, "refused: a request of another origin\n")
        else:
            await self.app(scope, receive, _with_headers(send))

    @property
    def cookie(self) -> str:
        """The name of our cookie. A browser sends cookies to every port of a host, so each console has its own."""
        return f"console-{self.port}"

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why a request is refused whatever token it bears; None: it named us."""
        if headers.get("host", "") not in self._hosts:
            return "refused: a foreign Host\n"
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return "refused: a request of another site\n"
        return None

    def bears_token(self, headers: Mapping[str, str]) -> bool:
        """Whether the cookie of this start comes with the request."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return cookie is not None and compare_digest(cookie.value.encode(), self.token.encode())

    def _token_in_query(self, scope: Scope) -> bool:
        if scope["path"] != "/" or scope["method"] != "GET":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return compare_digest(given.encode(), self.token.encode())

    @property
    def _hosts(self) -> frozenset[str]:
        return frozenset(f"{host}:{self.port}" for host in LOOPBACK_HOSTS)

    @property
    def _origins(self) -> frozenset[str]:
        return frozenset(f"http://{host}" for host in self._hosts)


def _with_headers(send: Send) -> Send:
    async def send_on(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *HEADERS]
        await send(message)

    return send_on


async def _answer(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    told = [(b"content-type", b"text/plain; charset=utf-8"), *headers, *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": text.encode()})
