"""A domain of one's own before the API of a local AWS: hands on what comes to it, its path kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from local.guard.http import guard
from local.processes.environment import HOST

_PATIENCE_SECONDS = 30
_KEPT_BY_SERVERS = frozenset({"host", "connection"})


@contextmanager
def domain(routes: Mapping[str, str], port: int = 0) -> Iterator[str]:
    """The domain, for as long as the block lasts. Yields its URL.

    Args:
        routes: where to; one URL under the empty name, set once it is known.
        port: of the loopback interface; 0: any that is free.
    """
    server = ThreadingHTTPServer((HOST, port), partial(_Domain, routes))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Domain(BaseHTTPRequestHandler):
    def __init__(self, routes: Mapping[str, str], *connection: Any) -> None:
        self._routes = routes
        super().__init__(*connection)

    def do_GET(self) -> None:
        self._hand_on(None)

    def do_POST(self) -> None:
        self._hand_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _hand_on(self, body: bytes | None) -> None:
        if "" not in self._routes:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "nothing is deployed yet")
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _KEPT_BY_SERVERS}
        opener: Any = build_opener(ProxyHandler({}))
        request = Request(self._routes[""] + self.path, data=body, headers=headers, method=self.command)  # noqa: S310  # the local AWS
        try:
            with opener.open(request, timeout=_PATIENCE_SECONDS) as answer:
                self._hand_back(answer.status, answer.read(), answer.headers)
        except HTTPError as answer:
            with answer:
                self._hand_back(answer.code, answer.read(), answer.headers)
        except (URLError, TimeoutError, ConnectionError):
            self.send_error(HTTPStatus.BAD_GATEWAY, "the local AWS does not answer")

    def _hand_back(self, status: int, body: bytes, headers: Any) -> None:
        self.send_response(status)
        self.send_header("Content-Type", headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


guard(_Domain)
