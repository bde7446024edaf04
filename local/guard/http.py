"""The guard before a server of Python's own `http.server`: the app's and the stubs'."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from local.guard.rules import LOOPBACK_HOSTS, refusal


def guard(handler: type[BaseHTTPRequestHandler], hosts: Collection[str] = LOOPBACK_HOSTS) -> None:
    """Have a class of handlers refuse what `rules.py` refuses, before it sees the request.

    Args:
        handler: changed for the whole process.
        hosts: the names that the port answers to, without a port.
    """
    parse = handler.parse_request

    def parse_request(self: BaseHTTPRequestHandler) -> bool:
        if not parse(self):
            return False
        why = refusal({name.lower(): value for name, value in self.headers.items()}, hosts=hosts)
        if why is not None:
            self.send_error(HTTPStatus.FORBIDDEN, why)
        return why is None

    handler.parse_request = parse_request  # type: ignore[method-assign]


def hosts_with(public_base_url: str) -> frozenset[str]:
    """The names of the loopback interface and that of a tunnel's public URL; empty: no tunnel."""
    name = urlsplit(public_base_url).hostname
    return LOOPBACK_HOSTS | ({name} if name else set())
