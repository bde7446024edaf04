"""The server shows the page, streams what changes, does what is asked, and says why where it cannot."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from local.console.feed import Feed
from local.console.web import Document, Server, Site, Unfit, text
from local.processes import ports
from local.processes.environment import HOST

TOKEN = "the-token"


def greet(told: Document) -> object:
    return {"greeting": f"Hello {text(told, 'name')}"}


@pytest.fixture
def server() -> Iterator[Server]:
    feed = Feed()
    feed.publish("ledger", {"lost": 0})
    values: dict[str, Any] = {"orders": [], "phones": [{"id": "<b>", "name": "<b>", "company": "<b>"}]}
    with Server(Site("play.html", feed, {"greet": greet}, values), ports.free(1)[0], TOKEN) as made:
        yield made


@contextmanager
def ask(server: Server, method: str, path: str, body: str | None = None) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=5)
    headers = {"Cookie": f"console-{server.port}={TOKEN}", "Origin": f"http://{HOST}:{server.port}"}
    connection.request(method, path, body, headers)
    with closing(connection), connection.getresponse() as answer:
        yield answer


def test_the_page_escapes_what_it_is_given(server: Server):
    with ask(server, "GET", "/") as answer:
        page = answer.read().decode()

    assert answer.status == 200
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


def test_the_stream_begins_with_the_whole_and_goes_on_with_what_changes(server: Server):
    with ask(server, "GET", "/events") as stream:
        first = [stream.readline() for _ in range(4)]
        server.site.feed.publish("phone:anna", {"name": "Anna"})
        second = [stream.readline() for _ in range(3)]

    assert first == [b"event: ledger\n", b"id: 1\n", b'data: {"lost":0}\n', b"\n"]
    assert second == [b"event: phone\n", b"id: 2\n", b'data: {"name":"Anna"}\n']


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/do/greet", '{"name": "Anna"}', 200, {"greeting": "Hello Anna"}),
        ("/do/greet", "{}", 400, {"error": "name is missing"}),
        ("/do/greet", '{"name": 5}', 400, {"error": "name is missing"}),
        ("/do/greet", "[]", 400, {"error": "the request is no JSON object"}),
        ("/do/nothing", "{}", 404, {"error": "there is no such action"}),
    ],
)
def test_an_action_answers_or_says_why_not(server: Server, path: str, body: str, status: int, told: Any):
    with ask(server, "POST", path, body) as answer:
        assert (answer.status, json.load(answer)) == (status, told)


def test_what_is_no_json_is_refused(server: Server):
    with ask(server, "POST", "/do/greet", "{") as answer:
        assert answer.status == 400


def test_the_server_ends_although_a_page_still_listens(server: Server):
    with ask(server, "GET", "/events") as stream:
        stream.readline()

        server.__exit__()

    assert not server._is_running


def test_an_unfit_request_is_no_crash():
    with pytest.raises(Unfit, match="body is missing"):
        text({}, "body")
