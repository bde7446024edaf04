"""The webhooks of a world in memory on the loopback interface, for whoever asks over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from chalice.app import Request, Response

from chalicelib.channels.channel import Vendor
from chalicelib.handlers import webhooks
from local.processes import ports
from tests.world import SECRET_REF, World, conversation


@contextmanager
def served(path_prefix: str = "", **settings: str) -> Iterator[tuple[World, str]]:
    """A world whose webhooks answer, and their base URL; the world believes that it is called at that URL."""
    (port,) = ports.free(1)
    url = f"http://127.0.0.1:{port}{path_prefix}"
    refs = {name: {"credential_ref": SECRET_REF} for name in ("whatsapp", "sms")}
    world = World(None, conversation(channel_config=refs), **{"public_base_url": url, **settings})
    with answering(port, lambda handler: _answer(world, handler)):
        yield world, url


@contextmanager
def answering(port: int, answer) -> Iterator[None]:
    """An HTTP server that answers each request with what `answer` makes of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._send(answer(self))

        do_POST = do_GET  # noqa: N815  # the library's name

        def log_message(self, *_):
            """Say nothing."""

        def _send(self, response: Response):
            self.send_response(response.status_code)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body.encode())

    server = HTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(world: World, handler: BaseHTTPRequestHandler) -> Response:
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0))).decode()
    if handler.command != "POST":
        return webhooks.unknown_path()
    event = {
        "headers": dict(handler.headers.items()),
        "requestContext": {"httpMethod": "POST", "resourcePath": handler.path, "path": handler.path},
        "pathParameters": None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": body,
        "isBase64Encoded": False,
    }
    return webhooks.receive_message(Request(event, world._lambda_context(15)), Vendor.TWILIO, world.engine)
