"""Fetching media from Twilio: only its own hosts, only the account's media, within bounds - over loopback servers."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chalicelib.channels.connections import Connections
from chalicelib.channels.fetcher import Fetched, NotFetched
from chalicelib.channels.twilio.media import KEPT_UNDER, TwilioMedia
from chalicelib.clock import Deadline, SystemClock
from chalicelib.errors import Misconfigured
from tests.world import ACCOUNT_SID, AUTH_TOKEN

SECRET = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN})
PATH = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/MM1/Media/ME1"
URL = f"https://api.twilio.com{PATH}"
SIZE_MAX = 1_000_000

SILENT_SECONDS, SOON_SECONDS = 30, 15
"""How long a server says nothing, and what is certainly no wait for it, on a machine under load too."""

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """One host: what it answers by path, and what it was asked."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and `Authorization` of every request."""


def sends(content: bytes, content_type: str = "image/png", status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        told = {"Content_Type": content_type, "Content_Length": str(len(content)), "Connection": "close", **headers}
        for name, value in told.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def redirects(to: str, status: int = 307) -> Answer:
    return sends(b"", status=status, Location=to)


def streams(pieces: Iterator[bytes], pause_seconds: float = 0, **headers: str) -> Answer:
    """A body whose length nobody told, which ends when `pieces` do."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in {"Content_Type": "image/png", "Connection": "close", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(piece)
            time.sleep(pause_seconds)

    return answer


@pytest.fixture
def hosts() -> Iterator[Callable[[], Server]]:
    """Makes hosts, each on a port of its own."""
    running: list[ThreadingHTTPServer] = []

    def make() -> Server:
        server = Server()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers.get("Authorization")))
                with suppress(OSError):  # who asked is gone
                    server.answers.get(self.path, sends(b"", status=404))(self)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        running.append(listening)
        server.url = f"http://127.0.0.1:{listening.server_port}"
        return server

    yield make
    for listening in running:
        listening.shutdown()
        listening.server_close()


@pytest.fixture
def api(hosts: Callable[[], Server]) -> Server:
    """Twilio's API."""
    return hosts()


@pytest.fixture
def storage(hosts: Callable[[], Server]) -> Server:
    """Where Twilio keeps media."""
    return hosts()


@pytest.fixture
def elsewhere(hosts: Callable[[], Server]) -> Server:
    """Any other host, such as one of a private network."""
    return hosts()


def within(size: int, content_type: str) -> str | None:
    if size > SIZE_MAX:
        return "too_large"
    return None if content_type in {"image/png", ""} else "type_not_allowed"


def fetch(api: Server, storage: Server | None = None, url: str = URL, *, secret: str = SECRET, seconds: float = 5):
    kept_under = KEPT_UNDER if storage is None else (f"{storage.url}/media/",)
    media = TwilioMedia(1, 1, base_url=api.url, connections=Connections(SystemClock()), kept_under=kept_under)
    return media.fetch(url, secret, refuse=within, deadline=Deadline.after(SystemClock(), seconds))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class TestWhereTo:
    def test_a_medium_is_fetched_with_the_account_s_credentials(self, api: Server):
        """From the API that the settings name, wherever the message says that Twilio's is."""
        api.answers[PATH] = sends(b"\x89PNG")

        outcome = fetch(api)

        assert outcome == Fetched(b"\x89PNG", "image/png")
        assert api.asked == [(PATH, basic(ACCOUNT_SID, AUTH_TOKEN))]

    def test_an_api_key_goes_before_the_auth_token(self, api: Server):
        """As for sending."""
        api.answers[PATH] = sends(b"x")
        key = {"api_key": "SK1", "api_secret": "secret-of-the-key"}

        fetch(api, secret=json.dumps({**json.loads(SECRET), **key}))

        assert api.asked == [(PATH, basic("SK1", "secret-of-the-key"))]

    def test_a_url_on_the_configured_api_is_one_too(self, api: Server):
        """Of a region, or of the local stub."""
        api.answers[PATH] = sends(b"x")

        outcome = fetch(api, url=api.url + PATH)

        assert isinstance(outcome, Fetched)

    @pytest.mark.parametrize(
        "url",
        [
            "http://169.254.169.254/latest/meta-data",
            f"http://api.twilio.com{PATH}",
            f"https://api.twilio.com.evil.example{PATH}",
            f"https://api.twilio.com@127.0.0.1{PATH}",
            f"https://api.twilio.com:8443{PATH}",
            f"https://evil.example/https://api.twilio.com{PATH}",
            f"https://API.twilio.com{PATH}",
            f" {URL}",
            f"{URL}?x=1",
            f"{URL}#x",
            f"{URL}/../../../../AC{'1' * 32}/Messages/MM1/Media/ME1",
            f"{URL}%2e%2e",
            f"{URL}\r\nHost: evil.example",
            URL.replace(ACCOUNT_SID, "AC" + "1" * 32),
            URL.replace(ACCOUNT_SID, ""),
            f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json",
            "file:///etc/passwd",
            "s3://bucket/key",
            PATH,
            "",
        ],
    )
    def test_what_is_no_medium_of_the_account_is_never_asked_for(self, api: Server, url: str):
        """A message chooses no address, and not another account's media either."""
        outcome = fetch(api, url=url)

        assert outcome == NotFetched("no medium of the account")
        assert api.asked == []

    def test_a_malformed_secret_is_our_fault(self, api: Server):
        """Nothing is asked without one."""
        with pytest.raises(Misconfigured):
            fetch(api, secret="{}")

        assert api.asked == []


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_to_where_twilio_keeps_media_is_followed_without_credentials(
        self, api: Server, storage: Server, status: int
    ):
        """The URL itself opens the medium; the tenant's token is for the API alone."""
        api.answers[PATH] = redirects(f"{storage.url}/media/1?signature=s", status)
        storage.answers["/media/1?signature=s"] = sends(b"x")

        outcome = fetch(api, storage)

        assert outcome == Fetched(b"x", "image/png")
        assert storage.asked == [("/media/1?signature=s", None)]

    def test_credentials_in_a_file_of_the_user_s_are_not_sent_either(
        self, api: Server, storage: Server, tmp_path, monkeypatch: pytest.MonkeyPatch
    ):
        """The library would look for them by itself."""
        file = tmp_path / "netrc"
        file.write_text("machine 127.0.0.1 login somebody password else\n")
        file.chmod(0o600)
        monkeypatch.setenv("NETRC", str(file))
        api.answers[PATH] = redirects(f"{storage.url}/media/1")
        storage.answers["/media/1"] = sends(b"x")

        fetch(api, storage)

        assert storage.asked == [("/media/1", None)]

    def test_two_redirects_are_followed_and_no_third(self, api: Server, storage: Server):
        """API, one host, another: more is a circle."""
        api.answers[PATH] = redirects(f"{storage.url}/media/1")
        storage.answers["/media/1"] = redirects("/media/2")
        storage.answers["/media/2"] = sends(b"x")
        after_two = fetch(api, storage)
        storage.answers["/media/2"] = redirects("/media/2")

        endless = fetch(api, storage)

        assert after_two == Fetched(b"x", "image/png")
        assert endless == NotFetched("redirected too often")

    @pytest.mark.parametrize(
        "location",
        [
            "{elsewhere}/media/1",
            "{elsewhere}/{storage}/media/1",
            "http://169.254.169.254/latest/meta-data",
            "{storage}/other/1",
            "{storage}/media/../other/1",
            "{storage}/media/%2E%2E/other/1",
            "{storage}@evil.example/media/1",
            "//evil.example/media/1",
            "file:///etc/passwd",
            "",
        ],
    )
    def test_a_redirect_anywhere_else_is_refused(self, api: Server, storage: Server, elsewhere: Server, location: str):
        """No private address, no other bucket, no other scheme; and nobody is asked."""
        api.answers[PATH] = redirects(location.format(elsewhere=elsewhere.url, storage=storage.url))

        outcome = fetch(api, storage)

        assert outcome == NotFetched("redirected to a host that is not Twilio's")
        assert (len(api.asked), storage.asked, elsewhere.asked) == (1, [], [])

    def test_the_hosts_are_told_to_the_end(self):
        """A prefix that ended within a host's name would take in others."""
        assert all(prefix.startswith("https://") and prefix.endswith("/") for prefix in KEPT_UNDER)


class TestBounds:
    def test_an_endless_body_is_cut_at_the_bound(self, api: Server):
        """Whoever sends for ever is not listened to for ever."""
        sent = []
        api.answers[PATH] = streams(sent.append(1) or bytes(65_536) for _ in range(10_000))

        outcome = fetch(api, seconds=30)

        assert outcome == NotFetched("refused", "too_large")
        assert len(sent) < 1_000

    def test_a_length_beyond_the_bound_is_refused_before_the_body(self, api: Server):
        """What is told is enough."""
        api.answers[PATH] = sends(b"x", Content_Length="99999999")

        assert fetch(api) == NotFetched("refused", "too_large")

    def test_a_type_that_is_not_wanted_is_refused_before_the_body(self, api: Server):
        """By what Twilio serves, whatever the message said."""
        api.answers[PATH] = sends(b"MZ", "application/x-msdownload")

        assert fetch(api) == NotFetched("refused", "type_not_allowed")

    def test_a_trickling_body_is_cut_by_time(self, api: Server):
        """Each piece comes in time, and all of it would not."""
        api.answers[PATH] = streams((b"x" for _ in range(1_000)), pause_seconds=0.05)
        began = time.monotonic()

        outcome = fetch(api, seconds=0.4)

        assert outcome == NotFetched("too slow")
        assert time.monotonic() - began < SOON_SECONDS

    def test_a_silent_server_is_left_alone(self, api: Server):
        """After a third of the time that is left, at the latest."""
        api.answers[PATH] = lambda _: time.sleep(SILENT_SECONDS)
        began = time.monotonic()

        outcome = fetch(api, seconds=0.4)

        assert outcome == NotFetched("ReadTimeout")
        assert time.monotonic() - began < SOON_SECONDS

    def test_a_body_that_falls_silent_is_left_alone(self, api: Server):
        """As long as the first wait may be."""
        api.answers[PATH] = streams(iter([b"x"]), pause_seconds=SILENT_SECONDS)
        began = time.monotonic()

        outcome = fetch(api, seconds=0.4)

        assert outcome == NotFetched("ReadTimeoutError")
        assert time.monotonic() - began < SOON_SECONDS

    def test_a_body_that_falls_silent_at_the_end_of_its_time_takes_no_more_of_it(self, api: Server):
        """No wait begins that could outlast the deadline: the time belongs to others."""

        def until_late() -> Iterator[bytes]:
            began = time.monotonic()
            while time.monotonic() - began < 1.1:
                yield b"x"
            time.sleep(SILENT_SECONDS)

        api.answers[PATH] = streams(until_late(), pause_seconds=0.02)
        began = time.monotonic()

        outcome = fetch(api, seconds=1.2)

        assert outcome == NotFetched("too slow")
        assert time.monotonic() - began < SOON_SECONDS

    def test_a_body_that_ends_early_is_no_medium(self, api: Server):
        """Half a picture is worse than the URL of a whole one."""
        api.answers[PATH] = sends(b"half", Content_Length="8")

        assert fetch(api) == NotFetched("ProtocolError")

    @pytest.mark.parametrize(
        ("ending", "outcome"), [(b"0\r\n\r\n", Fetched(b"abcd", "image/png")), (b"", NotFetched("ProtocolError"))]
    )
    def test_a_body_in_chunks_is_whole_when_its_last_chunk_came(self, api: Server, ending: bytes, outcome):
        """Nobody told its length."""
        chunks = iter([b"2\r\nab\r\n", b"2\r\ncd\r\n", ending])
        api.answers[PATH] = streams(chunks, Transfer_Encoding="chunked")

        assert fetch(api) == outcome

    def test_a_packed_body_is_no_medium(self, api: Server):
        """It was not asked for, and may be large inside."""
        api.answers[PATH] = sends(b"\x1f\x8b", Content_Encoding="gzip")

        assert fetch(api) == NotFetched("encoded")

    @pytest.mark.parametrize("status", [204, 304, 404, 410, 429, 500, 503])
    def test_any_other_status_is_no_medium(self, api: Server, status: int):
        """The reason tells which."""
        api.answers[PATH] = sends(b"", status=status)

        assert fetch(api) == NotFetched(f"status {status}")

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refusal_of_the_account_is_ours_to_mend(self, api: Server, status: int):
        """The API did not take the credentials."""
        api.answers[PATH] = sends(b"", status=status)

        assert fetch(api) == NotFetched(f"status {status}", is_ours_to_mend=True)

    def test_a_refusal_by_where_media_are_kept_says_nothing_of_the_account(self, api: Server, storage: Server):
        """It receives no credentials: its URL has expired."""
        api.answers[PATH] = redirects(f"{storage.url}/media/1")
        storage.answers["/media/1"] = sends(b"", status=403)

        assert fetch(api, storage) == NotFetched("status 403")

    def test_a_server_that_is_not_there_is_no_medium(self, api: Server):
        """Nor is one that speaks no HTTP."""
        media = TwilioMedia(0.2, 0.2, base_url="http://127.0.0.1:1", connections=Connections(SystemClock()))

        outcome = media.fetch(URL, SECRET, refuse=within, deadline=Deadline.after(SystemClock(), 1))

        assert outcome == NotFetched("ConnectionError")

    def test_an_empty_medium_is_one(self, api: Server):
        """Zero bytes are a number of bytes."""
        api.answers[PATH] = sends(b"")

        assert fetch(api) == Fetched(b"", "image/png")


def test_no_line_tells_a_url_or_a_secret(api: Server, storage: Server, caplog: pytest.LogCaptureFixture):
    """On any level of any logger: a redirect's URL opens the medium for everybody."""
    caplog.set_level(logging.DEBUG)
    api.answers[PATH] = redirects(f"{storage.url}/media/1?signature=s")
    storage.answers["/media/1?signature=s"] = sends(b"x")

    fetch(api, storage)

    assert "signature" not in caplog.text
    assert ACCOUNT_SID not in caplog.text
