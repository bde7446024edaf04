"""A page in a real browser tries to use the local ports in every way that a page has, and reads nothing.

Each attack also runs against a port without a guard, where it must succeed: else it would show nothing.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from local.aws.clients import LocalAws
from local.aws.ministack import local_aws
from local.guard.http import guard
from local.processes import ports
from local.processes.environment import HOST
from tests.browser.conftest import REBOUND

pytestmark = pytest.mark.browser

SECRET = "the developer's token"


class Port:
    """A port that tells a secret to whoever asks, and allows every origin, as the unguarded local AWS does."""

    def __init__(self, *, is_guarded: bool):
        self.reached: list[str] = []
        reached = self.reached

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                reached.append(self.command)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(200)
                for name in ("Origin", "Methods", "Headers"):
                    self.send_header(f"Access-Control-Allow-{name}", "*")
                self.send_header("Access-Control-Allow-Private-Network", "true")
                self.send_header("Content-Length", str(len(SECRET)))
                self.end_headers()
                self.wfile.write(SECRET.encode())

            do_GET = do_POST = do_OPTIONS = answer  # noqa: N815  # the library's names

            def log_message(self, *_arguments):
                pass

        if is_guarded:
            guard(Handler)
        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.number = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def evil() -> Iterator[int]:
    """The port of a page of somebody else's, on another origin."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer((HOST, 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=[False, True], ids=["unguarded", "guarded"])
def port(request: pytest.FixtureRequest) -> Iterator[tuple[Port, bool]]:
    made = Port(is_guarded=request.param)
    yield made, request.param
    made.close()


FETCH = """async ([url, options]) => {
  try { return await (await fetch(url, options)).text() } catch (error) { return String(error) }
}"""
IMAGE = """url => new Promise(done => {
  const image = new Image(); image.onload = image.onerror = () => done(true); image.src = url
})"""
FORM = """url => new Promise(done => {
  const frame = document.createElement('iframe'); frame.name = 'target'
  const form = document.createElement('form'); form.method = 'post'; form.action = url; form.target = 'target'
  document.body.append(frame, form)
  frame.onload = () => { if (frame.dataset.sent) done(true) }
  setTimeout(() => { frame.dataset.sent = '1'; form.submit() }, 100)
})"""


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="read"),
        pytest.param({"method": "POST", "body": "Action=ListQueues"}, id="write"),
        pytest.param({"method": "POST", "headers": {"X-Amz-Target": "secretsmanager.ListSecrets"}}, id="preflight"),
    ],
)
def test_a_page_of_another_origin_reads_nothing(page: Any, evil: int, port: tuple[Port, bool], options: Any):
    """By `fetch`, which a port that allows every origin answers."""
    served, is_guarded = port
    page.goto(f"http://localhost:{evil}/")

    read = page.evaluate(FETCH, [f"http://{HOST}:{served.number}/", options])

    assert (SECRET in read) is not is_guarded
    assert bool(served.reached) is not is_guarded


@pytest.mark.parametrize("script", [pytest.param(IMAGE, id="an image"), pytest.param(FORM, id="a form")])
def test_a_page_of_another_origin_causes_nothing(page: Any, evil: int, port: tuple[Port, bool], script: str):
    """By what needs no permission and shows no answer."""
    served, is_guarded = port
    page.goto(f"http://localhost:{evil}/")

    page.evaluate(script, f"http://{HOST}:{served.number}/")

    assert bool(served.reached) is not is_guarded


def test_a_page_whose_name_was_rebound_reads_nothing(page: Any, port: tuple[Port, bool]):
    """It is of the same origin then, and its reads bear neither `Origin` nor `Sec-Fetch-Site`."""
    served, is_guarded = port
    page.goto(f"http://{REBOUND}:{served.number}/")

    read = page.evaluate(FETCH, [f"http://{REBOUND}:{served.number}/", {}])

    assert (SECRET in read) is not is_guarded
    assert bool(served.reached) is not is_guarded


def test_a_page_cannot_read_a_secret_from_the_local_aws(page: Any, evil: int):
    """The attack as it was: a call of Secrets Manager, with the key that everybody used to know."""
    with local_aws(ports.free(1)[0], shell=os.environ) as aws:
        aws.secrets.create_secret(Name="twilio", SecretString=SECRET)
        page.goto(f"http://localhost:{evil}/")
        read = page.evaluate(FETCH, [aws.endpoint + "/", secrets_call("local")])
        rebound = page.evaluate(FETCH, [aws.endpoint + "/", secrets_call(aws.access_key)])

        assert SECRET in kept(aws)

    assert "TypeError" in read
    assert "TypeError" in rebound


def secrets_call(access_key: str) -> dict[str, Any]:
    return {
        "method": "POST",
        "headers": {
            "X-Amz-Target": "secretsmanager.GetSecretValue",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={access_key}/20260101/eu-west-1/secretsmanager/aws4_request",
        },
        "body": json.dumps({"SecretId": "twilio"}),
    }


def kept(aws: LocalAws) -> str:
    return str(aws.secrets.get_secret_value(SecretId="twilio")["SecretString"])
