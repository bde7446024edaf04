"""The connections to providers: used again while that is safe, and what a broken one means for a send."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from requests import Request

from chalicelib.channels.connections import REUSED_WITHIN_SECONDS, Connections
from chalicelib.channels.sender import InDoubt, Sent, TemporaryFailure
from chalicelib.channels.sendgrid.sending import SendGridSender
from chalicelib.channels.twilio.sending import TwilioSender
from tests.unit.channels.sendgrid.test_sending import SECRET as SENDGRID_SECRET
from tests.unit.channels.sendgrid.test_sending import part as email_part
from tests.unit.channels.twilio.test_sending import SECRET as TWILIO_SECRET
from tests.unit.channels.twilio.test_sending import part as text_part


@dataclass
class Watch:
    """A clock that is set by hand: its monotonic side may stand still, as that of a paused process may."""

    at: datetime = datetime(2026, 6, 1, tzinfo=UTC)
    seconds: float = 0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Provider:
    """A server on the loopback interface that ends each connection as it is told."""

    endings: list[str] = field(default_factory=list)
    """By request, in order: `answer`, `answer and close`, `answer with a cookie`, `reset`; at the end: `answer`."""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    """Set by `answer and close`, once the connection is closed."""

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        """Accept nothing any more, and end what is open."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with_reset(one)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while request := _read(connection):
                self.requests.append(request)
                ending = self.endings.pop(0) if self.endings else "answer"
                if ending == "reset":
                    return with_reset(connection)
                cookie = "Set-Cookie: of=acme\r\n" if ending == "answer with a cookie" else ""
                body = json.dumps({"sid": f"SM{len(self.requests)}"})
                head = f"HTTP/1.1 202 Accepted\r\nX-Message-Id: m{len(self.requests)}\r\n{cookie}"
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
                if ending == "answer and close":
                    break
            connection.close()
            self.closed.set()
        except OSError:
            return None


def _read(connection: socket.socket) -> bytes:
    """One request; empty: the other side has closed."""
    told = b""
    while b"\r\n\r\n" not in told:
        if not (piece := connection.recv(65_536)):
            return b""
        told += piece
    head, _, body = told.partition(b"\r\n\r\n")
    length = int(next(one for one in head.split(b"\r\n") if one.lower().startswith(b"content-length")).split(b":")[1])
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def with_reset(connection: socket.socket) -> None:
    """Close with a reset in place of an end."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)  # wakes a thread that reads
    except OSError:
        pass
    connection.close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    if made._listener.fileno() != -1:
        made.stop()


Send = Callable[[], object]


def senders(watch: Watch, url: str) -> dict[str, Send]:
    """What sends one message, by provider, each over connections of its own."""
    twilio = TwilioSender(1, 1, base_url=url, connections=Connections(watch))
    sendgrid = SendGridSender(1, 1, base_url=url, connections=Connections(watch))
    return {
        "twilio": lambda: twilio.send(text_part(), TWILIO_SECRET),
        "sendgrid": lambda: sendgrid.send(email_part(), SENDGRID_SECRET),
    }


@pytest.fixture(params=["twilio", "sendgrid"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestReuse:
    def test_sends_in_a_row_go_over_one_connection(self, provider: Provider, name: str):
        """One handshake for all of them, whichever company's they are."""
        send = senders(Watch(), provider.url)[name]

        outcomes = [send() for _ in range(3)]

        assert all(isinstance(one, Sent) for one in outcomes)
        assert (provider.connections, len(provider.requests)) == (1, 3)

    @pytest.mark.parametrize("standing", ["monotonic", "wall", "none"])
    def test_a_connection_that_was_idle_is_not_used_again(self, provider: Provider, name: str, standing: str):
        """A peer may have forgotten it; in a paused process a clock may stand still."""
        watch = Watch()
        send = senders(watch, provider.url)[name]
        send()
        idle = REUSED_WITHIN_SECONDS + 0.1
        watch.seconds += 0 if standing == "monotonic" else idle
        watch.at += timedelta(seconds=0 if standing == "wall" else idle)

        outcome = send()

        assert isinstance(outcome, Sent)
        assert provider.connections == 2

    def test_a_connection_that_was_used_just_now_is_used_again(self, provider: Provider, name: str):
        """As a busy worker's is."""
        watch = Watch()
        send = senders(watch, provider.url)[name]
        send()
        watch.seconds += REUSED_WITHIN_SECONDS

        send()

        assert provider.connections == 1

    def test_no_cookie_of_one_company_s_answer_goes_with_another_s_request(self, provider: Provider, name: str):
        """All of them share the session."""
        provider.endings += ["answer with a cookie"]
        send = senders(Watch(), provider.url)[name]
        send()

        send()

        assert b"cookie" not in provider.requests[1].lower()

    def test_one_context_verifies_every_connection(self):
        """`requests` alone reads the certificate authorities again for each."""
        connections = Connections(Watch())
        adapter = connections.get_adapter("https://api.twilio.com")

        pools = [
            adapter.get_connection_with_tls_context(connections.prepare_request(_request(host)), verify=True)
            for host in ("api.twilio.com", "api.sendgrid.com")
        ]

        contexts = {pool.conn_kw["ssl_context"] for pool in pools}
        (context,) = contexts
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert context.cert_store_stats()["x509_ca"] > 0

    def test_authorities_that_the_environment_names_take_the_place_of_ours(self):
        """They are not added to the shared context."""
        connections = Connections(Watch())
        adapter = connections.get_adapter("https://api.twilio.com")

        pool = adapter.get_connection_with_tls_context(
            connections.prepare_request(_request("api.twilio.com")), verify="/etc/some.pem"
        )

        assert (pool.conn_kw.get("ssl_context"), pool.ca_certs) == (None, "/etc/some.pem")


