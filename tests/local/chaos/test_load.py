"""The load is made of its seed alone, and tells what was acknowledged as Twilio would know it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs

import pytest

from chalicelib.settings import Settings
from local.chaos import fleet
from local.chaos.__main__ import SETTINGS
from local.chaos.ledger import Result, Sent
from local.chaos.load import Line, Load, Script, companies, dice, scripts
from local.processes import environment

COMPANIES = companies(2, 5)


def _told(seed: int) -> list[tuple[object, ...]]:
    return [
        (script.company.name, script.customer.name, line.sent.text, line.pause_seconds, line.is_forged)
        for script in scripts(dice(seed), COMPANIES, messages=200, pause_seconds=3)
        for line in script.lines
    ]


class _Webhook(HTTPServer):
    """Answers each request with the next status; None: closes the connection without an answer."""

    def __init__(self, statuses: list[int | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.statuses = statuses
        self.sids: list[str] = []

    def server_bind(self) -> None:
        """Bind without asking what the machine is called."""
        HTTPServer.__mro__[1].server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


class _Request(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Answer one message."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.sids.append(form["MessageSid"][0])
        status = self.server.statuses.pop(0)
        if status is not None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _answering(*statuses: int | None) -> Iterator[_Webhook]:
    with _Webhook(list(statuses)) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _played(server: _Webhook, *lines: Line) -> list[Sent]:
    company = COMPANIES[0]
    url = f"http://127.0.0.1:{server.server_port}"
    load = Load(url, [Script(company, company.customers[2], lines)], retry_seconds=(0, 0, 0))
    load.start()
    while not load.is_over:
        load.wait(1)
    return load.ledger


def _line(sid: str, **more: bool) -> Line:
    return Line(0, Sent(sid=sid, number=1, conversation="c", company="co", text=sid, is_acknowledged=False), **more)


def test_a_seed_makes_the_same_load_again():
    """All of it but the message sids, which are fresh."""
    first = _told(7)

    again, other = _told(7), _told(8)

    assert first == again
    assert first != other


def test_a_load_has_as_many_messages_as_were_asked_for():
    """At least; forged ones and repeated ones come on top."""
    made = scripts(dice(1), COMPANIES, messages=300, pause_seconds=3)

    written = [line for script in made for line in script.lines if not (line.is_forged or line.is_late_duplicate)]

    assert len(written) >= 300
    assert len({line.sent.sid for line in written}) == len(written)


def test_the_messages_of_a_customer_are_numbered_in_order():
    """And each has a text that is no other's."""
    made = scripts(dice(1), COMPANIES, messages=300, pause_seconds=3)

    for script in made:
        own = [line.sent for line in script.lines if not (line.is_forged or line.is_late_duplicate)]
        assert [one.number for one in own] == list(range(1, len(own) + 1))
    texts = [line.sent.text for script in made for line in script.lines if not line.is_late_duplicate]
    assert len(set(texts)) == len(texts)


def test_each_company_has_a_customer_for_each_fate():
    """One that people answer, one with an inactive project, and others."""
    made = scripts(dice(1), COMPANIES, messages=300, pause_seconds=3)

    results = {script.company.name: set[Result]() for script in made}
    for script in made:
        results[script.company.name] |= {line.sent.result for line in script.lines if not line.is_forged}

    assert [found == set(Result) for found in results.values()] == [True, True]


def test_the_kills_are_made_of_the_seed_and_spread_over_the_load():
    """Of every role, at a moment of their own and right after a step."""
    first = fleet.plan(dice(3), 60)

    again = fleet.plan(dice(3), 60)

    assert first == again
    assert [one.at_progress for one in first] == sorted(one.at_progress for one in first)
    assert {one.role for one in first} == {fleet.WEB, fleet.BATCHES, fleet.REPLIES, fleet.SWEEPS}
    assert {one.step is None for one in first} == {True, False}


@pytest.mark.parametrize(
    ("statuses", "requests", "is_acknowledged"),
    [
        ([200], 1, True),
        ([503, None, 200], 3, True),
        ([503, 503, 503, 503], 4, False),
        ([None, None, None, None], 4, False),
    ],
    ids=["at once", "by a retry", "never", "never answered"],
)
def test_acknowledged_is_what_was_answered_with_success(
    statuses: list[int | None], requests: int, *, is_acknowledged: bool
):
    """At the first try or at one of three retries, each with the same message sid."""
    with _answering(*statuses) as server:
        (sent,) = _played(server, _line("SM1"))

    assert sent.is_acknowledged is is_acknowledged
    assert server.sids == ["SM1"] * requests


def test_a_late_duplicate_is_sent_of_what_was_acknowledged_and_counts_once():
    """Whatever the duplicate is answered, the message stays acknowledged."""
    with _answering(200, 503, 503, 503, 503) as server:
        sent = _played(server, _line("SM1"), _line("SM1", is_late_duplicate=True))

    assert [(one.sid, one.is_acknowledged) for one in sent] == [("SM1", True)]
    assert server.sids == ["SM1"] * 5


def test_nothing_is_sent_again_of_what_nobody_acknowledged():
    """Twilio has given it up."""
    with _answering(503, 503, 503, 503) as server:
        _played(server, _line("SM1"), _line("SM1", is_late_duplicate=True))

    assert server.sids == ["SM1"] * 4


def test_the_settings_of_a_run_hold_together():
    """Short as they are, they keep the relations that every deployment keeps."""
    told = environment.for_app("local", "http://127.0.0.1:4999", "key", shell={}, settings=SETTINGS)

    settings = Settings.from_environment(told)

    assert settings.stall_timeout_seconds == int(SETTINGS["STALL_TIMEOUT_SECONDS"])