class TestBroken:
    def test_a_connection_that_the_provider_closed_while_idle_is_replaced_and_nothing_is_in_doubt(
        self, provider: Provider, name: str
    ):
        """Its end was read before anything was written."""
        provider.endings += ["answer and close"]
        send = senders(Watch(), provider.url)[name]
        send()
        assert provider.closed.wait(5)

        outcome = send()

        assert isinstance(outcome, Sent)
        assert (provider.connections, len(provider.requests)) == (2, 2)

    @pytest.mark.parametrize("sent_before", [0, 1])
    def test_a_reset_after_the_request_was_written_leaves_the_send_in_doubt(
        self, provider: Provider, name: str, sent_before: int
    ):
        """On a new connection as on a reused one: the provider may have taken it, and it is not sent again."""
        provider.endings += ["answer"] * sent_before + ["reset"]
        send = senders(Watch(), provider.url)[name]
        for _ in range(sent_before):
            send()

        outcome = send()

        assert outcome == InDoubt()
        assert (provider.connections, len(provider.requests)) == (1, sent_before + 1)

    def test_a_reset_leaves_the_next_send_a_new_connection(self, provider: Provider, name: str):
        """Nothing of the broken one is used again."""
        provider.endings += ["reset"]
        send = senders(Watch(), provider.url)[name]
        send()

        outcome = send()

        assert isinstance(outcome, Sent)
        assert provider.connections == 2

    @pytest.mark.parametrize("sent_before", [0, 1])
    def test_a_provider_that_accepts_no_connection_got_nothing(self, provider: Provider, name: str, sent_before: int):
        """Not a byte was written: the send is not in doubt, and comes again. A connection from before is not used."""
        send = senders(Watch(), provider.url)[name]
        for _ in range(sent_before):
            send()
        provider.stop()

        outcome = send()

        assert outcome == TemporaryFailure("UNREACHABLE")
        assert len(provider.requests) == sent_before


def _request(host: str) -> Request:
    return Request("POST", f"https://{host}/")
